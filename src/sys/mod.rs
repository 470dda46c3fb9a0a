//! The kernel's edge: listeners, steering, descriptors, limits, core dumps and what /proc says. Unsafe code is allowed here.

pub mod cpu;
mod departure;
mod dumps;
pub mod eventfd;
pub mod host;
mod listener;
pub mod proc;
mod socket;
mod steering;

pub use departure::{depart_from, has_way_to, is_of_this_host, look_at_all_ports};
pub use dumps::{dumps_are_off, forbid_dumps};
pub use listener::{ListenOptions, listen, stop_listening};
pub use socket::{end_both, end_stream, peer_of, reset_on_close, send_last, stream_for};
pub use steering::{Instruction, attach, by_receiving_core};
