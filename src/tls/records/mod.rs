//! The records of a tunnel once its handshake is over: opened in place, sealed into the send buffer.
//! Pure: no sockets, no clock, and nothing of rustls.
//!
//! ```text
//!   wire  17 03 03 len | sealed ........................ tag | 17 03 03 len | sealed ..
//!   open  ^ header      ^ Data { at } stands here, opened    ^ used
//! ```

mod alert;
mod cipher;
mod forge;
#[cfg(test)]
mod forged_tests;
mod frozen;
mod fuzz;
mod half;
mod keys;
mod post;
mod record;
mod secret;
mod session;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

pub use alert::Alert;
pub use frozen::{FROZEN_BYTES, Frozen, Unfit};
#[doc(hidden)]
pub use fuzz::{fuzz_open, fuzz_thaw};
pub use half::Half;
pub use keys::Keys;
pub use post::tickets;
pub use record::{ALERT_BYTES_MAX, SEALED_EXTRA_BYTES_MAX, sealed_bytes_max};
pub use session::{Role, Session, Spent, Verdict};
