//! The stream of text against an automaton that reads one byte at a time.

use proptest::prelude::*;
use proptest::sample::Index;

use super::{EDGES, defined};
use crate::simd::{InvalidUtf8, Kernels, Scratch, Utf8Stream, fuzz_text};

/// The syntax of RFC 3629 section 4, one byte at a time: `tail` are the ranges that the next bytes must be in.
#[derive(Default)]
pub(super) struct Automaton {
    tail: Vec<(u8, u8)>,
}

impl Automaton {
    fn step(&mut self, byte: u8) -> Result<(), InvalidUtf8> {
        const ANY: (u8, u8) = (0x80, 0xBF);
        if let Some((low, high)) = self.tail.pop() {
            return (low..=high)
                .contains(&byte)
                .then_some(())
                .ok_or(InvalidUtf8);
        }
        // The next range stands last.
        self.tail = match byte {
            0x00..=0x7F => vec![],
            0xC2..=0xDF => vec![ANY],
            0xE0 => vec![ANY, (0xA0, 0xBF)],
            0xED => vec![ANY, (0x80, 0x9F)],
            0xE1..=0xEF => vec![ANY, ANY],
            0xF0 => vec![ANY, ANY, (0x90, 0xBF)],
            0xF1..=0xF3 => vec![ANY, ANY, ANY],
            0xF4 => vec![ANY, ANY, (0x80, 0x8F)],
            _ => return Err(InvalidUtf8),
        };
        Ok(())
    }

    /// The place of the first byte that no text goes on from.
    pub(super) fn breaks_at(text: &[u8]) -> Option<usize> {
        let mut automaton = Self::default();
        text.iter().position(|byte| automaton.step(*byte).is_err())
    }
}

/// Feeds `text` cut at `cuts`, and holds each verdict against the automaton's.
fn feed_cut(text: &[u8], cuts: &[Index]) {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
    places.extend([0, text.len()]);
    places.sort_unstable();
    let broken = Automaton::breaks_at(text);
    let mut stream = Utf8Stream::default();
    for ends in places.windows(2) {
        let fed = stream.feed(&text[ends[0]..ends[1]]);
        let expected = broken.is_none_or(|place| place >= ends[1]);
        assert_eq!(fed.is_ok(), expected, "{ends:?} of {text:x?}");
    }
    let whole = std::str::from_utf8(text).is_ok();
    assert_eq!(stream.finish().is_ok(), whole, "{text:x?}");
}

