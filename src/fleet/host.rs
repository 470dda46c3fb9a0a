//! Host names as routes know them: exact or with a wildcard, compared without regard to case and without
//! allocation.

use std::cmp::Ordering;
use std::fmt;
use std::net::IpAddr;

use crate::limits::{HOST_BYTES_MAX, HOST_LABEL_BYTES_MAX};

/// A host that a route answers to. Kept in lower case, IPv6 addresses without their brackets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostPattern {
    /// This name or address and no other.
    Exact(Box<str>),
    /// `*.example.com`: every name that ends in `.example.com`, however deep, but not `example.com` itself.
    Under(Box<str>),
}

impl HostPattern {
    /// Reads `chat.example.com`, `*.example.com`, `10.0.0.1` or `[2001:db8::1]`; no port.
    pub fn parse(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        let lower = lower.strip_suffix('.').unwrap_or(&lower);
        if let Some(parent) = lower.strip_prefix("*.") {
            return is_name(parent).then(|| Self::Under(parent.into()));
        }
        let bare = bare(lower);
        let literal = bare.len() != lower.len();
        let right = match bare.parse::<IpAddr>() {
            Ok(address) => address.is_ipv6() == literal,
            Err(_) => !literal && is_name(bare),
        };
        right.then(|| Self::Exact(bare.into()))
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) if name.contains(':') => write!(f, "[{name}]"),
            Self::Exact(name) => f.write_str(name),
            Self::Under(parent) => write!(f, "*.{parent}"),
        }
    }
}

/// The part of a Host that is compared: without the brackets of an IPv6 address, without one final dot (the
/// root of the DNS, which some clients write out).
pub(super) fn bare(host: &str) -> &str {
    let unbracketed = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    unbracketed.unwrap_or_else(|| host.strip_suffix('.').unwrap_or(host))
}

/// Orders a stored name, which is in lower case, against one that a client sent in any case.
pub(super) fn compare(stored: &str, asked: &str) -> Ordering {
    let asked = asked.bytes().map(|byte| byte.to_ascii_lowercase());
    stored.bytes().cmp(asked)
}

/// A DNS name in lower case: labels of letters, digits, `-` and `_`, within the bounds of RFC 1035.
fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=HOST_LABEL_BYTES_MAX).contains(&label.len())
            && label.bytes().all(plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= HOST_BYTES_MAX && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_wildcards_and_addresses_are_read_and_printed() {
        for text in [
            "chat.example.com",
            "*.example.com",
            "10.0.0.1",
            "[2001:db8::1]",
            "localhost",
        ] {
            assert_eq!(HostPattern::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(
            HostPattern::parse("Chat.Example.COM."),
            Some(HostPattern::Exact("chat.example.com".into()))
        );
    }

    #[test]
    fn what_no_host_can_be_is_refused() {
        let long = format!("{}.com", "a".repeat(64));
        for text in [
            "",
            ".",
            "*",
            "*.",
            "a..b",
            "*.*.com",
            "chat.*",
            "example.com:80",
            "2001:db8::1",
            "[10.0.0.1]",
            "[chat]",
            "-a.com",
            "a-.com",
            "ex ample.com",
            "exämple.com",
            "https://a",
            &long,
        ] {
            assert_eq!(HostPattern::parse(text), None, "{text:?}");
        }
    }
}
