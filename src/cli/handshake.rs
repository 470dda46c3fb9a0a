//! The opening handshake (RFC 6455 section 4) as the echo fleet answers it and the bench asks for it.
//!
//! The balancer itself is stricter and has its own in `http` and `ws`; a load generator has to be judged apart
//! from what it measures.

use std::mem::MaybeUninit;

use base64::{Engine, engine::general_purpose::STANDARD};
use sha1::{Digest, Sha1};

use crate::limits::{HEAD_BYTES_MAX, HEADERS_MAX};

/// What the first bytes of a connection say, as far as they have come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head<T> {
    /// The empty line that ends a head has not come.
    Partial,
    /// Not HTTP/1.1, or longer than the bounds.
    Wrong,
    /// A whole head of that many bytes, and what it says.
    Whole(usize, T),
}

/// What a client asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request<'head> {
    /// The request is a GET.
    pub(super) is_get: bool,
    /// Path and query.
    pub(super) target: &'head str,
    /// Set when the request asks for a WebSocket.
    pub(super) upgrade: Option<Upgrade<'head>>,
}

/// The part of a request that asks for a WebSocket.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Upgrade<'head> {
    /// The value of `Sec-WebSocket-Key`.
    pub(super) key: &'head [u8],
    /// The first of the offered subprotocols.
    pub(super) subprotocol: Option<&'head str>,
}

/// The value of `Sec-WebSocket-Accept`: 20 bytes of SHA-1 in base64.
pub(super) type AcceptKey = [u8; 28];

/// The answer that proves a server understood `key` (RFC 6455 section 4.2.2).
pub(super) fn accept_key(key: &[u8]) -> AcceptKey {
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    let mut accept = [0; 28];
    STANDARD
        .encode_slice(digest, &mut accept)
        .expect("invariant: 20 bytes are 28 in base64");
    accept
}

/// A fresh `Sec-WebSocket-Key` from 16 bytes of chance.
pub(super) fn request_key(chance: [u64; 2]) -> [u8; 24] {
    let mut nonce = [0; 16];
    nonce[..8].copy_from_slice(&chance[0].to_ne_bytes());
    nonce[8..].copy_from_slice(&chance[1].to_ne_bytes());
    let mut key = [0; 24];
    STANDARD
        .encode_slice(nonce, &mut key)
        .expect("invariant: 16 bytes are 24 in base64");
    key
}

/// Reads a request head from all bytes that have come so far.
pub(super) fn read_request(bytes: &[u8]) -> Head<Request<'_>> {
    let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(bytes, &mut headers) {
        Ok(httparse::Status::Complete(head_bytes)) => {
            let asked = Request {
                is_get: request.method == Some("GET"),
                target: request.path.unwrap_or("/"),
                upgrade: upgrade_in(request.headers),
            };
            Head::Whole(head_bytes, asked)
        }
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => Head::Partial,
        Ok(httparse::Status::Partial) | Err(_) => Head::Wrong,
    }
}

/// Reads a response head: the status, and whether the accept key is the one expected.
pub(super) fn read_response(bytes: &[u8], expected: &AcceptKey) -> Head<(u16, bool)> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(bytes) {
        Ok(httparse::Status::Complete(head_bytes)) => {
            let proven = find(response.headers, "sec-websocket-accept")
                .is_some_and(|value| value.trim_ascii() == expected);
            Head::Whole(head_bytes, (response.code.unwrap_or(0), proven))
        }
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => Head::Partial,
        Ok(httparse::Status::Partial) | Err(_) => Head::Wrong,
    }
}

fn upgrade_in<'head>(headers: &[httparse::Header<'head>]) -> Option<Upgrade<'head>> {
    let upgrade = find(headers, "upgrade")?;
    if !tokens(upgrade).any(|token| token.eq_ignore_ascii_case("websocket")) {
        return None;
    }
    let subprotocol = find(headers, "sec-websocket-protocol")
        .and_then(|offered| tokens(offered).find(|token| !token.is_empty()));
    Some(Upgrade {
        key: find(headers, "sec-websocket-key")?.trim_ascii(),
        subprotocol,
    })
}

fn find<'head>(headers: &[httparse::Header<'head>], name: &str) -> Option<&'head [u8]> {
    headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case(name))
        .map(|header| header.value)
}

fn tokens(value: &[u8]) -> impl Iterator<Item = &str> {
    let text = str::from_utf8(value).unwrap_or_default();
    text.split(',').map(str::trim)
}

const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_key_is_the_one_of_the_rfc() {
        assert_eq!(
            &accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="),
            b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }

    #[test]
    fn a_request_is_partial_until_its_last_byte() {
        let head = b"GET /a?b HTTP/1.1\r\nHost: x\r\nUpgrade: h2c, WebSocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: chat, v2\r\n\r\n";
        for cut in 0..head.len() {
            assert_eq!(read_request(&head[..cut]), Head::Partial);
        }
        let Head::Whole(bytes, request) = read_request(head) else {
            panic!("a whole head is read");
        };
        assert_eq!((bytes, request.target), (head.len(), "/a?b"));
        let upgrade = request.upgrade.expect("it asks for a WebSocket");
        assert_eq!(upgrade.subprotocol, Some("chat"));
        assert_eq!(upgrade.key, b"dGhlIHNhbXBsZSBub25jZQ==");
    }

    #[test]
    fn a_head_over_the_bound_is_wrong() {
        let mut head = b"GET / HTTP/1.1\r\nX: ".to_vec();
        head.resize(HEAD_BYTES_MAX, b'a');
        assert_eq!(read_request(&head), Head::Wrong);
        assert_eq!(read_request(b"\x16\x03\x01"), Head::Wrong);
    }

    #[test]
    fn a_response_proves_its_key() {
        let expected = accept_key(b"dGhlIHNhbXBsZSBub25jZQ==");
        let head =
            b"HTTP/1.1 101 Go\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81";
        assert_eq!(
            read_response(head, &expected),
            Head::Whole(head.len() - 1, (101, true))
        );
        assert_eq!(
            read_response(head, &[0; 28]),
            Head::Whole(head.len() - 1, (101, false))
        );
    }
}
