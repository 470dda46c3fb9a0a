//! The side of a handshake that greets a backend, and what takes the backend's tickets afterwards.

use std::fmt;

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::kernel::KernelConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, InsufficientSizeError, UnbufferedStatus,
};
use rustls::{Error, HandshakeKind};

use super::super::records::{Role, Session};
use super::super::settings::Version;
use super::extract::session;
use super::provider::{HTTP_1_1, agreed};
use super::tap::{self, Secrets};
use super::{Connector, Facts, Failure, FailureReason};
use crate::limits::{TICKET_BYTES_MAX, TICKETS_TAKEN_MAX};

/// rustls as a client, unbuffered: only so does it take tickets after its keys came out.
pub(super) struct Client {
    connection: UnbufferedClientConnection,
    /// All that rustls has not let go of: given less, it panics.
    incoming: Vec<u8>,
    host: String,
    begun: bool,
}

/// What is left of rustls's part.
type Finished = (Session, Facts, Option<TicketTaker>);

/// What rustls wants next.
enum Next {
    Again,
    Record,
    Nothing,
}

impl Client {
    pub(super) fn new(connector: &Connector, host: &str) -> Result<Self, Failure> {
        Ok(Self {
            connection: connector.connection(host)?,
            incoming: Vec::new(),
            host: connector.server_name(host)?.to_str().into_owned(),
            begun: false,
        })
    }

    /// Appends the first flight, the first time.
    pub(super) fn begin(
        &mut self,
        secrets: &mut Secrets,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        if !self.begun {
            self.begun = true;
            self.advance(secrets, out)?;
        }
        Ok(())
    }

    /// Takes one record; says whether it was the last of the handshake.
    pub(super) fn take(
        &mut self,
        record: &[u8],
        secrets: &mut Secrets,
        out: &mut Vec<u8>,
    ) -> Result<bool, Failure> {
        self.incoming.extend_from_slice(record);
        self.advance(secrets, out)
    }

    fn advance(&mut self, secrets: &mut Secrets, out: &mut Vec<u8>) -> Result<bool, Failure> {
        loop {
            let Self {
                connection,
                incoming,
                ..
            } = self;
            let status = tap::during(secrets, None, || connection.process_tls_records(incoming));
            let UnbufferedStatus { discard, state, .. } = status;
            let next = match state {
                Ok(state) => next(state, out),
                Err(error) => Err(Failure::of_rustls(&error, Role::Client)),
            };
            self.incoming.drain(..discard);
            match next {
                Ok(Next::Again) => {}
                Ok(Next::Record) => return Ok(false),
                Ok(Next::Nothing) => return self.ended(),
                Err(failure) => {
                    self.write_alert(out);
                    return Err(failure);
                }
            }
        }
    }

    /// A message that begins behind the last one, in the same record, is none of the handshake.
    fn ended(&self) -> Result<bool, Failure> {
        if self.connection.is_handshaking() {
            return Ok(false);
        }
        if self.incoming.is_empty() {
            return Ok(true);
        }
        let detail = "a message was begun behind the end of the handshake";
        Err(Failure::new(FailureReason::Protocol, detail))
    }

    /// Whether nothing was agreed on yet, so that no key is in use.
    pub(super) fn is_in_the_clear(&self) -> bool {
        self.connection.protocol_version().is_none()
    }

    /// What rustls has to say it gives out before it looks at its input again.
    fn write_alert(&mut self, out: &mut Vec<u8>) {
        while self.connection.wants_write() {
            let UnbufferedStatus { discard, state, .. } =
                self.connection.process_tls_records(&mut self.incoming);
            let Ok(ConnectionState::EncodeTlsData(mut chunk)) = state else {
                return;
            };
            if encode(&mut chunk, out).is_err() {
                return;
            }
            self.incoming.drain(..discard);
        }
    }

    /// Ends rustls's part.
    pub(super) fn finish(self, secrets: &Secrets) -> Result<Finished, Failure> {
        let facts = self.facts()?;
        let taken = self.connection.dangerous_into_kernel_connection();
        let (extracted, kernel) =
            taken.map_err(|error| Failure::of_rustls(&error, Role::Client))?;
        let session = session(
            Role::Client,
            facts.version,
            facts.suite,
            &extracted,
            secrets,
        )?;
        let tickets = (facts.version == Version::Tls13).then(|| TicketTaker {
            kernel: Box::new(kernel),
            taken: 0,
        });
        Ok((session, facts, tickets))
    }

    fn facts(&self) -> Result<Facts, Failure> {
        let connection = &self.connection;
        let (version, suite) = agreed(
            connection.protocol_version(),
            connection.negotiated_cipher_suite(),
        )
        .ok_or_else(|| Failure::new(FailureReason::Internal, "a cipher we never offer"))?;
        Ok(Facts {
            server_name: Some(self.host.clone()),
            alpn: connection
                .alpn_protocol()
                .filter(|protocol| *protocol == HTTP_1_1)
                .map(|_| "http/1.1"),
            version,
            suite,
            resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
            client: None,
        })
    }
}

/// Takes tickets of a backend to where the next handshake finds them. Some 800 bytes: drop it soon.
pub struct TicketTaker {
    kernel: Box<KernelConnection<ClientConnectionData>>,
    taken: u8,
}

impl TicketTaker {
    /// Takes a `NewSessionTicket`, as the record layer gives it out: without the four bytes of its header. Says whether
    /// it was kept. One that is too long, broken or one too many is let go: the next handshake is a full one then.
    pub fn take(&mut self, message: &[u8]) -> bool {
        if self.is_full() || message.len() > TICKET_BYTES_MAX {
            return false;
        }
        self.taken += 1;
        self.kernel.handle_new_session_ticket(message).is_ok()
    }

    /// Whether it takes no more.
    pub const fn is_full(&self) -> bool {
        self.taken >= TICKETS_TAKEN_MAX
    }
}

impl fmt::Debug for TicketTaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TicketTaker")
            .field("taken", &self.taken)
            .finish_non_exhaustive()
    }
}

fn next(
    state: ConnectionState<'_, '_, ClientConnectionData>,
    out: &mut Vec<u8>,
) -> Result<Next, Failure> {
    match state {
        ConnectionState::EncodeTlsData(mut chunk) => {
            encode(&mut chunk, out).map_err(|error| Failure::of_rustls(&error, Role::Client))?;
            Ok(Next::Again)
        }
        ConnectionState::TransmitTlsData(chunk) => {
            chunk.done();
            Ok(Next::Again)
        }
        ConnectionState::BlockedHandshake => Ok(Next::Record),
        ConnectionState::WriteTraffic(_) => Ok(Next::Nothing),
        // Traffic is never given to rustls.
        _ => Err(Failure::new(
            FailureReason::Internal,
            "rustls is past the handshake",
        )),
    }
}

fn encode(
    chunk: &mut EncodeTlsData<'_, ClientConnectionData>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let start = out.len();
    let failed = |error: EncodeError| Error::General(error.to_string());
    match chunk.encode(&mut []) {
        Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) => {
            out.resize(start + required_size, 0);
            let written = chunk.encode(&mut out[start..]).map_err(failed)?;
            out.truncate(start + written);
            Ok(())
        }
        Ok(_) => Ok(()),
        Err(error) => Err(failed(error)),
    }
}
