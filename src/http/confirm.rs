//! What proves a backend's yes to WebSocket: RFC 6455 section 4.1, the second list.

use thiserror::Error;

use super::fields::{Fields, Occurrence};
use super::upgrade::is_deflate;
use super::{ResponseHead, Version};

/// What a backend's 101 must prove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The right `Sec-WebSocket-Accept`.
    pub accept: [u8; 28],
    /// The subprotocols offered, with commas between them, which no token contains.
    pub protocols: String,
    /// Whether permessage-deflate was offered.
    pub deflate_offered: bool,
}

impl Expected {
    /// This subprotocol, if the client offers it.
    pub fn offered<'a>(&self, name: Option<&'a str>) -> Option<&'a str> {
        name.filter(|name| self.protocols.split(',').any(|offered| offered == *name))
    }
}

/// A backend's proven yes. Only [`verify_101`] should make one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confirmed {
    /// Whether permessage-deflate was agreed, so that RSV1 is legal. RSV2 and RSV3 never are.
    pub deflate: bool,
}

/// Why a backend's answer proves nothing (security rule 1). The backend caused each of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadUpgrade {
    /// Not 101, so not an upgrade at all.
    #[error("the status is not 101")]
    NotSwitching,
    /// HTTP/1.0 cannot upgrade.
    #[error("the 101 is HTTP/1.0")]
    OldVersion,
    /// `Upgrade` is missing or is anything but `websocket`.
    #[error("Upgrade is not exactly websocket")]
    NotWebSocket,
    /// `Connection` does not name `upgrade`.
    #[error("Connection does not name upgrade")]
    NoConnectionUpgrade,
    /// No `Sec-WebSocket-Accept`.
    #[error("Sec-WebSocket-Accept is missing")]
    AcceptMissing,
    /// The answer to some other key.
    #[error("Sec-WebSocket-Accept does not answer the key")]
    AcceptWrong,
    /// Two answers to one key.
    #[error("Sec-WebSocket-Accept is there twice")]
    AcceptDoubled,
    /// A subprotocol the client did not offer.
    #[error("the subprotocol was not offered")]
    ProtocolNotOffered,
    /// Several subprotocols, in one field or in several.
    #[error("more than one subprotocol was chosen")]
    ProtocolDoubled,
    /// An extension the client did not offer, one we cannot judge, or one agreed twice.
    #[error("an extension was not offered")]
    ExtensionNotOffered,
}

/// Checks a backend's 101 against what the client asked. An extension other than permessage-deflate is
/// refused even if the client offered it: its frames could use any reserved bit, and could not be judged.
/// [`super::render_upgrade`] keeps such offers from backends, so an honest one never gets here.
pub fn verify_101(head: &ResponseHead<'_>, expected: &Expected) -> Result<Confirmed, BadUpgrade> {
    let fields = head.fields();
    if head.status() != 101 {
        return Err(BadUpgrade::NotSwitching);
    }
    if head.version() != Version::Http11 {
        return Err(BadUpgrade::OldVersion);
    }
    let mut upgrades = fields.elements("upgrade");
    if !upgrades
        .next()
        .is_some_and(|token| token.eq_ignore_ascii_case(b"websocket"))
        || upgrades.next().is_some()
    {
        return Err(BadUpgrade::NotWebSocket);
    }
    if !fields.has_token("connection", "upgrade") {
        return Err(BadUpgrade::NoConnectionUpgrade);
    }
    match fields.only("sec-websocket-accept") {
        Occurrence::Missing => return Err(BadUpgrade::AcceptMissing),
        Occurrence::Several => return Err(BadUpgrade::AcceptDoubled),
        Occurrence::Once(value) if value != expected.accept => return Err(BadUpgrade::AcceptWrong),
        Occurrence::Once(_) => {}
    }
    verify_protocol(fields, &expected.protocols)?;
    Ok(Confirmed {
        deflate: verify_extensions(fields, expected.deflate_offered)?,
    })
}

fn verify_protocol(fields: &Fields<'_>, offered: &str) -> Result<(), BadUpgrade> {
    let chosen = match fields.only("sec-websocket-protocol") {
        Occurrence::Missing => return Ok(()),
        Occurrence::Several => return Err(BadUpgrade::ProtocolDoubled),
        Occurrence::Once(value) => value,
    };
    if chosen.contains(&b',') {
        Err(BadUpgrade::ProtocolDoubled)
    } else if !chosen.is_empty() && offered.split(',').any(|name| name.as_bytes() == chosen) {
        Ok(())
    } else {
        Err(BadUpgrade::ProtocolNotOffered)
    }
}

