//! Greeting clients: versions, ciphers, protocols, and bytes however they are cut.

use std::io::Write;

use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::{HandshakeKind, version};

use super::pair::{BOTH, client, config, config_of, converse, greet, hear, load, only, said};
use super::papers::{Kind, Papers, listener};
use crate::tls::door::{FailureReason, Handshake, Progress};
use crate::tls::{Suite, Version};

#[test]
fn every_version_cipher_and_kind_of_key_makes_a_session() {
    let papers = Papers::new();
    for kind in [Kind::Rsa, Kind::Ecdsa] {
        let files = papers.certificate_of(&["example.com"], kind, |_| {});
        let loaded = load(&listener(vec![files]));
        for suite in Suite::ALL {
            for (theirs, ours) in BOTH.into_iter().zip([Version::Tls13, Version::Tls12]) {
                let config = config_of(papers.roots(), &[theirs], Some(only(suite)), None);
                let mut client = client(&config, "example.com");
                let established = greet(&loaded.acceptor, &mut client).unwrap();
                let facts = &established.facts;
                assert_eq!((facts.version, facts.suite), (ours, suite));
                assert_eq!(facts.server_name.as_deref(), Some("example.com"));
                assert_eq!((facts.alpn, facts.resumed), (None, false));
                assert!(facts.client.is_none() && established.tickets.is_none());
                converse(established, &mut client);
            }
        }
    }
}

#[test]
fn our_order_of_ciphers_decides() {
    let papers = Papers::new();
    let mut listener = papers.listener();
    listener.suites = vec![Suite::ChaCha20Poly1305, Suite::Aes256Gcm];
    let loaded = load(&listener);
    for version in BOTH {
        let config = config_of(papers.roots(), &[version], None, None);
        let mut client = client(&config, "example.com");
        let established = greet(&loaded.acceptor, &mut client).unwrap();
        assert_eq!(established.facts.suite, Suite::ChaCha20Poly1305);
    }
}

#[test]
fn the_oldest_version_is_kept() {
    let papers = Papers::new();
    let mut listener = papers.listener();
    listener.min_version = Version::Tls13;
    let loaded = load(&listener);
    let config = config_of(papers.roots(), &[&version::TLS12], None, None);
    let mut client = client(&config, "example.com");
    let failure = greet(&loaded.acceptor, &mut client).unwrap_err();
    assert_eq!(failure.reason, FailureReason::NoSharedVersion);
}

#[test]
fn a_client_that_offers_no_protocol_or_ours_is_let_in() {
    let papers = Papers::new();
    let loaded = load(&papers.listener());
    for (offered, agreed) in [
        (vec![], None),
        (vec![b"h2".to_vec(), b"http/1.1".to_vec()], Some("http/1.1")),
    ] {
        let mut config = config(papers.roots());
        config.alpn_protocols = offered;
        let mut client = client(&config, "example.com");
        let established = greet(&loaded.acceptor, &mut client).unwrap();
        assert_eq!(established.facts.alpn, agreed);
        assert_eq!(client.alpn_protocol(), agreed.map(str::as_bytes));
    }
}

#[test]
fn every_group_is_accepted() {
    let papers = Papers::new();
    let loaded = load(&papers.listener());
    for group in [
        kx_group::X25519,
        kx_group::X25519MLKEM768,
        kx_group::SECP256R1,
        kx_group::SECP384R1,
    ] {
        let mut provider = default_provider();
        provider.kx_groups = vec![group];
        let config = config_of(papers.roots(), &[&version::TLS13], Some(provider), None);
        let mut client = client(&config, "example.com");
        let established = greet(&loaded.acceptor, &mut client).unwrap();
        assert_eq!(
            client.negotiated_key_exchange_group().unwrap().name(),
            group.name()
        );
        converse(established, &mut client);
    }
}

#[test]
fn a_second_hello_is_asked_for_where_the_first_has_no_share() {
    let papers = Papers::new();
    let loaded = load(&papers.listener());
    let mut provider = default_provider();
    // We know the second alone, and rustls sends a share for the first.
    provider.kx_groups = vec![kx_group::MLKEM768, kx_group::SECP384R1];
    let config = config_of(papers.roots(), &[&version::TLS13], Some(provider), None);
    let mut client = client(&config, "example.com");
    converse(greet(&loaded.acceptor, &mut client).unwrap(), &mut client);
    let kind = client.handshake_kind().unwrap();
    assert_eq!(kind, HandshakeKind::FullWithHelloRetryRequest);
}

/// Plays a handshake with data glued behind the client's last flight, cut into pieces of this many bytes.
fn glued(papers: &Papers, version: &'static rustls::SupportedProtocolVersion, piece: usize) {
    let loaded = load(&papers.listener());
    let config = config_of(papers.roots(), &[version], None, None);
    let mut client = client(&config, "example.com");
    let mut ours = Handshake::accept(&loaded.acceptor).unwrap();
    let mut out = Vec::new();
    for _ in 0..5 {
        if client.is_handshaking() && version.version == version::TLS13.version {
            // TLS 1.3: data goes out right behind Finished.
            client.writer().write_all(b"early bird").unwrap();
        }
        let bytes = said(&mut client);
        let pieces: Vec<_> = bytes.chunks(piece).collect();
        for (at, piece) in pieces.iter().enumerate() {
            if let Progress::Done(mut established) = ours.feed(piece, &mut out).unwrap() {
                hear(&mut client, &out).unwrap();
                established.leftover.extend(pieces[at + 1..].concat());
                check_glued(*established, &mut client, version);
                return;
            }
        }
        hear(&mut client, &std::mem::take(&mut out)).unwrap();
    }
    panic!("both sides wait");
}

fn check_glued(
    mut established: crate::tls::Established,
    client: &mut rustls::client::ClientConnection,
    version: &'static rustls::SupportedProtocolVersion,
) {
    if version.version == version::TLS13.version {
        let mut keys = crate::tls::Keys::new();
        let wire = &mut established.leftover;
        assert!(!wire.is_empty());
        let opened = established.session.open(&mut keys, wire);
        let crate::tls::Verdict::Data { at, used } = opened else {
            panic!("{opened:?}");
        };
        assert!(wire[at].starts_with(b"early bird"));
        wire.drain(..used);
        while !established.leftover.is_empty() {
            let wire = &mut established.leftover;
            let opened = established.session.open(&mut keys, wire);
            let crate::tls::Verdict::Data { used, .. } = opened else {
                panic!("{opened:?}");
            };
            wire.drain(..used);
        }
    }
    converse(established, client);
}

#[test]
fn cuts_change_nothing_and_what_comes_behind_is_left_over() {
    let papers = Papers::new();
    for version in BOTH {
        for piece in [1, 2, 5, 6, 7, 64, 1000, usize::MAX] {
            glued(&papers, version, piece);
        }
    }
}
