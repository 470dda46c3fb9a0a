//! One direction's secrets, and how they renew themselves.

use aws_lc_rs::aead::Nonce;
use aws_lc_rs::hkdf::{KeyType, Prk};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::super::settings::{Suite, Version};
use super::cipher::{self, KEY_BYTES_MAX, NONCE_BYTES, SECRET_BYTES_MAX};

/// What one direction is sealed with. Wiped when it is dropped; neither copied nor shown.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Half {
    /// TLS 1.3: the traffic secret that the next keys come from. Zeros behind its length, or in TLS 1.2.
    pub(super) secret: [u8; SECRET_BYTES_MAX],
    /// Zeros behind its length.
    pub(super) key: [u8; KEY_BYTES_MAX],
    pub(super) iv: [u8; NONCE_BYTES],
    /// The number of the next record.
    pub(super) sequence: u64,
    #[zeroize(skip)]
    pub(super) suite: Suite,
    #[zeroize(skip)]
    pub(super) version: Version,
}

impl Half {
    /// TLS 1.3: key and nonce mask of a traffic secret (RFC 8446 section 7.3). Nothing if the secret is not as long as
    /// the suite's hash.
    pub fn of_secret(suite: Suite, secret: &[u8], sequence: u64) -> Option<Self> {
        if secret.len() != cipher::secret_bytes(suite) {
            return None;
        }
        let mut half = Self {
            secret: padded(secret),
            key: [0; KEY_BYTES_MAX],
            iv: [0; NONCE_BYTES],
            sequence,
            suite,
            version: Version::Tls13,
        };
        half.derive();
        Some(half)
    }

    /// TLS 1.2: key and nonce mask as they were agreed on. Nothing if the key is not as long as the suite's.
    pub fn of_key(suite: Suite, key: &[u8], iv: [u8; 12], sequence: u64) -> Option<Self> {
        (key.len() == cipher::key_bytes(suite)).then(|| Self {
            secret: [0; SECRET_BYTES_MAX],
            key: padded(key),
            iv,
            sequence,
            suite,
            version: Version::Tls12,
        })
    }

    /// Whether it has this key, nonce mask and sequence number.
    pub fn agrees(&self, key: &[u8], iv: [u8; 12], sequence: u64) -> bool {
        let same = self.key().ct_eq(key) & self.iv.ct_eq(&iv);
        bool::from(same) && self.sequence == sequence
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.key[..cipher::key_bytes(self.suite)]
    }

    /// The nonce of the next record (RFC 8446 section 5.3). In TLS 1.2 with AES-GCM, whose sender may choose it, the
    /// same: it is what rustls did up to here, so that no nonce comes twice.
    pub(super) fn nonce(&self) -> Nonce {
        let mut nonce = self.iv;
        for (byte, part) in nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *byte ^= part;
        }
        Nonce::assume_unique_for_key(nonce)
    }

    /// TLS 1.3: takes the next secret and begins to count anew (RFC 8446 section 7.2).
    pub(super) fn renew(&mut self) {
        let mut next = [0; SECRET_BYTES_MAX];
        self.expand(
            b"traffic upd",
            &mut next[..cipher::secret_bytes(self.suite)],
        );
        self.secret.copy_from_slice(&next);
        next.zeroize();
        self.derive();
        self.sequence = 0;
    }

    fn derive(&mut self) {
        let (mut key, mut iv) = ([0; KEY_BYTES_MAX], [0; NONCE_BYTES]);
        self.expand(b"key", &mut key[..cipher::key_bytes(self.suite)]);
        self.expand(b"iv", &mut iv);
        self.key.copy_from_slice(&key);
        self.iv = iv;
        key.zeroize();
        iv.zeroize();
    }

    /// HKDF-Expand-Label without a context (RFC 8446 section 7.1).
    fn expand(&self, label: &[u8], out: &mut [u8]) {
        let secret = &self.secret[..cipher::secret_bytes(self.suite)];
        let prk = Prk::new_less_safe(cipher::hash(self.suite), secret);
        let length = Length(out.len());
        let [out_bytes, label_bytes] = [out.len(), LABEL_PREFIX.len() + label.len()]
            .map(|bytes| u8::try_from(bytes).expect("invariant: secrets and labels are short"));
        let info = [
            &[0, out_bytes, label_bytes],
            LABEL_PREFIX,
            label,
            &[0], // The context is empty.
        ];
        prk.expand(&info, length)
            .and_then(|material| material.fill(out))
            .expect("invariant: no output here is longer than its hash");
    }
}

/// A length as HKDF wants it.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn padded<const BYTES: usize>(part: &[u8]) -> [u8; BYTES] {
    let mut whole = [0; BYTES];
    whole[..part.len()].copy_from_slice(part);
    whole
}

const LABEL_PREFIX: &[u8] = b"tls13 ";
