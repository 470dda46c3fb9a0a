//! What is said about files that do not serve.

use std::path::{Path, PathBuf};

use super::pair::load;
use super::papers::{Kind, Papers, listener};
use crate::clock::Now;
use crate::tls::door::{Acceptor, Connector, KeyKind, TicketKeys, Validity};
use crate::tls::{CertificateFiles, ClientAuth, ClientCertificates, ListenerTls, Roots, Tickets};

fn said(wanted: &ListenerTls) -> String {
    let keys = TicketKeys::load(&Tickets::Off, Now::from_nanos(0)).unwrap();
    let error = Acceptor::load(wanted, &keys).unwrap_err();
    let folder = error
        .file
        .parent()
        .unwrap_or(Path::new(""))
        .display()
        .to_string();
    error.to_string().replace(&folder, "").replace('/', "")
}

fn pair(chain: &Path, key: &Path) -> ListenerTls {
    listener(vec![CertificateFiles {
        chain: chain.to_path_buf(),
        key: key.to_path_buf(),
    }])
}

#[test]
fn mistakes_in_chains_are_said_with_their_place_and_remedy() {
    let papers = Papers::new();
    let good = papers.certificate(&["example.com"]);
    let pem = std::fs::read_to_string(&good.chain).unwrap();
    let cut = papers.file("cut.pem", &pem[..pem.len() / 2]);
    let empty = papers.file("empty.pem", "");
    let bent = papers.file("bent.pem", pem.replace("MII", "AAA"));
    for (chain, expected) in [
        (
            &empty,
            "empty.pem: expected a PEM file of certificates, found none (each begins with a line -----BEGIN CERTIFICATE-----)",
        ),
        (
            &cut,
            "cut.pem:1: expected a PEM file of certificates, found a section that does not end (is the file complete?)",
        ),
        (
            &bent,
            "bent.pem: expected an X.509 certificate, found another thing at the start of the file (is the file complete?)",
        ),
        (
            &PathBuf::from("no.pem"),
            "no.pem: expected a PEM file of certificates, found No such file or directory (os error 2)",
        ),
    ] {
        assert_eq!(said(&pair(chain, &good.key)), expected);
    }
}

