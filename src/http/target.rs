//! Reads request targets and the authority inside them or in Host.

use std::net::Ipv6Addr;

use super::HeadError;

/// A request target in one of the forms we take (RFC 9112 section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target<'a> {
    /// The path and the query, without scheme and authority.
    pub(super) path_and_query: &'a str,
    /// What stood before it in the absolute form.
    pub(super) origin: Option<(Scheme, Authority<'a>)>,
}

impl<'a> Target<'a> {
    /// The authority form belongs to CONNECT, which is for forward proxies, and is refused. So is an
    /// absolute URI with a query and no path: its origin form would need a slash that is not there.
    pub(super) fn parse(text: &'a str, method: &str) -> Result<Self, HeadError> {
        if text
            .bytes()
            .any(|byte| byte == b'#' || !byte.is_ascii_graphic())
        {
            return Err(HeadError::Target);
        }
        if text.starts_with('/') || (text == "*" && method == "OPTIONS") {
            return Ok(Self {
                path_and_query: text,
                origin: None,
            });
        }
        let (scheme, rest) = text.split_once("://").ok_or(HeadError::Target)?;
        let scheme = Scheme::parse(scheme).ok_or(HeadError::Target)?;
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let authority = Authority::parse(authority).ok_or(HeadError::Target)?;
        let path_and_query = match path.as_bytes() {
            [] => "/",
            [b'/', ..] => path,
            _ => return Err(HeadError::Target),
        };
        Ok(Self {
            path_and_query,
            origin: Some((scheme, authority)),
        })
    }
}

/// A scheme that means HTTP or WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    /// `http` and `ws`.
    Plain,
    /// `https` and `wss`.
    Secure,
}

impl Scheme {
    fn parse(text: &str) -> Option<Self> {
        let is = |name| text.eq_ignore_ascii_case(name);
        if is("http") || is("ws") {
            Some(Self::Plain)
        } else if is("https") || is("wss") {
            Some(Self::Secure)
        } else {
            None
        }
    }

    /// The port that is meant when none is written.
    const fn port(self) -> u16 {
        match self {
            Self::Plain => 80,
            Self::Secure => 443,
        }
    }
}

/// A host name or address with an optional port, checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Authority<'a> {
    /// As it was sent.
    pub(super) text: &'a str,
    /// Without the port; an IPv6 address keeps its brackets.
    pub(super) name: &'a str,
    /// The port, when one was written.
    pub(super) port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Stricter than RFC 3986: no user, no percent-encoding, no sub-delimiters, no empty port. What is left
    /// cannot break out of a header, a quoted string or a log line.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let name_end = match text.strip_prefix('[') {
            Some(rest) => {
                let address = &rest[..rest.find(']')?];
                address.parse::<Ipv6Addr>().ok()?;
                address.len() + 2
            }
            None => text.find(':').unwrap_or(text.len()),
        };
        let (name, rest) = text.split_at(name_end);
        let port = match rest.strip_prefix(':') {
            Some(digits) => Some(parse_port(digits)?),
            None if rest.is_empty() => None,
            None => return None,
        };
        (name.starts_with('[') || is_name(name)).then_some(Self { text, name, port })
    }

    /// Whether both name the same place for someone who speaks `scheme`.
    pub(super) fn agrees(&self, other: &Self, scheme: Scheme) -> bool {
        let port = |authority: &Self| authority.port.unwrap_or(scheme.port());
        self.name.eq_ignore_ascii_case(other.name) && port(self) == port(other)
    }
}

/// Letters, digits and what real names use beside them.
fn is_name(name: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    !name.is_empty() && !name.starts_with('.') && name.bytes().all(fine)
}

fn parse_port(digits: &str) -> Option<u16> {
    let plain = (1..=5).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_a_name_or_address_with_an_optional_port() {
        let cases = [
            ("a.example", "a.example", None),
            ("A_b-1.example.:8080", "A_b-1.example.", Some(8080)),
            ("127.0.0.1:1", "127.0.0.1", Some(1)),
            ("[::1]", "[::1]", None),
            ("[2001:db8::1]:65535", "[2001:db8::1]", Some(65535)),
        ];
        for (text, name, port) in cases {
            assert_eq!(Authority::parse(text), Some(Authority { text, name, port }));
        }
        for bad in [
            "",
            ":80",
            ".",
            ".a",
            "a:",
            "a:+1",
            "a:65536",
            "a:000080",
            "a:1:2",
            "::1",
            "[::1",
            "[::1]x",
            "[a]",
            "[]",
            "a b",
            "a/b",
            "u@a",
            "a\"",
            "a,b",
            "a%41",
            "a;b",
            "[::1]:",
            "é.example",
        ] {
            assert_eq!(Authority::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_target_is_a_path_or_an_absolute_uri() {
        let path = |text| Target::parse(text, "GET").map(|target| target.path_and_query);
        assert_eq!(path("/"), Ok("/"));
        assert_eq!(path("//x/y?z=http://a"), Ok("//x/y?z=http://a"));
        assert_eq!(path("http://a.example"), Ok("/"));
        assert_eq!(path("WSS://a.example:1/b?c"), Ok("/b?c"));
        for bad in [
            "",
            "*",
            "a",
            "a:80",
            "?x",
            "ftp://a/",
            "http://",
            "http:///x",
            "http://a?x",
            "http://u@a/",
            "/#x",
            "http:/a",
            "/é",
            "://a/",
        ] {
            assert_eq!(path(bad), Err(HeadError::Target), "{bad}");
        }
        assert!(Target::parse("*", "OPTIONS").is_ok());
    }

    #[test]
    fn authorities_agree_when_they_name_the_same_place() {
        let agree = |left, right, scheme| {
            Authority::parse(left)
                .unwrap()
                .agrees(&Authority::parse(right).unwrap(), scheme)
        };
        assert!(agree("A.example", "a.example:80", Scheme::Plain));
        assert!(agree("a.example:443", "a.example", Scheme::Secure));
        assert!(!agree("a.example", "a.example:80", Scheme::Secure));
        assert!(!agree("a.example", "b.example", Scheme::Plain));
    }
}
