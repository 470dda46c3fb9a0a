//! Tunnels: bytes that arrive on one side leave on the other, with bounded queues between.
//!
//! ```text
//! receive ──▶ chunk in a shared buffer ──▶ scanner (headers only) ──▶ outbox ──▶ one send at a time
//!    ▲                                                               │ would block: copied out,
//!    └───────── stopped over the high mark, armed under the low ─────┘ the buffer goes home
//! ```

mod ask;
mod closing;
mod doorman;
mod fault;
mod flow;
mod goodbye;
mod heart;
mod look;
mod meters;
mod outbox;
mod sealing;
mod segments;
mod table;
mod tail;
#[cfg(test)]
mod tests;
mod tracked;
mod tracks;
mod tunnel;
mod unsealing;
mod watched;
#[cfg(test)]
mod worn_tests;

pub use ask::{Answer, Asks, Question, TunnelRow};
pub use goodbye::Goodbyes;
pub use look::Framing;
pub use meters::Subject;
pub use table::{Gone, Ledgers, Tunnels};
pub use tail::{TailFrame, TailOptions};
pub use tunnel::{Connection, End, FirstBytes, Opening, Patience};
