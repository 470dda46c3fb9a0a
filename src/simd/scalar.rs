//! The plain twin of every kernel: eight bytes at a time, on any processor.

/// Masks `bytes` with a key that has been turned to the phase of the first byte.
pub(super) fn unmask_in_place(bytes: &mut [u8], key: [u8; 4]) {
    let wide = doubled(key);
    let (words, tail) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in tail.iter_mut().zip(wide.to_ne_bytes()) {
        *byte ^= mask;
    }
}

/// Writes `source` masked to `out`, which is as long.
pub(super) fn unmask_into(source: &[u8], key: [u8; 4], out: &mut [u8]) {
    let wide = doubled(key);
    let (words, tail) = source.as_chunks::<8>();
    let (words_out, tail_out) = out.as_chunks_mut::<8>();
    for (word_out, word) in words_out.iter_mut().zip(words) {
        *word_out = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for ((byte_out, byte), mask) in tail_out.iter_mut().zip(tail).zip(wide.to_ne_bytes()) {
        *byte_out = byte ^ mask;
    }
}

/// The key as it meets a byte at `phase`.
#[inline]
pub(super) const fn turned(key: [u8; 4], phase: usize) -> [u8; 4] {
    #[expect(clippy::cast_possible_truncation, reason = "it is 24 at most")]
    let bits = (phase % 4 * 8) as u32;
    u32::from_le_bytes(key).rotate_right(bits).to_le_bytes()
}

fn doubled([a, b, c, d]: [u8; 4]) -> u64 {
    u64::from_ne_bytes([a, b, c, d, a, b, c, d])
}
