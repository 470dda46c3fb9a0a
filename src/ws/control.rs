//! One control frame: gathered as it comes, or written to be sent. Kept inline, so neither allocates.

use super::header::{FrameHeader, Opcode};
use super::mask::apply_mask;
use crate::limits::{CONTROL_FRAME_BYTES_MAX, CONTROL_PAYLOAD_BYTES_MAX, FRAME_HEADER_BYTES_MAX};

/// A control frame whose payload has come as far as `filled` says, unmasked.
#[derive(Debug, Clone, Copy)]
pub struct ControlFrame {
    opcode: Opcode,
    mask: Option<[u8; 4]>,
    payload: [u8; CONTROL_PAYLOAD_BYTES_MAX],
    /// Invariant: `filled <= payload.len()`.
    filled: u8,
}

/// A frame as it goes on the wire.
#[derive(Debug, Clone, Copy)]
pub struct Rendered {
    bytes: [u8; CONTROL_FRAME_BYTES_MAX],
    /// Invariant: `filled <= bytes.len()`.
    filled: u8,
}

impl ControlFrame {
    /// A frame to be sent; `mask` is a fresh key towards a backend and `None` towards a client. What is longer than a
    /// control frame may be is cut off.
    pub fn new(opcode: Opcode, payload: &[u8], mask: Option<[u8; 4]>) -> Self {
        let mut frame = Self {
            opcode,
            mask,
            ..Self::default()
        };
        frame.push(payload);
        frame
    }

    /// A frame whose header has come.
    pub(super) fn opened(header: &FrameHeader) -> Self {
        Self {
            opcode: header.opcode,
            mask: header.mask,
            ..Self::default()
        }
    }

    /// Takes the next bytes of the payload as they came.
    pub(super) fn take(&mut self, part: &[u8]) {
        let from = usize::from(self.filled);
        self.push(part);
        if let Some(key) = self.mask {
            apply_mask(&mut self.payload[from..usize::from(self.filled)], key, from);
        }
    }

    fn push(&mut self, part: &[u8]) {
        for (room, byte) in self.payload[usize::from(self.filled)..]
            .iter_mut()
            .zip(part)
        {
            *room = *byte;
            self.filled += 1;
        }
    }

    /// What it is.
    pub const fn opcode(&self) -> Opcode {
        self.opcode
    }

    /// What has come of its payload, unmasked.
    pub fn payload(&self) -> &[u8] {
        &self.payload[..usize::from(self.filled)]
    }

    /// The frame as it goes on the wire. One that was taken in is rendered as it came: a length has only one legal
    /// form, and the key is the same.
    pub fn render(&self) -> Rendered {
        let header = FrameHeader {
            fin: true,
            rsv: 0,
            opcode: self.opcode,
            mask: self.mask,
            payload_bytes: self.filled.into(),
        };
        let mut room = [0; FRAME_HEADER_BYTES_MAX];
        let header_bytes = header.encode(&mut room);
        let whole = header_bytes + usize::from(self.filled);
        let mut bytes = [0; CONTROL_FRAME_BYTES_MAX];
        bytes[..header_bytes].copy_from_slice(&room[..header_bytes]);
        bytes[header_bytes..whole].copy_from_slice(self.payload());
        if let Some(key) = self.mask {
            apply_mask(&mut bytes[header_bytes..whole], key, 0);
        }
        Rendered {
            bytes,
            filled: u8::try_from(whole).expect("invariant: a control frame is 131 bytes at most"),
        }
    }
}

impl Default for ControlFrame {
    fn default() -> Self {
        Self {
            opcode: Opcode::Pong,
            mask: None,
            payload: [0; CONTROL_PAYLOAD_BYTES_MAX],
            filled: 0,
        }
    }
}

impl Rendered {
    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.filled)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_that_was_taken_in_is_rendered_as_it_came() {
        for mask in [None, Some([7, 0, 255, 9])] {
            let sent = ControlFrame::new(Opcode::Ping, b"are you there", mask).render();
            let (header, header_bytes) = FrameHeader::decode(sent.as_bytes()).unwrap().unwrap();
            let mut taken = ControlFrame::opened(&header);
            for byte in sent.as_bytes()[header_bytes..].chunks(1) {
                taken.take(byte);
            }
            assert_eq!(taken.payload(), b"are you there");
            assert_eq!(taken.render().as_bytes(), sent.as_bytes());
        }
    }

    #[test]
    fn the_longest_frame_fits_and_more_is_cut_off() {
        let frame = ControlFrame::new(Opcode::Pong, &[1; 200], Some([1; 4]));
        assert_eq!(frame.render().as_bytes().len(), CONTROL_FRAME_BYTES_MAX);
    }
}
