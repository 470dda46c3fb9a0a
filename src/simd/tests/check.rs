//! The look into masked payloads with every kernel, against the automaton and the standard library, and above all
//! where characters lie across the borders of registers.

use std::str::from_utf8;

use proptest::prelude::*;
use proptest::sample::Index;

use super::text::{Automaton, near_text};
use super::{EDGES, KEY, defined};
use crate::simd::{Kernels, Scratch, Utf8Stream};

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 3 } else { 1_000 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn however_a_payload_is_cut_it_breaks_at_the_byte_that_the_automaton_names(
        text in near_text(), before in 0_usize..200, copies in 1_usize..20, is_masked: bool,
        phase in 0_usize..4, cuts in prop::collection::vec(any::<Index>(), 0..6),
    ) {
        let text = [vec![b'a'; before], text.repeat(copies)].concat();
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        places.extend([0, text.len()]);
        places.sort_unstable();
        let key = is_masked.then_some(KEY);
        let payload = defined(&text, key.unwrap_or_default(), phase);
        for kernels in Kernels::available() {
            let mut scratch = Scratch::new(kernels);
            let mut stream = Utf8Stream::default();
            let broken = places.windows(2).find_map(|ends| {
                let came = (phase + ends[0]) as u64;
                let checked = scratch.check(&payload[ends[0]..ends[1]], key, came, &mut stream);
                checked.err().map(|place| ends[0] + place)
            });
            prop_assert_eq!(broken, Automaton::breaks_at(&text), "{} {:x?}", kernels.name(), text);
            prop_assert_eq!(stream.finish().is_ok(), from_utf8(&text).is_ok());
        }
    }
}

/// Whether text stands around `piece`, which begins at `place`, for the fastest kernels as for the standard library.
/// What stands around is ASCII or not, so that each way through the kernel comes by.
fn compare(scratch: &mut Scratch, piece: &[u8], place: usize, around: &str) {
    let mut text = [0; 200];
    let filled = around.repeat(text.len() / around.len());
    text[..filled.len()].copy_from_slice(filled.as_bytes());
    // No character of the surroundings may be cut: the piece alone decides.
    let start = place / around.len() * around.len();
    let end = (place + piece.len()).next_multiple_of(around.len());
    text[start..end].fill(b'.');
    text[place..][..piece.len()].copy_from_slice(piece);
    let expected = from_utf8(&text).is_ok();
    assert_eq!(scratch.is_text(&text, None), expected, "{piece:x?} {place}");
}

/// The places of a piece before, on and behind the borders of registers of 16, 32 and 64 bytes.
fn places() -> impl Iterator<Item = usize> + Clone {
    [16, 32, 64, 128, 192]
        .into_iter()
        .flat_map(|border| border - 4..=border)
}

#[test]
fn all_two_bytes_are_judged_as_by_the_standard_library_wherever_they_stand() {
    let mut scratch = Scratch::new(Kernels::best());
    let bytes = || (0..=255_u8).filter(|byte| !cfg!(miri) || EDGES.contains(byte));
    let mut places = places().cycle().step_by(if cfg!(miri) { 7 } else { 1 });
    for first in bytes().step_by(if cfg!(miri) { 13 } else { 1 }) {
        for second in bytes() {
            let place = places.next().expect("invariant: it goes on for ever");
            for ends in [&[][..], &[0x80], &[0x80, 0xBF]] {
                compare(&mut scratch, &[&[first, second], ends].concat(), place, "é");
            }
        }
    }
}

#[test]
fn all_edges_of_two_bytes_are_judged_so_at_every_place_of_a_register() {
    let mut scratch = Scratch::new(Kernels::best());
    let edges = || EDGES.iter().step_by(if cfg!(miri) { 9 } else { 1 });
    for (first, second) in edges().flat_map(|first| edges().map(move |second| (first, second))) {
        for place in (60..130).step_by(if cfg!(miri) { 17 } else { 1 }) {
            compare(&mut scratch, &[*first, *second], place, "a");
        }
    }
}

#[test]
fn all_edges_of_three_bytes_are_judged_so_at_every_border() {
    let mut scratch = Scratch::new(Kernels::best());
    let edges = || EDGES.iter().step_by(if cfg!(miri) { 9 } else { 1 });
    for first in edges() {
        for (second, third) in edges().flat_map(|second| edges().map(move |third| (second, third)))
        {
            for place in places().step_by(if cfg!(miri) { 9 } else { 1 }) {
                compare(&mut scratch, &[*first, *second, *third], place, "a");
            }
        }
    }
}

#[test]
fn all_edges_of_four_bytes_are_judged_so_across_a_border() {
    let mut scratch = Scratch::new(Kernels::best());
    let edges = || EDGES.iter().step_by(if cfg!(miri) { 13 } else { 2 });
    let mut place = 61;
    for first in EDGES.iter().filter(|edge| **edge >= 0xDF) {
        for (second, third) in edges().flat_map(|second| edges().map(move |third| (second, third)))
        {
            for fourth in edges() {
                compare(
                    &mut scratch,
                    &[*first, *second, *third, *fourth],
                    place,
                    "東",
                );
                place = 61 + (place - 60) % 4;
            }
        }
    }
}

#[test]
fn each_character_is_whole_at_every_place_and_broken_without_any_byte_of_it() {
    let mut scratch = Scratch::new(Kernels::best());
    for letter in [
        "é",
        "\u{7FF}",
        "\u{800}",
        "東",
        "\u{FFFF}",
        "🚀",
        "\u{10FFFF}",
    ] {
        for place in (0..196).step_by(if cfg!(miri) { 61 } else { 1 }) {
            compare(&mut scratch, letter.as_bytes(), place, "a");
            for without in 0..letter.len() {
                let mut piece = letter.as_bytes().to_vec();
                piece.remove(without);
                compare(&mut scratch, &piece, place, "a");
            }
        }
    }
}
