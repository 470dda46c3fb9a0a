//! Whether masked bytes are plain ASCII: found out without unmasking them anywhere. Most text is, and needs no more.

/// Whether all bytes are ASCII under a key that has been turned to the phase of the first. Compiled again for each
/// instruction set that it is inlined into.
#[expect(
    clippy::inline_always,
    reason = "a function takes the instruction set of its caller only when it is inlined into it"
)]
#[inline(always)]
pub(super) fn is_ascii(bytes: &[u8], [a, b, c, d]: [u8; 4]) -> bool {
    let key = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (blocks, rest) = bytes.as_chunks::<BLOCK_BYTES>();
    // Text that is not ASCII mostly shows it soon.
    blocks.iter().all(|block| high_bits(block, key) == 0) && {
        let (words, tail) = rest.as_chunks::<8>();
        let masks = key.to_ne_bytes();
        let tail = tail.iter().zip(masks).map(|(byte, mask)| byte ^ mask);
        high_bits(words.as_flattened(), key) == 0 && tail.fold(0, |high, byte| high | byte) < 0x80
    }
}

/// The high bits of all bytes, of which there are a multiple of eight, put together.
#[expect(
    clippy::inline_always,
    reason = "a function takes the instruction set of its caller only when it is inlined into it"
)]
#[inline(always)]
fn high_bits(bytes: &[u8], key: u64) -> u64 {
    let words = bytes.as_chunks::<8>().0.iter();
    let mixed = words.fold(0, |all, word| all | (u64::from_ne_bytes(*word) ^ key));
    mixed & 0x8080_8080_8080_8080
}

/// How much is looked at before the next branch.
const BLOCK_BYTES: usize = 256;
