//! Families 12 and 13: permessage-deflate is agreed on through Ringway, and its messages arrive bit for bit.

use std::fmt::Write as _;

use crate::case::{
    BINARY, Case, Cut, Frame, Judge, LAST, MIDDLE, Message, PING, PONG, TEXT, client, client_frames,
};
use crate::deflate::{Deflater, Terms};

/// Plain, and with every limit that RFC 7692 has: what the client offers, and what is agreed on.
const TERMS: &[[&str; 2]] = &[
    [PLAIN, PLAIN],
    [
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
    ],
    [
        "permessage-deflate; client_no_context_takeover",
        "permessage-deflate; client_no_context_takeover",
    ],
    [
        "permessage-deflate; server_no_context_takeover",
        "permessage-deflate; server_no_context_takeover",
    ],
    [
        "permessage-deflate; server_max_window_bits=9; client_max_window_bits=9",
        "permessage-deflate; server_max_window_bits=9; client_max_window_bits=9",
    ],
    // The server is free to choose.
    [
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; client_max_window_bits=10",
    ],
    // The server takes the second offer, which has no window that it does not know.
    [
        "permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=12",
        "permessage-deflate; server_max_window_bits=12",
    ],
    // Nobody knows the first extension.
    ["x-unheard-of; a=1, permessage-deflate", PLAIN],
];

const PLAIN: &str = "permessage-deflate";
const COMPRESSED: u8 = 0x40;

/// Family 12, and the terms of family 13.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for terms @ [_, agreed] in TERMS {
        for bytes in [0, 16, 64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10] {
            let messages = (0..6).map(|number| message(number, bytes)).collect();
            let name = format!("12 {bytes} bytes, {agreed}");
            cases.push(conversation(name, *terms, usize::MAX, messages));
        }
        for (bytes, fragment_bytes) in [(64, 1), (4 << 10, 100), (128 << 10, 1_000)] {
            let messages = (0..3).map(|number| message(number, bytes)).collect();
            let name = format!("13 {bytes} bytes in fragments of {fragment_bytes}, {agreed}");
            cases.push(conversation(name, *terms, fragment_bytes, messages));
        }
    }
    let large = vec![message(0, 1 << 20), message(1, 1 << 20)];
    cases.push(conversation(
        "12 a mebibyte".to_owned(),
        [PLAIN; 2],
        70_001,
        large,
    ));
    cases.push(some_compressed());
    cases.extend(breaches());
    cases
}

/// For servers that do not know the extension: it is offered, nothing is agreed on, and the bit is refused.
pub(crate) fn not_agreed() -> Vec<Case> {
    let echoed: [Frame; 1] = [(TEXT, b"not compressed")];
    let sent = client_frames(&[
        (TEXT, b"not compressed"),
        (TEXT | COMPRESSED, b"\xCAH\x05\0"),
    ]);
    let replies = crate::case::messages(&echoed);
    let case = Case::refused(
        "13 a compressed text that nobody agreed on",
        sent,
        Judge::Headers,
    );
    vec![case.after(1, replies).offering(PLAIN, "")]
}

/// A message that repeats itself and others, and is told from them all the same.
fn message(number: usize, bytes: usize) -> Message {
    let first = if number % 3 == 2 { BINARY } else { TEXT };
    let mut text = String::new();
    while text.len() < bytes {
        let place = text.len() * 2_654_435_761 % 9_973;
        write!(text, "{{\"id\":{number},\"at\":{place},\"who\":\"anna\"}},").unwrap();
    }
    text.truncate(bytes);
    (first, text.into_bytes())
}

/// Each message compressed, in fragments of at most so many bytes.
fn conversation(
    name: String,
    [offer, agreed]: [&'static str; 2],
    fragment_bytes: usize,
    messages: Vec<Message>,
) -> Case {
    let mut deflater = Deflater::of_client(Terms::told(agreed).unwrap());
    let sent = messages.iter().flat_map(|(first, payload)| {
        let wire = deflater.deflate(payload);
        let mut begins = (first | COMPRESSED) & !LAST;
        let mut frames: Vec<_> = wire
            .chunks(fragment_bytes)
            .map(|part| client(std::mem::replace(&mut begins, MIDDLE), part))
            .collect();
        if let Some(last) = frames.last_mut() {
            last[0] |= LAST;
        }
        frames
    });
    let sent = sent.collect();
    Case::legal(name, sent, messages).offering(offer, agreed)
}

/// Under the extension a message may still go as it is, and control frames always do.
fn some_compressed() -> Case {
    let mut deflater = Deflater::of_client(Terms::told(PLAIN).unwrap());
    let [one, two] = [&b"one one one one"[..], b"two two one one"];
    let sent = vec![
        client(TEXT | COMPRESSED, &deflater.deflate(one)),
        client(TEXT, b"plain"),
        client(PING, b"?"),
        client(TEXT | COMPRESSED, &deflater.deflate(two)),
    ];
    let replies = vec![
        (TEXT, one.to_vec()),
        (TEXT, b"plain".to_vec()),
        (PONG, b"?".to_vec()),
        (TEXT, two.to_vec()),
    ];
    Case::legal("13 some compressed, some not", sent, replies).offering(PLAIN, PLAIN)
}

/// Where the bit of compression may not stand, and the bits beside it, which stay reserved.
fn breaches() -> Vec<Case> {
    let deflated = |text: &[u8]| Deflater::of_client(Terms::told(PLAIN).unwrap()).deflate(text);
    let hello = deflated(b"hello hello hello");
    let (start, rest) = hello.split_at(4);
    let begun = client(0x01 | COMPRESSED, start);
    let named = |name: &str, before: &[Vec<u8>], broken: Vec<u8>| {
        let sent = [before, &[broken]].concat();
        Case::refused(format!("13 {name}"), sent, Judge::Headers)
            .after(before.len(), Vec::new())
            .offering(PLAIN, PLAIN)
            .cut(&[Cut::Whole, Cut::Frames, Cut::Bytes(1), Cut::Answered])
    };
    let mut cases = vec![
        named(
            "the bit on a last fragment",
            std::slice::from_ref(&begun),
            client(0xC0, rest),
        ),
        named("the bit on a middle fragment", &[begun], client(0x40, rest)),
        named(
            "the bit on a fragment of a plain message",
            &[client(0x01, b"a")],
            client(0xC0, b""),
        ),
        named("the bit on a ping", &[], client(PING | COMPRESSED, b"")),
        named("the bit on a pong", &[], client(PONG | COMPRESSED, b"")),
        named("the bit on a close", &[], client(0xC8, b"\x03\xE8")),
    ];
    for bits in [0x10, 0x20, 0x30, 0x50, 0x60, 0x70] {
        let broken = client(TEXT | bits, &hello);
        cases.push(named(&format!("bits {bits:02x} on a text"), &[], broken));
    }
    cases
}
