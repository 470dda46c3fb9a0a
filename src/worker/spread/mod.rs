//! New connections move to workers that carry less: before anything is read, from the one that accepted to another.
//!
//! ```text
//! accept ─▶ carries another one less, by the gap? ─ no ─▶ welcome here
//!                     │ yes: a place reserved in its berth
//!                     ▼
//!                  its line ─▶ its bell, once a batch ─▶ it takes, and welcomes
//! ```

mod berth;
mod board;
mod choice;
mod hands;

pub use berth::Berth;
pub use board::Board;
pub(super) use board::Handed;
pub(super) use hands::Hands;
