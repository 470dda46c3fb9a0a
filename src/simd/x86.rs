//! Unmasking with the registers of x86-64: 16 bytes (SSE2), 32 (AVX2) and 64 (AVX-512 F and BW).
#![expect(
    unsafe_code,
    reason = "vector loads and stores take pointers, and wider sets are not on every processor"
)]
#![expect(
    clippy::inline_always,
    reason = "a function takes the instruction set of its caller only when it is inlined into it"
)]

use std::arch::x86_64::{
    __m128i, __m256i, __m512i, _mm_loadu_si128, _mm_set1_epi32, _mm_storeu_si128, _mm_xor_si128,
    _mm256_loadu_si256, _mm256_set1_epi32, _mm256_storeu_si256, _mm256_xor_si256,
    _mm512_loadu_si512, _mm512_mask_storeu_epi8, _mm512_maskz_loadu_epi8, _mm512_set1_epi32,
    _mm512_storeu_si512, _mm512_xor_si512,
};

use super::ascii::is_ascii;
use super::vector::{Span, Vector, unmask};

/// Unmasks in place with up to 64 bytes at a time.
#[target_feature(enable = "avx2,avx512f,avx512bw")]
pub(super) fn avx512_in_place(bytes: &mut [u8], key: [u8; 4]) {
    // SAFETY: the span is the slice, and the attribute is the set.
    unsafe { avx512(Span::in_place(bytes), key) }
}

/// Unmasks into `out` with up to 64 bytes at a time.
///
/// # Safety
/// Both slices are equally long.
#[target_feature(enable = "avx2,avx512f,avx512bw")]
pub(super) unsafe fn avx512_into(source: &[u8], key: [u8; 4], out: &mut [u8]) {
    // SAFETY: the span is the slices, equally long as the caller promises; the attribute is the set.
    unsafe { avx512(Span::between(source, out), key) }
}

/// Unmasks in place with 32 bytes at a time.
#[target_feature(enable = "avx2")]
pub(super) fn avx2_in_place(bytes: &mut [u8], key: [u8; 4]) {
    // SAFETY: the span is the slice, and the attribute is the set.
    unsafe { unmask::<__m256i>(Span::in_place(bytes), key) }
}

/// Unmasks into `out` with 32 bytes at a time.
///
/// # Safety
/// Both slices are equally long.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn avx2_into(source: &[u8], key: [u8; 4], out: &mut [u8]) {
    // SAFETY: the span is the slices, equally long as the caller promises; the attribute is the set.
    unsafe { unmask::<__m256i>(Span::between(source, out), key) }
}

/// Unmasks in place with 16 bytes at a time.
pub(super) fn sse2_in_place(bytes: &mut [u8], key: [u8; 4]) {
    // SAFETY: the span is the slice, and every x86-64 has SSE2.
    unsafe { unmask::<__m128i>(Span::in_place(bytes), key) }
}

/// Unmasks into `out` with 16 bytes at a time.
///
/// # Safety
/// Both slices are equally long.
pub(super) unsafe fn sse2_into(source: &[u8], key: [u8; 4], out: &mut [u8]) {
    // SAFETY: the span is the slices, equally long as the caller promises; every x86-64 has SSE2.
    unsafe { unmask::<__m128i>(Span::between(source, out), key) }
}

/// Looks for anything but ASCII with 32 bytes at a time.
#[target_feature(enable = "avx2")]
pub(super) fn avx2_is_ascii(bytes: &[u8], key: [u8; 4]) -> bool {
    is_ascii(bytes, key)
}

/// One or two registers of 64 bytes where they spare work, or else those of 32: off the alignment, as payloads lie, each
/// load of 64 bytes touches two cache lines, and each load of 32 only every second time. In the places
/// of `cargo bench --bench unmask`, on a Zen 4: 11.8 ns instead of 13.2 for 1 KiB, 36 instead of 42 for 4 KiB, but 4.1
/// instead of 3.6 for 100 bytes. From 32 to 64 bytes two registers of 32 do what two of 64 that overlap would: 4.4 ns
/// instead of 4.8. Fewer bytes are one masked register.
///
/// # Safety
/// As for [`unmask`]; the set is AVX-512 F and BW, and AVX2.
#[inline(always)]
unsafe fn avx512(span: Span, key: [u8; 4]) {
    match span.bytes {
        // SAFETY: the caller promises the same.
        0..=31 | 65..=128 => unsafe { unmask::<__m512i>(span, key) },
        // SAFETY: the caller promises the same.
        _ => unsafe { unmask::<__m256i>(span, key) },
    }
}

