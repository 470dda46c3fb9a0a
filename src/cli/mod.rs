//! The commands a person types.

mod handshake;
mod pin;

pub mod echo;
pub mod doctor;
