//! Certificates of clients: who is let in, and what is known of them.

use rcgen::{CertificateParams, DnType, SanType, SerialNumber, date_time_ymd};

use super::pair::{BOTH, client, config_of, converse, greet, hear, load, said};
use super::papers::{Kind, Papers};
use crate::tls::door::{Established, Failure, FailureReason, Handshake, Progress};
use crate::tls::{CertificateFiles, ClientAuth, ListenerTls};

/// Greets a client with this certificate in both versions, and wants the same of both.
fn greeted(
    papers: &Papers,
    listener: &ListenerTls,
    certificate: Option<&CertificateFiles>,
) -> Result<Established, Failure> {
    let loaded = load(listener);
    let outcome = BOTH.map(|version| {
        let config = config_of(papers.roots(), &[version], None, certificate);
        let mut client = client(&config, "example.com");
        greet(&loaded.acceptor, &mut client)
    });
    let reasons = outcome.each_ref().map(|greeted| {
        greeted
            .as_ref()
            .map(|_| ())
            .map_err(|failure| failure.reason)
    });
    assert_eq!(reasons[0], reasons[1]);
    let [newest, _] = outcome;
    newest
}

fn reason(outcome: Result<Established, Failure>) -> FailureReason {
    outcome.unwrap_err().reason
}

fn asking(papers: &Papers, auth: ClientAuth) -> ListenerTls {
    let mut listener = papers.listener();
    listener.clients = Some(papers.clients(auth));
    listener
}

fn numbered(papers: &Papers, serial: u8) -> CertificateFiles {
    papers.certificate_of(&["sensor.test"], Kind::Ecdsa, |params| {
        params.serial_number = Some(SerialNumber::from_slice(&[serial]));
    })
}

#[test]
fn who_is_asked_for_nothing_shows_nothing() {
    let papers = Papers::new();
    let shown = numbered(&papers, 1);
    let established = greeted(&papers, &papers.listener(), Some(&shown)).unwrap();
    assert_eq!(established.facts.client, None);
}

#[test]
fn a_certificate_is_optional_or_required() {
    let papers = Papers::new();
    let good = numbered(&papers, 1);
    let strangers = Papers::new();
    let stranger = numbered(&strangers, 1);
    for auth in [ClientAuth::Optional, ClientAuth::Required] {
        let listener = asking(&papers, auth);
        let established = greeted(&papers, &listener, Some(&good)).unwrap();
        assert_eq!(established.facts.client.unwrap().names, ["DNS:sensor.test"]);
        let refused = reason(greeted(&papers, &listener, Some(&stranger)));
        assert_eq!(refused, FailureReason::BadClientCertificate);
    }
    let listener = asking(&papers, ClientAuth::Optional);
    assert_eq!(
        greeted(&papers, &listener, None).unwrap().facts.client,
        None
    );
    let listener = asking(&papers, ClientAuth::Required);
    let refused = reason(greeted(&papers, &listener, None));
    assert_eq!(refused, FailureReason::NoClientCertificate);
}

#[test]
fn a_certificate_is_good_in_its_time_only() {
    let papers = Papers::new();
    let listener = asking(&papers, ClientAuth::Required);
    let dated = |from, to| {
        papers.certificate_of(&["sensor.test"], Kind::Ecdsa, |params| {
            params.not_before = date_time_ymd(from, 1, 1);
            params.not_after = date_time_ymd(to, 1, 1);
        })
    };
    for (from, to) in [(2000, 2001), (4000, 4001)] {
        let refused = reason(greeted(&papers, &listener, Some(&dated(from, to))));
        assert_eq!(refused, FailureReason::BadClientCertificate);
    }
    greeted(&papers, &listener, Some(&dated(2000, 4000))).unwrap();
}

#[test]
fn who_is_revoked_is_refused_also_by_a_list_that_is_overdue() {
    let papers = Papers::new();
    let mut listener = asking(&papers, ClientAuth::Required);
    for due in [4000, 2021] {
        let revoked = papers.revoked(&[7], due);
        listener.clients.as_mut().unwrap().revoked = Some(revoked.clone());
        greeted(&papers, &listener, Some(&numbered(&papers, 6))).unwrap();
        let refused = greeted(&papers, &listener, Some(&numbered(&papers, 7))).unwrap_err();
        assert_eq!(refused.reason, FailureReason::BadClientCertificate);
        assert!(refused.detail.contains("Revoked"), "{refused}");
        let facts = load(&listener).revocations;
        assert_eq!(facts[0].path, revoked);
        assert!(facts[0].issuer.starts_with("CN=Authority "));
        assert!(facts[0].next_update.unwrap() > 1_600_000_000);
    }
}

