//! Masks and unmasks a payload with its 4-byte key. The same exclusive-or does both (RFC 6455 section 5.3).

use crate::simd::Kernels;

/// Masks `payload` in place and returns the phase of the byte that follows it.
///
/// `phase` counts the payload bytes that went before, and only its remainder by four matters, so a
/// payload may be masked piece by piece: cutting it elsewhere never changes the bytes.
pub fn apply_mask(payload: &mut [u8], key: [u8; 4], phase: usize) -> usize {
    // What is masked here is a control frame: at most 125 bytes.
    Kernels::scalar().unmask_in_place(payload, key, phase);
    (phase % 4 + payload.len()) % 4
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    #[test]
    fn the_example_of_the_rfc_comes_out() {
        let mut payload = *b"Hello";
        assert_eq!(apply_mask(&mut payload, KEY, 0), 1);
        assert_eq!(payload, [0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }

    #[test]
    fn an_empty_payload_keeps_the_phase() {
        assert_eq!(apply_mask(&mut [], KEY, 7), 3);
    }

    proptest! {
        #[test]
        fn every_byte_meets_its_own_byte_of_the_key(
            payload: Vec<u8>, key: [u8; 4], phase: usize,
        ) {
            let expected: Vec<u8> = payload
                .iter()
                .enumerate()
                .map(|(place, byte)| byte ^ key[(phase % 4 + place) % 4])
                .collect();
            let mut masked = payload;
            apply_mask(&mut masked, key, phase);
            prop_assert_eq!(masked, expected);
        }

        #[test]
        fn a_cut_payload_is_masked_as_a_whole_one(
            payload: Vec<u8>, key: [u8; 4], cut: prop::sample::Index,
        ) {
            let mut whole = payload.clone();
            let phase_after = apply_mask(&mut whole, key, 0);
            let mut pieces = payload;
            let place = cut.index(pieces.len() + 1);
            let (left, right) = pieces.split_at_mut(place);
            let phase = apply_mask(left, key, 0);
            prop_assert_eq!(apply_mask(right, key, phase), phase_after);
            prop_assert_eq!(pieces, whole);
        }
    }
}
