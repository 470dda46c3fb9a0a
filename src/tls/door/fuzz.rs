//! What must hold for any bytes that come to the door, in one function that the fuzzer and a property test call.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore};

use super::super::settings::{ListenerTls, Suite, Tickets, UnknownName, Version};
use super::certificates::{Loaded, Names};
use super::clients::Clients;
use super::provider::{provider, versions};
use super::{
    Acceptor, CertificateFact, Connector, Failure, FailureReason, Handshake, KeyKind, Progress,
    TicketKeys,
};
use crate::clock::Now;
use crate::sync::Arc;

/// The first byte says which role we have, the second where the rest is cut. Panics when the cut changes the outcome, or
/// when we answer with more than a handshake has.
pub fn fuzz_door(data: &[u8]) {
    let Some((&[role, cut], bytes)) = data.split_first_chunk() else {
        return;
    };
    let (left, right) = bytes.split_at(usize::from(cut).min(bytes.len()));
    let outcomes = [
        greet(role, &[bytes]),
        greet(role, &[left, right]),
        greet(role, &bytes.chunks(1).collect::<Vec<_>>()),
    ];
    assert!(
        outcomes.iter().all(|outcome| *outcome == outcomes[0]),
        "the cut changed the outcome: {outcomes:?}"
    );
}

/// How it ended, if it did, and whether the peer is told anything.
fn greet(role: u8, pieces: &[&[u8]]) -> (Option<Failure>, bool) {
    let mut handshake = if role.is_multiple_of(2) {
        Handshake::accept(acceptor()).expect("invariant: there is memory and chance")
    } else {
        Handshake::connect(connector(), "example.com").expect("invariant: it is a good name")
    };
    let mut out = Vec::new();
    handshake
        .feed(&[], &mut out)
        .expect("nothing is no mistake");
    let greeting = out.len();
    for piece in pieces {
        let step = handshake.feed(piece, &mut out);
        assert!(out.len() <= ANSWER_BYTES_MAX, "{} bytes", out.len());
        match step {
            Ok(Progress::More) => {}
            Ok(Progress::Done(_)) => panic!("nobody knows the keys of this handshake"),
            Err(failure) => {
                check(&failure, &out[greeting..]);
                return (Some(failure), out.len() > greeting);
            }
        }
    }
    (None, out.len() > greeting)
}

fn check(failure: &Failure, out: &[u8]) {
    let in_the_clear = [FailureReason::PlainHttp, FailureReason::NotTls];
    assert!(
        out.is_empty() || !in_the_clear.contains(&failure.reason),
        "an alert before an answer in the clear"
    );
    assert_ne!(failure.reason, FailureReason::SecretsDisagree);
}

fn acceptor() -> &'static Acceptor {
    static ACCEPTOR: OnceLock<Acceptor> = OnceLock::new();
    ACCEPTOR.get_or_init(|| {
        let wanted = ListenerTls {
            certificates: Vec::new(),
            unknown_name: UnknownName::Refuse,
            min_version: Version::Tls12,
            suites: Suite::ALL.to_vec(),
            tickets: Tickets::Own {
                rotate_after: Duration::from_hours(1),
            },
            clients: None,
            handshake_timeout: Duration::from_secs(10),
        };
        let keys = TicketKeys::load(&wanted.tickets, Now::from_nanos(0));
        let keys = keys.expect("invariant: no file is read");
        let provider = provider(&wanted.suites);
        let made = Acceptor::of(
            &wanted,
            &[certificate()],
            provider,
            Clients::anybody(),
            &keys,
        );
        made.expect("invariant: there are a certificate and ciphers")
    })
}

/// A key of the moment. Nobody looks into the certificate: it is for the client to read.
fn certificate() -> Loaded {
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new());
    let pkcs8 = pkcs8.expect("invariant: there is chance");
    let key = PrivatePkcs8KeyDer::from(pkcs8.as_ref().to_vec()).into();
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key);
    let key = key.expect("invariant: it was made for this");
    let der = CertificateDer::from(vec![0x30, 0]);
    let dns = vec!["example.com".to_owned()];
    Loaded {
        key: Arc::new(CertifiedKey::new(vec![der], key)),
        names: Names {
            dns: dns.clone(),
            addresses: Vec::new(),
        },
        fact: CertificateFact {
            chain_path: PathBuf::new(),
            names: dns,
            not_before: 0,
            not_after: 0,
            key: KeyKind::Ecdsa,
        },
    }
}

/// Trusts nobody.
fn connector() -> &'static Connector {
    static CONNECTOR: OnceLock<Connector> = OnceLock::new();
    CONNECTOR.get_or_init(|| {
        let builder = ClientConfig::builder_with_provider(provider(&Suite::ALL));
        let config = builder
            .with_protocol_versions(versions(Version::Tls12))
            .expect("invariant: there are ciphers for both versions")
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        Connector::of(config, None)
    })
}

/// Two flights with a small certificate, or a first flight with a post-quantum share and an alert.
const ANSWER_BYTES_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::fuzz_door;

    fn record() -> impl Strategy<Value = Vec<u8>> {
        let body = prop::collection::vec(any::<u8>(), 0..40);
        (20u8..25, 0u8..5, body).prop_map(|(kind, minor, body)| {
            let length = u8::try_from(body.len()).unwrap();
            [&[kind, 3, minor, 0, length], &*body].concat()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn records_of_garbage_are_refused_however_they_are_cut(
            role: u8,
            cut in 0u8..60,
            records in prop::collection::vec(record(), 0..4),
        ) {
            fuzz_door(&[&[role, cut][..], &records.concat()].concat());
        }

        #[test]
        fn garbage_is_refused_however_it_is_cut(data: Vec<u8>) {
            fuzz_door(&data);
        }
    }
}
