//! The records of a tunnel once its handshake is over: opened in place, sealed into the send buffer.
//! Pure: no sockets, no clock, and nothing of rustls.

mod half;
mod session;

pub use half::Half;
pub use session::{Role, Session};
