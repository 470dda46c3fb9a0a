//! Who breaks RFC 6455 is told 1002, the other side 1001, and nobody else notices.
#![expect(
    clippy::unwrap_used,
    reason = "a step of a test that fails is the test's failure"
)]

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use support::pairs::{Hall, assert_arrives, assert_ended, one_worker};
use support::{backend_frame, client_frame};

const KEY: [u8; 4] = [0; 4];

/// The rule's label, the bytes that break it, and how many of them are legal.
type Broken = (&'static str, &'static [u8], usize);

/// What breaks each rule, without its mask, and how much of it is legal and goes through.
const BROKEN: [Broken; 10] = [
    ("length_top_bit", &[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 1], 0),
    ("length_not_minimal", &[0x82, 126, 0, 125], 0),
    ("control_too_long", &[0x89, 126, 0, 126], 0),
    ("control_fragmented", &[0x09, 0], 0),
    ("reserved_bits", &[0xC2, 0], 0),
    ("reserved_opcode", &[0x83, 0], 0),
    ("continuation_without_start", &[0x80, 0], 0),
    ("data_inside_fragments", &[0x02, 0, 0x82, 0], 2),
    ("close_length", &[0x88, 1, 0], 0),
    ("close_code", &[0x88, 2, 0x03, 0xED], 0),
];

/// Puts the mask bit and a key of zeroes, which changes no payload, into each frame of `bare`.
fn masked(bare: &[u8]) -> Vec<u8> {
    let header = match bare[1] {
        127 => 10,
        126 => 4,
        _ => 2,
    };
    let mut out = bare[..header].to_vec();
    out[1] |= 0x80;
    out.extend(KEY);
    match (bare[0], &bare[header..]) {
        (_, []) => {}
        (0x02, next) => out.extend(masked(next)),
        (_, payload) => out.extend(payload),
    }
    out
}

/// The next frame is a Close with this code, masked exactly if it goes to a backend.
fn assert_close(stream: &mut TcpStream, code: u16, to_backend: bool) {
    let mut start = [0; 2];
    stream.read_exact(&mut start).unwrap();
    assert_eq!(
        (start[0], start[1] >= 0x80),
        (0x88, to_backend),
        "{start:?}"
    );
    let mut key = [0; 4];
    if to_backend {
        stream.read_exact(&mut key).unwrap();
    }
    let mut payload = vec![0; usize::from(start[1] & 0x7F)];
    stream.read_exact(&mut payload).unwrap();
    payload
        .iter_mut()
        .zip(key.iter().cycle())
        .for_each(|(byte, key)| *byte ^= key);
    assert_eq!(payload[..2], code.to_be_bytes());
    assert!(std::str::from_utf8(&payload[2..]).is_ok_and(|reason| !reason.is_empty()));
}

/// One rule, broken by one side of a tunnel.
fn assert_refused(hall: &Hall, rule: &str, wire: &[u8], legal: usize, by_client: bool) {
    let mut pair = hall.pair();
    let (offender, other) = if by_client {
        (&mut pair.client, &mut pair.backend)
    } else {
        (&mut pair.backend, &mut pair.client)
    };
    offender.write_all(wire).unwrap();
    assert_close(offender, 1002, !by_client);
    assert_ended(offender);
    assert_arrives(other, &wire[..legal]);
    assert_close(other, 1001, by_client);
    // The other side answers, the offender just goes.
    let answer = 1001_u16.to_be_bytes();
    let answer = if by_client {
        backend_frame(8, &answer)
    } else {
        client_frame(8, &answer)
    };
    other.write_all(&answer).unwrap();
    drop(pair);
    hall.wait_for(
        &format!("ringway_frame_violations_total{{rule=\"{rule}\""),
        1 + u32::from(!by_client && rule != "mask_present"),
    );
}

#[test]
fn each_rule_broken_by_either_side_closes_that_tunnel_alone() {
    let hall = Hall::new(&one_worker("auto", ""), "");
    let mut witness = hall.pair();
    for (rule, bare, legal) in BROKEN {
        assert_refused(
            &hall,
            rule,
            &masked(bare),
            if legal > 0 { legal + 4 } else { 0 },
            true,
        );
        assert_refused(&hall, rule, bare, legal, false);
        witness.echoes();
    }
    assert_refused(&hall, "mask_missing", &backend_frame(2, b"bare"), 0, true);
    assert_refused(&hall, "mask_present", &client_frame(2, b"masked"), 0, false);
    witness.echoes();
    hall.wait_for("ringway_tunnels_ended_total{reason=\"protocol_error\"", 22);
    hall.wait_for("ringway_frame_violations_total", 22);
    drop(witness);
    hall.all_home();
}

