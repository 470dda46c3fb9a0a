//! One connection's records as they come off a socket and go onto it: cut anywhere, and many at once.

use std::ops::Range;

use super::door::TicketTaker;
use super::records;
use super::records::{Alert, Keys, Session, Spent, Verdict, sealed_bytes_max};
use crate::limits;
use crate::limits::RECORD_PLAIN_BYTES_MAX;

/// One connection after its handshake: the state of its records, the keys while it is active, and the start of a
/// record whose rest has not come.
pub struct Wire {
    session: Session,
    keys: Keys,
    held: Vec<u8>,
    /// How long the record is that is held, as far as is known.
    needs: usize,
    tickets: Option<Box<TicketTaker>>,
    /// The end of our handshake. It goes out before the first record that is sealed here.
    last_flight: Vec<u8>,
    ended: bool,
}

/// How the peer's stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamEnd {
    /// With `close_notify`, as it should.
    Closed,
    /// The peer gave up, and says why.
    Aborted(Alert),
    /// What it sent may not be: it is to be told this.
    Refused(Alert),
}

/// What some bytes of the wire came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Where the plain bytes stand now, pulled together.
    pub plain: Range<usize>,
    /// How many bytes of the wire are done with. What follows is the start of a record.
    pub used: usize,
    /// The stream has ended: nothing that follows counts.
    pub end: Option<StreamEnd>,
}

/// What was sealed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed {
    /// Plain bytes that went in.
    pub plain: usize,
    /// Bytes for the wire.
    pub bytes: usize,
}

impl Wire {
    /// A connection whose handshake is over. `tickets` takes what a server gives for the next time.
    pub fn new(session: Session, tickets: Option<TicketTaker>) -> Self {
        Self {
            session,
            keys: Keys::new(),
            held: Vec::new(),
            needs: 0,
            tickets: tickets.map(Box::new),
            last_flight: Vec::new(),
            ended: false,
        }
    }

    /// The same with the end of our handshake, at most [`LAST_FLIGHT_BYTES_MAX`](limits::LAST_FLIGHT_BYTES_MAX), still to
    /// be sent: in one send with what follows.
    #[must_use]
    pub fn after(mut self, last_flight: Vec<u8>) -> Self {
        debug_assert!(
            last_flight.len() <= limits::LAST_FLIGHT_BYTES_MAX,
            "out has room for it"
        );
        self.last_flight = last_flight;
        self
    }

