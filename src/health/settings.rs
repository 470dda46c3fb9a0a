//! How a backend is probed. Plain values, checked by `config`.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::limits;

/// How the backends of one pool are probed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeSettings {
    /// What is asked.
    pub kind: ProbeKind,
    /// How often, once the verdict is sure.
    pub interval: Duration,
    /// How often while probes contradict the verdict.
    pub unsure_interval: Duration,
    /// How much of an interval chance adds or takes, in percent, so that many probes do not march in step.
    pub jitter_percent: u32,
    /// How long one probe may take. A probe begins only when the one before it has ended.
    pub timeout: Duration,
    /// Good probes in a row that bring a backend up.
    pub rise: u32,
    /// Bad probes in a row that take it down.
    pub fall: u32,
}

/// What a probe asks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ProbeKind {
    /// Whether it takes a connection.
    #[default]
    Tcp,
    /// Whether it answers a GET as expected.
    Http(HttpProbe),
    /// Whether it upgrades to a WebSocket and answers a ping.
    WebSocket(WebSocketProbe),
}

/// A GET and the answer that is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpProbe {
    /// The path.
    pub path: String,
    /// The Host field; nothing is the backend's address.
    pub host: Option<String>,
    /// Statuses that are well.
    pub status: RangeInclusive<u16>,
    /// What the first [`PROBE_BODY_BYTES_MAX`](crate::limits::PROBE_BODY_BYTES_MAX) bytes of the body must contain.
    pub body: Option<String>,
}

/// A handshake and a ping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebSocketProbe {
    /// The path.
    pub path: String,
    /// The Host field; nothing is the backend's address.
    pub host: Option<String>,
    /// The subprotocol that is offered, and must be taken.
    pub subprotocol: Option<String>,
}

impl Default for ProbeSettings {
    fn default() -> Self {
        Self {
            kind: ProbeKind::default(),
            interval: limits::PROBE_INTERVAL.default,
            unsure_interval: limits::PROBE_UNSURE_INTERVAL.default,
            jitter_percent: limits::PROBE_JITTER_PERCENT.default,
            timeout: limits::PROBE_TIMEOUT.default,
            rise: limits::PROBE_RISE.default,
            fall: limits::PROBE_FALL.default,
        }
    }
}
