//! What is measured: the loads, and the number each of them is about.

use std::borrow::Cow;

use ringway::cli::bench::Text;

use crate::metric::Metric;

/// One kind of load.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) name: Cow<'static, str>,
    pub(crate) load: Load,
}

/// What the tunnels do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Load {
    /// Messages as fast as the echoes come back.
    Messages {
        tunnels: usize,
        payload_bytes: usize,
        in_flight: usize,
        /// `None` is binary.
        text: Option<Text>,
    },
    /// Connect, upgrade, abort.
    Handshakes {
        at_once: usize,
        /// With the ticket of the connection before.
        is_resuming: bool,
    },
    /// One message each, then silence: what a tunnel costs in memory.
    Memory { tunnels: usize, per_second: u64 },
    /// Nobody connects at all.
    Nobody,
    /// Messages at a fixed rate, a share in percent of what the reference takes.
    Latency { percent: u8 },
    /// Messages at a low fixed rate, first in peace, then while so many new connections come in a second.
    Storm { per_second: u64 },
    /// The backend sends one message to all tunnels at once, again and again.
    Broadcast {
        tunnels: usize,
        payload_bytes: usize,
    },
    /// Messages at a fixed rate, first in peace, then while the configuration is read again.
    Reload,
    /// One of the backends is killed while all tunnels are in use.
    Death { tunnels: usize },
}

impl Case {
    /// The load that finds out how many messages the reference takes.
    pub(crate) const SATURATION: Self = messages("64x64", 64, 64, 1);

    /// Whether it goes by this name, or by this name and a kind of text.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        let without_kind = self.name.split('-').next();
        self.name.eq_ignore_ascii_case(name)
            || without_kind.is_some_and(|first| first.eq_ignore_ascii_case(name))
    }

    pub(crate) const fn metric(&self) -> Metric {
        match self.load {
            Load::Messages { .. } => Metric::ProcessorNsPerMessage,
            Load::Handshakes { .. } => Metric::ProcessorUsPerHandshake,
            Load::Memory { .. } => Metric::ResidentKibPerTunnel,
            Load::Nobody => Metric::IdleProcessorPercent,
            Load::Latency { .. } => Metric::LatencyP99Us,
            Load::Storm { .. } | Load::Reload => Metric::LatencyP99Rise,
            Load::Broadcast { .. } => Metric::ProcessorNsPerDelivery,
            Load::Death { .. } => Metric::LastNoticeMs,
        }
    }

    /// The share of the reference's rate, for a case at a fixed rate.
    pub(crate) const fn percent(&self) -> Option<u8> {
        match self.load {
            Load::Latency { percent } => Some(percent),
            _ => None,
        }
    }

    /// Backends behind the proxy. Each has some 28,000 ports to be reached from, and ports that were left a moment
    /// ago are slow to take again.
    pub(crate) const fn backends(&self) -> usize {
        match self.load {
            Load::Handshakes { .. } | Load::Storm { .. } => 8,
            Load::Reload | Load::Death { .. } => 4,
            Load::Messages { tunnels, .. } | Load::Memory { tunnels, .. } if tunnels > 1_000 => 4,
            _ => 1,
        }
    }

    /// Whether every run needs a process that has done nothing before.
    pub(crate) const fn needs_fresh(&self) -> bool {
        matches!(
            self.load,
            Load::Memory { .. } | Load::Nobody | Load::Reload | Load::Death { .. }
        )
    }

    /// What the row is called in the table.
    pub(crate) fn title(&self) -> String {
        match self.load {
            Load::Messages {
                tunnels,
                payload_bytes,
                in_flight,
                text,
            } => {
                let size = size(payload_bytes);
                let depth = if in_flight == 1 {
                    String::new()
                } else {
                    format!(", {in_flight} in flight")
                };
                let kind = match text {
                    None => "",
                    Some(Text::Ascii) => " ASCII text",
                    Some(Text::Mixed) => " mixed text",
                };
                let plural = if tunnels == 1 { "" } else { "s" };
                format!("{} tunnel{plural}, {size}{kind}{depth}", grouped(tunnels))
            }
            Load::Handshakes {
                at_once,
                is_resuming,
            } => {
                let kind = if is_resuming {
                    "resumed handshakes"
                } else {
                    "handshakes"
                };
                format!("{kind}, {at_once} at once")
            }
            Load::Memory { tunnels, .. } => format!("memory, {} idle tunnels", grouped(tunnels)),
            Load::Nobody => "idle process".to_owned(),
            Load::Latency { percent } => format!("latency at {percent} % load"),
            Load::Storm { per_second } => format!("latency while {per_second} connect a second"),
            Load::Broadcast {
                tunnels,
                payload_bytes,
            } => format!(
                "broadcast of {} to {} tunnels",
                size(payload_bytes),
                grouped(tunnels)
            ),
            Load::Reload => "reload under load".to_owned(),
            Load::Death { tunnels } => format!("a backend of four dies, {tunnels} tunnels"),
        }
    }
}

/// A size in the unit that reads best.
pub(crate) fn size(bytes: usize) -> String {
    match bytes {
        small if small < 1024 => format!("{small} B"),
        middle if middle < 1024 * 1024 => format!("{} KiB", middle / 1024),
        large => format!("{} MiB", large / 1024 / 1024),
    }
}

/// A number with its thousands apart.
pub(crate) fn grouped(number: usize) -> String {
    if number < 1_000 {
        number.to_string()
    } else {
        format!("{},{:03}", grouped(number / 1_000), number % 1_000)
    }
}

/// Messages as fast as the echoes come back.
pub(crate) const fn messages(
    name: &'static str,
    tunnels: usize,
    payload_bytes: usize,
    in_flight: usize,
) -> Case {
    Case {
        name: Cow::Borrowed(name),
        load: Load::Messages {
            tunnels,
            payload_bytes,
            in_flight,
            text: None,
        },
    }
}
