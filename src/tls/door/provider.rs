//! Which ciphers and key exchanges are offered, and their names here and at rustls.

use rustls::crypto::aws_lc_rs::{self, cipher_suite as at_rustls, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::{
    CipherSuite, ProtocolVersion, SupportedCipherSuite, SupportedProtocolVersion, version,
};

use super::super::settings::{Suite, Version};
use crate::sync::Arc;

/// X25519 is the cheapest, the hybrid costs 17 µs more and is safe from a quantum computer. A server follows the
/// order of the client, as browsers put the hybrid first; this is the order that we ask backends in.
const GROUPS: [&dyn SupportedKxGroup; 4] = [
    kx_group::X25519,
    kx_group::X25519MLKEM768,
    kx_group::SECP256R1,
    kx_group::SECP384R1,
];

static NEWEST_FIRST: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];

/// The protocol we speak inside (RFC 7301).
pub(super) const HTTP_1_1: &[u8] = b"http/1.1";

/// aws-lc-rs with these ciphers, best liked first.
pub(super) fn provider(suites: &[Suite]) -> Arc<CryptoProvider> {
    let newer = suites.iter().map(|&suite| tls13(suite));
    let older = suites.iter().flat_map(|&suite| tls12(suite));
    Arc::new(CryptoProvider {
        cipher_suites: newer.chain(older).collect(),
        kx_groups: GROUPS.to_vec(),
        ..aws_lc_rs::default_provider()
    })
}

/// The versions from this one on.
pub(super) fn versions(oldest: Version) -> &'static [&'static SupportedProtocolVersion] {
    match oldest {
        Version::Tls12 => &NEWEST_FIRST,
        Version::Tls13 => &NEWEST_FIRST[..1],
    }
}

/// What was agreed on, in our words. `None` before it was, and for what we never offer.
pub(super) fn agreed(
    version: Option<ProtocolVersion>,
    suite: Option<SupportedCipherSuite>,
) -> Option<(Version, Suite)> {
    let version = match version? {
        ProtocolVersion::TLSv1_2 => Version::Tls12,
        ProtocolVersion::TLSv1_3 => Version::Tls13,
        _ => return None,
    };
    let suite = match suite?.suite() {
        CipherSuite::TLS13_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => Suite::Aes128Gcm,
        CipherSuite::TLS13_AES_256_GCM_SHA384
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
        | CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => Suite::Aes256Gcm,
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
        | CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => Suite::ChaCha20Poly1305,
        _ => return None,
    };
    Some((version, suite))
}

fn tls13(suite: Suite) -> SupportedCipherSuite {
    match suite {
        Suite::Aes128Gcm => at_rustls::TLS13_AES_128_GCM_SHA256,
        Suite::Aes256Gcm => at_rustls::TLS13_AES_256_GCM_SHA384,
        Suite::ChaCha20Poly1305 => at_rustls::TLS13_CHACHA20_POLY1305_SHA256,
    }
}

fn tls12(suite: Suite) -> [SupportedCipherSuite; 2] {
    match suite {
        Suite::Aes128Gcm => [
            at_rustls::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            at_rustls::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        ],
        Suite::Aes256Gcm => [
            at_rustls::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            at_rustls::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        ],
        Suite::ChaCha20Poly1305 => [
            at_rustls::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
            at_rustls::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        ],
    }
}
