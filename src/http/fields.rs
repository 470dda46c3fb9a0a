//! The header fields of a head: parsed once, looked up by name, and the one place that frames a body.

use std::fmt;
use std::mem::MaybeUninit;

use super::{HeadError, Version};
use crate::limits::{CONNECTION_OPTIONS_MAX, HEADERS_MAX};

/// How the body of a message is delimited by its own head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// Nothing says that a body follows.
    None,
    /// This many bytes follow.
    Length(u64),
    /// Chunks follow.
    Chunked,
}

/// The fields in the order they came, values without the white space around them.
#[derive(Clone)]
pub(super) struct Fields<'a> {
    list: Box<[Field<'a>]>,
}

/// A name as sent, and a value.
type Field<'a> = (&'a str, &'a [u8]);

/// Room for the parser to leave its fields in.
pub(super) type Room<'a> = [MaybeUninit<httparse::Header<'a>>; HEADERS_MAX];

impl<'a> Fields<'a> {
    /// Room for as many fields as a head may have.
    pub(super) const fn room() -> Room<'a> {
        [const { MaybeUninit::uninit() }; HEADERS_MAX]
    }

    /// Takes over what the parser found.
    pub(super) fn new(parsed: &[httparse::Header<'a>]) -> Result<Self, HeadError> {
        let list = parsed
            .iter()
            .map(|field| (field.name, field.value.trim_ascii()))
            .collect();
        let fields = Self { list };
        if fields.elements("connection").count() > CONNECTION_OPTIONS_MAX {
            return Err(HeadError::TooManyConnectionOptions);
        }
        Ok(fields)
    }

    /// All fields, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Field<'a>> + '_ {
        self.list.iter().copied()
    }

    /// The values of every field called `name`, in order.
    pub(super) fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'a [u8]> + 's {
        self.iter()
            .filter(move |(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// The first value called `name`.
    pub(super) fn first(&self, name: &str) -> Option<&'a [u8]> {
        self.all(name).next()
    }

    /// The only value called `name`; none and several are told apart.
    pub(super) fn only(&self, name: &str) -> Occurrence<'a> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (None, _) => Occurrence::Missing,
            (Some(value), None) => Occurrence::Once(value),
            (Some(_), Some(_)) => Occurrence::Several,
        }
    }

    /// The elements of every comma separated list called `name`, as if they were one.
    pub(super) fn elements<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'a [u8]> + 's {
        self.all(name).flat_map(Elements)
    }

    /// Whether a list called `name` has `token`, in any case.
    pub(super) fn has_token(&self, name: &str, token: &str) -> bool {
        self.elements(name)
            .any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// How the body is framed, or why two readers could disagree about it (security rule 6).
    pub(super) fn body(&self, version: Version) -> Result<Body, HeadError> {
        let mut length = None;
        for value in self.all("content-length") {
            let found = parse_length(value)?;
            if length.is_some_and(|earlier| earlier != found) {
                return Err(HeadError::DifferingLengths);
            }
            length = Some(found);
        }
        let coding = match self.only("transfer-encoding") {
            Occurrence::Missing => return Ok(length.map_or(Body::None, Body::Length)),
            Occurrence::Once(value) => value,
            Occurrence::Several => return Err(HeadError::NotChunked),
        };
        if version == Version::Http10 {
            Err(HeadError::EncodingOnHttp10)
        } else if length.is_some() {
            Err(HeadError::LengthAndEncoding)
        } else if coding.eq_ignore_ascii_case(b"chunked") {
            Ok(Body::Chunked)
        } else {
            Err(HeadError::NotChunked)
        }
    }
}

/// Shows names only: values may be secrets, and those never reach a log (security rule 21).
impl fmt::Debug for Fields<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_list()
            .entries(self.iter().map(|(name, _)| name))
            .finish()
    }
}

/// How often a field that should be there once is there.
pub(super) enum Occurrence<'a> {
    Missing,
    Once(&'a [u8]),
    Several,
}

