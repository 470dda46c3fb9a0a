//! One handshake, in either role: fed with what the peer sends, until there is a session or a failure.
//!
//! ```text
//! peer's bytes -> wire: one record -> rustls -> out
//!                    ...
//!                 the record that ends it -> keys -> Session       what comes behind it -> leftover
//! ```
//!
//! rustls is given one record at a time and none after the handshake: what it had read of the traffic would be lost,
//! and a key update that it had read would leave both sides with different keys.

use std::fmt;
use std::net::IpAddr;

use super::super::records::{Role, Session};
use super::super::settings::{Suite, Version};
use super::client::{Client, TicketTaker};
use super::server::Server;
use super::tap::Secrets;
use super::wire::{Refused, Wire};
use super::{Acceptor, ClientIdentity, Connector, Failure, FailureReason};

/// A handshake in progress. About 8 KiB, most of it rustls's buffer, and at most [`TLS_HANDSHAKE_BYTES_MAX`] of what the peer sent.
///
/// [`TLS_HANDSHAKE_BYTES_MAX`]: crate::limits::TLS_HANDSHAKE_BYTES_MAX
pub struct Handshake {
    side: Side,
    wire: Wire,
    secrets: Secrets,
}

/// Boxed: a handshake is moved about, and after it nothing of this is left.
enum Side {
    Server(Box<Server>),
    Client(Box<Client>),
    Over,
}

/// Where a handshake is.
#[derive(Debug)]
pub enum Progress {
    /// The peer must say more.
    More,
    /// It is over and was good.
    Done(Box<Established>),
}

/// What is left of a handshake that was good.
pub struct Established {
    /// Opens and seals from here on.
    pub session: Session,
    /// What is known of the peer.
    pub facts: Facts,
    /// What the peer sent behind the handshake: the first records of the session, the last perhaps cut.
    pub leftover: Vec<u8>,
    /// Takes tickets of a backend, so that the next handshake is short. TLS 1.3 only: before, they are part of the
    /// handshake.
    pub tickets: Option<TicketTaker>,
}

/// What is known of a peer after the handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The host that the client named, in small letters; or the backend's, as we asked for it.
    pub server_name: Option<String>,
    /// The protocol that was agreed on: `http/1.1`, if the client offered any.
    pub alpn: Option<&'static str>,
    /// The version.
    pub version: Version,
    /// The cipher.
    pub suite: Suite,
    /// Whether it took up an earlier session.
    pub resumed: bool,
    /// Who the client is, if it showed a certificate, now or in the session that it took up.
    pub client: Option<Box<ClientIdentity>>,
}

impl Handshake {
    /// Greets a client.
    pub fn accept(acceptor: &Acceptor) -> Result<Self, Failure> {
        Ok(Self::of(Side::Server(Box::new(Server::new(acceptor)?))))
    }

    /// Says which address of ours the client came to: a client that names no host gets the certificate for it, if
    /// there is one.
    #[must_use]
    pub fn at(mut self, local: IpAddr) -> Self {
        if let Side::Server(server) = &mut self.side {
            server.local = Some(local);
        }
        self
    }

    /// Greets the backend at this host, a DNS name or an address. The first [`Self::feed`] needs no bytes and gives the
    /// first flight.
    pub fn connect(connector: &Connector, host: &str) -> Result<Self, Failure> {
        let client = Client::new(connector, host)?;
        Ok(Self::of(Side::Client(Box::new(client))))
    }

    fn of(side: Side) -> Self {
        Self {
            side,
            wire: Wire::default(),
            secrets: Secrets::default(),
        }
    }

