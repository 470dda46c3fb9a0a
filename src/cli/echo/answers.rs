//! Answers a request head: the upgrade, the demo page, the health probe, or a refusal.

use super::super::handshake::{Head, Request, Upgrade, accept_key, read_request};

/// What follows an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The head is not whole; nothing was answered.
    Wait,
    /// The upgrade is done; the frames begin after that many bytes of the input.
    Echo(usize),
    /// The response is whole and the connection ends.
    Leave,
}

/// Answers the head that begins `bytes`, on behalf of the backend called `name`.
pub(super) fn answer(bytes: &[u8], name: &str, out: &mut Vec<u8>) -> Next {
    match read_request(bytes) {
        Head::Partial => Next::Wait,
        Head::Wrong => {
            respond(
                out,
                name,
                "400 Bad Request",
                TEXT,
                b"not an HTTP/1.1 head\n",
            );
            Next::Leave
        }
        Head::Whole(head_bytes, request) => match &request.upgrade {
            Some(upgrade) if request.is_get => {
                switch_protocols(out, name, upgrade);
                if wants_hello(request.target) {
                    push_hello(out, name);
                }
                Next::Echo(head_bytes)
            }
            _ => {
                serve(out, name, &request);
                Next::Leave
            }
        },
    }
}

fn switch_protocols(out: &mut Vec<u8>, name: &str, upgrade: &Upgrade<'_>) {
    out.extend_from_slice(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: ",
    );
    out.extend_from_slice(&accept_key(upgrade.key));
    if let Some(subprotocol) = upgrade.subprotocol {
        out.extend_from_slice(b"\r\nSec-WebSocket-Protocol: ");
        out.extend_from_slice(subprotocol.as_bytes());
    }
    out.extend_from_slice(b"\r\nX-Backend: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\r\n\r\n");
}

fn serve(out: &mut Vec<u8>, name: &str, request: &Request<'_>) {
    let path = request.target.split('?').next();
    match path {
        _ if !request.is_get => respond(out, name, "405 Method Not Allowed", TEXT, b"only GET\n"),
        Some("/") => respond(out, name, "200 OK", "text/html; charset=utf-8", PAGE),
        Some("/healthz") => respond(out, name, "200 OK", TEXT, b"ok\n"),
        _ => respond(out, name, "404 Not Found", TEXT, b"no such page\n"),
    }
}

fn respond(out: &mut Vec<u8>, name: &str, status: &str, kind: &str, body: &[u8]) {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
        X-Backend: {name}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(body);
}

fn wants_hello(target: &str) -> bool {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    path.ends_with("/hello") || query.contains("hello")
}

fn push_hello(out: &mut Vec<u8>, name: &str) {
    let hello = serde_json::json!({ "backend": name }).to_string();
    let length = u8::try_from(hello.len()).expect("invariant: the fleet bounds its names");
    out.extend_from_slice(&[0x81, length]);
    out.extend_from_slice(hello.as_bytes());
}

const TEXT: &str = "text/plain; charset=utf-8";
const PAGE: &[u8] = include_bytes!("../demo.html");

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(head: &str) -> (String, Next) {
        let mut out = Vec::new();
        let next = answer(head.as_bytes(), "north", &mut out);
        (String::from_utf8_lossy(&out).into_owned(), next)
    }

    fn upgrade(target: &str) -> String {
        format!(
            "GET {target} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
    }

    #[test]
    fn only_those_who_ask_are_greeted_by_name() {
        let head = upgrade("/ws");
        let (plain, next) = answered(&head);
        assert!(plain.starts_with("HTTP/1.1 101 ") && plain.ends_with("\r\n\r\n"));
        assert!(plain.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert_eq!(next, Next::Echo(head.len()));
        for target in ["/ws/hello", "/any?hello", "/any?a=1&hello=1"] {
            let (greeted, _) = answered(&upgrade(target));
            assert!(greeted.ends_with("{\"backend\":\"north\"}"), "{target}");
        }
    }

    #[test]
    fn the_page_and_the_probe_say_who_answered() {
        for (target, status) in [("/", "200"), ("/healthz", "200"), ("/no", "404")] {
            let (response, next) = answered(&format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"));
            assert!(response.starts_with(&format!("HTTP/1.1 {status} ")));
            assert!(response.contains("X-Backend: north\r\n"));
            assert_eq!(next, Next::Leave);
        }
    }

    #[test]
    fn strangers_are_refused() {
        assert!(answered("POST / HTTP/1.1\r\n\r\n").0.contains(" 405 "));
        assert!(answered("\x16\x03").0.contains(" 400 "));
        assert_eq!(answered("GET / HT"), (String::new(), Next::Wait));
    }
}
