//! What the scanner promises: every rule, every legal thing, where it stops and what it withholds.

use super::close;
use super::fuzz::Direction;
use super::header::{FrameHeader, Opcode, RSV1};
use super::mask::apply_mask;
use super::rule::Rule;
use super::scanner::{Scanner, Sender, Verdict};
use crate::limits::FRAME_HEADER_BYTES_MAX;

const KEY: [u8; 4] = [0xA1, 0xB2, 0xC3, 0xD4];

/// A frame as `sender` writes it, with any opcode and flags in its first byte.
pub(super) fn frame(sender: Sender, first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = sender.masks().then_some(KEY);
    let header = FrameHeader {
        fin: true,
        rsv: 0,
        opcode: Opcode::Binary,
        mask,
        payload_bytes: payload.len() as u64,
    };
    let mut room = [0; FRAME_HEADER_BYTES_MAX];
    let header_bytes = header.encode(&mut room);
    room[0] = first;
    let mut bytes = room[..header_bytes].to_vec();
    bytes.extend_from_slice(payload);
    if mask.is_some() {
        apply_mask(&mut bytes[header_bytes..], KEY, 0);
    }
    bytes
}

fn client(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(Sender::Client, first, payload)
}

fn backend(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(Sender::Backend, first, payload)
}

/// Runs a stream in one piece, byte by byte, and byte by byte up to boundaries; all must agree.
fn run(scanner: &Scanner, stream: &[u8]) -> Direction {
    let mut whole = Direction::new(scanner.clone());
    whole.feed(stream);
    whole.check_against(stream);
    for to_boundaries in [false, true] {
        let mut bytewise = Direction::new(scanner.clone());
        for byte in stream.chunks(1) {
            if to_boundaries {
                bytewise.feed_by_boundary(byte);
            } else {
                bytewise.feed(byte);
            }
        }
        bytewise.check_against(stream);
        assert_eq!(bytewise.sent, whole.sent);
        assert_eq!(bytewise.verdict, whole.verdict);
        assert_eq!(bytewise.messages, whole.messages);
    }
    whole
}

#[test]
fn every_broken_rule_is_named_and_stops_at_the_frame_before() {
    let mut broken_frames = [broken_lengths(), broken_flags(), broken_closes()].concat();
    for number in (0x3..=0x7).chain(0xB..=0xF) {
        let (client, backend) = (client(0x80 | number, b"x"), backend(number, b"x"));
        broken_frames.push((Sender::Client, client, Rule::ReservedOpcode));
        broken_frames.push((Sender::Backend, backend, Rule::ReservedOpcode));
    }
    for (sender, broken, rule) in broken_frames {
        let before = [frame(sender, 0x81, b"hello"), frame(sender, 0x89, b"")].concat();
        let stream = [before.clone(), broken, frame(sender, 0x81, b"lost")].concat();
        let direction = run(&Scanner::new(sender, false), &stream);
        assert_eq!(direction.verdict, Verdict::Violation(rule));
        assert_eq!(direction.sent, before, "{rule:?}");
        assert_eq!(direction.messages, 1);
    }
}

type Broken = (Sender, Vec<u8>, Rule);

fn broken_lengths() -> Vec<Broken> {
    let masked_64 = |length: u64| [&[0x82, 0xFF], &length.to_be_bytes()[..]].concat();
    let bare_64 = |length: u64| [&[0x82, 0x7F], &length.to_be_bytes()[..]].concat();
    vec![
        (Sender::Client, masked_64(1 << 63), Rule::LengthTopBit),
        (Sender::Backend, bare_64(u64::MAX), Rule::LengthTopBit),
        (
            Sender::Client,
            vec![0x82, 0xFE, 0, 125],
            Rule::LengthNotMinimal,
        ),
        (Sender::Client, masked_64(0), Rule::LengthNotMinimal),
        (Sender::Backend, bare_64(65_535), Rule::LengthNotMinimal),
        (
            Sender::Client,
            client(0x89, &[0; 126]),
            Rule::ControlTooLong,
        ),
        (
            Sender::Backend,
            backend(0x88, &vec![0; 70_000]),
            Rule::ControlTooLong,
        ),
    ]
}

fn broken_flags() -> Vec<Broken> {
    vec![
        (Sender::Client, client(0x09, b""), Rule::ControlFragmented),
        (Sender::Backend, backend(0x08, b""), Rule::ControlFragmented),
        (Sender::Client, client(0xA1, b"x"), Rule::ReservedBits),
        (Sender::Backend, backend(0x91, b"x"), Rule::ReservedBits),
        (Sender::Client, client(0xC1, b"x"), Rule::ReservedBits),
        (Sender::Backend, backend(0xC9, b"x"), Rule::ReservedBits),
        (Sender::Client, backend(0x81, b"x"), Rule::MaskMissing),
        (Sender::Client, backend(0x89, b""), Rule::MaskMissing),
        (Sender::Backend, client(0x82, b"x"), Rule::MaskPresent),
        (Sender::Backend, client(0x8A, b""), Rule::MaskPresent),
        (
            Sender::Client,
            client(0x80, b"x"),
            Rule::ContinuationWithoutStart,
        ),
        (
            Sender::Backend,
            backend(0x00, b"x"),
            Rule::ContinuationWithoutStart,
        ),
    ]
}

