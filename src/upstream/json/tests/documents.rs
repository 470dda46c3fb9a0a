//! Documents of every shape, whole and broken, and pointers into them and past them.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// A document as it is written; members may share a name.
#[derive(Debug, Clone)]
enum Document {
    /// A value that is a key, and how it is written.
    Key(String, String),
    /// One that is none.
    Other(String),
    Array(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl Document {
    /// The text, with white space wherever it may stand.
    fn text(&self, space: &str) -> String {
        let list = |items: Vec<String>| items.join(&format!("{space},"));
        let text = match self {
            Self::Key(_, text) | Self::Other(text) => text.clone(),
            Self::Array(elements) => {
                let elements = elements.iter().map(|element| element.text(space));
                format!("[{}{space}]", list(elements.collect()))
            }
            Self::Object(members) => {
                let member = |(name, value): &(String, Self)| {
                    format!("{space}{}{space}:{}", quoted(name), value.text(space))
                };
                format!("{{{}{space}}}", list(members.iter().map(member).collect()))
            }
        };
        format!("{space}{text}{space}")
    }

    /// What the reader must say.
    fn key(&self, tokens: &[String]) -> Result<String, NoKey> {
        let Some((token, rest)) = tokens.split_first() else {
            return match self {
                Self::Key(key, _) => Ok(key.clone()),
                _ => Err(NoKey::NotAKey),
            };
        };
        match self {
            Self::Key(..) | Self::Other(_) => Err(NoKey::Missing),
            Self::Array(elements) => (0..)
                .zip(elements)
                .find(|(index, _): &(usize, _)| index.to_string() == *token)
                .map_or(Err(NoKey::Missing), |(_, element)| element.key(rest)),
            Self::Object(members) => {
                let mut namesakes = members.iter().filter(|(name, _)| name == token);
                match (namesakes.next(), namesakes.next()) {
                    (None, _) => Err(NoKey::Missing),
                    (Some((_, value)), None) => value.key(rest),
                    _ => Err(NoKey::Ambiguous),
                }
            }
        }
    }

    /// The way to every value.
    fn ways(&self) -> Vec<Vec<String>> {
        let children: Vec<(String, &Self)> = match self {
            Self::Key(..) | Self::Other(_) => Vec::new(),
            Self::Array(elements) => (0..)
                .zip(elements)
                .map(|(index, element): (usize, _)| (index.to_string(), element))
                .collect(),
            Self::Object(members) => members
                .iter()
                .map(|(name, value)| (name.clone(), value))
                .collect(),
        };
        let mut ways = vec![Vec::new()];
        for (token, child) in children {
            ways.extend(child.ways().into_iter().map(|mut way| {
                way.insert(0, token.clone());
                way
            }));
        }
        ways
    }
}

/// Names and strings that need escapes are spelt so that every character is one.
fn quoted(text: &str) -> String {
    let escaped = |unit| format!("\\u{unit:04x}");
    if text
        .chars()
        .all(|letter| letter >= ' ' && !"\"\\".contains(letter))
    {
        return format!("\"{text}\"");
    }
    format!(
        "\"{}\"",
        text.encode_utf16().map(escaped).collect::<String>()
    )
}

fn pointer(tokens: &[String]) -> JsonPointer {
    let escaped = |token: &String| format!("/{}", token.replace('~', "~0").replace('/', "~1"));
    let text: String = tokens.iter().map(escaped).collect();
    JsonPointer::parse(&text).expect("documents here are not deep")
}

/// Few names, so that some stand twice.
fn name() -> impl Strategy<Value = String> {
    "[ab01~/é\"\\\\\n🚀]{0,2}"
}

fn document() -> impl Strategy<Value = Document> {
    let string = "[a-z \"\\\\\n\u{0}\u{7f}é🚀]{1,70}";
    let leaf = prop_oneof![
        4 => string.prop_map(|text| Document::Key(text.clone(), quoted(&text))),
        1 => any::<u64>().prop_map(|number| Document::Key(number.to_string(), number.to_string())),
        1 => any::<i64>().prop_map(|number| Document::Key(number.to_string(), number.to_string())),
        1 => any::<bool>().prop_map(|truth| Document::Key(truth.to_string(), truth.to_string())),
        1 => "null|\"\"|-?0[.]0|-?[1-9][0-9]{20,40}|[1-9]e-?[0-9]{1,2}".prop_map(Document::Other),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Document::Array),
            vec((name(), inner), 0..6).prop_map(Document::Object),
        ]
    })
}

