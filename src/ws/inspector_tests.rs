//! What the inspector promises: by property over streams of every kind, and by example where a number or a place counts.

use proptest::prelude::*;

use super::frames::{FrameLimits, Inspect, Watch};
use super::header::{FrameHeader, Opcode};
use super::inspector::{Admission, Host, Inspector};
use super::inspector_fuzz::fuzz_inspector;
use super::passage::Passage;
use super::rule::Rule;
use super::scanner::{Scanner, Sender, Verdict};
use super::tests::frame;
use crate::simd::{Kernels, Scratch};

/// Streams that are nearly legal: whole messages and fragmented ones, control frames between, now and then noise.
fn stream(sender: Sender) -> impl Strategy<Value = Vec<u8>> {
    let control = control(sender);
    let close = prop::collection::vec(any::<u8>(), 0..8);
    let close = close.prop_map(move |mut payload| {
        if let Some(high) = payload.first_mut() {
            *high = 3;
        }
        frame(sender, 0x88, &payload)
    });
    let piece = prop_oneof![
        12 => message(sender),
        4 => control,
        1 => close,
        1 => prop::collection::vec(any::<u8>(), 0..12),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// A Ping or a Pong.
fn control(sender: Sender) -> impl Strategy<Value = Vec<u8>> {
    let ours = prop_oneof![
        Just(b"!ours".to_vec()),
        prop::collection::vec(any::<u8>(), 0..126)
    ];
    let control = (prop_oneof![Just(0x89_u8), Just(0x8A)], ours);
    control.prop_map(move |(first, payload)| frame(sender, first, &payload))
}

/// A message in one frame or several, with control frames between.
fn message(sender: Sender) -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof![
        8 => "\\PC{0,40}".prop_map(String::into_bytes),
        2 => (0_usize..6_000).prop_map(|bytes| "é".repeat(bytes / 2).into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
        1 => (0_usize..6_000, any::<u8>()).prop_map(|(bytes, last)| {
            let mut text = vec![b'a'; bytes];
            text.push(last);
            text
        }),
    ];
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..4);
    let compressed = prop_oneof![9 => Just(0_u8), 1 => Just(0x40_u8)];
    let message = (
        any::<bool>(),
        compressed,
        text,
        cuts,
        prop::collection::vec(control(sender), 0..2),
    );
    message.prop_map(move |(is_text, rsv, payload, cuts, between)| {
        let mut places: Vec<usize> = cuts
            .iter()
            .map(|cut| cut.index(payload.len() + 1))
            .collect();
        places.extend([0, payload.len()]);
        places.sort_unstable();
        let mut bytes = Vec::new();
        let last = places.len() - 2;
        for (number, ends) in places.windows(2).enumerate() {
            let opcode = if number > 0 {
                0
            } else {
                (2 - u8::from(is_text)) | rsv
            };
            let fin = if number == last { 0x80 } else { 0 };
            bytes.extend(frame(sender, fin | opcode, &payload[ends[0]..ends[1]]));
            if number == 0 {
                bytes.extend(between.concat());
            }
        }
        bytes
    })
}

fn chosen(sender: Sender, choice: u8, rest: [u8; 4], stream: &[u8]) -> Vec<u8> {
    let side = u8::from(sender == Sender::Backend);
    let mut data = vec![choice & !1 | side];
    data.extend(rest);
    data.extend(stream);
    data
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn however_a_clients_stream_is_cut_the_same_goes_on(
        choice: u8, rest: [u8; 4], stream in stream(Sender::Client),
    ) {
        fuzz_inspector(&chosen(Sender::Client, choice, rest, &stream));
    }

    #[test]
    fn however_a_backends_stream_is_cut_the_same_goes_on(
        choice: u8, rest: [u8; 4], stream in stream(Sender::Backend),
    ) {
        fuzz_inspector(&chosen(Sender::Backend, choice, rest, &stream));
    }

    #[test]
    fn however_noise_is_cut_the_same_goes_on(data: Vec<u8>) {
        fuzz_inspector(&data);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 50, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whoever_joins_a_clients_stream_changes_nothing(stream in stream(Sender::Client)) {
        joining_changes_nothing(Sender::Client, &stream);
    }

    #[test]
    fn whoever_joins_a_backends_stream_changes_nothing(stream in stream(Sender::Backend)) {
        joining_changes_nothing(Sender::Backend, &stream);
    }
}

/// What came of a stream that an inspector has joined.
struct Joined {
    sent: Vec<u8>,
    messages: u32,
    scanner: Scanner,
}

/// Feeds a stream as far as `cut` to a scanner alone, and then to an inspector that joins there, if it may.
fn joined(sender: Sender, stream: &[u8], cut: usize) -> Option<Joined> {
    let mut scanner = Scanner::new(sender, true);
    let before = scanner.feed(&stream[..cut]);
    if !scanner.held().is_empty() || scanner.is_closing() {
        return None;
    }
    let mut sent = stream[..before.release].to_vec();
    let mut inspector = Inspector::joining(Watch::default(), &scanner);
    let (mut scratch, mut passage) = (Scratch::new(Kernels::best()), Passage::default());
    let rest = &stream[cut..];
    let input = (&mut scanner, rest, false);
    inspector.feed(
        input,
        &mut scratch,
        &mut Indifferent(usize::MAX),
        &mut passage,
    );
    for piece in &passage.pieces {
        sent.extend_from_slice(passage.bytes(piece, rest));
    }
    Some(Joined {
        sent,
        messages: before.messages + passage.messages,
        scanner,
    })
}

/// Wherever an inspector joins that has nothing to object to, the same goes on and as many messages are counted.
fn joining_changes_nothing(sender: Sender, stream: &[u8]) {
    let mut plain = Scanner::new(sender, true);
    let whole = plain.feed(stream);
    for cut in 0..=stream.len() {
        let Some(joined) = joined(sender, stream, cut) else {
            continue;
        };
        let Joined {
            sent,
            messages,
            scanner,
        } = joined;
        // The start of a control frame may wait in the inspector.
        assert!(stream[..whole.release].starts_with(&sent), "cut at {cut}");
        if scanner.at_boundary() {
            assert_eq!(sent.len(), whole.release, "cut at {cut}");
            assert_eq!(messages, whole.messages, "cut at {cut}");
            assert_eq!(scanner.verdict(), plain.verdict(), "cut at {cut}");
        }
    }
}

/// Feeds a client's chunks and returns what goes on of each, with the verdict after the last.
fn goes_on(watch: Watch, chunks: &[&[u8]]) -> (Vec<Vec<u8>>, Verdict) {
    goes_on_within(10_000, watch, chunks)
}

/// The same, with room for what is held back to grow by so many bytes at a time.
fn goes_on_within(room: usize, watch: Watch, chunks: &[&[u8]]) -> (Vec<Vec<u8>>, Verdict) {
    let mut scanner = Scanner::new(Sender::Client, true);
    let mut inspector = Inspector::new(watch);
    let (mut scratch, mut passage) = (Scratch::new(Kernels::best()), Passage::default());
    let sent = chunks.iter().map(|chunk| {
        let input = (&mut scanner, *chunk, false);
        inspector.feed(input, &mut scratch, &mut Indifferent(room), &mut passage);
        let pieces = passage.pieces.iter();
        pieces
            .flat_map(|piece| passage.bytes(piece, chunk).to_vec())
            .collect()
    });
    (sent.collect(), scanner.verdict())
}

/// Lets everything go on, and what is held back grow by so many bytes at a time.
struct Indifferent(usize);

impl Host for Indifferent {
    fn opened(&mut self, _: &FrameHeader) {}

    fn admit(&mut self) -> Admission {
        Admission::Pass
    }

    fn admit_control(&mut self) -> Result<(), Rule> {
        Ok(())
    }

    fn data(&mut self, _: &[u8], _: Option<[u8; 4]>, _: u64, _: bool) {}

    fn control(&mut self, _: Opcode, _: &[u8]) -> bool {
        true
    }

    fn message(&mut self, _: u64, _: u32) {}

    fn only_counts(&self) -> bool {
        true
    }

    fn may_hold(&mut self, bytes: usize) -> bool {
        bytes <= self.0
    }
}

fn watching(inspect: Inspect) -> Watch {
    Watch {
        inspect,
        limits: FrameLimits::default(),
    }
}

fn client(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(Sender::Client, first, payload)
}

const BROKEN: Verdict = Verdict::Violation(Rule::InvalidUtf8);

#[test]
fn nothing_of_a_short_text_goes_on_that_turns_out_bad() {
    let bad = client(0x81, b"good until here: \xFF");
    for cut in 1..bad.len() {
        let (sent, verdict) = goes_on(watching(Inspect::Text), &[&bad[..cut], &bad[cut..]]);
        assert_eq!((sent.concat(), verdict), (vec![], BROKEN), "cut at {cut}");
    }
    let (sent, verdict) = goes_on(watching(Inspect::Headers), &[&bad]);
    assert_eq!((sent.concat(), verdict), (bad, Verdict::Pass));
}

#[test]
fn a_long_text_goes_on_up_to_the_byte_that_breaks_it() {
    let mut text = vec![b'a'; 9_000];
    text[5_000] = 0xC3;
    text[5_001] = b'x';
    let bad = client(0x81, &text);
    let (sent, verdict) = goes_on(watching(Inspect::Text), &[&bad]);
    // The header is 8 bytes, and the character could still have been one before its second byte.
    assert_eq!(
        (sent.concat(), verdict),
        (bad[..8 + 5_001].to_vec(), BROKEN)
    );
}

#[test]
fn a_message_is_held_back_until_it_is_whole_and_control_frames_go_first() {
    let (start, ping, end) = (
        client(0x01, b"a message in "),
        client(0x89, b"ping"),
        client(0x80, b"two parts"),
    );
    let (sent, verdict) = goes_on(watching(Inspect::Messages), &[&start, &ping, &end]);
    let message = [start, end].concat();
    assert_eq!(
        (sent, verdict),
        (vec![vec![], ping, message], Verdict::Pass)
    );
}

#[test]
fn compressed_text_is_not_looked_at() {
    let compressed = client(0xC1, &[0xFF; 40]);
    let (sent, verdict) = goes_on(watching(Inspect::Text), &[&compressed]);
    assert_eq!((sent.concat(), verdict), (compressed, Verdict::Pass));
}

#[test]
fn what_may_not_be_held_back_is_refused() {
    let start = client(0x02, &vec![7; 20_000]);
    let (sent, verdict) = goes_on(
        watching(Inspect::Messages),
        &[&start[..9_000], &start[9_000..19_100]],
    );
    let full = Verdict::Violation(Rule::AssemblyFull);
    assert_eq!((sent.concat(), verdict), (vec![], full));
}

#[test]
fn pings_between_fragments_are_no_way_around_the_bound() {
    let pair = [client(0x00, &[7; 3_000]), client(0x89, b"")].concat();
    let mut chunks = vec![[client(0x02, &[7; 3_000]), client(0x89, b"")].concat()];
    chunks.resize(20, pair);
    let chunks: Vec<_> = chunks.iter().map(Vec::as_slice).collect();
    let (sent, verdict) = goes_on(watching(Inspect::Messages), &chunks);
    assert_eq!(verdict, Verdict::Violation(Rule::AssemblyFull));
    assert!(sent.concat().len() < 20 * 6, "only Pings went on");
}

#[test]
fn a_short_frame_is_held_back_even_where_there_is_no_room() {
    let long = client(0x82, &vec![7; 20_000]);
    let short = client(0x81, &[b'a'; 4_000]);
    let (sent, verdict) = goes_on(
        watching(Inspect::Text),
        &[&short[..3_000], &short[3_000..], &long],
    );
    assert_eq!(
        (sent.concat(), verdict),
        ([short, long].concat(), Verdict::Pass)
    );
}

#[test]
fn empty_fragments_cannot_be_held_back_for_ever() {
    let mut many = client(0x02, b"");
    for _ in 0..crate::limits::HELD_HEADERS_BYTES_MAX / 6 {
        many.extend(client(0x00, b""));
    }
    let chunks: Vec<_> = many.chunks(5_000).collect();
    let (_, verdict) = goes_on_within(1 << 20, watching(Inspect::Messages), &chunks);
    assert_eq!(verdict, Verdict::Violation(Rule::TooManyFragments));
}
