//! Family 6: text that is UTF-8, text that is not, and where a frame or a fragment may cut it.

use crate::case::{
    BINARY, Case, Cut, End, Judge, LAST, MIDDLE, Message, NORMAL, PING, PONG, TEXT, TEXT_BEGINS,
    client, client_frames,
};
use crate::servers::Kind;

/// Sequences that are no UTF-8, whatever follows them.
const BROKEN: &[&[u8]] = &[
    // Continuation bytes that continue nothing.
    b"\x80",
    b"\xBF",
    b"\x80\xBF\x80\xBF",
    b"\xC3\xA4\xA4",
    // A character that stops short.
    b"\xC3 ",
    b"\xE2\x82 ",
    b"\xF0\x9F\xA6 ",
    b"\xC3\xC3\xA4",
    b"\xE2\xE2\x82\xAC",
    b"\xF0\x9F\xF0\x9F\xA6\x80",
    // More bytes than the character needs.
    b"\xC0\x80",
    b"\xC0\xAF",
    b"\xC1\xBF",
    b"\xE0\x80\x80",
    b"\xE0\x80\xAF",
    b"\xE0\x9F\xBF",
    b"\xF0\x80\x80\x80",
    b"\xF0\x80\x80\xAF",
    b"\xF0\x8F\xBF\xBF",
    // Halves of UTF-16 pairs, alone and together.
    b"\xED\xA0\x80",
    b"\xED\xAD\xBF",
    b"\xED\xAE\x80",
    b"\xED\xBF\xBF",
    b"\xED\xA0\x80\xED\xB0\x80",
    b"\xED\xAF\xBF\xED\xBF\xBF",
    // Beyond U+10FFFF, and bytes that no character has.
    b"\xF4\x90\x80\x80",
    b"\xF5\x80\x80\x80",
    b"\xF7\xBF\xBF\xBF",
    b"\xF8\x88\x80\x80\x80",
    b"\xFC\x84\x80\x80\x80\x80",
    b"\xFE",
    b"\xFF",
    b"\xFE\xFE\xFF\xFF",
];

/// Beginnings of characters, at which a message may not end.
const UNENDED: &[&[u8]] = &[
    b"\xC3",
    b"\xDF",
    b"\xE0\xA0",
    b"\xE2",
    b"\xE2\x82",
    b"\xED\x9F",
    b"\xF0",
    b"\xF0\x9F",
    b"\xF0\x9F\xA6",
    b"\xF4\x8F\xBF",
];

/// Where one length of characters ends and the next begins, and both sides of what UTF-16 keeps for itself.
const EDGES: [u32; 12] = [
    0, 0x7F, 0x80, 0x7FF, 0x800, 0xFFFD, 0xFFFF, 0x1_0000, 0x1_FFFF, 0x10_FFFF, 0xD7FF, 0xE000,
];

/// Family 6.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, text) in valid_texts() {
        cases.extend(taken(&name, &text));
    }
    for sequence in BROKEN {
        let whole = [b"up to here: ", *sequence, b" and on"].concat();
        cases.extend(refused("6.3", &whole, 12..=12 + sequence.len()));
        cases.extend(fails_at_once(sequence));
    }
    for sequence in UNENDED {
        let whole = [b"up to here: ", *sequence].concat();
        cases.extend(refused("6.4", &whole, 12..=whole.len()));
    }
    cases.push(binary_is_free());
    cases.push(others_are_served_first());
    cases
}

/// Names and texts.
fn valid_texts() -> Vec<(String, String)> {
    let tongues = "Straße, čaj, Ξένος, кириллица, עברית, 日本語, 한국어, 🦀👩‍🚀";
    let mut texts = vec![("6.1 many tongues".to_owned(), tongues.to_owned())];
    for edge in EDGES {
        let text = char::from_u32(edge).unwrap().to_string();
        texts.push((format!("6.2 U+{edge:04X}"), text));
    }
    // Characters that mean nothing are characters all the same.
    let planes = (0..=0x10).flat_map(|plane| [plane << 16 | 0xFFFE, plane << 16 | 0xFFFF]);
    let no_characters = (0xFDD0..=0xFDEF)
        .chain(planes)
        .filter_map(char::from_u32)
        .collect();
    texts.push(("6.2 all non-characters".to_owned(), no_characters));
    texts
}

