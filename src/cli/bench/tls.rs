//! How the load speaks TLS: whom it trusts, what it offers, and whether it comes back with tickets.

use std::path::Path;

use anyhow::{Context, ensure};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::options::Trust;
use crate::sync::Arc;

/// What a run's connections have in common. rustls carries each of them from its first byte to its last: what a client
/// costs is not the question here, and a record layer of another make checks ours.
#[derive(Debug, Clone)]
pub(super) struct Tls {
    pub(super) name: ServerName<'static>,
    config: ClientConfig,
    is_resuming: bool,
}

impl Tls {
    /// What it takes to speak with `host`, trusting as asked. Fails if an authority cannot be read.
    pub(super) fn new(host: &str, trust: &Trust, is_resuming: bool) -> anyhow::Result<Self> {
        let name = ServerName::try_from(host.to_owned())
            .with_context(|| format!("{host:?} is neither a DNS name nor an address"))?;
        let mut provider = default_provider();
        // The cheapest first, so that servers that follow the order of the client all use the same.
        let is_other = |suite: &rustls::SupportedCipherSuite| {
            suite.suite() != cipher_suite::TLS13_AES_128_GCM_SHA256.suite()
        };
        provider.cipher_suites.sort_by_key(is_other);
        let provider = Arc::new(provider);
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .context("choosing the versions of TLS")?
            .dangerous()
            .with_custom_certificate_verifier(verifier(trust, provider)?);
        let mut config = builder.with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.resumption = Resumption::disabled();
        Ok(Self {
            name,
            config,
            is_resuming,
        })
    }

    /// A configuration for each of `count` places. Where tickets are used, each place has its own: it comes back with
    /// those that the connection before it was given there.
    pub(super) fn configs(&self, count: usize) -> Vec<Arc<ClientConfig>> {
        let own = |_| {
            let mut config = self.config.clone();
            config.resumption = Resumption::in_memory_sessions(1);
            Arc::new(config)
        };
        if self.is_resuming {
            (0..count).map(own).collect()
        } else {
            vec![Arc::new(self.config.clone())]
        }
    }
}

fn verifier(
    trust: &Trust,
    provider: Arc<CryptoProvider>,
) -> anyhow::Result<Arc<dyn ServerCertVerifier>> {
    let roots = match trust {
        Trust::Anyone => return Ok(Arc::new(Anyone { provider })),
        Trust::File(path) => roots_of(path)?,
        Trust::System => system_roots()?,
    };
    Ok(WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build()?)
}

fn roots_of(path: &Path) -> anyhow::Result<RootCertStore> {
    let reading = || format!("reading the authorities in {}", path.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).with_context(reading)? {
        roots
            .add(certificate.with_context(reading)?)
            .with_context(reading)?;
    }
    ensure!(
        !roots.is_empty(),
        "--ca {}: expected certificates in PEM, found none",
        path.display()
    );
    Ok(roots)
}

fn system_roots() -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    // One that rustls cannot read is no reason not to trust the others.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    ensure!(
        !roots.is_empty(),
        "this system trusts no authority; install ca-certificates, or name one with --ca, or trust anyone with --insecure"
    );
    Ok(roots)
}

/// Trusts whoever answers. That the server holds the key of the certificate it shows is still checked.
#[derive(Debug)]
struct Anyone {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _stapled: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_share_their_tickets_with_nobody() {
        let configs = |is_resuming| {
            let tls = Tls::new("127.0.0.1", &Trust::Anyone, is_resuming).unwrap();
            tls.configs(3).len()
        };
        assert_eq!((configs(false), configs(true)), (1, 3));
    }

    #[test]
    fn authorities_that_cannot_be_read_are_named() {
        let error = Tls::new("a", &Trust::File("/nowhere/ca.pem".into()), false).unwrap_err();
        assert!(error.to_string().contains("/nowhere/ca.pem"), "{error}");
        assert!(Tls::new("no name", &Trust::Anyone, false).is_err());
    }
}
