//! Our certificates: loaded with their keys, and what each says about itself.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, SignatureAlgorithm};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::super::settings::CertificateFiles;
use super::LoadError;
use super::files::{certificates_of, key_of};
use crate::sync::Arc;

/// What a certificate of ours says about itself, for metrics and `doctor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFact {
    /// The file it stands in.
    pub chain_path: PathBuf,
    /// The DNS names and addresses it is for, as they are written there.
    pub names: Vec<String>,
    /// When it begins to be good, in seconds since 1970.
    pub not_before: i64,
    /// Until when it is good, in seconds since 1970.
    pub not_after: i64,
    /// The kind of its key.
    pub key: KeyKind,
}

/// The kinds of keys that certificates have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA: every client knows it, and signing costs ten times as much.
    Rsa,
    /// A curve of NIST.
    Ecdsa,
    /// Ed25519 or Ed448; browsers do not know them.
    EdDsa,
    /// Something that came later.
    Other,
}

/// Whether a certificate is good at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// It begins later.
    NotYet,
    /// It is good.
    Good,
    /// It has ended.
    Expired,
}

impl CertificateFact {
    /// Whether it is good at this second since 1970. A certificate that is not is served all the same: clients decide,
    /// and a listener that does not start helps nobody.
    pub const fn validity(&self, unix_seconds: i64) -> Validity {
        if unix_seconds < self.not_before {
            Validity::NotYet
        } else if unix_seconds > self.not_after {
            Validity::Expired
        } else {
            Validity::Good
        }
    }
}

/// A certificate with its key, ready to be shown.
pub(super) struct Loaded {
    pub key: Arc<CertifiedKey>,
    pub names: Names,
    pub fact: CertificateFact,
}

/// What a certificate is for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    /// DNS names in small letters; those with `*.` in front are for one label more.
    pub dns: Vec<String>,
    pub addresses: Vec<IpAddr>,
}

/// Loads a certificate and its key, and checks that they belong together.
pub(super) fn load(files: &CertificateFiles, at: &CryptoProvider) -> Result<Loaded, LoadError> {
    let key = certified(files, at)?;
    let malformed = || not_a_certificate(&files.chain);
    let leaf = key.cert.first().ok_or_else(malformed)?;
    let (_, parsed) = X509Certificate::from_der(leaf).map_err(|_| malformed())?;
    let names = names_of(&parsed);
    let addresses = names.addresses.iter().map(ToString::to_string);
    let fact = CertificateFact {
        chain_path: files.chain.clone(),
        names: names.dns.iter().cloned().chain(addresses).collect(),
        not_before: parsed.validity().not_before.timestamp(),
        not_after: parsed.validity().not_after.timestamp(),
        key: kind(key.key.algorithm()),
    };
    Ok(Loaded {
        key: Arc::new(key),
        names,
        fact,
    })
}

/// The chain and the key, checked against each other.
pub(super) fn certified(
    files: &CertificateFiles,
    at: &CryptoProvider,
) -> Result<CertifiedKey, LoadError> {
    let chain = certificates_of(&files.chain)?;
    check_each(&files.chain, &chain)?;
    let der = key_of(&files.key)?;
    let key = at.key_provider.load_private_key(der).map_err(|_| {
        LoadError::new(
            &files.key,
            "a private key of a kind that is supported",
            "another one",
            "RSA of 2048 to 8192 bits, ECDSA P-256, P-384 or P-521, or Ed25519",
        )
    })?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(Error::InconsistentKeys(_)) => Err(LoadError::new(
            &files.key,
            format!("the key of {}", files.chain.display()),
            "another one",
            "the first certificate in the file must be the server's own, and this its key",
        )),
        Err(_) => Err(not_a_certificate(&files.chain)),
    }
}

fn check_each(path: &Path, chain: &[CertificateDer<'_>]) -> Result<(), LoadError> {
    for (place, der) in chain.iter().enumerate() {
        if X509Certificate::from_der(der).is_err() {
            let error = not_a_certificate(path);
            return Err(if place == 0 {
                error
            } else {
                LoadError {
                    found: format!("another thing at place {} of the file", place + 1),
                    ..error
                }
            });
        }
    }
    Ok(())
}

fn not_a_certificate(path: &Path) -> LoadError {
    LoadError::new(
        path,
        "an X.509 certificate",
        "another thing at the start of the file",
        "is the file complete?",
    )
}

fn names_of(certificate: &X509Certificate<'_>) -> Names {
    let mut names = Names::default();
    let Ok(Some(alternatives)) = certificate.subject_alternative_name() else {
        return names;
    };
    for name in &alternatives.value.general_names {
        match name {
            GeneralName::DNSName(name) => names.dns.push(name.to_ascii_lowercase()),
            GeneralName::IPAddress(bytes) => names.addresses.extend(address(bytes)),
            _ => {}
        }
    }
    names
}

/// An address as certificates write it: 4 or 16 bytes.
pub(super) fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

const fn kind(algorithm: SignatureAlgorithm) -> KeyKind {
    match algorithm {
        SignatureAlgorithm::RSA => KeyKind::Rsa,
        SignatureAlgorithm::ECDSA => KeyKind::Ecdsa,
        SignatureAlgorithm::ED25519 | SignatureAlgorithm::ED448 => KeyKind::EdDsa,
        _ => KeyKind::Other,
    }
}
