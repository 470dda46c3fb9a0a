//! Writes heads for the next hop: what concerned this hop goes first, then ours is set (security rule 8).

use std::fmt;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};

use super::cookie;
use super::fields::{Body, Fields, Occurrence};
use super::upgrade::deflate_offers;
use super::{Confirmed, Hop, RequestHead, ResponseHead, Version};

/// Writes the upgrade that a backend gets. Of the extensions only permessage-deflate is offered on: a backend
/// that took another would have to be refused by [`super::verify_101`].
pub fn render_upgrade(head: &RequestHead<'_>, hop: &Hop<'_>, out: &mut Vec<u8>) {
    request_line(head, Version::Http11, out);
    end_to_end(head.fields(), hop.hidden_cookie, out, |name| {
        is_set_by_us(name, hop) || same_name(name, "sec-websocket-extensions")
    });
    if hop.offers_deflate {
        list(
            "Sec-WebSocket-Extensions",
            deflate_offers(head.fields()),
            out,
        );
    }
    out.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\n");
    forwarded(head, hop, out);
    out.extend_from_slice(b"\r\n");
}

/// Writes the ordinary request that a backend gets, ready for its body to be relayed byte for byte. HTTP/1.0
/// stays HTTP/1.0, so that no backend answers in chunks that such a client cannot read.
pub fn render_plain(head: &RequestHead<'_>, hop: &Hop<'_>, out: &mut Vec<u8>) {
    request_line(head, head.version(), out);
    end_to_end(head.fields(), hop.hidden_cookie, out, |name| {
        is_set_by_us(name, hop)
    });
    framing(head.body(), out);
    out.extend_from_slice(b"Connection: close\r\n");
    forwarded(head, hop, out);
    out.extend_from_slice(b"\r\n");
}

/// Writes the response that the client gets: with `upgraded` the 101 that opens its tunnel, otherwise an
/// ordinary response whose body is relayed byte for byte before the connection closes.
pub fn render_response(head: &ResponseHead<'_>, upgraded: Option<&Confirmed>, out: &mut Vec<u8>) {
    print(
        format_args!("HTTP/1.1 {} {}\r\n", head.status(), head.reason()),
        out,
    );
    end_to_end(head.fields(), None, out, |_| false);
    if upgraded.is_some() {
        out.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        return;
    }
    // RFC 9112 sections 6.1 and 6.2: these carry neither.
    if head.status() >= 200 && head.status() != 204 {
        framing(head.body(), out);
    }
    out.extend_from_slice(b"Connection: close\r\n\r\n");
}

/// Adds one more field to a head that was just rendered whole. The value is ours, so it holds no line end.
pub fn add_field(name: &str, value: &str, out: &mut Vec<u8>) {
    debug_assert!(out.ends_with(b"\r\n\r\n") && !value.contains(['\r', '\n']));
    out.truncate(out.len() - 2);
    field(name, value.as_bytes(), out);
    out.extend_from_slice(b"\r\n");
}

/// The origin form, and Host as the first field.
fn request_line(head: &RequestHead<'_>, version: Version, out: &mut Vec<u8>) {
    out.extend_from_slice(head.method_text().as_bytes());
    out.push(b' ');
    out.extend_from_slice(head.path_and_query().as_bytes());
    out.extend_from_slice(match version {
        Version::Http10 => b" HTTP/1.0\r\n",
        Version::Http11 => b" HTTP/1.1\r\n",
    });
    if !head.host().is_empty() {
        field("Host", head.host().as_bytes(), out);
    }
}

/// Copies what travels end to end: not a field of this hop, not nominated by `Connection`, not `skipped`.
fn end_to_end(
    fields: &Fields<'_>,
    hidden_cookie: Option<&str>,
    out: &mut Vec<u8>,
    skipped: impl Fn(&str) -> bool,
) {
    // The usual options name nothing that is not removed anyway.
    let nominated: Vec<&[u8]> = fields
        .elements("connection")
        .filter(|option| {
            !USUAL_OPTIONS
                .iter()
                .any(|usual| option.eq_ignore_ascii_case(usual))
        })
        .collect();
    let is_nominated = |name: &str| {
        nominated
            .iter()
            .any(|option| option.eq_ignore_ascii_case(name.as_bytes()))
            && !is_protected(name)
    };
    for (name, value) in fields.iter() {
        if is_of_this_hop(name) || skipped(name) || is_nominated(name) {
            continue;
        }
        match hidden_cookie {
            Some(hidden) if name.eq_ignore_ascii_case("cookie") => {
                cookie::field_without(hidden, (name, value), out);
            }
            _ => field(name, value, out),
        }
    }
}

