//! The one unpinned thread: supervises workers, signals, the log file.

pub mod log_writer;
pub mod signals;
