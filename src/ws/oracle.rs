//! A second, naive reading of RFC 6455 over a whole stream, and the properties that hold the scanner to it.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::fuzz::{Direction, fuzz_scanner};
use super::rule::Rule;
use super::scanner::{Scanner, Sender, Verdict};
use super::tests::frame;

/// What a whole stream must come to.
#[derive(Debug)]
struct Expected {
    sent: usize,
    messages: u32,
    verdict: Verdict,
    boundaries: BTreeSet<usize>,
    in_message: bool,
    close_code: Option<u16>,
}

/// Reads the stream frame by frame, with the whole of it in view.
fn expect(stream: &[u8], sender: Sender, deflate: bool) -> Expected {
    let mut expected = Expected {
        sent: 0,
        messages: 0,
        verdict: Verdict::Pass,
        boundaries: BTreeSet::new(),
        in_message: false,
        close_code: None,
    };
    let mut start: u128 = 0;
    let end = stream.len() as u128;
    loop {
        let place = usize::try_from(start).expect("a frame starts inside the stream");
        expected.sent = place;
        expected.boundaries.insert(place);
        let bytes = &stream[place..];
        match read(bytes, sender, deflate, expected.in_message) {
            Err(rule) => {
                expected.verdict = Verdict::Violation(rule);
                return expected;
            }
            Ok(None) => return expected,
            Ok(Some(frame)) => {
                let is_data = frame.opcode < 8;
                if is_data {
                    expected.in_message = !frame.fin;
                }
                if frame.opcode == 8 {
                    expected.close_code = Some(frame.close_code);
                }
                start += frame.whole_bytes;
                if start > end {
                    expected.sent = stream.len();
                    return expected;
                }
                expected.messages += u32::from(is_data && frame.fin);
                if frame.opcode == 8 {
                    expected.sent += usize::try_from(frame.whole_bytes).expect("it is short");
                    expected.boundaries.insert(expected.sent);
                    expected.verdict = Verdict::Closed;
                    return expected;
                }
            }
        }
    }
}

struct Frame {
    fin: bool,
    opcode: u8,
    whole_bytes: u128,
    close_code: u16,
}

/// One frame by the letter; `None` when its header, or the code of a Close, is cut.
fn read(
    bytes: &[u8],
    sender: Sender,
    deflate: bool,
    in_message: bool,
) -> Result<Option<Frame>, Rule> {
    if bytes.len() < 2 {
        return Ok(None);
    }
    let (fin, rsv1, rsv23) = (bytes[0] >= 0x80, bytes[0] & 0x40 > 0, bytes[0] & 0x30 > 0);
    let (opcode, masked, short) = (bytes[0] % 16, bytes[1] >= 0x80, bytes[1] % 128);
    let checks = [
        (
            (3..8).contains(&opcode) || opcode > 10,
            Rule::ReservedOpcode,
        ),
        (
            rsv23 || rsv1 && !(opcode == 1 || opcode == 2),
            Rule::ReservedBits,
        ),
        (opcode > 7 && !fin, Rule::ControlFragmented),
        (opcode > 7 && short > 125, Rule::ControlTooLong),
        (opcode == 8 && short == 1, Rule::CloseLength),
        (rsv1 && !deflate, Rule::ReservedBits),
        (sender == Sender::Client && !masked, Rule::MaskMissing),
        (sender == Sender::Backend && masked, Rule::MaskPresent),
        (opcode == 0 && !in_message, Rule::ContinuationWithoutStart),
        (
            (opcode == 1 || opcode == 2) && in_message,
            Rule::DataInsideFragments,
        ),
    ];
    if let Some((_, rule)) = checks.iter().find(|(broken, _)| *broken) {
        return Err(*rule);
    }
    let Some((payload_bytes, length_bytes)) = read_length(short, &bytes[2..])? else {
        return Ok(None);
    };
    let header_bytes = 2 + length_bytes + if masked { 4 } else { 0 };
    let code_bytes = if opcode == 8 && payload_bytes > 0 {
        2
    } else {
        0
    };
    if bytes.len() < header_bytes + code_bytes {
        return Ok(None);
    }
    let mut close_code = 1005;
    if code_bytes > 0 {
        let key = if masked { [bytes[2], bytes[3]] } else { [0, 0] };
        let (high, low) = (
            bytes[header_bytes] ^ key[0],
            bytes[header_bytes + 1] ^ key[1],
        );
        close_code = u16::from(high) * 256 + u16::from(low);
        let reserved = [1004, 1005, 1006].contains(&close_code) || close_code < 1000;
        if reserved || (1015..3000).contains(&close_code) || close_code > 4999 {
            return Err(Rule::CloseCode);
        }
    }
    Ok(Some(Frame {
        fin,
        opcode,
        whole_bytes: header_bytes as u128 + payload_bytes,
        close_code,
    }))
}

/// A payload length and how many bytes it takes after the first two of its header.
type Length = (u128, usize);

fn read_length(short: u8, after: &[u8]) -> Result<Option<Length>, Rule> {
    let (length_bytes, least) = match short {
        127 => (8, 65_536),
        126 => (2, 126),
        _ => return Ok(Some((u128::from(short), 0))),
    };
    if after.len() < length_bytes {
        return Ok(None);
    }
    let mut length = 0_u128;
    for byte in &after[..length_bytes] {
        length = length * 256 + u128::from(*byte);
    }
    if length >= 1 << 63 {
        return Err(Rule::LengthTopBit);
    }
    if length < least {
        return Err(Rule::LengthNotMinimal);
    }
    Ok(Some((length, length_bytes)))
}

