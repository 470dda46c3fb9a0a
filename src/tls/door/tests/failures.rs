//! Every way for a handshake to end badly, and what the peer hears of it.

use rustls::{AlertDescription, Error, version};

use super::pair::{client, config, config_of, greet, hear, load, only, said};
use super::papers::{Kind, Papers, listener};
use crate::limits::TLS_HANDSHAKE_BYTES_MAX;
use crate::tls::door::extract::session;
use crate::tls::door::tap::Secrets;
use crate::tls::door::{Acceptor, Connector, Failure, FailureReason, Handshake, Progress};
use crate::tls::{Role, Suite, Version};

fn refused(acceptor: &Acceptor, bytes: &[u8]) -> (Failure, Vec<u8>) {
    let mut out = Vec::new();
    let mut ours = Handshake::accept(acceptor).unwrap();
    let failure = ours.feed(bytes, &mut out).unwrap_err();
    let again = ours.feed(bytes, &mut Vec::new()).unwrap_err();
    assert_eq!(again.reason, FailureReason::Internal, "it was over");
    (failure, out)
}

#[test]
fn what_is_no_tls_gets_no_alert() {
    let papers = Papers::new();
    let acceptor = load(&papers.listener()).acceptor;
    for (bytes, reason) in [
        (&b"GET / HTTP/1.1\r\n"[..], FailureReason::PlainHttp),
        (b"PRI * HTTP/2.0\r\n", FailureReason::PlainHttp),
        (b"SSH-2.0-OpenSSH\r\n", FailureReason::NotTls),
        (b"\0\0\0\0\0", FailureReason::NotTls),
        (b"\x80\x2e\x01\x03\x01", FailureReason::NotTls),
        (b"\x16\x02\x00\x00\x01", FailureReason::NotTls),
    ] {
        let (failure, out) = refused(&acceptor, bytes);
        assert_eq!((failure.reason, out), (reason, vec![]));
    }
}

#[test]
fn garbage_in_records_and_too_much_of_them_is_refused_with_an_alert() {
    let papers = Papers::new();
    let acceptor = load(&papers.listener()).acceptor;
    let endless = [&b"\x16\x03\x01\x40\x00\x01\x00\xff\xff"[..], &[0; 16380]].concat();
    let endless = [&endless[..], &[22, 3, 1, 64, 0], &[0; 16384]].concat();
    let endless = [&endless[..], &endless, &endless].concat();
    assert!(endless.len() > TLS_HANDSHAKE_BYTES_MAX);
    for (bytes, reason) in [
        (
            &b"\x16\x03\x01\0\x04\x01\0\0\0"[..],
            FailureReason::Protocol,
        ),
        (b"\x17\x03\x01\0\x04abcd", FailureReason::Protocol),
        (b"\x16\x03\x01\x48\x01", FailureReason::TooLong),
        (b"\x16\x03\x01\0\x01\x01\x99", FailureReason::Protocol),
        (&endless, FailureReason::TooLong),
        (b"\x15\x03\x01\0\x02\x02\x28", FailureReason::PeerAlert),
    ] {
        let (failure, out) = refused(&acceptor, bytes);
        assert_eq!(failure.reason, reason, "{failure}");
        assert!(
            out.is_empty() || out.starts_with(&[21, 3, 3, 0, 2, 2]),
            "{out:?}"
        );
        let expects = reason != FailureReason::PeerAlert;
        assert_eq!(!out.is_empty(), expects, "{failure}");
    }
}

#[test]
fn a_client_that_offers_only_other_protocols_is_told_so() {
    let papers = Papers::new();
    let loaded = load(&papers.listener());
    let mut config = config(papers.roots());
    config.alpn_protocols = vec![b"h2".to_vec()];
    let mut client = client(&config, "example.com");
    let (failure, out) = refused(&loaded.acceptor, &said(&mut client));
    assert_eq!(failure.reason, FailureReason::NoSharedProtocol);
    let alert = Error::AlertReceived(AlertDescription::NoApplicationProtocol);
    assert_eq!(hear(&mut client, &out).unwrap_err(), alert);
}

