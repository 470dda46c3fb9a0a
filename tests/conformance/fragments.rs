//! Family 5: messages in fragments, what may stand between them, and what may not.

use crate::case::{
    BINARY, BINARY_BEGINS, CLOSE, Case, End, Frame, Judge, LAST, MIDDLE, NORMAL, PING, PONG, TEXT,
    TEXT_BEGINS, client_frames, messages,
};
use crate::servers::Kind;

/// What is sent, and what comes back.
type Exchange = (&'static str, &'static [Frame], &'static [Frame]);
/// What is sent, how many of the frames are legal, and what those earn.
type Breach = (&'static str, &'static [Frame], usize, &'static [Frame]);

const LEGAL: &[Exchange] = &[
    (
        "5.1 two fragments",
        &[(TEXT_BEGINS, b"ha"), (LAST, b"lf")],
        &[(TEXT, b"half")],
    ),
    (
        "5.2 five fragments",
        &[
            (BINARY_BEGINS, b"1"),
            (MIDDLE, b"2"),
            (MIDDLE, b"3"),
            (MIDDLE, b"4"),
            (LAST, b"5"),
        ],
        &[(BINARY, b"12345")],
    ),
    (
        "5.3 a ping between two fragments",
        &[(TEXT_BEGINS, b"ha"), (PING, b"?"), (LAST, b"lf")],
        &[(PONG, b"?"), (TEXT, b"half")],
    ),
    (
        "5.4 pings and pongs everywhere",
        &[
            (PING, b"0"),
            (TEXT_BEGINS, b"a"),
            (PING, b"1"),
            (PONG, b"x"),
            (MIDDLE, b"b"),
            (PING, b"2"),
            (PING, b""),
            (LAST, b"c"),
            (PING, b"3"),
        ],
        &[
            (PONG, b"0"),
            (PONG, b"1"),
            (PONG, b"2"),
            (PONG, b""),
            (TEXT, b"abc"),
            (PONG, b"3"),
        ],
    ),
    (
        "5.5 empty fragments",
        &[(TEXT_BEGINS, b""), (MIDDLE, b""), (LAST, b"")],
        &[(TEXT, b"")],
    ),
    (
        "5.6 empty first and last",
        &[(TEXT_BEGINS, b""), (MIDDLE, b"middle"), (LAST, b"")],
        &[(TEXT, b"middle")],
    ),
    (
        "5.7 message after message",
        &[
            (TEXT_BEGINS, b"a"),
            (LAST, b"b"),
            (BINARY_BEGINS, b"c"),
            (MIDDLE, b"d"),
            (LAST, b"e"),
            (TEXT, b"f"),
        ],
        &[(TEXT, b"ab"), (BINARY, b"cde"), (TEXT, b"f")],
    ),
];

const BREACHES: &[Breach] = &[
    (
        "5.11 a fragmented ping",
        &[(0x09, b"pi"), (LAST, b"ng")],
        0,
        &[],
    ),
    (
        "5.11 a fragmented pong",
        &[(0x0A, b"po"), (LAST, b"ng")],
        0,
        &[],
    ),
    (
        "5.11 a fragmented close",
        &[(0x08, &NORMAL), (LAST, b"")],
        0,
        &[],
    ),
    (
        "5.12 a fragmented ping inside a message",
        &[(TEXT_BEGINS, b"a"), (0x09, b"?"), (LAST, b"b")],
        1,
        &[],
    ),
    (
        "5.13 a last fragment of nothing",
        &[(LAST, b"lonely")],
        0,
        &[],
    ),
    (
        "5.13 a middle of nothing",
        &[(MIDDLE, b"lonely"), (LAST, b"too")],
        0,
        &[],
    ),
    (
        "5.13 an empty last fragment of nothing",
        &[(LAST, b"")],
        0,
        &[],
    ),
    (
        "5.14 a fragment too many",
        &[(TEXT_BEGINS, b"a"), (LAST, b"b"), (LAST, b"c")],
        2,
        &[(TEXT, b"ab")],
    ),
    (
        "5.14 a fragment after a whole message",
        &[(TEXT, b"a"), (LAST, b"b")],
        1,
        &[(TEXT, b"a")],
    ),
    (
        "5.14 a middle after a whole message",
        &[(TEXT, b"a"), (MIDDLE, b"b"), (TEXT, b"c")],
        1,
        &[(TEXT, b"a")],
    ),
    (
        "5.14 a fragment after a ping",
        &[(PING, b"?"), (MIDDLE, b"")],
        1,
        &[(PONG, b"?")],
    ),
    (
        "5.15 a text inside a text",
        &[(TEXT_BEGINS, b"a"), (TEXT, b"b")],
        1,
        &[],
    ),
    (
        "5.15 binary inside a text",
        &[(TEXT_BEGINS, b"a"), (BINARY, b""), (LAST, b"c")],
        1,
        &[],
    ),
    (
        "5.15 a text inside a text, late",
        &[
            (TEXT_BEGINS, b"a"),
            (MIDDLE, b"b"),
            (PING, b"?"),
            (TEXT, b"c"),
        ],
        3,
        &[(PONG, b"?")],
    ),
];

/// Beginnings inside a message, which fastwebsockets takes to be a message of their own.
const BEGUN_ANEW: &[(Breach, &[Frame])] = &[
    (
        (
            "5.16 a text begun inside a text",
            &[(TEXT_BEGINS, b"a"), (TEXT_BEGINS, b"b"), (LAST, b"c")],
            1,
            &[],
        ),
        &[(TEXT, b"bc")],
    ),
    (
        (
            "5.16 binary begun inside a text",
            &[
                (TEXT_BEGINS, b"a"),
                (MIDDLE, b"b"),
                (BINARY_BEGINS, b"c"),
                (LAST, b"d"),
            ],
            2,
            &[],
        ),
        &[(BINARY, b"cd")],
    ),
];

/// Family 5.
pub(crate) fn cases() -> Vec<Case> {
    let legal = LEGAL.iter();
    let mut cases: Vec<_> = legal
        .map(|(name, sent, replies)| Case::legal(*name, client_frames(sent), messages(replies)))
        .collect();
    let sent = client_frames(&[(TEXT_BEGINS, b"never"), (PING, b"?"), (CLOSE, &NORMAL)]);
    let replies = messages(&[(PONG, b"?")]);
    cases.push(Case::closing(
        "5.8 a close inside a message",
        sent,
        replies,
        &NORMAL,
    ));
    cases.extend(BREACHES.iter().map(refused));
    cases.extend(BEGUN_ANEW.iter().map(|(breach, taken)| {
        let normal = End::Close(NORMAL.to_vec());
        refused(breach).but(Kind::Fastwebsockets, messages(taken), normal)
    }));
    cases
}

fn refused((name, sent, legal, replies): &Breach) -> Case {
    let case = Case::refused(*name, client_frames(sent), Judge::Headers);
    case.after(*legal, messages(replies))
}
