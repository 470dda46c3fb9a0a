//! Finds the certificate for a client: by the host it names, then by the signatures it can check.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;

use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::super::settings::UnknownName;
use super::certificates::{KeyKind, Loaded};
use super::tap;
use crate::sync::Arc;

/// The certificates of a listener, by what they are for.
pub(super) struct ByName {
    exact: HashMap<String, Choice>,
    /// `*.example.com` stands here as `example.com`.
    wildcard: HashMap<String, Choice>,
    addresses: HashMap<IpAddr, Choice>,
    /// For clients that name no host.
    first: Choice,
    unknown: UnknownName,
}

/// Certificates for the same host with keys of different kinds; never empty. RSA stands last, for it costs most.
type Choice = Vec<Arc<CertifiedKey>>;

impl ByName {
    /// `None` if there are no certificates.
    pub(super) fn new(certificates: &[Loaded], unknown: UnknownName) -> Option<Self> {
        let mut sorted: Vec<&Loaded> = certificates.iter().collect();
        sorted.sort_by_key(|loaded| loaded.fact.key == KeyKind::Rsa);
        let first = certificates.first()?;
        let mut names = Self {
            exact: HashMap::new(),
            wildcard: HashMap::new(),
            addresses: HashMap::new(),
            first: vec![Arc::clone(&first.key)],
            unknown,
        };
        for loaded in &sorted {
            names.add(loaded);
        }
        // Those of other kinds that share a name with the first are as good as the first.
        let alike = sorted.iter().filter(|loaded| alike(loaded, first));
        let keys: Choice = alike.map(|loaded| Arc::clone(&loaded.key)).collect();
        if !keys.is_empty() {
            names.first = keys;
        }
        Some(names)
    }

    /// Whether a client that names this host is refused.
    pub(super) fn refuses(&self, host: &str) -> bool {
        self.unknown == UnknownName::Refuse && self.of_host(host).is_none()
    }

    fn add(&mut self, loaded: &Loaded) {
        for name in &loaded.names.dns {
            let (map, name) = match name.strip_prefix("*.") {
                Some(parent) => (&mut self.wildcard, parent),
                None => (&mut self.exact, name.as_str()),
            };
            let choice = map.entry(name.to_owned()).or_default();
            choice.push(Arc::clone(&loaded.key));
        }
        for &address in &loaded.names.addresses {
            let choice = self.addresses.entry(address).or_default();
            choice.push(Arc::clone(&loaded.key));
        }
    }

    /// An exact name goes before a wildcard, which stands for one label.
    fn of_host(&self, host: &str) -> Option<&Choice> {
        let host = host.strip_suffix('.').unwrap_or(host);
        let parent = || host.split_once('.').map(|(_, parent)| parent);
        let wild = || self.wildcard.get(parent()?);
        self.exact.get(host).or_else(wild)
    }

    fn choice(&self, host: Option<&str>) -> Option<&Choice> {
        let Some(host) = host else {
            // Who connects to an address names no host; the certificate may be for the address.
            let of_address = tap::local().and_then(|address| self.addresses.get(&address));
            return Some(of_address.unwrap_or(&self.first));
        };
        match (self.of_host(host), self.unknown) {
            (Some(choice), _) => Some(choice),
            (None, UnknownName::Default) => Some(&self.first),
            (None, UnknownName::Refuse) => None,
        }
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let choice = self.choice(hello.server_name())?;
        let schemes = hello.signature_schemes();
        let fits = |key: &&Arc<CertifiedKey>| signs(key, schemes);
        // If none fits, rustls says what is missing.
        choice.iter().find(fits).or(choice.first()).cloned()
    }
}

impl fmt::Debug for ByName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByName")
            .field("exact", &self.exact.keys())
            .field("wildcard", &self.wildcard.keys())
            .finish_non_exhaustive()
    }
}

fn signs(key: &CertifiedKey, schemes: &[SignatureScheme]) -> bool {
    key.key.choose_scheme(schemes).is_some()
}

fn alike(one: &Loaded, other: &Loaded) -> bool {
    Arc::ptr_eq(&one.key, &other.key) || {
        let mut names = one.names.dns.iter();
        names.any(|name| other.names.dns.contains(name))
    }
}