/// A direction with a stream that is legal, or nearly so.
#[derive(Debug, Clone)]
struct Case {
    sender: Sender,
    deflate: bool,
    stream: Vec<u8>,
}

fn cases() -> impl Strategy<Value = Case> {
    let size = prop_oneof![
        12 => 0..12_usize,
        4 => 120..132_usize,
        1 => 65_530..65_540_usize,
    ];
    let steps = prop::collection::vec((0..24_u8, size), 1..24);
    let flips = prop::collection::vec((any::<prop::sample::Index>(), 0..11_usize, 0..8_u8), 0..3);
    (
        any::<bool>(),
        any::<bool>(),
        steps,
        flips,
        any::<prop::sample::Index>(),
    )
        .prop_map(|(from_client, deflate, steps, flips, cut)| {
            let sender = if from_client {
                Sender::Client
            } else {
                Sender::Backend
            };
            let (mut stream, starts) = legal_stream(sender, deflate, &steps);
            for (which, offset, bit) in flips {
                let place = starts[which.index(starts.len())] + offset;
                if let Some(byte) = stream.get_mut(place) {
                    *byte ^= 1 << bit;
                }
            }
            if cut.index(3) == 0 {
                stream.truncate(cut.index(stream.len() + 1));
            }
            Case {
                sender,
                deflate,
                stream,
            }
        })
}

/// A legal stream and where its frames start.
fn legal_stream(sender: Sender, deflate: bool, steps: &[(u8, usize)]) -> (Vec<u8>, Vec<usize>) {
    let (mut stream, mut starts) = (Vec::new(), Vec::new());
    let mut in_message = false;
    for (choice, size) in steps {
        let rsv1 = if deflate && choice % 2 == 0 { 0x40 } else { 0 };
        let payload = vec![*choice; *size];
        let control = &payload[..payload.len().min(125)];
        let bytes = match choice {
            0 => frame(sender, 0x88, b"\x0F\xA0until later"),
            1 => frame(sender, 0x88, b""),
            2..6 => frame(sender, 0x89, control),
            6..8 => frame(sender, 0x8A, control),
            8..16 if in_message => {
                in_message = false;
                frame(sender, 0x80, &payload)
            }
            _ if in_message => frame(sender, 0x00, &payload),
            8..12 => {
                in_message = true;
                frame(sender, rsv1 | 0x02, &payload)
            }
            _ => frame(sender, rsv1 | 0x81, &payload),
        };
        starts.push(stream.len());
        stream.extend_from_slice(&bytes);
    }
    (stream, starts)
}

fn check(direction: &Direction, expected: &Expected, stream: &[u8]) {
    direction.check_against(stream);
    assert_eq!(direction.sent.len(), expected.sent);
    assert_eq!(direction.verdict, expected.verdict);
    assert_eq!(direction.messages, expected.messages);
    assert_eq!(direction.scanner.in_message(), expected.in_message);
    assert_eq!(direction.scanner.close_code(), expected.close_code);
    for boundary in &direction.boundaries {
        assert!(
            expected.boundaries.contains(boundary),
            "{boundary} is inside a frame"
        );
    }
}

proptest! {
    #[test]
    fn the_scanner_agrees_with_the_oracle_however_the_stream_is_cut(
        case in cases(),
        cuts in prop::collection::vec(prop_oneof![1..4_usize, 1..300_usize], 1..40),
    ) {
        let Case { sender, deflate, stream } = case;
        let expected = expect(&stream, sender, deflate);
        let new = || Direction::new(Scanner::new(sender, deflate));
        let (mut whole, mut pieces, mut by_boundary) = (new(), new(), new());
        whole.feed(&stream);
        let mut rest = &stream[..];
        for cut in cuts.iter().cycle() {
            let (chunk, after) = rest.split_at((*cut).min(rest.len()));
            pieces.feed(chunk);
            by_boundary.feed_by_boundary(chunk);
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        for direction in [&whole, &pieces, &by_boundary] {
            check(direction, &expected, &stream);
        }
    }

    #[test]
    fn the_oracle_agrees_byte_by_byte_at_every_place(case in cases()) {
        let Case { sender, deflate, mut stream } = case;
        stream.truncate(400);
        let mut direction = Direction::new(Scanner::new(sender, deflate));
        for place in 0..stream.len() {
            direction.feed(&stream[place..=place]);
            check(&direction, &expect(&stream[..=place], sender, deflate), &stream[..=place]);
        }
    }

    #[test]
    fn strange_bytes_keep_the_chunk_rule(data: Vec<u8>) {
        fuzz_scanner(&data);
    }
}

#[test]
fn the_generated_streams_are_legal_before_they_are_mutated() {
    for sender in [Sender::Client, Sender::Backend] {
        let steps: Vec<_> = (2..24)
            .map(|choice| (choice, usize::from(choice) * 9))
            .collect();
        let (stream, starts) = legal_stream(sender, true, &steps);
        let expected = expect(&stream, sender, true);
        assert_eq!(
            (expected.verdict, expected.sent),
            (Verdict::Pass, stream.len())
        );
        assert!(
            starts
                .iter()
                .all(|start| expected.boundaries.contains(start))
        );
    }
}
