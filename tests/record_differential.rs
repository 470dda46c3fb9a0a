//! Whatever a peer sends after the handshake, a session of ours delivers no byte that rustls would not, and as a peer of
//! rustls it is as good as rustls.

#![allow(
    clippy::cast_possible_truncation,
    reason = "numbers are made small before"
)]
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "its files are parts of one test, and what cannot be made fails it"
)]

#[path = "record_differential/ends.rs"]
mod ends;
#[path = "record_differential/forger.rs"]
mod forger;
#[path = "record_differential/greeting.rs"]
mod greeting;
#[path = "record_differential/programs.rs"]
mod programs;

use std::io::Write;

use ringway::rng::Rng;
use ringway::tls::{ALERT_BYTES_MAX, Alert, Role, Suite, Version, sealed_bytes_max};

use ends::{End, Own, Rustls};
use forger::{Forger, Record, Twist};
use greeting::Greeter;
use programs::{
    ALERT, CHANGE, DATA, HANDSHAKE, cases, cases_of, data, is_stricter, record, update,
};

const VERSIONS: [Version; 2] = [Version::Tls12, Version::Tls13];
const ROLES: [Role; 2] = [Role::Client, Role::Server];

/// A flipped bit there is seen before the record is opened.
const HEADER_BITS: usize = 40;
/// Programs of each version, suite and role.
const PROGRAMS: usize = 600;

fn greeters() -> impl Iterator<Item = Greeter> {
    VERSIONS
        .into_iter()
        .flat_map(|version| Suite::ALL.map(|suite| Greeter::new(version, suite, 0)))
}

/// Sends a program to rustls in the given role and to its twin, cut where chance says.
fn run(greeter: &Greeter, role: Role, records: &[Record], rng: &mut Rng) -> (Own, Rustls) {
    let joined = greeter.greet(role);
    let mut own = Own::new(joined.other.twin());
    let mut rustls = Rustls::new(joined.peer);
    let mut forger = Forger::new(greeter.version, greeter.suite, joined.other.tx.clone());
    let stream: Vec<u8> = records
        .iter()
        .flat_map(|record| forger.forge(record))
        .collect();
    rustls.feed(&stream);
    let mut rest = &stream[..];
    while !rest.is_empty() {
        let cut = 1 + below(rng, rest.len().min(3000));
        let (part, after) = rest.split_at(cut);
        own.feed(part);
        if below(rng, 8) == 0 {
            own = own.travel();
        }
        rest = after;
    }
    (own, rustls)
}

fn below(rng: &mut Rng, bound: usize) -> usize {
    rng.below(bound as u32) as usize
}

/// What must hold between the two, whatever was sent.
fn compare(own: &Own, rustls: &Rustls, records: &[Record]) {
    let show = || format!("ours {:?}, rustls {:?}, {records:?}", own.end, rustls.end);
    assert!(
        rustls.data.starts_with(&own.data),
        "more than rustls delivers: {}",
        show()
    );
    match rustls.end {
        // rustls looks at half a header, which we wait for the rest of.
        End::Failed => assert!(own.end != End::Live || own.wire.len() < 5, "{}", show()),
        _ if is_stricter(records) => {}
        end => {
            assert!(
                own.data == rustls.data,
                "less than rustls delivers: {}",
                show()
            );
            assert!(
                own.end == end || refuses_half(own.end, records),
                "{}",
                show()
            );
        }
    }
}

/// Whether the last that came is a message of which we have seen enough, and rustls wants to see the rest.
fn refuses_half(end: End, records: &[Record]) -> bool {
    let last = records.iter().rfind(|record| record.twist != Twist::Lost);
    matches!(end, End::Refused(_)) && last.is_some_and(|last| last.kind == HANDSHAKE)
}

