//! `[routes.client_certificate]`: who may come by its certificate, and what backends are told of it.

use super::{Distinct, check_length};
use crate::config::build::tls;
use crate::config::kind::{self, Kind, Note};
use crate::config::raw::{Given, Item, Table};
use crate::fleet::{ClientCertRules, Pattern, San};
use crate::http::is_token;
use crate::limits;

/// The rules of the table; nothing if another value stands there, which has then been noted. `may_ask`: whether a
/// listener asks clients for certificates.
pub(super) fn rules(item: &Item<'_>, may_ask: bool) -> Option<Box<ClientCertRules>> {
    if !may_ask {
        let expected = "client_certificates in the tls of a listener";
        let note = "nobody is asked for one";
        item.report().wrong(item.place(), expected, "none", note);
    }
    let rules =
        tls::table(item, "a table such as { subjects = [\"CN=device-*\"] }")?.open(of_table);
    Some(Box::new(rules))
}

fn of_table(table: &mut Table<'_>) -> ClientCertRules {
    let required = table.given("required", &kind::flag());
    let subjects = patterns(
        table,
        "subjects",
        "a list of subjects such as [\"CN=device-*\"]",
        &subject(),
    );
    let sans = patterns(
        table,
        "sans",
        "a list of names such as [\"*.devices.example\"]",
        &san(),
    );
    let lists = subjects.is_some() || sans.is_some();
    if let Some(given) = required.as_ref().filter(|given| lists && !given.value) {
        let note = "who shows none has none of these names";
        let expected = "true beside subjects or sans";
        table.report().wrong(&given.place, expected, "false", note);
    }
    let mut distinct = Distinct::new("a field of its own");
    let mut header = |key| {
        let given = table.given(key, &header())?;
        let name = Given {
            value: folded(&given.value),
            place: given.place,
        };
        distinct.admit(&name, table.report());
        Some(given.value.into())
    };
    ClientCertRules {
        subject_header: header("subject_header"),
        sans_header: header("sans_header"),
        fingerprint_header: header("fingerprint_header"),
        verify_header: header("verify_header"),
        required: lists || required.is_none_or(|given| given.value),
        subjects: subjects.unwrap_or_default(),
        sans: sans.unwrap_or_default(),
    }
}

/// The patterns of a list; nothing if there is no list.
fn patterns<T: 'static>(
    table: &mut Table<'_>,
    key: &'static str,
    expected: &str,
    kind: &Kind<T>,
) -> Option<Vec<T>> {
    let item = table.item(key)?;
    let Some(items) = item.list(expected) else {
        return Some(Vec::new());
    };
    let most = limits::CERTIFICATE_PATTERNS_MAX;
    check_length(item.report(), item.place(), items.len(), most);
    let given = items.iter().filter_map(|item| item.read(kind));
    Some(given.map(|given| given.value).collect())
}

fn subject() -> Kind<Pattern> {
    let expected = "a subject such as \"CN=gateway,O=Example\" or \"CN=device-*\"";
    Kind::with_note(expected, |value| {
        let text = value.as_str().ok_or_else(Note::default)?;
        let pattern = Pattern::parse(text).filter(|_| is_plain(text));
        pattern.ok_or_else(|| star_note(text))
    })
}

fn san() -> Kind<San> {
    let expected = "a name such as \"*.devices.example\", \"URI:spiffe://example/*\", \"email:ops@example.com\" or \"IP:10.0.0.7\"";
    Kind::with_note(expected, |value| {
        let text = value.as_str().ok_or_else(Note::default)?;
        let san = San::parse(text).filter(|_| is_plain(text));
        san.ok_or_else(|| match text {
            _ if text.contains("://") && !text.starts_with("URI:") => {
                Note("URI: stands before it".to_owned())
            }
            _ if text.contains('@') && !text.starts_with("email:") => {
                Note("email: stands before it".to_owned())
            }
            _ if text.starts_with("IP:") => Note("an address stands whole".to_owned()),
            _ => star_note(text),
        })
    })
}

fn star_note(text: &str) -> Note {
    Note(if text.contains('*') {
        "one star, at the start or at the end of something".to_owned()
    } else {
        String::new()
    })
}

fn is_plain(text: &str) -> bool {
    text.len() <= limits::CERTIFICATE_PATTERN_BYTES_MAX && !text.contains(char::is_control)
}

/// The name of a field that nobody else needs.
fn header() -> Kind<String> {
    let most = limits::KEY_NAME_BYTES_MAX;
    let expected =
        format!("a field of your own such as \"X-Client-Subject\", of at most {most} bytes");
    Kind::with_note(expected, move |value| {
        let name = value.as_str().ok_or_else(Note::default)?;
        if is_taken(&folded(name)) {
            return Err(Note("that one means something else".to_owned()));
        }
        let right = is_token(name) && name.len() <= most;
        right.then(|| name.to_owned()).ok_or_else(Note::default)
    })
}

/// A name as backends may compare it that put fields into environment variables.
fn folded(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

fn is_taken(name: &str) -> bool {
    TAKEN.contains(&name) || TAKEN_STARTS.iter().any(|start| name.starts_with(start))
}

/// Fields by which requests and answers are framed, sent on, believed or told apart: whoever took one of them for a
/// certificate would break what it is for.
const TAKEN: &[&str] = &[
    "authorization",
    "connection",
    "cookie",
    "date",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "origin",
    "range",
    "referer",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-real-ip",
];

/// And whole families of them.
const TAKEN_STARTS: &[&str] = &["accept", "content-", "if-", "proxy", "sec-", "x-forwarded-"];