// SAFETY: both accesses are of the size of the register and ask for no alignment.
unsafe impl Vector for __m128i {
    const BYTES: usize = 16;

    #[inline(always)]
    unsafe fn splat(key: [u8; 4]) -> Self {
        // SAFETY: every x86-64 has SSE2.
        unsafe { _mm_set1_epi32(i32::from_ne_bytes(key)) }
    }

    #[inline(always)]
    unsafe fn load(source: *const u8) -> Self {
        // SAFETY: the caller promises 16 readable bytes.
        unsafe { _mm_loadu_si128(source.cast()) }
    }

    #[inline(always)]
    unsafe fn store(self, out: *mut u8) {
        // SAFETY: the caller promises 16 writable bytes.
        unsafe { _mm_storeu_si128(out.cast(), self) }
    }

    #[inline(always)]
    unsafe fn mixed(self, key: Self) -> Self {
        // SAFETY: every x86-64 has SSE2.
        unsafe { _mm_xor_si128(self, key) }
    }

    #[inline(always)]
    unsafe fn short(span: Span, key: [u8; 4]) {
        // SAFETY: the caller promises the same.
        unsafe { unmask::<u64>(span, key) }
    }
}

// SAFETY: both accesses are of the size of the register and ask for no alignment.
unsafe impl Vector for __m256i {
    const BYTES: usize = 32;

    #[inline(always)]
    unsafe fn splat(key: [u8; 4]) -> Self {
        // SAFETY: the caller promises AVX2.
        unsafe { _mm256_set1_epi32(i32::from_ne_bytes(key)) }
    }

    #[inline(always)]
    unsafe fn load(source: *const u8) -> Self {
        // SAFETY: the caller promises AVX2 and 32 readable bytes.
        unsafe { _mm256_loadu_si256(source.cast()) }
    }

    #[inline(always)]
    unsafe fn store(self, out: *mut u8) {
        // SAFETY: the caller promises AVX2 and 32 writable bytes.
        unsafe { _mm256_storeu_si256(out.cast(), self) }
    }

    #[inline(always)]
    unsafe fn mixed(self, key: Self) -> Self {
        // SAFETY: the caller promises AVX2.
        unsafe { _mm256_xor_si256(self, key) }
    }

    #[inline(always)]
    unsafe fn short(span: Span, key: [u8; 4]) {
        // SAFETY: the caller promises the same for AVX2, and that includes SSE2.
        unsafe { unmask::<__m128i>(span, key) }
    }
}

// SAFETY: both accesses are of the size of the register and ask for no alignment.
unsafe impl Vector for __m512i {
    const BYTES: usize = 64;

    #[inline(always)]
    unsafe fn splat(key: [u8; 4]) -> Self {
        // SAFETY: the caller promises AVX-512 F.
        unsafe { _mm512_set1_epi32(i32::from_ne_bytes(key)) }
    }

    #[inline(always)]
    unsafe fn load(source: *const u8) -> Self {
        // SAFETY: the caller promises AVX-512 F and 64 readable bytes.
        unsafe { _mm512_loadu_si512(source.cast()) }
    }

    #[inline(always)]
    unsafe fn store(self, out: *mut u8) {
        // SAFETY: the caller promises AVX-512 F and 64 writable bytes.
        unsafe { _mm512_storeu_si512(out.cast(), self) }
    }

    #[inline(always)]
    unsafe fn mixed(self, key: Self) -> Self {
        // SAFETY: the caller promises AVX-512 F.
        unsafe { _mm512_xor_si512(self, key) }
    }

    /// One masked register: the bytes behind the span are neither read nor written.
    #[inline(always)]
    unsafe fn short(span: Span, key: [u8; 4]) {
        let lanes = !(u64::MAX << span.bytes);
        // SAFETY: the caller promises AVX-512 BW, and the lanes are the bytes of the span.
        let loaded = unsafe { _mm512_maskz_loadu_epi8(lanes, span.source(0).cast()) };
        // SAFETY: the caller promises AVX-512 F.
        let key = unsafe { Self::splat(key) };
        // SAFETY: the caller promises AVX-512 F.
        let mixed = unsafe { loaded.mixed(key) };
        // SAFETY: as for the load.
        unsafe { _mm512_mask_storeu_epi8(span.out(0).cast(), lanes, mixed) };
    }
}
