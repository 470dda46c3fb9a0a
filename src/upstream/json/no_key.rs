//! Why a first message has no key, in words that a client's developer can act on.

use thiserror::Error;

use crate::limits::{JSON_DEPTH_MAX, JSON_KEY_BYTES_MAX};

/// Why a first message has no key; each time the client sent what it should not. What it says of itself fits into the
/// reason of a Close frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoKey {
    /// It is no JSON text (RFC 8259), not UTF-8, more than one value, or has a number beyond all floats.
    #[error("the first message is not JSON")]
    NotJson,
    /// Its arrays and objects stand too deep in each other.
    #[error("the first message is nested deeper than {JSON_DEPTH_MAX}")]
    TooDeep,
    /// Nothing stands where the pointer leads.
    #[error("the first message has no value where its key should be")]
    Missing,
    /// What stands there is null, a number that is not whole or has over 64 bits, an array, an object, an empty
    /// string or a long one.
    #[error(
        "the key is not a string of 1 to {JSON_KEY_BYTES_MAX} bytes, a whole number or a boolean"
    )]
    NotAKey,
    /// A member on the way stands twice in its object. A backend may take either (RFC 8259 section 4), so no key is
    /// certain to be the one that it sees.
    #[error("a name on the way to the key stands twice in its object")]
    Ambiguous,
}

impl NoKey {
    /// Every reason.
    pub const ALL: [Self; 5] = [
        Self::NotJson,
        Self::TooDeep,
        Self::Missing,
        Self::NotAKey,
        Self::Ambiguous,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::CLOSE_REASON_BYTES_MAX;

    #[test]
    fn every_reason_fits_into_a_close_frame() {
        for reason in NoKey::ALL {
            let text = reason.to_string();
            assert!(text.len() <= CLOSE_REASON_BYTES_MAX, "{text}");
        }
    }
}
