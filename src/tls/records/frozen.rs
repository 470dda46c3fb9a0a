//! A session as bytes, to be carried into another process. Only one of the two is ever there.

use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::super::settings::{Suite, Version};
use super::alert::Alert;
use super::cipher::{self, KEY_BYTES_MAX, NONCE_BYTES, SECRET_BYTES_MAX};
use super::half::Half;
use super::post::Post;
use super::session::{Heard, Role, Session};
use crate::limits::{RECORD_WARNINGS_MAX, RECORDS_WITHOUT_DATA_MAX};

/// What a session was when it was frozen. Wiped when it is dropped; whoever copies the bytes wipes the copy.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Frozen {
    bytes: [u8; FROZEN_BYTES],
}

impl Frozen {
    /// The bytes that [`Session::thaw`] takes.
    pub const fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Why bytes are no session that this build can go on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unfit {
    /// Another build wrote them.
    #[error("a session in format {0}, this build reads format {FORMAT}")]
    Format(u8),
    /// They are cut, or more than one session.
    #[error("a session of {0} bytes, expected {FROZEN_BYTES}")]
    Length(usize),
    /// A field that no session has like this.
    #[error("a session whose {0} cannot be")]
    Value(&'static str),
}

impl Session {
    /// The session as bytes. It is gone then, so that nothing is sealed with its numbers any more.
    ///
    /// What was sealed and not sent must be sent as it is; what was received and not opened goes along as it is.
    pub fn freeze(self) -> Frozen {
        let (heard, alert) = match self.heard {
            Heard::Live => (0, 0),
            Heard::CloseNotify => (1, 0),
            Heard::Aborted(Alert(alert)) => (2, alert),
            Heard::Refused(Alert(alert)) => (3, alert),
        };
        let mut bytes = [0; FROZEN_BYTES];
        let mut room = Room(&mut bytes);
        room.put(&[
            FORMAT,
            number_of(&VERSIONS, self.version()),
            number_of(&Suite::ALL, self.suite()),
            number_of(&ROLES, self.role),
            self.owed.into(),
            self.said_end.into(),
            heard,
            alert,
            self.quiet,
            self.warnings,
            self.post.filled,
        ]);
        room.put(&self.post.header);
        room.put(&self.post.skip.to_be_bytes());
        room.put(&self.limit.to_be_bytes());
        for half in [&self.tx, &self.rx] {
            room.put(&half.secret);
            room.put(&half.key);
            room.put(&half.iv);
            room.put(&half.sequence.to_be_bytes());
        }
        Frozen { bytes }
    }

    /// The session that was frozen. Every length and value is looked at, but for the secrets themselves.
    pub fn thaw(bytes: &[u8]) -> Result<Self, Unfit> {
        match bytes {
            [] => return Err(Unfit::Length(0)),
            [FORMAT, ..] if bytes.len() == FROZEN_BYTES => {}
            [FORMAT, ..] => return Err(Unfit::Length(bytes.len())),
            [format, ..] => return Err(Unfit::Format(*format)),
        }
        let mut rest = Rest(&bytes[1..]);
        let version = numbered(&VERSIONS, rest.byte()).ok_or(Unfit::Value("version"))?;
        let suite = numbered(&Suite::ALL, rest.byte()).ok_or(Unfit::Value("suite"))?;
        let role = numbered(&ROLES, rest.byte()).ok_or(Unfit::Value("role"))?;
        let owed = numbered(&FLAGS, rest.byte()).ok_or(Unfit::Value("owed answer"))?;
        let said_end = numbered(&FLAGS, rest.byte()).ok_or(Unfit::Value("sending end"))?;
        let heard = heard(rest.byte(), rest.byte()).ok_or(Unfit::Value("receiving end"))?;
        let (quiet, warnings) = (rest.byte(), rest.byte());
        let post = Post {
            filled: rest.byte(),
            header: *rest.next(),
            skip: u32::from_be_bytes(*rest.next()),
        };
        let limit = u32::from_be_bytes(*rest.next());
        let tx = half(version, suite, &mut rest)?;
        let rx = half(version, suite, &mut rest)?;
        let session = Self {
            tx,
            rx,
            post,
            limit,
            role,
            heard,
            owed,
            said_end,
            quiet,
            warnings,
        };
        session.check()?;
        Ok(session)
    }

    /// What one field says about another.
    fn check(&self) -> Result<(), Unfit> {
        let tls_12 = self.version() == Version::Tls12;
        let limit = u64::from(self.limit);
        // Only an alert takes the last number.
        let sealed_max = if self.said_end {
            limit
        } else {
            limit.saturating_sub(1)
        };
        let fits = [
            (!(tls_12 && self.owed), "owed answer"),
            (
                self.quiet <= RECORDS_WITHOUT_DATA_MAX,
                "count of quiet records",
            ),
            (self.warnings <= RECORD_WARNINGS_MAX, "count of warnings"),
            (self.limit >= 2, "limit"),
            (self.tx.sequence <= sealed_max, "sending number"),
            (!tls_12 || self.rx.sequence <= limit, "receiving number"),
            (
                self.post.may_be(self.version(), self.role),
                "message under way",
            ),
        ];
        match fits.into_iter().find(|(fits, _)| !fits) {
            Some((_, name)) => Err(Unfit::Value(name)),
            None => Ok(()),
        }
    }
}

/// One direction. What a shorter secret or key leaves over is zero.
fn half(version: Version, suite: Suite, rest: &mut Rest<'_>) -> Result<Half, Unfit> {
    let (secret, key) = (
        rest.next::<SECRET_BYTES_MAX>(),
        rest.next::<KEY_BYTES_MAX>(),
    );
    let secret_bytes = match version {
        Version::Tls12 => 0,
        Version::Tls13 => cipher::secret_bytes(suite),
    };
    let mut over = secret[secret_bytes..]
        .iter()
        .chain(&key[cipher::key_bytes(suite)..]);
    if over.any(|byte| *byte != 0) {
        return Err(Unfit::Value("key length"));
    }
    Ok(Half {
        secret: *secret,
        key: *key,
        iv: *rest.next::<NONCE_BYTES>(),
        sequence: u64::from_be_bytes(*rest.next()),
        suite,
        version,
    })
}

const fn heard(end: u8, alert: u8) -> Option<Heard> {
    Some(match (end, alert) {
        (0, 0) => Heard::Live,
        (1, 0) => Heard::CloseNotify,
        (2, alert) => Heard::Aborted(Alert(alert)),
        (3, alert) => Heard::Refused(Alert(alert)),
        _ => return None,
    })
}

/// The place of a value in its table, which is the byte that stands for it.
fn number_of<T: Copy + PartialEq, const COUNT: usize>(table: &[T; COUNT], value: T) -> u8 {
    let place = table.iter().position(|entry| *entry == value);
    place
        .and_then(|place| u8::try_from(place).ok())
        .expect("invariant: each table is short and has every value")
}

fn numbered<T: Copy>(table: &[T], number: u8) -> Option<T> {
    table.get(usize::from(number)).copied()
}

/// The room that is still to be written.
struct Room<'a>(&'a mut [u8]);

impl Room<'_> {
    fn put(&mut self, field: &[u8]) {
        let (room, rest) = std::mem::take(&mut self.0).split_at_mut(field.len());
        room.copy_from_slice(field);
        self.0 = rest;
    }
}

