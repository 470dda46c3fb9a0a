//! The commands a person types.

mod args;
pub mod bench;
mod check;
mod columns;
mod demo;
pub mod doctor;
pub mod echo;
mod handshake;
mod orders;
mod pin;
pub mod plan;
mod remote;
mod run;
mod tail;
mod top;
mod tunnels;

pub use args::Cli;
pub use check::check;
