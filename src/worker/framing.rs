//! What a route asks of the frames of a new tunnel, and who its client is for the rates of the route.

use std::net::IpAddr;

use crate::fleet::{RateKey, Route};
use crate::http::{RequestHead, cookie_values};
use crate::relay::{Framing, Subject};
use crate::sync::Arc;

/// The frame rules of a route, if it has any, for a client with this request head and address.
pub(super) fn framing(route: &Route, head: &RequestHead<'_>, client: IpAddr) -> Option<Framing> {
    let rules = Arc::clone(route.frames.as_ref()?);
    let subjects = rules
        .rates
        .iter()
        .map(|rate| subject(&rate.by, head, client));
    Some(Framing {
        subjects: subjects.collect(),
        rules,
    })
}

/// Who is counted. Without the value, or with an empty one, the source is.
fn subject(by: &RateKey, head: &RequestHead<'_>, client: IpAddr) -> Subject {
    let value = match by {
        RateKey::Connection => return Subject::Connection,
        RateKey::Source => None,
        RateKey::Header(name) => head.header(name),
        RateKey::Cookie(name) => cookie_values(head, name).next(),
    };
    let value = value.filter(|value| !value.is_empty());
    value.map_or(Subject::Source(client), |value| {
        Subject::Value(value.to_vec())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_counted_by_what_the_rate_names_and_else_by_its_source() {
        let head =
            "GET / HTTP/1.1\r\nHost: a\r\nX-User: ann\r\nX-None:\r\nCookie: user=bob\r\n\r\n";
        let head = RequestHead::parse(head.as_bytes()).unwrap();
        let client = "192.0.2.7".parse().unwrap();
        let found = |by| subject(&by, &head, client);
        let value = |text: &str| Subject::Value(text.as_bytes().to_vec());
        assert_eq!(found(RateKey::Connection), Subject::Connection);
        assert_eq!(found(RateKey::Source), Subject::Source(client));
        assert_eq!(found(RateKey::Header("x-user".into())), value("ann"));
        assert_eq!(found(RateKey::Cookie("user".into())), value("bob"));
        for missing in ["x-none", "x-other"] {
            let by = RateKey::Header(missing.into());
            assert_eq!(found(by), Subject::Source(client));
        }
    }
}
