//! Counts the messages that a server sends, and reads how it says goodbye. Knows bytes, never sockets.

/// The frames of one tunnel, as far as they have come.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    /// Data messages that are whole.
    pub(crate) messages: u64,
    /// The code of a Close frame; 1005 if it had none.
    pub(crate) close: Option<u16>,
    header: Vec<u8>,
    /// What of the payload has still to come.
    left_bytes: u64,
    code: Vec<u8>,
}

impl Inbox {
    /// Takes what came next. Cutting the stream elsewhere never changes what is counted.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left_bytes == 0 {
                let (&next, rest) = bytes.split_first().expect("invariant: not empty");
                self.header.push(next);
                bytes = rest;
                if let Some(length) = payload_bytes(&self.header) {
                    self.left_bytes = length;
                    self.end_frame_if_whole();
                }
            } else {
                let count = usize::try_from(self.left_bytes)
                    .map_or(bytes.len(), |left| left.min(bytes.len()));
                if self.opcode() == CLOSE {
                    self.code.extend_from_slice(&bytes[..count]);
                }
                bytes = &bytes[count..];
                self.left_bytes -= count as u64;
                self.end_frame_if_whole();
            }
        }
    }

    fn end_frame_if_whole(&mut self) {
        if self.left_bytes > 0 {
            return;
        }
        let is_last = self.header[0] & 0x80 != 0;
        match self.opcode() {
            CLOSE => {
                let code = self.code.first_chunk().copied();
                self.close = Some(code.map_or(NO_CODE, u16::from_be_bytes));
            }
            0..=2 => self.messages += u64::from(is_last),
            _ => {}
        }
        self.header.clear();
    }

    fn opcode(&self) -> u8 {
        self.header.first().map_or(0, |first| first & 0x0f)
    }
}

/// The length that a header names, once it is whole. Servers do not mask.
fn payload_bytes(header: &[u8]) -> Option<u64> {
    match header {
        [_, 126, high, low] => Some(u64::from(u16::from_be_bytes([*high, *low]))),
        [_, 127, long @ ..] => long.try_into().ok().map(u64::from_be_bytes),
        [_, 126, ..] | [] | [_] => None,
        [_, short, ..] => Some(u64::from(*short)),
    }
}

const CLOSE: u8 = 8;
const NO_CODE: u16 = 1005;