/// A valid text whole, cut in two at every byte, and in fragments of a byte; one message after another.
fn taken(name: &str, text: &str) -> [Case; 2] {
    let bytes = text.as_bytes();
    let mut sent = vec![client(TEXT, bytes)];
    for cut in 0..=bytes.len() {
        sent.extend(in_fragments(bytes, &[cut]));
    }
    let count = bytes.len() + 2;
    let in_two = Case::legal(
        format!("{name} in two"),
        sent,
        vec![(TEXT, bytes.to_vec()); count],
    );
    let all: Vec<_> = (1..bytes.len()).collect();
    let sent = in_fragments(bytes, &all);
    let in_bytes = Case::legal(
        format!("{name} in bytes"),
        sent,
        vec![(TEXT, bytes.to_vec())],
    );
    [in_two, in_bytes]
}

/// A broken text whole, cut in two at each of these places, and in fragments of a byte.
fn refused(family: &str, bytes: &[u8], places: std::ops::RangeInclusive<usize>) -> Vec<Case> {
    let name = |how: &str| format!("{family} {:02x?} {how}", &bytes[*places.start()..]);
    let mut cases = vec![Case::refused(
        name("whole"),
        vec![client(TEXT, bytes)],
        Judge::Text,
    )];
    let all: Vec<_> = (1..bytes.len()).collect();
    let cuts = places.clone().map(|place| vec![place]).chain([all]);
    cases.extend(cuts.map(|cuts| {
        let name = name(&format!("cut at {cuts:?}"));
        let case = Case::refused(name, in_fragments(bytes, &cuts), Judge::Text)
            .cut(&[Cut::Whole, Cut::Frames]);
        unended_in_fragments(case, bytes)
    }));
    cases
}

/// fastwebsockets leaves out half a character at the end of a fragmented message, and takes the rest.
fn unended_in_fragments(case: Case, bytes: &[u8]) -> Case {
    let error = std::str::from_utf8(bytes).unwrap_err();
    if error.error_len().is_some() {
        return case;
    }
    let rest = bytes[..error.valid_up_to()].to_vec();
    case.but(
        Kind::Fastwebsockets,
        vec![(TEXT, rest)],
        End::Close(NORMAL.to_vec()),
    )
}

/// A first fragment that no other can mend is refused before the message ends.
fn fails_at_once(sequence: &[u8]) -> [Case; 2] {
    let name = |how| format!("6.5 {sequence:02x?} {how}");
    let begun = client(TEXT_BEGINS, &[b"no end: ", sequence].concat());
    let first = Case::refused_at_once(name("in the first fragment"), vec![begun], Judge::Text);
    let middle = vec![
        client(TEXT_BEGINS, "gut: ä".as_bytes()),
        client(PING, b"?"),
        client(MIDDLE, sequence),
    ];
    let middle = Case::refused_at_once(name("in the middle"), middle, Judge::Text);
    [
        first.cut(&[Cut::Whole]),
        middle
            .after(2, vec![(PONG, b"?".to_vec())])
            .cut(&[Cut::Whole, Cut::Answered]),
    ]
}

/// The same bytes are welcome where no text is promised.
fn binary_is_free() -> Case {
    let replies: Vec<Message> = BROKEN
        .iter()
        .map(|bytes| (BINARY, bytes.to_vec()))
        .collect();
    let sent = replies
        .iter()
        .map(|(first, payload)| client(*first, payload))
        .collect();
    Case::legal("6.6 the same bytes as binary", sent, replies)
}

/// What was right before the broken text is answered.
fn others_are_served_first() -> Case {
    let sent = client_frames(&[(TEXT, "gut: ä".as_bytes()), (TEXT, b"not good: \xE4")]);
    let replies = vec![(TEXT, "gut: ä".as_bytes().to_vec())];
    Case::refused("6.7 a broken text after a good one", sent, Judge::Text).after(1, replies)
}

/// A text in fragments that end at these places.
fn in_fragments(text: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
    let mut start = 0;
    let mut begins = TEXT_BEGINS;
    let mut frames = Vec::new();
    for cut in cuts {
        frames.push(client(begins, &text[start..*cut]));
        (start, begins) = (*cut, MIDDLE);
    }
    frames.push(client(begins | LAST, &text[start..]));
    frames
}
