//! How a pool hashes: the key, the bits of a source, the bound on the load.

use super::unused;
use crate::config::kind::{self, Kind, Note};
use crate::config::raw::Table;
use crate::fleet::{HashKey, Hashing, PathKey, PolicyKind};
use crate::limits;

/// The settings of a policy that hashes. Beside any other they are mistakes; if the policy itself is one, nothing
/// more is said.
pub(super) fn hashing(table: &mut Table<'_>, policy: Option<PolicyKind>) -> Hashing {
    let key = table.given("hash_key", &hash_key());
    let v4 = table.given("source_prefix_v4", &kind::count(limits::SOURCE_PREFIX_V4));
    let v6 = table.given("source_prefix_v6", &kind::count(limits::SOURCE_PREFIX_V6));
    let bound = kind::percent(limits::LOAD_BOUND_PERCENT).or_word("off");
    let bound = table.given("load_bound", &bound);
    if let Some(policy) = policy {
        let (report, found) = (table.report(), format!("\"{}\"", policy.label()));
        if policy != PolicyKind::Hash {
            unused(report, key.as_ref(), "policy = \"hash\"", &found);
        }
        if !policy.is_hash() {
            let expected = "policy = \"hash\" or \"source-hash\"";
            unused(report, v4.as_ref(), expected, &found);
            unused(report, v6.as_ref(), expected, &found);
            unused(report, bound.as_ref(), expected, &found);
        }
    }
    let usual = Hashing::default();
    Hashing {
        key: key.map_or(usual.key, |key| key.value),
        source_prefix_v4: v4.map_or(usual.source_prefix_v4, |bits| bits.value),
        source_prefix_v6: v6.map_or(usual.source_prefix_v6, |bits| bits.value),
        load_bound_percent: bound.map_or(usual.load_bound_percent, |bound| bound.value),
    }
}

/// What is hashed.
fn hash_key() -> Kind<HashKey> {
    let expected = "\"source\", \"header:NAME\", \"cookie:NAME\", \"query:NAME\", \"path:/room/{id}\" or \"subprotocol\"";
    Kind::with_note(expected, |value| {
        let text = value.as_str().ok_or_else(Note::default)?;
        let (kind, name) = text.split_once(':').unwrap_or((text, ""));
        let token = || kind::is_key_name(name).then_some(name);
        let bare = text.len() == kind.len();
        let (key, note) = match kind {
            "source" => (bare.then_some(HashKey::Source), "no name belongs to it"),
            "subprotocol" => (
                bare.then_some(HashKey::Subprotocol),
                "no name belongs to it",
            ),
            "header" => {
                let key = token().map(|name| HashKey::Header(name.to_ascii_lowercase().into()));
                (key, "after the colon stands the name of a header field")
            }
            "cookie" => {
                let key = token().map(|name| HashKey::Cookie(name.into()));
                (key, "after the colon stands the name of a cookie")
            }
            "query" => {
                let key = is_parameter(name).then(|| HashKey::Query(name.into()));
                (
                    key,
                    "after the colon stands the name of a parameter, as it is sent",
                )
            }
            "path" => {
                let key = is_path(name).then(|| PathKey::parse(name)).flatten();
                let note = "segments, each a text or *, and one in braces at the end";
                (key.map(HashKey::Path), note)
            }
            _ => (None, ""),
        };
        key.ok_or_else(|| Note(note.to_owned()))
    })
}

/// Whether a parameter of a query can have this name.
fn is_parameter(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'&' | b'=' | b'#');
    (1..=limits::KEY_NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(plain)
}

/// Whether a path that is sent can look like this.
fn is_path(pattern: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    pattern.bytes().all(plain)
}
