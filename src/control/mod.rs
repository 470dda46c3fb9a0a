//! The one unpinned thread: supervises workers, signals, the log file.
