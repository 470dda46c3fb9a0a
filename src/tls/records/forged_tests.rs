//! Records that our own sessions would never seal, and what becomes of a session that gets them.

use super::forge::forge;
use super::tests::{Side, VERSIONS, each, pair};
use super::*;
use crate::limits::{RECORD_TICKET_BYTES_MAX, RECORD_WARNINGS_MAX, RECORDS_WITHOUT_DATA_MAX};
use crate::tls::{Suite, Version};

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const DATA: u8 = 23;
const UPDATE: [u8; 5] = [24, 0, 0, 1, 0];
const UPDATE_ASKED: [u8; 5] = [24, 0, 0, 1, 1];

/// A session in this role, and a peer that seals anything for it.
struct Bench {
    peer: Side,
    side: Side,
}

impl Bench {
    fn new(version: Version, role: Role) -> Self {
        let (client, server) = pair(version, Suite::Aes128Gcm, 1000);
        match role {
            Role::Client => Self {
                peer: server,
                side: client,
            },
            Role::Server => Self {
                peer: client,
                side: server,
            },
        }
    }

    fn get(&mut self, kind: u8, content: &[u8], padding: usize) -> Verdict {
        self.side.wire = forge(&mut self.peer.session.tx, kind, content, padding);
        let verdict = self.side.step();
        if matches!(verdict, Verdict::Rekeyed { .. }) {
            self.peer.session.tx.renew();
        }
        verdict
    }
}

const fn refuse(alert: Alert) -> Verdict {
    Verdict::Refuse(alert)
}

fn is_quiet(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Quiet { .. })
}

#[test]
fn a_header_is_refused_before_its_record_comes() {
    let overflow = |version| match version {
        Version::Tls12 => 16_384 + 2048,
        Version::Tls13 => 16_384 + 256,
    };
    each(|version, suite| {
        let get = |kind: u8, high: u8, low: u8, length: u16| {
            let (_, mut server) = pair(version, suite, 1000);
            let [one, two] = length.to_be_bytes();
            let verdict = server
                .session
                .open(&mut server.keys, &mut [kind, high, low, one, two]);
            let again = server.session.open(&mut server.keys, &mut []);
            assert_eq!(
                matches!(verdict, Verdict::Need(_)),
                again == Verdict::Need(5)
            );
            verdict
        };
        for kind in 0..=255 {
            let legal =
                kind == DATA || version == Version::Tls12 && [ALERT, HANDSHAKE].contains(&kind);
            let expected = if legal {
                Verdict::Need(105)
            } else {
                refuse(Alert::UNEXPECTED_MESSAGE)
            };
            assert_eq!(get(kind, 3, 3, 100), expected);
        }
        for (high, low) in [(3, 1), (3, 4), (2, 3), (0, 0)] {
            assert_eq!(get(DATA, high, low, 100), refuse(Alert::PROTOCOL_VERSION));
        }
        let most = overflow(version);
        assert_eq!(get(DATA, 3, 3, most), Verdict::Need(5 + usize::from(most)));
        assert_eq!(get(DATA, 3, 3, most + 1), refuse(Alert::RECORD_OVERFLOW));
        let explicit = cipher::explicit_nonce_bytes(version, suite);
        let least = u16::try_from(16 + explicit).unwrap();
        assert_eq!(
            get(DATA, 3, 3, least),
            Verdict::Need(5 + usize::from(least))
        );
        assert_eq!(get(DATA, 3, 3, least - 1), refuse(Alert::BAD_RECORD_MAC));
    });
}

