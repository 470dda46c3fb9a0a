//! What must hold for any bytes of a stranger, in one function that the fuzzer and a property test call.

use super::{
    Body, BodyReader, Framing, HeadError, HeadScan, Hop, RequestHead, ResponseHead, check_upgrade,
    client_address, cookie_values, render_plain, render_response, render_upgrade,
};
use crate::metrics::Refusal;

/// The first byte says where the rest is cut. Panics when a verdict depends on the cut, or when something we
/// write to a backend or a client could not be read back.
pub fn fuzz_head(data: &[u8]) {
    let Some((&cut, bytes)) = data.split_first() else {
        return;
    };
    let cut = usize::from(cut).min(bytes.len());
    let verdict = HeadScan::default().feed(bytes);
    assert_eq!(scan_cut(bytes, cut), verdict, "the cut changed the verdict");
    assert_eq!(
        follow_cut(bytes, cut),
        follow_cut(bytes, 0),
        "the cut changed the body"
    );
    if let Ok(Some(length)) = verdict {
        assert!(bytes[..length].ends_with(b"\r\n\r\n"));
        check_request(&bytes[..length]);
        check_response(&bytes[..length]);
    }
}

fn scan_cut(bytes: &[u8], cut: usize) -> Result<Option<usize>, HeadError> {
    let mut scan = HeadScan::default();
    match scan.feed(&bytes[..cut]) {
        Ok(None) => scan.feed(bytes),
        verdict => verdict,
    }
}

fn follow_cut(bytes: &[u8], cut: usize) -> Option<(usize, bool)> {
    let mut reader = BodyReader::new(Framing::Chunked);
    let first = reader.feed(&bytes[..cut]).ok()?;
    let second = reader.feed(&bytes[cut..]).ok()?;
    Some((first.consumed + second.consumed, second.done))
}

fn check_request(bytes: &[u8]) {
    let Ok(head) = RequestHead::parse(bytes) else {
        return;
    };
    for trusted in [false, true] {
        let hop = Hop {
            peer: [192, 0, 2, 1].into(),
            trusted,
            scheme: "https",
            local: ([192, 0, 2, 2], 443).into(),
            hidden_cookie: trusted.then_some("a"),
            claimed: &[],
            offers_deflate: true,
        };
        let mut out = Vec::new();
        render_plain(&head, &hop, &mut out);
        if let Some(next) = reread(&out, &head) {
            check_cookies(&next, &head, hop.hidden_cookie);
            assert_eq!(next.body(), head.body());
            assert_eq!(next.header("connection"), Some(&b"close"[..]));
            assert!(next.header("upgrade").is_none());
        }
        if let Ok(upgrade) = check_upgrade(&head) {
            out.clear();
            render_upgrade(&head, &hop, &mut out);
            if let Some(next) = reread(&out, &head) {
                assert_eq!(check_upgrade(&next), Ok(upgrade));
                assert_eq!(next.body(), Body::None);
            }
        }
    }
    let peer = [10, 0, 0, 1].into();
    assert_eq!(
        client_address(peer, &head, &[]),
        peer,
        "a stranger was believed"
    );
    client_address(peer, &head, &[peer.into()]);
}

/// The hidden cookie is gone, and every other one is still there.
fn check_cookies(next: &RequestHead<'_>, head: &RequestHead<'_>, hidden: Option<&str>) {
    for name in ["a", "b"] {
        let there = cookie_values(next, name);
        if hidden == Some(name) {
            assert_eq!(there.count(), 0, "the hidden cookie was passed on");
        } else {
            assert!(there.eq(cookie_values(head, name)), "a cookie was changed");
        }
    }
}

/// Reads back what a backend would get. Our own fields may take a head over a bound; nothing else is excused.
fn reread<'a>(out: &'a [u8], head: &RequestHead<'_>) -> Option<RequestHead<'a>> {
    let next = reparsed(RequestHead::parse(out))?;
    assert_eq!(next.method_text(), head.method_text());
    assert_eq!(next.path_and_query(), head.path_and_query());
    assert_eq!(next.host(), head.host());
    for name in REMOVED {
        assert!(next.header(name).is_none(), "{name} was passed on");
    }
    Some(next)
}

fn check_response(bytes: &[u8]) {
    let Ok(head) = ResponseHead::parse(bytes) else {
        return;
    };
    let mut out = Vec::new();
    render_response(&head, None, &mut out);
    if let Some(next) = reparsed(ResponseHead::parse(&out)) {
        assert_eq!(next.status(), head.status());
        assert_eq!(next.header("connection"), Some(&b"close"[..]));
    }
}

fn reparsed<T>(outcome: Result<T, HeadError>) -> Option<T> {
    match outcome {
        Ok(head) => Some(head),
        Err(error) if error.refusal() == Refusal::HeadTooLarge => None,
        Err(error) => panic!("what we wrote is refused: {error}"),
    }
}

/// No hop may ever see these from another.
const REMOVED: &[&str] = &[
    "keep-alive",
    "te",
    "trailer",
    "proxy-connection",
    "http2-settings",
    "x_forwarded_for",
    "transfer_encoding",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::fuzz_head;

    /// Pieces of which most combinations are a valid head, and many are nearly one.
    fn line() -> impl Strategy<Value = String> {
        prop_oneof![
            3 => "(Upgrade: (websocket|h2c, websocket)|Connection: (upgrade|close|upgrade, cookie, x-a))\r\n",
            3 => "(Sec-WebSocket-Version: 13|Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==)\r\n",
            2 => "Sec-WebSocket-(Protocol: (a|b, c)|Extensions: (permessage-deflate; a=\"b,c\"|x))\r\n",
            2 => "(X-Forwarded-(For|Proto|Host)|Forwarded|X_Forwarded_For): [a-z0-9.,:\\[\\] ]{0,20}\r\n",
            2 => "(TE|Trailer|Keep-Alive|HTTP2-Settings|Proxy-Connection|X-A|Cookie): [ -~]{0,20}\r\n",
            2 => "(Cookie|cookie): ([abc]=[a-c;= ]{0,3}; ?){0,4}\r\n",
            1 => "(Content-Length|Transfer-Encoding|Transfer_Encoding|Host): ?[0-9]?(chunked)?\r\n",
            1 => "[ -~\t\r\n\x00]{0,20}\r\n",
        ]
    }

    proptest! {
        #[test]
        fn whatever_we_write_is_valid_and_of_one_hop(
            cut in any::<u8>(),
            first in prop_oneof![
                5 => Just("GET /a?b HTTP/1.1\r\nHost: a.example\r\n"),
                1 => Just("GET / HTTP/1.0\r\n"),
                1 => Just("POST http://[::1]:80 HTTP/1.1\r\nHost: [::1]\r\n"),
                1 => Just("HTTP/1.1 200 OK\r\n"),
                1 => Just("HTTP/1.1 101 \r\n"),
            ],
            lines in proptest::collection::vec(line(), 0..12),
        ) {
            let mut data = vec![cut];
            data.extend_from_slice(first.as_bytes());
            data.extend_from_slice(lines.concat().as_bytes());
            data.extend_from_slice(b"\r\n");
            fuzz_head(&data);
        }

        #[test]
        fn any_bytes_get_a_verdict(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            fuzz_head(&data);
        }
    }
}
