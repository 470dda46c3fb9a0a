//! The control listener: metrics and health over HTTP.

mod bounded;
mod routes;

pub use routes::{AdminState, serve};