#[test]
fn single_cases_end_as_they_must() {
    let mut rng = Rng::seeded(1);
    let mut identical = 0;
    let mut count = 0;
    for greeter in greeters() {
        for role in ROLES {
            let cases = cases().into_iter().chain(cases_of(greeter.version, role));
            for (name, mut records, end) in cases {
                if name == "a lost record" {
                    records.push(data(b"before"));
                }
                records.insert(0, data(b"before"));
                records.push(data(b"after"));
                let (own, rustls) = run(&greeter, role, &records, &mut rng);
                let place = format!(
                    "{name} ({:?}, {:?}, {role:?})",
                    greeter.version, greeter.suite
                );
                assert_eq!(own.end, end, "{place}");
                assert!(own.data.starts_with(b"before"), "{place}");
                assert_eq!(own.data.ends_with(b"after"), end == End::Live, "{place}");
                println!("{place}: ours {end:?}, rustls {:?}", rustls.end);
                compare(&own, &rustls, &records);
                identical += usize::from(own.data == rustls.data);
                count += 1;
            }
        }
    }
    println!("{count} cases, {identical} with the same data");
}

#[test]
fn random_programs_deliver_what_rustls_delivers() {
    let mut rng = Rng::seeded(2);
    let (mut bytes, mut live, mut ended, mut compared) = (0, 0, 0, 0);
    for greeter in greeters() {
        for role in ROLES {
            for _ in 0..PROGRAMS {
                let records = program(&mut rng, greeter.version, role);
                let (own, rustls) = run(&greeter, role, &records, &mut rng);
                compare(&own, &rustls, &records);
                compared += usize::from(!is_stricter(&records));
                bytes += own.data.len();
                live += usize::from(own.end == End::Live);
                ended += usize::from(own.end != End::Live);
            }
        }
    }
    println!("{live} live, {ended} ended, {compared} with ends that must agree, {bytes} bytes");
    // A program that is always refused at once would prove nothing.
    assert!(live > PROGRAMS && ended > PROGRAMS && bytes > 1_000_000);
    assert!(compared > 9 * PROGRAMS);
}

/// Mostly legal records of the version, some of any kind, and sometimes one that is damaged.
fn program(rng: &mut Rng, version: Version, role: Role) -> Vec<Record> {
    let mut records = Vec::new();
    for _ in 0..=below(rng, 12) {
        let mut next = match below(rng, 40) {
            0..18 => data(&vec![below(rng, 256) as u8; below(rng, 600)]),
            18 => data(&vec![9; 16_380 + below(rng, 6)]),
            19..22 => data(b""),
            22..30 if version == Version::Tls13 => update(below(rng, 2) == 0),
            30..33 if version == Version::Tls13 && role == Role::Client => {
                record(HANDSHAKE, &programs::ticket().repeat(1 + below(rng, 3)))
            }
            33 => record(ALERT, &[1, 90]),
            34 => {
                let cases: Vec<_> = cases().into_iter().chain(cases_of(version, role)).collect();
                let (_, case, _) = &cases[below(rng, cases.len())];
                records.extend_from_slice(case);
                data(b"behind a case")
            }
            35 => record([CHANGE, ALERT, HANDSHAKE, DATA][below(rng, 4)], &any(rng)),
            _ => data(b"data"),
        };
        if version == Version::Tls13 && below(rng, 4) == 0 {
            next.padding = below(rng, 300);
        }
        if below(rng, 30) == 0 {
            next.twist = match below(rng, 8) {
                0 => Twist::Lost,
                1 => Twist::Twice,
                2 => Twist::Cut(1 + below(rng, 20)),
                3 => Twist::Flip(below(rng, HEADER_BITS)),
                // Of what is sealed: the tag alone has 128.
                _ => Twist::Flip(HEADER_BITS + below(rng, next.content.len() * 8 + 128)),
            };
        }
        records.push(next);
    }
    records
}

fn any(rng: &mut Rng) -> Vec<u8> {
    (0..below(rng, 9)).map(|_| below(rng, 30) as u8).collect()
}

