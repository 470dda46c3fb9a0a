//! What the record layer stands on, and no more.

pub mod limits;
pub mod rng;
pub mod tls;