/// Walks a comma separated list. Commas inside quotes do not separate; empty elements are skipped
/// (RFC 9110 section 5.6.1).
pub(super) struct Elements<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.0.is_empty() {
            let end = element_end(self.0);
            let (element, rest) = self.0.split_at(end);
            self.0 = rest.get(1..).unwrap_or_default();
            let element = element.trim_ascii();
            if !element.is_empty() {
                return Some(element);
            }
        }
        None
    }
}

/// The place of the first comma outside quotes, or the end.
fn element_end(list: &[u8]) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (place, &byte) in list.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => return place,
            _ => {}
        }
    }
    list.len()
}

/// Only digits, and only as many as fit: `u64::from_str` alone would take a plus sign.
fn parse_length(value: &[u8]) -> Result<u64, HeadError> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(HeadError::BadLength);
    }
    value.iter().try_fold(0u64, |sum, digit| {
        sum.checked_mul(10)
            .and_then(|tens| tens.checked_add(u64::from(digit - b'0')))
            .ok_or(HeadError::LengthOverflow)
    })
}

/// Whether this is a token of RFC 9110 section 5.6.2, as names of fields, cookies and subprotocols are.
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// A token character of RFC 9110 section 5.6.2.
pub(super) const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// Control bytes other than the tab, which is white space. Bytes over 127 pass: they are obs-text.
pub(super) const fn is_control(byte: u8) -> bool {
    (byte < b' ' && byte != b'\t') || byte == 0x7f
}

/// Names what is wrong with a head that the parser refused for a header name. The parser stops at the
/// first bad line and so does this, so both speak of the same one.
pub(super) fn blame_name(head: &[u8]) -> HeadError {
    head.split(|&byte| byte == b'\n')
        .skip(1)
        .filter_map(|line| line.strip_suffix(b"\r"))
        .find_map(blame_line)
        .unwrap_or(HeadError::HeaderName)
}

fn blame_line(line: &[u8]) -> Option<HeadError> {
    if line.is_empty() {
        return None;
    }
    if matches!(line, [b' ' | b'\t', ..]) {
        return Some(HeadError::FoldedLine);
    }
    let Some(colon) = line.iter().position(|&byte| byte == b':') else {
        return Some(HeadError::NoColon);
    };
    match &line[..colon] {
        [] => Some(HeadError::EmptyName),
        [.., b' ' | b'\t'] => Some(HeadError::SpaceBeforeColon),
        name if name.iter().copied().all(is_token_byte) => None,
        _ => Some(HeadError::HeaderName),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(list: &str) -> Vec<String> {
        Elements(list.as_bytes())
            .map(|element| String::from_utf8_lossy(element).into())
            .collect()
    }

    #[test]
    fn a_list_is_split_at_commas_outside_quotes() {
        assert_eq!(elements("a, b ,c"), ["a", "b", "c"]);
        assert_eq!(elements(" ,,a,\t, "), ["a"]);
        assert_eq!(elements(r#"a; x="1,2", b"#), [r#"a; x="1,2""#, "b"]);
        assert_eq!(elements(r#"a="\",",b"#), [r#"a="\",""#, "b"]);
        assert_eq!(elements(r#"a="open, b"#), [r#"a="open, b"#]);
        assert!(elements("").is_empty());
    }

    #[test]
    fn a_length_is_digits_within_64_bits() {
        assert_eq!(parse_length(b"0"), Ok(0));
        assert_eq!(parse_length(b"18446744073709551615"), Ok(u64::MAX));
        assert_eq!(
            parse_length(b"18446744073709551616"),
            Err(HeadError::LengthOverflow)
        );
        for bad in ["", "+1", "-1", "1, 1", "0x1", "1 1", "1.0", "a"] {
            assert_eq!(
                parse_length(bad.as_bytes()),
                Err(HeadError::BadLength),
                "{bad}"
            );
        }
    }
}
