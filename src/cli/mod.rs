//! The commands a person types.

mod handshake;
mod pin;

pub mod doctor;
pub mod echo;
mod check;

pub use check::check;
