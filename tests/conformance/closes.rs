//! Family 7: the closing handshake, its codes and its reasons.

use crate::case::{
    CLOSE, Case, End, Frame, Judge, NORMAL, PING, PONG, TEXT, TEXT_BEGINS, client, client_frames,
    messages,
};
use crate::servers::{Kind, LIBRARIES};

/// Frames with a Close among them; what comes back, the Close last.
type Exchange = (&'static str, &'static [Frame], &'static [Frame]);

const HANDSHAKES: &[Exchange] = &[
    (
        "7.1 nothing but a close",
        &[(CLOSE, &NORMAL)],
        &[(CLOSE, &NORMAL)],
    ),
    (
        "7.1 a close without a code",
        &[(CLOSE, b"")],
        &[(CLOSE, b"")],
    ),
    (
        "7.2 a close after a message",
        &[(TEXT, b"last words"), (CLOSE, &NORMAL)],
        &[(TEXT, b"last words"), (CLOSE, &NORMAL)],
    ),
    (
        "7.3 a second close",
        &[(CLOSE, &NORMAL), (CLOSE, b"\x03\xE9")],
        &[(CLOSE, &NORMAL)],
    ),
    (
        "7.3 a text after the close",
        &[(CLOSE, &NORMAL), (TEXT, b"late")],
        &[(CLOSE, &NORMAL)],
    ),
    (
        "7.3 a ping after the close",
        &[(CLOSE, &NORMAL), (PING, b"late")],
        &[(CLOSE, &NORMAL)],
    ),
    (
        "7.3 nonsense after the close",
        &[(CLOSE, &NORMAL), (0xF3, b"late")],
        &[(CLOSE, &NORMAL)],
    ),
    (
        "7.4 a close inside a message",
        &[(TEXT_BEGINS, b"never"), (CLOSE, &NORMAL), (0x80, b" ended")],
        &[(CLOSE, &NORMAL)],
    ),
    (
        "7.4 pings until the close",
        &[(PING, b"1"), (PING, b"2"), (CLOSE, b"\x03\xE9bye")],
        &[(PONG, b"1"), (PONG, b"2"), (CLOSE, b"\x03\xE9bye")],
    ),
];

/// What RFC 6455 section 7.4 and the IANA registry let travel. Both libraries are older than 1014.
const VALID: [u16; 16] = [
    1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999,
];
const INVALID: [u16; 15] = [
    0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1099, 1100, 2000, 2999, 5000, 32_768, 65_535,
];

/// Family 7.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases: Vec<_> = HANDSHAKES.iter().map(handshake).collect();
    for reason in [
        "",
        "x",
        "schöne Grüße 🦀",
        &"y".repeat(123),
        &"ж".repeat(61),
    ] {
        cases.push(echoed(
            format!("7.5 {} bytes of reason", reason.len()),
            4001,
            reason,
        ));
    }
    for code in VALID {
        for reason in ["", "with a reason"] {
            let case = echoed(format!("7.6 code {code}, {reason:?}"), code, reason);
            cases.push(match code {
                1014 => refused_by_both(case),
                _ => case,
            });
        }
    }
    for code in INVALID {
        for reason in ["", "with a reason"] {
            let sent = vec![client(CLOSE, &payload(code, reason.as_bytes()))];
            let name = format!("7.7 code {code}, {reason:?}");
            cases.push(Case::refused(name, sent, Judge::Headers));
        }
    }
    cases.push(Case::refused(
        "7.8 half a code",
        vec![client(CLOSE, &[3])],
        Judge::Headers,
    ));
    for bytes in [124, 65_536] {
        let long = payload(1000, &vec![b'z'; bytes]);
        let sent = vec![client(CLOSE, &long)];
        let name = format!("7.8 {bytes} bytes of reason");
        // fastwebsockets has no bound and says it all back.
        let case = Case::refused(name, sent, Judge::Headers);
        cases.push(case.but(Kind::Fastwebsockets, Vec::new(), End::Close(long)));
    }
    for reason in [
        &b"\xFF"[..],
        b"cut \xC3",
        b"\xED\xA0\x80 half a pair",
        b"over\xC0\xAFlong",
    ] {
        let sent = vec![client(CLOSE, &payload(1000, reason))];
        cases.push(Case::refused(
            format!("7.9 reason {reason:x?}"),
            sent,
            Judge::Text,
        ));
    }
    cases
}

fn handshake((name, sent, replies): &Exchange) -> Case {
    let (close, replies) = replies.split_last().expect("a handshake ends in a Close");
    Case::closing(*name, client_frames(sent), messages(replies), close.1)
}

fn echoed(name: String, code: u16, reason: &str) -> Case {
    let payload = payload(code, reason.as_bytes());
    Case::closing(name, vec![client(CLOSE, &payload)], Vec::new(), &payload)
}

fn refused_by_both(case: Case) -> Case {
    LIBRARIES.iter().fold(case, |case, kind| {
        case.but(*kind, Vec::new(), End::Refused(&[1002]))
    })
}

fn payload(code: u16, reason: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes(), reason].concat()
}
