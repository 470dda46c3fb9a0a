//! The lists of cases: what a run measures unless it is told otherwise.

use std::borrow::Cow;

use ringway::cli::bench::Text;

use crate::case::{Case, Load, messages};

impl Case {
    /// Everything in the clear.
    pub(crate) const ALL: [Self; 16] = [
        messages("64x64", 64, 64, 1),
        messages("1000x64", 1_000, 64, 1),
        messages("4000x64", 4_000, 64, 1),
        messages("64x64x16", 64, 64, 16),
        messages("64x16KiB", 64, 16 * 1024, 1),
        messages("16x256KiB", 16, 256 * 1024, 1),
        Self {
            name: Cow::Borrowed("handshakes"),
            load: Load::Handshakes {
                at_once: 64,
                is_resuming: false,
            },
        },
        Self {
            name: Cow::Borrowed("memory"),
            load: Load::Memory {
                tunnels: 9_500,
                per_second: 4_000,
            },
        },
        Self {
            name: Cow::Borrowed("idle"),
            load: Load::Nobody,
        },
        Self {
            name: Cow::Borrowed("latency50"),
            load: Load::Latency { percent: 50 },
        },
        Self {
            name: Cow::Borrowed("latency80"),
            load: Load::Latency { percent: 80 },
        },
        broadcast("broadcast-1000x64", 1_000, 64),
        broadcast("broadcast-1000x1KiB", 1_000, 1024),
        broadcast("broadcast-4000x64", 4_000, 64),
        Self {
            name: Cow::Borrowed("reload"),
            load: Load::Reload,
        },
        Self {
            name: Cow::Borrowed("death"),
            load: Load::Death { tunnels: 64 },
        },
    ];

    /// Messages that there is something to look into.
    pub(crate) const TEXTS: [Self; 10] = [
        ascii("64x64-ascii", 64, 64, 1),
        mixed("64x64-mixed", 64, 64, 1),
        ascii("64x64x16-ascii", 64, 64, 16),
        mixed("64x64x16-mixed", 64, 64, 16),
        ascii("64x1KiB-ascii", 64, 1024, 1),
        mixed("64x1KiB-mixed", 64, 1024, 1),
        ascii("64x1KiBx16-ascii", 64, 1024, 16),
        mixed("64x1KiBx16-mixed", 64, 1024, 16),
        ascii("64x64KiB-ascii", 64, 64 * 1024, 1),
        mixed("64x64KiB-mixed", 64, 64 * 1024, 1),
    ];

    /// What clients do that speak TLS.
    pub(crate) const TLS: [Self; 8] = [
        messages("64x64", 64, 64, 1),
        messages("64x64x16", 64, 64, 16),
        messages("64x1KiB", 64, 1024, 1),
        messages("64x16KiB", 64, 16 * 1024, 1),
        Self {
            name: Cow::Borrowed("handshakes"),
            load: Load::Handshakes {
                at_once: 64,
                is_resuming: false,
            },
        },
        Self {
            name: Cow::Borrowed("resumed"),
            load: Load::Handshakes {
                at_once: 64,
                is_resuming: true,
            },
        },
        // Slowly, so that few handshakes are under way at once: what those need is no part of a tunnel that is open.
        Self {
            name: Cow::Borrowed("memory"),
            load: Load::Memory {
                tunnels: 8_000,
                per_second: 1_000,
            },
        },
        Self {
            name: Cow::Borrowed("storm"),
            load: Load::Storm { per_second: 500 },
        },
    ];

    /// Whether README's table has it: not what is about one event, which is a story and no number.
    pub(crate) const fn is_tabled(&self) -> bool {
        !matches!(
            self.load,
            Load::Broadcast { .. } | Load::Reload | Load::Death { .. }
        )
    }

    /// Whether it can be had over a network: events need the backends, and the proxy's processes, at hand.
    pub(crate) const fn is_for_far_hosts(&self) -> bool {
        !matches!(
            self.load,
            Load::Broadcast { .. } | Load::Reload | Load::Death { .. } | Load::Storm { .. }
        )
    }

    /// The same with text for its messages.
    const fn of(mut self, kind: Text) -> Self {
        if let Load::Messages { text, .. } = &mut self.load {
            *text = Some(kind);
        }
        self
    }
}

const fn ascii(name: &'static str, tunnels: usize, payload_bytes: usize, in_flight: usize) -> Case {
    messages(name, tunnels, payload_bytes, in_flight).of(Text::Ascii)
}

const fn mixed(name: &'static str, tunnels: usize, payload_bytes: usize, in_flight: usize) -> Case {
    messages(name, tunnels, payload_bytes, in_flight).of(Text::Mixed)
}

const fn broadcast(name: &'static str, tunnels: usize, payload_bytes: usize) -> Case {
    Case {
        name: Cow::Borrowed(name),
        load: Load::Broadcast {
            tunnels,
            payload_bytes,
        },
    }
}
