//! How certificates of clients are checked: by whom they must be vouched for, and which are revoked.

use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use super::super::settings::{ClientAuth, ClientCertificates};
use super::LoadError;
use super::files::{certificates_of, revocations_of};
use crate::sync::Arc;

/// What a revocation list says about itself, for metrics and `doctor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationFact {
    /// The file it stands in.
    pub path: PathBuf,
    /// Whose certificates it is about.
    pub issuer: String,
    /// When the next one is due, in seconds since 1970. A list that is overdue still counts: whom it names stays out,
    /// and nobody else is locked out because it was not fetched.
    pub next_update: Option<i64>,
}

/// The check, the mark of what is checked, and the lists.
pub(super) struct Clients {
    pub verifier: Arc<dyn ClientCertVerifier>,
    pub scope: Scope,
    pub revocations: Vec<RevocationFact>,
}

impl Clients {
    /// No certificates are asked for.
    pub(super) fn anybody() -> Self {
        Self {
            verifier: WebPkiClientVerifier::no_client_auth(),
            scope: Scope::ANYBODY,
            revocations: Vec::new(),
        }
    }
}

/// Which clients are let in, as a fingerprint. A ticket is good only where the same are: otherwise one from a listener
/// that asks for no certificate would open one that does (as in CVE-2025-23419 and CVE-2025-23048).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scope([u8; 32]);

impl Scope {
    /// Where no certificates are asked for.
    pub(super) const ANYBODY: Self = Self([0; 32]);

    pub(super) const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Makes the check. With revocation lists, every certificate on the way to the authority must have one from its issuer,
/// as nginx and OpenSSL want it: a list that is missing is noticed at once.
pub(super) fn load(
    wanted: &ClientCertificates,
    at: &Arc<CryptoProvider>,
) -> Result<Clients, LoadError> {
    let authorities = certificates_of(&wanted.authorities)?;
    let roots = roots_of(&wanted.authorities, &authorities)?;
    let lists = match &wanted.revoked {
        Some(path) => revocations_of(path)?,
        None => Vec::new(),
    };
    let revoked = wanted.revoked.as_deref().unwrap_or(Path::new(""));
    let facts: Result<Vec<_>, LoadError> = lists.iter().map(|der| fact(revoked, der)).collect();
    let mut parts: Vec<&[u8]> = vec![match wanted.auth {
        ClientAuth::Optional => b"optional",
        ClientAuth::Required => b"required",
    }];
    parts.extend(authorities.iter().map(|der| &**der));
    parts.extend(lists.iter().map(|der| &**der));
    let scope = scope(&parts);

    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(at))
        .with_crls(lists);
    if wanted.auth == ClientAuth::Optional {
        builder = builder.allow_unauthenticated();
    }
    let verifier = builder.build().map_err(|error| match error {
        VerifierBuilderError::InvalidCrl(error) => not_a_list(revoked, format!("{error:?}")),
        _ => LoadError::new(&wanted.authorities, "an authority", "none", ""),
    })?;
    Ok(Clients {
        verifier,
        scope,
        revocations: facts?,
    })
}

/// Authorities of a file, all of them usable.
pub(super) fn roots_of(
    path: &Path,
    authorities: &[CertificateDer<'static>],
) -> Result<RootCertStore, LoadError> {
    let mut roots = RootCertStore::empty();
    for (place, der) in authorities.iter().enumerate() {
        roots.add(der.clone()).map_err(|error| {
            LoadError::new(
                path,
                "X.509 certificates of authorities",
                format!("another thing at place {} of the file: {error}", place + 1),
                "",
            )
        })?;
    }
    Ok(roots)
}

fn fact(path: &Path, der: &[u8]) -> Result<RevocationFact, LoadError> {
    let (_, list) = CertificateRevocationList::from_der(der)
        .map_err(|error| not_a_list(path, error.to_string()))?;
    Ok(RevocationFact {
        path: path.to_path_buf(),
        issuer: list.issuer().to_string(),
        next_update: list.next_update().map(|time| time.timestamp()),
    })
}

fn not_a_list(path: &Path, found: String) -> LoadError {
    LoadError::new(
        path,
        "an X.509 revocation list",
        found,
        "version 2, as RFC 5280 section 5 has it",
    )
}

/// Lengths are hashed too: no two lists of parts give the same bytes.
fn scope(parts: &[&[u8]]) -> Scope {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part);
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    Scope(bytes)
}
