//! Follows a body to its exact end while its bytes are relayed unchanged.

use thiserror::Error;

use super::chunks::Chunks;
use super::fields::Body;
use super::{HeadError, ResponseHead};
use crate::limits::{CHUNK_LINE_BYTES_MAX, TRAILER_BYTES_MAX};

/// How a body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    None,
    /// This many bytes.
    Length(u64),
    /// Chunks, then trailers.
    Chunked,
    /// Everything until the stream ends; only responses do that.
    UntilClose,
}

impl From<Body> for Framing {
    /// A request without framing fields has no body (RFC 9112 section 6.3, point 7).
    fn from(body: Body) -> Self {
        match body {
            Body::None => Self::None,
            Body::Length(length) => Self::Length(length),
            Body::Chunked => Self::Chunked,
        }
    }
}

/// How the body of a response is delimited: RFC 9112 section 6.3. The fields themselves were judged by
/// [`ResponseHead::parse`]. A status 1xx, 204 or 304 and the answer to HEAD have no body, whatever they say.
pub fn response_framing(
    head: &ResponseHead<'_>,
    request_was_head: bool,
) -> Result<Framing, HeadError> {
    Ok(match (head.status(), head.body()) {
        (100..=199 | 204 | 304, _) => Framing::None,
        _ if request_was_head => Framing::None,
        (_, Body::None) => Framing::UntilClose,
        (_, body) => body.into(),
    })
}

/// Whether this head announces another one: 1xx, but not the 101 that ends HTTP.
pub fn is_interim(head: &ResponseHead<'_>) -> bool {
    matches!(head.status(), 100 | 102..=199)
}

/// What is wrong with a body. Whoever sent it is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BodyError {
    /// A chunk size that is no hexadecimal number, or is followed by something other than `;` or a line end.
    #[error("a chunk size is malformed")]
    ChunkSize,
    /// A chunk size of more than 16 digits.
    #[error("a chunk size is over 64 bits")]
    ChunkSizeOverflow,
    /// A chunk-size line over its bound.
    #[error("a chunk-size line is longer than {CHUNK_LINE_BYTES_MAX} bytes")]
    ChunkLineTooLong,
    /// A line feed or carriage return alone, or another control byte, outside the data.
    #[error("a control byte stands where it may not")]
    ControlByte,
    /// The data of a chunk goes on after its size.
    #[error("a chunk does not end where its size says")]
    ChunkEnd,
    /// A trailer line that is no field.
    #[error("a trailer is malformed")]
    Trailer,
    /// Trailers over their bound.
    #[error("the trailers are longer than {TRAILER_BYTES_MAX} bytes")]
    TrailersTooLong,
    /// Trailers after a request. A backend might merge them into the fields that we have judged.
    #[error("a request has trailers")]
    TrailersInRequest,
    /// The stream ended inside the body.
    #[error("the stream ended inside the body")]
    Truncated,
}

/// What one call of [`BodyReader::feed`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// How many bytes of the chunk belong to the body, framing included.
    pub consumed: usize,
    /// Whether the body is complete. What was not consumed comes after it.
    pub done: bool,
}

/// The place of a reader inside a body.
#[derive(Debug, Clone)]
pub struct BodyReader {
    state: State,
    trailers_allowed: bool,
}

impl BodyReader {
    /// A reader at the start of a response body.
    pub const fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::None | Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Data { left: length },
            Framing::Chunked => State::Chunks(Chunks::START),
            Framing::UntilClose => State::UntilClose,
        };
        Self {
            state,
            trailers_allowed: true,
        }
    }

    /// A reader at the start of a request body. It refuses trailers: they pass unjudged, so a stranger could
    /// use them to say what security rule 9 took out of the head.
    pub fn for_request(body: Body) -> Self {
        Self {
            trailers_allowed: false,
            ..Self::new(body.into())
        }
    }

    /// Feeds the next bytes of one body. Cutting the stream elsewhere never changes the verdict; after an
    /// error every call answers the same error.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<Progress, BodyError> {
        let mut consumed = 0;
        while let Some(&byte) = chunk.get(consumed) {
            let fresh = chunk.len() - consumed;
            consumed += match &mut self.state {
                State::Failed(error) => return Err(*error),
                State::Done => break,
                State::UntilClose => fresh,
                State::Data { left } | State::Chunks(Chunks::Data { left }) => take(left, fresh),
                State::Chunks(_) => 1,
            };
            self.state = self.after(byte).unwrap_or_else(State::Failed);
        }
        match self.state {
            State::Failed(error) => Err(error),
            State::Done => Ok(Progress {
                consumed,
                done: true,
            }),
            _ => Ok(Progress {
                consumed,
                done: false,
            }),
        }
    }

    /// Whether the body may end where it is, now that the stream has.
    pub fn end_of_stream(&mut self) -> Result<(), BodyError> {
        match self.state {
            State::Done | State::UntilClose => {
                self.state = State::Done;
                Ok(())
            }
            State::Failed(error) => Err(error),
            _ => {
                self.state = State::Failed(BodyError::Truncated);
                Err(BodyError::Truncated)
            }
        }
    }

    /// The state after what was just taken: data, or else the one framing byte `byte`.
    fn after(&self, byte: u8) -> Result<State, BodyError> {
        Ok(match self.state {
            State::Data { left: 0 } => State::Done,
            State::Chunks(chunks) => match chunks.after(byte, self.trailers_allowed)? {
                Some(chunks) => State::Chunks(chunks),
                None => State::Done,
            },
            same => same,
        })
    }
}

