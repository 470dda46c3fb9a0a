//! Two sessions of our own talk to each other, in every version and suite.

use proptest::prelude::*;

use super::record::{self, Kind, Plain};
use super::*;
use crate::limits::{RECORD_PLAIN_BYTES_MAX, RECORD_WIRE_BYTES_MAX};
use crate::tls::{Suite, Version};

pub(super) const VERSIONS: [Version; 2] = [Version::Tls12, Version::Tls13];

/// One side of a connection, with what it was sent and has not opened yet.
pub(super) struct Side {
    pub(super) session: Session,
    pub(super) keys: Keys,
    pub(super) wire: Vec<u8>,
}

impl Side {
    fn new(session: Session) -> Self {
        Self {
            session,
            keys: Keys::new(),
            wire: Vec::new(),
        }
    }

    pub(super) fn send(&mut self, plain: &[u8], to: &mut Self) {
        let mut out = vec![0xEE; sealed_bytes_max(plain.len())];
        let bytes = self.session.seal(&mut self.keys, plain, &mut out).unwrap();
        to.wire.extend_from_slice(&out[..bytes]);
    }

    /// Seals any record, as only a peer with other rules than ours would.
    pub(super) fn forge(&mut self, kind: Kind, plain: &[u8], to: &mut Self) {
        let mut out = vec![0; sealed_bytes_max(plain.len())];
        let key = self.keys.tx.of(&self.session.tx);
        let plain = Plain::Apart(plain);
        let bytes = record::seal(&mut self.session.tx, key, kind, plain, &mut out);
        to.wire.extend_from_slice(&out[..bytes]);
    }

    /// Opens one record; what it used is gone.
    pub(super) fn step(&mut self) -> Verdict {
        let verdict = self.session.open(&mut self.keys, &mut self.wire);
        self.wire.drain(..used(&verdict));
        verdict
    }

    /// Opens all that came, and returns the data.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let mut data = Vec::new();
        loop {
            match self.session.open(&mut self.keys, &mut self.wire) {
                Verdict::Data { at, used } => {
                    data.extend_from_slice(&self.wire[at]);
                    self.wire.drain(..used);
                }
                Verdict::Quiet { used }
                | Verdict::Rekeyed { used }
                | Verdict::Ticket { used, .. } => {
                    self.wire.drain(..used);
                }
                Verdict::Need(_) => return data,
                end => panic!("{end:?}"),
            }
        }
    }
}

fn used(verdict: &Verdict) -> usize {
    match verdict {
        Verdict::Data { used, .. }
        | Verdict::Quiet { used }
        | Verdict::Rekeyed { used }
        | Verdict::Ticket { used, .. }
        | Verdict::Closed { used } => *used,
        Verdict::Need(_) | Verdict::Aborted(_) | Verdict::Refuse(_) => 0,
    }
}

pub(super) fn half(version: Version, suite: Suite, seed: u8) -> Half {
    let secret = [seed; 48];
    match version {
        Version::Tls13 => Half::of_secret(suite, &secret[..cipher::secret_bytes(suite)], 0),
        Version::Tls12 => Half::of_key(suite, &secret[..cipher::key_bytes(suite)], [seed; 12], 0),
    }
    .unwrap()
}

/// A client and its server.
pub(super) fn pair(version: Version, suite: Suite, limit: u32) -> (Side, Side) {
    let of = |role, tx, rx| {
        let (tx, rx) = (half(version, suite, tx), half(version, suite, rx));
        Side::new(Session::new(version, suite, role, tx, rx).with_limit(limit))
    };
    (of(Role::Client, 1, 2), of(Role::Server, 2, 1))
}

pub(super) fn each(mut check: impl FnMut(Version, Suite)) {
    for version in VERSIONS {
        for suite in Suite::ALL {
            check(version, suite);
        }
    }
}

#[test]
fn what_is_sealed_opens_on_the_other_side() {
    each(|version, suite| {
        let (mut client, mut server) = pair(version, suite, 1000);
        for bytes in [1, 2, 16, 64, 1000, RECORD_PLAIN_BYTES_MAX] {
            let plain: Vec<u8> = (0..=u8::MAX).cycle().take(bytes).collect();
            client.send(&plain, &mut server);
            server.send(&plain, &mut client);
            assert_eq!(server.take(), plain);
            assert_eq!(client.take(), plain);
        }
        assert!(client.keys.is_warm());
        client.keys.cool();
        assert!(!client.keys.is_warm());
        client.send(b"cold", &mut server);
        assert_eq!(server.take(), b"cold");
    });
}

