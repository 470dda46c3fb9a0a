//! Seals what is needed to resume a session into tickets, and opens them again: RFC 5077 section 4 as we do it.
//!
//! ```text
//! name of the key, 16 bytes | nonce, 12 random bytes | sealed session | tag, 16 bytes
//! ```
//!
//! The name says which key opens, so that a ticket of an unknown key costs nothing and the client is greeted in full.
//! Several hosts may seal with one key without knowing of each other: with AES-GCM-SIV (RFC 8452) a nonce that comes
//! twice gives nothing away but that the same was sealed twice.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{hmac, rand};
use rustls::server::ProducesTickets;
use zeroize::Zeroizing;

use super::super::settings::Tickets;
use super::LoadError;
use super::clients::Scope;
use super::ticket_file;
use crate::clock::Now;
use crate::limits::TICKET_LIFETIME_MAX;
use crate::sync::Arc;

/// The keys that tickets are sealed with, shared by all listeners and workers of a process.
///
/// One thread makes new ones ([`Self::rotate`], [`Self::reload`]): the control thread. Every worker reads.
#[derive(Clone)]
pub struct TicketKeys(Arc<Shared>);

struct Shared {
    from: Tickets,
    /// Written by the control thread alone, as a whole; a worker that reads meanwhile has the old or the new keys.
    keys: ArcSwap<Keys>,
}

/// Never changed once made.
struct Keys {
    /// The first seals, all open. Empty: there are no tickets.
    list: Vec<Arc<Key>>,
    made: Now,
}

/// A name and 64 random bytes, wiped when they are dropped.
pub(super) type Secret = Zeroizing<[u8; SECRET_BYTES]>;

struct Key {
    name: [u8; NAME_BYTES],
    sealing: LessSafeKey,
}

impl TicketKeys {
    /// Makes the keys or reads them.
    pub fn load(from: &Tickets, now: Now) -> Result<Self, LoadError> {
        let list = match from {
            Tickets::Off => Vec::new(),
            Tickets::Own { .. } => vec![Key::random().ok_or_else(|| {
                LoadError::new(Path::new(""), "random bytes for ticket keys", "none", "")
            })?],
            Tickets::File(path) => ticket_file::read(path)?
                .iter()
                .map(Key::of_secret)
                .collect(),
        };
        Ok(Self(Arc::new(Shared {
            from: from.clone(),
            keys: ArcSwap::from_pointee(Keys::new(list, now)),
        })))
    }

    /// Makes a new key if the one that seals is old enough; the one before still opens. Says whether it did. Keys of a
    /// file are never old.
    pub fn rotate(&self, now: Now) -> bool {
        let Tickets::Own { rotate_after } = self.0.from else {
            return false;
        };
        let keys = self.0.keys.load();
        if now.since(keys.made) < rotate_after {
            return false;
        }
        // Without random bytes the old key stays, and the next call tries again.
        let Some(fresh) = Key::random() else {
            return false;
        };
        let before = keys.list.first().cloned();
        let list = std::iter::once(fresh).chain(before).collect();
        self.0.keys.store(Arc::new(Keys::new(list, now)));
        true
    }

    /// Reads the file of keys again, if they are from one; on a mistake the old ones stay. Says whether they are new.
    pub fn reload(&self, now: Now) -> Result<bool, LoadError> {
        let Tickets::File(path) = &self.0.from else {
            return Ok(false);
        };
        let secrets = ticket_file::read(path)?;
        let list: Vec<_> = secrets.iter().map(Key::of_secret).collect();
        let old = self.0.keys.load();
        let names = |list: &[Arc<Key>]| list.iter().map(|key| key.name).collect::<Vec<_>>();
        let changed = names(&list) != names(&old.list);
        self.0.keys.store(Arc::new(Keys::new(list, now)));
        Ok(changed)
    }

    /// What seals for clients of this scope; `None` if there are no tickets.
    pub(super) fn sealer(&self, scope: Scope) -> Option<Sealer> {
        let off = self.0.from == Tickets::Off;
        (!off).then(|| Sealer {
            keys: self.clone(),
            scope,
        })
    }

    /// A ticket is not promised longer than its key opens for sure.
    fn lifetime(&self) -> Duration {
        match self.0.from {
            Tickets::Own { rotate_after } => rotate_after.min(TICKET_LIFETIME_MAX),
            Tickets::Off | Tickets::File(_) => TICKET_LIFETIME_MAX,
        }
    }
}

impl fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TicketKeys")
            .field("from", &self.0.from)
            .field("keys", &self.0.keys.load().list.len())
            .finish_non_exhaustive()
    }
}

impl Keys {
    const fn new(list: Vec<Arc<Key>>, made: Now) -> Self {
        Self { list, made }
    }
}

impl Key {
    fn random() -> Option<Arc<Self>> {
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        rand::fill(&mut *secret).ok()?;
        Some(Self::of_secret(&secret))
    }

    /// All 64 bytes behind the name decide over the key: half of them keys an HMAC of the other half. Whatever else
    /// uses the same file has other keys.
    fn of_secret(secret: &Secret) -> Arc<Self> {
        let (name, rest) = secret.split_at(NAME_BYTES);
        let (left, right) = rest.split_at(32);
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, right));
        context.update(b"ringway ticket 1");
        context.update(left);
        let sealing = UnboundKey::new(&AES_256_GCM_SIV, context.sign().as_ref())
            .expect("invariant: HMAC-SHA256 gives the 32 bytes that AES-256 takes");
        let mut own = [0; NAME_BYTES];
        own.copy_from_slice(name);
        Arc::new(Self {
            name: own,
            sealing: LessSafeKey::new(sealing),
        })
    }
}

/// What rustls has tickets made and opened by.
pub(super) struct Sealer {
    keys: TicketKeys,
    scope: Scope,
}

impl Sealer {
    /// What is not in the ticket and must be the same when it is opened.
    fn bound(&self, name: &[u8]) -> Aad<[u8; NAME_BYTES + 32]> {
        let mut bytes = [0; NAME_BYTES + 32];
        bytes[..NAME_BYTES].copy_from_slice(name);
        bytes[NAME_BYTES..].copy_from_slice(self.scope.bytes());
        Aad::from(bytes)
    }
}

impl ProducesTickets for Sealer {
    fn enabled(&self) -> bool {
        !self.keys.0.keys.load().list.is_empty()
    }

    fn lifetime(&self) -> u32 {
        u32::try_from(self.keys.lifetime().as_secs()).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let keys = self.keys.0.keys.load();
        let key = keys.list.first()?;
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        let mut sealed = plain.to_vec();
        key.sealing
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                self.bound(&key.name),
                &mut sealed,
            )
            .ok()?;
        Some([&key.name[..], &nonce, &sealed].concat())
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_at_checked(NAME_BYTES)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN)?;
        let keys = self.keys.0.keys.load();
        // Names are no secrets: they travel in the clear.
        let key = keys.list.iter().find(|key| key.name == *name)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut plain = sealed.to_vec();
        let opened = key
            .sealing
            .open_in_place(nonce, self.bound(name), &mut plain);
        let length = opened.ok()?.len();
        plain.truncate(length);
        Some(plain)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.keys.fmt(f)
    }
}

/// The bytes that name a key.
const NAME_BYTES: usize = 16;
/// A name and 64 secret bytes.
pub(super) const SECRET_BYTES: usize = NAME_BYTES + 64;
