//! What happened to one connection, as plain data that a worker can write without allocating.

use std::net::{IpAddr, SocketAddr};

use crate::limits::ACCESS_LOG_RECORDS_MAX;
use crate::metrics::{EndReason, Party, Refusal};

/// One line of the access log, before names are put to its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// A tunnel ended.
    Tunnel(TunnelRecord),
    /// A handshake was refused.
    Refused(RefusalRecord),
}

/// What one tunnel did, from its first byte to its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TunnelRecord {
    /// When the client was answered with 101, in milliseconds since the Unix epoch.
    pub opened_unix_ms: u64,
    /// How long it was open.
    pub duration_ms: u64,
    /// The address the connection came from.
    pub client: SocketAddr,
    /// The address that a trusted proxy named as the real client's.
    pub forwarded_for: Option<IpAddr>,
    /// The route's number; the control thread knows its name.
    pub route: u16,
    /// The backend's number; the control thread knows its name.
    pub backend: u16,
    /// The worker's number.
    pub worker: u16,
    /// The answer to the handshake: 101.
    pub status: u16,
    /// What went from the client to the backend.
    pub client_to_backend: OneWay,
    /// What went from the backend to the client.
    pub backend_to_client: OneWay,
    /// The code of the first Close frame; absent if there was none, or if it carried no code.
    pub close_code: Option<u16>,
    /// Who ended it.
    pub ended_by: Party,
    /// Why it ended.
    pub reason: EndReason,
}

/// What went one way through one tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OneWay {
    /// Whole messages.
    pub messages: u64,
    /// Bytes, frame headers included.
    pub bytes: u64,
}

/// A handshake that Ringway refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefusalRecord {
    /// When it was refused, in milliseconds since the Unix epoch.
    pub at_unix_ms: u64,
    /// How long the connection had been open.
    pub duration_ms: u64,
    /// The address the connection came from.
    pub client: SocketAddr,
    /// The address that a trusted proxy named as the real client's.
    pub forwarded_for: Option<IpAddr>,
    /// The route's number, if one was found.
    pub route: Option<u16>,
    /// The number of the backend tried last, if one was.
    pub backend: Option<u16>,
    /// The worker's number.
    pub worker: u16,
    /// The status of the answer, if there was one: to a client over TLS there is none before its handshake is over.
    pub status: Option<u16>,
    /// Why it was refused.
    pub reason: Refusal,
}

// The rings of 64 workers stay under 128 MiB.
const _: () = assert!(size_of::<Record>() * ACCESS_LOG_RECORDS_MAX <= 2 * 1024 * 1024);
