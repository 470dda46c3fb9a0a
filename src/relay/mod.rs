//! Tunnels: bytes that arrive on one side leave on the other, with bounded queues between.
//!
//! ```text
//! receive ──▶ chunk in a shared buffer ──▶ scanner (headers only) ──▶ outbox ──▶ one send at a time
//!    ▲                                                               │ would block: copied out,
//!    └───────── stopped over the high mark, armed under the low ─────┘ the buffer goes home
//! ```

mod closing;
mod fault;
mod flow;
mod goodbye;
mod outbox;
mod table;
#[cfg(test)]
mod tests;
mod tunnel;

pub use goodbye::Goodbyes;
pub use table::{Gone, Ledgers, Tunnels};
pub use tunnel::{End, FirstBytes, Opening, Patience};
