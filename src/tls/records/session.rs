//! One connection's records after its handshake: what is opened, what is sealed, and when it is over.

use std::ops::Range;

use thiserror::Error;

use super::super::settings::{Suite, Version};
use super::alert::{Alert, FATAL, WARNING};
use super::cipher;
use super::frozen::Frozen;
use super::half::Half;
use super::keys::Keys;
use super::post::{KEY_UPDATE_MESSAGE, Post, Update};
use super::record::{self, HEADER_BYTES, Header, Kind, Plain};
use super::secret::neither_copied_nor_shown;
use crate::limits::{RECORD_WARNINGS_MAX, RECORDS_FOR_GOODBYE, RECORDS_WITHOUT_DATA_MAX};

/// Which side of the connection we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// We asked.
    Client,
    /// We were asked.
    Server,
}

/// What the front of the received bytes is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The record is cut: it, or its header, takes so many bytes in all. Nothing was changed.
    Need(usize),
    /// Data stands at `at`, opened. At least one byte.
    Data {
        /// Where in `wire`.
        at: Range<usize>,
        /// The bytes of the record: what comes next begins there.
        used: usize,
    },
    /// A record without anything for us.
    Quiet {
        /// The bytes of the record.
        used: usize,
    },
    /// The peer seals with its next key from here on (TLS 1.3).
    Rekeyed {
        /// The bytes of the record.
        used: usize,
    },
    /// Tickets for later connections (TLS 1.3, client). A key update may have stood behind them.
    Ticket {
        /// One message or more, with headers, for [`tickets`](super::tickets).
        at: Range<usize>,
        /// The bytes of the record.
        used: usize,
    },
    /// The peer sends nothing more: what it still sends is ignored.
    Closed {
        /// The bytes of the record, or all there are if it was said before.
        used: usize,
    },
    /// The peer gave up, for this reason.
    Aborted(Alert),
    /// The peer broke a rule and should hear so by [`Session::refuse`]. It stays refused.
    Refuse(Alert),
}

/// Why nothing more can be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Spent {
    /// We said that nothing more comes from us.
    #[error("the connection was closed by us")]
    Closed,
    /// TLS 1.2: the key sealed as many records as it may, and there is no other. Closing is all that is left.
    #[error("the key of this TLS 1.2 connection sealed as many records as it may")]
    KeyWornOut,
}

/// One connection's records, in both directions. It is the only writer of its connection: `freeze` takes it, and nothing
/// else gets its secrets out.
pub struct Session {
    pub(super) tx: Half,
    pub(super) rx: Half,
    pub(super) post: Post,
    /// Records that one key may seal.
    pub(super) limit: u32,
    pub(super) role: Role,
    pub(super) heard: Heard,
    /// The peer wants our next key before our next data.
    pub(super) owed: bool,
    /// We said that nothing more comes from us.
    pub(super) said_end: bool,
    /// Records in a row without data.
    pub(super) quiet: u8,
    pub(super) warnings: u8,
}

/// How the receiving direction ended, if it did. It stays so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    Live,
    CloseNotify,
    Aborted(Alert),
    Refused(Alert),
}

// A tunnel that is idle has nothing else of TLS, and its keys may be cold.
const _: () = assert!(size_of::<Session>() <= 232);
neither_copied_nor_shown!(Session, Half, Keys, Frozen);

impl Session {
    /// A connection whose handshake is over. Panics if a half was made for another suite or version.
    pub fn new(version: Version, suite: Suite, role: Role, tx: Half, rx: Half) -> Self {
        for half in [&tx, &rx] {
            assert!(
                half.suite == suite && half.version == version,
                "invariant: both halves are made for the suite and version that were agreed on"
            );
        }
        Self {
            tx,
            rx,
            post: Post::default(),
            limit: cipher::records_per_key_max(suite),
            role,
            heard: Heard::Live,
            owed: false,
            said_end: false,
            quiet: 0,
            warnings: 0,
        }
    }

    /// The same with another number of records for each key; at least two, as a key update takes one.
    #[must_use]
    pub fn with_limit(mut self, records_per_key_max: u32) -> Self {
        self.limit = records_per_key_max.max(2);
        self
    }

    /// The version that was agreed on.
    pub const fn version(&self) -> Version {
        self.tx.version
    }

    /// The suite that was agreed on.
    pub const fn suite(&self) -> Suite {
        self.tx.suite
    }

    /// Which side we are.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Whether the peer said that nothing more comes. If its bytes end before that, somebody may have cut them.
    pub const fn saw_close_notify(&self) -> bool {
        matches!(self.heard, Heard::CloseNotify)
    }

    /// Whether we said that nothing more comes from us.
    pub const fn is_closed(&self) -> bool {
        self.said_end
    }

    /// Whether a key update goes out before our next data.
    pub fn owes_update(&self) -> bool {
        let worn_out = self.tx.sequence + 1 >= self.limit.into();
        self.version() == Version::Tls13 && !self.said_end && (self.owed || worn_out)
    }