#[test]
fn pieces_in_one_record_are_the_same_record() {
    each(|version, suite| {
        let (mut one, mut server) = pair(version, suite, 1000);
        let (mut other, _) = pair(version, suite, 1000);
        let mut out = [vec![0; 200], vec![0; 200]];
        for _ in 0..2 {
            // The second time a key update goes first.
            let whole = one
                .session
                .seal(&mut one.keys, b"one record", &mut out[0])
                .unwrap();
            let pieces = [&b"one"[..], b"", b" rec", b"ord"];
            let gathered = other
                .session
                .seal_gathered(&mut other.keys, pieces, &mut out[1]);
            assert_eq!(gathered, Ok(whole));
            assert_eq!(out[0][..whole], out[1][..whole]);
            server.wire.extend_from_slice(&out[0][..whole]);
            assert_eq!(server.take(), b"one record");
            (one.session.owed, other.session.owed) = (true, true);
        }
        let nothing = other
            .session
            .seal_gathered(&mut other.keys, [&b""[..]], &mut out[0]);
        assert_eq!(nothing, Ok(0));
        assert!(other.session.owed, "no data is no reason to answer");
    });
}

#[test]
fn the_promised_room_is_what_the_longest_records_take() {
    let (mut extra_max, mut alert_max) = (0, 0);
    each(|version, suite| {
        let (mut client, _) = pair(version, suite, 1000);
        client.session.owed = true;
        let mut out = [0; 100];
        let bytes = client
            .session
            .seal(&mut client.keys, b"12345", &mut out)
            .unwrap();
        extra_max = extra_max.max(bytes - 5);
        alert_max = alert_max.max(client.session.close(&mut client.keys, &mut out));
    });
    assert_eq!(extra_max, SEALED_EXTRA_BYTES_MAX);
    assert_eq!(sealed_bytes_max(5), 5 + SEALED_EXTRA_BYTES_MAX);
    assert_eq!(alert_max, ALERT_BYTES_MAX);
}

#[test]
fn keys_of_another_session_are_not_used() {
    each(|version, suite| {
        let (mut client, mut server) = pair(version, suite, 1000);
        let mut keys = Keys::new();
        client
            .session
            .seal(&mut keys, b"client", &mut [0; 100])
            .unwrap();
        let mut out = [0; 100];
        let bytes = server.session.seal(&mut keys, b"server", &mut out).unwrap();
        client.wire.extend_from_slice(&out[..bytes]);
        assert_eq!(client.take(), b"server");
    });
}

#[test]
fn a_key_seals_no_more_records_than_it_may() {
    let suite = Suite::Aes128Gcm;
    let (mut client, mut server) = pair(Version::Tls13, suite, 4);
    let mut renewed = 0;
    for _ in 0..21 {
        client.send(b"data", &mut server);
        assert!(client.session.tx.sequence < 4);
        renewed += usize::from(server.step() != Verdict::Data { at: 5..9, used: 26 });
        server.take();
    }
    assert_eq!(renewed, 6, "three records of data, then a key update");
}

#[test]
fn a_worn_out_key_of_tls_12_only_closes() {
    for suite in Suite::ALL {
        let (mut client, mut server) = pair(Version::Tls12, suite, 4);
        for _ in 0..3 {
            client.send(b"data", &mut server);
        }
        let mut out = [0; 100];
        let spent = client.session.seal(&mut client.keys, b"data", &mut out);
        assert_eq!(spent, Err(Spent::KeyWornOut));
        let spent = client
            .session
            .seal_gathered(&mut client.keys, [&b"data"[..]], &mut out);
        assert_eq!(spent, Err(Spent::KeyWornOut));
        let bytes = client.session.close(&mut client.keys, &mut out);
        server.wire.extend_from_slice(&out[..bytes]);
        for _ in 0..3 {
            assert!(matches!(server.step(), Verdict::Data { .. }));
        }
        assert!(matches!(server.step(), Verdict::Closed { .. }));
    }
}

