//! Family 1: every form of a frame header, and the forms that are none. Family 10: answers in fragments.

use crate::case::{
    BINARY, Case, Cut, End, Judge, LAST, MIDDLE, Message, NORMAL, PONG, TEXT, TEXT_BEGINS, client,
};
use crate::servers::Kind;

/// Lengths at which a header changes its form, and their neighbours.
const LENGTHS: [usize; 12] = [
    0, 1, 2, 124, 125, 126, 127, 128, 65_534, 65_535, 65_536, 65_537,
];

/// Family 1.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (group, first) in [("1.1 text", TEXT), ("1.2 binary", BINARY)] {
        for bytes in LENGTHS {
            let payload = content(first, bytes);
            cases.push(one(format!("{group} of {bytes}"), first, payload));
        }
    }
    let all = |first| LENGTHS.map(|bytes| (first, content(first, bytes)));
    let every: Vec<Message> = [all(TEXT), all(BINARY)].concat();
    let sent = every
        .iter()
        .map(|(first, payload)| client(*first, payload))
        .collect();
    cases.push(Case::legal("1.3 one behind the other", sent, every).cut(&[
        Cut::Whole,
        Cut::Frames,
        Cut::Bytes(997),
        Cut::Bytes(65_536),
    ]));
    cases.extend(long_winded());
    cases.extend(bare());
    cases.push(endless());
    cases
}

/// Family 10: what is one message to us comes back in as many fragments as the server likes.
pub(crate) fn answers_in_fragments() -> Vec<Case> {
    let mut cases = Vec::new();
    for bytes in [0, 1_299, 1_300, 1_301, 2_600, 65_536, 1 << 20] {
        for first in [TEXT, BINARY] {
            let payload = content(first, bytes);
            cases.push(one(format!("10.1 {first:02x} of {bytes}"), first, payload));
        }
    }
    let payload = content(TEXT, 70_000);
    let mut first = TEXT_BEGINS;
    let mut sent: Vec<_> = payload
        .chunks(7_001)
        .map(|part| client(std::mem::replace(&mut first, MIDDLE), part))
        .collect();
    sent.push(client(LAST, b""));
    cases.push(Case::legal(
        "10.2 fragments in, others out",
        sent,
        vec![(TEXT, payload)],
    ));
    cases
}

fn one(name: String, first: u8, payload: Vec<u8>) -> Case {
    Case::legal(name, vec![client(first, &payload)], vec![(first, payload)])
}

/// Letters, or every byte.
fn content(first: u8, bytes: usize) -> Vec<u8> {
    let alphabet = if first == TEXT { b'a'..=b'z' } else { 0..=250 };
    alphabet.cycle().take(bytes).collect()
}

/// A length in more bytes than it needs. Neither library minds.
fn long_winded() -> Vec<Case> {
    let forms: [(usize, &[u8]); 5] = [
        (0, &[0x82, 0xFE, 0, 0]),
        (125, &[0x82, 0xFE, 0, 125]),
        (0, &[0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0]),
        (125, &[0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0, 125]),
        (65_535, &[0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]),
    ];
    let cases = forms.map(|(bytes, header)| {
        // With a key of zeroes the payload goes as it is.
        let payload = content(BINARY, bytes);
        let wire = [header, &[0; 4], &payload].concat();
        let name = format!("1.4 {bytes} in {} bytes", header.len() - 2);
        both_take(
            Case::refused(name, vec![wire], Judge::Headers),
            (BINARY, payload),
        )
    });
    cases.into()
}

fn both_take(case: Case, message: Message) -> Case {
    let normal = || End::Close(NORMAL.to_vec());
    case.but(Kind::Tungstenite, vec![message.clone()], normal())
        .but(Kind::Fastwebsockets, vec![message], normal())
}

/// Frames without a mask, which fastwebsockets takes.
fn bare() -> [Case; 3] {
    let taken = |name, bytes: &[u8], replies| {
        let normal = End::Close(NORMAL.to_vec());
        Case::refused(name, vec![bytes.to_vec()], Judge::Headers).but(
            Kind::Fastwebsockets,
            replies,
            normal,
        )
    };
    [
        taken(
            "1.5 a bare text",
            b"\x81\x05plain",
            vec![(TEXT, b"plain".to_vec())],
        ),
        taken("1.5 a bare ping", b"\x89\x01?", vec![(PONG, b"?".to_vec())]),
        taken("1.5 a bare pong", b"\x8A\x00", Vec::new()),
    ]
}

/// A length with its top bit set; to the libraries it is only too long.
fn endless() -> Case {
    let wire = [&[0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 1][..], &[0; 4]].concat();
    Case::refused("1.6 the top bit of a length", vec![wire], Judge::Headers)
        .but(Kind::Tungstenite, Vec::new(), End::Refused(&[1009]))
        .but(Kind::Fastwebsockets, Vec::new(), End::Refused(&[1009]))
}
