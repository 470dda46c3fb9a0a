//! The reader case by case, and against two oracles: the document that was written, and `serde_json`.

use super::fuzz::checked;
use super::*;
use crate::fleet::JsonPointer;
use crate::limits::{JSON_DEPTH_MAX, JSON_KEEP_BYTES, JSON_KEY_BYTES_MAX};

mod documents;

fn key(message: impl AsRef<[u8]>, pointer: &str) -> Result<String, NoKey> {
    checked(message.as_ref(), &JsonPointer::parse(pointer).unwrap())
}

fn nested(depth: usize) -> String {
    format!("{}7{}", "[".repeat(depth), "]".repeat(depth))
}

#[test]
fn a_key_is_a_string_a_whole_number_or_a_boolean() {
    let message = r#"{"room":"blue","n":[7,-7,0,-0,18446744073709551615,-9223372036854775808],"on":true,"off":false}"#;
    for (pointer, expected) in [
        ("/room", "blue"),
        ("/n/0", "7"),
        ("/n/1", "-7"),
        ("/n/2", "0"),
        ("/n/3", "0"),
        ("/n/4", "18446744073709551615"),
        ("/n/5", "-9223372036854775808"),
        ("/on", "true"),
        ("/off", "false"),
    ] {
        assert_eq!(key(message, pointer).as_deref(), Ok(expected), "{pointer}");
    }
    assert_eq!(key(" \"blue\" ", "").as_deref(), Ok("blue"));
    assert_eq!(key("7", "").as_deref(), Ok("7"));
}

#[test]
fn a_string_and_a_name_are_read_unescaped() {
    let message = r#"{"\u0072oom":"\"bl\u00fce\" \ud83d\ude80\/\\","a/b":{"m~n":"x"},"":{"":"y"}}"#;
    assert_eq!(key(message, "/room").as_deref(), Ok("\"blüe\" 🚀/\\"));
    assert_eq!(key(message, "/a~1b/m~0n").as_deref(), Ok("x"));
    assert_eq!(key(message, "//").as_deref(), Ok("y"));
}

#[test]
fn everything_else_is_no_key() {
    let message = r#"{"a":[null,1.0,1e3,-0.5,"",[],{},["x"],{"x":1},18446744073709551616,-9223372036854775809]}"#;
    for index in 0..=10 {
        let found = key(message, &format!("/a/{index}"));
        assert_eq!(found, Err(NoKey::NotAKey), "{index}");
    }
    assert_eq!(key(message, ""), Err(NoKey::NotAKey));
}

#[test]
fn a_key_has_its_bound() {
    let message = |bytes| format!("\"{}\"", "a".repeat(bytes));
    let longest = key(message(JSON_KEY_BYTES_MAX), "");
    assert_eq!(longest.map(|key| key.len()), Ok(JSON_KEY_BYTES_MAX));
    assert_eq!(
        key(message(JSON_KEY_BYTES_MAX + 1), ""),
        Err(NoKey::NotAKey)
    );
    // What counts is the key, not how it is spelt.
    let escaped = format!("\"{}\"", "\\u0061".repeat(JSON_KEY_BYTES_MAX));
    assert_eq!(key(escaped, ""), Ok("a".repeat(JSON_KEY_BYTES_MAX)));
}

#[test]
fn a_pointer_that_leads_nowhere_finds_nothing() {
    let message = r#"{"a":["x","y"],"b":{"0":"z"},"c":"text"}"#;
    for pointer in [
        "/d",
        "/A",
        "/",
        "/a/2",
        "/a/-",
        "/a/00",
        "/a/01",
        "/a/+1",
        "/a/",
        "/a/x",
        "/a/0/0",
        "/b/1",
        "/c/0",
        "/a/99999999999999999999",
        "/a/18446744073709551616",
    ] {
        assert_eq!(key(message, pointer), Err(NoKey::Missing), "{pointer}");
    }
    assert_eq!(key(message, "/b/0").as_deref(), Ok("z"));
    for message in ["[]", "{}", "\"a\"", "null", "7"] {
        assert_eq!(key(message, "/a"), Err(NoKey::Missing), "{message}");
        assert_eq!(key(message, "/0"), Err(NoKey::Missing), "{message}");
    }
}