fn broken_closes() -> Vec<Broken> {
    let unsendable = 1006_u16.to_be_bytes();
    vec![
        (Sender::Client, client(0x88, &[3]), Rule::CloseLength),
        (Sender::Backend, backend(0x88, &[3]), Rule::CloseLength),
        (Sender::Client, client(0x88, &unsendable), Rule::CloseCode),
        (Sender::Backend, backend(0x88, &unsendable), Rule::CloseCode),
    ]
}

#[test]
fn a_message_inside_a_fragmented_one_is_refused() {
    for second in [0x01, 0x81, 0x02, 0x82] {
        let start = client(0x01, b"one");
        let stream = [start.clone(), client(second, b"two")].concat();
        let direction = run(&Scanner::new(Sender::Client, false), &stream);
        assert_eq!(
            direction.verdict,
            Verdict::Violation(Rule::DataInsideFragments)
        );
        assert_eq!(direction.sent, start);
        assert!(direction.scanner.in_message());
    }
}

#[test]
fn legal_streams_pass_whole() {
    let mid_fragments = [
        client(0x01, b"a"),
        client(0x89, b"ping"),
        client(0x00, b""),
        client(0x8A, &[0; 125]),
        client(0x80, b"c"),
        client(0x82, b"next"),
    ];
    let cases = [
        (Sender::Client, Vec::new(), 0),
        (Sender::Client, client(0x81, b""), 1),
        (Sender::Backend, backend(0x82, &[7; 125]), 1),
        (Sender::Client, client(0x82, &[7; 126]), 1),
        (Sender::Backend, backend(0x82, &vec![7; 65_535]), 1),
        (Sender::Client, client(0x82, &vec![7; 65_536]), 1),
        (Sender::Client, mid_fragments.concat(), 2),
        (Sender::Backend, backend(0x8A, b"unasked"), 0),
        (Sender::Backend, backend(0x81, b"x").repeat(1000), 1000),
    ];
    for (sender, stream, messages) in cases {
        let direction = run(&Scanner::new(sender, false), &stream);
        assert_eq!(direction.verdict, Verdict::Pass);
        assert_eq!(direction.sent, stream);
        assert_eq!(direction.messages, messages);
        assert!(direction.scanner.at_boundary() && !direction.scanner.in_message());
        assert_eq!(direction.scanner.close_code(), None);
    }
}

#[test]
fn rsv1_opens_a_deflated_message_and_stands_nowhere_else() {
    let scanner = Scanner::new(Sender::Client, true);
    let rsv1 = RSV1 << 4;
    let stream = [
        client(0x81 | rsv1, b"whole"),
        client(0x82, b"not compressed"),
        client(0x02 | rsv1, b"first"),
        client(0x80, b"last"),
    ];
    assert_eq!(run(&scanner, &stream.concat()).verdict, Verdict::Pass);

    let start = client(0x01 | rsv1, b"first");
    for first in [
        0x80 | rsv1,
        0x89 | rsv1,
        0x88 | rsv1,
        0x80 | rsv1 >> 1,
        0x90,
    ] {
        let direction = run(&scanner, &[start.clone(), client(first, b"")].concat());
        assert_eq!(
            direction.verdict,
            Verdict::Violation(Rule::ReservedBits),
            "{first:02x}"
        );
        assert_eq!(direction.sent, start);
    }
}

#[test]
fn a_close_ends_its_direction_and_what_follows_is_dropped() {
    for sender in [Sender::Client, Sender::Backend] {
        let cases: [(&[u8], u16); 4] = [
            (b"", close::NO_CODE),
            (b"\x03\xE8", close::NORMAL),
            (b"\x03\xE9going", close::GOING_AWAY),
            (b"\x13\x87", 4999),
        ];
        for (payload, code) in cases {
            let legal = [frame(sender, 0x01, b"open"), frame(sender, 0x88, payload)].concat();
            let stream = [legal.clone(), frame(sender, 0x83, b"never read")].concat();
            let direction = run(&Scanner::new(sender, false), &stream);
            assert_eq!(direction.verdict, Verdict::Closed);
            assert_eq!(direction.sent, legal);
            assert_eq!(direction.scanner.close_code(), Some(code));
        }
    }
}