#[test]
fn a_peer_that_wears_its_key_of_tls_12_out_is_refused() {
    let (mut client, mut server) = pair(Version::Tls12, Suite::Aes256Gcm, 4);
    for _ in 0..5 {
        client.forge(Kind::Data, b"data", &mut server);
    }
    for _ in 0..4 {
        assert!(matches!(server.step(), Verdict::Data { .. }));
    }
    assert_eq!(server.step(), Verdict::Refuse(Alert::INTERNAL_ERROR));
}

#[test]
fn a_key_of_tls_12_wears_out_while_a_quarter_is_left_in_either_direction() {
    for suite in Suite::ALL {
        let (mut client, mut server) = pair(Version::Tls12, suite, 8);
        for sent in 1..=6 {
            assert!(!client.session.wears_out() && !server.session.wears_out());
            client.send(b"data", &mut server);
            assert_eq!(client.session.wears_out(), sent == 6, "sealed");
            server.take();
        }
        assert!(server.session.wears_out(), "opened");
        let (mut client, mut server) = pair(Version::Tls13, suite, 8);
        for _ in 0..40 {
            assert!(!client.session.wears_out() && !server.session.wears_out());
            client.send(b"data", &mut server);
            server.take();
        }
    }
    let (mut client, _) = pair(Version::Tls12, Suite::Aes128Gcm, 1 << 24);
    for (sealed, wears_out) in [((15 << 20) - 1, false), (15 << 20, true)] {
        client.session.tx.sequence = sealed;
        assert_eq!(client.session.wears_out(), wears_out);
    }
}

#[test]
fn a_key_that_was_replaced_is_not_kept() {
    let (mut client, mut server) = pair(Version::Tls13, Suite::Aes128Gcm, 1000);
    let is_warm = |side: &Side| (side.keys.tx.is_ready(), side.keys.rx.is_ready());
    assert!(!client.keys.is_warm());
    client.send(b"data", &mut server);
    server.take();
    assert_eq!(
        (is_warm(&client), is_warm(&server)),
        ((true, false), (false, true))
    );
    assert!(
        client.keys.is_warm() && server.keys.is_warm(),
        "one is enough"
    );
    client.session.owed = true;
    client.send(b"data", &mut server);
    assert!(matches!(server.step(), Verdict::Rekeyed { .. }));
    assert_eq!(is_warm(&server), (false, false), "until the next record");
}

#[test]
fn both_sides_may_renew_their_keys_at_once() {
    for suite in Suite::ALL {
        let (mut client, mut server) = pair(Version::Tls13, suite, 5);
        for _ in 0..100 {
            for _ in 0..2 {
                client.send(b"from the client", &mut server);
                server.send(b"from the server", &mut client);
            }
            client.session.owed = true;
            assert_eq!(client.take(), b"from the server".repeat(2));
            assert_eq!(server.take(), b"from the client".repeat(2));
        }
    }
}

#[test]
fn nothing_follows_the_end() {
    each(|version, suite| {
        let (mut client, mut server) = pair(version, suite, 1000);
        let mut out = [0; 100];
        client.send(b"last", &mut server);
        let bytes = client.session.close(&mut client.keys, &mut out);
        assert!(client.session.is_closed() && !client.session.saw_close_notify());
        server.wire.extend_from_slice(&out[..bytes]);
        assert_eq!(client.session.close(&mut client.keys, &mut out), 0);
        let refused = client
            .session
            .refuse(Alert::DECODE_ERROR, &mut client.keys, &mut out);
        assert_eq!(refused, 0);
        let spent = client.session.seal(&mut client.keys, b"more", &mut out);
        assert_eq!(spent, Err(Spent::Closed));

        assert!(matches!(server.step(), Verdict::Data { .. }));
        assert!(!server.session.saw_close_notify());
        assert_eq!(server.step(), Verdict::Closed { used: bytes });
        assert!(server.session.saw_close_notify());
        client.forge(Kind::Data, b"too late", &mut server);
        let late = server.wire.len();
        assert_eq!(server.step(), Verdict::Closed { used: late });
    });
}

