//! Reads and writes frame headers (RFC 6455 section 5.2). Knows one header, never its neighbours.

use super::rule::Rule;
use crate::limits::{CONTROL_PAYLOAD_BYTES_MAX, FRAME_HEADER_BYTES_MAX};

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Opcode {
    /// The next fragment of an open message.
    Continuation = 0x0,
    /// A text message, or its first fragment.
    Text = 0x1,
    /// A binary message, or its first fragment.
    Binary = 0x2,
    /// The end of a direction.
    Close = 0x8,
    /// A question whether the peer lives.
    Ping = 0x9,
    /// The answer to a Ping, or a sign of life unasked.
    Pong = 0xA,
}

impl Opcode {
    /// The opcode with this number; `None` when it is reserved.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0x0 => Some(Self::Continuation),
            0x1 => Some(Self::Text),
            0x2 => Some(Self::Binary),
            0x8 => Some(Self::Close),
            0x9 => Some(Self::Ping),
            0xA => Some(Self::Pong),
            _ => None,
        }
    }

    /// Whether this is a Close, Ping or Pong, which may stand between the fragments of a message.
    pub const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

/// A whole frame header.
///
/// ```text
///  FIN RSV opcode | MASK length | length, 16 or 64 bits | mask key
///   1   3    4    |  1     7    | if length is 126, 127 | if MASK
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// The last frame of its message.
    pub fin: bool,
    /// RSV1, RSV2 and RSV3 as the bits 4, 2 and 1.
    pub rsv: u8,
    /// What the frame is.
    pub opcode: Opcode,
    /// The key that the payload is masked with.
    pub mask: Option<[u8; 4]>,
    /// How long the payload says it is; never a reason to allocate.
    pub payload_bytes: u64,
}

/// A header and how many bytes it takes.
pub type Decoded = (FrameHeader, usize);

impl FrameHeader {
    /// Reads the header at the start of `bytes` and how many bytes it takes; `None` waits for more.
    ///
    /// Refuses what no direction, history or negotiation makes legal; the rest is the scanner's.
    pub fn decode(bytes: &[u8]) -> Result<Option<Decoded>, Rule> {
        let Some(&[first, second]) = bytes.first_chunk() else {
            return Ok(None);
        };
        let lead = Lead::read(first, second)?;
        let Some(payload_bytes) = lead.payload_bytes(bytes)? else {
            return Ok(None);
        };
        let header_bytes = lead.header_bytes();
        let Some(header) = bytes.get(..header_bytes) else {
            return Ok(None);
        };
        let mask = if lead.masked {
            header.last_chunk().copied()
        } else {
            None
        };
        let header = Self {
            fin: lead.fin,
            rsv: lead.rsv,
            opcode: lead.opcode,
            mask,
            payload_bytes,
        };
        Ok(Some((header, header_bytes)))
    }

    /// Writes the header with its shortest length to the start of `out` and returns how many bytes it took.
    ///
    /// It writes what it is told, a broken rule too: tests need those.
    pub fn encode(&self, out: &mut [u8; FRAME_HEADER_BYTES_MAX]) -> usize {
        let mask_bit = if self.mask.is_some() { MASK_BIT } else { 0 };
        let fin_bit = if self.fin { FIN_BIT } else { 0 };
        out[0] = fin_bit | (self.rsv & 0b111) << 4 | self.opcode as u8;
        let mut filled = 2;
        if let Ok(length @ ..LENGTH_16) = u8::try_from(self.payload_bytes) {
            out[1] = mask_bit | length;
        } else if let Ok(length) = u16::try_from(self.payload_bytes) {
            out[1] = mask_bit | LENGTH_16;
            out[2..4].copy_from_slice(&length.to_be_bytes());
            filled = 4;
        } else {
            out[1] = mask_bit | LENGTH_64;
            out[2..10].copy_from_slice(&self.payload_bytes.to_be_bytes());
            filled = 10;
        }
        if let Some(key) = self.mask {
            out[filled..filled + 4].copy_from_slice(&key);
            filled += 4;
        }
        filled
    }
}

/// The first two bytes of a header, free of every mistake that shows in them alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lead {
    pub(super) fin: bool,
    pub(super) rsv: u8,
    pub(super) opcode: Opcode,
    pub(super) masked: bool,
    /// The 7-bit length; 126 and 127 say that a longer one follows.
    length: u8,
}

impl Lead {
    #[inline]
    pub(super) fn read(first: u8, second: u8) -> Result<Self, Rule> {
        let opcode = Opcode::from_number(first & 0xF).ok_or(Rule::ReservedOpcode)?;
        let lead = Self {
            fin: first & FIN_BIT != 0,
            rsv: first >> 4 & 0b111,
            opcode,
            masked: second & MASK_BIT != 0,
            length: second & !MASK_BIT,
        };
        let starts_message = matches!(opcode, Opcode::Text | Opcode::Binary);
        if lead.rsv & !RSV1 != 0 || lead.rsv != 0 && !starts_message {
            return Err(Rule::ReservedBits);
        }
        if opcode.is_control() {
            lead.check_control()?;
        }
        Ok(lead)
    }

    fn check_control(self) -> Result<(), Rule> {
        if !self.fin {
            return Err(Rule::ControlFragmented);
        }
        if usize::from(self.length) > CONTROL_PAYLOAD_BYTES_MAX {
            return Err(Rule::ControlTooLong);
        }
        if self.opcode == Opcode::Close && self.length == 1 {
            return Err(Rule::CloseLength);
        }
        Ok(())
    }

