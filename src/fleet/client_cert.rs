//! What a route asks of a client's certificate, and what it tells its backends of it. Plain values: who checks the
//! certificate itself is the door of TLS.

use std::fmt;
use std::net::IpAddr;

/// What a route asks of certificates of clients, and tells of them.
///
/// The names of the fields keep the case of the file. No client may send a field of one of these names, on any route:
/// see [`RouteTable::claimed_fields`](super::RouteTable::claimed_fields).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientCertRules {
    /// Whether a certificate must have been shown. Invariant: true if there are subjects or names.
    pub required: bool,
    /// Subjects that are let in, as RFC 4514 writes them (`CN=device-7,O=Example`); none lets in all.
    pub subjects: Vec<Pattern>,
    /// Alternative names (RFC 5280 section 4.2.1.6) of which one must be there; none lets in all.
    pub sans: Vec<San>,
    /// The field that carries the subject, as RFC 4514 writes it.
    pub subject_header: Option<Box<str>>,
    /// The field that carries the alternative names: `DNS:a.example, URI:spiffe://example/a`.
    pub sans_header: Option<Box<str>>,
    /// The field that carries the SHA-256 of the certificate, 64 hexadecimal digits in lower case.
    pub fingerprint_header: Option<Box<str>>,
    /// The field that carries `SUCCESS`, or `NONE` from a client that showed no certificate.
    pub verify_header: Option<Box<str>>,
}

/// A text that is compared: whole, or only its start or its end.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// This text and no other.
    Exact(Box<str>),
    /// `CN=device-*`: whatever starts like this.
    Start(Box<str>),
    /// `*,O=Example`: whatever ends like this.
    End(Box<str>),
}

/// An alternative name that is looked for. Names of different kinds are never taken for each other: who may vouch for
/// a host could otherwise make it look like somebody's address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct San {
    kind: SanKind,
    pattern: Pattern,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum SanKind {
    Dns,
    Uri,
    Email,
    Ip,
}

impl ClientCertRules {
    /// Whether a client may use the route. `subject` is that of the good certificate it has shown, as RFC 4514 writes
    /// it, and perhaps empty; nothing if it has shown none. `sans` are its alternative names, each with its kind before
    /// it: `DNS:a.example`, `URI:…`, `email:…`, `IP:…`.
    pub fn allows<S: AsRef<str>>(&self, subject: Option<&str>, sans: &[S]) -> bool {
        let Some(subject) = subject else {
            return !self.required;
        };
        let named = |wanted: &San| sans.iter().any(|san| wanted.fits(san.as_ref()));
        (self.subjects.is_empty() || self.subjects.iter().any(|one| one.fits_subject(subject)))
            && (self.sans.is_empty() || self.sans.iter().any(named))
    }

    /// The names of the fields that tell backends of a certificate.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        let all = [
            &self.subject_header,
            &self.sans_header,
            &self.fingerprint_header,
            &self.verify_header,
        ];
        all.into_iter().flatten().map(|name| &**name)
    }
}

impl Pattern {
    /// Reads a text with one star at its start or its end, or with none. A star alone is no pattern.
    pub fn parse(text: &str) -> Option<Self> {
        let pattern = match (text.strip_prefix('*'), text.strip_suffix('*')) {
            (Some(end), _) => Self::End(end.into()),
            (None, Some(start)) => Self::Start(start.into()),
            (None, None) => Self::Exact(text.into()),
        };
        let rest = pattern.text();
        let right = !rest.is_empty() && !rest.contains('*');
        right.then_some(pattern)
    }

    /// Whether a subject is one of these. An end that begins inside of what RFC 4514 has escaped is none: in
    /// `CN=x\,O=Example` all of it is the name that somebody gave himself.
    fn fits_subject(&self, subject: &str) -> bool {
        if !self.fits(subject) {
            return false;
        }
        let Self::End(end) = self else { return true };
        let before = subject[..subject.len() - end.len()].bytes().rev();
        before.take_while(|byte| *byte == b'\\').count() % 2 == 0
    }

    fn fits(&self, text: &str) -> bool {
        match self {
            Self::Exact(whole) => text == &**whole,
            Self::Start(start) => text.starts_with(&**start),
            Self::End(end) => text.ends_with(&**end),
        }
    }

    /// The same without regard to the case of ASCII letters, as names in the DNS are compared.
    fn fits_any_case(&self, text: &str) -> bool {
        let (text, wanted) = (text.as_bytes(), self.text().as_bytes());
        let part = match self {
            Self::Exact(_) => Some(text),
            Self::Start(_) => text.get(..wanted.len()),
            Self::End(_) => text
                .len()
                .checked_sub(wanted.len())
                .map(|start| &text[start..]),
        };
        part.is_some_and(|part| part.eq_ignore_ascii_case(wanted))
    }

    fn text(&self) -> &str {
        let (Self::Exact(text) | Self::Start(text) | Self::End(text)) = self;
        text
    }
}

impl San {
    /// Reads `DNS:…`, `URI:…`, `email:…` or `IP:…`; a text without a kind is a name in the DNS. An address stands
    /// whole.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = SanKind::of(text).unwrap_or((SanKind::Dns, text));
        let pattern = match kind {
            SanKind::Ip => Pattern::Exact(rest.parse::<IpAddr>().ok()?.to_string().into()),
            SanKind::Dns if !rest.bytes().all(is_of_a_host) => return None,
            _ => Pattern::parse(rest)?,
        };
        Some(Self { kind, pattern })
    }

    fn fits(&self, san: &str) -> bool {
        let Some((kind, text)) = SanKind::of(san) else {
            return false;
        };
        kind == self.kind
            && match kind {
                SanKind::Dns => self.pattern.fits_any_case(text),
                _ => self.pattern.fits(text),
            }
    }
}

