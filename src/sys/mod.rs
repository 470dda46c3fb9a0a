//! The kernel's edge: listeners, steering, descriptors, limits and what /proc says. Unsafe code is allowed here.

pub mod eventfd;
pub mod proc;
