//! The cookie that brings a client back to its backend.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::pool::Member;

/// A cookie over any policy. Its value names the backend by a hash and is signed, so that nobody can choose one.
#[derive(Clone, PartialEq, Eq)]
pub struct Sticky {
    /// The cookie's name.
    pub cookie: Box<str>,
    /// Signs the value. All hosts that share a pool share it.
    pub secret: Secret,
    /// The cookie's `SameSite` (RFC 6265bis).
    pub same_site: SameSite,
    /// Whether it is sent over TLS only.
    pub secure: bool,
    /// How long it lives; nothing is until the browser ends. Checked here too, by the time inside its value.
    pub lifetime: Option<Duration>,
}

/// The key that signs. It never shows itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub [u8; 32]);

impl Secret {
    /// The code of some text, given in parts, each bound to its length: HMAC-SHA256 (RFC 2104), cut to as many bytes as
    /// the caller keeps.
    pub fn code(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = <Hmac<Sha256>>::new_from_slice(&self.0)
            .expect("invariant: HMAC takes a key of any length");
        for part in parts {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

/// What stands for a backend in a cookie. Without the secret it tells nothing about addresses, not even to who
/// tries them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Alias(pub u64);

impl Sticky {
    /// The alias of a backend: the same on every host that shares the secret.
    pub fn alias(&self, pool: &str, address: SocketAddr) -> Alias {
        let code = self
            .secret
            .code(&[b"alias", pool.as_bytes(), address.to_string().as_bytes()]);
        let (first, _) = code
            .split_first_chunk()
            .expect("invariant: 32 bytes begin with 8");
        Alias(u64::from_be_bytes(*first))
    }
}

/// Where each backend of a sticky pool stands in its list, in the order of the aliases: found by halving.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Aliases(Box<[(Alias, u32)]>);

impl Aliases {
    /// Some microseconds a backend: work for the control thread.
    pub(super) fn new(sticky: &Sticky, pool: &str, members: &[Member]) -> Self {
        let mut list: Vec<_> = (0..)
            .zip(members)
            .map(|(place, member)| (sticky.alias(pool, member.address), place))
            .collect();
        list.sort_unstable();
        Self(list.into())
    }

    /// The alias's place in the list of members.
    pub fn find(&self, alias: Alias) -> Option<usize> {
        let found = self
            .0
            .binary_search_by_key(&alias, |&(other, _)| other)
            .ok()?;
        Some(self.0[found].1 as usize)
    }
}

/// The cookie attribute `SameSite`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SameSite {
    /// Sent only from the same site.
    Strict,
    /// Also on the way from a link.
    #[default]
    Lax,
    /// Sent from everywhere; browsers then ask for `Secure`.
    None,
}

impl SameSite {
    /// All of them, in the order messages name them.
    pub const ALL: [Self; 3] = [Self::Strict, Self::Lax, Self::None];

    /// The word in the configuration.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Lax => "lax",
            Self::None => "none",
        }
    }

    /// The word in the cookie.
    pub const fn attribute(self) -> &'static str {
        match self {
            Self::Strict => "Strict",
            Self::Lax => "Lax",
            Self::None => "None",
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl fmt::Debug for Sticky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sticky")
            .field("cookie", &self.cookie)
            .field("same_site", &self.same_site)
            .field("secure", &self.secure)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{BackendId, Weight};

    fn sticky(secret: u8) -> Sticky {
        Sticky {
            cookie: "c".into(),
            secret: Secret([secret; 32]),
            same_site: SameSite::Lax,
            secure: false,
            lifetime: None,
        }
    }

    #[test]
    fn an_alias_belongs_to_its_pool_its_address_and_its_secret() {
        let address = |port| SocketAddr::from(([10, 0, 0, 1], port));
        let own = sticky(1).alias("chat", address(1));
        assert_eq!(sticky(1).alias("chat", address(1)), own);
        assert_ne!(sticky(1).alias("chat", address(2)), own);
        assert_ne!(sticky(1).alias("games", address(1)), own);
        assert_ne!(sticky(2).alias("chat", address(1)), own);
    }

    #[test]
    fn every_backend_is_found_by_its_alias() {
        let members: Vec<_> = (0..1_000)
            .map(|port| {
                let address = SocketAddr::from(([10, 0, 0, 1], port));
                Member::new(BackendId(port), address, Weight::ONE)
            })
            .collect();
        let aliases = Aliases::new(&sticky(1), "chat", &members);
        for (place, member) in members.iter().enumerate() {
            assert_eq!(
                aliases.find(sticky(1).alias("chat", member.address)),
                Some(place)
            );
        }
        let stranger = sticky(1).alias("chat", SocketAddr::from(([10, 0, 0, 2], 1)));
        assert_eq!(aliases.find(stranger), None);
    }
}
