//! Close codes, who sends them, and the Close frame as bytes that are ready to go.

use super::header::{FrameHeader, Opcode};
use super::mask::apply_mask;
use super::rule::Rule;
use crate::limits::{
    CLOSE_CODE_BYTES, CLOSE_FRAME_BYTES_MAX, CLOSE_REASON_BYTES_MAX, FRAME_HEADER_BYTES_MAX,
};

/// A whole Close frame, kept inline so that sending one allocates nothing.
#[derive(Debug, Clone, Copy)]
pub struct CloseFrame {
    bytes: [u8; CLOSE_FRAME_BYTES_MAX],
    /// Invariant: `filled <= bytes.len()`.
    filled: u8,
}

impl CloseFrame {
    /// The frame as it goes on the wire.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.filled)]
    }

    fn push(&mut self, piece: &[u8]) {
        let start = usize::from(self.filled);
        self.bytes[start..start + piece.len()].copy_from_slice(piece);
        self.filled = u8::try_from(start + piece.len())
            .expect("invariant: the slice above would have refused more than 131 bytes");
    }
}

/// Writes a Close frame; `mask` is a fresh key towards a backend and `None` towards a client.
///
/// The reason is cut to 123 bytes at the end of a character. A code that may not travel leaves the
/// payload empty, so a Close that carried no code (1005) is echoed as it came.
pub fn close_frame(code: u16, reason: &str, mask: Option<[u8; 4]>) -> CloseFrame {
    let reason = &reason[..reason.floor_char_boundary(CLOSE_REASON_BYTES_MAX)];
    let payload_bytes = if may_travel(code) {
        CLOSE_CODE_BYTES + reason.len()
    } else {
        0
    };
    let header = FrameHeader {
        fin: true,
        rsv: 0,
        opcode: Opcode::Close,
        mask,
        payload_bytes: payload_bytes as u64,
    };
    let mut header_room = [0; FRAME_HEADER_BYTES_MAX];
    let header_bytes = header.encode(&mut header_room);

    let mut frame = CloseFrame {
        bytes: [0; CLOSE_FRAME_BYTES_MAX],
        filled: 0,
    };
    frame.push(&header_room[..header_bytes]);
    if payload_bytes > 0 {
        frame.push(&code.to_be_bytes());
        frame.push(reason.as_bytes());
    }
    if let Some(key) = mask {
        apply_mask(&mut frame.bytes[header_bytes..][..payload_bytes], key, 0);
    }
    frame
}

/// Whether a code may stand in a Close frame: the registered ones (RFC 6455 section 7.4.1 and the IANA
/// registry), those of libraries (3000 to 3999) and those of applications (4000 to 4999).
pub const fn may_travel(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// The code that the unmasked payload of a Close frame carries, 1005 if it is empty (RFC 6455 section 7.1.5). It must
/// be one that may travel, and the reason behind it UTF-8 if that is looked at.
pub(super) fn code_of(payload: &[u8], looks_at_reason: bool) -> Result<u16, Rule> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return if payload.is_empty() {
            Ok(NO_CODE)
        } else {
            Err(Rule::CloseLength)
        };
    };
    let code = u16::from_be_bytes(*code);
    if !may_travel(code) {
        return Err(Rule::CloseCode);
    }
    if looks_at_reason && std::str::from_utf8(reason).is_err() {
        return Err(Rule::InvalidUtf8);
    }
    Ok(code)
}

/// The purpose was fulfilled; either side sends it.
pub const NORMAL: u16 = 1000;
/// The sender goes away: a server going down, a page left. Ringway sends it to both sides when it drains.
pub const GOING_AWAY: u16 = 1001;
/// The peer broke the protocol; either side sends it. See [`super::Rule`].
pub const PROTOCOL_ERROR: u16 = 1002;
/// The peer sent a kind of data that the sender does not take; either side sends it.
pub const UNSUPPORTED_DATA: u16 = 1003;
/// A Close frame carried no code. Nobody sends it.
pub const NO_CODE: u16 = 1005;
/// The connection ended without a Close frame. Nobody sends it.
pub const ABNORMAL: u16 = 1006;
/// Text or a close reason is not UTF-8; either side sends it.
pub const INVALID_PAYLOAD: u16 = 1007;
/// A policy of the sender was broken; either side sends it.
pub const POLICY: u16 = 1008;
/// A message is over the sender's limit; either side sends it.
pub const TOO_BIG: u16 = 1009;
/// The server did not negotiate an extension that the client needs; only a client sends it.
pub const EXTENSION_MISSING: u16 = 1010;
/// The server cannot go on; only a server sends it.
pub const INTERNAL_ERROR: u16 = 1011;
/// The server restarts (IANA registry); only a server sends it.
pub const SERVICE_RESTART: u16 = 1012;
/// The server is overloaded, the client should try again later (IANA registry); only a server sends it.
pub const TRY_AGAIN_LATER: u16 = 1013;
/// A gateway got no good answer from its own upstream (IANA registry); only a gateway sends it.
pub const BAD_GATEWAY: u16 = 1014;
/// The TLS handshake failed. Nobody sends it.
pub const TLS_FAILED: u16 = 1015;

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 4] = [1, 2, 3, 4];

    #[test]
    fn a_frame_for_a_client_is_bare() {
        let frame = close_frame(GOING_AWAY, "bye", None);
        assert_eq!(frame.as_bytes(), b"\x88\x05\x03\xe9bye");
    }

    #[test]
    fn a_frame_for_a_backend_is_masked() {
        let frame = close_frame(NORMAL, "ok", Some(KEY));
        let mut payload = [0x03, 0xe8, b'o', b'k'];
        apply_mask(&mut payload, KEY, 0);
        assert_eq!(frame.as_bytes()[..6], [0x88, 0x84, 1, 2, 3, 4]);
        assert_eq!(frame.as_bytes()[6..], payload);
    }

    #[test]
    fn a_code_that_may_not_travel_leaves_the_payload_empty() {
        for code in [0, NO_CODE, ABNORMAL, TLS_FAILED, 5000] {
            assert_eq!(close_frame(code, "no", None).as_bytes(), [0x88, 0]);
            let masked = close_frame(code, "no", Some(KEY));
            assert_eq!(masked.as_bytes(), [0x88, 0x80, 1, 2, 3, 4]);
        }
    }

    #[test]
    fn a_long_reason_is_cut_where_a_character_ends() {
        let longest = close_frame(NORMAL, &"x".repeat(200), Some(KEY));
        assert_eq!(longest.as_bytes().len(), CLOSE_FRAME_BYTES_MAX);
        // 61 characters of two bytes are 122 bytes; a 62nd would end at byte 124.
        let even = close_frame(NORMAL, &"é".repeat(100), None);
        assert_eq!(even.as_bytes().len(), 2 + 2 + 122);
        assert!(std::str::from_utf8(&even.as_bytes()[4..]).is_ok());
    }

    #[test]
    fn the_codes_that_travel_are_the_registered_and_the_private_ones() {
        let travel: Vec<u16> = (0..=u16::MAX).filter(|code| may_travel(*code)).collect();
        let expected: Vec<u16> = [1000, 1001, 1002, 1003]
            .into_iter()
            .chain(1007..=1014)
            .chain(3000..=4999)
            .collect();
        assert_eq!(travel, expected);
    }
}