/// What JSON is made of, and what looks like it.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => "[\\[\\]{},:\"]".prop_map(String::into_bytes),
        3 => "\"[a\\\\]{0,2}\"|\"a\":|\"\\\\u[0d]0[6cd][13a-g]\"".prop_map(String::into_bytes),
        2 => "true|false|null|tru|[ \t\r\n]|[\u{b}\u{c}\u{0}\u{85}\u{a0}\u{feff}]".prop_map(String::into_bytes),
        2 => number().prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 1..3),
    ];
    vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

/// Numbers of every length, and what is nearly one.
fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        "-?(0|[1-9][0-9]{0,45})([.][0-9]{1,30})?([eE][+-]?[0-9]{1,12})?",
        "-?[1-9][0-9]{17,20}",
        "-?[0-9]{0,3}[.]?[0-9]{0,3}[eE]?[+-]?[0-9]{0,3}[a.]?",
        "-?[0-9]{300,330}([.][0-9]{0,3})?",
        "-?0[.]0{0,330}[0-9]{1,30}(e30[0-9])?",
        "-?[0-9][.][0-9]{1,20}[eE]-?3[0-4][0-9]",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Pointers are taken from the document, cut, prolonged and bent.
    #[test]
    fn the_key_is_what_was_written_there(
        document in document(),
        space in "[ \t\r\n]{0,2}",
        way in any::<Index>(),
        bend in 0..8,
        token in prop_oneof![name(), "0|1|00|-|2"],
    ) {
        let mut ways = document.ways();
        let mut tokens = ways.swap_remove(way.index(ways.len()));
        match bend {
            0 => tokens.push(token),
            1 => drop(tokens.pop()),
            2 => tokens.insert(0, token),
            3 => tokens.splice(..tokens.len().min(1), [token]).for_each(drop),
            _ => {}
        }
        let found = checked(document.text(&space).as_bytes(), &pointer(&tokens));
        prop_assert_eq!(found, document.key(&tokens));
    }

    /// One byte is lost, or becomes another.
    #[test]
    fn a_broken_document_is_to_us_what_it_is_to_serde_json(
        document in document(),
        way in any::<Index>(),
        place in any::<Index>(),
        byte in proptest::option::of(prop_oneof![Just(b'"'), Just(b'\\'), Just(b','), any::<u8>()]),
    ) {
        let mut text = document.text("").into_bytes();
        let place = place.index(text.len());
        text.splice(place..=place, byte);
        let ways = document.ways();
        let _: Result<_, _> = checked(&text, &pointer(&ways[way.index(ways.len())]));
    }

    #[test]
    fn a_number_is_a_key_if_it_is_whole_and_of_64_bits(
        number in number(),
        before in "[a-z]{0,70}",
        after in "|[, ]|[a-z]",
    ) {
        let alone = checked(number.as_bytes(), &JsonPointer::parse("").unwrap());
        let within = format!("{{\"b\":\"{before}\",\"a\":{number}{after}}}");
        let within = checked(within.as_bytes(), &JsonPointer::parse("/a").unwrap());
        if after.trim().is_empty() {
            prop_assert_eq!(&within, &alone);
        }
        if let Ok(key) = alone {
            prop_assert_eq!(key.parse::<i128>().ok(), number.parse::<i128>().ok());
        }
    }

    #[test]
    fn any_pieces_get_a_verdict(pieces in pieces(), pointer in "(/[a0]?){0,2}") {
        let length = u8::try_from(pointer.len()).unwrap();
        fuzz_first_message(&[&[length], pointer.as_bytes(), &pieces].concat());
    }

    #[test]
    fn any_bytes_get_a_verdict(data in vec(any::<u8>(), 0..200)) {
        fuzz_first_message(&data);
        fuzz_first_message(&[&[0], &*data].concat());
    }
}
