//! The answers we give ourselves: one status, one honest sentence, and the connection closes.

use std::io::Write as _;

use super::Expected;
use crate::limits::REPLY_DETAIL_BYTES_MAX;
use crate::metrics::Refusal;

/// The status code of a refusal.
pub const fn status(refusal: Refusal) -> u16 {
    line(refusal).0
}

/// The methods a route takes, as a 405 names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Methods {
    /// It opens WebSockets only.
    #[default]
    Get,
    /// It relays plain requests too.
    GetAndHead,
}

/// Writes the whole response. `detail` may hold words of a stranger: only printable ASCII is passed on, and
/// only so much. Without a detail the reply says what the refusal means in general.
pub fn render_refusal(refusal: Refusal, detail: &str, methods: Methods, out: &mut Vec<u8>) {
    render_refusal_with(refusal, detail, (methods, None), out);
}

/// Like [`render_refusal`], with a value for `Strict-Transport-Security` if it goes out over TLS.
pub fn render_refusal_with(
    refusal: Refusal,
    detail: &str,
    (methods, hsts): (Methods, Option<&str>),
    out: &mut Vec<u8>,
) {
    let (code, reason) = line(refusal);
    let detail = if detail.is_empty() {
        meaning(refusal)
    } else {
        detail
    };
    let mut body = format!("{code} {reason}: ").into_bytes();
    body.extend(detail.chars().take(REPLY_DETAIL_BYTES_MAX).map(printable));
    body.push(b'\n');

    let outcome = write!(
        out,
        "HTTP/1.1 {code} {reason}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\n",
        body.len(),
    );
    debug_assert!(outcome.is_ok(), "a vector takes every byte");
    if code == 308 {
        // Where to is the detail, whole: a part of a target is another one.
        out.extend_from_slice(b"Location: ");
        out.extend(detail.chars().map(printable));
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(match code {
        // RFC 9110 section 15.5.6: it lists what the route takes.
        405 if methods == Methods::GetAndHead => b"Allow: GET, HEAD\r\n".as_slice(),
        405 => b"Allow: GET\r\n",
        // RFC 9110 section 7.8: who sends Upgrade names it in Connection.
        426 => b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nConnection: close, Upgrade\r\n",
        429 | 503 => b"Retry-After: 5\r\n",
        _ => b"",
    });
    if let Some(hsts) = hsts {
        out.extend_from_slice(b"Strict-Transport-Security: ");
        out.extend_from_slice(hsts.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if code != 426 {
        out.extend_from_slice(b"Connection: close\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(&body);
}

/// Writes a 101 of our own, for a client whose backend is not known yet. It agrees on no extension, and on this
/// subprotocol, which is one that the client offers.
pub fn render_own_101(expected: &Expected, subprotocol: Option<&str>, out: &mut Vec<u8>) {
    out.extend_from_slice(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
          Sec-WebSocket-Accept: ",
    );
    out.extend_from_slice(&expected.accept);
    if let Some(name) = subprotocol {
        out.extend_from_slice(b"\r\nSec-WebSocket-Protocol: ");
        out.extend_from_slice(name.as_bytes());
    }
    out.extend_from_slice(b"\r\n\r\n");
}

const fn line(refusal: Refusal) -> (u16, &'static str) {
    match refusal {
        Refusal::RedirectToHttps => (308, "Permanent Redirect"),
        Refusal::BadRequest
        | Refusal::BadUpgrade
        | Refusal::FirstMessageTimeout
        | Refusal::FirstMessageRefused
        | Refusal::PlainHttp
        | Refusal::NotTls
        | Refusal::TlsNoSharedVersion
        | Refusal::TlsNoSharedSuite
        | Refusal::TlsUnknownName
        | Refusal::TlsNoSharedProtocol
        | Refusal::TlsBadClientCertificate
        | Refusal::TlsNoClientCertificate
        | Refusal::TlsAlert
        | Refusal::TlsProtocol => (400, "Bad Request"),
        Refusal::CertificateForbidden | Refusal::OriginForbidden => (403, "Forbidden"),
        Refusal::NoRoute => (404, "Not Found"),
        Refusal::MethodNotAllowed => (405, "Method Not Allowed"),
        Refusal::HeadTimeout | Refusal::TlsTimeout => (408, "Request Timeout"),
        Refusal::UriTooLong => (414, "URI Too Long"),
        Refusal::UpgradeRequired => (426, "Upgrade Required"),
        Refusal::SourceLimited => (429, "Too Many Requests"),
        Refusal::HeadTooLarge => (431, "Request Header Fields Too Large"),
        Refusal::BadBackendAnswer | Refusal::BackendClosed | Refusal::BackendTls => {
            (502, "Bad Gateway")
        }
        Refusal::NoBackend
        | Refusal::BackendsFull
        | Refusal::WaitingTimeout
        | Refusal::NoResources
        | Refusal::SourcePortsExhausted
        | Refusal::SourceAddressMissing
        | Refusal::WorkerFull
        | Refusal::TlsHandshakesFull
        | Refusal::TlsInternal
        | Refusal::Draining => (503, "Service Unavailable"),
        Refusal::ConnectTimeout | Refusal::AnswerTimeout => (504, "Gateway Timeout"),
    }
}

/// What a refusal means, for a reader who knows nothing of the inside.
pub const fn meaning(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::RedirectToHttps => "this service is spoken to over https",
        Refusal::BadRequest => "the request is not valid HTTP/1.1",
        Refusal::BadUpgrade => "the WebSocket handshake is malformed",
        Refusal::OriginForbidden => "this origin may not connect here",
        Refusal::NoRoute => "no route for this host and path",
        Refusal::MethodNotAllowed => "this route does not take that method",
        Refusal::HeadTimeout => "the request did not arrive in time",
        Refusal::UriTooLong => "the request line is too long",
        Refusal::UpgradeRequired => "this route speaks WebSocket version 13",
        Refusal::SourceLimited => "too many connections from this address",
        Refusal::HeadTooLarge => "the request head is too large",
        Refusal::BadBackendAnswer => "the backend gave an invalid answer",
        Refusal::BackendClosed => "the backend closed the connection",
        Refusal::NoBackend => "no backend is available",
        Refusal::BackendsFull => "every backend is full",
        Refusal::WaitingTimeout => "no backend had room in time",
        Refusal::NoResources => "the server is out of resources",
        Refusal::SourcePortsExhausted => "the server has no port left for the backend",
        Refusal::SourceAddressMissing => "the server has no address to reach the backend from",
        Refusal::WorkerFull => "the server is full",
        Refusal::Draining => "the server is going down",
        Refusal::BackendTls => "the TLS handshake with the backend failed",
        Refusal::PlainHttp => {
            "plain HTTP was sent to a port that speaks TLS: use https:// or wss://"
        }
        Refusal::NotTls => "what came is no TLS",
        Refusal::TlsNoSharedVersion => "no TLS version is known to both sides",
        Refusal::TlsNoSharedSuite => {
            "no cipher, key exchange or kind of key is known to both sides"
        }
        Refusal::TlsUnknownName => "no certificate is for this host",
        Refusal::TlsNoSharedProtocol => "only HTTP/1.1 is spoken here",
        Refusal::TlsBadClientCertificate => "the client's certificate is not good here",
        Refusal::TlsNoClientCertificate => "a client certificate is required",
        Refusal::TlsAlert => "the client ended the TLS handshake",
        Refusal::TlsProtocol => "the TLS handshake broke the protocol",
        Refusal::TlsTimeout => "the TLS handshake was not over in time",
        Refusal::TlsHandshakesFull => "too many TLS handshakes are under way",
        Refusal::TlsInternal => "the TLS handshake failed on our side",
        Refusal::CertificateForbidden => "this route asks for another client certificate",
        Refusal::FirstMessageTimeout => "no message came in time",
        Refusal::FirstMessageRefused => "the first message does not say where to go",
        Refusal::ConnectTimeout => "no backend took the connection in time",
        Refusal::AnswerTimeout => "the backend did not answer in time",
    }
}

/// Printable ASCII stays, anything else becomes a question mark, so one character is one byte.
fn printable(character: char) -> u8 {
    match u8::try_from(character) {
        Ok(byte) if byte == b' ' || byte.is_ascii_graphic() => byte,
        _ => b'?',
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Body, ResponseHead};

    fn reply(refusal: Refusal, detail: &str) -> (Vec<u8>, usize) {
        let mut out = Vec::new();
        render_refusal(refusal, detail, Methods::Get, &mut out);
        let end = out
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .unwrap()
            + 4;
        (out, end)
    }

    #[test]
    fn every_refusal_is_a_valid_response_of_its_exact_length() {
        for &refusal in Refusal::ALL {
            let (out, end) = reply(refusal, "");
            let head = ResponseHead::parse(&out[..end]).unwrap();
            assert_eq!(head.status(), status(refusal));
            assert_eq!(head.body(), Body::Length((out.len() - end) as u64));
            assert!(head.header("connection").unwrap().starts_with(b"close"));
            assert_eq!(
                head.header("content-type"),
                Some(&b"text/plain; charset=utf-8"[..])
            );
            assert!(
                out.ends_with(b"\n")
                    && out[end..].starts_with(status(refusal).to_string().as_bytes())
            );
        }
    }

    #[test]
    fn a_reply_names_its_reason() {
        let (out, end) = reply(Refusal::NoRoute, "");
        assert_eq!(
            &out[end..],
            b"404 Not Found: no route for this host and path\n"
        );
        let (out, end) = reply(Refusal::BadRequest, "Host is missing");
        assert_eq!(&out[end..], b"400 Bad Request: Host is missing\n");
    }

    #[test]
    fn a_reply_tells_the_client_what_to_do_next() {
        for (refusal, name, value) in [
            (Refusal::MethodNotAllowed, "allow", "GET"),
            (Refusal::UpgradeRequired, "sec-websocket-version", "13"),
            (Refusal::UpgradeRequired, "upgrade", "websocket"),
            (Refusal::SourceLimited, "retry-after", "5"),
            (Refusal::NoBackend, "retry-after", "5"),
            (Refusal::Draining, "retry-after", "5"),
        ] {
            let (out, end) = reply(refusal, "");
            let head = ResponseHead::parse(&out[..end]).unwrap();
            assert_eq!(head.header(name), Some(value.as_bytes()), "{refusal:?}");
        }
    }

    #[test]
    fn a_405_lists_the_methods_of_its_route() {
        for (methods, list) in [(Methods::Get, "GET"), (Methods::GetAndHead, "GET, HEAD")] {
            let mut out = Vec::new();
            render_refusal(Refusal::MethodNotAllowed, "", methods, &mut out);
            let head = String::from_utf8(out).unwrap();
            assert!(head.contains(&format!("\r\nAllow: {list}\r\n")), "{head}");
        }
    }

    #[test]
    fn the_words_of_a_stranger_cannot_break_out_of_a_reply() {
        let (out, end) = reply(
            Refusal::NoRoute,
            "a\r\n\r\nHTTP/1.1 200 OK\0\x1b[2Jé\u{2028}",
        );
        assert_eq!(&out[end..], b"404 Not Found: a????HTTP/1.1 200 OK??[2J??\n");
        let (out, end) = reply(Refusal::NoRoute, &"é".repeat(10_000));
        assert_eq!(
            out.len() - end,
            "404 Not Found: \n".len() + REPLY_DETAIL_BYTES_MAX
        );
    }
}
