//! What is counted: one writer per cell, one catalogue of names, one text encoder.

mod reason;

pub use reason::{BackendFailure, EndReason, Party, Refusal};
