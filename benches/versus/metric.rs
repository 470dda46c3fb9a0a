//! The number that a case is about, with its unit.

/// What the compared number of a case is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Metric {
    ProcessorNsPerMessage,
    ProcessorUsPerHandshake,
    ResidentKibPerTunnel,
    IdleProcessorPercent,
    LatencyP99Us,
    LatencyP99Rise,
    ProcessorNsPerDelivery,
    LastNoticeMs,
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
            Self::ProcessorNsPerDelivery => "ns/delivery",
            Self::LastNoticeMs => "ms till the last knew",
        }
    }

    /// A value with as many digits as mean something.
    pub(crate) fn shown(self, value: f64) -> String {
        match self {
            Self::ProcessorNsPerMessage | Self::LatencyP99Us | Self::ProcessorNsPerDelivery => {
                format!("{value:.0}")
            }
            Self::ProcessorUsPerHandshake | Self::LastNoticeMs => format!("{value:.1}"),
            Self::ResidentKibPerTunnel | Self::IdleProcessorPercent | Self::LatencyP99Rise => {
                format!("{value:.2}")
            }
        }
    }
}

impl Metric {
    /// The unit where the row says what is measured.
    pub(crate) const fn short_unit(self) -> &'static str {
        match self {
            Self::ProcessorNsPerMessage | Self::ProcessorNsPerDelivery => "ns",
            Self::ProcessorUsPerHandshake | Self::LatencyP99Us => "µs",
            Self::ResidentKibPerTunnel => "KiB",
            Self::IdleProcessorPercent => "%",
            Self::LatencyP99Rise => "×",
            Self::LastNoticeMs => "ms",
        }
    }

    /// A value with its thousands apart.
    pub(crate) fn grouped(self, value: f64) -> String {
        let shown = self.shown(value);
        shown.parse().map_or(shown, crate::case::grouped)
    }
}