#[test]
fn a_client_with_other_ciphers_or_signatures_is_told_so() {
    let papers = Papers::new();
    let mut listener = papers.listener();
    listener.suites = vec![Suite::Aes128Gcm];
    let acceptor = load(&listener).acceptor;
    for version in [&version::TLS13, &version::TLS12] {
        let provider = only(Suite::ChaCha20Poly1305);
        let config = config_of(papers.roots(), &[version], Some(provider), None);
        let mut client = client(&config, "example.com");
        let (failure, out) = refused(&acceptor, &said(&mut client));
        assert_eq!(failure.reason, FailureReason::NoSharedSuite, "{failure}");
        let alert = Error::AlertReceived(AlertDescription::HandshakeFailure);
        assert_eq!(hear(&mut client, &out).unwrap_err(), alert);
    }
}

#[test]
fn a_client_that_refuses_us_is_heard() {
    let papers = Papers::new();
    let acceptor = load(&papers.listener()).acceptor;
    let stranger = Papers::new();
    let mut client = client(&config(stranger.roots()), "example.com");
    let failure = greet(&acceptor, &mut client).unwrap_err();
    assert_eq!(failure.reason, FailureReason::PeerAlert);
    assert!(failure.detail.contains("UnknownCA"), "{failure}");
}

#[test]
fn a_backend_without_tls_or_past_its_bounds_is_refused() {
    let papers = Papers::new();
    let connector = Connector::load(&papers.backend()).unwrap();
    for (bytes, reason) in [
        (&b"HTTP/1.1 400 Bad Request\r\n"[..], FailureReason::NotTls),
        (b"GET / HTTP/1.1\r\n", FailureReason::NotTls),
        (b"\x16\x03\x03\x48\x01", FailureReason::TooLong),
        (b"\x16\x03\x03\0\x04\x02\0\0\0", FailureReason::Protocol),
        (b"\x15\x03\x03\0\x02\x02\x28", FailureReason::PeerAlert),
    ] {
        let mut ours = Handshake::connect(&connector, "backend.test").unwrap();
        let mut out = Vec::new();
        let progress = ours.feed(&[], &mut out).unwrap();
        assert!(matches!(progress, Progress::More) && !out.is_empty());
        let failure = ours.feed(bytes, &mut out).unwrap_err();
        assert_eq!(failure.reason, reason, "{failure}");
    }
}

#[test]
fn keys_that_are_not_of_the_secrets_are_refused() {
    use rustls::crypto::cipher::{AeadKey, Iv};
    use rustls::{ConnectionTrafficSecrets, ExtractedSecrets};
    let keys = || ConnectionTrafficSecrets::Chacha20Poly1305 {
        key: AeadKey::from([1; 32]),
        iv: Iv::copy(&[2; 12]),
    };
    let extracted = ExtractedSecrets {
        tx: (0, keys()),
        rx: (0, keys()),
    };
    let secret = || Some(zeroize::Zeroizing::new(vec![3; 32]));
    let full = Secrets {
        client: secret(),
        server: secret(),
    };
    for (secrets, suite) in [
        (&full, Suite::ChaCha20Poly1305),
        (&full, Suite::Aes256Gcm),
        (&Secrets::default(), Suite::ChaCha20Poly1305),
    ] {
        let made = session(Role::Server, Version::Tls13, suite, &extracted, secrets);
        let Err(failure) = made else {
            panic!("keys of nowhere")
        };
        assert_eq!(failure.reason, FailureReason::SecretsDisagree);
    }
}

#[test]
fn every_reason_is_reached_somewhere_in_these_tests() {
    let sources = [
        include_str!("backends.rs"),
        include_str!("clients.rs"),
        include_str!("failures.rs"),
        include_str!("names.rs"),
        include_str!("server.rs"),
    ]
    .concat();
    for reason in FailureReason::ALL {
        let named = format!("FailureReason::{reason:?}");
        assert!(sources.contains(&named), "{named}");
    }
}

#[test]
fn a_certificate_may_take_several_records() {
    let papers = Papers::new();
    let names: Vec<String> = (0..1500)
        .map(|at| format!("host-{at}.example.com"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let files = papers.certificate_of(&names, Kind::Ecdsa, |_| {});
    let loaded = load(&listener(vec![files]));
    let mut client = client(&config(papers.roots()), "host-1499.example.com");
    greet(&loaded.acceptor, &mut client).unwrap();
}