/// The bytes that are still to be read. Invariant: there are as many as the fields need, by their length in all.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn next<const BYTES: usize>(&mut self) -> &'a [u8; BYTES] {
        let (field, rest) = self
            .0
            .split_first_chunk()
            .expect("invariant: the length was checked, and the fields add up to it");
        self.0 = rest;
        field
    }

    fn byte(&mut self) -> u8 {
        self.next::<1>()[0]
    }
}

const VERSIONS: [Version; 2] = [Version::Tls12, Version::Tls13];
const ROLES: [Role; 2] = [Role::Client, Role::Server];
const FLAGS: [bool; 2] = [false, true];
const FORMAT: u8 = 1;
const HALF_BYTES: usize = SECRET_BYTES_MAX + KEY_BYTES_MAX + NONCE_BYTES + 8;
/// How many bytes a frozen session has.
pub const FROZEN_BYTES: usize = 11 + 4 + 4 + 4 + 2 * HALF_BYTES;

#[cfg(test)]
mod tests {
    use super::super::tests::{each, pair};
    use super::*;
    use crate::tls::records::Verdict;
    use crate::tls::records::record::Kind;

    fn frozen(version: Version) -> Vec<u8> {
        let (client, _) = pair(version, Suite::Aes128Gcm, 1000);
        client.session.freeze().as_bytes().to_vec()
    }