#[derive(Debug, Clone, Copy)]
enum State {
    Data { left: u64 },
    Chunks(Chunks),
    UntilClose,
    Done,
    Failed(BodyError),
}

/// Takes as much of `fresh` bytes as are `left`.
fn take(left: &mut u64, fresh: usize) -> usize {
    let taken = usize::try_from(*left).map_or(fresh, |left| left.min(fresh));
    *left -= taken as u64;
    taken
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The verdict and where it stands, over all pieces.
    fn read(mut reader: BodyReader, pieces: &[&[u8]]) -> (usize, Result<bool, BodyError>) {
        let mut consumed = 0;
        let mut done = false;
        for piece in pieces {
            match reader.feed(piece) {
                Ok(progress) => {
                    consumed += progress.consumed;
                    done = progress.done;
                }
                Err(error) => return (0, Err(error)),
            }
        }
        (consumed, Ok(done))
    }

    fn chunked(bytes: &[u8]) -> (usize, Result<bool, BodyError>) {
        read(BodyReader::new(Framing::Chunked), &[bytes])
    }

    fn framing(head: &str, request_was_head: bool) -> Result<Framing, HeadError> {
        let head = ResponseHead::parse(head.as_bytes())?;
        response_framing(&head, request_was_head)
    }

    #[test]
    fn a_response_is_framed_by_its_status_then_by_its_fields() {
        let cases = [
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
                false,
                Framing::Length(5),
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
                true,
                Framing::None,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                false,
                Framing::Chunked,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                true,
                Framing::None,
            ),
            ("HTTP/1.0 200 OK\r\n\r\n", false, Framing::UntilClose),
            ("HTTP/1.1 204 No Content\r\n\r\n", false, Framing::None),
            (
                "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
                false,
                Framing::None,
            ),
            ("HTTP/1.1 103 Early Hints\r\n\r\n", false, Framing::None),
            (
                "HTTP/1.1 101 Switching Protocols\r\n\r\n",
                false,
                Framing::None,
            ),
        ];
        for (head, request_was_head, expected) in cases {
            assert_eq!(framing(head, request_was_head), Ok(expected), "{head}");
        }
    }

    #[test]
    fn only_1xx_other_than_101_is_interim() {
        for (status, interim) in [
            (100, true),
            (101, false),
            (103, true),
            (199, true),
            (200, false),
        ] {
            let head = format!("HTTP/1.1 {status} X\r\n\r\n");
            assert_eq!(
                is_interim(&ResponseHead::parse(head.as_bytes()).unwrap()),
                interim,
                "{status}"
            );
        }
    }

    #[test]
    fn a_counted_body_ends_after_its_last_byte() {
        let mut reader = BodyReader::new(Framing::Length(5));
        assert_eq!(
            reader.feed(b"hel"),
            Ok(Progress {
                consumed: 3,
                done: false
            })
        );
        assert_eq!(
            reader.feed(b"lo, more"),
            Ok(Progress {
                consumed: 2,
                done: true
            })
        );
        assert_eq!(
            reader.feed(b"more"),
            Ok(Progress {
                consumed: 0,
                done: true
            })
        );
        assert_eq!(reader.end_of_stream(), Ok(()));
    }

    #[test]
    fn an_empty_body_is_done_before_any_byte() {
        for framing in [Framing::None, Framing::Length(0)] {
            let mut reader = BodyReader::new(framing);
            assert_eq!(
                reader.feed(b""),
                Ok(Progress {
                    consumed: 0,
                    done: true
                })
            );
            assert_eq!(
                reader.feed(b"x"),
                Ok(Progress {
                    consumed: 0,
                    done: true
                })
            );
        }
    }

    #[test]
    fn a_stream_that_ends_inside_a_body_cut_it_off() {
        for framing in [Framing::Length(2), Framing::Chunked] {
            let mut reader = BodyReader::new(framing);
            assert_eq!(reader.feed(b"1").map(|progress| progress.done), Ok(false));
            assert_eq!(reader.end_of_stream(), Err(BodyError::Truncated));
            assert_eq!(reader.feed(b"1"), Err(BodyError::Truncated));
        }
        let mut reader = BodyReader::new(Framing::UntilClose);
        assert_eq!(
            reader.feed(b"12"),
            Ok(Progress {
                consumed: 2,
                done: false
            })
        );
        assert_eq!(reader.end_of_stream(), Ok(()));
    }

    #[test]
    fn chunks_end_at_the_empty_line_after_the_last() {
        for body in [
            &b"0\r\n\r\n"[..],
            b"5\r\nhello\r\n0\r\n\r\n",
            b"A;name=\"va;lue\"\r\n0123\r\n6789\r\n00\r\n\r\n",
            b"1\r\n\0\r\n0\r\nExpires: never\r\nX:\r\n\r\n",
        ] {
            let mut bytes = body.to_vec();
            bytes.extend_from_slice(b"GET /next");
            assert_eq!(
                chunked(&bytes),
                (body.len(), Ok(true)),
                "{}",
                body.escape_ascii()
            );
        }
    }

    #[test]
    fn chunks_that_two_readers_could_read_differently_are_refused() {
        let cases: &[(&[u8], BodyError)] = &[
            (b"\r\n", BodyError::ChunkSize),
            (b";a\r\n", BodyError::ChunkSize),
            (b"-1\r\n", BodyError::ChunkSize),
            (b"+1\r\n", BodyError::ChunkSize),
            (b"0x1\r\n", BodyError::ChunkSize),
            (b" 1\r\n", BodyError::ChunkSize),
            (b"1 \r\n", BodyError::ChunkSize),
            (b"1\n", BodyError::ChunkSize),
            (b"1\rX", BodyError::ControlByte),
            (b"1;a\n", BodyError::ControlByte),
            (b"1;a\rb", BodyError::ControlByte),
            (b"1;\0", BodyError::ControlByte),
            (b"fffffffffffffffff", BodyError::ChunkSizeOverflow),
            (b"00000000000000001", BodyError::ChunkSizeOverflow),
            (b"1\r\nab", BodyError::ChunkEnd),
            (b"1\r\na\n", BodyError::ChunkEnd),
            (b"1\r\na\rb", BodyError::ChunkEnd),
            (b"0\r\n\n", BodyError::Trailer),
            (b"0\r\n\rX", BodyError::ControlByte),
            (b"0\r\n: x\r\n", BodyError::Trailer),
            (b"0\r\n x: y\r\n", BodyError::Trailer),
            (b"0\r\nx : y\r\n", BodyError::Trailer),
            (b"0\r\nx\r\n", BodyError::Trailer),
            (b"0\r\nx: y\n", BodyError::ControlByte),
            (b"0\r\nx: y\rz", BodyError::ControlByte),
        ];
        for &(bytes, error) in cases {
            assert_eq!(chunked(bytes), (0, Err(error)), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn chunk_lines_and_trailers_have_a_bound() {
        let mut line = b"1;".to_vec();
        line.resize(CHUNK_LINE_BYTES_MAX - 2, b'a');
        assert_eq!(chunked(&line).1, Ok(false));
        line.extend_from_slice(b"\r\n");
        assert_eq!(chunked(&line).1, Ok(false));
        line.insert(2, b'a');
        assert_eq!(chunked(&line).1, Err(BodyError::ChunkLineTooLong));
        let mut trailers = b"0\r\na:".to_vec();
        trailers.resize(3 + TRAILER_BYTES_MAX, b'a');
        assert_eq!(chunked(&trailers).1, Ok(false));
        trailers.push(b'a');
        assert_eq!(chunked(&trailers).1, Err(BodyError::TrailersTooLong));
    }

    #[test]
    fn a_request_may_not_have_trailers() {
        let request = |bytes: &[u8]| read(BodyReader::for_request(Body::Chunked), &[bytes]).1;
        assert_eq!(request(b"0\r\n\r\n"), Ok(true));
        assert_eq!(
            request(b"0\r\nX-Forwarded-For: ::1\r\n"),
            Err(BodyError::TrailersInRequest)
        );
    }

    proptest! {
        #[test]
        fn however_chunks_are_cut_the_verdict_is_the_same(
            bytes in prop_oneof![
                "[0-2a:;\r\n ]{0,30}".prop_map(String::into_bytes),
                proptest::collection::vec(
                    prop_oneof![
                        6 => "[a-z]{1,20}".prop_map(|data| format!("{:x}\r\n{data}\r\n", data.len())),
                        1 => Just("0\r\n\r\n".to_owned()),
                        1 => Just("1;x=y\r\na\r\n".to_owned()),
                        1 => Just("0\r\nName: value\r\n\r\n".to_owned()),
                        1 => "[0-9]?\r?\n?".prop_map(|text| text),
                    ],
                    0..8,
                ).prop_map(|pieces| pieces.concat().into_bytes()),
            ],
            mut cuts in proptest::collection::vec(0usize..120, 0..10),
        ) {
            for cut in &mut cuts {
                *cut = (*cut).min(bytes.len());
            }
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            let whole = chunked(&bytes);
            prop_assert_eq!(read(BodyReader::new(Framing::Chunked), &pieces), whole);
            if !bytes.is_empty() {
                prop_assert_eq!(read(BodyReader::new(Framing::Chunked), &single), whole);
            }
        }
    }
}
