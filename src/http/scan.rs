//! Finds the end of a head while it is still arriving, and refuses the worst at the first bad byte.

use super::HeadError;
use super::fields::is_control;
use crate::limits::{HEAD_BYTES_MAX, HEAD_LINE_BYTES_MAX};

/// The place of a reader inside a head that has not wholly arrived.
///
/// ```text
/// GET / HTTP/1.1␍␊Host: exam
///                 ^         ^
///                 line      place
/// ```
///
/// An empty line before the first line is refused. RFC 9112 section 2.2 suggests skipping one, for clients
/// that sent a stray line after a body; we read one request from a connection, so nothing can be stray.
#[derive(Debug, Clone, Default)]
pub struct HeadScan {
    /// Where the current line starts. Invariant: `line <= place`.
    line: usize,
    /// Everything before this was looked at and is fine.
    place: usize,
}

impl HeadScan {
    /// Looks at what is new in `buffer`, which holds everything so far and only grows between calls.
    /// Answers the length of the head, with its empty line, once it is complete.
    /// Cutting the stream elsewhere never changes the verdict, and each byte is looked at once.
    pub fn feed(&mut self, buffer: &[u8]) -> Result<Option<usize>, HeadError> {
        loop {
            let bound = self.bound();
            let end = buffer.len().min(bound);
            let fresh = buffer.get(self.place..end).unwrap_or_default();
            let Some(offset) = first_control(fresh) else {
                self.place = self.place.max(end);
                return if self.place >= bound {
                    Err(self.too_long())
                } else {
                    Ok(None)
                };
            };
            self.place += offset;
            match self.end_line(buffer, bound)? {
                Line::Cut => return Ok(None),
                Line::Full => {}
                Line::Empty => return Ok(Some(self.place + 2)),
            }
        }
    }

    /// Judges the control byte at `place`, which only a full line end survives.
    fn end_line(&mut self, buffer: &[u8], bound: usize) -> Result<Line, HeadError> {
        match buffer[self.place] {
            b'\r' => {}
            b'\n' => return Err(HeadError::BareLineFeed),
            _ => return Err(HeadError::ControlByte),
        }
        let next = self.place + 1;
        if next >= bound {
            return Err(self.too_long());
        }
        match buffer.get(next) {
            None => Ok(Line::Cut),
            Some(b'\n') if self.place > self.line => {
                self.line = next + 1;
                self.place = self.line;
                Ok(Line::Full)
            }
            Some(b'\n') if self.line == 0 => Err(HeadError::LeadingEmptyLine),
            Some(b'\n') => Ok(Line::Empty),
            Some(_) => Err(HeadError::BareCarriageReturn),
        }
    }

    /// The first place where the current line may no longer be.
    fn bound(&self) -> usize {
        HEAD_BYTES_MAX.min(self.line + HEAD_LINE_BYTES_MAX)
    }

    /// Which bound was hit.
    fn too_long(&self) -> HeadError {
        if self.bound() == HEAD_BYTES_MAX {
            HeadError::HeadTooLong
        } else if self.line == 0 {
            HeadError::FirstLineTooLong
        } else {
            HeadError::HeaderLineTooLong
        }
    }
}

/// The place of the first control byte. Sixteen bytes at a time are asked whether one is among them, which
/// the compiler turns into vector compares: half the time of asking each byte (benches/head.rs).
fn first_control(bytes: &[u8]) -> Option<usize> {
    let (blocks, rest) = bytes.as_chunks::<16>();
    let among = |block: &[u8; 16]| {
        block
            .iter()
            .fold(false, |found, &byte| found | is_control(byte))
    };
    for (number, block) in blocks.iter().enumerate() {
        if among(block) {
            let offset = block.iter().position(|&byte| is_control(byte))?;
            return Some(number * 16 + offset);
        }
    }
    let offset = rest.iter().position(|&byte| is_control(byte))?;
    Some(blocks.len() * 16 + offset)
}

/// What a carriage return turned out to be.
enum Line {
    /// The byte after it has not arrived.
    Cut,
    /// The end of a line with text.
    Full,
    /// The empty line that ends the head.
    Empty,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &[u8] = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";

    fn whole(bytes: &[u8]) -> Result<Option<usize>, HeadError> {
        HeadScan::default().feed(bytes)
    }

    /// Feeds ever longer prefixes and answers the first verdict that is final.
    fn in_pieces(bytes: &[u8], cuts: &[usize]) -> Result<Option<usize>, HeadError> {
        let mut scan = HeadScan::default();
        for &cut in cuts {
            match scan.feed(&bytes[..cut.min(bytes.len())]) {
                Ok(None) => {}
                verdict => return verdict,
            }
        }
        scan.feed(bytes)
    }

