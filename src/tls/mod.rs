//! TLS: rustls greets at the door, and a pure record layer of our own carries the tunnel. Slices in, verdicts out;
//! no sockets, no clock. Only the door knows rustls.

mod door;
mod records;
mod settings;
mod wire;

pub use door::{
    Acceptor, CertificateFact, ClientIdentity, Connector, Established, Facts, Failure,
    FailureReason, Handshake, KeyKind, LoadError, Loaded, Progress, RevocationFact, TicketKeys,
    TicketTaker, Validity, fuzz_door,
};
pub use records::{
    ALERT_BYTES_MAX, Alert, FROZEN_BYTES, Frozen, Half, Keys, Role, SEALED_EXTRA_BYTES_MAX,
    Session, Spent, Unfit, Verdict, sealed_bytes_max, tickets,
};
#[doc(hidden)]
pub use records::{fuzz_open, fuzz_thaw};
pub use settings::{
    BackendTls, CertificateFiles, ClientAuth, ClientCertificates, ListenerTls, Roots, Suite,
    Tickets, UnknownName, Version,
};
pub use wire::{Opened, Sealed, StreamEnd, Wire};
