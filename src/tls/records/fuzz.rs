//! What must hold whatever a peer seals and however its bytes are cut, for the fuzzer and for property tests.

use super::super::settings::{Suite, Version};
use super::alert::Alert;
use super::cipher;
use super::forge::forge;
use super::half::Half;
use super::keys::Keys;
use super::record::sealed_bytes_max;
use super::session::{Role, Session, Verdict};
use crate::limits::RECORD_PLAIN_BYTES_MAX;

/// The first three bytes of `data` choose the connection and the cuts; the rest is a program of records, as [`Program`]
/// reads it.
///
/// Panics when data comes out that was not sealed as data, when it comes out in another order, or when cutting the bytes
/// or moving the session changes anything.
#[doc(hidden)]
pub fn fuzz_open(data: &[u8]) {
    let Some((&[choice, cut_one, cut_two], program)) = data.split_first_chunk() else {
        return;
    };
    let mut peer = half(choice, 1);
    let mut program = Program(program);
    let mut whole = Receiver::new(choice);
    let (mut stream, mut sealed) = (Vec::new(), Vec::new());
    while let Some(record) = program.next(&mut peer, &mut sealed) {
        stream.extend_from_slice(&record);
        whole.feed(&record);
        if whole.over {
            break;
        }
        if whole.renewed {
            peer.renew();
            whole.renewed = false;
        }
    }
    let taken = whole.data();
    assert!(
        sealed.starts_with(&taken),
        "data that was not sealed as such"
    );

    let mut pieces = Receiver::new(choice);
    let (mut rest, mut cuts) = (&stream[..], [cut_one, cut_two].into_iter().cycle());
    while !rest.is_empty() {
        let cut = cuts.next().map_or(1, usize::from).clamp(1, rest.len());
        let (part, after) = rest.split_at(cut);
        pieces.feed(part);
        pieces = pieces.travel();
        rest = after;
    }
    assert_eq!(whole.events, pieces.events, "the cuts changed the verdicts");
    let [whole, pieces] = [whole, pieces].map(|receiver| receiver.session.freeze());
    assert_eq!(
        whole.as_bytes(),
        pieces.as_bytes(),
        "the cuts changed the session"
    );
}

/// Panics when bytes are taken for a session that is not frozen to the same bytes, or that cannot be used.
#[doc(hidden)]
pub fn fuzz_thaw(data: &[u8]) {
    let Ok(session) = Session::thaw(data) else {
        return;
    };
    assert_eq!(
        session.freeze().as_bytes(),
        data,
        "not the session that was thawed"
    );
    let mut session = Session::thaw(data).expect("invariant: it was thawed before");
    let mut keys = Keys::new();
    let mut out = [0; sealed_bytes_max(DATA.len())];
    if let Ok(bytes) = session.seal(&mut keys, DATA, &mut out) {
        assert!(bytes > DATA.len() && bytes <= out.len());
    }
    let is_over = session.open(&mut keys, &mut []) != Verdict::Need(5);
    let verdict = session.open(&mut keys, &mut data.to_vec());
    assert!(is_over || matches!(verdict, Verdict::Refuse(_) | Verdict::Need(_)));
    session.close(&mut keys, &mut out);
    assert!(session.seal(&mut keys, DATA, &mut out).is_err());
    let bytes = session.freeze();
    assert!(
        Session::thaw(bytes.as_bytes()).is_ok(),
        "a closed session moves too"
    );
}

/// Records as the rest of the input asks for them: an operation, a length, and so many bytes of content.
struct Program<'a>(&'a [u8]);

impl Program<'_> {
    /// The next record. What should come out as data is added to `sealed`.
    fn next(&mut self, peer: &mut Half, sealed: &mut Vec<u8>) -> Option<Vec<u8>> {
        let (&[operation, length], rest) = self.0.split_first_chunk()?;
        let (content, rest) = rest.split_at(usize::from(length).min(rest.len()));
        self.0 = rest;
        let kind = match operation & 7 {
            kind @ 0..=3 => 20 + kind,
            4 => 22,
            5 => length,
            6 => return Some(content.to_vec()),
            _ => 23,
        };
        // Around what a record may hold.
        let longest = RECORD_PLAIN_BYTES_MAX - 2 + usize::from(length & 3);
        let content = match operation >> 3 & 3 {
            0 if !content.is_empty() => content.iter().copied().cycle().take(longest).collect(),
            _ => content.to_vec(),
        };
        let padding = [0, 0, 0, 0, 0, 1, 200, 240][usize::from(operation >> 5)];
        let mut record = forge(peer, kind, &content, padding);
        if operation & 7 == 7 {
            let at = usize::from(length) * 7 % record.len();
            record[at] ^= 1 << (operation >> 5);
        } else if kind == 23 {
            sealed.extend_from_slice(&content);
        }
        Some(record)
    }
}

