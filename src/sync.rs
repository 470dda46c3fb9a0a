//! The only file that names atomics and `Arc`: the standard ones, or loom's when loom walks the interleavings.

#[cfg(not(loom))]
pub use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering, fence},
};

#[cfg(loom)]
pub use loom::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering, fence},
};

/// An atomic for memory that is shared with the kernel; loom has no model of the other side, so it is
/// always the standard one.
pub use std::sync::atomic::{AtomicU16 as KernelAtomicU16, Ordering as KernelOrdering};
