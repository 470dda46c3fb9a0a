//! The name of an operation: what it is, whose it is, and which life of that owner it belongs to.

/// The 64 bits that travel with an operation and come back with its completion.
///
/// ```text
///  63      56 55               32 31                0
/// +----------+-------------------+-------------------+
/// |   kind   |    generation     |       index       |
/// +----------+-------------------+-------------------+
/// ```
///
/// The generation changes whenever an index is given to somebody new, so a completion that arrives
/// late is recognised instead of being handed to a stranger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token(u64);

impl Token {
    /// Kinds below this one belong to the ring itself; a dispatcher's own kinds start here.
    pub const FIRST_FREE_KIND: u8 = 16;

    /// How many generations there are before one is used again.
    pub const GENERATIONS: u32 = 1 << 24;

    /// Joins the three parts; a generation is taken modulo [`Self::GENERATIONS`].
    pub const fn new(kind: u8, generation: u32, index: u32) -> Self {
        let generation = (generation % Self::GENERATIONS) as u64;
        Self(((kind as u64) << 56) | (generation << 32) | index as u64)
    }

    /// The token that travelled as these bits.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The bits that travel.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// What the operation is.
    pub const fn kind(self) -> u8 {
        (self.0 >> 56) as u8
    }

    /// Which life of the index it belongs to.
    pub const fn generation(self) -> u32 {
        ((self.0 >> 32) as u32) % Self::GENERATIONS
    }

    /// Whose it is.
    #[expect(clippy::cast_possible_truncation, reason = "the low half is the index")]
    pub const fn index(self) -> u32 {
        self.0 as u32
    }

    /// The same owner and life, another kind.
    #[must_use]
    pub const fn with_kind(self, kind: u8) -> Self {
        Self((self.0 & !(0xFF << 56)) | ((kind as u64) << 56))
    }
}

/// Kinds the ring keeps for itself.
pub(super) mod kind {
    /// Nobody waits for it.
    pub(in crate::ring) const IGNORED: u8 = 0;
    /// An awaitable operation; the index is its slot.
    pub(in crate::ring) const AWAITED: u8 = 1;
    /// A send that owns its memory; the index is its slot.
    pub(in crate::ring) const OWNED_SEND: u8 = 2;
    /// The hot phase's tick.
    pub(in crate::ring) const TICK: u8 = 3;
    /// The deadline wheel's timeout.
    pub(in crate::ring) const WHEEL: u8 = 4;
    /// A connection was accepted; the index is the listener's number.
    pub(in crate::ring) const ACCEPT: u8 = 5;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_parts_come_back_as_they_went() {
        let token = Token::new(200, 0x00AB_CDEF, u32::MAX);
        assert_eq!(
            (token.kind(), token.generation(), token.index()),
            (200, 0x00AB_CDEF, u32::MAX)
        );
        assert_eq!(token.with_kind(7), Token::new(7, 0x00AB_CDEF, u32::MAX));
        assert_eq!(Token::new(1, Token::GENERATIONS + 3, 9).generation(), 3);
    }
}
