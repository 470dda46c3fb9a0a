//! `[pools.NAME.tls]`: how backends are spoken to.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::names::is_label;
use super::{Distinct, check_length};
use crate::config::build::tls;
use crate::config::kind::{Kind, Note};
use crate::config::raw::{Item, Table};
use crate::limits;
use crate::sync::Arc;
use crate::tls::{BackendTls, Roots};

/// Nothing if another value than a table stands there, which has then been noted.
pub(super) fn tls(item: &Item<'_>) -> Option<Arc<BackendTls>> {
    let table = tls::table(item, "a table such as { authorities = \"system\" }")?;
    let settings = table.open(|table| BackendTls {
        roots: roots(table),
        server_name: table
            .given("server_name", &server_name())
            .map(|given| given.value),
        certificate: table.item("certificate").and_then(|item| {
            let expected = "a table such as { chain = \"chain.pem\", key = \"key.pem\" }";
            let given = tls::table(&item, expected)?.open(tls::certificate)?;
            Some(given.value)
        }),
        pins: pins(table),
        min_version: tls::min_version(table),
        suites: tls::suites(table),
    });
    Some(Arc::new(settings))
}

fn roots(table: &mut Table<'_>) -> Roots {
    let kind = Kind::new("\"system\" or the path of a file", |value| {
        match value.as_str()? {
            "" => None,
            "system" => Some(Roots::System),
            path => Some(Roots::File(path.into())),
        }
    });
    match table.value("authorities", &kind, Roots::System) {
        Roots::File(path) => Roots::File(tls::beside(table.report(), path)),
        Roots::System => Roots::System,
    }
}

/// A name as SNI carries it (RFC 6066 section 3): no address, in lower case, without a final dot.
fn server_name() -> Kind<String> {
    let expected = "the name of a host such as \"chat.internal\"";
    Kind::with_note(expected, |value| {
        let text = value.as_str().ok_or_else(Note::default)?;
        let lower = text.to_ascii_lowercase();
        let name = lower.strip_suffix('.').unwrap_or(&lower);
        let bare = name.trim_matches(['[', ']']);
        if bare.parse::<IpAddr>().is_ok() {
            let note = "without it, a backend's own address must stand in its certificate";
            return Err(Note(note.to_owned()));
        }
        let right = name.len() <= limits::HOST_BYTES_MAX && name.split('.').all(is_label);
        right
            .then(|| name.to_owned())
            .ok_or_else(|| Note(String::new()))
    })
}

fn pins(table: &mut Table<'_>) -> Vec<[u8; 32]> {
    let Some(item) = table.item("pins") else {
        return Vec::new();
    };
    let expected = format!("a list of keys such as [\"{PIN_EXAMPLE}\"]");
    let Some(items) = item.list(&expected) else {
        return Vec::new();
    };
    check_length(item.report(), item.place(), items.len(), limits::PINS_MAX);
    let pins: Vec<_> = items.iter().filter_map(|item| item.read(&pin())).collect();
    let mut distinct = Distinct::new("a key of its own");
    for pin in &pins {
        distinct.admit(pin, item.report());
    }
    // Each has just been read as one.
    let keys = pins.iter().filter_map(|pin| key(&pin.value));
    keys.collect()
}

/// The SHA-256 of a key, as RFC 7469 prints it. It stays a text, to be shown if it stands there twice.
fn pin() -> Kind<String> {
    let expected = format!("the SHA-256 of a key such as \"{PIN_EXAMPLE}\"");
    Kind::with_note(expected, |value| {
        let text = value.as_str().ok_or_else(Note::default)?;
        let note = match text.strip_prefix(PIN_START) {
            Some(rest) if rest.len() == PIN_DIGITS + 1 && rest.starts_with('/') => {
                "one slash, where curl has two"
            }
            None => "sha256/ stands before it",
            Some(_) => "32 bytes in base64",
        };
        let right = key(text).map(|_| text.to_owned());
        right.ok_or_else(|| Note(note.to_owned()))
    })
}

fn key(pin: &str) -> Option<[u8; 32]> {
    let digits = pin.strip_prefix(PIN_START)?;
    STANDARD.decode(digits).ok()?.try_into().ok()
}

const PIN_START: &str = "sha256/";
/// 32 bytes in base64.
const PIN_DIGITS: usize = 44;
/// The SHA-256 of nothing, which no key has.
const PIN_EXAMPLE: &str = "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