#[test]
fn an_authority_without_a_list_lets_nobody_in_once_there_are_lists() {
    let papers = Papers::new();
    let mut listener = asking(&papers, ClientAuth::Required);
    let other = Papers::new();
    listener.clients.as_mut().unwrap().revoked = Some(other.revoked(&[7], 4000));
    let refused = greeted(&papers, &listener, Some(&numbered(&papers, 6))).unwrap_err();
    assert_eq!(refused.reason, FailureReason::BadClientCertificate);
}

#[test]
fn the_alert_of_a_refused_certificate_can_be_read() {
    let papers = Papers::new();
    let loaded = load(&asking(&papers, ClientAuth::Required));
    let strangers = Papers::new();
    let stranger = numbered(&strangers, 1);
    for version in BOTH {
        let config = config_of(papers.roots(), &[version], None, Some(&stranger));
        let mut client = client(&config, "example.com");
        let mut ours = Handshake::accept(&loaded.acceptor).unwrap();
        let mut out = Vec::new();
        ours.feed(&said(&mut client), &mut out).unwrap();
        hear(&mut client, &std::mem::take(&mut out)).unwrap();
        let _failure = ours.feed(&said(&mut client), &mut out).unwrap_err();
        let alert = hear(&mut client, &out).unwrap_err();
        let unknown = rustls::AlertDescription::UnknownCA;
        assert_eq!(alert, rustls::Error::AlertReceived(unknown));
    }
}

#[test]
fn what_a_certificate_says_is_known_and_harmless() {
    let papers = Papers::new();
    let change = |params: &mut CertificateParams| {
        params.serial_number = Some(SerialNumber::from_slice(&[0x0a, 0xff]));
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, " sensor, 7\r\nX-Evil: \u{e9}");
        name.push(DnType::OrganizationName, "Example");
        params.subject_alt_names = vec![
            SanType::DnsName("sensor.test".try_into().unwrap()),
            SanType::Rfc822Name("sensor@example.com".try_into().unwrap()),
            SanType::URI("spiffe://example.com/sensor".try_into().unwrap()),
            SanType::URI("two words".try_into().unwrap()),
            SanType::IpAddress([192, 0, 2, 7].into()),
        ];
    };
    let files = papers.certificate_of(&[], Kind::Ecdsa, change);
    let listener = asking(&papers, ClientAuth::Required);
    let client = greeted(&papers, &listener, Some(&files))
        .unwrap()
        .facts
        .client
        .unwrap();
    assert_eq!(
        client.subject,
        "O=Example,CN=\\ sensor\\, 7\\0d\\0aX-Evil: \u{e9}"
    );
    assert_eq!(
        client.names,
        [
            "DNS:sensor.test",
            "email:sensor@example.com",
            "URI:spiffe://example.com/sensor",
            "IP:192.0.2.7"
        ]
    );
    assert_eq!(client.serial, "0aff");
    assert_eq!(client.fingerprint().len(), 64);
}

#[test]
fn a_client_that_was_let_in_speaks() {
    let papers = Papers::new();
    let loaded = load(&asking(&papers, ClientAuth::Required));
    let good = numbered(&papers, 1);
    for version in BOTH {
        let config = config_of(papers.roots(), &[version], None, Some(&good));
        let mut client = client(&config, "example.com");
        converse(greet(&loaded.acceptor, &mut client).unwrap(), &mut client);
    }
}

#[test]
fn nobody_is_done_before_the_certificate_is_seen() {
    let papers = Papers::new();
    let loaded = load(&asking(&papers, ClientAuth::Required));
    let config = config_of(papers.roots(), &BOTH, None, None);
    let mut client = client(&config, "example.com");
    let mut ours = Handshake::accept(&loaded.acceptor).unwrap();
    let progress = ours.feed(&said(&mut client), &mut Vec::new()).unwrap();
    assert!(matches!(progress, Progress::More));
}
