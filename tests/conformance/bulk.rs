//! Family 9: large messages, many fragments, and writes of every size.

use crate::case::{BINARY, BINARY_BEGINS, Case, Cut, LAST, MIDDLE, TEXT, TEXT_BEGINS, client};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// The size of a message, and of its fragments.
const FRAGMENTED: [(usize, usize); 8] = [
    (64 * KIB, 64),
    (256 * KIB, 64),
    (256 * KIB, 256),
    (MIB, 256),
    (MIB, KIB),
    (4 * MIB, 4 * KIB),
    (4 * MIB, 64 * KIB),
    (4 * MIB, MIB),
];

/// The size of a message, and of the writes that carry it.
const IN_WRITES: [(usize, usize); 7] = [
    (64 * KIB, 64),
    (64 * KIB, 137),
    (256 * KIB, 256),
    (MIB, KIB),
    (MIB, 2_049),
    (4 * MIB, 8 * KIB),
    (4 * MIB, 300_000),
];

/// Family 9.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for bytes in [64 * KIB, 256 * KIB, MIB, 4 * MIB] {
        for first in [TEXT, BINARY] {
            let payload = content(first, bytes);
            let case = Case::legal(
                format!("9.1 {first:02x} of {bytes}"),
                vec![client(first, &payload)],
                vec![(first, payload)],
            );
            cases.push(case.cut(&[Cut::Whole]));
        }
    }
    for (place, (bytes, fragment_bytes)) in FRAGMENTED.into_iter().enumerate() {
        let first = if place % 2 == 0 { TEXT } else { BINARY };
        cases.push(fragmented(first, bytes, fragment_bytes));
    }
    for (bytes, write_bytes) in IN_WRITES {
        let payload = content(BINARY, bytes);
        let name = format!("9.3 {bytes} in writes of {write_bytes}");
        let sent = vec![client(BINARY, &payload)];
        let case = Case::legal(name, sent, vec![(BINARY, payload)]);
        cases.push(case.cut(&[Cut::Bytes(write_bytes)]));
    }
    cases.push(many_at_once());
    cases
}

fn fragmented(first: u8, bytes: usize, fragment_bytes: usize) -> Case {
    let payload = content(first, bytes);
    let mut begins = if first == TEXT {
        TEXT_BEGINS
    } else {
        BINARY_BEGINS
    };
    let mut sent: Vec<_> = payload
        .chunks(fragment_bytes)
        .map(|part| client(std::mem::replace(&mut begins, MIDDLE), part))
        .collect();
    if let Some(last) = sent.last_mut() {
        last[0] |= LAST;
    }
    let name = format!("9.2 {first:02x} of {bytes} in fragments of {fragment_bytes}");
    Case::legal(name, sent, vec![(first, payload)]).cut(&[Cut::Whole, Cut::Bytes(70_001)])
}

/// Thousands of small messages in one write, and all of their echoes.
fn many_at_once() -> Case {
    let messages: Vec<_> = (0..3_000)
        .map(|number| (BINARY, content(BINARY, number % 300)))
        .collect();
    let sent = messages
        .iter()
        .map(|(first, payload)| client(*first, payload))
        .collect();
    let case = Case::legal("9.4 three thousand messages", sent, messages);
    case.cut(&[Cut::Whole, Cut::Bytes(4_099)])
}

/// Characters of one to four bytes, cut anywhere; or every byte.
fn content(first: u8, bytes: usize) -> Vec<u8> {
    if first == BINARY {
        return (0..=250).cycle().take(bytes).collect();
    }
    // 11 bytes, so that a fragment of any size cuts a character sooner or later.
    let mut text = "aµ€🦀z".repeat(bytes / 11).into_bytes();
    text.resize(bytes, b'.');
    text
}
