//! Finds the certificate for a client: by the host it names, then by the signatures and curves it can check.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CipherSuite, NamedGroup, SignatureScheme};

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
        let curves = curves_of(&hello);
        let signs = |key: &&Arc<CertifiedKey>| signs(key, schemes);
        let fits = |key: &&Arc<CertifiedKey>| signs(key) && stands_on(key, curves);
        // Not all clients mean what they say of curves. If none signs either, rustls says what is missing.
        let found = choice.iter().find(fits);
        let found = found.or_else(|| choice.iter().find(signs));
        found.or(choice.first()).cloned()
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

/// The curves that a key of ours may be on, if the client bounds them. In TLS 1.2 its groups are for keys of certificates
/// too (RFC 8422 section 5.1); in TLS 1.3 they are not, there the signature names its curve. rustls does not say which
/// version there will be: it is 1.3 if the client offers one of its ciphers, which no client does in vain but those that
/// do not look at curves.
fn curves_of<'a>(hello: &ClientHello<'a>) -> Option<&'a [NamedGroup]> {
    let newer = |suite: &CipherSuite| u16::from(*suite) >> 8 == TLS13_SUITES;
    if hello.cipher_suites().iter().any(newer) {
        return None;
    }
    hello.named_groups()
}

/// Whether the key is on one of these curves, if it is on one at all.
fn stands_on(key: &CertifiedKey, curves: Option<&[NamedGroup]>) -> bool {
    let curve = CURVES.iter().find(|(scheme, _)| signs(key, &[*scheme]));
    match (curve, curves) {
        (Some((_, curve)), Some(curves)) => curves.contains(curve),
        _ => true,
    }
}

fn alike(one: &Loaded, other: &Loaded) -> bool {
    Arc::ptr_eq(&one.key, &other.key) || {
        let mut names = one.names.dns.iter();
        names.any(|name| other.names.dns.contains(name))
    }
}

/// A key on a curve of NIST makes one kind of signature, which names the curve.
const CURVES: [(SignatureScheme, NamedGroup); 3] = [
    (
        SignatureScheme::ECDSA_NISTP256_SHA256,
        NamedGroup::secp256r1,
    ),
    (
        SignatureScheme::ECDSA_NISTP384_SHA384,
        NamedGroup::secp384r1,
    ),
    (
        SignatureScheme::ECDSA_NISTP521_SHA512,
        NamedGroup::secp521r1,
    ),
];
/// The first byte of all ciphers of TLS 1.3 (RFC 8446 appendix B.4); no other cipher has it but two that nobody has.
const TLS13_SUITES: u16 = 0x13;
