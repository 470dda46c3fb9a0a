//! Any TLS that the file can say.

use std::path::PathBuf;

use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::config::Listener;
use crate::config::tests::print::timeout;
use crate::fleet::{ClientCertRules, Pattern, San};
use crate::limits;
use crate::tls::{
    BackendTls, CertificateFiles, ClientAuth, ClientCertificates, ListenerTls, Roots, Suite,
    Tickets, UnknownName, Version,
};

/// One with TLS that asks clients for certificates, as any route may want, and up to three more.
pub(in crate::config::tests) fn listeners() -> impl Strategy<Value = Vec<Listener>> {
    let asking = (listener_tls(), clients()).prop_map(|(tls, clients)| ListenerTls {
        clients: Some(clients),
        ..tls
    });
    let first = (asking.prop_map(Some), hsts(), Just(None));
    let more = (option::of(listener_tls()), hsts(), option::of(1..=u16::MAX));
    let listeners = (first, prop::collection::vec(more, 0..3));
    listeners.prop_map(|(first, more)| {
        let all = (1_u16..).zip(std::iter::once(first).chain(more));
        let all = all.map(|(port, (tls, hsts, redirect))| Listener {
            name: format!("listener-{}.{port}", 9 - port),
            addresses: vec![([0, 0, 0, 0], port).into()],
            backlog: limits::BACKLOG.default,
            keepalive: None,
            hsts: hsts.filter(|_| tls.is_some()),
            redirect_to_https: redirect.filter(|_| tls.is_none()),
            tls,
        });
        all.collect()
    })
}

fn listener_tls() -> impl Strategy<Value = ListenerTls> {
    let certificates = prop::collection::btree_map("[a-z./]{1,8}", "[a-zß\" ]{1,8}", 1..4);
    let unknown = select(vec![UnknownName::Default, UnknownName::Refuse]);
    let tickets = prop_oneof![
        Just(Tickets::Off),
        timeout(limits::TICKET_LIFETIME).prop_map(|rotate_after| Tickets::Own { rotate_after }),
        path().prop_map(Tickets::File),
    ];
    let handshake = timeout(limits::TLS_HANDSHAKE_TIMEOUT);
    let parts = (
        certificates,
        unknown,
        versions(),
        tickets,
        option::of(clients()),
        handshake,
    );
    parts.prop_map(
        |(certificates, unknown_name, versions, tickets, clients, handshake)| {
            let certificates = certificates.into_iter();
            let certificates = certificates.map(|(chain, key)| CertificateFiles {
                chain: chain.into(),
                key: key.into(),
            });
            ListenerTls {
                certificates: certificates.collect(),
                unknown_name,
                min_version: versions.0,
                suites: versions.1,
                tickets,
                clients,
                handshake_timeout: handshake,
            }
        },
    )
}

fn clients() -> impl Strategy<Value = ClientCertificates> {
    let auth = select(vec![ClientAuth::Optional, ClientAuth::Required]);
    let parts = (auth, path(), option::of(path()));
    parts.prop_map(|(auth, authorities, revoked)| ClientCertificates {
        auth,
        authorities,
        revoked,
    })
}

fn hsts() -> impl Strategy<Value = Option<Box<str>>> {
    let value = prop_oneof![
        (0_u32..100_000_000).prop_map(|age| format!("max-age={age}")),
        (0_u32..100_000_000).prop_map(|age| format!("max-age={age}; includeSubDomains")),
        (31_536_000_u32..100_000_000)
            .prop_map(|age| format!("max-age={age}; includeSubDomains; preload")),
    ];
    option::of(value.prop_map(Into::into))
}

pub(in crate::config::tests) fn backend_tls() -> impl Strategy<Value = BackendTls> {
    let roots = prop_oneof![
        Just(Roots::System),
        path()
            .prop_filter("a word", |path| path.as_os_str() != "system")
            .prop_map(Roots::File),
    ];
    let name = option::of("[a-z]{1,6}(\\.[a-z0-9]{1,4}){0,2}\\.[a-z]{2,4}");
    let certificate = option::of((path(), path()));
    let pins = prop::collection::btree_set(any::<[u8; 32]>(), 0..4);
    let parts = (roots, name, certificate, pins, versions());
    parts.prop_map(
        |(roots, server_name, certificate, pins, versions)| BackendTls {
            roots,
            server_name,
            certificate: certificate.map(|(chain, key)| CertificateFiles { chain, key }),
            pins: pins.into_iter().collect(),
            min_version: versions.0,
            suites: versions.1,
        },
    )
}

pub(in crate::config::tests) fn rules_for_certificates() -> impl Strategy<Value = ClientCertRules> {
    let text = "(CN|O)=[a-zß ,\\\\\"]{1,9}";
    let subject = prop_oneof![
        text.prop_map(|text| Pattern::Exact(text.into())),
        text.prop_map(|text| Pattern::Start(text.into())),
        text.prop_map(|text| Pattern::End(text.into())),
    ];
    let san = "((DNS:)?(\\*\\.)?[a-z]{1,5}\\.de|URI:spiffe://[a-z/]{1,9}\\*?|email:(\\*|[a-z])@a\\.de|IP:10\\.0\\.0\\.[1-9])";
    let san = san.prop_map(|text| San::parse(&text).unwrap());
    let lists = (
        prop::collection::vec(subject, 0..3),
        prop::collection::vec(san, 0..3),
    );
    let named = any::<[bool; 4]>();
    (any::<bool>(), lists, named).prop_map(|(required, (subjects, sans), named)| {
        let header = |at: usize| named[at].then(|| format!("X-Client_{at}").into());
        ClientCertRules {
            required: required || !subjects.is_empty() || !sans.is_empty(),
            subjects,
            sans,
            subject_header: header(0),
            sans_header: header(1),
            fingerprint_header: header(2),
            verify_header: header(3),
        }
    })
}

fn versions() -> impl Strategy<Value = (Version, Vec<Suite>)> {
    let version = select(vec![Version::Tls12, Version::Tls13]);
    let suites = subsequence(Suite::ALL.to_vec(), 1..=3).prop_shuffle();
    (version, suites)
}

fn path() -> impl Strategy<Value = PathBuf> {
    "/?[a-zß\" ]{1,8}\\.[a-z]{3}".prop_map(Into::into)
}
