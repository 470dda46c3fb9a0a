//! What a route does with the frames of its tunnels, beyond the rules of RFC 6455. Plain values, checked by `config`.

use std::time::Duration;

use crate::limits;
use crate::sync::Arc;
use crate::ws::{Rate, Watch, close};

/// Everything about frames that a route may ask for. A route that asks for nothing has none of these, and its tunnels
/// pay for none of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameRules {
    /// What clients may send, and how closely it is looked at.
    pub client: Watch,
    /// The same for backends.
    pub backend: Watch,
    /// How much clients may send in a second.
    pub rates: Vec<RateRule>,
    /// The code for the other side of one who broke a rule.
    pub peer_close_code: u16,
    /// How often each side is asked whether it lives.
    pub heartbeat: Heartbeats,
    /// How long what is held back may take to become whole, from its first byte on.
    pub message_timeout: Duration,
    /// Whether clients' Pings are answered here instead of by the backend.
    pub answer_pings: bool,
    /// What happens to what a client does not take fast enough.
    pub to_client: SlowConsumer,
    /// The same for a backend.
    pub to_backend: SlowConsumer,
    /// How much waits for a slow consumer at most, in bytes, under each rule but backpressure.
    pub queue_bytes_max: u32,
}

/// How much may be sent in a second, by whom it is counted, and what happens to what is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateRule {
    /// Who shares one count on each worker.
    pub by: RateKey,
    /// Messages in a second.
    pub messages: Option<Rate>,
    /// Bytes of payload in a second.
    pub bytes: Option<Rate>,
    /// What happens to what is over.
    pub over: Over,
    /// Whether Pings and Pongs count as messages too. They are never dropped, only slowed or refused.
    pub counts_control: bool,
}

/// Who shares one count.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RateKey {
    /// Nobody: each connection has its own.
    Connection,
    /// Connections from one address, an IPv6 /64 being one.
    Source,
    /// Connections whose handshake had the same value in this field; by source where it had none.
    Header(Arc<str>),
    /// The same for a cookie.
    Cookie(Arc<str>),
}

/// What happens to what is over a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Over {
    /// The client is read no further until its bucket has something again.
    Slow,
    /// The message is left out, whole.
    Drop,
    /// The client gets 1008.
    Close,
}

impl Over {
    /// All of them, in the order messages name them.
    pub const ALL: [Self; 3] = [Self::Slow, Self::Drop, Self::Close];

    /// The word in the configuration.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Drop => "drop",
            Self::Close => "close",
        }
    }
}

/// How often each side is asked whether it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeats {
    /// After so long a silence of the client; nothing for never.
    pub client: Option<Duration>,
    /// The same for the backend.
    pub backend: Option<Duration>,
    /// How much of the time chance adds or takes, in percent.
    pub jitter_percent: u32,
    /// After so many Pings in a row without a sign of life it is over.
    pub misses: u32,
    /// How it is over.
    pub on_miss: OnMiss,
}

/// How a tunnel ends whose side has shown no sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OnMiss {
    /// Both sides are sent 1001; who does not answer is cut off after a while.
    Close,
    /// Both connections are reset at once.
    Reset,
}

impl OnMiss {
    /// Both, in the order messages name them.
    pub const ALL: [Self; 2] = [Self::Close, Self::Reset];

    /// The word in the configuration.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Close => "close",
            Self::Reset => "reset",
        }
    }
}

/// What happens when a side takes less than is sent to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SlowConsumer {
    /// The sender is read no further until there is room.
    #[default]
    Backpressure,
    /// The oldest whole messages make room for newer ones.
    Newest,
    /// It gets 1013.
    Close,
}

impl SlowConsumer {
    /// All of them, in the order messages name them.
    pub const ALL: [Self; 3] = [Self::Backpressure, Self::Newest, Self::Close];

    /// The word in the configuration.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Backpressure => "backpressure",
            Self::Newest => "newest",
            Self::Close => "close",
        }
    }
}

impl Heartbeats {
    /// Nobody is asked.
    pub const OFF: Self = Self {
        client: None,
        backend: None,
        jitter_percent: limits::HEARTBEAT_JITTER_PERCENT.default,
        misses: limits::HEARTBEAT_MISSES.default,
        on_miss: OnMiss::Close,
    };
}

impl Default for FrameRules {
    /// Nothing beyond counting.
    fn default() -> Self {
        Self {
            client: Watch::default(),
            backend: Watch::default(),
            rates: Vec::new(),
            peer_close_code: close::GOING_AWAY,
            heartbeat: Heartbeats::OFF,
            message_timeout: limits::MESSAGE_TIMEOUT.default,
            answer_pings: false,
            to_client: SlowConsumer::Backpressure,
            to_backend: SlowConsumer::Backpressure,
            queue_bytes_max: limits::SLOW_QUEUE_BYTES.default,
        }
    }
}
