//! The frames that go out, built once, and the check of those that come back.

use super::options::Text;
use super::stamp::Stamp;
use crate::limits::{BENCH_BATCH_BYTES, BENCH_TEMPLATE_BYTES};
use crate::rng::Rng;

/// Frames ready to be written: masked once, so that sending one changes only the bytes that number it.
#[derive(Debug)]
pub(super) struct Frames {
    /// One run of equal frames for each masking key; tunnels take the keys in turn.
    templates: Vec<Template>,
    payload_bytes: usize,
    is_text: bool,
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
    pub(super) fn build(
        text: Option<Text>,
        payload_bytes: usize,
        in_flight: usize,
        rng: &mut Rng,
    ) -> Self {
        let length_bytes = match payload_bytes {
            0..=125 => 0,
            126..=0xFFFF => 2,
            _ => 8,
        };
        let header_bytes = 2 + length_bytes + 4;
        let frame_bytes = header_bytes + payload_bytes;
        let batch_count = (BENCH_BATCH_BYTES / frame_bytes).clamp(1, in_flight);
        let keys = (BENCH_TEMPLATE_BYTES / (frame_bytes * batch_count)).clamp(1, 64);
        let payload = payload(text, payload_bytes);
        let templates = (0..keys)
            .map(|_| Template::build(opcode(text.is_some()), &payload, batch_count, rng))
            .collect();
        Self {
            templates,
            payload_bytes,
            is_text: text.is_some(),
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
        let stamp_bytes = self.payload_bytes.min(Stamp::count(self.is_text));
        let frames = &mut template.frames[..count * self.frame_bytes];
        for (frame, number) in frames.chunks_exact_mut(self.frame_bytes).zip(first..) {
            let stamp = Stamp::new(self.is_text, tunnel, number).masked(template.key);
            frame[self.header_bytes..][..stamp_bytes]
                .copy_from_slice(&stamp.as_bytes()[..stamp_bytes]);
        }
        frames
    }

    /// The length of each frame.
    pub(super) const fn frame_bytes(&self) -> usize {
        self.frame_bytes
    }
}

impl Template {
    fn build(opcode: u8, payload: &[u8], count: usize, rng: &mut Rng) -> Self {
        let [a, b, c, d, ..] = rng.next_u64().to_le_bytes();
        let key = [a, b, c, d];
        let mut frame = vec![opcode | FIN_BIT];
        match u16::try_from(payload.len()) {
            Ok(short @ 0..=125) => frame.push(MASK_BIT | short.to_le_bytes()[0]),
            Ok(length) => {
                frame.push(MASK_BIT | TWO_BYTE_LENGTH);
                frame.extend(length.to_be_bytes());
            }
            Err(_) => {
                frame.push(MASK_BIT | EIGHT_BYTE_LENGTH);
                frame.extend((payload.len() as u64).to_be_bytes());
            }
        }
        frame.extend(key);
        let masked = payload.iter().zip(key.iter().cycle());
        frame.extend(masked.map(|(byte, key)| byte ^ key));
        Self {
            key,
            frames: frame.repeat(count),
        }
    }
}

/// The opcode of all messages of a run, out and back.
pub(super) const fn opcode(is_text: bool) -> u8 {
    if is_text { TEXT } else { BINARY }
}

/// Room for the stamp, then filler, in whole characters to the last byte: the filler may be cut, a character may not.
fn payload(text: Option<Text>, bytes: usize) -> Vec<u8> {
    let filler = if text == Some(Text::Mixed) {
        MIXED
    } else {
        ASCII
    };
    let mut payload = vec![b'0'; bytes.min(Stamp::count(text.is_some()))];
    let left = bytes - payload.len();
    payload.extend(filler.repeat(left / filler.len()).as_bytes());
    let cut = filler.floor_char_boundary(left % filler.len());
    payload.extend(&filler.as_bytes()[..cut]);
    payload.resize(bytes, b'.');
    payload
}

const ASCII: &str = "the quick brown fox jumps over the lazy dog; ";
/// Characters of one to four bytes, all of them within what a message of 64 bytes has room for.
const MIXED: &str = "größe, лиса, 速い狐, 🦊; ";

pub(super) const FIN_BIT: u8 = 0x80;
pub(super) const MASK_BIT: u8 = 0x80;
pub(super) const TWO_BYTE_LENGTH: u8 = 0x7E;
pub(super) const EIGHT_BYTE_LENGTH: u8 = 0x7F;
pub(super) const TEXT: u8 = 1;
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
            let mut frames = Frames::build(None, payload_bytes, 3, &mut Rng::seeded(5));
            let bytes = frames.numbered(7, 40, 3).to_vec();
            for (frame, number) in bytes.chunks(frames.frame_bytes()).zip(40_u64..) {
                let payload = unmasked(frame, header_bytes);
                assert_eq!(payload.len(), payload_bytes);
                assert_eq!(frame[0], 0x82);
                assert_eq!(payload[..8], ((7 << 32) | number).to_le_bytes());
                assert_eq!(payload[8..20], *b"the quick br");
            }
        }
    }

    #[test]
    fn every_length_of_text_is_text_and_begins_with_its_number() {
        for text in [Text::Ascii, Text::Mixed] {
            for payload_bytes in 0..=125 {
                let mut frames = Frames::build(Some(text), payload_bytes, 2, &mut Rng::seeded(5));
                let bytes = frames.numbered(7, 0x40, 2).to_vec();
                for (frame, digits) in bytes
                    .chunks(6 + payload_bytes)
                    .zip(["0400000070000000", "1400000070000000"])
                {
                    assert_eq!(
                        frame[..2],
                        [0x81, 0x80 | u8::try_from(payload_bytes).unwrap()]
                    );
                    let payload = String::from_utf8(unmasked(frame, 6)).unwrap();
                    assert_eq!(payload.len(), payload_bytes);
                    let shown = payload_bytes.min(16);
                    assert_eq!(payload[..shown], digits[..shown]);
                    assert_eq!(
                        payload.is_ascii(),
                        text == Text::Ascii || payload_bytes < 20
                    );
                }
            }
        }
    }

    #[test]
    fn mixed_text_of_64_bytes_has_characters_of_every_length() {
        let payload = String::from_utf8(payload(Some(Text::Mixed), 64)).unwrap();
        for bytes in 1..=4 {
            assert!(
                payload
                    .chars()
                    .any(|character| character.len_utf8() == bytes)
            );
        }
    }

    #[test]
    fn a_batch_is_bounded_and_never_empty() {
        let mut large = Frames::build(None, 1024 * 1024, 16, &mut Rng::seeded(5));
        assert_eq!(large.numbered(0, 0, 16).len(), large.frame_bytes());
        let mut small = Frames::build(None, 0, 16, &mut Rng::seeded(5));
        assert_eq!(small.numbered(0, 0, 100).len(), 16 * small.frame_bytes());
        let mut tiny = Frames::build(None, 3, 1, &mut Rng::seeded(5));
        assert_eq!(
            unmasked(tiny.numbered(0, 0x0A_0B0C, 1), 6),
            [0x0C, 0x0B, 0x0A]
        );
    }
}