    /// The length of the payload, from a header that starts with this lead; `None` waits for more.
    #[inline]
    pub(super) fn payload_bytes(self, header: &[u8]) -> Result<Option<u64>, Rule> {
        match self.length {
            LENGTH_16 => {
                let Some(&[_, _, high, low]) = header.first_chunk() else {
                    return Ok(None);
                };
                let length = u16::from_be_bytes([high, low]);
                if length < u16::from(LENGTH_16) {
                    return Err(Rule::LengthNotMinimal);
                }
                Ok(Some(u64::from(length)))
            }
            LENGTH_64 => {
                let Some(&[_, _, ref length @ ..]) = header.first_chunk::<10>() else {
                    return Ok(None);
                };
                let length = u64::from_be_bytes(*length);
                if length >> 63 != 0 {
                    return Err(Rule::LengthTopBit);
                }
                if length < LENGTH_64_LEAST {
                    return Err(Rule::LengthNotMinimal);
                }
                Ok(Some(length))
            }
            length => Ok(Some(u64::from(length))),
        }
    }

    /// How long the whole header is.
    #[inline]
    pub(super) const fn header_bytes(self) -> usize {
        let length_bytes = match self.length {
            LENGTH_16 => 2,
            LENGTH_64 => 8,
            _ => 0,
        };
        2 + length_bytes + if self.masked { 4 } else { 0 }
    }
}

/// FIN in the first byte.
pub(super) const FIN_BIT: u8 = 0x80;
/// RSV1 in the three bits of [`FrameHeader::rsv`].
pub(super) const RSV1: u8 = 0b100;
/// MASK in the second byte.
pub(super) const MASK_BIT: u8 = 0x80;
/// The 7-bit length that announces one of 16 bits.
pub(super) const LENGTH_16: u8 = 126;
/// The 7-bit length that announces one of 64 bits.
const LENGTH_64: u8 = 127;
/// The shortest payload whose length needs 64 bits.
const LENGTH_64_LEAST: u64 = 1 << 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header_of(payload_bytes: u64) -> FrameHeader {
        FrameHeader {
            fin: true,
            rsv: 0,
            opcode: Opcode::Binary,
            mask: None,
            payload_bytes,
        }
    }

    #[test]
    fn a_length_takes_the_fewest_bytes_that_hold_it() {
        let cases = [
            (0, 2),
            (125, 2),
            (126, 4),
            (65_535, 4),
            (65_536, 10),
            (u64::MAX >> 1, 10),
        ];
        for (payload_bytes, header_bytes) in cases {
            let mut out = [0; FRAME_HEADER_BYTES_MAX];
            let header = header_of(payload_bytes);
            assert_eq!(header.encode(&mut out), header_bytes);
            assert_eq!(
                FrameHeader::decode(&out),
                Ok(Some((header, header_bytes))),
                "{payload_bytes}"
            );
        }
    }

    #[test]
    fn what_two_bytes_can_break_is_refused_without_the_rest() {
        let cases: [(&[u8], Rule); 10] = [
            (&[0x83, 0], Rule::ReservedOpcode),
            (&[0x8B, 0], Rule::ReservedOpcode),
            (&[0xA1, 0], Rule::ReservedBits),
            (&[0x91, 0], Rule::ReservedBits),
            (&[0xC0, 0], Rule::ReservedBits),
            (&[0xC9, 0], Rule::ReservedBits),
            (&[0x09, 0], Rule::ControlFragmented),
            (&[0x89, 126], Rule::ControlTooLong),
            (&[0x8A, 127], Rule::ControlTooLong),
            (&[0x88, 1], Rule::CloseLength),
        ];
        for (bytes, rule) in cases {
            assert_eq!(FrameHeader::decode(bytes), Err(rule), "{bytes:02x?}");
        }
    }

    #[test]
    fn a_long_length_is_refused_before_its_mask_arrives() {
        let cases: [(&[u8], Rule); 4] = [
            (&[0x82, 0xFE, 0, 125], Rule::LengthNotMinimal),
            (
                &[0x82, 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF],
                Rule::LengthNotMinimal,
            ),
            (&[0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0], Rule::LengthTopBit),
            (&[0x82, 0xFF, 0xFF, 0, 0, 0, 0, 1, 0, 0], Rule::LengthTopBit),
        ];
        for (bytes, rule) in cases {
            assert_eq!(FrameHeader::decode(bytes), Err(rule), "{bytes:02x?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_and_no_shorter_piece_does(
            fin: bool, mask: Option<[u8; 4]>, length: u64, shift in 1_u32..64, text: bool,
        ) {
            let opcode = if text { Opcode::Text } else { Opcode::Continuation };
            let rsv = if text && fin { RSV1 } else { 0 };
            let header = FrameHeader { fin, rsv, opcode, mask, payload_bytes: length >> shift };
            let mut out = [0; FRAME_HEADER_BYTES_MAX];
            let header_bytes = header.encode(&mut out);
            prop_assert_eq!(FrameHeader::decode(&out), Ok(Some((header, header_bytes))));
            for cut in 0..header_bytes {
                prop_assert_eq!(FrameHeader::decode(&out[..cut]), Ok(None));
            }
        }
    }
}
