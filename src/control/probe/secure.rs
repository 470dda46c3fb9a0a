//! TLS with a backend, by the rules of its pool: the handshake in front of every question, and the whole of a TCP probe.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::{CertificateError, ClientConfig, Error};

use super::{ProbeFailure, Stream, tcp};
use crate::limits::PROBE_SKIPPED_BYTES_MAX;
use crate::sync::Arc;
use crate::tls::Connector;

/// How a backend is spoken to over TLS.
#[derive(Clone)]
pub(in crate::control) struct Secure {
    connector: Connector,
    config: Arc<ClientConfig>,
    host: String,
}

impl Secure {
    /// With the rules of its pool, to the backend at this host.
    pub(in crate::control) fn new(connector: &Connector, host: &str) -> Self {
        let mut config = ClientConfig::clone(&connector.client_config());
        // Who resumes a session does not look at the certificate again, and that is part of the question.
        config.resumption = Resumption::disabled();
        Self {
            connector: connector.clone(),
            config: Arc::new(config),
            host: host.to_owned(),
        }
    }

    /// Shakes hands, with a name and a certificate that are as they should be.
    pub(super) async fn shake(
        &self,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, ProbeFailure> {
        let name = self.connector.server_name(&self.host);
        let name = name.map_err(|error| ProbeFailure::Ours(error.to_string()))?;
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let shaken = connector.connect(name, stream).await;
        shaken.map_err(|error| match failure(&error) {
            Some(failure) => failure,
            None if is_cut_off(&error) => ProbeFailure::Tls(
                "it closed the connection before the handshake was over".to_owned(),
            ),
            None => tcp::failure(&error),
        })
    }
}

impl PartialEq for Secure {
    /// What follows from a connector is the same wherever the connector is.
    fn eq(&self, other: &Self) -> bool {
        self.connector == other.connector && self.host == other.host
    }
}

/// Ends a connection on which nothing was asked. A server of TLS 1.3 looks at our certificate when the handshake is over
/// for us, so its refusal may come only now.
pub(super) async fn hang_up(mut stream: Stream) -> Result<(), ProbeFailure> {
    // One that has gone already has nothing to say.
    let _ = stream.shutdown().await;
    let (mut room, mut dropped) = ([0; 1024], 0);
    while dropped < PROBE_SKIPPED_BYTES_MAX {
        match stream.read(&mut room).await {
            Ok(0) => break,
            Ok(read) => dropped += read,
            Err(error) => return failure(&error).map_or(Ok(()), Err),
        }
    }
    Ok(())
}

/// What TLS has against it, if an error comes from there.
pub(super) fn failure(error: &io::Error) -> Option<ProbeFailure> {
    let broken = error.get_ref()?.downcast_ref::<Error>()?;
    let words = match broken {
        // Only the pins say so.
        Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure) => {
            "its key is none of the pinned ones".to_owned()
        }
        Error::InvalidMessage(_) => format!("what it says is no TLS: {broken}"),
        other => other.to_string(),
    };
    Some(ProbeFailure::Tls(words))
}

fn is_cut_off(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}