    /// Hands out the end of our handshake if nothing has followed it yet. Whoever closes or refuses sends it first.
    pub fn take_last_flight(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.last_flight)
    }

    /// Opens all whole records in `wire`, in place, and pulls their plain bytes together. To be asked only while
    /// nothing is [held](Self::holds). Cutting the stream elsewhere never changes the plain bytes.
    pub fn open(&mut self, wire: &mut [u8]) -> Opened {
        let (mut plain, mut used) = (0..0, 0);
        let end = loop {
            if self.ended {
                used = wire.len();
                break None;
            }
            let step = self.session.open(&mut self.keys, &mut wire[used..]);
            let (at, more) = match step {
                Verdict::Need(needs) => {
                    self.needs = needs;
                    break None;
                }
                Verdict::Data { at, used } => (at, used),
                Verdict::Ticket { at, used: more } => {
                    if let Some(tickets) = &mut self.tickets {
                        records::tickets(&wire[used..][at]).for_each(|one| {
                            // One that is not kept costs a full handshake later, no more.
                            let _ = tickets.take(one);
                        });
                    }
                    (0..0, more)
                }
                Verdict::Quiet { used } | Verdict::Rekeyed { used } => (0..0, used),
                Verdict::Closed { used: more } => {
                    used += more;
                    break Some(StreamEnd::Closed);
                }
                Verdict::Aborted(alert) => break Some(StreamEnd::Aborted(alert)),
                Verdict::Refuse(alert) => break Some(StreamEnd::Refused(alert)),
            };
            if !at.is_empty() {
                let at = used + at.start..used + at.end;
                if plain.is_empty() {
                    plain = at;
                } else {
                    let behind = plain.end;
                    plain.end += at.len();
                    wire.copy_within(at, behind);
                }
            }
            used += more;
        };
        if end.is_some() {
            self.ended = true;
        }
        Opened { plain, used, end }
    }

    /// Whether the start of a record is held.
    pub const fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// Holds the start of a record, in this memory.
    pub fn hold(&mut self, start: &[u8], mut memory: Vec<u8>) {
        debug_assert!(!self.holds(), "one record is held at a time");
        memory.clear();
        memory.extend_from_slice(start);
        self.held = memory;
    }

    /// Takes from `wire` what the held record lacks. Says how many bytes those were, and once the record is whole, where
    /// its plain bytes stand in [what is taken back](Self::take_held).
    pub fn complete(&mut self, wire: &[u8]) -> (usize, Option<Opened>) {
        let mut taken = 0;
        loop {
            let mut held = std::mem::take(&mut self.held);
            let opened = self.open(&mut held);
            self.held = held;
            if opened.used > 0 || opened.end.is_some() {
                return (taken, Some(opened));
            }
            let lacks = self.needs.saturating_sub(self.held.len());
            let more = &wire[taken..][..lacks.min(wire.len() - taken)];
            if more.is_empty() {
                return (taken, None);
            }
            self.held.extend_from_slice(more);
            taken += more.len();
        }
    }

    /// The memory of a record that was held and is whole.
    pub fn take_held(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    /// Seals what the pieces hold into as few records as may be, as far as `out` has room. Pieces that are short share a
    /// record; of a long one, what fills a record is sealed from where it stands. `out` has room for one record at least,
    /// and for the last flight before it.
    pub fn seal<'a>(
        &mut self,
        pieces: impl Iterator<Item = &'a [u8]>,
        out: &mut [u8],
    ) -> Result<Sealed, Spent> {
        let flight = self.take_last_flight();
        out[..flight.len()].copy_from_slice(&flight);
        let mut sealed = Sealed {
            plain: 0,
            bytes: flight.len(),
        };
        let mut batch = Batch::default();
        for mut piece in pieces {
            while !piece.is_empty() {
                if out.len() - sealed.bytes < sealed_bytes_max(batch.bytes + 1) {
                    self.seal_batch(&mut batch, out, &mut sealed)?;
                    return Ok(sealed);
                }
                let fits = batch.room(out.len() - sealed.bytes).min(piece.len());
                if fits == 0 {
                    self.seal_batch(&mut batch, out, &mut sealed)?;
                    continue;
                }
                let (now, rest) = piece.split_at(fits);
                batch.push(now);
                piece = rest;
            }
        }
        self.seal_batch(&mut batch, out, &mut sealed)?;
        Ok(sealed)
    }

    fn seal_batch(
        &mut self,
        batch: &mut Batch<'_>,
        out: &mut [u8],
        sealed: &mut Sealed,
    ) -> Result<(), Spent> {
        let out = &mut out[sealed.bytes..];
        let bytes = match batch.pieces() {
            [] => 0,
            [one] => self.session.seal(&mut self.keys, one, out)?,
            many => {
                let pieces = many.iter().copied();
                self.session.seal_gathered(&mut self.keys, pieces, out)?
            }
        };
        sealed.plain += batch.bytes;
        sealed.bytes += bytes;
        *batch = Batch::default();
        Ok(())
    }

    /// Says goodbye (`close_notify`). Hands back how many bytes of `out` are for the wire; nothing is sealed after it.
    pub fn close(&mut self, out: &mut [u8]) -> usize {
        self.session.close(&mut self.keys, out)
    }

    /// Tells the peer what it did wrong. Hands back how many bytes of `out` are for the wire; nothing is sealed after it.
    pub fn refuse(&mut self, alert: Alert, out: &mut [u8]) -> usize {
        self.session.refuse(alert, &mut self.keys, out)
    }

    /// Whether the peer's stream has ended, in whatever way, as the records tell: an end of the socket's stream before
    /// that was made by somebody else (RFC 8446 section 6.1).
    pub const fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether the connection should end while its keys are still good for it.
    pub fn wears_out(&self) -> bool {
        self.session.wears_out()
    }

    /// Whether the keys stand ready, which takes memory.
    pub const fn is_warm(&self) -> bool {
        self.keys.is_warm()
    }

    /// Gives up what an idle connection does not need; the next record makes it again.
    pub fn cool(&mut self) {
        self.keys.cool();
        // A server gives its tickets in the first moments. One that comes later is not needed.
        self.tickets = None;
    }
}

