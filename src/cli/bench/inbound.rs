//! Reads what a server sends on one tunnel and checks each echo.

use super::frames::{
    CLOSE, EIGHT_BYTE_LENGTH, FIN_BIT, MASK_BIT, PING, PONG, TWO_BYTE_LENGTH, opcode,
};
use super::stamp::{STAMP_BYTES_MAX, Stamp};

/// The server's side of one tunnel, read as it comes.
#[derive(Debug, Default)]
pub(super) struct Inbound {
    /// Payload bytes of the current frame still to come.
    remaining: u64,
    /// Payload bytes of the current message seen so far, over all its frames.
    seen: u64,
    /// The start of a header that a read cut off.
    held: [u8; HEADER_BYTES_MAX],
    held_count: u8,
    opcode: u8,
    is_final: bool,
    /// A message has begun and its last frame has not.
    is_fragmented: bool,
    /// The payload of a Ping or Close as far as it has come.
    control: Vec<u8>,
}

/// What the echoes are checked against.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    pub(super) tunnel: u32,
    pub(super) payload_bytes: u64,
    pub(super) is_text: bool,
    /// Messages written so far; an echo beyond them answers nothing.
    pub(super) sent: u64,
}

/// Why a tunnel is of no more use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The bytes are not the echo of what was sent.
    Wrong(&'static str),
    /// The server sent a Close frame with this code, or with none.
    Closed(Option<u16>),
}

impl Inbound {
    /// Feeds the next bytes. Counts whole echoes into `answered` and appends the Pongs that Pings ask for to `replies`.
    /// Cutting the stream elsewhere never changes the outcome.
    pub(super) fn feed(
        &mut self,
        mut bytes: &[u8],
        expected: Expected,
        answered: &mut u64,
        replies: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        loop {
            if self.remaining > 0 {
                let there = bytes.len();
                let count = usize::try_from(self.remaining).map_or(there, |left| left.min(there));
                let (payload, rest) = bytes.split_at(count);
                self.take_payload(payload, expected, *answered)?;
                bytes = rest;
                if self.remaining > 0 {
                    return Ok(());
                }
                self.end_frame(expected, answered, replies)?;
            }
            if self.held_count == 0
                && let Some(header_bytes) = self.begin_frame(bytes, expected, *answered)?
            {
                bytes = &bytes[header_bytes..];
            } else if !self.hold(&mut bytes, expected, *answered)? {
                return Ok(());
            }
            if self.remaining == 0 {
                self.end_frame(expected, answered, replies)?;
            }
        }
    }

    /// Adds bytes to a header that came in pieces. Whether it is whole now.
    fn hold(
        &mut self,
        bytes: &mut &[u8],
        expected: Expected,
        answered: u64,
    ) -> Result<bool, Fault> {
        while let Some((&byte, rest)) = bytes.split_first() {
            self.held[usize::from(self.held_count)] = byte;
            self.held_count += 1;
            *bytes = rest;
            let held = self.held;
            let there = &held[..usize::from(self.held_count)];
            if self.begin_frame(there, expected, answered)?.is_some() {
                self.held_count = 0;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads a header if it is whole, and returns its length.
    fn begin_frame(
        &mut self,
        bytes: &[u8],
        expected: Expected,
        answered: u64,
    ) -> Result<Option<usize>, Fault> {
        let [first, second, rest @ ..] = bytes else {
            return Ok(None);
        };
        let (length, header_bytes) = match second & !MASK_BIT {
            TWO_BYTE_LENGTH => match rest.first_chunk() {
                Some(&wide) => (u64::from(u16::from_be_bytes(wide)), 4),
                None => return Ok(None),
            },
            EIGHT_BYTE_LENGTH => match rest.first_chunk() {
                Some(&wide) => (u64::from_be_bytes(wide), 10),
                None => return Ok(None),
            },
            short => (u64::from(short), 2),
        };
        if second & MASK_BIT != 0 || first & RESERVED_BITS != 0 {
            return Err(Fault::Wrong("a frame with a mask or a reserved bit"));
        }
        self.opcode = first & OPCODE_BITS;
        self.is_final = first & FIN_BIT != 0;
        self.remaining = length;
        match self.opcode {
            CLOSE..=PONG if length <= 125 && self.is_final => {}
            CONTINUATION if self.is_fragmented => {}
            data if data == opcode(expected.is_text) && !self.is_fragmented => self.seen = 0,
            _ => return Err(Fault::Wrong("a frame of a kind nobody sent")),
        }
        if self.opcode < CLOSE {
            if answered >= expected.sent {
                return Err(Fault::Wrong("a message nobody sent"));
            }
            if length > expected.payload_bytes - self.seen {
                return Err(Fault::Wrong("an echo longer than its message"));
            }
        }
        Ok(Some(header_bytes))
    }

    fn take_payload(
        &mut self,
        payload: &[u8],
        expected: Expected,
        answered: u64,
    ) -> Result<(), Fault> {
        self.remaining -= payload.len() as u64;
        if self.opcode >= CLOSE {
            self.control.extend_from_slice(payload);
            return Ok(());
        }
        if self.seen < STAMP_BYTES_MAX as u64 {
            let stamp = Stamp::new(expected.is_text, expected.tunnel, answered);
            let from = usize::try_from(self.seen).unwrap_or(STAMP_BYTES_MAX);
            let left = stamp.as_bytes().get(from..).unwrap_or_default();
            let is_same = left.iter().zip(payload).all(|(one, other)| one == other);
            if !is_same {
                return Err(Fault::Wrong("the echo of another message"));
            }
        }
        self.seen += payload.len() as u64;
        Ok(())
    }

    fn end_frame(
        &mut self,
        expected: Expected,
        answered: &mut u64,
        replies: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        match self.opcode {
            CLOSE => {
                let code = self.control.first_chunk();
                return Err(Fault::Closed(code.map(|&code| u16::from_be_bytes(code))));
            }
            PING => {
                let length = u8::try_from(self.control.len()).unwrap_or(0);
                // Masked with the key zero, which leaves the payload as it is.
                replies.extend_from_slice(&[FIN_BIT | PONG, MASK_BIT | length, 0, 0, 0, 0]);
                replies.append(&mut self.control);
            }
            PONG => self.control.clear(),
            _ if !self.is_final => self.is_fragmented = true,
            _ if self.seen < expected.payload_bytes => {
                return Err(Fault::Wrong("an echo shorter than its message"));
            }
            _ => {
                self.is_fragmented = false;
                *answered += 1;
            }
        }
        Ok(())
    }
}

const HEADER_BYTES_MAX: usize = 10;
const RESERVED_BITS: u8 = 0x70;
const OPCODE_BITS: u8 = 0x0F;
const CONTINUATION: u8 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(is_text: bool) -> Expected {
        Expected {
            tunnel: 3,
            payload_bytes: 300,
            is_text,
            sent: 2,
        }
    }

    fn echo(is_text: bool, number: u64) -> Vec<u8> {
        let mut payload = Stamp::new(is_text, 3, number).as_bytes().to_vec();
        payload.resize(300, b'x');
        payload
    }

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len()).unwrap();
        let header = match u8::try_from(length) {
            Ok(short @ 0..=125) => vec![first, short],
            _ => [&[first, 0x7E][..], &length.to_be_bytes()].concat(),
        };
        [header, payload.to_vec()].concat()
    }

