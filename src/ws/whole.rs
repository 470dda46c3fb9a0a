//! Sees at one glance a message that stands in one piece: one frame, no longer than 16 bits say.

use super::header::{FIN_BIT, LENGTH_16, MASK_BIT, Opcode, RSV1};
use super::scanner::Sender;

/// A message in one frame, with all of its bytes at hand.
#[derive(Debug, Clone, Copy)]
pub(super) struct WholeMessage<'a> {
    pub(super) is_text: bool,
    pub(super) key: Option<[u8; 4]>,
    pub(super) payload: &'a [u8],
    /// How long it is with its header.
    pub(super) bytes: usize,
}

impl<'a> WholeMessage<'a> {
    /// The message at the start of `bytes`; nothing if it is anything else, whatever that is. With `deflated` it may be
    /// a compressed one.
    #[inline]
    pub(super) fn at(bytes: &'a [u8], sender: Sender, deflated: bool) -> Option<Self> {
        let &[first, second] = bytes.first_chunk()?;
        let compressed = if deflated { RSV1 << 4 } else { 0 };
        let is_text = match first & !compressed {
            TEXT => true,
            BINARY => false,
            _ => return None,
        };
        // A mask that is missing, or present where it should not be, makes the length over 127.
        let masks = sender.masks();
        let (length, length_bytes) = match second ^ if masks { MASK_BIT } else { 0 } {
            short @ ..LENGTH_16 => (usize::from(short), 0),
            LENGTH_16 => {
                let &[_, _, high, low] = bytes.first_chunk()?;
                let length = u16::from_be_bytes([high, low]);
                if length < u16::from(LENGTH_16) {
                    return None;
                }
                (usize::from(length), 2)
            }
            _ => return None,
        };
        let header_bytes = 2 + length_bytes + if masks { 4 } else { 0 };
        let whole = bytes.get(..header_bytes + length)?;
        let (header, payload) = whole.split_at(header_bytes);
        Some(Self {
            is_text,
            key: header.last_chunk().copied().filter(|_| masks),
            payload,
            bytes: whole.len(),
        })
    }
}

const TEXT: u8 = FIN_BIT | Opcode::Text as u8;
const BINARY: u8 = FIN_BIT | Opcode::Binary as u8;

#[cfg(test)]
mod tests {
    use super::super::tests::frame;
    use super::*;

    #[test]
    fn a_whole_message_is_seen_and_nothing_else() {
        for sender in [Sender::Client, Sender::Backend] {
            for bytes in [0, 1, 125, 126, 127, 65_535] {
                let mut message = frame(sender, TEXT, &vec![b'a'; bytes]);
                let length = message.len();
                message.extend(b"what follows");
                let whole = WholeMessage::at(&message, sender, false).unwrap();
                assert_eq!((whole.bytes, whole.payload.len()), (length, bytes));
                assert!(whole.is_text && whole.key.is_some() == sender.masks());
                for cut in [0, 1, 2, 5, length - 1] {
                    assert!(
                        cut >= length || WholeMessage::at(&message[..cut], sender, false).is_none()
                    );
                }
            }
            for first in [0x01, 0x80, 0x88, 0x89, 0x8A, 0xC1, 0xA2, 0x83] {
                let other = frame(sender, first, b"a");
                assert!(
                    WholeMessage::at(&other, sender, false).is_none(),
                    "{first:x}"
                );
            }
            let compressed = frame(sender, 0xC1, b"deflated");
            assert!(WholeMessage::at(&compressed, sender, true).is_some());
            let long = frame(sender, BINARY, &vec![0; 65_536]);
            assert!(WholeMessage::at(&long, sender, false).is_none());
        }
        let bare = frame(Sender::Backend, TEXT, b"not masked");
        assert!(WholeMessage::at(&bare, Sender::Client, false).is_none());
        let masked = frame(Sender::Client, TEXT, b"masked");
        assert!(WholeMessage::at(&masked, Sender::Backend, false).is_none());
        let wasteful = [BINARY, LENGTH_16, 0, 5, 1, 2, 3, 4, 5];
        assert!(WholeMessage::at(&wasteful, Sender::Backend, false).is_none());
    }
}