    /// Whether a key is near its end and no other follows it, as in TLS 1.2: what is left is for goodbyes.
    pub fn wears_out(&self) -> bool {
        let kept = RECORDS_FOR_GOODBYE.min(self.limit / 4);
        let used = self.tx.sequence.max(self.rx.sequence);
        self.version() == Version::Tls12 && used >= u64::from(self.limit - kept)
    }

    /// Looks at the record at the front of `wire` and opens it where it stands. However the bytes come in, the verdicts
    /// are the same; but a header is refused as soon as it is whole. Nothing behind the record is touched.
    pub fn open(&mut self, keys: &mut Keys, wire: &mut [u8]) -> Verdict {
        match self.heard {
            Heard::Live => {}
            Heard::CloseNotify => return Verdict::Closed { used: wire.len() },
            Heard::Aborted(alert) => return Verdict::Aborted(alert),
            Heard::Refused(alert) => return Verdict::Refuse(alert),
        }
        self.read(keys, wire).unwrap_or_else(|alert| {
            self.heard = Heard::Refused(alert);
            self.post = Post::default();
            Verdict::Refuse(alert)
        })
    }

    /// Seals data of up to 16,384 bytes into one record at the front of `out`, which has room for
    /// [`sealed_bytes_max`](super::sealed_bytes_max), and says how many bytes that takes. A key update may go first.
    /// No data takes no record.
    pub fn seal(&mut self, keys: &mut Keys, plain: &[u8], out: &mut [u8]) -> Result<usize, Spent> {
        self.may_seal()?;
        if plain.is_empty() {
            return Ok(0);
        }
        let front = self.update(keys, out);
        let record = self.put(keys, Kind::Data, Plain::Apart(plain), &mut out[front..]);
        Ok(front + record)
    }

