//! The frames that go out, built once, and the check of those that come back.

use crate::limits::{BENCH_BATCH_BYTES, BENCH_TEMPLATE_BYTES};
use crate::rng::Rng;

/// Frames ready to be written: masked once, so that sending one changes only the 8 bytes that number it.
#[derive(Debug)]
pub(super) struct Frames {
    /// One run of equal frames for each masking key; tunnels take the keys in turn.
    templates: Vec<Template>,
    payload_bytes: usize,
    header_bytes: usize,
    frame_bytes: usize,
    batch_count: usize,
}

#[derive(Debug)]
struct Template {
    key: [u8; 4],
    frames: Vec<u8>,
}

impl Frames {
    /// Builds frames of `payload_bytes` for tunnels with up to `in_flight` of them under way.
    pub(super) fn build(payload_bytes: usize, in_flight: usize, rng: &mut Rng) -> Self {
        let length_bytes = match payload_bytes {
            0..=125 => 0,
            126..=0xFFFF => 2,
            _ => 8,
        };
        let header_bytes = 2 + length_bytes + 4;
        let frame_bytes = header_bytes + payload_bytes;
        let batch_count = (BENCH_BATCH_BYTES / frame_bytes).clamp(1, in_flight);
        let keys = (BENCH_TEMPLATE_BYTES / (frame_bytes * batch_count)).clamp(1, 64);
        let templates = (0..keys)
            .map(|_| Template::build(payload_bytes, batch_count, rng))
            .collect();
        Self {
            templates,
            payload_bytes,
            header_bytes,
            frame_bytes,
            batch_count,
        }
    }

    /// The bytes of up to `count` frames for `tunnel`, numbered from `first`.
    pub(super) fn numbered(&mut self, tunnel: u32, first: u64, count: u64) -> &[u8] {
        let keys = self.templates.len();
        let template = &mut self.templates[tunnel as usize % keys];
        let count = usize::try_from(count).map_or(self.batch_count, |n| n.min(self.batch_count));
        let [a, b, c, d] = template.key;
        let key = u64::from_le_bytes([a, b, c, d, a, b, c, d]);
        let stamp_bytes = self.payload_bytes.min(STAMP_BYTES);
        let frames = &mut template.frames[..count * self.frame_bytes];
        for (frame, number) in frames.chunks_exact_mut(self.frame_bytes).zip(first..) {
            let stamp = (stamp(tunnel, number) ^ key).to_le_bytes();
            frame[self.header_bytes..][..stamp_bytes].copy_from_slice(&stamp[..stamp_bytes]);
        }
        frames
    }

    /// The length of each frame.
    pub(super) const fn frame_bytes(&self) -> usize {
        self.frame_bytes
    }
}

impl Template {
    fn build(payload_bytes: usize, count: usize, rng: &mut Rng) -> Self {
        let [a, b, c, d, ..] = rng.next_u64().to_le_bytes();
        let key = [a, b, c, d];
        let mut frame = vec![BINARY | FIN_BIT];
        match u16::try_from(payload_bytes) {
            Ok(short @ 0..=125) => frame.push(MASK_BIT | short.to_le_bytes()[0]),
            Ok(length) => {
                frame.push(MASK_BIT | TWO_BYTE_LENGTH);
                frame.extend(length.to_be_bytes());
            }
            Err(_) => {
                frame.push(MASK_BIT | EIGHT_BYTE_LENGTH);
                frame.extend((payload_bytes as u64).to_be_bytes());
            }
        }
        frame.extend(key);
        let pattern = b"the quick brown fox jumps over the lazy dog; "
            .iter()
            .cycle();
        let masked = pattern
            .zip(key.iter().cycle())
            .map(|(byte, key)| byte ^ key);
        frame.extend(masked.take(payload_bytes));
        Self {
            key,
            frames: frame.repeat(count),
        }
    }
}

/// What the first payload bytes of a message say: whose it is and which, so that an echo that went astray is noticed.
pub(super) const fn stamp(tunnel: u32, number: u64) -> u64 {
    ((tunnel as u64) << 32) | (number & 0xFFFF_FFFF)
}

/// Bytes of a payload that hold the stamp, if it is that long.
pub(super) const STAMP_BYTES: usize = 8;

pub(super) const FIN_BIT: u8 = 0x80;
pub(super) const MASK_BIT: u8 = 0x80;
pub(super) const TWO_BYTE_LENGTH: u8 = 0x7E;
pub(super) const EIGHT_BYTE_LENGTH: u8 = 0x7F;
pub(super) const BINARY: u8 = 2;
pub(super) const CLOSE: u8 = 8;
pub(super) const PING: u8 = 9;
pub(super) const PONG: u8 = 10;

/// A whole Close frame, code 1000, masked with the key zero.
pub(super) const GOODBYE: [u8; 8] = [FIN_BIT | CLOSE, MASK_BIT | 2, 0, 0, 0, 0, 0x03, 0xE8];

#[cfg(test)]
mod tests {
    use super::*;

    fn unmasked(frame: &[u8], header_bytes: usize) -> Vec<u8> {
        let (header, payload) = frame.split_at(header_bytes);
        let key = &header[header_bytes - 4..];
        payload
            .iter()
            .zip(key.iter().cycle())
            .map(|(byte, key)| byte ^ key)
            .collect()
    }

    #[test]
    fn frames_carry_their_number_under_the_mask() {
        for (payload_bytes, header_bytes) in [(64, 6), (126, 8), (65_535, 8), (65_536, 14)] {
            let mut frames = Frames::build(payload_bytes, 3, &mut Rng::seeded(5));
            let bytes = frames.numbered(7, 40, 3).to_vec();
            for (frame, number) in bytes.chunks(frames.frame_bytes()).zip(40..) {
                let payload = unmasked(frame, header_bytes);
                assert_eq!(payload.len(), payload_bytes);
                assert_eq!(payload[..8], stamp(7, number).to_le_bytes());
                assert_eq!(payload[8..20], *b"k brown fox ");
            }
        }
    }

    #[test]
    fn a_batch_is_bounded_and_never_empty() {
        let mut large = Frames::build(1024 * 1024, 16, &mut Rng::seeded(5));
        assert_eq!(large.numbered(0, 0, 16).len(), large.frame_bytes());
        let mut small = Frames::build(0, 16, &mut Rng::seeded(5));
        assert_eq!(small.numbered(0, 0, 100).len(), 16 * small.frame_bytes());
        let mut tiny = Frames::build(3, 1, &mut Rng::seeded(5));
        assert_eq!(
            unmasked(tiny.numbered(0, 0x0A_0B0C, 1), 6),
            [0x0C, 0x0B, 0x0A]
        );
    }
}
