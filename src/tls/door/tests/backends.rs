//! Greeting backends: whom we trust, whom we ask for, and sessions that are taken up.

use std::io::{Read, Write};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;

use super::pair::{BOTH, converse, hear, load, only, said, server, talk};
use super::papers::{Kind, Papers, listener};
use crate::sync::Arc;
use crate::tls::door::pins::key_digest;
use crate::tls::door::{Connector, Established, Failure, FailureReason, Handshake, Progress};
use crate::tls::{BackendTls, CertificateFiles, Roots, Suite, Verdict, Version};

fn backend(papers: &Papers, files: &CertificateFiles) -> ServerConfig {
    backend_of(papers, files, &BOTH, &Suite::ALL, false)
}

pub(super) fn config_for(
    papers: &Papers,
    files: &CertificateFiles,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> ServerConfig {
    backend_of(papers, files, versions, &Suite::ALL, false)
}

fn backend_of(
    papers: &Papers,
    files: &CertificateFiles,
    versions: &[&'static rustls::SupportedProtocolVersion],
    suites: &[Suite],
    asks: bool,
) -> ServerConfig {
    let provider = crate::tls::door::provider::provider(suites);
    let roots = Arc::new(papers.roots());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
    let verifier = if asks {
        verifier.build().unwrap()
    } else {
        WebPkiClientVerifier::no_client_auth()
    };
    let chain = CertificateDer::pem_file_iter(&files.chain).unwrap();
    let key = PrivateKeyDer::from_pem_file(&files.key).unwrap();
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain.collect::<Result<_, _>>().unwrap(), key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

fn greet(
    wanted: &BackendTls,
    config: ServerConfig,
    host: &str,
) -> Result<(Established, rustls::server::ServerConnection), Failure> {
    let connector = Connector::load(wanted).unwrap();
    let mut server = server(&Arc::new(config));
    let established = talk(&mut Handshake::connect(&connector, host)?, &mut server)?;
    Ok((established, server))
}

#[test]
fn every_version_and_cipher_makes_a_session() {
    let papers = Papers::new();
    for kind in [Kind::Rsa, Kind::Ecdsa] {
        let files = papers.certificate_of(&["backend.test", "127.0.0.1"], kind, |_| {});
        for suite in Suite::ALL {
            for (theirs, ours) in BOTH.into_iter().zip([Version::Tls13, Version::Tls12]) {
                let config = backend_of(&papers, &files, &[theirs], &[suite], false);
                for host in ["backend.test", "127.0.0.1"] {
                    let (established, mut server) =
                        greet(&papers.backend(), config.clone(), host).unwrap();
                    let facts = &established.facts;
                    assert_eq!((facts.version, facts.suite), (ours, suite));
                    assert_eq!(facts.alpn, Some("http/1.1"));
                    assert_eq!(facts.server_name.as_deref(), Some(host));
                    assert_eq!(established.tickets.is_some(), ours == Version::Tls13);
                    let named = (host == "backend.test").then_some(host);
                    assert_eq!(server.server_name(), named);
                    converse(established, &mut server);
                }
            }
        }
    }
}

#[test]
fn sessions_are_taken_up_with_the_tickets_that_were_taken() {
    let papers = Papers::new();
    let files = papers.certificate(&["backend.test"]);
    for version in BOTH {
        // Tickets of TLS 1.3 go first, so a backend that went back to 1.2 resumes nothing until they are used up.
        let connector = Connector::load(&papers.backend()).unwrap();
        let mut config = backend_of(&papers, &files, &[version], &Suite::ALL, false);
        config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().unwrap();
        let config = Arc::new(config);
        let resumed = [0, 1, 2].map(|_| {
            let mut server = server(&config);
            let mut ours = Handshake::connect(&connector, "backend.test").unwrap();
            let established = talk(&mut ours, &mut server).unwrap();
            let resumed = established.facts.resumed;
            // The tickets stand before the answer.
            converse(established, &mut server);
            resumed
        });
        assert_eq!(resumed, [false, true, true]);
    }
}

#[test]
fn tickets_are_bounded_and_may_be_garbage() {
    let papers = Papers::new();
    let config = backend(&papers, &papers.certificate(&["backend.test"]));
    let (established, _) = greet(&papers.backend(), config, "backend.test").unwrap();
    let mut tickets = established.tickets.unwrap();
    assert!(!tickets.take(&vec![0; crate::limits::TICKET_BYTES_MAX + 1]));
    assert!(!tickets.is_full());
    for _ in 0..crate::limits::TICKETS_TAKEN_MAX {
        assert!(!tickets.take(b"garbage"));
    }
    assert!(tickets.is_full());
}

#[test]
fn a_backend_must_be_vouched_for_under_the_name_we_ask_for() {
    let papers = Papers::new();
    let wrong_name = papers.certificate(&["other.test"]);
    let others = Papers::new();
    let stranger = others.certificate(&["backend.test"]);
    let expired = papers.certificate_of(&["backend.test"], Kind::Ecdsa, |params| {
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
    });
    for files in [&wrong_name, &stranger, &expired] {
        let failure = greet(&papers.backend(), backend(&papers, files), "backend.test");
        let failure = failure.unwrap_err();
        assert_eq!(
            failure.reason,
            FailureReason::BadBackendCertificate,
            "{failure}"
        );
    }
    let mut wanted = papers.backend();
    wanted.server_name = Some("other.test".to_owned());
    let (_, server) = greet(&wanted, backend(&papers, &wrong_name), "10.0.0.1").unwrap();
    assert_eq!(server.server_name(), Some("other.test"));
}

#[test]
fn a_pinned_key_is_wanted_besides() {
    let papers = Papers::new();
    let files = papers.certificate(&["backend.test"]);
    let leaf = CertificateDer::from_pem_file(&files.chain).unwrap();
    let mut wanted = papers.backend();
    wanted.pins = vec![[7; 32], key_digest(&leaf).unwrap()];
    let (established, mut server) =
        greet(&wanted, backend(&papers, &files), "backend.test").unwrap();
    converse(established, &mut server);

    // That of the authority is no help: anybody can show it.
    let chain = std::fs::read_to_string(&files.chain).unwrap() + &papers.authority.pem();
    std::fs::write(&files.chain, chain).unwrap();
    wanted.pins = vec![key_digest(papers.authority.der()).unwrap()];
    let failure = greet(&wanted, backend(&papers, &files), "backend.test").unwrap_err();
    assert_eq!(failure.reason, FailureReason::WrongPin);

    // And a pin does not replace the authority.
    wanted.pins = vec![key_digest(&leaf).unwrap()];
    let others = Papers::new();
    wanted.roots = Roots::File(others.authority_file());
    let failure = greet(&wanted, backend(&papers, &files), "backend.test").unwrap_err();
    assert_eq!(failure.reason, FailureReason::BadBackendCertificate);
}

#[test]
fn a_backend_that_asks_gets_our_certificate() {
    let papers = Papers::new();
    let files = papers.certificate(&["backend.test"]);
    let ours = papers.certificate(&["balancer.test"]);
    for version in BOTH {
        let config = || backend_of(&papers, &files, &[version], &Suite::ALL, true);
        let mut wanted = papers.backend();
        wanted.certificate = Some(ours.clone());
        let (established, mut server) = greet(&wanted, config(), "backend.test").unwrap();
        converse(established, &mut server);
        let shown = &server.peer_certificates().unwrap()[0];
        assert_eq!(*shown, CertificateDer::from_pem_file(&ours.chain).unwrap());
    }
}

#[test]
fn a_backend_that_refuses_us_is_heard() {
    let papers = Papers::new();
    let files = papers.certificate(&["backend.test"]);
    let config = backend_of(&papers, &files, &BOTH[1..], &Suite::ALL, true);
    let failure = greet(&papers.backend(), config, "backend.test").unwrap_err();
    assert_eq!(failure.reason, FailureReason::PeerAlert);
    let mut wanted = papers.backend();
    wanted.min_version = Version::Tls13;
    let config = backend_of(&papers, &files, &BOTH[1..], &Suite::ALL, false);
    let failure = greet(&wanted, config, "backend.test").unwrap_err();
    assert_eq!(failure.reason, FailureReason::PeerAlert);
}

#[test]
fn cuts_change_nothing() {
    let papers = Papers::new();
    let files = papers.certificate(&["backend.test"]);
    let connector = Connector::load(&papers.backend()).unwrap();
    for version in BOTH {
        let config = Arc::new(backend_of(&papers, &files, &[version], &Suite::ALL, false));
        for piece in [1, 2, 5, 6, 63, 1000] {
            let mut server = server(&config);
            let mut ours = Handshake::connect(&connector, "backend.test").unwrap();
            let mut out = Vec::new();
            ours.feed(&[], &mut out).unwrap();
            let mut done = None;
            while done.is_none() {
                hear(&mut server, &std::mem::take(&mut out)).unwrap();
                let bytes = said(&mut server);
                assert!(!bytes.is_empty(), "both sides wait");
                for bytes in bytes.chunks(piece) {
                    match &mut done {
                        None => {
                            if let Progress::Done(all) = ours.feed(bytes, &mut out).unwrap() {
                                done = Some(all);
                            }
                        }
                        Some(done) => done.leftover.extend_from_slice(bytes),
                    }
                }
            }
            hear(&mut server, &out).unwrap();
            converse(*done.unwrap(), &mut server);
        }
    }
}

#[test]
fn our_two_sides_understand_each_other() {
    let papers = Papers::new();
    let loaded = load(&listener(vec![papers.certificate(&["backend.test"])]));
    for (suite, oldest) in [
        (Suite::Aes128Gcm, Version::Tls13),
        (Suite::ChaCha20Poly1305, Version::Tls12),
    ] {
        let mut wanted = papers.backend();
        (wanted.suites, wanted.min_version) = (vec![suite], oldest);
        let connector = Connector::load(&wanted).unwrap();
        let mut client = Handshake::connect(&connector, "backend.test").unwrap();
        let mut server = Handshake::accept(&loaded.acceptor).unwrap();
        let (mut right, mut left) = (Vec::new(), Vec::new());
        let (mut at_client, mut at_server) = (None, None);
        while at_client.is_none() || at_server.is_none() {
            if at_client.is_none()
                && let Progress::Done(done) =
                    client.feed(&std::mem::take(&mut left), &mut right).unwrap()
            {
                at_client = Some(done);
            }
            if at_server.is_none()
                && let Progress::Done(done) =
                    server.feed(&std::mem::take(&mut right), &mut left).unwrap()
            {
                at_server = Some(done);
            }
        }
        let (mut from, mut to) = (at_client.unwrap().session, at_server.unwrap().session);
        let mut wire = vec![0; crate::tls::sealed_bytes_max(5)];
        let sealed = from
            .seal(&mut crate::tls::Keys::new(), b"hello", &mut wire)
            .unwrap();
        let opened = to.open(&mut crate::tls::Keys::new(), &mut wire[..sealed]);
        let Verdict::Data { at, .. } = opened else {
            panic!("{opened:?}");
        };
        assert_eq!(&wire[at], b"hello");
    }
}

#[test]
fn probes_are_carried_by_rustls_alone() {
    let papers = Papers::new();
    let files = papers.certificate(&["backend.test"]);
    let connector = Connector::load(&papers.backend()).unwrap();
    let config = connector.client_config();
    assert!(!config.enable_secret_extraction);
    let name = connector.server_name("backend.test").unwrap();
    let mut probe = rustls::client::ClientConnection::new(config, name).unwrap();
    let mut server = server(&Arc::new(backend(&papers, &files)));
    while probe.is_handshaking() || server.is_handshaking() {
        hear(&mut server, &said(&mut probe)).unwrap();
        hear(&mut probe, &said(&mut server)).unwrap();
    }
    probe.writer().write_all(b"well?").unwrap();
    hear(&mut server, &said(&mut probe)).unwrap();
    let mut heard = [0; 5];
    server.reader().read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"well?");
    assert!(connector.server_name("not a host").is_err());
    assert!(Handshake::connect(&connector, "not a host").is_err());
    assert_eq!(only(Suite::Aes128Gcm).cipher_suites.len(), 3);
}