/// Fields that concern two neighbours only, and those that frame the body, which are set again from their type.
fn is_of_this_hop(name: &str) -> bool {
    HOP_BY_HOP.iter().any(|other| same_name(name, other))
}

/// Fields of a request that we set ourselves. From a stranger, everything that says where a request came from
/// goes; a trusted proxy may tell more than we do.
fn is_set_by_us(name: &str, hop: &Hop<'_>) -> bool {
    OURS.iter().any(|other| same_name(name, other))
        || hop.claimed.iter().any(|other| same_name(name, other))
        || (!hop.trusted && (same_name(name, "x-real-ip") || is_x_forwarded(name)))
}

/// Fields that a `Connection` option cannot delete.
fn is_protected(name: &str) -> bool {
    is_x_forwarded(name)
        || name
            .get(..14)
            .is_some_and(|start| same_name(start, "sec-websocket-"))
        || PROTECTED.iter().any(|other| same_name(name, other))
}

fn is_x_forwarded(name: &str) -> bool {
    name.get(..12)
        .is_some_and(|start| same_name(start, "x-forwarded-"))
}

/// Compares a name with a lower case one. The underscore counts as a dash, because a backend that puts fields
/// into environment variables cannot tell them apart either.
fn same_name(name: &str, wanted: &str) -> bool {
    name.len() == wanted.len()
        && name.bytes().zip(wanted.bytes()).all(|(byte, other)| {
            byte.to_ascii_lowercase() == other || (byte == b'_' && other == b'-')
        })
}

/// Says where the request came from, after whatever a trusted proxy said.
fn forwarded(head: &RequestHead<'_>, hop: &Hop<'_>, out: &mut Vec<u8>) {
    let said = hop.trusted.then(|| head.fields());
    let mut own = Vec::with_capacity(128);
    print(format_args!("{}", hop.peer.to_canonical()), &mut own);
    appended("X-Forwarded-For", said, &own, out);
    kept("X-Forwarded-Proto", said, hop.scheme, out);
    if !head.host().is_empty() {
        kept("X-Forwarded-Host", said, head.host(), out);
    }
    own.clear();
    forwarded_element(head, hop, &mut own);
    appended("Forwarded", said, &own, out);
}

/// One element of RFC 7239. Colons and brackets need quotes there; nothing we write needs an escape.
fn forwarded_element(head: &RequestHead<'_>, hop: &Hop<'_>, out: &mut Vec<u8>) {
    match hop.peer.to_canonical() {
        IpAddr::V4(address) => print(format_args!("for={address}"), out),
        IpAddr::V6(address) => print(format_args!("for=\"[{address}]\""), out),
    }
    let local = SocketAddr::new(hop.local.ip().to_canonical(), hop.local.port());
    print(format_args!(";by=\"{local}\""), out);
    if !head.host().is_empty() {
        print(format_args!(";host=\"{}\"", head.host()), out);
    }
    print(format_args!(";proto={}", hop.scheme), out);
}

/// Writes `own` as the last element of the list that a trusted proxy may have `said`.
fn appended(name: &str, said: Option<&Fields<'_>>, own: &[u8], out: &mut Vec<u8>) {
    let earlier = said.into_iter().flat_map(|fields| fields.all(name));
    list(
        name,
        earlier.filter(|value| !value.is_empty()).chain([own]),
        out,
    );
}

/// Writes what a trusted proxy `said` once and clearly, else `own`.
fn kept(name: &str, said: Option<&Fields<'_>>, own: &str, out: &mut Vec<u8>) {
    match said.map(|fields| fields.only(name)) {
        Some(Occurrence::Once(value)) if !value.is_empty() => field(name, value, out),
        _ => field(name, own.as_bytes(), out),
    }
}

/// Frames the body from its type, so that nothing but a checked value can do it.
fn framing(body: Body, out: &mut Vec<u8>) {
    match body {
        Body::None => {}
        Body::Length(length) => print(format_args!("Content-Length: {length}\r\n"), out),
        Body::Chunked => field("Transfer-Encoding", b"chunked", out),
    }
}

fn field(name: &str, value: &[u8], out: &mut Vec<u8>) {
    list(name, [value], out);
}

/// Writes one field with all the elements, or nothing if there are none.
fn list<'a>(name: &str, elements: impl IntoIterator<Item = &'a [u8]>, out: &mut Vec<u8>) {
    let mut elements = elements.into_iter();
    let Some(first) = elements.next() else { return };
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(first);
    for element in elements {
        out.extend_from_slice(b", ");
        out.extend_from_slice(element);
    }
    out.extend_from_slice(b"\r\n");
}

/// Formats into memory, which cannot fail.
fn print(text: fmt::Arguments<'_>, out: &mut Vec<u8>) {
    let outcome = out.write_fmt(text);
    debug_assert!(outcome.is_ok(), "a vector takes every byte");
}

