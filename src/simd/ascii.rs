//! Whether masked bytes are plain ASCII: found out without unmasking them anywhere. Most text is, and needs no more.
#![expect(
    clippy::inline_always,
    reason = "a function takes the instruction set of its caller only when it is inlined into it"
)]

use super::scalar::turned;

/// Whether all bytes are ASCII under a key that has been turned to the phase of the first. Compiled again for each
/// instruction set that it is inlined into.
#[inline(always)]
pub(super) fn is_ascii(bytes: &[u8], key: [u8; 4]) -> bool {
    // The last register, or word, begins where it ends with the bytes; some are then looked at twice.
    let last_key = turned(key, bytes.len());
    if let Some(last) = bytes.last_chunk::<REGISTER_BYTES>() {
        let (blocks, rest) = bytes.as_chunks::<BLOCK_BYTES>();
        // A loop of its own: what a closure does is compiled for the least processor if it is not inlined.
        for block in blocks {
            // Text that is not ASCII mostly shows it soon.
            if high_bits(block, key) != 0 {
                return false;
            }
        }
        let registers = rest.as_chunks::<REGISTER_BYTES>().0.as_flattened();
        return high_bits(registers, key) | high_bits(last, last_key) == 0;
    }
    if let Some(last) = bytes.last_chunk::<8>() {
        let words = bytes.as_chunks().0.iter();
        let all = words.fold(mixed(last, last_key), |all, word| all | mixed(word, key));
        return all & HIGH_BITS == 0;
    }
    let mut bytes = bytes.iter().zip(key.iter().cycle());
    bytes.all(|(byte, mask)| byte ^ mask < 0x80)
}

/// The high bits of all bytes, of which there are a multiple of eight, put together.
#[inline(always)]
fn high_bits(bytes: &[u8], key: [u8; 4]) -> u64 {
    let mut all = 0;
    for word in bytes.as_chunks().0 {
        all |= mixed(word, key);
    }
    all & HIGH_BITS
}

#[inline(always)]
fn mixed(word: &[u8; 8], [a, b, c, d]: [u8; 4]) -> u64 {
    u64::from_ne_bytes(*word) ^ u64::from_ne_bytes([a, b, c, d, a, b, c, d])
}

const HIGH_BITS: u64 = 0x8080_8080_8080_8080;
/// As wide as the registers of AVX2; narrower ones take two of their own.
const REGISTER_BYTES: usize = 32;
/// How much is looked at before the next branch.
const BLOCK_BYTES: usize = 256;

// A register or word that is begun somewhere else still meets its own bytes of the key.
const _: () =
    assert!(REGISTER_BYTES.is_multiple_of(8) && BLOCK_BYTES.is_multiple_of(REGISTER_BYTES));