/// Bytes that begin, go on and break characters far more often than chance does, with plain text between.
pub(super) fn near_text() -> impl Strategy<Value = Vec<u8>> {
    let edges = prop::sample::select(EDGES.to_vec());
    let piece = prop_oneof![
        8 => any::<char>().prop_map(|letter| letter.to_string().into_bytes()),
        2 => (0_usize..100).prop_map(|bytes| vec![b'a'; bytes]),
        1 => edges.prop_map(|byte| vec![byte]),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 2_000 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn however_near_text_is_cut_the_verdict_is_the_automatons(
        text in near_text(), cuts in prop::collection::vec(any::<Index>(), 0..12),
    ) {
        feed_cut(&text, &cuts);
    }

    #[test]
    fn however_text_is_cut_it_is_text(
        text: String, cuts in prop::collection::vec(any::<Index>(), 0..12),
    ) {
        feed_cut(text.as_bytes(), &cuts);
    }

    #[test]
    fn however_noise_is_cut_the_verdict_is_the_automatons(
        text: Vec<u8>, cuts in prop::collection::vec(any::<Index>(), 0..12),
    ) {
        feed_cut(&text, &cuts);
    }

    #[test]
    fn whatever_the_fuzzer_may_find_holds_for_near_text_and_noise(
        choices: [u8; 7], text in prop_oneof![near_text(), any::<Vec<u8>>()],
    ) {
        fuzz_text(&[&choices, &text[..]].concat());
    }

    #[test]
    fn a_masked_payload_is_checked_as_its_text(
        text in near_text(), copies in 1_usize..40, key: [u8; 4], phase: usize, cut: Index,
    ) {
        let text = text.repeat(copies);
        let masked = defined(&text, key, phase);
        for kernels in Kernels::available() {
            let mut scratch = Scratch::new(kernels);
            let mut stream = Utf8Stream::default();
            let (left, right) = masked.split_at(cut.index(masked.len() + 1));
            let phase_after = phase % 4 + left.len();
            let fed = scratch
                .unmask_and_check(left, key, phase, &mut stream)
                .and_then(|()| scratch.unmask_and_check(right, key, phase_after, &mut stream));
            prop_assert_eq!(fed.is_ok(), Automaton::breaks_at(&text).is_none());
            prop_assert_eq!(stream.finish().is_ok(), std::str::from_utf8(&text).is_ok());
        }
    }
}

#[test]
fn all_two_bytes_and_all_edges_of_three_and_four_get_the_automatons_verdict() {
    // For Miri the bytes where a rule begins or ends are enough.
    let bytes = || (0..=255_u8).filter(|byte| !cfg!(miri) || RULES.contains(byte));
    for first in bytes() {
        for second in bytes() {
            for end in [
                &[][..],
                &[0x7F],
                &[0x80],
                &[0xBF, 0xBF],
                &[0x80, 0xC0],
                &[0x80, 0x80, 0x41],
            ] {
                let text = [&[first, second], end].concat();
                // Byte by byte, so that each verdict is compared.
                let cuts: Vec<usize> = (0..=text.len()).collect();
                let broken = Automaton::breaks_at(&text);
                let mut stream = Utf8Stream::default();
                for place in &cuts[..text.len()] {
                    let fed = stream.feed(&text[*place..=*place]);
                    assert_eq!(
                        fed.is_ok(),
                        broken.is_none_or(|at| at > *place),
                        "{text:x?}"
                    );
                }
                let mut at_once = Utf8Stream::default();
                assert_eq!(at_once.feed(&text).is_ok(), broken.is_none(), "{text:x?}");
                assert_eq!(at_once.finish(), stream.finish(), "{text:x?}");
            }
        }
    }
}

#[test]
fn what_no_text_goes_on_from_fails_at_once() {
    for start in [
        &[0x80][..],
        &[0xC0],
        &[0xC1],
        &[0xF5],
        &[0xFF],
        &[0xE0, 0x9F],
        &[0xED, 0xA0],
        &[0xF0, 0x8F],
        &[0xF4, 0x90],
        &[0xE2, 0x82, 0x41],
    ] {
        let text = [b"plain ", start].concat();
        let mut whole = Utf8Stream::default();
        assert_eq!(whole.feed(&text), Err(InvalidUtf8), "{start:x?}");
        let (before, last) = text.split_at(text.len() - 1);
        let mut cut = Utf8Stream::default();
        assert_eq!(cut.feed(before), Ok(()), "{start:x?}");
        assert_eq!(cut.feed(last), Err(InvalidUtf8), "{start:x?}");
    }
}

#[test]
fn a_broken_text_stays_broken_and_half_a_character_is_no_end() {
    let mut stream = Utf8Stream::default();
    assert_eq!(stream.feed(&[0xF5]), Err(InvalidUtf8));
    assert_eq!(stream.feed(b"fine"), Err(InvalidUtf8));
    assert_eq!(stream.feed(b""), Err(InvalidUtf8));
    assert_eq!(stream.finish(), Err(InvalidUtf8));

    let mut half = Utf8Stream::default();
    assert_eq!(half.feed("€".as_bytes().split_at(2).0), Ok(()));
    assert_eq!(half.finish(), Err(InvalidUtf8));
    assert_eq!(half.feed(&[0xAC]), Ok(()));
    assert_eq!(half.finish(), Ok(()));
}

/// Continuations and beginnings that the next byte has to fit (RFC 3629 section 4).
const RULES: &[u8] = &[0x41, 0x80, 0x9F, 0xC1, 0xC2, 0xE0, 0xED, 0xF0, 0xF4, 0xF5];
