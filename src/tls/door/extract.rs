//! Makes the record layer's session of what rustls agreed on, and lets nothing through that does not fit together.

use rustls::{ConnectionTrafficSecrets, ExtractedSecrets};

use super::super::records::{Half, Role, Session};
use super::super::settings::{Suite, Version};
use super::tap::Secrets;
use super::{Failure, FailureReason};

/// The session of a finished handshake. In TLS 1.3 the keys come from the tapped secrets and must be the ones that
/// rustls gives out: nothing is ever sealed with keys that the peer does not have.
pub(super) fn session(
    role: Role,
    version: Version,
    suite: Suite,
    extracted: &ExtractedSecrets,
    secrets: &Secrets,
) -> Result<Session, Failure> {
    let (ours, theirs) = match role {
        Role::Client => (&secrets.client, &secrets.server),
        Role::Server => (&secrets.server, &secrets.client),
    };
    let halves =
        [(&extracted.tx, ours), (&extracted.rx, theirs)].map(|((sequence, keys), secret)| {
            let keys = Keys::of(keys, suite)?;
            let half = match version {
                Version::Tls12 => Half::of_key(suite, keys.key, keys.iv, *sequence),
                Version::Tls13 => Half::of_secret(suite, secret.as_ref()?, *sequence),
            }?;
            half.agrees(keys.key, keys.iv, *sequence).then_some(half)
        });
    match halves {
        [Some(tx), Some(rx)] => Ok(Session::new(version, suite, role, tx, rx)),
        _ => Err(Failure::new(FailureReason::SecretsDisagree, "")),
    }
}

/// What rustls gives out for one direction.
struct Keys<'a> {
    key: &'a [u8],
    iv: [u8; 12],
}

impl<'a> Keys<'a> {
    fn of(secrets: &'a ConnectionTrafficSecrets, expected: Suite) -> Option<Self> {
        let (suite, key, iv) = match secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (Suite::Aes128Gcm, key, iv),
            ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (Suite::Aes256Gcm, key, iv),
            ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => {
                (Suite::ChaCha20Poly1305, key, iv)
            }
            _ => return None,
        };
        let iv = iv.as_ref().try_into().ok()?;
        (suite == expected).then(|| Self {
            key: key.as_ref(),
            iv,
        })
    }
}
