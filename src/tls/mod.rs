//! TLS: rustls greets at the door, and a pure record layer of our own carries the tunnel. Slices in, verdicts out;
//! no sockets, no clock. Only the door knows rustls.

mod records;
mod settings;

pub use records::{Half, Role, Session};
pub use settings::{
    BackendTls, CertificateFiles, ClientAuth, ClientCertificates, ListenerTls, Roots, Suite,
    Tickets, UnknownName, Version,
};