/// `Connection` options that name nothing of their own.
const USUAL_OPTIONS: &[&[u8]] = &[b"upgrade", b"keep-alive", b"close"];

/// RFC 9110 section 7.6.1 and its forerunners; `Proxy` would become a variable that programs obey; the last two
/// are written again by [`framing`].
const HOP_BY_HOP: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy",
    "te",
    "trailer",
    "upgrade",
    "http2-settings",
    "transfer-encoding",
    "content-length",
];

const OURS: &[&str] = &[
    "host",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
];

const PROTECTED: &[&str] = &[
    "host",
    "forwarded",
    "x-real-ip",
    "authorization",
    "proxy-authorization",
    "www-authenticate",
    "authentication-info",
    "cookie",
    "set-cookie",
    "origin",
];

#[cfg(test)]
mod tests {
    use super::*;

    const UPGRADE: &str = "Upgrade: websocket, h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n\
                           HTTP2-Settings: AAMAAABk\r\nSec-WebSocket-Version: 13\r\n\
                           Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

    fn hop(peer: &str, trusted: bool) -> Hop<'static> {
        Hop {
            peer: peer.parse().unwrap(),
            trusted,
            scheme: "https",
            local: "192.0.2.2:443".parse().unwrap(),
            hidden_cookie: None,
            claimed: &[],
            offers_deflate: true,
        }
    }

    fn rendered(lines: &str, hop: &Hop<'_>, upgrade: bool) -> String {
        let bytes = format!("GET http://a.example/p?q HTTP/1.1\r\nHost: a.example\r\n{lines}\r\n");
        let head = RequestHead::parse(bytes.as_bytes()).unwrap();
        let mut out = Vec::new();
        if upgrade {
            render_upgrade(&head, hop, &mut out);
        } else {
            render_plain(&head, hop, &mut out);
        }
        RequestHead::parse(&out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn response(bytes: &str, upgraded: Option<&Confirmed>) -> String {
        let head = ResponseHead::parse(bytes.as_bytes()).unwrap();
        let mut out = Vec::new();
        render_response(&head, upgraded, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_upgrade_is_rendered_whole() {
        let lines =
            format!("{UPGRADE}Sec-WebSocket-Extensions: x-old, permessage-deflate; a, y\r\n");
        assert_eq!(
            rendered(&lines, &hop("::ffff:192.0.2.1", false), true),
            "GET /p?q HTTP/1.1\r\nHost: a.example\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Extensions: permessage-deflate; a\r\n\
             Connection: Upgrade\r\nUpgrade: websocket\r\n\
             X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a.example\r\n\
             Forwarded: for=192.0.2.1;by=\"192.0.2.2:443\";host=\"a.example\";proto=https\r\n\r\n"
        );
    }

    #[test]
    fn a_plain_request_keeps_no_upgrade_and_frames_its_body_from_its_type() {
        let lines = format!("{UPGRADE}Content-Length: 05\r\nContent-Length: 5\r\nTE: trailers\r\n");
        let out = rendered(&lines, &hop("2001:db8::1", false), false);
        assert!(
            out.contains("\r\nContent-Length: 5\r\nConnection: close\r\n"),
            "{out}"
        );
        assert!(
            out.contains("\r\nForwarded: for=\"[2001:db8::1]\";by="),
            "{out}"
        );
        for gone in ["Upgrade", "HTTP2-Settings", "TE:", "05"] {
            assert!(!out.contains(gone), "{gone} in {out}");
        }
        let chunked = rendered("transfer-encoding: Chunked\r\n", &hop("::1", false), false);
        assert!(chunked.contains("\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n"));
    }

    #[test]
    fn a_hidden_cookie_stays_with_us_and_no_empty_field_is_left() {
        let lines = "Cookie: a=1; ours=x; b=2\r\nX: ours=x\r\ncookie: ours=y\r\n";
        for upgrade in [false, true] {
            let mut hop = hop("192.0.2.1", false);
            assert!(rendered(lines, &hop, upgrade).contains("\r\ncookie: ours=y\r\n"));
            hop.hidden_cookie = Some("ours");
            let out = rendered(lines, &hop, upgrade);
            assert!(
                out.contains("\r\nCookie: a=1; b=2\r\nX: ours=x\r\n"),
                "{out}"
            );
            assert!(!out.contains("cookie:") && !out.contains("ours=y"), "{out}");
        }
    }

    #[test]
    fn a_field_is_added_to_a_whole_head() {
        let head = ResponseHead::parse(b"HTTP/1.1 204 No\r\nA: b\r\n\r\n").unwrap();
        let mut out = Vec::new();
        render_response(&head, None, &mut out);
        add_field("Set-Cookie", "c=d", &mut out);
        let head = ResponseHead::parse(&out).unwrap();
        assert_eq!(head.headers().last(), Some(("Set-Cookie", &b"c=d"[..])));
        assert_eq!(head.header("a"), Some(&b"b"[..]));
    }

    #[test]
    fn an_old_request_stays_old() {
        let head = RequestHead::parse(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let mut out = Vec::new();
        render_plain(&head, &hop("192.0.2.1", false), &mut out);
        assert!(out.starts_with(b"GET / HTTP/1.0\r\nConnection: close\r\nX-Forwarded-For: "));
        assert!(RequestHead::parse(&out).is_ok());
    }

    #[test]
    fn what_connection_nominates_goes_unless_it_is_protected() {
        let lines = "Connection: close, X-Mine, Cookie, Authorization, X-Forwarded-Port, Forwarded, Host\r\n\
                     Connection: Sec-WebSocket-Key, X-Forwarded-For, Origin\r\n\
                     X-Mine: 1\r\nCookie: 2\r\nAuthorization: 3\r\nX-Forwarded-Port: 4\r\nx-other: 5\r\n\
                     Sec-WebSocket-Key: 6\r\nOrigin: 7\r\n";
        for upgrade in [false, true] {
            let out = rendered(lines, &hop("192.0.2.1", true), upgrade);
            assert!(!out.contains("X-Mine"), "{out}");
            for kept in [
                "Cookie: 2",
                "Authorization: 3",
                "X-Forwarded-Port: 4",
                "x-other: 5",
                "Sec-WebSocket-Key: 6",
                "Origin: 7",
                "Host: a.example",
                "X-Forwarded-For: 192.0.2.1",
                "Forwarded: for=192.0.2.1",
            ] {
                assert!(out.contains(&format!("\r\n{kept}")), "{kept} not in {out}");
            }
        }
    }

    const CLAIMS: &str = "X-Forwarded-For: 203.0.113.9\r\nx-forwarded-for: 198.51.100.7\r\n\
                          X_Forwarded_For: 6.6.6.6\r\nX-Forwarded-Proto: wss\r\nX-Forwarded-Host: outer\r\n\
                          X-Forwarded-Port: 8443\r\nX-Real-IP: 203.0.113.9\r\nForwarded: for=203.0.113.9\r\n";

    #[test]
    fn the_claims_of_a_stranger_are_overwritten() {
        let out = rendered(CLAIMS, &hop("192.0.2.1", false), true);
        for gone in [
            "203.0.113.9",
            "198.51.100.7",
            "6.6.6.6",
            "wss",
            "outer",
            "8443",
        ] {
            assert!(!out.contains(gone), "{gone} in {out}");
        }
        assert_eq!(out.matches("X-Forwarded-For:").count(), 1);
    }

    #[test]
    fn the_claims_of_a_trusted_proxy_are_kept_and_ours_comes_last() {
        let out = rendered(CLAIMS, &hop("192.0.2.1", true), true);
        for line in [
            "X-Forwarded-For: 203.0.113.9, 198.51.100.7, 192.0.2.1",
            "X-Forwarded-Proto: wss",
            "X-Forwarded-Host: outer",
            "X-Forwarded-Port: 8443",
            "X-Real-IP: 203.0.113.9",
        ] {
            assert!(
                out.contains(&format!("\r\n{line}\r\n")),
                "{line} not in {out}"
            );
        }
        assert!(
            out.contains("\r\nForwarded: for=203.0.113.9, for=192.0.2.1;by="),
            "{out}"
        );
        assert!(!out.contains("6.6.6.6"));
    }

    #[test]
    fn a_response_closes_and_keeps_its_framing() {
        assert_eq!(
            response(
                "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\n\
                 Set-Cookie: a\r\nSet-Cookie: b\r\ncontent-length: 3\r\nUpgrade: h2c\r\n\r\n",
                None,
            ),
            "HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 3\r\nConnection: close\r\n\r\n"
        );
        let chunked = response("HTTP/1.1 500 \r\nTransfer-Encoding: chunked\r\n\r\n", None);
        assert_eq!(
            chunked,
            "HTTP/1.1 500 \r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        );
        let empty = response("HTTP/1.0 204 No Content\r\nContent-Length: 3\r\n\r\n", None);
        assert_eq!(
            empty,
            "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
        );
    }

    #[test]
    fn a_confirmed_101_opens_the_tunnel() {
        let head = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: WebSocket\r\n\
                    Content-Length: 0\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        assert_eq!(
            response(head, Some(&Confirmed { deflate: false })),
            "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
             Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        );
    }
}
