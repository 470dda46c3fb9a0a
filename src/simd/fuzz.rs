//! What must hold for any key, any cuts and any bytes, in one function that the fuzzer and a property test call.

use std::ops::Range;
use std::str::from_utf8;

use super::{InvalidUtf8, Kernels, Scratch, Utf8Stream};

/// The first seven bytes of `data` are the key, the phase and two cuts, the rest is the text.
///
/// Panics when a kernel is not its definition, or when a cut changes the verdict on the text.
#[doc(hidden)]
pub fn fuzz_text(data: &[u8]) {
    let Some((&[a, b, c, d, phase, cut_one, cut_two], text)) = data.split_first_chunk() else {
        return;
    };
    let (key, phase, cuts) = ([a, b, c, d], usize::from(phase), [cut_one, cut_two]);
    follow(text, cuts, |stream, place| stream.feed(&text[place]));
    let masks = key.iter().cycle().skip(phase % 4);
    let masked: Vec<u8> = text
        .iter()
        .zip(masks)
        .map(|(byte, mask)| byte ^ mask)
        .collect();
    for kernels in Kernels::available() {
        check_kernels(kernels, (text, &masked), key, phase);
        let mut scratch = Scratch::new(kernels);
        follow(text, cuts, |stream, place| {
            let before = phase + place.start;
            scratch.unmask_and_check(&masked[place], key, before, stream)
        });
        follow(text, cuts, |stream, place| {
            let before = (phase + place.start) as u64;
            let checked = scratch.check(&masked[place], Some(key), before, stream);
            checked.map_err(|_| InvalidUtf8)
        });
    }
}

/// Feeds a stream piece by piece, and holds every verdict against that of the standard library.
fn follow(
    text: &[u8],
    cuts: [u8; 2],
    mut feed: impl FnMut(&mut Utf8Stream, Range<usize>) -> Result<(), InvalidUtf8>,
) {
    let broken = breaks_at(text);
    let mut stream = Utf8Stream::default();
    let mut cuts = cuts.into_iter().cycle();
    let mut start = 0;
    while start < text.len() {
        let end = match cuts.next() {
            None | Some(0) => text.len(),
            Some(cut) => text.len().min(start + usize::from(cut)),
        };
        let taken = feed(&mut stream, start..end);
        let expected = broken.is_none_or(|place| place >= end);
        assert_eq!(taken.is_ok(), expected, "bytes {start} to {end}");
        start = end;
    }
    assert_eq!(stream.finish().is_ok(), from_utf8(text).is_ok(), "the end");
}

/// The place of the first byte that no text goes on from. A character that only lacks its end breaks nothing.
fn breaks_at(text: &[u8]) -> Option<usize> {
    let start = from_utf8(text).err()?.valid_up_to();
    (start..text.len())
        .find(|end| from_utf8(&text[start..=*end]).is_err_and(|error| error.error_len().is_some()))
}

/// Masks into another place, and unmasks in place in two parts.
fn check_kernels(kernels: Kernels, (text, masked): (&[u8], &[u8]), key: [u8; 4], phase: usize) {
    let name = kernels.name();
    let mut out = vec![0; text.len()];
    kernels.unmask_into(text, key, phase, &mut out);
    assert_eq!(out, masked, "{name} masked wrongly");
    let is_ascii = kernels.is_ascii(masked, key, phase);
    assert_eq!(is_ascii, text.is_ascii(), "{name} sees ASCII wrongly");
    let (left, right) = out.split_at_mut(phase.min(text.len()));
    kernels.unmask_in_place(left, key, phase);
    kernels.unmask_in_place(right, key, phase + left.len());
    assert_eq!(out, text, "{name} unmasked wrongly");
}