    fn thawed(bytes: &[u8]) -> Result<(), Unfit> {
        Session::thaw(bytes).map(|_| ())
    }

    #[test]
    fn a_session_goes_on_where_it_was_frozen() {
        each(|version, suite| {
            let (mut client, mut server) = pair(version, suite, 50);
            for round in 0..20_u8 {
                client.send(&[round; 100], &mut server);
                server.send(&[round; 10], &mut client);
                let bytes = server.session.freeze();
                server.session = Session::thaw(bytes.as_bytes()).unwrap();
                assert_eq!(server.session.freeze().as_bytes(), bytes.as_bytes());
                server.session = Session::thaw(bytes.as_bytes()).unwrap();
                assert_eq!(server.take(), [round; 100]);
                assert_eq!(client.take(), [round; 10]);
            }
        });
    }

    #[test]
    fn what_was_under_way_or_over_stays_so() {
        let (mut client, mut server) = pair(Version::Tls13, Suite::Aes256Gcm, 1000);
        client.forge(Kind::Handshake, &[24, 0, 0, 1], &mut server);
        assert!(matches!(server.step(), Verdict::Quiet { .. }));
        server.session = Session::thaw(server.session.freeze().as_bytes()).unwrap();
        client.forge(Kind::Handshake, &[1], &mut server);
        assert!(matches!(server.step(), Verdict::Rekeyed { .. }));
        server.session = Session::thaw(server.session.freeze().as_bytes()).unwrap();
        assert!(server.session.owes_update());
        server.wire = vec![22, 3, 3, 0, 100];
        let refused = Verdict::Refuse(Alert::UNEXPECTED_MESSAGE);
        assert_eq!(server.step(), refused);
        server.session = Session::thaw(server.session.freeze().as_bytes()).unwrap();
        assert_eq!(server.step(), refused);
        server.session.close(&mut server.keys, &mut [0; 100]);
        server.session = Session::thaw(server.session.freeze().as_bytes()).unwrap();
        assert!(server.session.is_closed());
    }

    #[test]
    fn other_lengths_and_formats_are_named() {
        let bytes = frozen(Version::Tls13);
        assert_eq!(bytes.len(), 223);
        assert_eq!(thawed(&[]), Err(Unfit::Length(0)));
        for length in 1..bytes.len() {
            assert_eq!(thawed(&bytes[..length]), Err(Unfit::Length(length)));
        }
        assert_eq!(
            thawed(&[&bytes[..], &[0]].concat()),
            Err(Unfit::Length(224))
        );
        for format in [0, 2, 255] {
            assert_eq!(thawed(&[format]), Err(Unfit::Format(format)));
        }
    }

    /// Byte `at` of a session may be any of `good` and nothing else.
    fn only(version: Version, at: usize, good: impl Fn(u8) -> bool, name: &'static str) {
        let bytes = frozen(version);
        for value in 0..=255 {
            let mut other = bytes.clone();
            other[at] = value;
            let expected = if good(value) {
                Ok(())
            } else {
                Err(Unfit::Value(name))
            };
            assert_eq!(thawed(&other), expected, "byte {at} is {value}");
        }
    }

