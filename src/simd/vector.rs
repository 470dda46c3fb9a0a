//! How a payload is walked in registers of any width; the instruction sets only say how one register is
//! loaded, mixed and stored.
//!
//! ```text
//!  short: |first ...... first|
//!                  |last ...... last|
//!
//!  long:  |first ...........|
//!             |body: aligned, four at a time .......... |
//!                                        |............ last|
//! ```
//!
//! `first` and `last` are loaded before anything is stored, and stored when the body is done. Where they
//! overlap, both hold the same bytes; so no byte is mixed twice in place, and none needs a loop of its own.
//! Up to eight registers are ends alone: one, two or four at each.
#![expect(
    unsafe_code,
    reason = "vector loads and stores take pointers, and the same walk serves one place and two"
)]
#![expect(
    clippy::inline_always,
    reason = "a function takes the instruction set of its caller only when it is inlined into it"
)]

use std::ptr;

use super::scalar::turned;

/// Some bytes that are loaded, mixed and stored at once.
///
/// # Safety
/// `load` reads and `store` writes exactly `BYTES` bytes, at any alignment.
pub(super) unsafe trait Vector: Copy {
    const BYTES: usize;

    /// The key, as often as it fits.
    ///
    /// # Safety
    /// The processor has this instruction set.
    unsafe fn splat(key: [u8; 4]) -> Self;

    /// # Safety
    /// The processor has this instruction set, and `BYTES` bytes at `source` may be read.
    unsafe fn load(source: *const u8) -> Self;

    /// # Safety
    /// The processor has this instruction set, and `BYTES` bytes at `out` may be written.
    unsafe fn store(self, out: *mut u8);

    /// # Safety
    /// The processor has this instruction set.
    unsafe fn mixed(self, key: Self) -> Self;

    /// Unmasks less than `BYTES` bytes.
    ///
    /// # Safety
    /// As for [`unmask`].
    unsafe fn short(span: Span, key: [u8; 4]);
}

/// What is read and what is written: the same bytes, or two places that share none.
#[derive(Clone, Copy)]
pub(super) struct Span {
    source: *const u8,
    out: *mut u8,
    pub(super) bytes: usize,
}

impl Span {
    #[inline(always)]
    pub(super) const fn in_place(bytes: &mut [u8]) -> Self {
        let out = bytes.as_mut_ptr();
        Self {
            source: out,
            out,
            bytes: bytes.len(),
        }
    }

    /// The caller sees to it that both are equally long.
    #[inline(always)]
    pub(super) const fn between(source: &[u8], out: &mut [u8]) -> Self {
        Self {
            source: source.as_ptr(),
            out: out.as_mut_ptr(),
            bytes: out.len(),
        }
    }

    /// Where the byte at `place` is read; whoever reads says why it lies inside.
    #[inline(always)]
    pub(super) const fn source(self, place: usize) -> *const u8 {
        self.source.wrapping_add(place)
    }

    /// Where the byte at `place` is written.
    #[inline(always)]
    pub(super) const fn out(self, place: usize) -> *mut u8 {
        self.out.wrapping_add(place)
    }
}

/// Unmasks `span` with a key that has been turned to its first byte.
///
/// # Safety
/// The processor has the instruction set of `V`; all of the span may be read at its source and written at its
/// out, and these are the same place or share no byte.
#[inline(always)]
pub(super) unsafe fn unmask<V: Vector>(span: Span, key: [u8; 4]) {
    if span.bytes < V::BYTES {
        // SAFETY: the caller promises the same as `short` asks for.
        return unsafe { V::short(span, key) };
    }
    match span.bytes.div_ceil(V::BYTES) {
        // SAFETY: the caller's promises are passed on, and the span is at least one register long.
        0..=2 => unsafe { ends::<V, 1>(span, key) },
        // SAFETY: the caller's promises are passed on, and the span is longer than two registers.
        3..=4 => unsafe { ends::<V, 2>(span, key) },
        // SAFETY: the caller's promises are passed on, and the span is longer than four registers.
        5..=8 => unsafe { ends::<V, 4>(span, key) },
        // SAFETY: the caller's promises are passed on, and the span is longer than eight registers.
        _ => unsafe { long::<V>(span, key) },
    }
}

/// Unmasks a span that its first and its last `N` registers cover; they may overlap.
///
/// # Safety
/// As for [`unmask`], and the span is `N` to 2 × `N` registers long.
#[inline(always)]
unsafe fn ends<V: Vector, const N: usize>(span: Span, key: [u8; 4]) {
    let last_at = span.bytes - N * V::BYTES;
    // SAFETY: the span is `N` registers long or more, and the caller vouches for it.
    let first = unsafe { loaded::<V, N>(span, 0, key) };
    // SAFETY: `last_at` and `N` registers more is the end of the span.
    let last = unsafe { loaded::<V, N>(span, last_at, key) };
    // SAFETY: as for the load of `first`.
    unsafe { stored(span, 0, first) };
    // SAFETY: as for the load of `last`.
    unsafe { stored(span, last_at, last) };
}

