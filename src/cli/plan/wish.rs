//! What is asked of a host, as plain numbers.

use clap::ValueEnum;
use serde::Serialize;

use crate::cli::doctor::Profile;

/// Where tunnels speak TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TlsSides {
    /// Nowhere.
    #[default]
    None,
    /// With clients.
    Clients,
    /// With backends.
    Backends,
    /// With both.
    Both,
}

impl TlsSides {
    /// How many sides of a tunnel.
    pub(super) const fn count(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Clients | Self::Backends => 1,
            Self::Both => 2,
        }
    }

    pub(super) const fn of(clients: bool, backends: bool) -> Self {
        match (clients, backends) {
            (false, false) => Self::None,
            (true, false) => Self::Clients,
            (false, true) => Self::Backends,
            (true, true) => Self::Both,
        }
    }
}

/// The load, and what is settled already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Wish {
    pub(super) tunnels: u64,
    pub(super) backends: u64,
    pub(super) listener_addresses: u64,
    /// Messages a second on one tunnel, both ways together, in thousandths.
    pub(super) message_rate_milli: u64,
    pub(super) message_bytes: u64,
    pub(super) connects_per_second: u64,
    pub(super) tls: TlsSides,
    /// How many source addresses the host has for each backend, if that is settled.
    pub(super) source_addresses: Option<u64>,
    /// Ports of one source address.
    pub(super) ports: u64,
    /// Workers, if that is settled.
    pub(super) workers: Option<u64>,
    pub(super) slow_percent: u64,
    /// Nanoseconds of an echo and of a handshake, if they were measured elsewhere.
    pub(super) echo_ns: Option<u64>,
    pub(super) handshake_ns: Option<u64>,
    /// Receive buffers of one worker.
    pub(super) receive_bytes: u64,
    pub(super) handshakes_max: u64,
    pub(super) profile: Profile,
}
