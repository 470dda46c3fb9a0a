//! The addresses of this host that a pool's backends are dialled from.

use std::net::{IpAddr, SocketAddr};

use crate::sync::Arc;

/// The addresses of one pool, in the order of the file. Shared and never changed; empty leaves the choice to the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SourceAddresses {
    /// Invariant: each is of its family, and none is there twice.
    v4: Arc<[IpAddr]>,
    v6: Arc<[IpAddr]>,
}

impl SourceAddresses {
    /// The ones to dial this backend from: those of its family. Where there are none the kernel chooses, as it does for
    /// every backend of a pool without any.
    pub fn to(&self, backend: SocketAddr) -> &[IpAddr] {
        if backend.is_ipv4() {
            &self.v4
        } else {
            &self.v6
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = IpAddr> {
        self.v4.iter().chain(self.v6.iter()).copied()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }
}

impl FromIterator<IpAddr> for SourceAddresses {
    fn from_iter<I: IntoIterator<Item = IpAddr>>(addresses: I) -> Self {
        let all = addresses.into_iter();
        let (v4, v6): (Vec<_>, Vec<_>) = all.partition(IpAddr::is_ipv4);
        Self {
            v4: v4.into(),
            v6: v6.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_is_dialled_from_addresses_of_its_family() {
        let all = ["10.0.0.5", "2001:db8::5", "10.0.0.6"].map(|text| text.parse().unwrap());
        let sources: SourceAddresses = all.into_iter().collect();
        assert_eq!(sources.to(([10, 0, 1, 1], 1).into()), [all[0], all[2]]);
        assert_eq!(sources.to("[2001:db8::1]:1".parse().unwrap()), [all[1]]);
        assert_eq!(sources.iter().collect::<Vec<_>>(), [all[0], all[2], all[1]]);
        assert!(!sources.is_empty() && SourceAddresses::default().is_empty());
    }
}
