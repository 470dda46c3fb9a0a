//! Turns a client's masked bytes into the server's echo of them, in the buffer they arrived in.
//!
//! A server's frame has no mask, so its header is 4 bytes shorter and the echo always fits where the frame was:
//!
//! ```text
//! arrived  |hdr+key| payload 1 |hdr+key| payload 2 |
//! echoed       |hdr| payload 1 |hdr| payload 2 |
//! ```

use std::ops::Range;

/// Room that must be left before the bytes given to [`EchoStream::feed`], for a header cut by the last read.
pub(super) const LEAD_BYTES: usize = HEADER_BYTES_MAX;
/// Room that must be left after them, for the Close frame that answers a broken frame.
pub(super) const TRAIL_BYTES: usize = VIOLATION.len();

/// One client's side of a WebSocket, read as it comes: frames are echoed before they are whole.
#[derive(Debug, Default)]
pub(super) struct EchoStream {
    /// Payload bytes of the current frame still to come.
    remaining: u64,
    /// The masking key, turned so that the next payload byte meets its first byte.
    key: [u8; 4],
    /// The start of a header that a read cut off.
    held: [u8; HEADER_BYTES_MAX],
    held_count: u8,
    /// The current frame is a Pong, which nobody asked for and nobody answers.
    is_swallowed: bool,
    /// The current frame is a Close: nothing follows its echo.
    is_last: bool,
}

/// What a read became.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Echo {
    /// Where in the buffer the bytes to send lie.
    pub(super) bytes: Range<usize>,
    /// Nothing may follow these bytes.
    pub(super) is_last: bool,
}

impl EchoStream {
    /// Feeds `buffer[arrived]`, the next bytes of the stream. Cutting the stream elsewhere never changes what is echoed.
    pub(super) fn feed(&mut self, buffer: &mut [u8], arrived: Range<usize>) -> Echo {
        let held = usize::from(self.held_count);
        let mut read = arrived.start - held;
        buffer[read..arrived.start].copy_from_slice(&self.held[..held]);
        self.held_count = 0;
        let mut echo = read..read;
        loop {
            if self.remaining > 0 {
                let there = arrived.end - read;
                let count = usize::try_from(self.remaining).map_or(there, |left| left.min(there));
                self.pass_payload(buffer, read, count, &mut echo.end);
                read += count;
            }
            if self.remaining > 0 {
                return Echo {
                    bytes: echo,
                    is_last: false,
                };
            }
            if self.is_last {
                return Echo {
                    bytes: echo,
                    is_last: true,
                };
            }
            match parse(&buffer[read..arrived.end]) {
                Parsed::Header(header) => {
                    if echo.is_empty() {
                        // The first payload then stays where it is.
                        echo = read + 4..read + 4;
                    }
                    self.begin(&header, buffer, read, &mut echo.end);
                    read += header.bytes;
                }
                Parsed::Cut => {
                    let cut = arrived.end - read;
                    self.held[..cut].copy_from_slice(&buffer[read..arrived.end]);
                    self.held_count = u8::try_from(cut).expect("invariant: a cut header is short");
                    return Echo {
                        bytes: echo,
                        is_last: false,
                    };
                }
                Parsed::Broken => {
                    buffer[echo.end..][..VIOLATION.len()].copy_from_slice(&VIOLATION);
                    echo.end += VIOLATION.len();
                    return Echo {
                        bytes: echo,
                        is_last: true,
                    };
                }
            }
        }
    }

    fn pass_payload(&mut self, buffer: &mut [u8], read: usize, count: usize, write: &mut usize) {
        if !self.is_swallowed {
            unmask(&mut buffer[read..read + count], self.key);
            if *write != read {
                buffer.copy_within(read..read + count, *write);
            }
            *write += count;
        }
        self.key.rotate_left(count % 4);
        self.remaining -= count as u64;
    }