    #[test]
    fn a_cut_head_waits_for_more() {
        for cut in 0..HEAD.len() {
            assert_eq!(whole(&HEAD[..cut]), Ok(None), "cut at {cut}");
        }
    }

    #[test]
    fn a_head_ends_at_its_empty_line_whatever_follows() {
        let mut bytes = HEAD.to_vec();
        assert_eq!(whole(&bytes), Ok(Some(HEAD.len())));
        bytes.extend_from_slice(b"\x81\x80\0\n\r");
        assert_eq!(whole(&bytes), Ok(Some(HEAD.len())));
    }

    #[test]
    fn a_finished_scan_repeats_its_answer() {
        let mut scan = HeadScan::default();
        assert_eq!(scan.feed(HEAD), Ok(Some(HEAD.len())));
        assert_eq!(scan.feed(HEAD), Ok(Some(HEAD.len())));
    }

    #[test]
    fn line_ends_and_control_bytes_are_refused_at_once() {
        let cases: &[(&[u8], HeadError)] = &[
            (b"GET / HTTP/1.1\n", HeadError::BareLineFeed),
            (b"GET / HTTP/1.1\r\nHost: a\n", HeadError::BareLineFeed),
            (b"GET / HTTP/1.1\r\nHost: a\r\n\n", HeadError::BareLineFeed),
            (b"GET / HTTP/1.1\rHost", HeadError::BareCarriageReturn),
            (b"GET / HTTP/1.1\r\r\n", HeadError::BareCarriageReturn),
            (b"GET / HTTP/1.1\r\n\rX", HeadError::BareCarriageReturn),
            (b"GET /\0", HeadError::ControlByte),
            (b"GET / HTTP/1.1\r\nA: \x7f", HeadError::ControlByte),
            (b"\x16\x03\x01\x02\x00", HeadError::ControlByte),
            (b"\r\nGET / HTTP/1.1\r\n", HeadError::LeadingEmptyLine),
            (b"\nGET / HTTP/1.1\r\n", HeadError::BareLineFeed),
        ];
        for &(bytes, error) in cases {
            assert_eq!(whole(bytes), Err(error), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_line_may_fill_its_bound_and_no_more() {
        for (start, error) in [
            (&b""[..], HeadError::FirstLineTooLong),
            (b"GET / HTTP/1.1\r\n", HeadError::HeaderLineTooLong),
        ] {
            let mut bytes = start.to_vec();
            bytes.resize(start.len() + HEAD_LINE_BYTES_MAX - 2, b'a');
            let mut longer = bytes.clone();
            bytes.extend_from_slice(b"\r\n");
            assert_eq!(whole(&bytes), Ok(None));
            longer.extend_from_slice(b"a\r\n");
            assert_eq!(whole(&longer), Err(error));
        }
    }

    #[test]
    fn a_head_may_fill_its_bound_and_no_more() {
        let mut bytes = b"GET / HTTP/1.1\r\n".to_vec();
        while bytes.len() + 4 < HEAD_BYTES_MAX {
            let text = (HEAD_BYTES_MAX - 4 - bytes.len()).min(1000);
            bytes.resize(bytes.len() + text, b'a');
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.truncate(HEAD_BYTES_MAX - 4);
        let mut longer = bytes.clone();
        bytes.extend_from_slice(b"\r\n\r\n");
        assert_eq!(whole(&bytes), Ok(Some(HEAD_BYTES_MAX)));
        longer.extend_from_slice(b"a\r\n\r\n");
        assert_eq!(whole(&longer), Err(HeadError::HeadTooLong));
    }

    proptest! {
        #[test]
        fn however_a_head_is_cut_the_verdict_is_the_same(
            bytes in proptest::collection::vec(
                prop_oneof![
                    4 => Just(b"a: b\r\n".to_vec()),
                    2 => Just(b"\r\n".to_vec()),
                    1 => proptest::collection::vec(any::<u8>(), 0..4),
                    1 => (0usize..9000).prop_map(|length| vec![b'x'; length]),
                ],
                0..12,
            ).prop_map(|pieces| pieces.concat()),
            mut cuts in proptest::collection::vec(0usize..20_000, 0..20),
        ) {
            cuts.sort_unstable();
            prop_assert_eq!(in_pieces(&bytes, &cuts), whole(&bytes));
        }

        #[test]
        fn a_head_that_comes_byte_by_byte_has_the_same_verdict(
            bytes in "[a:\r\n\t\0]{0,40}".prop_map(String::into_bytes),
        ) {
            let cuts: Vec<usize> = (0..bytes.len()).collect();
            prop_assert_eq!(in_pieces(&bytes, &cuts), whole(&bytes));
        }
    }
}
