//! Says where in a JSON document a value stands (RFC 6901): read once from the configuration, never from a client.

use std::fmt;

use thiserror::Error;

use crate::limits::{JSON_POINTER_BYTES_MAX, JSON_POINTER_TOKENS_MAX};

/// A way from the root of a document to one of its values: `/token/sub`. The empty pointer is the whole document.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JsonPointer {
    /// The names and indices on the way, unescaped.
    tokens: Box<[Box<str>]>,
    /// The pointer as it was written.
    text: Box<str>,
}

impl JsonPointer {
    /// Reads a pointer in its plain spelling, not the one of URI fragments (RFC 6901 section 3).
    pub fn parse(text: &str) -> Result<Self, PointerError> {
        if text.len() > JSON_POINTER_BYTES_MAX {
            return Err(PointerError::TooLong);
        }
        let mut parts = text.split('/');
        if parts.next().is_some_and(|before| !before.is_empty()) {
            return Err(PointerError::NoSlash);
        }
        let tokens: Box<[_]> = parts.map(unescaped).collect::<Result<_, _>>()?;
        if tokens.len() > JSON_POINTER_TOKENS_MAX {
            return Err(PointerError::TooManySteps);
        }
        Ok(Self {
            tokens,
            text: text.into(),
        })
    }

    /// The names and indices on the way, from the root on, unescaped.
    pub fn tokens(&self) -> impl Iterator<Item = &str> {
        self.tokens.iter().map(|token| &**token)
    }
}

impl fmt::Display for JsonPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What is wrong with a pointer; whoever wrote the configuration can put it right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PointerError {
    /// It is not empty and does not start with a slash.
    #[error("a JSON pointer starts with /, as in /room")]
    NoSlash,
    /// A tilde that is followed by neither 0 nor 1.
    #[error("in a JSON pointer, ~ inside a name is written ~0 and / is written ~1")]
    BareTilde,
    /// It is over its bound in bytes.
    #[error("a JSON pointer has at most {JSON_POINTER_BYTES_MAX} bytes")]
    TooLong,
    /// It has more steps than the bound.
    #[error("a JSON pointer has at most {JSON_POINTER_TOKENS_MAX} steps")]
    TooManySteps,
}

/// Both escapes in one pass from left to right, so that `~01` is `~1` and not a slash (RFC 6901 section 4).
fn unescaped(token: &str) -> Result<Box<str>, PointerError> {
    let mut parts = token.split('~');
    let mut name = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (letter, rest) = match part.split_at_checked(1) {
            Some(("0", rest)) => ('~', rest),
            Some(("1", rest)) => ('/', rest),
            _ => return Err(PointerError::BareTilde),
        };
        name.push(letter);
        name.push_str(rest);
    }
    Ok(name.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokens(text: &str) -> Vec<String> {
        let pointer = JsonPointer::parse(text).unwrap();
        assert_eq!(pointer.to_string(), text);
        pointer.tokens().map(str::to_owned).collect()
    }

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        assert_eq!(tokens(""), [""; 0]);
        for (text, expected) in [
            ("/foo", &["foo"][..]),
            ("/foo/0", &["foo", "0"]),
            ("/", &[""]),
            ("/a~1b", &["a/b"]),
            ("/c%d", &["c%d"]),
            ("/ ", &[" "]),
            ("/m~0n", &["m~n"]),
            ("/~01", &["~1"]),
            ("/~10", &["/0"]),
            ("//é/", &["", "é", ""]),
        ] {
            assert_eq!(tokens(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_pointer_says_why() {
        for (text, expected) in [
            ("room", PointerError::NoSlash),
            ("#/room", PointerError::NoSlash),
            ("/~", PointerError::BareTilde),
            ("/a~/b", PointerError::BareTilde),
            ("/~2", PointerError::BareTilde),
            ("/~é", PointerError::BareTilde),
        ] {
            assert_eq!(JsonPointer::parse(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn a_pointer_at_its_bounds_is_read_and_one_over_them_is_not() {
        let long = format!("/{}", "a".repeat(JSON_POINTER_BYTES_MAX - 1));
        assert_eq!(tokens(&long).len(), 1);
        let over = JsonPointer::parse(&format!("{long}a"));
        assert_eq!(over, Err(PointerError::TooLong));
        let deep = "/a".repeat(JSON_POINTER_TOKENS_MAX);
        assert_eq!(tokens(&deep).len(), JSON_POINTER_TOKENS_MAX);
        let over = JsonPointer::parse(&format!("{deep}/"));
        assert_eq!(over, Err(PointerError::TooManySteps));
    }

    proptest! {
        #[test]
        fn any_names_can_be_pointed_through(names in proptest::collection::vec("[a~/01é]{0,5}", 0..8)) {
            let escaped = |name: &String| format!("/{}", name.replace('~', "~0").replace('/', "~1"));
            let text: String = names.iter().map(escaped).collect();
            prop_assert_eq!(tokens(&text), names);
        }
    }
}
