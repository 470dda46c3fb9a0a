//! What a hash is taken of, so that the same key goes to the same backend.

use crate::limits;

/// The part of a request that decides where it goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum HashKey {
    /// The client's address, or the block it is in.
    #[default]
    Source,
    /// The value of this header field, by its name in lower case.
    Header(Box<str>),
    /// The value of this cookie.
    Cookie(Box<str>),
    /// The value of this parameter in the query.
    Query(Box<str>),
    /// What stands at the place of `{…}` in a path such as `/room/{id}`.
    Path(PathKey),
    /// The subprotocols the client offers.
    Subprotocol,
}

/// A path with one segment that is the key: `/room/{id}`. Requests may go on below it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PathKey {
    /// The segments before the key; `None` takes any (`*`).
    before: Box<[Option<Box<str>>]>,
    /// The pattern as it was written.
    text: Box<str>,
}

impl PathKey {
    /// Reads `/room/{id}` or `/*/room/{id}`: segments, each literal or `*`, then exactly one in braces, at the end.
    pub fn parse(text: &str) -> Option<Self> {
        let (before, key) = text.strip_prefix('/')?.rsplit_once('/').map_or_else(
            || (Vec::new(), text.get(1..).unwrap_or_default()),
            |(before, key)| (before.split('/').collect(), key),
        );
        let name = key.strip_prefix('{')?.strip_suffix('}')?;
        let is_plain = |segment: &&str| !segment.is_empty() && !segment.contains(['{', '}', '?']);
        if name.is_empty()
            || name.contains(['{', '}'])
            || text.len() > limits::ROUTE_PATH_BYTES_MAX
            || !before.iter().all(is_plain)
        {
            return None;
        }
        let segment = |segment: &str| (segment != "*").then(|| Box::from(segment));
        Some(Self {
            before: before.into_iter().map(segment).collect(),
            text: text.into(),
        })
    }

    /// The key segment of this path, which may carry a query; nothing if the path does not fit or the segment is
    /// empty.
    pub fn find<'p>(&self, path: &'p str) -> Option<&'p str> {
        let path = path.split('?').next().unwrap_or_default();
        let mut segments = path.strip_prefix('/')?.split('/');
        for expected in &self.before {
            let segment = segments.next()?;
            if expected
                .as_deref()
                .is_some_and(|expected| expected != segment)
            {
                return None;
            }
        }
        segments.next().filter(|segment| !segment.is_empty())
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_key_is_the_segment_in_braces() {
        let key = PathKey::parse("/room/{id}").unwrap();
        assert_eq!(key.find("/room/7"), Some("7"));
        assert_eq!(key.find("/room/7/live?x=/1"), Some("7"));
        assert_eq!(key.find("/room/7?x"), Some("7"));
        for path in ["/room", "/room/", "/rooms/7", "/", "", "room/7", "/room//7"] {
            assert_eq!(key.find(path), None, "{path}");
        }
        let any = PathKey::parse("/*/room/{id}").unwrap();
        assert_eq!(any.find("/eu/room/7"), Some("7"));
        assert_eq!(PathKey::parse("/{id}").unwrap().find("/7?a"), Some("7"));
    }

    #[test]
    fn a_pattern_has_one_key_at_its_end() {
        for text in [
            "",
            "/",
            "/room",
            "room/{id}",
            "/{a}/{b}",
            "/room/{}",
            "/room/{id}/x",
            "//{id}",
        ] {
            assert_eq!(PathKey::parse(text), None, "{text}");
        }
    }
}
