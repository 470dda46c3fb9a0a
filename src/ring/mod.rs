//! One core's io_uring: its driver, its buffers and the operations that can be awaited on it. Unsafe code is allowed here.
//!
//! ```text
//! Driver ── enter ──▶ kernel ── completions ──▶ awaited operations (the greeting's tasks)
//!    │                                     └──▶ Dispatch (tunnels, inline: no future, no wake)
//!    └─ cold: parked in glommio on an eventfd; hot: asleep in its own ring
//! ```

mod awaited;
mod buffers;
mod driver;
mod features;
mod group;
mod memory;
mod port;
mod sending;
mod sends;
#[cfg(test)]
mod tests;
mod token;
mod wheel;

pub use awaited::{Caller, Handle, Leaving};
pub use buffers::{BufferOptions, Buffers, Lane, Shape};
pub use driver::{Accepted, Dispatch, Driver};
pub use features::{Features, ProbeError};
pub use group::Chunk;
pub use port::{Completion, Part, Ring, RingOptions, Vector};
pub use sends::{SendId, VECTORS_MAX};
pub use token::Token;
pub use wheel::Wheel;
