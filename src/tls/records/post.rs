//! Messages that follow a handshake of TLS 1.3: key updates, and the tickets of a server (RFC 8446 section 4.6).

use std::ops::Range;

use super::super::settings::Version;
use super::alert::Alert;
use super::session::Role;
use crate::limits::RECORD_TICKET_BYTES_MAX;

/// The message that records have begun and not ended.
///
/// A ticket is passed on only if it is whole in one record, as all servers send them. One that is cut over records is
/// counted to its end and forgotten: it would have to be kept somewhere, and all it is worth is one resumption.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Post {
    /// The type and length of the message under way.
    pub(super) header: [u8; MESSAGE_HEADER_BYTES],
    /// Invariant: `filled <= header.len()`; full only while the one byte of a key update is missing.
    pub(super) filled: u8,
    /// Bytes of a cut ticket that are still to come. Invariant: zero unless `filled` is.
    pub(super) skip: u32,
}

/// What the messages of one record say.
#[derive(Default)]
pub(super) struct News {
    /// Whole tickets with their headers.
    pub(super) tickets: Range<usize>,
    pub(super) update: Option<Update>,
}

/// The peer's next record is sealed with its next key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Update {
    /// Ours need not be.
    Quiet,
    /// Ours must be too.
    Answer,
}

impl Post {
    /// Whether a message was begun and not ended. Nothing else may come before its end (RFC 8446 section 5.1).
    pub(super) const fn is_under_way(&self) -> bool {
        self.filled > 0 || self.skip > 0
    }

    /// Whether records can have left it like this.
    pub(super) fn may_be(&self, version: Version, role: Role) -> bool {
        let filled = usize::from(self.filled);
        let empty_behind = self.header.iter().skip(filled).all(|byte| *byte == 0);
        let counts = self.skip > 0;
        match version {
            Version::Tls12 => *self == Self::default(),
            Version::Tls13 if !self.is_under_way() => empty_behind,
            Version::Tls13 if counts => {
                role == Role::Client
                    && filled == 0
                    && empty_behind
                    && self.skip as usize <= RECORD_TICKET_BYTES_MAX
            }
            Version::Tls13 => {
                let message = self.message(role);
                let waits = matches!(message, Ok(None | Some(Message::KeyUpdate)));
                waits && filled <= MESSAGE_HEADER_BYTES && empty_behind
            }
        }
    }

    /// Takes what one record carries. Cutting the messages over other records changes only which tickets are found.
    pub(super) fn take(&mut self, role: Role, bytes: &[u8]) -> Result<News, Alert> {
        let mut news = News::default();
        let mut at = 0;
        while at < bytes.len() {
            if self.skip > 0 {
                let part = (self.skip as usize).min(bytes.len() - at);
                self.skip -= u32::try_from(part).expect("invariant: it is no more than `skip`");
                at += part;
                continue;
            }
            let start = at;
            let begins_here = self.filled == 0;
            at += self.fill(&bytes[at..]);
            let Some(message) = self.message(role)? else {
                break;
            };
            match message {
                Message::KeyUpdate => {
                    let Some(body) = bytes.get(at) else {
                        break;
                    };
                    // The next record has another key, so nothing may stand behind it (RFC 8446 section 5.1).
                    if at + 1 < bytes.len() {
                        return Err(Alert::UNEXPECTED_MESSAGE);
                    }
                    news.update = Some(Update::read(*body)?);
                    at += 1;
                }
                Message::Ticket { length } if begins_here && length <= bytes.len() - at => {
                    at += length;
                    if news.tickets.is_empty() {
                        news.tickets.start = start;
                    }
                    news.tickets.end = at;
                }
                Message::Ticket { length } => {
                    self.skip = u32::try_from(length).expect("invariant: it has three bytes");
                }
            }
            self.filled = 0;
            self.header = [0; MESSAGE_HEADER_BYTES];
        }
        Ok(news)
    }

    /// Tops the header up, and says with how many bytes.
    fn fill(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        for (room, byte) in self.header[usize::from(self.filled)..]
            .iter_mut()
            .zip(bytes)
        {
            *room = *byte;
            self.filled += 1;
            taken += 1;
        }
        taken
    }

    /// The message whose header is whole. One that may not come is refused by what is known of it.
    fn message(&self, role: Role) -> Result<Option<Message>, Alert> {
        let [kind, length @ ..] = self.header;
        let is_ticket = kind == NEW_SESSION_TICKET && role == Role::Client;
        if kind != KEY_UPDATE && !is_ticket {
            return Err(Alert::UNEXPECTED_MESSAGE);
        }
        if usize::from(self.filled) < MESSAGE_HEADER_BYTES {
            return Ok(None);
        }
        let length = message_bytes(length);
        match kind {
            KEY_UPDATE if length == 1 => Ok(Some(Message::KeyUpdate)),
            NEW_SESSION_TICKET if length <= RECORD_TICKET_BYTES_MAX => {
                Ok(Some(Message::Ticket { length }))
            }
            _ => Err(Alert::DECODE_ERROR),
        }
    }
}

impl Update {
    const fn read(body: u8) -> Result<Self, Alert> {
        match body {
            0 => Ok(Self::Quiet),
            1 => Ok(Self::Answer),
            _ => Err(Alert::ILLEGAL_PARAMETER),
        }
    }
}

#[derive(Clone, Copy)]
enum Message {
    KeyUpdate,
    /// Of so many bytes behind its header.
    Ticket {
        length: usize,
    },
}

/// The tickets that a [`Verdict::Ticket`](super::Verdict::Ticket) tells the place of, each without its header of four
/// bytes: what rustls takes as `handle_new_session_ticket`. Whether they can be read is for their reader to say.
pub fn tickets(mut messages: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let ([_, length @ ..], rest) = messages.split_first_chunk::<MESSAGE_HEADER_BYTES>()?;
        let (body, rest) = rest.split_at_checked(message_bytes(*length))?;
        messages = rest;
        Some(body)
    })
}

fn message_bytes([high, middle, low]: [u8; 3]) -> usize {
    usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low)
}

/// The type and the length before every message (RFC 8446 section 4).
pub(super) const MESSAGE_HEADER_BYTES: usize = 4;
pub(super) const NEW_SESSION_TICKET: u8 = 4;
pub(super) const KEY_UPDATE: u8 = 24;
/// We never ask for an answer: how much the peer seals is for the peer to count.
pub(super) const KEY_UPDATE_MESSAGE: [u8; 5] = [KEY_UPDATE, 0, 0, 1, 0];
