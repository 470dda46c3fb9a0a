//! What a pool is told to do about its backends' health, limits and ends. Plain values, checked by `config`.

use std::time::Duration;

use crate::limits;

/// When workers put a backend out by what they see themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EjectionRules {
    /// After so many failed handshakes in a row; 0 is never.
    pub failures: u32,
    /// For how long the first time; each time in a row doubles it.
    pub time: Duration,
    /// And for how long at most.
    pub time_max: Duration,
    /// At most this share of the pool's backends may be out at once, in percent; one always may.
    pub share_max_percent: u32,
    /// Also when this share of the tunnels that ended within a window ended abnormally (1006, 1011), in percent;
    /// 0 is never.
    pub abnormal_percent: u32,
}

/// What happens to the open tunnels of a backend that leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// They live on until they end by themselves.
    Keep,
    /// They are told 1012 (Service Restart) at a frame boundary, so many a second.
    Close,
}

impl Fate {
    /// Both, in the order messages name them.
    pub const ALL: [Self; 2] = [Self::Keep, Self::Close];

    /// The word in the configuration.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Close => "close",
        }
    }
}

/// What happens to open tunnels, by why their backend leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fates {
    /// Its probes fell, or an operator took it out.
    pub down: Fate,
    /// An operator drains it.
    pub drain: Fate,
    /// It is not configured any more, or the DNS names it no more.
    pub remove: Fate,
    /// Tunnels closed in a second, over all workers.
    pub close_per_second: u32,
}

/// Where clients wait while every backend is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitingRoom {
    /// Clients of this pool that one worker lets wait; 0 refuses at once.
    pub places: u32,
    /// How long one may wait.
    pub timeout: Duration,
}

/// How many handshakes may be tried again at another backend, as a share of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryBudget {
    /// For each hundred handshakes, so many retries.
    pub percent: u32,
    /// And so many each second in any case, on each worker: a quiet pool may retry too.
    pub least_per_second: u32,
}

/// What a pool may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Caps {
    /// Tunnels open to one backend, over all workers, connections being made included.
    pub established: Option<u32>,
    /// Connections being made to one backend, over all workers.
    pub connecting: Option<u32>,
}

impl Default for EjectionRules {
    fn default() -> Self {
        Self {
            failures: limits::EJECTION_FAILURES.default,
            time: limits::EJECTION_TIME.default,
            time_max: limits::EJECTION_TIME_MAX.default,
            share_max_percent: limits::EJECTION_SHARE_PERCENT.default,
            abnormal_percent: 0,
        }
    }
}

impl Default for Fates {
    fn default() -> Self {
        Self {
            down: Fate::Close,
            drain: Fate::Keep,
            remove: Fate::Keep,
            close_per_second: limits::CLOSE_PER_SECOND.default,
        }
    }
}

impl Default for WaitingRoom {
    fn default() -> Self {
        Self {
            places: limits::WAITING_PLACES.default,
            timeout: limits::WAITING_TIMEOUT.default,
        }
    }
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self {
            percent: limits::RETRY_PERCENT.default,
            least_per_second: limits::RETRIES_LEAST_PER_SECOND.default,
        }
    }
}