#[test]
fn a_half_that_is_closed_still_hears_the_other() {
    each(|version, suite| {
        let (mut client, mut server) = pair(version, suite, 1000);
        assert!(!client.session.is_closed());
        client.session.close(&mut client.keys, &mut [0; 100]);
        assert!(client.session.is_closed());
        server.send(b"still here", &mut client);
        assert_eq!(client.take(), b"still here");
    });
}

#[test]
fn a_refusal_is_heard_with_its_reason_and_stays() {
    each(|version, suite| {
        let (mut client, mut server) = pair(version, suite, 1000);
        let mut out = [0; 100];
        let bytes = client
            .session
            .refuse(Alert::DECODE_ERROR, &mut client.keys, &mut out);
        server.wire.extend_from_slice(&out[..bytes]);
        for _ in 0..2 {
            assert_eq!(server.step(), Verdict::Aborted(Alert::DECODE_ERROR));
        }
        server.send(b"not heard", &mut client);
        assert_eq!(client.step(), Verdict::Refuse(Alert::DECODE_ERROR));
    });
}

#[test]
#[should_panic = "both halves"]
fn halves_of_another_suite_are_no_session() {
    let (tx, rx) = (
        half(Version::Tls13, Suite::Aes256Gcm, 1),
        half(Version::Tls13, Suite::ChaCha20Poly1305, 2),
    );
    Session::new(Version::Tls13, Suite::Aes256Gcm, Role::Client, tx, rx);
}

#[test]
fn a_half_knows_its_key_and_wants_the_right_length() {
    let iv = [7; 12];
    for suite in Suite::ALL {
        for bytes in 0..64 {
            let bytes_of = vec![3; bytes];
            let half = Half::of_key(suite, &bytes_of, iv, 9);
            assert_eq!(half.is_some(), bytes == cipher::key_bytes(suite));
            let secret = Half::of_secret(suite, &bytes_of, 9);
            assert_eq!(secret.is_some(), bytes == cipher::secret_bytes(suite));
        }
        let key = vec![3; cipher::key_bytes(suite)];
        let half = Half::of_key(suite, &key, iv, 9).unwrap();
        assert!(half.agrees(&key, iv, 9));
        assert!(!half.agrees(&key, iv, 8));
        assert!(!half.agrees(&key, [6; 12], 9));
        assert!(!half.agrees(&key[1..], iv, 9));
        let mut other = key.clone();
        other[0] = 4;
        assert!(!half.agrees(&other, iv, 9));
    }
}

#[test]
fn a_record_needs_what_its_header_says_and_is_left_alone_until_then() {
    each(|version, suite| {
        let (mut client, mut server) = pair(version, suite, 1000);
        client.send(&[0x5A; 300], &mut server);
        let record = server.wire.clone();
        for cut in 0..record.len() {
            let mut part = record[..cut].to_vec();
            let need = if cut < 5 { 5 } else { record.len() };
            let verdict = server.session.open(&mut server.keys, &mut part);
            assert_eq!(verdict, Verdict::Need(need));
            assert_eq!(part, record[..cut]);
        }
        assert_eq!(server.take(), [0x5A; 300]);
    });
}

proptest! {
    #[test]
    fn cuts_change_nothing(
        suite in prop::sample::select(&Suite::ALL[..]),
        version in prop::sample::select(&VERSIONS[..]),
        lengths in prop::collection::vec(0_usize..2000, 1..12),
        cuts in prop::collection::vec(1_usize..700, 1..20),
        limit in 4_u32..8,
    ) {
        let limit = if version == Version::Tls12 { 1000 } else { limit };
        let (mut client, mut server) = pair(version, suite, limit);
        let (mut sent, mut stream) = (Vec::new(), Vec::new());
        for (index, length) in (0..).zip(&lengths) {
            let plain = vec![index; *length];
            client.send(&plain, &mut server);
            stream.append(&mut server.wire);
            sent.extend(plain);
        }
        let (mut taken, mut rest, mut cuts) = (Vec::new(), &stream[..], cuts.iter().cycle());
        while !rest.is_empty() {
            let (part, after) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
            server.wire.extend_from_slice(part);
            taken.extend(server.take());
            prop_assert!(server.wire.len() < RECORD_WIRE_BYTES_MAX);
            rest = after;
        }
        prop_assert_eq!(taken, sent);
        prop_assert!(server.wire.is_empty());
    }
}
