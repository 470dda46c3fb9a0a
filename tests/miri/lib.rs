//! The `simd` room without the house, so that Miri runs its unsafe code for any architecture in a minute.

#[path = "../../src/simd/mod.rs"]
pub mod simd;
