//! The only file that names atomics and `Arc`: the standard ones, or loom's when loom walks the interleavings.
//!
//! The switch is `--cfg ringway_loom`; plain `--cfg loom` would also switch tokio, which then does not build.

// Under loom too: it holds `Arc<str>`, and who counts references is not what our models ask about.
pub use std::sync::Arc;

#[cfg(not(ringway_loom))]
pub use std::sync::atomic::{
    AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering, fence,
};

#[cfg(ringway_loom)]
pub use loom::sync::atomic::{
    AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering, fence,
};

/// An atomic for memory that is shared with the kernel; loom has no model of the other side, so it is
/// always the standard one.
pub use std::sync::atomic::{AtomicU16 as KernelAtomicU16, Ordering as KernelOrdering};