fn verify_extensions(fields: &Fields<'_>, deflate_offered: bool) -> Result<bool, BadUpgrade> {
    let mut deflate = false;
    for element in fields.elements("sec-websocket-extensions") {
        if deflate || !deflate_offered || !is_deflate(element) {
            return Err(BadUpgrade::ExtensionNotOffered);
        }
        deflate = true;
    }
    Ok(deflate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::accept_key;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    const PROOF: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\n\
                         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

    fn verified(fields: &str) -> Result<bool, BadUpgrade> {
        answered("HTTP/1.1 101 Switching Protocols", fields, true)
    }

    fn answered(line: &str, fields: &str, deflate_offered: bool) -> Result<bool, BadUpgrade> {
        let expected = Expected {
            accept: accept_key(KEY),
            protocols: "chat,superchat".to_owned(),
            deflate_offered,
        };
        let bytes = format!("{line}\r\n{fields}\r\n");
        let head = ResponseHead::parse(bytes.as_bytes()).unwrap();
        verify_101(&head, &expected).map(|confirmed| confirmed.deflate)
    }

    #[test]
    fn a_proof_confirms_what_was_agreed() {
        assert_eq!(verified(PROOF), Ok(false));
        assert_eq!(
            verified(&format!("{PROOF}Sec-WebSocket-Protocol: superchat\r\n")),
            Ok(false)
        );
        let deflate =
            "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n";
        assert_eq!(verified(&format!("{PROOF}{deflate}")), Ok(true));
        assert_eq!(
            verified(&PROOF.replace("Connection: U", "connection: close, u")),
            Ok(false)
        );
        assert_eq!(
            verified(&PROOF.replace(": websocket", ": WebSocket")),
            Ok(false)
        );
    }

    #[test]
    fn a_101_that_proves_nothing_is_refused() {
        for (from, to, error) in [
            ("Upgrade: websocket\r\n", "", BadUpgrade::NotWebSocket),
            (
                "Upgrade: websocket",
                "Upgrade: h2c",
                BadUpgrade::NotWebSocket,
            ),
            (
                "Upgrade: websocket",
                "Upgrade: websocket, h2c",
                BadUpgrade::NotWebSocket,
            ),
            (
                "Upgrade: websocket",
                "Upgrade: websocket\r\nUpgrade: h2c",
                BadUpgrade::NotWebSocket,
            ),
            (
                "Connection: Upgrade",
                "Connection: close",
                BadUpgrade::NoConnectionUpgrade,
            ),
            (
                "Sec-WebSocket-Accept",
                "X-Accept",
                BadUpgrade::AcceptMissing,
            ),
            (ACCEPT, "", BadUpgrade::AcceptWrong),
            (
                ACCEPT,
                "S3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
                BadUpgrade::AcceptWrong,
            ),
            (
                ACCEPT,
                "s3pPLMBiTxaQ9kYGzzhZRbK+xOo",
                BadUpgrade::AcceptWrong,
            ),
        ] {
            let fields = PROOF.replace(from, to);
            assert_ne!(fields, PROOF);
            assert_eq!(verified(&fields), Err(error), "{from} -> {to}");
        }
    }

    #[test]
    fn a_101_that_adds_what_was_not_agreed_is_refused() {
        for (line, error) in [
            (
                "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
                BadUpgrade::AcceptDoubled,
            ),
            (
                "Sec-WebSocket-Protocol: Chat",
                BadUpgrade::ProtocolNotOffered,
            ),
            ("Sec-WebSocket-Protocol:", BadUpgrade::ProtocolNotOffered),
            (
                "Sec-WebSocket-Protocol: chat, superchat",
                BadUpgrade::ProtocolDoubled,
            ),
            (
                "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: chat",
                BadUpgrade::ProtocolDoubled,
            ),
            (
                "Sec-WebSocket-Extensions: x-unknown",
                BadUpgrade::ExtensionNotOffered,
            ),
            (
                "Sec-WebSocket-Extensions: permessage-deflate, x",
                BadUpgrade::ExtensionNotOffered,
            ),
            (
                "Sec-WebSocket-Extensions: permessage-deflate, permessage-deflate",
                BadUpgrade::ExtensionNotOffered,
            ),
        ] {
            assert_eq!(
                verified(&format!("{PROOF}{line}\r\n")),
                Err(error),
                "{line}"
            );
        }
    }

    #[test]
    fn only_a_101_of_http_1_1_can_confirm_and_only_what_was_offered() {
        assert_eq!(
            answered("HTTP/1.1 200 OK", PROOF, true),
            Err(BadUpgrade::NotSwitching)
        );
        assert_eq!(
            answered("HTTP/1.0 101 OK", PROOF, true),
            Err(BadUpgrade::OldVersion)
        );
        let deflate = format!("{PROOF}Sec-WebSocket-Extensions: permessage-deflate\r\n");
        let verdict = answered("HTTP/1.1 101 OK", &deflate, false);
        assert_eq!(verdict, Err(BadUpgrade::ExtensionNotOffered));
    }
}
