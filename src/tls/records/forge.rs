//! Seals what only a peer with other rules than ours would. For the fuzzer and for tests.

use aws_lc_rs::aead::{Aad, LessSafeKey, UnboundKey};

use super::super::settings::Version;
use super::cipher;
use super::half::Half;

/// A record with any type, content and padding, under the half's next number. In TLS 1.2 there is no padding.
pub(super) fn forge(half: &mut Half, kind: u8, content: &[u8], padding: usize) -> Vec<u8> {
    let key = UnboundKey::new(cipher::algorithm(half.suite), half.key());
    let key = LessSafeKey::new(key.expect("invariant: a half has a key of its suite"));
    let nonce = half.nonce();
    let shown = cipher::explicit_nonce_bytes(half.version, half.suite);
    let shown = nonce.as_ref()[nonce.as_ref().len() - shown..].to_vec();
    let mut inside = content.to_vec();
    let outer = match half.version {
        Version::Tls12 => kind,
        Version::Tls13 => {
            inside.push(kind);
            inside.resize(inside.len() + padding, 0);
            23
        }
    };
    let length = |bytes: usize| {
        u16::try_from(bytes)
            .expect("invariant: a record is short")
            .to_be_bytes()
    };
    let header = [&[outer, 3, 3][..], &length(shown.len() + inside.len() + 16)].concat();
    let extra = match half.version {
        Version::Tls13 => header.clone(),
        Version::Tls12 => {
            let number = half.sequence.to_be_bytes();
            [&number[..], &header[..3], &length(inside.len())].concat()
        }
    };
    key.seal_in_place_append_tag(nonce, Aad::from(extra), &mut inside)
        .expect("invariant: a record is short");
    half.sequence += 1;
    [header, shown, inside].concat()
}