    /// Seals several pieces into one record, as [`Self::seal`] does with one. They are copied together in `out`.
    pub fn seal_gathered<'a>(
        &mut self,
        keys: &mut Keys,
        pieces: impl IntoIterator<Item = &'a [u8]>,
        out: &mut [u8],
    ) -> Result<usize, Spent> {
        self.may_seal()?;
        let front = if self.owes_update() {
            self.update_bytes()
        } else {
            0
        };
        let start = front + record::head_bytes(self.version(), self.suite());
        let mut end = start;
        for piece in pieces {
            out[end..end + piece.len()].copy_from_slice(piece);
            end += piece.len();
        }
        if end == start {
            return Ok(0);
        }
        self.update(keys, out);
        let record = self.put(
            keys,
            Kind::Data,
            Plain::InPlace(end - start),
            &mut out[front..],
        );
        Ok(front + record)
    }

    /// Says that nothing more comes from us, and how many bytes of `out` that takes:
    /// [`ALERT_BYTES_MAX`](super::ALERT_BYTES_MAX) at most, none if it was said before. What the peer sends can still be
    /// opened.
    pub fn close(&mut self, keys: &mut Keys, out: &mut [u8]) -> usize {
        self.last_words(Alert::CLOSE_NOTIFY, keys, out)
    }

    /// Tells the peer why the connection ends. Nothing is sealed or opened after it.
    pub fn refuse(&mut self, alert: Alert, keys: &mut Keys, out: &mut [u8]) -> usize {
        if self.heard == Heard::Live {
            self.heard = Heard::Refused(alert);
        }
        self.last_words(alert, keys, out)
    }

    // --- What comes in ---

    fn read(&mut self, keys: &mut Keys, wire: &mut [u8]) -> Result<Verdict, Alert> {
        let Some(header) = Header::read(self.version(), self.suite(), wire)? else {
            return Ok(Verdict::Need(HEADER_BYTES));
        };
        let used = header.whole();
        let Some(record) = wire.get_mut(..used) else {
            return Ok(Verdict::Need(used));
        };
        if self.rx.sequence >= self.opened_max() {
            return Err(Alert::INTERNAL_ERROR);
        }
        let key = keys.rx.of(&self.rx);
        let (kind, at) = record::open(&mut self.rx, key, &header, record)?;
        if self.post.is_under_way() && kind != Kind::Handshake {
            return Err(Alert::UNEXPECTED_MESSAGE);
        }
        match kind {
            Kind::Data if at.is_empty() => {
                self.count_quiet()?;
                Ok(Verdict::Quiet { used })
            }
            Kind::Data => {
                self.quiet = 0;
                Ok(Verdict::Data { at, used })
            }
            Kind::Alert => self.hear(&record[at], used),
            Kind::Handshake => self.follow(keys, &record[at.clone()], at.start, used),
            Kind::ChangeCipherSpec => Err(Alert::UNEXPECTED_MESSAGE),
        }
    }

    /// How many records we open with one key. In TLS 1.3 how much the peer seals with one is for the peer to count; in
    /// TLS 1.2 it has no way to go on.
    fn opened_max(&self) -> u64 {
        match self.version() {
            Version::Tls12 => self.limit.into(),
            Version::Tls13 => u64::MAX,
        }
    }

    /// An alert. TLS 1.3 calls all but two fatal, whatever their level says (RFC 8446 section 6).
    fn hear(&mut self, message: &[u8], used: usize) -> Result<Verdict, Alert> {
        let &[level, description] = message else {
            // An empty one may not be (RFC 8446 section 5.4), one that is cut never is.
            return Err(if message.is_empty() {
                Alert::UNEXPECTED_MESSAGE
            } else {
                Alert::DECODE_ERROR
            });
        };
        if ![WARNING, FATAL].contains(&level) {
            return Err(Alert::ILLEGAL_PARAMETER);
        }
        let alert = Alert(description);
        if alert == Alert::CLOSE_NOTIFY {
            self.heard = Heard::CloseNotify;
            return Ok(Verdict::Closed { used });
        }
        let tls_12 = self.version() == Version::Tls12;
        if level == WARNING && (tls_12 || alert == Alert::USER_CANCELED) {
            if self.warnings == RECORD_WARNINGS_MAX {
                return Err(Alert::UNEXPECTED_MESSAGE);
            }
            self.warnings += 1;
            return Ok(Verdict::Quiet { used });
        }
        self.heard = Heard::Aborted(alert);
        Ok(Verdict::Aborted(alert))
    }

    /// Handshake messages.
    fn follow(
        &mut self,
        keys: &mut Keys,
        bytes: &[u8],
        start: usize,
        used: usize,
    ) -> Result<Verdict, Alert> {
        if self.version() == Version::Tls12 {
            return Err(refusal_12(self.role, bytes));
        }
        if bytes.is_empty() {
            return Err(Alert::UNEXPECTED_MESSAGE);
        }
        let news = self.post.take(self.role, bytes)?;
        if let Some(update) = news.update {
            self.count_quiet()?;
            self.owed |= update == Update::Answer;
            self.rx.renew();
            keys.rx.cool();
        }
        let tickets = news.tickets;
        Ok(if !tickets.is_empty() {
            let at = start + tickets.start..start + tickets.end;
            Verdict::Ticket { at, used }
        } else if news.update.is_some() {
            Verdict::Rekeyed { used }
        } else {
            Verdict::Quiet { used }
        })
    }

    /// One more record without data.
    fn count_quiet(&mut self) -> Result<(), Alert> {
        if self.quiet == RECORDS_WITHOUT_DATA_MAX {
            return Err(Alert::UNEXPECTED_MESSAGE);
        }
        self.quiet += 1;
        Ok(())
    }

    // --- What goes out ---

    fn may_seal(&self) -> Result<(), Spent> {
        if self.said_end {
            return Err(Spent::Closed);
        }
        // The last number is kept for the close_notify.
        let worn_out = self.tx.sequence + 1 >= self.limit.into();
        if self.version() == Version::Tls12 && worn_out {
            return Err(Spent::KeyWornOut);
        }
        Ok(())
    }

    /// Goes on to our next key, if that is due: by a key update, which takes the last number of the old one. One answers
    /// all that the peer asked for.
    fn update(&mut self, keys: &mut Keys, out: &mut [u8]) -> usize {
        if !self.owes_update() {
            return 0;
        }
        let message = Plain::Apart(&KEY_UPDATE_MESSAGE);
        let bytes = self.put(keys, Kind::Handshake, message, out);
        self.tx.renew();
        keys.tx.cool();
        self.owed = false;
        bytes
    }

    fn update_bytes(&self) -> usize {
        record::record_bytes(self.version(), self.suite(), KEY_UPDATE_MESSAGE.len())
    }

    fn last_words(&mut self, alert: Alert, keys: &mut Keys, out: &mut [u8]) -> usize {
        if self.said_end {
            return 0;
        }
        self.said_end = true;
        self.put(keys, Kind::Alert, Plain::Apart(&alert.message()), out)
    }

    fn put(&mut self, keys: &mut Keys, kind: Kind, plain: Plain<'_>, out: &mut [u8]) -> usize {
        let key = keys.tx.of(&self.tx);
        record::seal(&mut self.tx, key, kind, plain, out)
    }
}

/// What a handshake message of TLS 1.2 gets: there is no second handshake (RFC 5246 section 7.2.2), and no other message
/// after the first.
fn refusal_12(role: Role, bytes: &[u8]) -> Alert {
    match (role, bytes.first()) {
        (Role::Client, Some(&HELLO_REQUEST)) | (Role::Server, Some(&CLIENT_HELLO)) => {
            Alert::NO_RENEGOTIATION
        }
        _ => Alert::UNEXPECTED_MESSAGE,
    }
}

const HELLO_REQUEST: u8 = 0;
const CLIENT_HELLO: u8 = 1;