#[test]
fn what_was_legal_before_a_broken_frame_arrives_and_nothing_after_it_does() {
    for shape in support::pairs::SHAPES {
        let hall = Hall::new(&one_worker(shape, ""), "");
        let mut pair = hall.pair();
        let legal = client_frame(2, &vec![7; 100_000]);
        let mut wire = legal.clone();
        wire.extend(masked(&[0x83, 0]));
        wire.extend(client_frame(2, b"too late"));
        pair.client.write_all(&wire).unwrap();
        assert_arrives(&mut pair.backend, &legal);
        assert_close(&mut pair.backend, 1001, true);
        assert_close(&mut pair.client, 1002, false);
        assert_ended(&mut pair.client);
        drop(pair.client);
        pair.backend
            .write_all(&backend_frame(8, &1001_u16.to_be_bytes()))
            .unwrap();
        assert_ended(&mut pair.backend);
        hall.wait_for("ringway_tunnels_ended_total{reason=\"protocol_error\"", 1);
    }
}

/// Nothing has arrived that was not read.
fn assert_silent(stream: &mut TcpStream) {
    stream.set_nonblocking(true).unwrap();
    let error = stream.read(&mut [0; 64]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    stream.set_nonblocking(false).unwrap();
}

#[test]
fn a_client_in_the_middle_of_whose_incoming_frame_it_errs_gets_the_frame_whole_before_its_close() {
    for shape in support::pairs::SHAPES {
        let hall = Hall::new(&one_worker(shape, ""), "");
        let mut pair = hall.pair();
        let frame = backend_frame(2, &vec![5; 30_000]);
        pair.backend.write_all(&frame[..10_000]).unwrap();
        assert_arrives(&mut pair.client, &frame[..10_000]);
        pair.client.write_all(&masked(&[0x83, 0])).unwrap();
        // The backend has been told, so the violation has been seen; the client has to wait.
        assert_close(&mut pair.backend, 1001, true);
        assert_silent(&mut pair.client);
        pair.backend.write_all(&frame[10_000..20_000]).unwrap();
        assert_arrives(&mut pair.client, &frame[10_000..20_000]);
        assert_silent(&mut pair.client);
        let mut rest = frame[20_000..].to_vec();
        rest.extend(backend_frame(2, b"not for you"));
        rest.extend(backend_frame(8, &1001_u16.to_be_bytes()));
        pair.backend.write_all(&rest).unwrap();
        assert_arrives(&mut pair.client, &frame[20_000..]);
        assert_close(&mut pair.client, 1002, false);
        assert_ended(&mut pair.client);
        drop(pair.client);
        assert_ended(&mut pair.backend);
        hall.wait_for("ringway_tunnels_ended_total{reason=\"protocol_error\"", 1);
    }
}

#[test]
fn a_backend_in_the_middle_of_whose_incoming_frame_it_errs_gets_the_frame_whole_before_its_close() {
    let hall = Hall::new(&one_worker("auto", ""), "");
    let mut pair = hall.pair();
    let frame = client_frame(2, &vec![5; 30_000]);
    pair.client.write_all(&frame[..10_000]).unwrap();
    assert_arrives(&mut pair.backend, &frame[..10_000]);
    pair.backend.write_all(&[0x83, 0]).unwrap();
    assert_close(&mut pair.client, 1001, false);
    assert_silent(&mut pair.backend);
    pair.client.write_all(&frame[10_000..]).unwrap();
    pair.client
        .write_all(&client_frame(8, &1001_u16.to_be_bytes()))
        .unwrap();
    assert_arrives(&mut pair.backend, &frame[10_000..]);
    assert_close(&mut pair.backend, 1002, true);
    assert_ended(&mut pair.backend);
    drop(pair.backend);
    assert_ended(&mut pair.client);
    hall.wait_for("ringway_tunnels_ended_total{reason=\"protocol_error\"", 1);
}

#[test]
fn a_side_that_answers_nothing_to_its_close_is_cut_off() {
    // The idle time is shorter than the time for a goodbye, and must not put it off.
    let hall = Hall::new(&one_worker("auto", ""), "idle_timeout = \"1s\"");
    let mut pair = hall.pair();
    pair.client.write_all(&masked(&[0x83, 0])).unwrap();
    assert_close(&mut pair.client, 1002, false);
    assert_close(&mut pair.backend, 1001, true);
    support::pairs::assert_reset(&mut pair.backend);
    hall.wait_for("ringway_tunnels_ended_total{reason=\"protocol_error\"", 1);
    hall.all_home();
}

#[test]
fn a_rule_that_the_other_side_breaks_while_the_tunnel_ends_is_counted_once_too() {
    let hall = Hall::new(&one_worker("auto", ""), "");
    let mut pair = hall.pair();
    pair.client.write_all(&masked(&[0x83, 0])).unwrap();
    assert_close(&mut pair.client, 1002, false);
    assert_close(&mut pair.backend, 1001, true);
    // Twice: the first breaks the direction, and what follows it is not looked at.
    let wrong = client_frame(2, b"masked");
    pair.backend.write_all(&wrong).unwrap();
    pair.backend.write_all(&wrong).unwrap();
    hall.wait_for("ringway_frame_violations_total{rule=\"mask_present\"", 1);
    pair.client.write_all(&masked(&[0x83, 0])).unwrap();
    drop(pair);
    hall.wait_for("ringway_tunnels_ended_total{reason=\"protocol_error\"", 1);
    hall.wait_for("ringway_frame_violations_total", 2);
    hall.all_home();
}