#[test]
fn what_is_not_one_json_text_is_not_json() {
    for message in [
        "",
        " ",
        "{",
        "}",
        "[1",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{'a':1}",
        "[1,]",
        "[1 2]",
        "1 2",
        "\"a\" x",
        "{\"a\":1}}",
        "{\"a\":1}\0",
        "\"a",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\ud83d\"",
        "\"\\ude80\"",
        "\"\t\"",
        "tru",
        "truex",
        "nul",
        "NaN",
        "Infinity",
        "01",
        "-",
        "+1",
        ".5",
        "1.",
        "1e",
        "0x1",
        "\u{feff}1",
        "\u{c}1",
        "/**/1",
    ] {
        assert_eq!(key(message, ""), Err(NoKey::NotJson), "{message:?}");
    }
    for message in [
        &b"\"\xff\""[..],
        b"\"\xc0\x80\"",
        b"\"\xed\xa0\x80\"",
        b"\xff",
        b"1\xff",
    ] {
        assert_eq!(key(message, ""), Err(NoKey::NotJson), "{message:?}");
    }
    // After the key, too: the whole message counts.
    assert_eq!(key(r#"{"a":"x","b":}"#, "/a"), Err(NoKey::NotJson));
    assert_eq!(
        key(b"{\"a\":\"x\",\"b\":\"\xff\"}", "/a"),
        Err(NoKey::NotJson)
    );
}

#[test]
fn a_number_beyond_all_floats_is_no_json_wherever_it_stands() {
    let digits = "9".repeat(400);
    for number in ["1e999", "-1e999", "1e99999999999999999999", &digits] {
        assert_eq!(key(number, ""), Err(NoKey::NotJson), "{number}");
        let message = format!("{{\"a\":\"x\",\"b\":{number}}}");
        assert_eq!(key(message, "/a"), Err(NoKey::NotJson), "{number}");
    }
}

#[test]
fn a_long_number_is_no_key_and_no_harm_beside_one() {
    let message = format!("{{\"a\":\"x\",\"b\":{}}}", "1234567890".repeat(4));
    assert_eq!(key(&message, "/a").as_deref(), Ok("x"));
    assert_eq!(key(&message, "/b"), Err(NoKey::NotAKey));
}

#[test]
fn depth_has_its_bound_and_counts_outside_of_strings_only() {
    let pointer = "/0".repeat(16);
    assert_eq!(key(nested(16), &pointer).as_deref(), Ok("7"));
    assert_eq!(key(nested(JSON_DEPTH_MAX), ""), Err(NoKey::NotAKey));
    for message in [
        nested(JSON_DEPTH_MAX + 1),
        "[".repeat(JSON_DEPTH_MAX + 1),
        "{\"a\":".repeat(100_000),
        "[".repeat(1 << 20),
    ] {
        assert_eq!(key(message, ""), Err(NoKey::TooDeep));
    }
    let brackets = format!("[\"\\\"{}\"]", "[{".repeat(100));
    assert_eq!(key(brackets, "/0"), Ok(format!("\"{}", "[{".repeat(100))));
}

#[test]
fn a_name_that_stands_twice_on_the_way_is_ambiguous() {
    for (message, pointer) in [
        (r#"{"a":"x","a":"y"}"#, "/a"),
        (r#"{"a":"x","a":"x"}"#, "/a"),
        (r#"{"a":"x","b":[1,{}],"\u0061":"y"}"#, "/a"),
        (r#"{"a":{"b":"x"},"a":{}}"#, "/a/b"),
        (r#"{"a":{},"a":{"b":"x"}}"#, "/a/b"),
        (r#"{"a":{"b":"x","b":null}}"#, "/a/b"),
    ] {
        assert_eq!(key(message, pointer), Err(NoKey::Ambiguous), "{message}");
    }
    // Beside the way it is nobody's trouble.
    let beside = r#"{"b":1,"b":2,"a":{"c":{"a":1,"a":2},"b":"x"}}"#;
    assert_eq!(key(beside, "/a/b").as_deref(), Ok("x"));
}

#[test]
fn a_large_message_leaves_no_memory_behind() {
    let pointer = JsonPointer::parse("/0").unwrap();
    let mut reader = JsonReader::default();
    let message = |bytes: usize| format!("[\"x\"{}]", ",0".repeat((bytes - 5) / 2)).into_bytes();
    assert_eq!(
        reader.read(&mut message(JSON_KEEP_BYTES), &pointer),
        Ok("x")
    );
    assert!(reader.kept_nodes() >= JSON_KEEP_BYTES / 2);
    let large = reader.read(&mut message(JSON_KEEP_BYTES + 2), &pointer);
    assert_eq!(large, Ok("x"));
    assert_eq!(reader.kept_nodes(), 0);
    let bound = reader.read(&mut nested(JSON_DEPTH_MAX + 1).into_bytes(), &pointer);
    assert_eq!(bound, Err(NoKey::TooDeep), "the bounds outlive the memory");
}

#[test]
fn a_reader_forgets_the_message_before() {
    let pointer = JsonPointer::parse("/a").unwrap();
    let mut reader = JsonReader::default();
    for (message, expected) in [
        (r#"{"b":[1,2,3],"a":"x"}"#, Ok("x")),
        (r#"{"a":"#, Err(NoKey::NotJson)),
        ("", Err(NoKey::NotJson)),
        ("{}", Err(NoKey::Missing)),
        (r#"{"a":null}"#, Err(NoKey::NotAKey)),
        (r#"{"a":1}"#, Ok("1")),
    ] {
        let found = reader.read(&mut message.as_bytes().to_vec(), &pointer);
        assert_eq!(found, expected, "{message}");
    }
}
