//! Seals any record, legal or not. Shares no code with what is tested.

use std::fmt;

use aws_lc_rs::aead::{
    AES_128_GCM, AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey,
};
use aws_lc_rs::hkdf::{HKDF_SHA256, HKDF_SHA384, KeyType, Prk};
use ringway::tls::{Suite, Version};

use super::greeting::Direction;

/// A sender with the keys of a real one.
pub struct Forger {
    version: Version,
    suite: Suite,
    direction: Direction,
}

/// One record as it is asked for.
#[derive(Clone)]
pub struct Record {
    pub kind: u8,
    pub content: Vec<u8>,
    pub padding: usize,
    pub twist: Twist,
    /// It ends a key update: the next record has the next key.
    pub renews: bool,
}

/// What happens to a record after it was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Twist {
    None,
    /// One bit of it flips.
    Flip(usize),
    /// Its header says this type, and was sealed with it.
    Outer(u8),
    /// Its header says this version, and was sealed with it.
    Wire([u8; 2]),
    /// It is lost.
    Lost,
    /// It comes twice.
    Twice,
    /// So many of its last bytes are lost.
    Cut(usize),
}

impl fmt::Debug for Record {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, bytes) = (self.kind, self.content.len());
        let start = &self.content[..bytes.min(8)];
        write!(
            to,
            "{kind}: {start:?} of {bytes} bytes and {}",
            self.padding
        )?;
        write!(to, ", {:?}", self.twist)
    }
}

impl Forger {
    pub const fn new(version: Version, suite: Suite, direction: Direction) -> Self {
        Self {
            version,
            suite,
            direction,
        }
    }

    /// The bytes of a record, as they arrive.
    pub fn forge(&mut self, record: &Record) -> Vec<u8> {
        let mut bytes = self.seal(record);
        match record.twist {
            Twist::Flip(bit) => {
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            Twist::Lost => bytes.clear(),
            Twist::Twice => bytes = bytes.repeat(2),
            Twist::Cut(count) => bytes.truncate(bytes.len() - count.min(bytes.len())),
            Twist::None | Twist::Outer(_) | Twist::Wire(_) => {}
        }
        bytes
    }

    fn seal(&mut self, record: &Record) -> Vec<u8> {
        let mut inside = record.content.clone();
        let mut outer = record.kind;
        let mut explicit = Vec::new();
        let nonce = self.nonce();
        if self.version == Version::Tls13 {
            outer = 23;
            inside.push(record.kind);
            inside.resize(inside.len() + record.padding, 0);
        } else if self.suite != Suite::ChaCha20Poly1305 {
            explicit = nonce[4..].to_vec();
        }
        if let Twist::Outer(kind) = record.twist {
            outer = kind;
        }
        let wire = match record.twist {
            Twist::Wire(version) => version,
            _ => [3, 3],
        };
        let length = (explicit.len() + inside.len() + 16) as u16;
        let header = [&[outer], &wire[..], &length.to_be_bytes()].concat();
        let extra = match self.version {
            Version::Tls13 => header.clone(),
            Version::Tls12 => [
                &self.direction.sequence.to_be_bytes()[..],
                &header[..3],
                &(inside.len() as u16).to_be_bytes(),
            ]
            .concat(),
        };
        let algorithm = match self.suite {
            Suite::Aes128Gcm => &AES_128_GCM,
            Suite::Aes256Gcm => &AES_256_GCM,
            Suite::ChaCha20Poly1305 => &CHACHA20_POLY1305,
        };
        let key = LessSafeKey::new(UnboundKey::new(algorithm, &self.direction.key).unwrap());
        let nonce = Nonce::assume_unique_for_key(nonce);
        key.seal_in_place_append_tag(nonce, Aad::from(extra), &mut inside)
            .unwrap();
        self.direction.sequence += 1;
        if record.renews {
            self.renew();
        }
        [header, explicit, inside].concat()
    }

    fn nonce(&self) -> [u8; 12] {
        let number = (u128::from(self.direction.sequence)).to_be_bytes();
        let mut nonce = self.direction.iv;
        for (byte, part) in nonce.iter_mut().zip(&number[4..]) {
            *byte ^= part;
        }
        nonce
    }

    fn renew(&mut self) {
        let bytes = self.direction.secret.len();
        self.direction.secret = self.expand("traffic upd", bytes);
        self.direction.key = self.expand("key", self.direction.key.len());
        self.direction.iv = self.expand("iv", 12).try_into().unwrap();
        self.direction.sequence = 0;
    }

    fn expand(&self, label: &str, bytes: usize) -> Vec<u8> {
        struct Length(usize);
        impl KeyType for Length {
            fn len(&self) -> usize {
                self.0
            }
        }
        let hash = if self.suite == Suite::Aes256Gcm {
            HKDF_SHA384
        } else {
            HKDF_SHA256
        };
        let label = format!("tls13 {label}");
        let info = [&[0, bytes as u8, label.len() as u8], label.as_bytes(), &[0]];
        let prk = Prk::new_less_safe(hash, &self.direction.secret);
        let mut out = vec![0; bytes];
        prk.expand(&info, Length(bytes))
            .unwrap()
            .fill(&mut out)
            .unwrap();
        out
    }
}
