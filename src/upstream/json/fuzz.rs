//! What a reader promises about any message, held against `serde_json`, for the fuzzer and for property tests.

use serde_json::Value;

use super::{JsonReader, NoKey};
use crate::fleet::JsonPointer;
use crate::limits::{JSON_DEPTH_MAX, JSON_KEY_BYTES_MAX};

/// Panics when a message gets another key than `serde_json` would find in it. The first byte of `data` is the length of
/// the pointer, which comes next; the rest is the message.
#[doc(hidden)]
pub fn fuzz_first_message(data: &[u8]) {
    let Some((length, rest)) = data.split_first() else {
        return;
    };
    let (pointer, message) = rest.split_at(usize::from(*length).min(rest.len()));
    let Ok(Ok(pointer)) = str::from_utf8(pointer).map(JsonPointer::parse) else {
        return;
    };
    assert_eq!(
        JsonPointer::parse(&pointer.to_string()).as_ref(),
        Ok(&pointer)
    );
    let _: Result<String, NoKey> = checked(message, &pointer);
}

/// What a reader says, after it was held against `serde_json`.
///
/// The two differ in three things. Of members with one name `serde_json` takes the last, and the reader none. It goes
/// deeper than the reader. And `-0` is a float to it.
pub(super) fn checked(message: &[u8], pointer: &JsonPointer) -> Result<String, NoKey> {
    let mut reader = JsonReader::default();
    let found = read(&mut reader, message, pointer);
    assert_eq!(
        found,
        read(&mut reader, message, pointer),
        "what was read before changes nothing"
    );
    let deep = depth(message) > JSON_DEPTH_MAX;
    let Ok(document) = serde_json::from_slice::<Value>(message) else {
        assert!(
            found == Err(NoKey::NotJson) || deep && found == Err(NoKey::TooDeep),
            "serde_json refuses what gives {found:?}"
        );
        return found;
    };
    assert_eq!(deep, found == Err(NoKey::TooDeep));
    let value = document.pointer(&pointer.to_string());
    match &found {
        Ok(key) => assert!(
            value.is_some_and(|value| key_of(value).as_ref() == Some(key)
                || key == "0" && value.as_f64() == Some(0.0)),
            "{key:?} is not what serde_json finds: {value:?}"
        ),
        Err(NoKey::NotJson) => panic!("serde_json takes what the reader refuses"),
        Err(NoKey::Missing) => assert_eq!(value, None),
        Err(NoKey::NotAKey) => assert_eq!(value.map(key_of), Some(None)),
        Err(NoKey::TooDeep | NoKey::Ambiguous) => {}
    }
    found
}

/// Each time from a copy, as reading spoils the message.
fn read(reader: &mut JsonReader, message: &[u8], pointer: &JsonPointer) -> Result<String, NoKey> {
    let mut copy = message.to_vec();
    reader.read(&mut copy, pointer).map(str::to_owned)
}

fn key_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Value::Number(number) if !number.is_f64() => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
    .filter(|key| key.len() <= JSON_KEY_BYTES_MAX)
}

/// How many brackets are open at most, outside of strings.
fn depth(message: &[u8]) -> usize {
    let (mut open, mut most, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in message {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => open += 1,
            b']' | b'}' if !in_string => open = open.saturating_sub(1),
            _ => {}
        }
        most = most.max(open);
    }
    most
}
