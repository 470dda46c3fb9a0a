//! Finds the key of a first message on simd-json's tape: no recursion, no tree, and no allocation once it is warm.

use std::fmt::Write as _;
use std::mem;

use simd_json::{Buffers, ErrorType, Node, StaticNode, Tape, fill_tape};

use super::NoKey;
use crate::fleet::JsonPointer;
use crate::limits::{JSON_DEPTH_MAX, JSON_KEEP_BYTES, JSON_KEY_BYTES_MAX};

/// A worker's memory for reading first messages. It begins empty, grows to what messages need, and after one over
/// [`JSON_KEEP_BYTES`] begins anew.
pub struct JsonReader {
    buffers: Buffers,
    /// Empty between two messages.
    tape: Tape<'static>,
    /// The last key. Invariant: `key.len() <= JSON_KEY_BYTES_MAX`.
    key: String,
}

impl Default for JsonReader {
    fn default() -> Self {
        Self {
            // Parsing stops at the first bracket beyond the bound, so depth costs a hostile message nothing more.
            buffers: Buffers::with_max_depth(0, JSON_DEPTH_MAX),
            tape: Tape(Vec::new()),
            key: String::new(),
        }
    }
}

impl JsonReader {
    /// Reads the key at `pointer` in one whole text message: a string unescaped, a whole number of up to 64 bits in
    /// plain decimal (`-0` is `0`), a boolean as its word. So `7` and `"7"` are one key.
    ///
    /// What `message` holds afterwards is of no use: strings are unescaped in place.
    pub fn read(&mut self, message: &mut [u8], pointer: &JsonPointer) -> Result<&str, NoKey> {
        let message_bytes = message.len();
        let mut tape = mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        let written = fill_tape(message, &mut self.buffers, &mut tape)
            .map_err(|error| no_document(&error))
            .and_then(|()| value_at(&tape.0, pointer))
            .and_then(|value| write_key(value, &mut self.key));
        self.tape = tape.reset();
        if message_bytes > JSON_KEEP_BYTES {
            let key = mem::take(&mut self.key);
            *self = Self {
                key,
                ..Self::default()
            };
        }
        written.map(|()| self.key.as_str())
    }

    #[cfg(test)]
    pub(super) fn kept_nodes(&self) -> usize {
        self.tape.0.capacity()
    }
}

fn no_document(error: &simd_json::Error) -> NoKey {
    match error.error() {
        ErrorType::DepthLimitExceeded => NoKey::TooDeep,
        _ => NoKey::NotJson,
    }
}

/// The value that the pointer leads to, followed by the rest of the tape. Each step looks at the direct members of one
/// value and jumps over what is inside of them, so all steps together look at each node once at most.
fn value_at<'t, 'm>(tape: &'t [Node<'m>], pointer: &JsonPointer) -> Result<&'t [Node<'m>], NoKey> {
    pointer.tokens().try_fold(tape, |value, token| match value {
        [Node::Object { len, .. }, inside @ ..] => member(inside, *len, token),
        [Node::Array { len, .. }, inside @ ..] => element(inside, *len, token),
        _ => Err(NoKey::Missing),
    })
}

/// The value of the one member of this name. All members are looked at, for the name may stand there twice; names
/// are unescaped on the tape, so another spelling of the same name is found as well.
fn member<'t, 'm>(
    mut rest: &'t [Node<'m>],
    members: usize,
    name: &str,
) -> Result<&'t [Node<'m>], NoKey> {
    let mut found = None;
    for _ in 0..members {
        let Some((Node::String(other), value)) = rest.split_first() else {
            break;
        };
        if *other == name && found.replace(value).is_some() {
            return Err(NoKey::Ambiguous);
        }
        rest = after_value(value);
    }
    found.ok_or(NoKey::Missing)
}

fn element<'t, 'm>(
    mut rest: &'t [Node<'m>],
    elements: usize,
    token: &str,
) -> Result<&'t [Node<'m>], NoKey> {
    let index = index(token).filter(|index| *index < elements);
    for _ in 0..index.ok_or(NoKey::Missing)? {
        rest = after_value(rest);
    }
    Ok(rest)
}

/// An index as RFC 6901 section 4 writes it: digits without a leading zero. The `-` behind the last element names
/// nothing that could be a key.
fn index(token: &str) -> Option<usize> {
    let digits = token.bytes().all(|byte| byte.is_ascii_digit());
    let plain = digits && (token == "0" || !token.starts_with('0'));
    token.parse().ok().filter(|_| plain)
}

/// What follows the first value: a container stands before all that is inside of it, and counts it.
fn after_value<'t, 'm>(tape: &'t [Node<'m>]) -> &'t [Node<'m>] {
    let nodes = match tape.first() {
        Some(Node::Object { count, .. } | Node::Array { count, .. }) => count + 1,
        _ => 1,
    };
    tape.get(nodes..).unwrap_or_default()
}

fn write_key(value: &[Node<'_>], key: &mut String) -> Result<(), NoKey> {
    key.clear();
    let written = match value.first() {
        Some(Node::String(text)) if (1..=JSON_KEY_BYTES_MAX).contains(&text.len()) => {
            key.push_str(text);
            Ok(())
        }
        Some(Node::Static(StaticNode::U64(number))) => write!(key, "{number}"),
        Some(Node::Static(StaticNode::I64(number))) => write!(key, "{number}"),
        Some(Node::Static(StaticNode::Bool(truth))) => write!(key, "{truth}"),
        _ => return Err(NoKey::NotAKey),
    };
    written.map_err(|_| NoKey::NotAKey)
}