    /// Binary messages and text, with their opcodes.
    const KINDS: [(bool, u8); 2] = [(false, 2), (true, 1)];

    /// The verdict, the echoes counted and the replies.
    type Outcome = (Result<(), Fault>, u64, Vec<u8>);

    /// Feeds `stream` in pieces of `step` bytes.
    fn heard(is_text: bool, stream: &[u8], step: usize) -> Outcome {
        let (mut inbound, mut answered, mut replies) = (Inbound::default(), 0, Vec::new());
        for piece in stream.chunks(step) {
            let fed = inbound.feed(piece, expected(is_text), &mut answered, &mut replies);
            if fed.is_err() {
                return (fed, answered, replies);
            }
        }
        (Ok(()), answered, replies)
    }

    #[test]
    fn echoes_count_however_they_are_cut() {
        for (is_text, opcode) in KINDS {
            let second = echo(is_text, 1);
            let stream = [
                frame(0x80 | opcode, &echo(is_text, 0)),
                frame(0x89, b"ping"),
                frame(opcode, &second[..5]),
                frame(0x8A, b"pong"),
                frame(0x00, b""),
                frame(0x80, &second[5..]),
            ]
            .concat();
            let pong = [&[0x8A, 0x84, 0, 0, 0, 0][..], b"ping"].concat();
            for step in 1..=stream.len() {
                assert_eq!(
                    heard(is_text, &stream, step),
                    (Ok(()), 2, pong.clone()),
                    "step {step}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_echo_is_noticed() {
        for (is_text, opcode) in KINDS {
            let (first, echo) = (0x80 | opcode, |number| echo(is_text, number));
            let surplus = [0, 1, 2].map(|number| frame(first, &echo(number)));
            let cases = [
                (frame(first, &echo(1)), "the echo of another message"),
                (
                    frame(first, &echo(0)[..299]),
                    "an echo shorter than its message",
                ),
                (
                    frame(first, &[echo(0), vec![0]].concat()),
                    "an echo longer than its message",
                ),
                (frame(first ^ 3, &echo(0)), "a frame of a kind nobody sent"),
                (
                    frame(0x40 | first, &echo(0)),
                    "a frame with a mask or a reserved bit",
                ),
                (surplus.concat(), "a message nobody sent"),
            ];
            for (stream, reason) in cases {
                for step in [1, 7, stream.len()] {
                    assert_eq!(heard(is_text, &stream, step).0, Err(Fault::Wrong(reason)));
                }
            }
        }
    }

    #[test]
    fn every_digit_of_a_number_is_read() {
        for (is_text, opcode) in KINDS {
            let stamp_bytes = Stamp::count(is_text);
            for place in 0..stamp_bytes {
                let mut wrong = echo(is_text, 0);
                wrong[place] ^= 1;
                let stream = frame(0x80 | opcode, &wrong);
                for step in [1, 9, stream.len()] {
                    let fault = Fault::Wrong("the echo of another message");
                    assert_eq!(heard(is_text, &stream, step).0, Err(fault), "digit {place}");
                }
            }
        }
    }

    #[test]
    fn a_close_tells_its_code() {
        let close = frame(0x88, &[0x03, 0xE9, b'!']);
        assert_eq!(heard(false, &close, 1).0, Err(Fault::Closed(Some(1001))));
        assert_eq!(
            heard(false, &frame(0x88, b""), 1).0,
            Err(Fault::Closed(None))
        );
    }
}
