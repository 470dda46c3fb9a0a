//! What the record layer must know of each suite: its AEAD, its hash, and their sizes.

use aws_lc_rs::aead::{self, AES_128_GCM, AES_256_GCM, CHACHA20_POLY1305};
use aws_lc_rs::hkdf;

use super::super::settings::{Suite, Version};
use crate::limits::{RECORDS_PER_CHACHA_KEY_MAX, RECORDS_PER_GCM_KEY_MAX};

pub(super) fn algorithm(suite: Suite) -> &'static aead::Algorithm {
    match suite {
        Suite::Aes128Gcm => &AES_128_GCM,
        Suite::Aes256Gcm => &AES_256_GCM,
        Suite::ChaCha20Poly1305 => &CHACHA20_POLY1305,
    }
}

/// The hash that TLS 1.3 pairs with it (RFC 8446 appendix B.4).
pub(super) fn hash(suite: Suite) -> hkdf::Algorithm {
    match suite {
        Suite::Aes128Gcm | Suite::ChaCha20Poly1305 => hkdf::HKDF_SHA256,
        Suite::Aes256Gcm => hkdf::HKDF_SHA384,
    }
}

pub(super) const fn key_bytes(suite: Suite) -> usize {
    match suite {
        Suite::Aes128Gcm => 16,
        Suite::Aes256Gcm | Suite::ChaCha20Poly1305 => 32,
    }
}

/// The length of a traffic secret, which is that of the hash.
pub(super) const fn secret_bytes(suite: Suite) -> usize {
    match suite {
        Suite::Aes128Gcm | Suite::ChaCha20Poly1305 => 32,
        Suite::Aes256Gcm => 48,
    }
}

/// How much of the nonce is written into each record: only AES-GCM in TLS 1.2 does so (RFC 5288 section 3).
pub(super) const fn explicit_nonce_bytes(version: Version, suite: Suite) -> usize {
    match (version, suite) {
        (Version::Tls12, Suite::Aes128Gcm | Suite::Aes256Gcm) => 8,
        (Version::Tls12, Suite::ChaCha20Poly1305) | (Version::Tls13, _) => 0,
    }
}

pub(super) const fn records_per_key_max(suite: Suite) -> u32 {
    match suite {
        Suite::Aes128Gcm | Suite::Aes256Gcm => RECORDS_PER_GCM_KEY_MAX,
        Suite::ChaCha20Poly1305 => RECORDS_PER_CHACHA_KEY_MAX,
    }
}

/// The longest key, traffic secret and nonce, and the tag of all suites.
pub(super) const KEY_BYTES_MAX: usize = 32;
pub(super) const SECRET_BYTES_MAX: usize = 48;
pub(super) const NONCE_BYTES: usize = 12;
pub(super) const TAG_BYTES: usize = 16;