impl std::fmt::Debug for Wire {
    /// Without secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire")
            .field("held", &self.held.len())
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

/// Pieces that go into one record.
#[derive(Default)]
struct Batch<'a> {
    pieces: [&'a [u8]; PIECES_MAX],
    count: usize,
    bytes: usize,
}

impl<'a> Batch<'a> {
    fn pieces(&self) -> &[&'a [u8]] {
        &self.pieces[..self.count]
    }

    fn push(&mut self, piece: &'a [u8]) {
        self.pieces[self.count] = piece;
        self.count += 1;
        self.bytes += piece.len();
    }

    /// How many bytes it may still take, where so many bytes of the wire are left for it.
    fn room(&self, left: usize) -> usize {
        if self.count == PIECES_MAX {
            return 0;
        }
        let overhead = sealed_bytes_max(0);
        (left - overhead).min(RECORD_PLAIN_BYTES_MAX) - self.bytes
    }
}

/// Pieces that one record may be gathered from: as many as one vectored send names.
const PIECES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tls::{Half, Role, Suite, Version};

    /// Both ends of one connection.
    fn pair(version: Version, suite: Suite, limit: u32) -> (Wire, Wire) {
        let key = match suite {
            Suite::Aes128Gcm => 16,
            Suite::Aes256Gcm | Suite::ChaCha20Poly1305 => 32,
        };
        let half = |byte: u8| match version {
            Version::Tls13 if suite == Suite::Aes256Gcm => Half::of_secret(suite, &[byte; 48], 0),
            Version::Tls13 => Half::of_secret(suite, &[byte; 32], 0),
            Version::Tls12 => Half::of_key(suite, &[byte; 32][..key], [byte; 12], 1),
        };
        let end = |role, tx, rx| {
            let (tx, rx) = (half(tx).unwrap(), half(rx).unwrap());
            let session = Session::new(version, suite, role, tx, rx);
            Wire::new(session.with_limit(limit), None)
        };
        (end(Role::Client, 1, 2), end(Role::Server, 2, 1))
    }

    /// Feeds chunks as the relay does; what came out, and how it ended.
    fn feed(
        wire: &mut Wire,
        chunks: impl Iterator<Item = Vec<u8>>,
    ) -> (Vec<u8>, Option<StreamEnd>) {
        let mut out = Vec::new();
        for mut chunk in chunks {
            let mut from = 0;
            if wire.holds() {
                let (taken, whole) = wire.complete(&chunk);
                from = taken;
                let Some(opened) = whole else { continue };
                out.extend_from_slice(&wire.take_held()[opened.plain]);
                if opened.end.is_some() {
                    return (out, opened.end);
                }
            }
            let opened = wire.open(&mut chunk[from..]);
            out.extend_from_slice(&chunk[from..][opened.plain]);
            if opened.end.is_some() {
                return (out, opened.end);
            }
            if from + opened.used < chunk.len() {
                wire.hold(&chunk[from + opened.used..], Vec::new());
            }
        }
        (out, None)
    }

    fn any_suite() -> impl Strategy<Value = (Version, Suite)> {
        let versions = prop_oneof![Just(Version::Tls12), Just(Version::Tls13)];
        (versions, proptest::sample::select(Suite::ALL.to_vec()))
    }

    proptest! {
        #[test]
        fn however_pieces_lie_and_the_wire_is_cut_the_bytes_are_the_same(
            (version, suite) in any_suite(),
            pieces in prop::collection::vec(0_usize..40_000, 0..24),
            room in 200_usize..70_000,
            cuts in prop::collection::vec(1_usize..30_000, 1..40),
        ) {
            let (mut sender, mut receiver) = pair(version, suite, u32::MAX);
            let plain: Vec<Vec<u8>> = pieces
                .iter()
                .map(|&bytes| (0_u8..=252).cycle().take(bytes).collect())
                .collect();
            let whole = plain.concat();
            let (mut sent, mut wire) = (0, Vec::new());
            let mut out = vec![0; room];
            while sent < whole.len() {
                // What is left, in the pieces it stands in.
                let mut skip = sent;
                let rest = plain.iter().filter_map(|piece| {
                    let from = skip.min(piece.len());
                    skip -= from;
                    (from < piece.len()).then(|| &piece[from..])
                });
                let sealed = sender.seal(rest, &mut out).unwrap();
                prop_assert!(sealed.plain > 0, "a turn brings something on its way");
                sent += sealed.plain;
                wire.extend_from_slice(&out[..sealed.bytes]);
            }
            let bytes = sender.close(&mut out);
            wire.extend_from_slice(&out[..bytes]);
            let mut cuts = cuts.into_iter().cycle();
            let mut rest = &wire[..];
            let chunks = std::iter::from_fn(|| {
                let cut = cuts.next()?.min(rest.len());
                let (chunk, after) = rest.split_at(cut);
                rest = after;
                (!chunk.is_empty()).then(|| chunk.to_vec())
            });
            let (came, end) = feed(&mut receiver, chunks);
            prop_assert!(came == whole);
            prop_assert_eq!(end, Some(StreamEnd::Closed));
            prop_assert!(receiver.has_ended());
        }
    }

