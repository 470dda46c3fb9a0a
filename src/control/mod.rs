//! The one unpinned thread: supervises workers, signals, the log file.

mod launch;
pub mod log_writer;
mod running;
pub mod signals;
mod team;

pub use launch::StartError;
pub use running::{ControlParts, Outcome, Running, Service, Signals};
