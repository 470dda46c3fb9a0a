//! Decides whether a page of some origin may open a WebSocket on a route (security rule 5).

use super::target::Authority;

/// The origins a route takes. An origin that matches no entry is refused; so is a text that is no origin.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OriginRules {
    /// Whole origins, lower case: `https://a.example` or `https://a.example:8443`.
    exact: Vec<String>,
    /// Ends of host names, lower case and with their leading dot: `.example.com`.
    suffixes: Vec<String>,
    allow_missing: bool,
    allow_null: bool,
}

impl OriginRules {
    /// Reads the entries of a route. One that starts with a dot takes every `http` and `https` origin on a host
    /// below it, on any port, but not the bare domain. Any other is a whole origin, and its default port may
    /// be left out on either side. `allow_missing` is for clients that are no browsers, `allow_null` for pages
    /// without an origin of their own, such as sandboxed frames and files.
    pub fn new(entries: &[String], allow_missing: bool, allow_null: bool) -> Result<Self, String> {
        let mut rules = Self {
            allow_missing,
            allow_null,
            ..Self::default()
        };
        for entry in entries {
            let lower = entry.to_ascii_lowercase();
            if let Some(domain) = lower.strip_prefix('.') {
                check_domain(domain).ok_or_else(|| complaint(entry))?;
                rules.suffixes.push(lower);
            } else {
                Origin::parse(&lower).ok_or_else(|| complaint(entry))?;
                rules.exact.push(lower);
            }
        }
        Ok(rules)
    }

    /// Whether a request with this Origin may pass. A request with several was refused at parse.
    pub fn allows(&self, origin: Option<&[u8]>) -> bool {
        match origin {
            None => self.allow_missing,
            Some(b"null") => self.allow_null,
            Some(text) => str::from_utf8(text)
                .ok()
                .and_then(Origin::parse)
                .is_some_and(|origin| self.lists(&origin)),
        }
    }

    fn lists(&self, origin: &Origin<'_>) -> bool {
        let is_exact =
            |entry: &String| Origin::parse(entry).is_some_and(|entry| entry.same(origin));
        self.exact.iter().any(is_exact)
            || (origin.is_web()
                && self
                    .suffixes
                    .iter()
                    .any(|suffix| ends_in(origin.host.name, suffix)))
    }
}

/// An origin as RFC 6454 section 6.2 writes it.
struct Origin<'a> {
    scheme: &'a str,
    host: Authority<'a>,
}

impl<'a> Origin<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (scheme, host) = text.split_once("://")?;
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(fine);
        is_scheme.then_some(())?;
        Some(Self {
            scheme,
            host: Authority::parse(host)?,
        })
    }

    fn is_web(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("https") || self.scheme.eq_ignore_ascii_case("http")
    }

    fn port(&self) -> Option<u16> {
        let default = match self.scheme {
            scheme if scheme.eq_ignore_ascii_case("https") => Some(443),
            scheme if scheme.eq_ignore_ascii_case("http") => Some(80),
            _ => None,
        };
        self.host.port.or(default)
    }

    fn same(&self, other: &Self) -> bool {
        self.scheme.eq_ignore_ascii_case(other.scheme)
            && self.host.name.eq_ignore_ascii_case(other.host.name)
            && self.port() == other.port()
    }
}

/// Whether `host` lies below the domain in `suffix`, which brings the dot that makes the boundary.
fn ends_in(host: &str, suffix: &str) -> bool {
    host.len()
        .checked_sub(suffix.len())
        .filter(|&labels| labels > 0)
        .and_then(|labels| host.get(labels..))
        .is_some_and(|end| end.eq_ignore_ascii_case(suffix))
}

/// A domain is a host name without a port that is no address.
fn check_domain(domain: &str) -> Option<()> {
    let host = Authority::parse(domain)?;
    let is_name = host.port.is_none() && host.name.bytes().any(|byte| byte.is_ascii_alphabetic());
    (is_name && !domain.starts_with('[') && !domain.ends_with('.')).then_some(())
}

fn complaint(entry: &str) -> String {
    format!(
        "expected an origin like \"https://a.example\" or a suffix like \".example.com\", found {entry:?}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(
        entries: &[&str],
        allow_missing: bool,
        allow_null: bool,
    ) -> Result<OriginRules, String> {
        let entries: Vec<String> = entries.iter().map(|&entry| entry.to_owned()).collect();
        OriginRules::new(&entries, allow_missing, allow_null)
    }

    #[test]
    fn an_origin_passes_when_an_entry_names_it_or_a_domain_above_it() {
        let rules = rules(
            &[
                "https://A.example",
                "http://b.example:8080",
                ".Example.com",
                "app://x",
            ],
            false,
            false,
        )
        .unwrap();
        for origin in [
            "https://a.example",
            "HTTPS://A.EXAMPLE",
            "https://a.example:443",
            "http://b.example:8080",
            "https://x.example.com",
            "http://x.y.EXAMPLE.com:3000",
            "app://x",
        ] {
            assert!(rules.allows(Some(origin.as_bytes())), "{origin}");
        }
        for origin in [
            "http://a.example",
            "https://a.example:8443",
            "http://b.example",
            "https://example.com",
            "https://badexample.com",
            "https://x.example.com.evil.example",
            "https://.example.com",
            "https://a.example.evil.example",
            "https://a.example/",
            "https://a.example@evil.example",
            "https://evil.example#.example.com",
            "https://evil.example/.example.com",
            "a.example",
            "",
            "null",
            "NULL",
            "https://",
            "https://a.example https://a.example",
            "app://x.example.com",
            "https://a.example\u{e9}.example.com",
            "app://x:80",
        ] {
            assert!(!rules.allows(Some(origin.as_bytes())), "{origin}");
        }
        assert!(!rules.allows(Some(b"https://\xff.example.com")));
    }

    #[test]
    fn a_missing_and_a_null_origin_have_their_own_switches() {
        for (missing, null) in [(false, false), (true, false), (false, true), (true, true)] {
            let rules = rules(&[], missing, null).unwrap();
            assert_eq!(rules.allows(None), missing);
            assert_eq!(rules.allows(Some(b"null")), null);
            assert!(!rules.allows(Some(b"")));
        }
    }

    #[test]
    fn an_entry_that_could_never_match_is_refused() {
        for entry in [
            "",
            ".",
            "a.example",
            "*",
            "https://*.example.com",
            "https://a.example/",
            ".example.com:80",
            ".example.com.",
            "..example.com",
            ".[::1]",
            ".0.0.1",
            "null",
            "://a",
            "https://",
            "1://a",
        ] {
            let error = rules(&[entry], false, false).unwrap_err();
            assert!(error.ends_with(&format!("found {entry:?}")), "{error}");
        }
    }
}
