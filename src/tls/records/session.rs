//! One connection's state after the handshake.

use super::super::settings::{Suite, Version};
use super::Half;

/// Which side of the connection we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// We asked.
    Client,
    /// We were asked.
    Server,
}

/// One connection's records, in both directions.
pub struct Session {
    version: Version,
    suite: Suite,
    role: Role,
    tx: Half,
    rx: Half,
}

impl Session {
    /// A connection whose handshake is over.
    pub const fn new(version: Version, suite: Suite, role: Role, tx: Half, rx: Half) -> Self {
        Self {
            version,
            suite,
            role,
            tx,
            rx,
        }
    }
}