#[test]
fn every_bit_of_a_record_counts() {
    each(|version, suite| {
        let (mut client, mut server) = pair(version, suite, 1000);
        client.send(b"data", &mut server);
        let record = server.wire.clone();
        for bit in 5 * 8..record.len() * 8 {
            let (_, mut server) = pair(version, suite, 1000);
            server.wire.clone_from(&record);
            server.wire[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(server.step(), refuse(Alert::BAD_RECORD_MAC));
            server.wire.clone_from(&record);
            assert_eq!(
                server.step(),
                refuse(Alert::BAD_RECORD_MAC),
                "it stays refused"
            );
        }
    });
}

#[test]
fn a_record_that_is_lost_or_comes_twice_does_not_open() {
    each(|version, suite| {
        let (mut client, mut server) = pair(version, suite, 1000);
        client.send(b"one", &mut server);
        let one = std::mem::take(&mut server.wire);
        client.send(b"two", &mut server);
        assert_eq!(server.step(), refuse(Alert::BAD_RECORD_MAC));
        let (_, mut server) = pair(version, suite, 1000);
        server.wire = [&one[..], &one].concat();
        assert!(matches!(server.step(), Verdict::Data { .. }));
        assert_eq!(server.step(), refuse(Alert::BAD_RECORD_MAC));
    });
}

#[test]
fn content_may_be_as_long_as_the_rfc_says() {
    let longest = vec![7; 16_384];
    let too_long = vec![7; 16_385];
    for version in VERSIONS {
        let mut bench = Bench::new(version, Role::Server);
        assert!(matches!(bench.get(DATA, &longest, 0), Verdict::Data { .. }));
        assert_eq!(
            bench.get(DATA, &too_long, 0),
            refuse(Alert::RECORD_OVERFLOW)
        );
    }
    let mut bench = Bench::new(Version::Tls13, Role::Server);
    assert_eq!(
        bench.get(DATA, &longest, 1),
        refuse(Alert::RECORD_OVERFLOW),
        "with its padding"
    );
}

#[test]
fn padding_is_taken_off_and_never_taken_for_content() {
    let mut bench = Bench::new(Version::Tls13, Role::Server);
    for padding in [1, 2, 255, 16_000] {
        let verdict = bench.get(DATA, b"zeros at the end\0\0", padding);
        assert!(matches!(verdict, Verdict::Data { at, .. } if at == (5..23)));
        assert_eq!(bench.side.wire.len(), 0);
    }
    assert!(is_quiet(&bench.get(DATA, b"", 100)));
    // Nothing but padding has no type.
    assert_eq!(bench.get(0, b"", 0), refuse(Alert::UNEXPECTED_MESSAGE));
    let mut bench = Bench::new(Version::Tls13, Role::Server);
    assert_eq!(bench.get(0, &[0; 50], 3), refuse(Alert::UNEXPECTED_MESSAGE));
}

#[test]
fn other_types_have_no_place_after_a_handshake() {
    for version in VERSIONS {
        for kind in [1, 19, 20, 24, 255] {
            let mut bench = Bench::new(version, Role::Client);
            let verdict = bench.get(kind, &[1], 0);
            assert_eq!(verdict, refuse(Alert::UNEXPECTED_MESSAGE), "{kind}");
        }
    }
}

#[test]
fn an_alert_ends_the_connection_or_is_a_warning() {
    for version in VERSIONS {
        let get = |content: &[u8]| Bench::new(version, Role::Server).get(ALERT, content, 0);
        for level in [1, 2] {
            assert!(matches!(get(&[level, 0]), Verdict::Closed { .. }));
        }
        assert_eq!(get(&[2, 40]), Verdict::Aborted(Alert(40)));
        assert_eq!(get(&[2, 90]), Verdict::Aborted(Alert::USER_CANCELED));
        assert!(is_quiet(&get(&[1, 90])));
        let warned = get(&[1, 100]);
        match version {
            Version::Tls12 => assert!(is_quiet(&warned)),
            Version::Tls13 => assert_eq!(warned, Verdict::Aborted(Alert::NO_RENEGOTIATION)),
        }
        for level in [0, 3] {
            assert_eq!(get(&[level, 0]), refuse(Alert::ILLEGAL_PARAMETER));
        }
        assert_eq!(get(&[]), refuse(Alert::UNEXPECTED_MESSAGE));
        assert_eq!(get(&[1]), refuse(Alert::DECODE_ERROR));
        assert_eq!(get(&[1, 0, 0]), refuse(Alert::DECODE_ERROR));
    }
}

#[test]
fn warnings_are_counted_for_life() {
    for version in VERSIONS {
        let mut bench = Bench::new(version, Role::Server);
        for _ in 0..RECORD_WARNINGS_MAX {
            assert!(is_quiet(&bench.get(ALERT, &[1, 90], 0)));
            assert!(matches!(bench.get(DATA, b"data", 0), Verdict::Data { .. }));
        }
        assert_eq!(
            bench.get(ALERT, &[1, 90], 0),
            refuse(Alert::UNEXPECTED_MESSAGE)
        );
    }
}

#[test]
fn records_without_data_are_counted_until_there_is_some() {
    for version in VERSIONS {
        let mut bench = Bench::new(version, Role::Server);
        for _ in 0..3 {
            for _ in 0..RECORDS_WITHOUT_DATA_MAX {
                assert!(is_quiet(&bench.get(DATA, b"", 0)));
            }
            assert!(matches!(bench.get(DATA, b"data", 0), Verdict::Data { .. }));
        }
        for _ in 0..RECORDS_WITHOUT_DATA_MAX {
            assert!(is_quiet(&bench.get(DATA, b"", 0)));
        }
        assert_eq!(bench.get(DATA, b"", 0), refuse(Alert::UNEXPECTED_MESSAGE));
    }
    let mut bench = Bench::new(Version::Tls13, Role::Server);
    for _ in 0..RECORDS_WITHOUT_DATA_MAX {
        assert!(matches!(
            bench.get(HANDSHAKE, &UPDATE, 0),
            Verdict::Rekeyed { .. }
        ));
    }
    assert_eq!(
        bench.get(HANDSHAKE, &UPDATE, 0),
        refuse(Alert::UNEXPECTED_MESSAGE)
    );
}

#[test]
fn an_update_is_followed_and_answered_once() {
    let mut bench = Bench::new(Version::Tls13, Role::Server);
    assert!(matches!(
        bench.get(HANDSHAKE, &UPDATE, 0),
        Verdict::Rekeyed { .. }
    ));
    assert!(!bench.side.session.owes_update());
    for _ in 0..3 {
        assert!(matches!(
            bench.get(HANDSHAKE, &UPDATE_ASKED, 9),
            Verdict::Rekeyed { .. }
        ));
        assert!(bench.side.session.owes_update());
    }
    assert!(matches!(bench.get(DATA, b"data", 0), Verdict::Data { .. }));
    bench.side.send(b"answer", &mut bench.peer);
    assert!(!bench.side.session.owes_update());
    let verdict = bench.peer.step();
    assert!(
        matches!(verdict, Verdict::Rekeyed { used: 27 }),
        "{verdict:?}"
    );
    assert!(!bench.peer.session.owes_update(), "an answer asks for none");
    assert_eq!(bench.peer.take(), b"answer");
}

#[test]
fn an_update_may_be_cut_anywhere_but_nothing_may_stand_between_or_behind() {
    for cut in 1..UPDATE_ASKED.len() {
        let (one, two) = UPDATE_ASKED.split_at(cut);
        let mut bench = Bench::new(Version::Tls13, Role::Client);
        assert!(is_quiet(&bench.get(HANDSHAKE, one, 0)));
        assert!(matches!(
            bench.get(HANDSHAKE, two, 0),
            Verdict::Rekeyed { .. }
        ));
        assert!(matches!(bench.get(DATA, b"data", 0), Verdict::Data { .. }));
        for (kind, content) in [(DATA, &b"data"[..]), (DATA, b""), (ALERT, &[1, 0])] {
            let mut bench = Bench::new(Version::Tls13, Role::Client);
            assert!(is_quiet(&bench.get(HANDSHAKE, one, 0)));
            assert_eq!(
                bench.get(kind, content, 0),
                refuse(Alert::UNEXPECTED_MESSAGE)
            );
        }
    }
    for behind in [&UPDATE[..], &[0], &[4, 0, 0, 0]] {
        let mut bench = Bench::new(Version::Tls13, Role::Client);
        let verdict = bench.get(HANDSHAKE, &[&UPDATE, behind].concat(), 0);
        assert_eq!(verdict, refuse(Alert::UNEXPECTED_MESSAGE));
    }
}

#[test]
fn messages_that_may_not_come_are_refused_by_their_first_byte() {
    for role in [Role::Client, Role::Server] {
        for kind in 0..=255_u8 {
            let may_come = kind == 24 || kind == 4 && role == Role::Client;
            let mut bench = Bench::new(Version::Tls13, role);
            let verdict = bench.get(HANDSHAKE, &[kind], 0);
            assert_eq!(is_quiet(&verdict), may_come);
            assert!(may_come || verdict == refuse(Alert::UNEXPECTED_MESSAGE));
        }
    }
    let get = |content: &[u8]| Bench::new(Version::Tls13, Role::Client).get(HANDSHAKE, content, 0);
    assert_eq!(get(&[]), refuse(Alert::UNEXPECTED_MESSAGE));
    assert_eq!(get(&[24, 0, 0, 1, 2]), refuse(Alert::ILLEGAL_PARAMETER));
    assert_eq!(get(&[24, 0, 0, 2]), refuse(Alert::DECODE_ERROR));
    assert_eq!(get(&[24, 0, 1, 1]), refuse(Alert::DECODE_ERROR));
    assert_eq!(get(&[4, 1, 0, 0]), refuse(Alert::DECODE_ERROR));
    assert!(is_quiet(&get(&[4, 0, 0xff, 0xff])));
}

#[test]
fn a_second_handshake_of_tls_12_is_declined() {
    let get = |role, content: &[u8]| Bench::new(Version::Tls12, role).get(HANDSHAKE, content, 0);
    let (hello_request, client_hello) = ([0, 0, 0, 0], [1, 0, 0, 2, 3, 3]);
    assert_eq!(
        get(Role::Client, &hello_request),
        refuse(Alert::NO_RENEGOTIATION)
    );
    assert_eq!(
        get(Role::Server, &client_hello),
        refuse(Alert::NO_RENEGOTIATION)
    );
    assert_eq!(
        get(Role::Server, &hello_request),
        refuse(Alert::UNEXPECTED_MESSAGE)
    );
    assert_eq!(
        get(Role::Client, &client_hello),
        refuse(Alert::UNEXPECTED_MESSAGE)
    );
    assert_eq!(get(Role::Client, &[]), refuse(Alert::UNEXPECTED_MESSAGE));
    let mut bench = Bench::new(Version::Tls12, Role::Client);
    let mut out = [0; ALERT_BYTES_MAX];
    bench
        .side
        .session
        .refuse(Alert::NO_RENEGOTIATION, &mut bench.side.keys, &mut out);
    bench.peer.wire = out.to_vec();
    assert!(is_quiet(&bench.peer.step()), "it is a warning");
}

fn ticket(body: &[u8]) -> Vec<u8> {
    let [.., high, low] = body.len().to_be_bytes();
    [&[4, 0, high, low], body].concat()
}

#[test]
fn whole_tickets_are_passed_on_and_cut_ones_are_skipped() {
    let mut bench = Bench::new(Version::Tls13, Role::Client);
    let mut get = |content: &[u8]| {
        bench.side.wire = forge(&mut bench.peer.session.tx, HANDSHAKE, content, 3);
        let verdict = bench
            .side
            .session
            .open(&mut bench.side.keys, &mut bench.side.wire);
        let found = match verdict {
            Verdict::Ticket { at, used } => {
                assert_eq!(used, bench.side.wire.len());
                tickets(&bench.side.wire[at]).map(<[u8]>::to_vec).collect()
            }
            Verdict::Quiet { .. } => Vec::new(),
            other => panic!("{other:?}"),
        };
        if bench.side.session.rx.sequence == 0 {
            bench.peer.session.tx.renew();
        }
        found
    };
    let (one, two, long) = (ticket(b"one"), ticket(b"two!"), ticket(&[9; 1000]));
    assert_eq!(get(&one), [b"one"]);
    // Cut at its last bytes, or right behind its header.
    for cut in [one.len() - 1, one.len() - 2, 4] {
        assert_eq!(get(&one[..cut]), [b""; 0]);
        assert_eq!(get(&one[cut..]), [b""; 0]);
    }
    assert_eq!(get(&[&one[..], &two].concat()), [&b"one"[..], b"two!"]);
    assert_eq!(
        get(&[&one[..], &two, &long[..500]].concat()),
        [&b"one"[..], b"two!"]
    );
    assert_eq!(get(&[&long[500..], &two[..3]].concat()), [b""; 0]);
    assert_eq!(
        get(&[&two[3..], &one, &two].concat()),
        [&b"one"[..], b"two!"]
    );
    assert_eq!(get(&[&one[..], &UPDATE_ASKED].concat()), [b"one"]);
    for byte in &long {
        assert_eq!(get(&[*byte]), [b""; 0]);
    }
    assert_eq!(get(&ticket(b"")), [b""]);
    assert!(bench.side.session.owes_update());
    assert!(matches!(bench.get(DATA, b"data", 0), Verdict::Data { .. }));
}

#[test]
fn the_longest_ticket_is_skipped_to_its_end() {
    let mut bench = Bench::new(Version::Tls13, Role::Client);
    let long = ticket(&vec![9; RECORD_TICKET_BYTES_MAX]);
    for part in long.chunks(16_384) {
        assert!(is_quiet(&bench.get(HANDSHAKE, part, 0)));
    }
    assert!(matches!(bench.get(DATA, b"data", 0), Verdict::Data { .. }));
}

#[test]
fn nothing_is_answered_after_our_end() {
    let mut bench = Bench::new(Version::Tls13, Role::Server);
    bench
        .side
        .session
        .close(&mut bench.side.keys, &mut [0; ALERT_BYTES_MAX]);
    assert!(matches!(
        bench.get(HANDSHAKE, &UPDATE_ASKED, 0),
        Verdict::Rekeyed { .. }
    ));
    assert!(!bench.side.session.owes_update());
}

#[test]
fn alerts_are_named() {
    assert_eq!(Alert::BAD_RECORD_MAC.to_string(), "bad_record_mac");
    assert_eq!(format!("{:?}", Alert(46)), "alert 46");
}