    #[test]
    fn a_long_send_takes_as_few_records_as_may_be_and_new_keys_in_between() {
        let (mut sender, mut receiver) = pair(Version::Tls13, Suite::Aes128Gcm, 3);
        let plain = vec![7; 10 * RECORD_PLAIN_BYTES_MAX];
        let mut out = vec![0; plain.len() + 10 * sealed_bytes_max(0)];
        let sealed = sender.seal(std::iter::once(&plain[..]), &mut out).unwrap();
        assert_eq!(sealed.plain, plain.len());
        out.truncate(sealed.bytes);
        // Ten records of data, and a key update after each third record.
        assert!(sealed.bytes < plain.len() + 10 * 22 + 5 * 27);
        let (came, end) = feed(&mut receiver, std::iter::once(out));
        assert_eq!((came, end), (plain, None));
    }

    #[test]
    fn the_end_of_a_handshake_leaves_once_and_before_all_else() {
        let (sender, mut receiver) = pair(Version::Tls13, Suite::Aes128Gcm, u32::MAX);
        let mut sender = sender.after(b"flight".to_vec());
        let mut out = vec![0; 4096];
        let sealed = sender
            .seal(std::iter::once(&b"answer"[..]), &mut out)
            .unwrap();
        assert!(out.starts_with(b"flight"));
        assert_eq!(sealed.plain, 6, "it is no data");
        let wire = out[6..sealed.bytes].to_vec();
        assert_eq!(feed(&mut receiver, std::iter::once(wire)).0, b"answer");
        assert!(sender.take_last_flight().is_empty(), "it went already");

        let mut closing = pair(Version::Tls13, Suite::Aes128Gcm, u32::MAX)
            .0
            .after(b"flight".to_vec());
        assert_eq!(
            closing.take_last_flight(),
            b"flight",
            "for who closes first"
        );
        assert!(closing.close(&mut out) > 0);
    }

    #[test]
    fn what_is_forged_or_follows_the_end_brings_nothing() {
        let (mut sender, mut receiver) = pair(Version::Tls13, Suite::Aes128Gcm, u32::MAX);
        let mut out = vec![0; 4096];
        let first = sender
            .seal(std::iter::once(&b"first"[..]), &mut out)
            .unwrap();
        let second = sender
            .seal(std::iter::once(&b"second"[..]), &mut out[first.bytes..])
            .unwrap();
        out[first.bytes + 7] ^= 1;
        let wire = out[..first.bytes + second.bytes].to_vec();
        let (came, end) = feed(&mut receiver, std::iter::once(wire.clone()));
        assert_eq!(came, b"first");
        assert_eq!(end, Some(StreamEnd::Refused(Alert::BAD_RECORD_MAC)));
        let (came, end) = feed(&mut receiver, std::iter::once(wire));
        assert_eq!(
            (came.len(), end),
            (0, None),
            "nothing is opened after the end"
        );
    }

    #[test]
    fn an_idle_connection_holds_neither_keys_nor_bytes() {
        let (mut sender, mut receiver) = pair(Version::Tls13, Suite::Aes128Gcm, u32::MAX);
        let mut out = vec![0; 4096];
        for word in ["one", "two"] {
            let sealed = sender
                .seal(std::iter::once(word.as_bytes()), &mut out)
                .unwrap();
            let (came, _) = feed(&mut receiver, std::iter::once(out[..sealed.bytes].to_vec()));
            assert_eq!(came, word.as_bytes());
            assert!(sender.is_warm() && receiver.is_warm());
            sender.cool();
            receiver.cool();
            assert!(!sender.is_warm() && !receiver.is_warm() && !receiver.holds());
        }
        assert!(size_of::<Wire>() <= 400, "{}", size_of::<Wire>());
    }
}