    /// Takes the next bytes of the peer, and appends to `out` what it must be sent, also after a failure. Cutting the
    /// stream elsewhere changes neither. After anything but [`Progress::More`] it is not fed any more.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<Progress, Failure> {
        let step = self.step(bytes, out);
        if !matches!(step, Ok(Progress::More)) {
            self.side = Side::Over;
            self.secrets = Secrets::default();
        }
        step
    }

    fn step(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<Progress, Failure> {
        let Self {
            side,
            wire,
            secrets,
        } = self;
        if let Side::Client(client) = side {
            client.begin(secrets, out)?;
        }
        loop {
            let record = match wire.next(&mut bytes) {
                Ok(Some(record)) => record,
                Ok(None) => return Ok(Progress::More),
                Err(refused) => return Err(refuse(side, refused, wire.held(), secrets, out)),
            };
            let done = match side {
                Side::Server(server) => server.take(record, secrets, out)?,
                Side::Client(client) => client.take(record, secrets, out)?,
                Side::Over => return Err(over()),
            };
            if done {
                return self.finish(bytes).map(Box::new).map(Progress::Done);
            }
        }
    }

    fn finish(&mut self, leftover: &[u8]) -> Result<Established, Failure> {
        let (session, facts, tickets) = match std::mem::replace(&mut self.side, Side::Over) {
            Side::Server(server) => {
                let (session, facts) = server.finish(&self.secrets)?;
                (session, facts, None)
            }
            Side::Client(client) => client.finish(&self.secrets)?,
            Side::Over => return Err(over()),
        };
        Ok(Established {
            session,
            facts,
            leftover: leftover.to_vec(),
            tickets,
        })
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.side {
            Side::Server(_) => "Handshake(server)",
            Side::Client(_) => "Handshake(client)",
            Side::Over => "Handshake(over)",
        })
    }
}

impl fmt::Debug for Established {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Established")
            .field("facts", &self.facts)
            .field("leftover", &self.leftover.len())
            .finish_non_exhaustive()
    }
}

/// What cannot be a record is refused. To what looked like TLS so far rustls finds the alert, for it may have to be
/// sealed; to anything else none is sent, so that an answer in the clear can be.
fn refuse(
    side: &mut Side,
    refused: Refused,
    held: &[u8],
    secrets: &mut Secrets,
    out: &mut Vec<u8>,
) -> Failure {
    let role = match side {
        Side::Server(_) => Role::Server,
        Side::Client(_) => Role::Client,
        Side::Over => return over(),
    };
    let reason = match refused {
        // A server that answers in the clear has lost its way.
        Refused::PlainHttp if role == Role::Server => {
            return Failure::new(FailureReason::PlainHttp, "");
        }
        Refused::PlainHttp | Refused::NotTls => return Failure::new(FailureReason::NotTls, ""),
        Refused::Header => FailureReason::Protocol,
        Refused::TooLong => FailureReason::TooLong,
    };
    let header = header_of(held);
    let (objected, in_the_clear) = match side {
        Side::Server(server) => (
            server.take(&header, secrets, out).is_err(),
            server.is_in_the_clear(),
        ),
        Side::Client(client) => (
            client.take(&header, secrets, out).is_err(),
            client.is_in_the_clear(),
        ),
        Side::Over => return over(),
    };
    if !objected && in_the_clear {
        out.extend_from_slice(&DECODE_ERROR);
    }
    let detail = match reason {
        FailureReason::TooLong => "a record or the whole handshake is over its bound",
        _ => "the header of a record is wrong",
    };
    Failure::new(reason, detail)
}

/// Whole, so that rustls looks at it.
fn header_of(held: &[u8]) -> [u8; super::wire::HEADER_BYTES] {
    let mut header = [0; super::wire::HEADER_BYTES];
    for (to, from) in header.iter_mut().zip(held) {
        *to = *from;
    }
    header
}

fn over() -> Failure {
    Failure::new(FailureReason::Internal, "the handshake is over already")
}

/// A fatal alert in the clear (RFC 8446 section 6): rustls would have taken more.
const DECODE_ERROR: [u8; 7] = [21, 3, 3, 0, 2, 2, 50];
