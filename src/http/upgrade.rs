//! What a client may ask when it wants to speak WebSocket: RFC 6455 section 4.2.1.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

use super::fields::{Body, Fields, Occurrence, is_token_byte};
use super::{Expected, Method, RequestHead, Version};
use crate::metrics::Refusal;

/// A client's wish to speak WebSocket, checked (security rule 2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpgradeRequest<'a> {
    /// 16 bytes in base64.
    pub key: &'a str,
    /// The subprotocols offered, in the client's order.
    pub protocols: Vec<&'a str>,
    /// Whether permessage-deflate was offered. No other extension is ever passed on, because the bits it
    /// would use could not be judged.
    pub has_deflate: bool,
}

impl UpgradeRequest<'_> {
    /// What a backend's 101 must prove, free of the request's bytes.
    pub fn expected(&self) -> Expected {
        Expected {
            accept: accept_key(self.key),
            protocols: self.protocols.join(","),
            deflate_offered: self.has_deflate,
        }
    }
}

/// Why a request was not taken as an upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// The reply and the metric label.
    pub refusal: Refusal,
    /// What to tell the client.
    pub detail: &'static str,
}

/// Whether a request asks for WebSocket at all, well-formed or not.
pub fn wants_upgrade(head: &RequestHead<'_>) -> bool {
    head.fields().has_token("upgrade", "websocket")
}

/// Checks a request against security rule 2.
pub fn check_upgrade<'a>(head: &RequestHead<'a>) -> Result<UpgradeRequest<'a>, Refused> {
    let fields = head.fields();
    if head.method() != Method::Get {
        return refuse(Refusal::MethodNotAllowed, "a WebSocket starts with GET");
    }
    if head.version() != Version::Http11 {
        return refuse(Refusal::UpgradeRequired, "a WebSocket needs HTTP/1.1");
    }
    if !wants_upgrade(head) {
        return refuse(Refusal::UpgradeRequired, "this route speaks WebSocket only");
    }
    if !fields.has_token("connection", "upgrade") {
        return refuse(Refusal::BadUpgrade, "Connection does not name upgrade");
    }
    if !matches!(head.body(), Body::None | Body::Length(0)) {
        return refuse(Refusal::BadUpgrade, "an upgrade has no body");
    }
    match fields.only("sec-websocket-version") {
        Occurrence::Once(b"13") => {}
        Occurrence::Several => {
            return refuse(Refusal::BadUpgrade, "Sec-WebSocket-Version is there twice");
        }
        _ => return refuse(Refusal::UpgradeRequired, "Sec-WebSocket-Version is not 13"),
    }
    Ok(UpgradeRequest {
        key: checked_key(fields)?,
        protocols: offered_protocols(fields)?,
        has_deflate: deflate_offers(fields).next().is_some(),
    })
}

/// The answer to a key: RFC 6455 section 4.2.2, point 5.4.
pub fn accept_key(key: &str) -> [u8; 28] {
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    let mut accept = [0; 28];
    let length = STANDARD.encode_slice(digest, &mut accept);
    debug_assert_eq!(length, Ok(28), "20 bytes are 28 in base64");
    accept
}

/// The client's permessage-deflate offers with their parameters, in the client's order.
pub(super) fn deflate_offers<'s, 'a>(
    fields: &'s Fields<'a>,
) -> impl Iterator<Item = &'a [u8]> + use<'s, 'a> {
    fields
        .elements("sec-websocket-extensions")
        .filter(|element| is_deflate(element))
}

/// Whether a list element is permessage-deflate, with any parameters.
pub(super) fn is_deflate(element: &[u8]) -> bool {
    let name = element
        .split(|&byte| byte == b';')
        .next()
        .unwrap_or_default();
    name.trim_ascii()
        .eq_ignore_ascii_case(b"permessage-deflate")
}

fn checked_key<'a>(fields: &Fields<'a>) -> Result<&'a str, Refused> {
    let value = match fields.only("sec-websocket-key") {
        Occurrence::Missing => {
            return refuse(Refusal::BadUpgrade, "Sec-WebSocket-Key is missing");
        }
        Occurrence::Several => {
            return refuse(Refusal::BadUpgrade, "Sec-WebSocket-Key is there twice");
        }
        Occurrence::Once(value) => value,
    };
    let mut bytes = [0; 18];
    match (
        str::from_utf8(value),
        STANDARD.decode_slice(value, &mut bytes),
    ) {
        (Ok(key), Ok(16)) => Ok(key),
        _ => refuse(
            Refusal::BadUpgrade,
            "Sec-WebSocket-Key is not 16 bytes in base64",
        ),
    }
}

fn offered_protocols<'a>(fields: &Fields<'a>) -> Result<Vec<&'a str>, Refused> {
    let mut protocols = Vec::new();
    for element in fields.elements("sec-websocket-protocol") {
        match str::from_utf8(element) {
            Ok(name) if name.bytes().all(is_token_byte) => protocols.push(name),
            _ => return refuse(Refusal::BadUpgrade, "Sec-WebSocket-Protocol is malformed"),
        }
    }
    Ok(protocols)
}

