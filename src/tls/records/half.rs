//! One direction's secrets.

use super::super::settings::Suite;

/// What one direction is sealed with. Wiped when it is dropped; neither copied nor shown.
pub struct Half {
    /// TLS 1.3: the traffic secret that the next keys come from.
    secret: [u8; 48],
    key: [u8; 32],
    iv: [u8; 12],
    sequence: u64,
}

impl Half {
    /// TLS 1.3: key and nonce mask of a traffic secret (RFC 8446 section 7.3).
    pub fn of_secret(_suite: Suite, _secret: &[u8], _sequence: u64) -> Option<Self> {
        None
    }

    /// TLS 1.2: key and nonce mask as they were agreed on.
    pub fn of_key(_suite: Suite, _key: &[u8], _iv: [u8; 12], _sequence: u64) -> Option<Self> {
        None
    }

    /// Whether it has this key, nonce mask and sequence number.
    pub fn agrees(&self, key: &[u8], iv: [u8; 12], sequence: u64) -> bool {
        self.secret.is_empty() || self.key[..] == *key && self.iv == iv && self.sequence == sequence
    }
}
