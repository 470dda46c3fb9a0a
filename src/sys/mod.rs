//! The kernel's edge: listeners, steering, descriptors, limits and what /proc says. Unsafe code is allowed here.

pub mod cpu;
pub mod eventfd;
mod listener;
pub mod proc;
mod socket;
mod steering;

pub use listener::{ListenOptions, listen, stop_listening};
pub use socket::{end_both, end_stream, peer_of, reset_on_close, send_last, stream_for};
pub use steering::{Instruction, attach, by_receiving_core};
