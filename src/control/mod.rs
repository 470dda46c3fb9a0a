//! The one unpinned thread: supervises workers, signals, the log file.

#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the supervisor that asks is not built yet")
)]
mod discovery;
mod launch;
pub mod log_writer;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the supervisor that asks is not built yet")
)]
mod probe;
mod running;
pub mod signals;
mod team;

pub use launch::StartError;
pub use running::{ControlParts, Outcome, Running, Service, Signals};