    fn begin(&mut self, header: &Header, buffer: &mut [u8], read: usize, write: &mut usize) {
        self.remaining = header.payload_bytes;
        self.key = header.key;
        self.is_last = header.opcode == CLOSE;
        self.is_swallowed = header.opcode == PONG;
        if self.is_swallowed {
            return;
        }
        let first = buffer[read];
        let length_end = read + header.bytes - 4;
        let start = *write;
        buffer.copy_within(read..length_end, start);
        if header.opcode == PING {
            buffer[start] = (first & !OPCODE_BITS) | PONG;
        }
        buffer[start + 1] &= !MASK_BIT;
        *write += header.bytes - 4;
    }
}

struct Header {
    /// The header's own length, masking key and all.
    bytes: usize,
    opcode: u8,
    payload_bytes: u64,
    key: [u8; 4],
}

enum Parsed {
    Header(Header),
    Cut,
    Broken,
}

/// Reads a client's header (RFC 6455 section 5.2); no extension was agreed on, so no reserved bit may be set.
fn parse(bytes: &[u8]) -> Parsed {
    let [first, second, rest @ ..] = bytes else {
        return Parsed::Cut;
    };
    let opcode = first & OPCODE_BITS;
    let short = second & !MASK_BIT;
    let is_control = opcode >= CLOSE;
    let is_known = matches!(opcode, 0..=2 | CLOSE..=PONG);
    if first & RESERVED_BITS != 0 || second & MASK_BIT == 0 || !is_known {
        return Parsed::Broken;
    }
    if is_control && (short > 125 || first & FIN_BIT == 0) {
        return Parsed::Broken;
    }
    let (payload_bytes, key_at) = match short {
        126 => match rest.first_chunk() {
            Some(&wide) => (u64::from(u16::from_be_bytes(wide)), 4),
            None => return Parsed::Cut,
        },
        127 => match rest.first_chunk() {
            Some(&wide) => (u64::from_be_bytes(wide), 10),
            None => return Parsed::Cut,
        },
        _ => (u64::from(short), 2),
    };
    let is_minimal = match short {
        126 => payload_bytes > 125,
        127 => payload_bytes > u64::from(u16::MAX) && payload_bytes <= i64::MAX.cast_unsigned(),
        _ => true,
    };
    match bytes[key_at..].first_chunk() {
        _ if !is_minimal => Parsed::Broken,
        Some(&key) => Parsed::Header(Header {
            bytes: key_at + key.len(),
            opcode,
            payload_bytes,
            key,
        }),
        None => Parsed::Cut,
    }
}

/// Eight bytes at a time, which the compiler turns into vector code.
fn unmask(payload: &mut [u8], key: [u8; 4]) {
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, tail) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