/// Unmasks any span that is longer than two registers.
///
/// # Safety
/// As for [`unmask`], and the span is that long.
#[inline(always)]
unsafe fn long<V: Vector>(span: Span, key: [u8; 4]) {
    let last_at = span.bytes - V::BYTES;
    // SAFETY: the span is longer than two registers, and the caller vouches for it.
    let first = unsafe { loaded::<V, 1>(span, 0, key) };
    // SAFETY: `last_at` and one register more is the end of the span.
    let last = unsafe { loaded::<V, 1>(span, last_at, key) };
    // SAFETY: the caller's promises are passed on.
    unsafe { body::<V>(span, key) };
    // SAFETY: as for the load of `first`.
    unsafe { stored(span, 0, first) };
    // SAFETY: as for the load of `last`.
    unsafe { stored(span, last_at, last) };
}

/// `N` registers from `place` on, unmasked but not yet stored.
///
/// # Safety
/// As for [`unmask`], and `N` registers from `place` on lie inside of the span.
#[inline(always)]
unsafe fn loaded<V: Vector, const N: usize>(span: Span, place: usize, key: [u8; 4]) -> [V; N] {
    // SAFETY: the caller promises that the processor has the set.
    let key = unsafe { V::splat(turned(key, place)) };
    let mut registers = [key; N];
    for (lane, register) in registers.iter_mut().enumerate() {
        // SAFETY: the caller promises that the register lies inside of the span.
        let masked = unsafe { V::load(span.source(place + lane * V::BYTES)) };
        // SAFETY: the caller promises that the processor has the set.
        *register = unsafe { masked.mixed(key) };
    }
    registers
}

/// # Safety
/// As for [`unmask`], and `N` registers from `place` on lie inside of the span.
#[inline(always)]
unsafe fn stored<V: Vector, const N: usize>(span: Span, place: usize, registers: [V; N]) {
    for (lane, register) in registers.into_iter().enumerate() {
        // SAFETY: the caller promises that the register lies inside of the span.
        unsafe { register.store(span.out(place + lane * V::BYTES)) };
    }
}

/// Unmasks from the first aligned place of `out` on, as far as whole registers go.
///
/// # Safety
/// As for [`unmask`], and the span is longer than one register.
#[inline(always)]
unsafe fn body<V: Vector>(span: Span, key: [u8; 4]) {
    // A store over the border of two cache lines costs as much as two.
    let mut at = V::BYTES - span.out.addr() % V::BYTES;
    // SAFETY: the caller promises that the processor has the set.
    let key = unsafe { V::splat(turned(key, at)) };
    while at + UNROLLED * V::BYTES <= span.bytes {
        for lane in 0..UNROLLED {
            // SAFETY: the condition of the loop keeps all lanes inside of the span.
            unsafe { step(span, at + lane * V::BYTES, key) };
        }
        at += UNROLLED * V::BYTES;
    }
    while at + V::BYTES <= span.bytes {
        // SAFETY: the condition of the loop keeps the register inside of the span.
        unsafe { step(span, at, key) };
        at += V::BYTES;
    }
}

/// # Safety
/// As for [`unmask`], and one register from `place` on lies inside of the span.
#[inline(always)]
unsafe fn step<V: Vector>(span: Span, place: usize, key: V) {
    // SAFETY: the caller promises that the register lies inside of the span.
    let loaded = unsafe { V::load(span.source(place)) };
    // SAFETY: the caller promises that the processor has the set.
    let mixed = unsafe { loaded.mixed(key) };
    // SAFETY: as for the load.
    unsafe { mixed.store(span.out(place)) };
}

// SAFETY: both accesses are of the size of the word and ask for no alignment.
unsafe impl Vector for u64 {
    const BYTES: usize = 8;

    #[inline(always)]
    unsafe fn splat([a, b, c, d]: [u8; 4]) -> Self {
        Self::from_ne_bytes([a, b, c, d, a, b, c, d])
    }

    #[inline(always)]
    unsafe fn load(source: *const u8) -> Self {
        // SAFETY: the caller promises 8 readable bytes; every pattern of them is a number.
        unsafe { ptr::read_unaligned(source.cast()) }
    }

    #[inline(always)]
    unsafe fn store(self, out: *mut u8) {
        // SAFETY: the caller promises 8 writable bytes.
        unsafe { ptr::write_unaligned(out.cast(), self) }
    }

    #[inline(always)]
    unsafe fn mixed(self, key: Self) -> Self {
        self ^ key
    }

    #[inline(always)]
    unsafe fn short(span: Span, key: [u8; 4]) {
        for place in 0..span.bytes {
            // SAFETY: the place lies inside of the span.
            let byte = unsafe { span.source(place).read() };
            // SAFETY: the place lies inside of the span.
            unsafe { span.out(place).write(byte ^ key[place % 4]) };
        }
    }
}

/// Registers a turn of the loop, which hides the loop's own cost.
const UNROLLED: usize = 4;