#[test]
fn as_a_peer_of_rustls_a_session_moves_and_renews_its_keys_unnoticed() {
    let mut rng = Rng::seeded(3);
    let (mut moves, mut sent_by_both, mut renewals) = (0, [0, 0], 0);
    for greeter in greeters() {
        for role in ROLES {
            let joined = greeter.greet(role);
            let limit = if greeter.version == Version::Tls13 {
                6
            } else {
                1 << 24
            };
            let mut own = Own::new(joined.other.session().with_limit(limit));
            let mut rustls = Rustls::new(joined.peer);
            let mut sent = [Vec::new(), Vec::new()];
            for _ in 0..120 {
                let plain = vec![below(&mut rng, 256) as u8; 1 + below(&mut rng, 700)];
                let mut out = vec![0; sealed_bytes_max(plain.len())];
                let bytes = if below(&mut rng, 2) == 0 {
                    own.session.seal(&mut own.keys, &plain, &mut out)
                } else {
                    let (one, two) = plain.split_at(plain.len() / 3);
                    own.session
                        .seal_gathered(&mut own.keys, [one, two], &mut out)
                };
                rustls.feed(&out[..bytes.unwrap()]);
                assert_eq!(rustls.end, End::Live);
                sent[0].extend(plain);

                let plain = vec![below(&mut rng, 256) as u8; below(&mut rng, 20_000)];
                rustls.peer.writer().write_all(&plain).unwrap();
                sent[1].extend(plain);
                if greeter.version == Version::Tls13 && below(&mut rng, 4) == 0 {
                    rustls.peer.refresh_traffic_keys().unwrap();
                }
                let wire = rustls.drain();
                for part in wire.chunks(1 + below(&mut rng, 9000)) {
                    own.feed(part);
                    own = own.travel();
                    moves += 1;
                }
            }
            assert!(
                sent[0] == rustls.data && sent[1] == own.data,
                "bytes changed on their way"
            );
            renewals += own.renewals;
            sent_by_both[0] += sent[0].len();
            sent_by_both[1] += sent[1].len();
            part(own, rustls);
        }
    }
    println!("{moves} moves, {renewals} renewals by rustls, {sent_by_both:?} bytes");
    assert!(moves > 2_000 && renewals > 100);
}

/// Both say that nothing more comes.
fn part(mut own: Own, mut rustls: Rustls) {
    let mut out = [0; ALERT_BYTES_MAX];
    let bytes = own.session.close(&mut own.keys, &mut out);
    rustls.feed(&out[..bytes]);
    assert_eq!(rustls.end, End::Closed);
    rustls.peer.send_close_notify();
    own.feed(&rustls.drain());
    assert_eq!(own.end, End::Closed);
    assert!(own.session.saw_close_notify());
}

#[test]
fn rustls_hears_why_it_is_refused() {
    for greeter in greeters() {
        for role in ROLES {
            let joined = greeter.greet(role);
            let mut own = Own::new(joined.other.session());
            let mut rustls = Rustls::new(joined.peer);
            let mut out = [0; ALERT_BYTES_MAX];
            let bytes = own
                .session
                .refuse(Alert::BAD_RECORD_MAC, &mut own.keys, &mut out);
            rustls.peer.read_tls(&mut &out[..bytes]).unwrap();
            let error = rustls.peer.process_new_packets().unwrap_err();
            let reason = rustls::AlertDescription::BadRecordMac;
            assert_eq!(error, rustls::Error::AlertReceived(reason));
        }
    }
}

#[test]
fn the_tickets_of_a_real_server_are_found() {
    for suite in Suite::ALL {
        let greeter = Greeter::new(Version::Tls13, suite, 3);
        let joined = greeter.greet(Role::Server);
        let mut own = Own::new(joined.other.session());
        let mut rustls = Rustls::new(joined.peer);
        rustls.peer.writer().write_all(b"data").unwrap();
        own.feed(&joined.leftover);
        assert_eq!(own.tickets.len(), 3);
        own.feed(&rustls.drain());
        assert_eq!((own.end, &own.data[..]), (End::Live, &b"data"[..]));
    }
}