/// The side that is looked at, and all that it said.
struct Receiver {
    session: Session,
    keys: Keys,
    wire: Vec<u8>,
    events: Vec<Event>,
    over: bool,
    renewed: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Event {
    Data(Vec<u8>),
    Ticket(Vec<u8>),
    Quiet,
    Rekeyed,
    Closed,
    Aborted(Alert),
    Refuse(Alert),
}

impl Receiver {
    fn new(choice: u8) -> Self {
        let role = if choice & 2 == 0 {
            Role::Client
        } else {
            Role::Server
        };
        let (tx, rx) = (half(choice, 2), half(choice, 1));
        let session = Session::new(version(choice), suite(choice), role, tx, rx);
        Self {
            session: session.with_limit(if choice & 32 == 0 { 1 << 24 } else { 6 }),
            keys: Keys::new(),
            wire: Vec::new(),
            events: Vec::new(),
            over: false,
            renewed: false,
        }
    }

    fn feed(&mut self, part: &[u8]) {
        if self.over {
            return;
        }
        self.wire.extend_from_slice(part);
        loop {
            let before = self.wire.clone();
            let verdict = self.session.open(&mut self.keys, &mut self.wire);
            let (event, used) = match verdict {
                Verdict::Need(bytes) => {
                    assert!(bytes > self.wire.len(), "it is there already");
                    assert_eq!(self.wire, before, "half a record was touched");
                    return;
                }
                Verdict::Data { at, used } => {
                    assert!(!at.is_empty() && at.end < used);
                    (Event::Data(self.wire[at].to_vec()), used)
                }
                Verdict::Ticket { at, used } => {
                    assert!(!at.is_empty() && at.end < used);
                    (Event::Ticket(self.wire[at].to_vec()), used)
                }
                Verdict::Quiet { used } => (Event::Quiet, used),
                Verdict::Rekeyed { used } => (Event::Rekeyed, used),
                Verdict::Closed { used } => (Event::Closed, used),
                Verdict::Aborted(alert) => (Event::Aborted(alert), 0),
                Verdict::Refuse(alert) => (Event::Refuse(alert), 0),
            };
            self.over = matches!(event, Event::Closed | Event::Aborted(_) | Event::Refuse(_));
            self.renewed |= used > 0 && self.session.rx.sequence == 0;
            self.events.push(event);
            if used > 0 {
                assert_eq!(
                    self.wire[used..],
                    before[used..],
                    "what follows was touched"
                );
            }
            self.wire.drain(..used);
            if self.over {
                return;
            }
        }
    }

    /// Into another process and back.
    fn travel(self) -> Self {
        let bytes = self.session.freeze();
        Self {
            session: Session::thaw(bytes.as_bytes()).expect("invariant: it was frozen here"),
            keys: Keys::new(),
            ..self
        }
    }

    fn data(&self) -> Vec<u8> {
        let data = self.events.iter().filter_map(|event| match event {
            Event::Data(data) => Some(data.as_slice()),
            _ => None,
        });
        data.collect::<Vec<_>>().concat()
    }
}

fn version(choice: u8) -> Version {
    if choice & 1 == 0 {
        Version::Tls13
    } else {
        Version::Tls12
    }
}

fn suite(choice: u8) -> Suite {
    Suite::ALL[usize::from(choice >> 2 & 7) % Suite::ALL.len()]
}

fn half(choice: u8, seed: u8) -> Half {
    let (suite, secret) = (suite(choice), [seed; cipher::SECRET_BYTES_MAX]);
    match version(choice) {
        Version::Tls13 => Half::of_secret(suite, &secret[..cipher::secret_bytes(suite)], 0),
        Version::Tls12 => Half::of_key(suite, &secret[..cipher::key_bytes(suite)], [seed; 12], 0),
    }
    .expect("invariant: the lengths are those of the suite")
}

const DATA: &[u8] = b"data";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Programs that get somewhere: operations with the messages that are legal, and others.
    fn program() -> impl Strategy<Value = Vec<u8>> {
        let content = prop_oneof![
            prop::collection::vec(any::<u8>(), 0..20),
            prop::sample::select(vec![
                vec![24, 0, 0, 1, 0],
                vec![24, 0, 0, 1, 1],
                vec![24, 0, 0],
                vec![1, 1],
                vec![4, 0, 0, 2, 9, 9, 4, 0, 0, 1, 7],
                vec![4, 0, 0, 9, 1],
                vec![0; 8],
                vec![1, 0],
                vec![1, 90],
                vec![2, 40],
                vec![],
            ]),
        ];
        let record = (any::<u8>(), content).prop_map(|(operation, content)| {
            let length = u8::try_from(content.len()).unwrap();
            let mut bytes = vec![operation | 8, length];
            bytes.extend(content);
            bytes
        });
        (any::<[u8; 3]>(), prop::collection::vec(record, 0..12))
            .prop_map(|(head, records)| [&head[..], &records.concat()].concat())
    }

    proptest! {
        #[test]
        fn programs_of_records_hold(data in program()) {
            fuzz_open(&data);
        }

        #[test]
        fn any_bytes_hold(data in prop::collection::vec(any::<u8>(), 0..200)) {
            fuzz_open(&data);
        }

        #[test]
        fn what_thaws_is_a_session(
            choice in any::<u8>(), changed in prop::collection::vec((0_usize..223, any::<u8>()), 0..3),
        ) {
            let mut bytes = Receiver::new(choice).session.freeze().as_bytes().to_vec();
            fuzz_thaw(&bytes);
            for (at, byte) in changed {
                bytes[at] = byte;
            }
            fuzz_thaw(&bytes);
        }
    }
}