#[test]
fn every_close_code_passes_or_not_as_the_registry_says() {
    for code in 0..=u16::MAX {
        let mut scanner = Scanner::new(Sender::Client, false);
        let scan = scanner.feed(&client(0x88, &code.to_be_bytes()));
        if close::may_travel(code) {
            assert_eq!((scan.verdict, scan.release), (Verdict::Closed, 8));
            assert_eq!(scanner.close_code(), Some(code));
        } else {
            assert_eq!(scan.verdict, Verdict::Violation(Rule::CloseCode));
            assert_eq!((scan.release, scan.boundary), (0, Some(0)));
            assert_eq!(scanner.close_code(), None);
        }
    }
}

#[test]
fn a_close_header_waits_for_its_code() {
    let stream = client(0x88, b"\x03\xE8bye");
    let mut scanner = Scanner::new(Sender::Client, false);
    assert_eq!(scanner.feed(&stream[..7]).release, 0);
    assert_eq!(scanner.held(), &stream[..7]);
    assert!(scanner.at_boundary());

    let scan = scanner.feed(&stream[7..9]);
    assert_eq!(scan.prefix.as_bytes(), &stream[..7]);
    assert_eq!(
        (scan.release, scan.boundary, scan.verdict),
        (2, None, Verdict::Pass)
    );
    assert_eq!(scanner.close_code(), Some(1000));
    assert!(!scanner.at_boundary());

    let scan = scanner.feed(&stream[9..]);
    assert_eq!(
        (scan.release, scan.boundary, scan.verdict),
        (2, Some(2), Verdict::Closed)
    );
}

#[test]
fn a_cut_header_is_withheld_and_goes_before_the_next_chunk() {
    let stream = [client(0x81, b"one"), client(0x82, &[5; 300])].concat();
    let mut scanner = Scanner::new(Sender::Client, false);
    let scan = scanner.feed(&stream[..12]);
    assert_eq!(
        (scan.release, scan.boundary, scan.messages),
        (9, Some(9), 1)
    );
    assert_eq!(scanner.held(), &stream[9..12]);
    assert!(scanner.at_boundary());

    let scan = scanner.feed(&stream[12..]);
    assert_eq!(scan.prefix.as_bytes(), &stream[9..12]);
    assert_eq!((scan.release, scan.messages), (stream.len() - 12, 1));
    assert_eq!(scan.boundary, Some(scan.release));
    assert!(scanner.held().is_empty());
}

#[test]
fn the_boundary_before_a_prefix_has_no_place_in_the_chunk() {
    let stream = client(0x82, b"payload");
    let mut scanner = Scanner::new(Sender::Client, false);
    scanner.feed(&stream[..3]);
    let scan = scanner.feed(&stream[3..8]);
    assert_eq!(
        (scan.prefix.len(), scan.release, scan.boundary),
        (3, 5, None)
    );
    assert!(!scanner.at_boundary());
}

#[test]
fn a_final_verdict_stays_and_releases_nothing() {
    for bad in [client(0x83, b""), client(0x88, b"")] {
        let mut scanner = Scanner::new(Sender::Client, false);
        let verdict = scanner.feed(&bad).verdict;
        for chunk in [&client(0x81, b"more")[..], b""] {
            let scan = scanner.feed(chunk);
            assert_eq!((scan.verdict, scan.release, scan.messages), (verdict, 0, 0));
            assert!(scanner.held().is_empty());
            assert_eq!(scanner.feed_to_boundary(chunk).release, 0);
        }
    }
}

#[test]
fn feeding_to_a_boundary_stops_behind_the_frame_under_way() {
    let stream = [backend(0x01, b"first"), backend(0x80, b"last")].concat();
    let mut scanner = Scanner::new(Sender::Backend, false);
    let at_start = scanner.feed_to_boundary(&stream);
    assert_eq!((at_start.release, at_start.boundary), (0, Some(0)));

    scanner.feed(&stream[..4]);
    let inside = scanner.feed_to_boundary(&stream[4..5]);
    assert_eq!((inside.release, inside.boundary), (1, None));
    let rest = scanner.feed_to_boundary(&stream[5..]);
    assert_eq!(
        (rest.release, rest.boundary, rest.messages),
        (2, Some(2), 0)
    );
    assert!(scanner.in_message());
    let scan = scanner.feed(&stream[7..]);
    assert_eq!((scan.release, scan.messages), (6, 1));
}

#[test]
fn a_declared_length_costs_nothing() {
    let mut scanner = Scanner::new(Sender::Backend, false);
    let header = [0x82, 0x7F, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
    assert_eq!(scanner.feed(&header).release, header.len());
    let scan = scanner.feed(&[0; 4096]);
    assert_eq!(
        (scan.release, scan.boundary, scan.messages),
        (4096, None, 0)
    );
}
