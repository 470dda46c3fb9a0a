//! What is measured: the loads, and the number each of them is about.

use ringway::cli::bench::Text;

/// One kind of load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) load: Load,
}

/// What the tunnels do.
#[derive(Debug, Clone, Copy)]
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
}

/// What the compared number of a case is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Metric {
    ProcessorNsPerMessage,
    ProcessorUsPerHandshake,
    ResidentKibPerTunnel,
    IdleProcessorPercent,
    LatencyP99Us,
    LatencyP99Rise,
}

impl Case {
    pub(crate) const ALL: [Self; 11] = [
        messages("64x64", 64, 64, 1),
        messages("1000x64", 1_000, 64, 1),
        messages("4000x64", 4_000, 64, 1),
        messages("64x64x16", 64, 64, 16),
        messages("64x16KiB", 64, 16 * 1024, 1),
        messages("16x256KiB", 16, 256 * 1024, 1),
        Self {
            name: "handshakes",
            load: Load::Handshakes {
                at_once: 64,
                is_resuming: false,
            },
        },
        Self {
            name: "memory",
            load: Load::Memory {
                tunnels: 9_500,
                per_second: 4_000,
            },
        },
        Self {
            name: "idle",
            load: Load::Nobody,
        },
        Self {
            name: "latency50",
            load: Load::Latency { percent: 50 },
        },
        Self {
            name: "latency80",
            load: Load::Latency { percent: 80 },
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
            name: "handshakes",
            load: Load::Handshakes {
                at_once: 64,
                is_resuming: false,
            },
        },
        Self {
            name: "resumed",
            load: Load::Handshakes {
                at_once: 64,
                is_resuming: true,
            },
        },
        // Slowly, so that few handshakes are under way at once: what those need is no part of a tunnel that is open.
        Self {
            name: "memory",
            load: Load::Memory {
                tunnels: 8_000,
                per_second: 1_000,
            },
        },
        Self {
            name: "storm",
            load: Load::Storm { per_second: 500 },
        },
    ];

    /// The load that finds out how many messages the reference takes.
    pub(crate) const SATURATION: Self = Self::ALL[0];

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
            Load::Storm { .. } => Metric::LatencyP99Rise,
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
            Load::Messages { tunnels, .. } | Load::Memory { tunnels, .. } if tunnels > 1_000 => 4,
            _ => 1,
        }
    }

    /// Whether every run needs a process that has done nothing before.
    pub(crate) const fn needs_fresh(&self) -> bool {
        matches!(self.load, Load::Memory { .. } | Load::Nobody)
    }

    /// The same with text for its messages.
    const fn of(mut self, kind: Text) -> Self {
        if let Load::Messages { text, .. } = &mut self.load {
            *text = Some(kind);
        }
        self
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
                let size = match payload_bytes {
                    small if small < 1024 => format!("{small} B"),
                    large => format!("{} KiB", large / 1024),
                };
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
                format!("{tunnels} tunnels, {size}{kind}{depth}")
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
            Load::Memory { tunnels, .. } => format!("memory, {tunnels} idle tunnels"),
            Load::Nobody => "idle process".to_owned(),
            Load::Latency { percent } => format!("latency at {percent} % load"),
            Load::Storm { per_second } => format!("latency while {per_second} connect a second"),
        }
    }
}

impl Metric {
    pub(crate) const fn unit(self) -> &'static str {
        match self {
            Self::ProcessorNsPerMessage => "ns/message",
            Self::ProcessorUsPerHandshake => "µs/handshake",
            Self::ResidentKibPerTunnel => "KiB/tunnel",
            Self::IdleProcessorPercent => "% of a core",
            Self::LatencyP99Us => "µs p99",
            Self::LatencyP99Rise => "× p99 in peace",
        }
    }

    /// A value with as many digits as mean something.
    pub(crate) fn shown(self, value: f64) -> String {
        match self {
            Self::ProcessorNsPerMessage | Self::LatencyP99Us => format!("{value:.0}"),
            Self::ProcessorUsPerHandshake => format!("{value:.1}"),
            Self::ResidentKibPerTunnel | Self::IdleProcessorPercent | Self::LatencyP99Rise => {
                format!("{value:.2}")
            }
        }
    }
}

const fn messages(
    name: &'static str,
    tunnels: usize,
    payload_bytes: usize,
    in_flight: usize,
) -> Case {
    Case {
        name,
        load: Load::Messages {
            tunnels,
            payload_bytes,
            in_flight,
            text: None,
        },
    }
}

const fn ascii(name: &'static str, tunnels: usize, payload_bytes: usize, in_flight: usize) -> Case {
    messages(name, tunnels, payload_bytes, in_flight).of(Text::Ascii)
}

const fn mixed(name: &'static str, tunnels: usize, payload_bytes: usize, in_flight: usize) -> Case {
    messages(name, tunnels, payload_bytes, in_flight).of(Text::Mixed)
}
