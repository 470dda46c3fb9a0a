//! Two sides in one thread, with nothing between them but bytes.

use std::io::{Read, Write};

use rustls::client::ClientConnection;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ServerConnection;
use rustls::{ClientConfig, ConnectionCommon, RootCertStore, SupportedProtocolVersion, version};

use crate::clock::Now;
use crate::sync::Arc;
use crate::tls::door::{Acceptor, Established, Failure, Handshake, Loaded, Progress, TicketKeys};
use crate::tls::{CertificateFiles, Keys, ListenerTls, Suite, Verdict, sealed_bytes_max, tickets};

pub(super) const BOTH: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];

pub(super) fn load(listener: &ListenerTls) -> Loaded {
    let keys = TicketKeys::load(&listener.tickets, Now::from_nanos(0)).unwrap();
    Acceptor::load(listener, &keys).unwrap()
}

/// A client of rustls that trusts these, and its config may still be changed.
pub(super) fn config(roots: RootCertStore) -> ClientConfig {
    config_of(roots, &BOTH, None, None)
}

pub(super) fn config_of(
    roots: RootCertStore,
    versions: &[&'static SupportedProtocolVersion],
    provider: Option<CryptoProvider>,
    certificate: Option<&CertificateFiles>,
) -> ClientConfig {
    let provider = provider.unwrap_or_else(rustls::crypto::aws_lc_rs::default_provider);
    let builder = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    match certificate {
        None => builder.with_no_client_auth(),
        Some(files) => {
            let chain = CertificateDer::pem_file_iter(&files.chain).unwrap();
            let key = PrivateKeyDer::from_pem_file(&files.key).unwrap();
            let chain = chain.collect::<Result<_, _>>().unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    }
}

/// A provider with this suite alone.
pub(super) fn only(suite: Suite) -> CryptoProvider {
    CryptoProvider::clone(&crate::tls::door::provider::provider(&[suite]))
}

/// A client that greets this host.
pub(super) fn client(config: &ClientConfig, host: &str) -> ClientConnection {
    let name = ServerName::try_from(host.to_owned()).unwrap();
    ClientConnection::new(Arc::new(config.clone()), name).unwrap()
}

/// Greets until one side is done or fails. The other may have something left to read.
pub(super) fn greet(
    acceptor: &Acceptor,
    client: &mut ClientConnection,
) -> Result<Established, Failure> {
    talk(&mut Handshake::accept(acceptor).unwrap(), client)
}

pub(super) fn talk<D>(
    ours: &mut Handshake,
    theirs: &mut ConnectionCommon<D>,
) -> Result<Established, Failure> {
    let mut out = Vec::new();
    for _ in 0..20 {
        let said = said(theirs);
        let progress = ours.feed(&said, &mut out);
        let _heard = hear(theirs, &std::mem::take(&mut out));
        match progress? {
            Progress::Done(established) => return Ok(*established),
            Progress::More => {}
        }
    }
    panic!("both sides wait");
}

/// What rustls has to send.
pub(super) fn said<D>(side: &mut ConnectionCommon<D>) -> Vec<u8> {
    let mut bytes = Vec::new();
    while side.wants_write() {
        side.write_tls(&mut bytes).unwrap();
    }
    bytes
}

/// What rustls thinks of these bytes.
pub(super) fn hear<D>(
    side: &mut ConnectionCommon<D>,
    mut bytes: &[u8],
) -> Result<(), rustls::Error> {
    while !bytes.is_empty() {
        side.read_tls(&mut bytes).unwrap();
        side.process_new_packets()?;
    }
    Ok(())
}

/// Both sides say a word and understand each other. Tickets that come in between are taken.
pub(super) fn converse<D>(mut ours: Established, theirs: &mut ConnectionCommon<D>) {
    theirs.writer().write_all(b"ping").unwrap();
    let mut wire = ours.leftover.clone();
    wire.extend(said(theirs));
    let mut keys = Keys::new();
    let mut data = Vec::new();
    let mut at = 0;
    while data.len() < 4 {
        match ours.session.open(&mut keys, &mut wire[at..]) {
            Verdict::Data { at: place, used } => {
                data.extend_from_slice(&wire[at..][place]);
                at += used;
            }
            Verdict::Ticket { at: place, used } => {
                for ticket in tickets(&wire[at..][place]) {
                    assert!(ours.tickets.as_mut().unwrap().take(ticket));
                }
                at += used;
            }
            Verdict::Quiet { used } => at += used,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(data, b"ping");
    let mut out = vec![0; sealed_bytes_max(4)];
    let sealed = ours.session.seal(&mut keys, b"pong", &mut out).unwrap();
    hear(theirs, &out[..sealed]).unwrap();
    let mut heard = [0; 4];
    theirs.reader().read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"pong");
}

/// A server of rustls with this certificate.
pub(super) fn server(config: &Arc<rustls::ServerConfig>) -> ServerConnection {
    ServerConnection::new(Arc::clone(config)).unwrap()
}
