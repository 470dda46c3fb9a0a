//! Cookie pairs of a request, read as leniently as servers do (RFC 6265 section 5.4), and one of them left out.

use super::RequestHead;

/// The values of every cookie called `name`, in the order the client sent them. A piece without an equals sign is
/// nobody's. The whole walk is bounded by the bound of a head.
pub fn cookie_values<'s, 'a>(
    head: &'s RequestHead<'a>,
    name: &'s str,
) -> impl Iterator<Item = &'a [u8]> + 's {
    head.fields()
        .all("cookie")
        .flat_map(pieces)
        .filter_map(pair)
        .filter(move |(other, _)| *other == name.as_bytes())
        .map(|(_, value)| value)
}

/// Writes a Cookie field without the hidden one, or nothing if no other is in it.
pub(super) fn field_without(hidden: &str, (name, value): (&str, &[u8]), out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    let empty = out.len();
    write_without(value, hidden, out);
    if out.len() == empty {
        out.truncate(start);
    } else {
        out.extend_from_slice(b"\r\n");
    }
}

/// Writes a cookie string without the pairs called `name`; a string that has none stays as it was. What is left
/// may be empty.
fn write_without(value: &[u8], name: &str, out: &mut Vec<u8>) {
    let is_hidden = |piece: &&[u8]| pair(piece).is_some_and(|(other, _)| other == name.as_bytes());
    if !pieces(value).any(|piece| is_hidden(&piece)) {
        return out.extend_from_slice(value);
    }
    let start = out.len();
    for piece in pieces(value).filter(|piece| !is_hidden(piece) && !piece.is_empty()) {
        if out.len() > start {
            out.extend_from_slice(b"; ");
        }
        out.extend_from_slice(piece);
    }
}

/// What stands between semicolons, without the white space around it.
fn pieces(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b';').map(<[u8]>::trim_ascii)
}

/// A name and a value. Cookie names are case-sensitive.
type Pair<'a> = (&'a [u8], &'a [u8]);

fn pair(piece: &[u8]) -> Option<Pair<'_>> {
    let equals = piece.iter().position(|&byte| byte == b'=')?;
    let (name, value) = (&piece[..equals], &piece[equals + 1..]);
    Some((name.trim_ascii_end(), value.trim_ascii_start()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(lines: &str, name: &str) -> Vec<String> {
        let bytes = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        let head = RequestHead::parse(bytes.as_bytes()).unwrap();
        cookie_values(&head, name)
            .map(|value| String::from_utf8_lossy(value).into_owned())
            .collect()
    }

    fn without(value: &str, name: &str) -> String {
        let mut out = Vec::new();
        write_without(value.as_bytes(), name, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_cookie_of_a_name_is_found_in_order() {
        let lines = "Cookie: a=1; b=2;a = 3 ;; c\r\ncookie: A=4; a=5=6; a=\r\n";
        assert_eq!(values(lines, "a"), ["1", "3", "5=6", ""]);
        assert_eq!(values(lines, "A"), ["4"]);
        assert_eq!(values(lines, "c"), [""; 0]);
        assert_eq!(values("", "a"), [""; 0]);
    }

    #[test]
    fn one_cookie_is_left_out_and_the_others_stay() {
        assert_eq!(without("a=1; b=2; c=3", "b"), "a=1; c=3");
        assert_eq!(without("b=2;a=1;b=3", "b"), "a=1");
        assert_eq!(without("b=2", "b"), "");
        assert_eq!(without("b=2; ", "b"), "");
        assert_eq!(without("a=1;b;  c=\"x\"", "b"), "a=1;b;  c=\"x\"");
        assert_eq!(without("B=2; bb=3", "b"), "B=2; bb=3");
    }

    proptest! {
        /// What is left names the hidden cookie no more, and every other pair as before.
        #[test]
        fn what_is_left_is_everything_else(
            pairs in proptest::collection::vec(("[a-c]{1,2}", "[0-9=\" ]{0,3}"), 0..8),
        ) {
            let text: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let left = without(&text.join("; "), "a");
            let all = text.join("; ");
            let mut expected: Vec<_> = pieces(all.as_bytes()).filter_map(pair).collect();
            expected.retain(|(name, _)| name != b"a");
            let read: Vec<_> = pieces(left.as_bytes()).filter_map(pair).collect();
            prop_assert_eq!(read, expected);
        }
    }
}