/// Two bytes, eight of length, four of key.
const HEADER_BYTES_MAX: usize = 14;
const FIN_BIT: u8 = 0x80;
const RESERVED_BITS: u8 = 0x70;
const OPCODE_BITS: u8 = 0x0F;
const MASK_BIT: u8 = 0x80;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
/// Close 1002, protocol error.
const VIOLATION: [u8; 4] = [0x88, 2, 0x03, 0xEA];

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::Index};

    use super::*;

    fn frame(first: u8, payload: &[u8], key: Option<[u8; 4]>) -> Vec<u8> {
        let mask_bit = if key.is_some() { MASK_BIT } else { 0 };
        let mut bytes = vec![first];
        match payload.len() {
            count @ 0..=125 => bytes.push(mask_bit | u8::try_from(count).unwrap()),
            count @ 126..=0xFFFF => {
                bytes.push(mask_bit | 0x7E);
                bytes.extend_from_slice(&u16::try_from(count).unwrap().to_be_bytes());
            }
            count => {
                bytes.push(mask_bit | 0x7F);
                bytes.extend_from_slice(&(count as u64).to_be_bytes());
            }
        }
        bytes.extend_from_slice(&key.unwrap_or_default()[..if key.is_some() { 4 } else { 0 }]);
        let key = key.unwrap_or_default();
        bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(p, k)| p ^ k));
        bytes
    }

    /// Feeds `stream` cut at `cuts` and returns all that came back, and whether it ended.
    fn echo_of(stream: &[u8], cuts: &[usize]) -> (Vec<u8>, bool) {
        let mut echo = EchoStream::default();
        let mut sent = Vec::new();
        let mut buffer = vec![0xAA; LEAD_BYTES + stream.len() + TRAIL_BYTES];
        let mut from = 0;
        for &to in cuts.iter().chain([&stream.len()]) {
            let arrived = LEAD_BYTES..LEAD_BYTES + (to - from);
            buffer[arrived.clone()].copy_from_slice(&stream[from..to]);
            let answer = echo.feed(&mut buffer, arrived);
            sent.extend_from_slice(&buffer[answer.bytes]);
            if answer.is_last {
                return (sent, true);
            }
            from = to;
        }
        (sent, false)
    }

    fn answer_to(first: u8, payload: &[u8]) -> Vec<u8> {
        match first & OPCODE_BITS {
            PONG => Vec::new(),
            PING => frame(FIN_BIT | PONG, payload, None),
            _ => frame(first, payload, None),
        }
    }

    fn any_frame() -> impl Strategy<Value = (u8, Vec<u8>, [u8; 4])> {
        let data = (
            prop::sample::select(vec![0x00, 0x01, 0x02, 0x80, 0x81, 0x82]),
            prop_oneof![vec(any::<u8>(), 0..200), vec(any::<u8>(), 65_500..65_600)],
            any::<[u8; 4]>(),
        );
        let control = (
            prop::sample::select(vec![0x89, 0x8A]),
            vec(any::<u8>(), 0..126),
            any::<[u8; 4]>(),
        );
        prop_oneof![3 => data, 1 => control]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_echo_does_not_depend_on_where_the_stream_is_cut(
            frames in vec(any_frame(), 0..8),
            cuts in vec(any::<Index>(), 0..20),
        ) {
            let stream: Vec<u8> =
                frames.iter().flat_map(|(first, payload, key)| frame(*first, payload, Some(*key))).collect();
            let expected: Vec<u8> =
                frames.iter().flat_map(|(first, payload, _)| answer_to(*first, payload)).collect();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.sort_unstable();
            prop_assert!(echo_of(&stream, &cuts) == (expected, false));
        }
    }

    #[test]
    fn one_byte_at_a_time_is_echoed_whole() {
        let mut stream = frame(0x01, b"frag", Some([1, 2, 3, 4]));
        stream.extend(frame(0x89, b"ping", Some([5, 6, 7, 8])));
        stream.extend(frame(0x80, &[7; 300], Some([9, 10, 11, 12])));
        stream.extend(frame(0x82, b"", Some([0; 4])));
        stream.extend(frame(0x88, b"\x03\xE8bye", Some([13, 14, 15, 16])));
        let cuts: Vec<usize> = (1..stream.len()).collect();
        let mut expected = frame(0x01, b"frag", None);
        expected.extend(frame(0x8A, b"ping", None));
        expected.extend(frame(0x80, &[7; 300], None));
        expected.extend(frame(0x82, b"", None));
        expected.extend(frame(0x88, b"\x03\xE8bye", None));
        assert_eq!(echo_of(&stream, &cuts), (expected, true));
    }

    #[test]
    fn a_broken_frame_ends_the_stream_with_1002() {
        let unmasked = frame(0x81, b"hi", None);
        let reserved_bit = frame(0xC1, b"hi", Some([1; 4]));
        let reserved_opcode = frame(0x83, b"hi", Some([1; 4]));
        let long_ping = frame(0x89, &[0; 126], Some([1; 4]));
        let cut_ping = frame(0x09, b"", Some([1; 4]));
        let padded_length = [&[0x82, 0xFE, 0, 5][..], &[0; 9]].concat();
        for broken in [
            unmasked,
            reserved_bit,
            reserved_opcode,
            long_ping,
            cut_ping,
            padded_length,
        ] {
            let stream = [frame(0x81, b"ok", Some([3; 4])), broken].concat();
            let expected = [frame(0x81, b"ok", None), VIOLATION.to_vec()].concat();
            assert_eq!(echo_of(&stream, &[]), (expected.clone(), true));
            let cuts: Vec<usize> = (1..stream.len()).collect();
            assert_eq!(echo_of(&stream, &cuts), (expected, true));
        }
    }
}
