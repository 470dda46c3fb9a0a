//! Who is silent is asked whether it lives, at a frame boundary; who answers nothing is let go, and nobody else is.
mod support;

use std::io::Write as _;
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use ringway::clock::Now;
use support::frames::{
    PEER_GONE, SIDES, Sent, assert_close, assert_frame, assert_silent, next_frame,
};
use support::pairs::{Hall, SHAPES, assert_arrives, assert_ended, assert_reset, one_worker};
use support::{PATIENCE, metric, wait_for_metric};

const CLIENT: Sent = SIDES[0];
const BACKEND: Sent = SIDES[1];

/// A heart that beats every second for the side that `asked` names.
fn heart(asked: Sent, more: &str) -> String {
    format!(
        "[routes.heartbeat]\n{} = \"1s\"\njitter = \"0%\"\n{more}\n",
        asked.table()
    )
}

/// Does this with each shape and either side silent, all at the same time: hearts beat slowly.
fn everywhere(shapes: &[&'static str], proof: fn(&str, Sent)) {
    std::thread::scope(|scope| {
        for shape in shapes {
            for silent in SIDES {
                scope.spawn(move || proof(shape, silent));
            }
        }
    });
}

/// The next frame is a Ping of Ringway's own; what it carries.
fn asked(stream: &mut TcpStream, to_client: bool) -> Vec<u8> {
    let (first, masked, payload) = next_frame(stream);
    assert_eq!((first, masked, payload.len()), (0x89, !to_client, 8));
    payload
}

fn side(family: &str, asked: Sent) -> String {
    format!("ringway_{family}{{side=\"{}\"", asked.table())
}

#[test]
fn a_silent_side_is_asked_and_its_answer_stays_here() {
    everywhere(&SHAPES, |shape, silent| {
        let hall = Hall::new(&one_worker(shape, ""), &heart(silent, ""));
        let mut pair = hall.pair();
        let (silent_stream, other) = silent.of(&mut pair);
        for round in 1..=2 {
            let payload = asked(silent_stream, silent.by_client);
            // Other Pongs are the other side's, also those that look a little like ours.
            let mut almost = payload.clone();
            almost[7] += 100;
            let pongs = silent.frames(&[
                (0x8A, &almost),
                (0x8A, &payload),
                (0x8A, b""),
                (0x8A, &payload),
                (0x8A, &payload[..7]),
            ]);
            silent_stream.write_all(&pongs).unwrap();
            for wanted in [&almost[..], b"", &payload[..7]] {
                assert_frame(other, !silent.by_client, 0x8A, wanted);
            }
            hall.wait_for(&side("pings_sent_total", silent), round);
            hall.wait_for(&side("ping_rtt_seconds_count", silent), round);
            assert_silent(other);
        }
        hall.wait_for("ringway_pongs_missed_total", 0);
        hall.wait_for(&side("pings_sent_total", silent.other()), 0);
        pair.echoes();
        drop(pair);
        hall.all_home();
    });
}

#[test]
fn a_side_that_answers_nothing_is_told_goodbye() {
    everywhere(&["auto"], |shape, silent| {
        let route = format!("peer_close_code = 4000\n{}", heart(silent, "misses = 2"));
        let hall = Hall::new(&one_worker(shape, ""), &route);
        let mut pair = hall.pair();
        let (silent_stream, other) = silent.of(&mut pair);
        let first = asked(silent_stream, silent.by_client);
        assert_ne!(first, asked(silent_stream, silent.by_client));
        assert_close(silent_stream, silent.by_client, 1001, "no sign of life");
        assert_close(other, !silent.by_client, 4000, PEER_GONE);
        for (stream, sent) in [(silent_stream, silent), (other, silent.other())] {
            stream
                .write_all(&sent.frame(0x88, &1001_u16.to_be_bytes()))
                .unwrap();
        }
        assert_ended(&mut pair.client);
        assert_ended(&mut pair.backend);
        hall.wait_for("ringway_tunnels_ended_total{reason=\"heartbeat_missed\"", 1);
        hall.wait_for(&side("pongs_missed_total", silent), 2);
        hall.all_home();
    });
}

#[test]
fn a_side_that_answers_nothing_may_be_reset_at_once() {
    everywhere(&["auto"], |shape, silent| {
        let hall = Hall::new(
            &one_worker(shape, ""),
            &heart(silent, "misses = 1\non_miss = \"reset\""),
        );
        let mut pair = hall.pair();
        let (silent_stream, other) = silent.of(&mut pair);
        asked(silent_stream, silent.by_client);
        assert_reset(silent_stream);
        assert_reset(other);
        hall.wait_for("ringway_tunnels_ended_total{reason=\"heartbeat_missed\"", 1);
        hall.all_home();
    });
}

#[test]
fn any_byte_is_a_sign_of_life_even_of_a_frame_that_does_not_end() {
    let hall = Hall::new(&one_worker("auto", ""), &heart(CLIENT, "misses = 1"));
    let (mut quiet, mut pair) = (hall.pair(), hall.pair());
    let wire = CLIENT.frame(0x82, &vec![7; 1 << 20]);
    let mut rest = wire.iter();
    asked(&mut quiet.client, true);
    // As long as the quiet one needs to be let go.
    quiet.client.set_nonblocking(true).unwrap();
    while quiet.client.peek(&mut [0]).is_err() {
        if let Some(byte) = rest.next() {
            pair.client.write_all(&[*byte]).unwrap();
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    let sent = wire.len() - rest.len();
    assert_arrives(&mut pair.backend, &wire[..sent]);
    pair.client.write_all(&wire[sent..]).unwrap();
    assert_arrives(&mut pair.backend, &wire[sent..]);
}

#[test]
fn while_a_frame_is_half_sent_the_ping_waits_and_nobody_is_let_go_for_it() {
    everywhere(&SHAPES, |shape, silent| {
        let hall = Hall::new(&one_worker(shape, ""), &heart(silent, "misses = 1"));
        let (mut witness, mut pair) = (hall.pair(), hall.pair());
        let (silent_stream, other) = silent.of(&mut pair);
        let wire = silent.other().frame(0x82, &vec![7; 50_000]);
        other.write_all(&wire[..20_000]).unwrap();
        assert_arrives(silent_stream, &wire[..20_000]);
        // Another tunnel, as silent, is asked and let go meanwhile.
        let (witness_stream, _) = silent.of(&mut witness);
        asked(witness_stream, silent.by_client);
        assert_close(witness_stream, silent.by_client, 1001, "no sign of life");
        assert_silent(silent_stream);
        // A Ping at the end, which must not hide that the frame has ended.
        let rest = [&wire[20_000..], &silent.other().frame(0x89, b"?")].concat();
        other.write_all(&rest).unwrap();
        assert_arrives(silent_stream, &rest[..30_000 + wire.len() - 50_000]);
        let mut came = [next_frame(silent_stream), next_frame(silent_stream)].map(|frame| frame.2);
        came.sort_by_key(Vec::len);
        assert_eq!((&*came[0], came[1].len()), (&b"?"[..], 8));
        silent_stream
            .write_all(&silent.frame(0x8A, &came[1]))
            .unwrap();
        hall.wait_for(&side("ping_rtt_seconds_count", silent), 1);
        pair.echoes();
        drop((witness, pair));
        hall.all_home();
    });
}

#[test]
fn a_ping_behind_the_rest_of_a_frame_does_not_hold_ours_back() {
    let hall = Hall::new(&one_worker("auto", ""), &heart(CLIENT, ""));
    let mut pair = hall.pair();
    let wire = BACKEND.frame(0x82, &vec![7; 20_000]);
    pair.backend.write_all(&wire[..10_000]).unwrap();
    assert_arrives(&mut pair.client, &wire[..10_000]);
    let rest = [&wire[10_000..], &BACKEND.frame(0x89, b"?")].concat();
    pair.backend.write_all(&rest).unwrap();
    assert_arrives(&mut pair.client, &rest);
    asked(&mut pair.client, true);
}

#[test]
fn who_is_not_read_or_does_not_get_its_ping_is_not_taken_for_dead() {
    // A client that must wait, one whose backend takes nothing, and one that reads slowly itself.
    let rate = "\n[[routes.rates]]\nmessages_per_second = 1\n";
    let route = format!("{}{rate}", heart(CLIENT, "misses = 1"));
    let hall = Hall::new(&one_worker("auto", ""), &route);
    let mut waits = hall.pair();
    let burst = CLIENT.frame(0x82, b"!").repeat(200);
    waits.client.write_all(&burst).unwrap();
    assert_arrives(&mut waits.backend, &burst);
    hall.wait_for("ringway_reads_slowed_total", 1);

    let busy = Hall::new(&one_worker("auto", ""), &heart(CLIENT, "misses = 1"));
    let (up, down) = (busy.pair(), busy.narrow_pair());
    let floods = [(&up.client, CLIENT), (&down.backend, BACKEND)].map(|(stream, sent)| {
        let mut stream = stream.try_clone().unwrap();
        let frame = sent.frame(0x82, &[7; 5_000]);
        std::thread::spawn(move || while stream.write_all(&frame).is_ok() {})
    });
    wait_for_metric(
        &busy.ringway,
        "ringway_backpressure_pauses_total",
        |times| times > 1.5,
    );

    // Silent ones beside them are let go twice over.
    for _ in 0..2 {
        for mut silent in [hall.pair(), busy.pair()] {
            asked(&mut silent.client, true);
            assert_close(&mut silent.client, true, 1001, "no sign of life");
        }
    }
    for hall in [&hall, &busy] {
        let ended = "ringway_tunnels_ended_total{reason=\"heartbeat_missed\"";
        hall.wait_for(ended, 2);
        hall.wait_for("ringway_pongs_missed_total", 2);
    }
    for stream in [up.client, up.backend, down.client, down.backend] {
        stream.shutdown(Shutdown::Both).unwrap();
    }
    for flood in floods {
        flood.join().unwrap();
    }
}

#[test]
fn a_tunnel_whose_only_life_is_our_own_pings_is_idle() {
    let hall = Hall::new(
        &one_worker("auto", ""),
        &format!("idle_timeout = \"3s\"\n{}", heart(CLIENT, "")),
    );
    let mut pair = hall.pair();
    let start = Now::read();
    loop {
        let (first, _, payload) = next_frame(&mut pair.client);
        if first == 0x88 {
            assert_eq!(
                payload,
                [&1001_u16.to_be_bytes()[..], b"idle for too long"].concat()
            );
            break;
        }
        assert!(Now::read().since(start) < PATIENCE, "it is never idle");
        pair.client
            .write_all(&CLIENT.frame(0x8A, &payload))
            .unwrap();
    }
    assert_close(&mut pair.backend, false, 1001, "idle for too long");
    drop(pair);
    hall.wait_for("ringway_tunnels_ended_total{reason=\"idle_timeout\"", 1);
    assert!(metric(&hall.ringway, "ringway_ping_rtt_seconds_count") > 0.5);
    hall.all_home();
}

#[test]
fn two_sides_that_have_said_goodbye_are_not_asked_any_more() {
    let hall = Hall::new(
        &one_worker("auto", ""),
        &heart(CLIENT, "misses = 1\non_miss = \"reset\""),
    );
    let mut pair = hall.pair();
    let code = 1000_u16.to_be_bytes();
    pair.client.write_all(&CLIENT.frame(0x88, &code)).unwrap();
    assert_close(&mut pair.backend, false, 1000, "");
    pair.backend.write_all(&BACKEND.frame(0x88, &code)).unwrap();
    assert_close(&mut pair.client, true, 1000, "");
    // Neither ends its stream, for which both have five seconds.
    hall.wait_for("ringway_tunnels_ended_total{reason=\"close_handshake\"", 1);
    hall.wait_for("ringway_tunnels_ended_total{reason=\"heartbeat_missed\"", 0);
    hall.all_home();
}

#[test]
fn pings_are_answered_here_where_the_route_says_so() {
    for shape in SHAPES {
        for level in ["headers", "text", "messages"] {
            let route = format!("inspect = \"{level}\"\nanswer_pings = true");
            let hall = Hall::new(&one_worker(shape, ""), &route);
            let mut pair = hall.pair();
            let long = [7; 125];
            let pings = CLIENT.frames(&[
                (0x89, b""),
                (0x82, b"data"),
                (0x89, &long),
                (0x8A, b"pong"),
                (0x89, b"last"),
            ]);
            for part in [&pings[..], &pings[..3], &pings[3..40], &pings[40..]] {
                pair.client.write_all(part).unwrap();
            }
            for _ in 0..2 {
                for payload in [&b""[..], &long, b"last"] {
                    assert_frame(&mut pair.client, true, 0x8A, payload);
                }
                assert_frame(&mut pair.backend, false, 0x82, b"data");
                assert_frame(&mut pair.backend, false, 0x8A, b"pong");
            }
            hall.wait_for(&side("pings_answered_total", CLIENT), 6);
            let ping = BACKEND.frame(0x89, b"yours");
            pair.backend.write_all(&ping).unwrap();
            assert_arrives(&mut pair.client, &ping);
            assert_silent(&pair.backend);
            // In the middle of a frame of the backend's the answer waits for its end.
            let frame = BACKEND.frame(0x82, &[7; 5_000]);
            if level == "headers" {
                pair.backend.write_all(&frame[..2_000]).unwrap();
                assert_arrives(&mut pair.client, &frame[..2_000]);
                pair.client.write_all(&CLIENT.frame(0x89, b"wait")).unwrap();
                hall.wait_for(&side("pings_answered_total", CLIENT), 7);
                assert_silent(&pair.client);
                pair.backend.write_all(&frame[2_000..]).unwrap();
                assert_arrives(&mut pair.client, &frame[2_000..]);
                assert_frame(&mut pair.client, true, 0x8A, b"wait");
            }
            pair.echoes();
            drop(pair);
            hall.all_home();
        }
    }
}

#[test]
fn a_client_whose_pings_are_answered_here_is_not_idle() {
    let hall = Hall::new(
        &one_worker("auto", ""),
        "idle_timeout = \"2s\"\nanswer_pings = true",
    );
    let mut pair = hall.pair();
    let (start, mut answered) = (Now::read(), 0_u8);
    pair.client.set_read_timeout(Some(PATIENCE)).unwrap();
    while Now::read().since(start) < Duration::from_secs(4) {
        pair.client
            .write_all(&CLIENT.frame(0x89, &[answered]))
            .unwrap();
        assert_arrives(&mut pair.client, &BACKEND.frame(0x8A, &[answered]));
        answered = answered.wrapping_add(1);
    }
    pair.echoes();
    drop(pair);
    hall.all_home();
}
