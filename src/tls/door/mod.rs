//! The door: rustls greets, checks the papers and leaves; what it agreed on goes to the record layer. The only place
//! that knows rustls. Bytes in, bytes out; no sockets, and no clock but the one that rustls checks dates with.

mod acceptor;
mod certificates;
mod client;
mod clients;
mod connector;
mod extract;
mod failure;
mod files;
mod fuzz;
mod handshake;
mod identity;
mod load_error;
mod names;
mod pins;
mod provider;
mod server;
mod tap;
mod ticket_file;
mod tickets;
mod wire;

#[cfg(test)]
mod tests;

pub use acceptor::{Acceptor, Loaded};
pub use certificates::{CertificateFact, KeyKind, Validity};
pub use client::TicketTaker;
pub use clients::RevocationFact;
pub use connector::Connector;
pub use failure::{Failure, FailureReason};
pub use fuzz::fuzz_door;
pub use handshake::{Established, Facts, Handshake, Progress};
pub use identity::ClientIdentity;
pub use load_error::LoadError;
pub use tickets::TicketKeys;
