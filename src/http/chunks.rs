//! The grammar of chunked bodies, one framing byte at a time: RFC 9112 section 7.1, without its leniency.

use super::BodyError;
use super::fields::{is_control, is_token_byte};
use crate::limits::{CHUNK_LINE_BYTES_MAX, TRAILER_BYTES_MAX};

/// What the next byte of a chunked body is.
///
/// ```text
/// 5;a=b␍␊hello␍␊0␍␊Name: value␍␊␍␊
/// ││    ││    │ │  └ Trailer
/// ││    ││    │ └ Size
/// ││    ││    └ DataEnd
/// ││    │└ Data
/// ││    └ SizeEnd
/// │└ Size, then Extension
/// └ Size
/// ```
#[derive(Debug, Clone, Copy)]
pub(super) enum Chunks {
    /// A digit of the size, or what follows them.
    Size { size: u64, digits: u8 },
    /// Inside an extension; `length` counts the line so far.
    Extension { size: u64, length: usize },
    /// The line feed after the size.
    SizeEnd { size: u64 },
    /// Data. Invariant: the reader takes `left` down to 0 before it asks for the next place.
    Data { left: u64 },
    /// The line end after the data.
    DataEnd { after_return: bool },
    /// After the last chunk; `seen` counts all trailer bytes so far.
    Trailer { part: Part, seen: usize },
}

/// A place inside the trailers.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    /// Before the first byte of a line.
    Start,
    Name,
    Value,
    /// After the carriage return of a field.
    FieldEnd,
    /// After the carriage return of the empty line.
    LastEnd,
}

impl Chunks {
    /// The start of a body.
    pub(super) const START: Self = Self::Size { size: 0, digits: 0 };

    /// The place after `byte`, or nothing after the last one.
    pub(super) fn after(self, byte: u8, trailers: bool) -> Result<Option<Self>, BodyError> {
        let next = match (self, byte) {
            (Self::Size { size, digits }, _) => after_size(size, digits, byte)?,
            (Self::Extension { size, length }, _) => after_extension(size, length, byte)?,
            (Self::SizeEnd { size: 0 }, b'\n') => Self::Trailer {
                part: Part::Start,
                seen: 0,
            },
            (Self::SizeEnd { size }, b'\n') => Self::Data { left: size },
            (Self::SizeEnd { .. }, _) => return Err(BodyError::ControlByte),
            (Self::Data { left: 0 }, _) => Self::DataEnd {
                after_return: false,
            },
            (Self::Data { .. }, _) => self,
            (
                Self::DataEnd {
                    after_return: false,
                },
                b'\r',
            ) => Self::DataEnd { after_return: true },
            (Self::DataEnd { after_return: true }, b'\n') => Self::START,
            (Self::DataEnd { .. }, _) => return Err(BodyError::ChunkEnd),
            (
                Self::Trailer {
                    seen: TRAILER_BYTES_MAX,
                    ..
                },
                _,
            ) => {
                return Err(BodyError::TrailersTooLong);
            }
            (
                Self::Trailer {
                    part: Part::LastEnd,
                    ..
                },
                b'\n',
            ) => return Ok(None),
            (Self::Trailer { part, seen }, _) => Self::Trailer {
                part: part.after(byte, trailers)?,
                seen: seen + 1,
            },
        };
        Ok(Some(next))
    }
}

impl Part {
    fn after(self, byte: u8, allowed: bool) -> Result<Self, BodyError> {
        match (self, byte) {
            (Self::FieldEnd, b'\n') => Ok(Self::Start),
            (Self::LastEnd | Self::FieldEnd, _) => Err(BodyError::ControlByte),
            (Self::Start, b'\r') => Ok(Self::LastEnd),
            (Self::Start, _) if !allowed => Err(BodyError::TrailersInRequest),
            (Self::Start | Self::Name, _) if is_token_byte(byte) => Ok(Self::Name),
            (Self::Name, b':') => Ok(Self::Value),
            (Self::Start | Self::Name, _) => Err(BodyError::Trailer),
            (Self::Value, b'\r') => Ok(Self::FieldEnd),
            (Self::Value, _) if is_control(byte) => Err(BodyError::ControlByte),
            (Self::Value, _) => Ok(Self::Value),
        }
    }
}

fn after_size(size: u64, digits: u8, byte: u8) -> Result<Chunks, BodyError> {
    match (char::from(byte).to_digit(16), byte) {
        (Some(_), _) if digits == SIZE_DIGITS_MAX => Err(BodyError::ChunkSizeOverflow),
        (Some(digit), _) => Ok(Chunks::Size {
            size: (size << 4) | u64::from(digit),
            digits: digits + 1,
        }),
        (None, b'\r') if digits > 0 => Ok(Chunks::SizeEnd { size }),
        (None, b';') if digits > 0 => Ok(Chunks::Extension {
            size,
            length: usize::from(digits) + 1,
        }),
        (None, _) => Err(BodyError::ChunkSize),
    }
}

/// Extensions are relayed and mean nothing to us. Only what could end their line elsewhere is refused.
fn after_extension(size: u64, length: usize, byte: u8) -> Result<Chunks, BodyError> {
    match byte {
        b'\r' => Ok(Chunks::SizeEnd { size }),
        _ if is_control(byte) => Err(BodyError::ControlByte),
        _ if length >= CHUNK_LINE_BYTES_MAX - 2 => Err(BodyError::ChunkLineTooLong),
        _ => Ok(Chunks::Extension {
            size,
            length: length + 1,
        }),
    }
}

/// As many hexadecimal digits as 64 bits have. Padding with zeros beyond them is refused too.
const SIZE_DIGITS_MAX: u8 = 16;
