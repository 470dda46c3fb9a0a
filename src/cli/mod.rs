//! The commands a person types.

mod handshake;
mod pin;

pub mod doctor;
pub mod echo;
