//! Family 2: pings and pongs. Families 3 and 4: reserved bits and opcodes.

use crate::case::{
    BINARY, CLOSE, Case, Cut, End, Frame, Judge, LAST, NORMAL, PING, PONG, TEXT, TEXT_BEGINS,
    client, client_frames, messages,
};
use crate::servers::Kind;

/// What is sent, and what comes back.
type Exchange = (&'static str, &'static [Frame], &'static [Frame]);

const EXCHANGES: &[Exchange] = &[
    ("2.2 a pong nobody asked for", &[(PONG, b"")], &[]),
    ("2.3 one with words", &[(PONG, b"still here")], &[]),
    (
        "2.4 pongs, then a ping",
        &[(PONG, b"a"), (PONG, b"b"), (PING, b"c")],
        &[(PONG, b"c")],
    ),
    (
        "2.5 pings between messages",
        &[
            (TEXT, b"a"),
            (PING, b"1"),
            (BINARY, b"b"),
            (PING, b""),
            (TEXT, b""),
        ],
        &[
            (TEXT, b"a"),
            (PONG, b"1"),
            (BINARY, b"b"),
            (PONG, b""),
            (TEXT, b""),
        ],
    ),
    (
        "2.6 a ping of bytes that are no text",
        &[(PING, b"\xFF\0\xC0\x80")],
        &[(PONG, b"\xFF\0\xC0\x80")],
    ),
];

/// Family 2.
pub(crate) fn pings() -> Vec<Case> {
    let mut cases = Vec::new();
    for bytes in [0, 1, 2, 63, 124, 125] {
        let payload = vec![b'p'; bytes];
        let name = format!("2.1 a ping of {bytes}");
        cases.push(Case::legal(
            name,
            vec![client(PING, &payload)],
            vec![(PONG, payload)],
        ));
    }
    for (name, sent, replies) in EXCHANGES {
        cases.push(Case::legal(*name, client_frames(sent), messages(replies)));
    }
    let ten: Vec<_> = (b'0'..=b'9').map(|digit| vec![digit; 9]).collect();
    let sent = ten.iter().map(|payload| client(PING, payload)).collect();
    let pongs = ten.into_iter().map(|payload| (PONG, payload)).collect();
    cases.push(Case::legal("2.7 ten pings", sent, pongs));
    for bytes in [126, 65_536] {
        cases.push(too_long(PING, bytes));
        // No bound for pongs in fastwebsockets.
        let normal = End::Close(NORMAL.to_vec());
        cases.push(too_long(PONG, bytes).but(Kind::Fastwebsockets, Vec::new(), normal));
    }
    cases
}

fn too_long(first: u8, bytes: usize) -> Case {
    let sent = vec![client(first, &vec![b'p'; bytes])];
    Case::refused(format!("2.8 {first:02x} of {bytes}"), sent, Judge::Headers)
}

/// Family 3: no extension is agreed on, so every bit is reserved.
pub(crate) fn reserved_bits() -> Vec<Case> {
    let mut cases = Vec::new();
    for bits in (0x10..=0x70).step_by(0x10) {
        let frames: [Frame; 6] = [
            (TEXT | bits, b"text"),
            (BINARY | bits, b""),
            (TEXT_BEGINS | bits, b"begun"),
            (PING | bits, b"ping"),
            (PONG | bits, b"pong"),
            (CLOSE | bits, &NORMAL),
        ];
        for (first, payload) in frames {
            cases.extend(in_three_places("3", first, payload));
        }
        let name = format!("3.4 {:02x} as the last fragment", LAST | bits);
        let sent = client_frames(&[(TEXT_BEGINS, b"be"), (LAST | bits, b"gun")]);
        cases.push(Case::refused(name, sent, Judge::Headers));
    }
    cases
}

/// Family 4: five opcodes of data and five of control frames that nobody has defined.
pub(crate) fn reserved_opcodes() -> Vec<Case> {
    let mut cases = Vec::new();
    for opcode in (3..=7).chain(11..=15) {
        for payload in [&b""[..], b"what is this?"] {
            cases.extend(in_three_places("4", LAST | opcode, payload));
        }
    }
    cases
}

/// A frame that is refused: the first, after a message and a ping, and inside a message.
fn in_three_places(family: &str, first: u8, payload: &[u8]) -> [Case; 3] {
    let name = |number, place| {
        format!(
            "{family}.{number} {first:02x} with {} bytes {place}",
            payload.len()
        )
    };
    let refused = |name, before: &[Frame]| {
        let mut sent = client_frames(before);
        sent.push(client(first, payload));
        Case::refused(name, sent, Judge::Headers)
    };
    let alone = refused(name(1, "alone"), &[]);
    let after = refused(name(2, "after others"), &[(TEXT, b"hello"), (PING, b"?")])
        .after(2, messages(&[(TEXT, b"hello"), (PONG, b"?")]));
    let inside = refused(
        name(3, "inside a message"),
        &[(TEXT_BEGINS, b"hello"), (PING, b"?")],
    )
    .after(2, messages(&[(PONG, b"?")]));
    // The first has been cut in every way already.
    [
        alone,
        after.cut(&[Cut::Whole, Cut::Answered]),
        inside.cut(&[Cut::Whole, Cut::Answered]),
    ]
}
