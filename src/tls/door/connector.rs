//! What greets the backends of a pool: whom we trust, what we ask for, and which sessions can be resumed.

use std::fmt;
use std::path::Path;

use rustls::ClientConfig;
use rustls::client::{Resumption, UnbufferedClientConnection, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use rustls::{NoKeyLog, RootCertStore};

use super::super::settings::{BackendTls, Roots};
use super::acceptor::check_suites;
use super::certificates::certified;
use super::clients::roots_of;
use super::files::certificates_of;
use super::pins::Pinned;
use super::provider::{HTTP_1_1, provider, versions};
use super::tap::Tap;
use super::{Failure, FailureReason, LoadError};
use crate::limits::RESUMED_NAMES_MAX;
use crate::sync::Arc;

/// Greets the backends of a pool. Cloning is cheap.
#[derive(Clone)]
pub struct Connector {
    config: Arc<ClientConfig>,
    /// The same without secrets that come out.
    probing: Arc<ClientConfig>,
    name: Option<ServerName<'static>>,
}

impl Connector {
    /// Reads all files, and refuses what could never work.
    pub fn load(wanted: &BackendTls) -> Result<Self, LoadError> {
        check_suites(&wanted.suites)?;
        let provider = provider(&wanted.suites);
        let name = wanted
            .server_name
            .as_deref()
            .map(checked_name)
            .transpose()?;
        Ok(Self::of(config(wanted, &provider)?, name))
    }

    /// Puts together what was read.
    pub(super) fn of(probing: ClientConfig, name: Option<ServerName<'static>>) -> Self {
        let mut config = probing.clone();
        config.key_log = Arc::new(Tap);
        config.enable_secret_extraction = true;
        Self {
            config: Arc::new(config),
            probing: Arc::new(probing),
            name,
        }
    }

    /// The same rules for connections that rustls carries to their end, such as probes. Secrets do not come out.
    pub fn client_config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.probing)
    }

    /// The name that must stand in the certificate of the backend at this host: its own, or what the configuration has
    /// instead. A host is a DNS name or an address, without brackets and port.
    pub fn server_name(&self, host: &str) -> Result<ServerName<'static>, Failure> {
        match &self.name {
            Some(name) => Ok(name.clone()),
            None => ServerName::try_from(host.to_owned()).map_err(|_| {
                let detail = format!("{host:?} is neither a DNS name nor an address");
                Failure::new(FailureReason::Internal, detail)
            }),
        }
    }

    pub(super) fn connection(&self, host: &str) -> Result<UnbufferedClientConnection, Failure> {
        let name = self.server_name(host)?;
        UnbufferedClientConnection::new(Arc::clone(&self.config), name)
            .map_err(|error| Failure::new(FailureReason::Internal, error.to_string()))
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

fn config(wanted: &BackendTls, provider: &Arc<CryptoProvider>) -> Result<ClientConfig, LoadError> {
    let roots = Arc::new(roots(&wanted.roots)?);
    let none = |error: String| LoadError::new(Path::new(""), "authorities for backends", error, "");
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider))
        .build()
        .map_err(|error| none(error.to_string()))?;
    let builder = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(versions(wanted.min_version))
        .map_err(|error| none(error.to_string()))?;
    let builder = if wanted.pins.is_empty() {
        builder.with_webpki_verifier(verifier)
    } else {
        let pinned = Pinned::new(verifier, wanted.pins.clone());
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(pinned))
    };
    let mut config = match &wanted.certificate {
        Some(files) => {
            let certified = SingleCertAndKey::from(certified(files, provider)?);
            builder.with_client_cert_resolver(Arc::new(certified))
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    config.resumption = Resumption::in_memory_sessions(RESUMED_NAMES_MAX);
    config.enable_early_data = false;
    config.key_log = Arc::new(NoKeyLog);
    Ok(config)
}

fn checked_name(name: &str) -> Result<ServerName<'static>, LoadError> {
    ServerName::try_from(name.to_owned()).map_err(|_| {
        LoadError::new(
            Path::new(""),
            "a DNS name or an address as the name of a backend",
            format!("{name:?}"),
            "",
        )
    })
}

fn roots(wanted: &Roots) -> Result<RootCertStore, LoadError> {
    match wanted {
        Roots::File(path) => roots_of(path, &certificates_of(path)?),
        Roots::System => system_roots(),
    }
}

/// A system may list one that rustls cannot read; the others are good.
fn system_roots() -> Result<RootCertStore, LoadError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map(ToString::to_string);
        return Err(LoadError::new(
            Path::new(""),
            "authorities that this system trusts",
            why.unwrap_or_else(|| "none".to_owned()),
            "install ca-certificates, or name a file of authorities",
        ));
    }
    Ok(roots)
}

/// Whether they are one and the same: what was loaded again is another one, even from the same files.
impl PartialEq for Connector {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.config, &other.config)
    }
}

impl Eq for Connector {}
