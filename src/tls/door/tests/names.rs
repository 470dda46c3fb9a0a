//! Which certificate a client gets.

use std::net::IpAddr;

use rustls::client::ClientConnection;
use rustls::crypto::SupportedKxGroup;
use rustls::crypto::aws_lc_rs::kx_group;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};

use super::pair::{BOTH, client, config, config_of, greet, hear, load, said, talk};
use super::papers::{Kind, Papers, listener};
use crate::tls::door::{FailureReason, Handshake, KeyKind};
use crate::tls::{CertificateFiles, UnknownName};

fn shown(client: &ClientConnection) -> CertificateDer<'static> {
    client.peer_certificates().unwrap()[0].clone()
}

fn of(files: &CertificateFiles) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(&files.chain).unwrap()
}

/// Whatever it is called, the client of these tests believes it.
fn unverified(papers: &Papers) -> rustls::ClientConfig {
    let mut config = config(papers.roots());
    config
        .dangerous()
        .set_certificate_verifier(crate::sync::Arc::new(Anything));
    config
}

#[derive(Debug)]
struct Anything;

mod anything {
    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::{DigitallySignedStruct, Error, SignatureScheme};

    impl ServerCertVerifier for super::Anything {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![
                SignatureScheme::ECDSA_NISTP256_SHA256,
                SignatureScheme::RSA_PSS_SHA256,
            ]
        }
    }
}

#[test]
fn an_exact_name_goes_before_a_wildcard_of_one_label() {
    let papers = Papers::new();
    let [first, exact, wild] = [
        &["first.test"][..],
        &["www.example.com"],
        &["*.Example.com"],
    ]
    .map(|names| papers.certificate(names));
    let loaded = load(&listener(vec![first.clone(), exact.clone(), wild.clone()]));
    for (host, files) in [
        ("www.example.com", &exact),
        ("WWW.example.COM", &exact),
        ("api.example.com", &wild),
        ("a.api.example.com", &first),
        ("example.com", &first),
        ("other.test", &first),
    ] {
        let mut client = client(&unverified(&papers), host);
        let established = greet(&loaded.acceptor, &mut client).unwrap();
        assert_eq!(shown(&client), of(files), "{host}");
        let named = established.facts.server_name.unwrap();
        assert_eq!(named, host.to_ascii_lowercase());
    }
}

#[test]
fn an_unknown_name_is_refused_where_asked_for() {
    let papers = Papers::new();
    let mut listener = papers.listener();
    listener.unknown_name = UnknownName::Refuse;
    let loaded = load(&listener);
    for version in BOTH {
        let config = config_of(papers.roots(), &[version], None, None);
        let mut client = client(&config, "other.test");
        let mut ours = Handshake::accept(&loaded.acceptor).unwrap();
        let mut out = Vec::new();
        let failure = ours.feed(&said(&mut client), &mut out).unwrap_err();
        assert_eq!(failure.reason, FailureReason::UnknownName);
        assert_eq!(
            failure.to_string(),
            "no certificate is for the host that the client names: \"other.test\""
        );
        let alert = hear(&mut client, &out).unwrap_err();
        let unrecognized = rustls::AlertDescription::UnrecognisedName;
        assert_eq!(alert, rustls::Error::AlertReceived(unrecognized));
    }
    let mut client = client(&unverified(&papers), "127.0.0.1");
    greet(&loaded.acceptor, &mut client).unwrap();
}

#[test]
fn who_names_no_host_gets_the_first_or_the_one_for_the_address() {
    let papers = Papers::new();
    let first = papers.certificate(&["example.com"]);
    let other = papers.certificate(&["192.0.2.1", "2001:db8::1"]);
    let loaded = load(&listener(vec![first.clone(), other.clone()]));
    for (local, files) in [
        ("192.0.2.1", &other),
        ("2001:db8::1", &other),
        ("192.0.2.2", &first),
    ] {
        let local: IpAddr = local.parse().unwrap();
        let mut client = client(&unverified(&papers), &local.to_string());
        let mut ours = Handshake::accept(&loaded.acceptor).unwrap().at(local);
        talk(&mut ours, &mut client).unwrap();
        assert_eq!(shown(&client), of(files));
    }
    let names = &loaded.certificates[1].names;
    assert_eq!(names, &["192.0.2.1", "2001:db8::1"]);
}

#[test]
fn the_kind_of_key_is_the_one_that_the_client_can_check() {
    let papers = Papers::new();
    let rsa = papers.certificate_of(&["example.com"], Kind::Rsa, |_| {});
    let ecdsa = papers.certificate_of(&["example.com"], Kind::Ecdsa, |_| {});
    let loaded = load(&listener(vec![rsa.clone(), ecdsa.clone()]));
    let kinds: Vec<_> = loaded.certificates.iter().map(|fact| fact.key).collect();
    assert_eq!(kinds, [KeyKind::Rsa, KeyKind::Ecdsa]);
    for version in BOTH {
        for (wanted, files) in [(None, &ecdsa), (Some("RSA"), &rsa), (Some("ECDSA"), &ecdsa)] {
            let mut provider = rustls::crypto::aws_lc_rs::default_provider();
            if let Some(wanted) = wanted {
                let schemes = provider.signature_verification_algorithms.mapping;
                let kept = schemes
                    .iter()
                    .filter(|(scheme, _)| format!("{scheme:?}").starts_with(wanted));
                let kept: Vec<_> = kept.copied().collect();
                provider.signature_verification_algorithms.mapping = kept.leak();
            }
            let config = config_of(papers.roots(), &[version], Some(provider), None);
            let mut client = client(&config, "example.com");
            greet(&loaded.acceptor, &mut client).unwrap();
            assert_eq!(shown(&client), of(files));
        }
    }
}

#[test]
fn a_key_on_a_curve_that_a_client_of_tls_12_does_not_name_gives_way_to_rsa() {
    let papers = Papers::new();
    let rsa = papers.certificate_of(&["example.com"], Kind::Rsa, |_| {});
    let ecdsa = papers.certificate_of(&["example.com"], Kind::Ecdsa, |_| {});
    let only_ecdsa = papers.certificate(&["other.test"]);
    let loaded = load(&listener(vec![
        rsa.clone(),
        ecdsa.clone(),
        only_ecdsa.clone(),
    ]));
    let x25519 = &kx_group::X25519;
    let p256 = &kx_group::SECP256R1;
    let p384 = &kx_group::SECP384R1;
    let [newer, older] = BOTH;
    let shows = |versions: &[&'static SupportedProtocolVersion],
                 groups: &[&'static dyn SupportedKxGroup],
                 host| {
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        provider.kx_groups = groups.to_vec();
        // rustls offers ciphers of versions too that it was told not to speak.
        let is_spoken = |suite: &SupportedCipherSuite| versions.contains(&suite.version());
        provider.cipher_suites.retain(is_spoken);
        let config = config_of(papers.roots(), versions, Some(provider), None);
        let mut client = client(&config, host);
        greet(&loaded.acceptor, &mut client).unwrap();
        shown(&client)
    };
    for (versions, groups, files) in [
        (&[older][..], &[*x25519][..], &rsa),
        (&[older], &[*x25519, *p384], &rsa),
        (&[older], &[*x25519, *p256], &ecdsa),
        // Groups say nothing of signatures there.
        (&[newer], &[*x25519], &ecdsa),
        (&[newer, older], &[*x25519], &ecdsa),
    ] {
        assert_eq!(shows(versions, groups, "example.com"), of(files));
    }
    // There is no other: the client may take it all the same.
    assert_eq!(shows(&[older], &[*x25519], "other.test"), of(&only_ecdsa));
}