    #[test]
    fn every_value_is_looked_at() {
        let tls13 = Version::Tls13;
        // A key of another length fits, as the rest of it may be zeros.
        only(tls13, 2, |suite| suite < 3, "suite");
        only(tls13, 3, |role| role < 2, "role");
        only(tls13, 4, |owed| owed < 2, "owed answer");
        only(Version::Tls12, 4, |owed| owed == 0, "owed answer");
        only(tls13, 5, |end| end < 2, "sending end");
        only(tls13, 6, |end| end < 4, "receiving end");
        only(tls13, 7, |alert| alert == 0, "receiving end");
        only(tls13, 8, |quiet| quiet <= 32, "count of quiet records");
        only(tls13, 9, |warnings| warnings <= 4, "count of warnings");
        only(tls13, 10, |filled| filled == 0, "message under way");
        only(tls13, 11, |kind| kind == 0, "message under way");
        only(tls13, 16, |skip| skip == 0, "message under way");
        only(Version::Tls12, 18, |skip| skip == 0, "message under way");
        only(tls13, 23 + 32, |over| over == 0, "key length");
        only(Version::Tls12, 23, |over| over == 0, "key length");
        only(tls13, 23 + 48 + 16, |over| over == 0, "key length");
        only(tls13, 123 + 48 + 31, |over| over == 0, "key length");
        // The limit is 1,000, which is 3 times 256 and 232.
        only(tls13, 21, |_| true, "limit");
    }

    #[test]
    fn numbers_beyond_the_limit_cannot_be() {
        let number = |version, place: usize, value: u64, end| {
            let mut bytes = frozen(version);
            bytes[5] = end;
            bytes[place..place + 8].copy_from_slice(&value.to_be_bytes());
            thawed(&bytes).is_ok()
        };
        let (tx, rx) = (115, 215);
        for version in VERSIONS {
            assert!(number(version, tx, 999, 0) && !number(version, tx, 1000, 0));
            assert!(number(version, tx, 1000, 1) && !number(version, tx, 1001, 1));
        }
        assert!(number(Version::Tls12, rx, 1000, 0) && !number(Version::Tls12, rx, 1001, 0));
        assert!(number(Version::Tls13, rx, u64::MAX, 0));
        let mut bytes = frozen(Version::Tls13);
        for limit in 0..3_u8 {
            bytes[19..23].copy_from_slice(&[0, 0, 0, limit]);
            assert_eq!(thawed(&bytes).is_ok(), limit == 2);
        }
    }

    #[test]
    fn a_message_under_way_is_one_that_may_come() {
        let post = |role, filled, header: [u8; 4], skip: u32| {
            let mut bytes = frozen(Version::Tls13);
            (bytes[3], bytes[10]) = (role, filled);
            bytes[11..15].copy_from_slice(&header);
            bytes[15..19].copy_from_slice(&skip.to_be_bytes());
            thawed(&bytes).is_ok()
        };
        let (client, server) = (0, 1);
        for role in [client, server] {
            assert!(post(role, 0, [0; 4], 0));
            assert!(post(role, 1, [24, 0, 0, 0], 0) && post(role, 4, [24, 0, 0, 1], 0));
            assert!(
                !post(role, 4, [24, 0, 0, 2], 0),
                "a length that no key update has"
            );
            assert!(!post(role, 4, [4, 0, 0, 9], 0), "counted, not kept");
            assert!(!post(role, 2, [24, 0, 1, 0], 0), "more than it has");
            assert!(!post(role, 5, [24, 0, 0, 1], 0));
            assert!(!post(role, 1, [1, 0, 0, 0], 0));
            assert!(!post(role, 1, [24, 0, 0, 0], 1), "both at once");
            assert!(!post(role, 0, [0; 4], 0x1_0000), "longer than any ticket");
            assert_eq!(post(role, 3, [4, 0, 9, 0], 0), role == client);
            assert_eq!(post(role, 0, [0; 4], 0xffff), role == client);
        }
    }
}
