//! Vector instructions where payloads are looked into: unmasking, and UTF-8 in a stream. Unsafe code is allowed here.
//!
//! ```text
//! Kernels::best() ── once at start ──▶ a value the worker holds
//!
//! masked payload ──▶ Scratch (4 KiB, stays in the first cache) ──▶ Utf8Stream ──▶ verdict
//!      │        └─ or, where registers of 64 bytes check text: nothing but them ──┘
//!      └─ never written to: what is forwarded is what arrived
//! ```
//!
//! Each kernel has the plain twin in `scalar`; the tests compare them over lengths, alignments and phases.

mod ascii;
mod fuzz;
mod kernels;
#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;
mod scratch;
#[cfg(test)]
mod tests;
mod utf8;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod vector;
#[cfg(target_arch = "x86_64")]
mod x86;
#[cfg(target_arch = "x86_64")]
mod x86_text;

#[doc(hidden)]
pub use fuzz::fuzz_text;
pub use kernels::Kernels;
pub use scratch::Scratch;
pub use utf8::{InvalidUtf8, Utf8Stream};