#[test]
fn mistakes_in_keys_are_said_with_their_place_and_remedy() {
    let papers = Papers::new();
    let [good, other] = [0, 1].map(|_| papers.certificate(&["example.com"]));
    let empty = papers.file("empty.pem", "");
    let locked = papers.file(
        "locked.pem",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let odd = papers.file(
        "odd.pem",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    );
    for (key, expected) in [
        (
            &other.key,
            "KEY: expected the key of CHAIN, found another one (the first certificate in the file must be the server's own, and this its key)",
        ),
        (
            &locked,
            "locked.pem: expected a private key that no password protects, found an encrypted one (decrypt it: openssl pkey -in FILE -out NEW)",
        ),
        (
            &odd,
            "odd.pem: expected a private key of a kind that is supported, found another one (RSA of 2048 to 8192 bits, ECDSA P-256, P-384 or P-521, or Ed25519)",
        ),
        (
            &empty,
            "empty.pem: expected a PEM file with a private key, found none (PKCS#8, SEC1 or PKCS#1, between lines such as -----BEGIN PRIVATE KEY-----)",
        ),
    ] {
        let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        let said = said(&pair(&good.chain, key));
        let said = said.replace(&name(&other.key), "KEY");
        assert_eq!(said.replace(&name(&good.chain), "CHAIN"), expected);
    }
}

#[test]
fn a_certificate_that_nobody_would_get_is_a_mistake() {
    let papers = Papers::new();
    let nameless = papers.certificate(&[]);
    load(&listener(vec![nameless.clone()]));
    let second = listener(vec![papers.certificate(&["example.com"]), nameless]);
    assert!(
        said(&second)
            .contains("expected a certificate with DNS names or addresses, found none in it")
    );
    assert_eq!(
        said(&listener(vec![])),
        "expected at least one certificate, found none"
    );
    let mut none = papers.listener();
    none.suites.clear();
    assert_eq!(said(&none), "expected at least one cipher, found none");
}

#[test]
fn authorities_and_lists_are_checked_too() {
    let papers = Papers::new();
    let mut wanted = papers.listener();
    let garbage = papers.file(
        "garbage.pem",
        "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
    );
    let clients = |authorities: PathBuf, revoked| {
        Some(ClientCertificates {
            auth: ClientAuth::Required,
            authorities,
            revoked,
        })
    };
    wanted.clients = clients(garbage.clone(), None);
    assert!(
        said(&wanted).starts_with("garbage.pem: expected a PEM file of certificates, found none")
    );
    wanted.clients = clients(papers.authority_file(), Some(garbage));
    assert!(said(&wanted).starts_with("garbage.pem: expected an X.509 revocation list, found "));
    wanted.clients = clients(papers.authority_file(), Some(papers.file("empty", "")));
    assert!(
        said(&wanted).starts_with("empty: expected a PEM file of revocation lists, found none")
    );
}

#[test]
fn ticket_keys_are_80_bytes_a_line() {
    let papers = Papers::new();
    for (text, expected) in [
        (
            "",
            "keys: expected a line for each ticket key, found none (openssl rand -base64 -A 80 makes one)",
        ),
        (
            "# old\nYWJj\n",
            "keys:2: expected 80 bytes in base64, found 3 bytes (openssl rand -base64 -A 80 makes one)",
        ),
        (
            "secret!\n",
            "keys:1: expected 80 bytes in base64, found another text (openssl rand -base64 -A 80 makes one)",
        ),
    ] {
        let path = papers.file("keys", text);
        let error = TicketKeys::load(&Tickets::File(path), Now::from_nanos(0)).unwrap_err();
        let folder = format!("{}/", error.file.parent().unwrap().display());
        assert_eq!(error.to_string().replace(&folder, ""), expected);
    }
    let line = format!("{}A\n", "A".repeat(107)).replace("AA\n", "A=\n");
    let path = papers.file("keys", line.repeat(17));
    let error = TicketKeys::load(&Tickets::File(path), Now::from_nanos(0)).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("expected 1 to 16 ticket keys, found 17"),
        "{error}"
    );
}

#[test]
fn certificates_tell_their_names_dates_and_kinds() {
    let papers = Papers::new();
    let dated = |from, to| {
        papers.certificate_of(&["example.com", "192.0.2.1"], Kind::Ecdsa, |params| {
            params.not_before = rcgen::date_time_ymd(from, 1, 1);
            params.not_after = rcgen::date_time_ymd(to, 1, 1);
        })
    };
    let files = vec![dated(2000, 2001), dated(2000, 4000), dated(3000, 4000)];
    let facts = load(&listener(files.clone())).certificates;
    let now = 1_790_000_000;
    let validities: Vec<_> = facts.iter().map(|fact| fact.validity(now)).collect();
    assert_eq!(
        validities,
        [Validity::Expired, Validity::Good, Validity::NotYet]
    );
    assert_eq!(facts[0].not_before, 946_684_800);
    assert_eq!(facts[0].names, ["example.com", "192.0.2.1"]);
    assert_eq!(
        (&facts[0].chain_path, facts[0].key),
        (&files[0].chain, KeyKind::Ecdsa)
    );
}

#[test]
fn a_connector_is_checked_when_it_is_loaded() {
    let papers = Papers::new();
    let mut wanted = papers.backend();
    wanted.server_name = Some("two words".to_owned());
    let error = Connector::load(&wanted).unwrap_err();
    assert_eq!(
        error.to_string(),
        "expected a DNS name or an address as the name of a backend, found \"two words\""
    );
    wanted.server_name = None;
    wanted.roots = Roots::File(papers.file("empty", ""));
    assert!(Connector::load(&wanted).is_err());
}

#[test]
fn nothing_secret_is_shown() {
    let papers = Papers::new();
    let loaded = load(&papers.listener());
    let connector = Connector::load(&papers.backend()).unwrap();
    let shown = format!("{loaded:?} {connector:?}");
    assert!(shown.len() < 1000 && !shown.contains("key_log"), "{shown}");
}
