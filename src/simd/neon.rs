//! Unmasking with the registers of aarch64: 16 bytes (NEON).
#![expect(unsafe_code, reason = "vector loads and stores take pointers")]
#![expect(
    clippy::inline_always,
    reason = "a function takes the instruction set of its caller only when it is inlined into it"
)]

use std::arch::aarch64::{
    uint8x16_t, vdupq_n_u32, veorq_u8, vld1q_u8, vreinterpretq_u8_u32, vst1q_u8,
};

use super::vector::{Span, Vector, unmask};

/// Unmasks in place with 16 bytes at a time.
#[target_feature(enable = "neon")]
pub(super) fn in_place(bytes: &mut [u8], key: [u8; 4]) {
    // SAFETY: the span is the slice, and the attribute is the set.
    unsafe { unmask::<uint8x16_t>(Span::in_place(bytes), key) }
}

/// Unmasks into `out` with 16 bytes at a time.
///
/// # Safety
/// Both slices are equally long.
#[target_feature(enable = "neon")]
pub(super) unsafe fn into(source: &[u8], key: [u8; 4], out: &mut [u8]) {
    // SAFETY: the span is the slices, equally long as the caller promises; the attribute is the set.
    unsafe { unmask::<uint8x16_t>(Span::between(source, out), key) }
}

// SAFETY: both accesses are of the size of the register and ask for no alignment.
unsafe impl Vector for uint8x16_t {
    const BYTES: usize = 16;

    #[inline(always)]
    unsafe fn splat(key: [u8; 4]) -> Self {
        // SAFETY: the caller promises NEON.
        let words = unsafe { vdupq_n_u32(u32::from_ne_bytes(key)) };
        // SAFETY: the caller promises NEON.
        unsafe { vreinterpretq_u8_u32(words) }
    }

    #[inline(always)]
    unsafe fn load(source: *const u8) -> Self {
        // SAFETY: the caller promises NEON and 16 readable bytes.
        unsafe { vld1q_u8(source) }
    }

    #[inline(always)]
    unsafe fn store(self, out: *mut u8) {
        // SAFETY: the caller promises NEON and 16 writable bytes.
        unsafe { vst1q_u8(out, self) }
    }

    #[inline(always)]
    unsafe fn mixed(self, key: Self) -> Self {
        // SAFETY: the caller promises NEON.
        unsafe { veorq_u8(self, key) }
    }

    #[inline(always)]
    unsafe fn short(span: Span, key: [u8; 4]) {
        // SAFETY: the caller promises the same.
        unsafe { unmask::<u64>(span, key) }
    }
}