impl SanKind {
    /// The kind that stands before an alternative name, and the name.
    fn of(text: &str) -> Option<(Self, &str)> {
        let kinds = [Self::Dns, Self::Uri, Self::Email, Self::Ip].into_iter();
        let mut found = kinds.filter_map(|kind| Some((kind, text.strip_prefix(kind.prefix())?)));
        found.next()
    }

    /// As OpenSSL writes them.
    const fn prefix(self) -> &'static str {
        match self {
            Self::Dns => "DNS:",
            Self::Uri => "URI:",
            Self::Email => "email:",
            Self::Ip => "IP:",
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(text) => f.write_str(text),
            Self::Start(text) => write!(f, "{text}*"),
            Self::End(text) => write!(f, "*{text}"),
        }
    }
}

impl fmt::Display for San {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.kind.prefix(), self.pattern)
    }
}

/// Whether a name of a host may have this byte; in a certificate it may begin with a star too.
const fn is_of_a_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(subjects: &[&str], sans: &[&str]) -> ClientCertRules {
        let subjects = subjects.iter().map(|text| Pattern::parse(text).unwrap());
        let sans = sans.iter().map(|text| San::parse(text).unwrap());
        ClientCertRules {
            required: true,
            subjects: subjects.collect(),
            sans: sans.collect(),
            ..ClientCertRules::default()
        }
    }

    const NO_SANS: &[&str] = &[];

    #[test]
    fn without_a_certificate_only_a_route_that_demands_none_is_open() {
        assert!(ClientCertRules::default().allows(None, NO_SANS));
        assert!(ClientCertRules::default().allows(Some(""), NO_SANS));
        assert!(!rules(&[], &[]).allows(None, NO_SANS));
        assert!(rules(&[], &[]).allows(Some(""), NO_SANS));
        assert!(!rules(&["CN=a"], &[]).allows(None, NO_SANS));
    }

    #[test]
    fn a_subject_is_whole_or_a_start_or_an_end() {
        let rules = rules(&["CN=gateway,O=Example", "CN=device-*", "*,O=Lab"], &[]);
        for subject in [
            "CN=gateway,O=Example",
            "CN=device-7,O=Example",
            "CN=device-",
            "CN=anybody,O=Lab",
        ] {
            assert!(rules.allows(Some(subject), NO_SANS), "{subject}");
        }
        for subject in [
            "",
            "CN=gateway",
            "CN=gateway,O=Example,C=DE",
            "cn=device-7",
            "CN=x,O=Labs",
        ] {
            assert!(!rules.allows(Some(subject), NO_SANS), "{subject}");
        }
    }

    #[test]
    fn an_end_is_not_found_inside_of_a_name_that_somebody_gave_himself() {
        let rules = rules(&["*,O=Lab"], &[]);
        assert!(!rules.allows(Some("CN=x\\,O=Lab"), NO_SANS));
        assert!(!rules.allows(Some("CN=x\\\\\\,O=Lab"), NO_SANS));
        assert!(
            rules.allows(Some("CN=x\\\\,O=Lab"), NO_SANS),
            "the backslash is his, the comma is not"
        );
    }

    #[test]
    fn names_of_different_kinds_are_never_taken_for_each_other() {
        let rules = rules(
            &[],
            &[
                "*.devices.example",
                "URI:spiffe://example/*",
                "email:ops@example.com",
                "IP:2001:DB8::1",
            ],
        );
        for san in [
            "DNS:a.Devices.Example",
            "DNS:*.devices.example",
            "URI:spiffe://example/chat",
            "email:ops@example.com",
            "IP:2001:db8::1",
        ] {
            assert!(rules.allows(Some(""), &["DNS:other.example", san]), "{san}");
        }
        for san in [
            "a.devices.example",
            "DNS:devices.example",
            "URI:a.devices.example",
            "URI:SPIFFE://example/chat",
            "DNS:ops@example.com",
            "email:ops@example.com.evil",
            "IP:2001:db8::11",
            "DNS:",
        ] {
            assert!(!rules.allows(Some(""), &[san]), "{san}");
        }
        assert!(!rules.allows(Some(""), NO_SANS));
    }

    #[test]
    fn of_both_lists_one_each_must_fit() {
        let rules = rules(&["CN=a*"], &["a.example"]);
        assert!(rules.allows(Some("CN=a"), &["DNS:a.example"]));
        assert!(!rules.allows(Some("CN=b"), &["DNS:a.example"]));
        assert!(!rules.allows(Some("CN=a"), &["DNS:b.example"]));
    }

    #[test]
    fn what_is_read_is_printed_again() {
        for text in ["CN=a,O=b", "CN=a*", "*,O=b"] {
            assert_eq!(Pattern::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "DNS:*.a.example",
            "URI:spiffe://a/*",
            "email:*@a.example",
            "IP:10.0.0.1",
        ] {
            assert_eq!(San::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(San::parse("a.example"), San::parse("DNS:a.example"));
        for text in ["", "*", "**", "*a*", "a*b", "*a*b"] {
            assert_eq!(Pattern::parse(text), None, "{text:?}");
        }
        for text in [
            "",
            "DNS:",
            "IP:10.0.0.*",
            "IP:",
            "spiffe://a/b",
            "a@b",
            "dns:a",
            "URI:*",
        ] {
            assert_eq!(San::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn only_the_fields_that_are_asked_for_are_named() {
        let rules = ClientCertRules {
            subject_header: Some("X-Subject".into()),
            verify_header: Some("X-Verify".into()),
            ..ClientCertRules::default()
        };
        assert_eq!(
            rules.fields().collect::<Vec<_>>(),
            ["X-Subject", "X-Verify"]
        );
    }
}
