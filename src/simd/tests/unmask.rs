//! Every kernel this processor has, over lengths, alignments and phases, against its definition.

use super::{KEY, defined};
use crate::simd::Kernels;

fn noise(bytes: usize) -> Vec<u8> {
    (0..bytes)
        .map(|place| (place * 167 + place / 251).to_le_bytes()[0])
        .collect()
}

/// Unmasks `bytes` bytes that lie `skew` bytes behind a multiple of 64, both ways, and looks around them too.
fn compare(kernels: Kernels, bytes: usize, (skew, skew_out): (usize, usize), phase: usize) {
    let what = || format!("{} {bytes} {skew} {skew_out} {phase}", kernels.name());
    let mut from = vec![0; bytes + 256];
    let mut to = vec![EDGE; bytes + 256];
    let start = from.as_ptr().align_offset(64) + skew;
    let start_out = to.as_ptr().align_offset(64) + skew_out;
    from.copy_from_slice(&noise(bytes + 256));
    let untouched = from.clone();
    let expected = defined(&from[start..][..bytes], KEY, phase);

    kernels.unmask_into(
        &from[start..][..bytes],
        KEY,
        phase,
        &mut to[start_out..][..bytes],
    );
    assert_eq!(from, untouched, "{}", what());
    assert_eq!(to[start_out..][..bytes], expected, "{}", what());
    let around = [&to[..start_out], &to[start_out + bytes..]].concat();
    assert!(around.iter().all(|byte| *byte == EDGE), "{}", what());

    kernels.unmask_in_place(&mut from[start..][..bytes], KEY, phase);
    assert_eq!(from[start..][..bytes], expected, "{}", what());
    assert_eq!(from[..start], untouched[..start], "{}", what());
    assert_eq!(
        from[start + bytes..],
        untouched[start + bytes..],
        "{}",
        what()
    );
}

#[test]
fn every_kernel_finds_whatever_is_not_ascii_wherever_it_stands() {
    let lengths: &[usize] = if cfg!(miri) {
        &[0, 1, 9, 33, 300]
    } else {
        &[
            0, 1, 7, 8, 9, 31, 32, 33, 64, 255, 256, 257, 300, 511, 513, 770,
        ]
    };
    for kernels in Kernels::available() {
        for (bytes, phase) in lengths.iter().flat_map(|bytes| [(*bytes, 0), (*bytes, 3)]) {
            let text: Vec<u8> = noise(bytes).iter().map(|byte| byte & 0x7F).collect();
            let masked = defined(&text, KEY, phase);
            assert!(kernels.is_ascii(&masked, KEY, phase), "{bytes} {phase}");
            assert!(kernels.is_ascii(&text, [0; 4], phase), "{bytes} {phase}");
            for place in (0..bytes).step_by(if cfg!(miri) { 29 } else { 1 }) {
                let mut other = masked.clone();
                other[place] ^= 0x80;
                assert!(!kernels.is_ascii(&other, KEY, phase), "{bytes} {place}");
            }
        }
    }
}

#[test]
fn every_kernel_is_its_definition_at_every_length_and_alignment() {
    // Miri takes a few of each: the ends of every register, and what lies between.
    let lengths: Vec<usize> = if cfg!(miri) {
        vec![
            0, 1, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 129, 200, 400,
        ]
    } else {
        (0..=200)
            .chain([255, 256, 257, 319, 320, 321, 511, 513, 1023, 4099])
            .collect()
    };
    let skews = (0..64).step_by(if cfg!(miri) { 37 } else { 1 });
    for kernels in Kernels::available() {
        for skew in skews.clone() {
            for bytes in &lengths {
                // The other slice lies elsewhere, and all phases come by at each length.
                compare(
                    kernels,
                    *bytes,
                    (skew, (skew * 5 + bytes) % 64),
                    skew + bytes / 3,
                );
            }
        }
    }
}

#[test]
fn every_kernel_takes_every_phase() {
    let phases: &[usize] = if cfg!(miri) {
        &[2, usize::MAX]
    } else {
        &[0, 1, 2, 3, 4, 5, 6, 7, usize::MAX]
    };
    for kernels in Kernels::available() {
        for phase in phases.iter().copied() {
            let large = if cfg!(miri) { 333 } else { 70_001 };
            for bytes in [1, 5, 13, 29, 61, 125, large] {
                compare(kernels, bytes, (3, 50), phase);
            }
        }
    }
}

#[test]
fn every_kernel_reads_the_example_of_the_rfc() {
    for kernels in Kernels::available() {
        let mut payload = [0x7F, 0x9F, 0x4D, 0x51, 0x58];
        kernels.unmask_in_place(&mut payload, KEY, 0);
        assert_eq!(&payload, b"Hello", "{}", kernels.name());
    }
}

#[test]
fn the_best_kernels_come_first_and_the_plain_ones_last() {
    let names: Vec<&str> = Kernels::available().map(Kernels::name).collect();
    assert_eq!(names[0], Kernels::best().name());
    assert_eq!(names.last(), Some(&"scalar"));
    if cfg!(target_arch = "x86_64") {
        assert!(names.contains(&"sse2"), "{names:?}");
    }
    if cfg!(target_arch = "aarch64") {
        assert_eq!(names, ["neon", "scalar"]);
    }
}

/// Miri believes the compiler's flags about the processor, so without them it would pass over most kernels.
#[cfg(miri)]
#[test]
fn miri_runs_every_kernel_of_its_architecture() {
    let names: Vec<&str> = Kernels::available().map(Kernels::name).collect();
    let all: &[&str] = match std::env::consts::ARCH {
        "x86_64" => &["avx512", "avx2", "sse2", "scalar"],
        "aarch64" => &["neon", "scalar"],
        _ => &["scalar"],
    };
    assert_eq!(names, all, "run Miri as CONTRIBUTING.md says");
}

#[test]
#[should_panic(expected = "as long as the payload")]
fn unequal_slices_are_refused_before_a_byte_is_read() {
    Kernels::best().unmask_into(&[0; 64], KEY, 0, &mut [0; 63]);
}

/// What may not be written to.
const EDGE: u8 = 0xEE;