fn refuse<T>(refusal: Refusal, detail: &'static str) -> Result<T, Refused> {
    Err(Refused { refusal, detail })
}

/// RFC 6455 section 1.3.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    const GOOD: &str = "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
                        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    fn checked(line: &str, fields: &str) -> Result<Expected, Refusal> {
        let bytes = format!("{line}\r\nHost: a\r\n{fields}\r\n");
        let head = RequestHead::parse(bytes.as_bytes()).unwrap();
        check_upgrade(&head)
            .map(|request| request.expected())
            .map_err(|refused| refused.refusal)
    }

    #[test]
    fn the_key_of_the_rfc_has_the_answer_of_the_rfc() {
        assert_eq!(accept_key(KEY), ACCEPT.as_bytes());
    }

    #[test]
    fn a_browser_upgrade_is_taken() {
        let extra = "Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Protocol: v2\r\n\
                     Sec-WebSocket-Extensions: x; a=\"b, c\", permessage-deflate; client_max_window_bits\r\n";
        let expected = checked("GET / HTTP/1.1", &format!("{GOOD}{extra}")).unwrap();
        assert_eq!(expected.accept, ACCEPT.as_bytes());
        assert_eq!(expected.protocols, "chat,superchat,v2");
        assert!(expected.deflate_offered);
        let plain = checked("GET / HTTP/1.1", &format!("{GOOD}Content-Length: 0\r\n")).unwrap();
        assert!(plain.protocols.is_empty() && !plain.deflate_offered);
    }

    #[test]
    fn an_offer_inside_quotes_is_no_offer() {
        let extra = "Sec-WebSocket-Extensions: x; a=\"b, permessage-deflate\"\r\n";
        assert!(
            !checked("GET / HTTP/1.1", &format!("{GOOD}{extra}"))
                .unwrap()
                .deflate_offered
        );
    }

    #[test]
    fn only_a_get_of_http_1_1_without_a_body_upgrades() {
        assert_eq!(
            checked("POST / HTTP/1.1", GOOD),
            Err(Refusal::MethodNotAllowed)
        );
        assert_eq!(
            checked("get / HTTP/1.1", GOOD),
            Err(Refusal::MethodNotAllowed)
        );
        assert_eq!(
            checked("GET / HTTP/1.0", GOOD),
            Err(Refusal::UpgradeRequired)
        );
        for body in ["Content-Length: 1\r\n", "Transfer-Encoding: chunked\r\n"] {
            let fields = format!("{GOOD}{body}");
            assert_eq!(
                checked("GET / HTTP/1.1", &fields),
                Err(Refusal::BadUpgrade),
                "{body}"
            );
        }
    }

    #[test]
    fn a_handshake_with_one_thing_wrong_is_refused() {
        for (from, to, refusal) in [
            (
                "Upgrade: websocket",
                "Upgrade: h2c",
                Refusal::UpgradeRequired,
            ),
            (
                "Upgrade: websocket",
                "Upgrade: websocket/13",
                Refusal::UpgradeRequired,
            ),
            ("Upgrade: websocket\r\n", "", Refusal::UpgradeRequired),
            ("keep-alive, Upgrade", "keep-alive", Refusal::BadUpgrade),
            ("keep-alive, Upgrade", "xupgrade", Refusal::BadUpgrade),
            ("Version: 13", "Version: 8", Refusal::UpgradeRequired),
            ("Version: 13", "Version: 013", Refusal::UpgradeRequired),
            ("Version: 13", "Version: 13, 8", Refusal::UpgradeRequired),
            (
                "Sec-WebSocket-Version: 13\r\n",
                "",
                Refusal::UpgradeRequired,
            ),
            (
                "Version: 13",
                "Version: 13\r\nSec-WebSocket-Version: 13",
                Refusal::BadUpgrade,
            ),
            (KEY, "", Refusal::BadUpgrade),
            (KEY, "dGhlIHNhbXBsZSBub25jZQ", Refusal::BadUpgrade),
            (KEY, "dGhlIHNhbXBsZSBub25jZR==", Refusal::BadUpgrade),
            (KEY, "dGhlIHNhbXBsZSBub25j", Refusal::BadUpgrade),
            (KEY, "dGhlIHNhbXBsZSBub25jZQAA", Refusal::BadUpgrade),
            (
                KEY,
                "dGhlIHNhbXBsZSBub25jZQAAdGhlIHNhbXBsZSBub25jZQAA",
                Refusal::BadUpgrade,
            ),
            (KEY, "dGhl_HNhbXBsZSBub25jZQ==", Refusal::BadUpgrade),
            (
                KEY,
                "dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Key: a",
                Refusal::BadUpgrade,
            ),
            ("Sec-WebSocket-Key", "X-Key", Refusal::BadUpgrade),
            (
                "Upgrade: w",
                "Sec-WebSocket-Protocol: a b\r\nUpgrade: w",
                Refusal::BadUpgrade,
            ),
        ] {
            let fields = GOOD.replace(from, to);
            assert_ne!(fields, GOOD);
            assert_eq!(
                checked("GET / HTTP/1.1", &fields),
                Err(refusal),
                "{from} -> {to}"
            );
        }
    }
}
