//! The cookie that brings a client back to its backend.

use std::fmt;
use std::time::Duration;

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
