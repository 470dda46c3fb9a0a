//! The side of a handshake that greets a client.

use std::net::IpAddr;

use rustls::server::ServerConnection;
use rustls::{Error, HandshakeKind};

use super::super::records::{Role, Session};
use super::extract::session;
use super::provider::{HTTP_1_1, agreed};
use super::tap::{self, Secrets};
use super::{Acceptor, ClientIdentity, Facts, Failure, FailureReason};

/// rustls as a server, buffered. It never holds more than the record it is given.
pub(super) struct Server {
    connection: ServerConnection,
    acceptor: Acceptor,
    pub(super) local: Option<IpAddr>,
}

impl Server {
    pub(super) fn new(acceptor: &Acceptor) -> Result<Self, Failure> {
        let connection = acceptor.connection();
        Ok(Self {
            connection: connection.map_err(|error| Failure::of_rustls(&error, Role::Server))?,
            acceptor: acceptor.clone(),
            local: None,
        })
    }

    /// Takes one record; says whether it was the last of the handshake.
    pub(super) fn take(
        &mut self,
        record: &[u8],
        secrets: &mut Secrets,
        out: &mut Vec<u8>,
    ) -> Result<bool, Failure> {
        let connection = &mut self.connection;
        let processed = tap::during(secrets, self.local, || process(connection, record));
        if let Err(error) = processed {
            return Err(self.failed(&error, record, out));
        }
        self.write(out);
        Ok(!self.connection.is_handshaking())
    }

    fn failed(&mut self, error: &Error, record: &[u8], out: &mut Vec<u8>) -> Failure {
        // rustls first misses what clients of that age do not send, and says `handshake_failure`.
        if self.is_in_the_clear() && is_hello_before_12(record) {
            out.extend_from_slice(&PROTOCOL_VERSION);
            return Failure::new(FailureReason::NoSharedVersion, error.to_string());
        }
        // Without a certificate rustls says `access_denied`; RFC 6066 has a word of its own. Nothing was answered yet,
        // so it goes out in the clear.
        if let Some(name) = self.refused_name(error) {
            out.extend_from_slice(&UNRECOGNIZED_NAME);
            return Failure::new(FailureReason::UnknownName, format!("{name:?}"));
        }
        self.write(out);
        Failure::of_rustls(error, Role::Server)
    }

    fn refused_name(&self, error: &Error) -> Option<&str> {
        let name = self.connection.server_name()?;
        let no_certificate = matches!(error, Error::General(_)) && self.connection.is_handshaking();
        (no_certificate && self.acceptor.refuses(name)).then_some(name)
    }

    /// Whether nothing was agreed on yet, so that no key is in use.
    pub(super) fn is_in_the_clear(&self) -> bool {
        self.connection.protocol_version().is_none()
    }

    /// A `Vec` takes everything.
    fn write(&mut self, out: &mut Vec<u8>) {
        while self.connection.wants_write() && self.connection.write_tls(out).is_ok_and(|n| n > 0) {
        }
    }

    /// Ends rustls's part.
    pub(super) fn finish(self, secrets: &Secrets) -> Result<(Session, Facts), Failure> {
        let facts = self.facts()?;
        let extracted = self.connection.dangerous_extract_secrets();
        let extracted = extracted.map_err(|error| Failure::of_rustls(&error, Role::Server))?;
        let session = session(
            Role::Server,
            facts.version,
            facts.suite,
            &extracted,
            secrets,
        )?;
        Ok((session, facts))
    }

    fn facts(&self) -> Result<Facts, Failure> {
        let connection = &self.connection;
        let (version, suite) = agreed(
            connection.protocol_version(),
            connection.negotiated_cipher_suite(),
        )
        .ok_or_else(|| Failure::new(FailureReason::Internal, "a cipher we never offer"))?;
        let leaf = connection
            .peer_certificates()
            .and_then(|chain| chain.first());
        let client = match leaf {
            None => None,
            Some(der) => {
                let identity = ClientIdentity::of_certificate(der).ok_or_else(|| {
                    Failure::new(FailureReason::BadClientCertificate, "it cannot be read")
                })?;
                Some(Box::new(identity))
            }
        };
        Ok(Facts {
            server_name: connection.server_name().map(str::to_owned),
            alpn: connection
                .alpn_protocol()
                .filter(|protocol| *protocol == HTTP_1_1)
                .map(|_| "http/1.1"),
            version,
            suite,
            resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
            client,
        })
    }
}

fn process(connection: &mut ServerConnection, mut record: &[u8]) -> Result<(), Error> {
    while !record.is_empty() {
        match connection.read_tls(&mut record) {
            Ok(1..) => {}
            // It holds a handshake message of 64 KiB already.
            Ok(0) | Err(_) => return Err(Error::PeerSentOversizedRecord),
        }
    }
    connection.process_new_packets().map(|_| ())
}

/// Whether a record begins a `ClientHello` of TLS 1.1 or older (RFC 5246 section 7.4.1.2): since then all say 1.2.
fn is_hello_before_12(record: &[u8]) -> bool {
    matches!(record, [HANDSHAKE, _, _, _, _, CLIENT_HELLO, _, _, _, high, low, ..] if (*high, *low) < (3, 3))
}

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
/// The alert `protocol_version`, fatal, in a record of its own.
const PROTOCOL_VERSION: [u8; 7] = [21, 3, 3, 0, 2, 2, 70];

/// A fatal alert in the clear (RFC 8446 section 6, RFC 6066 section 3).
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];
