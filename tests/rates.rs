//! How much clients may send in a second, and what happens to what is over: it waits, is left out, or costs the tunnel.
#![expect(
    clippy::unwrap_used,
    reason = "a step of a test that fails is the test's failure"
)]

mod support;

use std::io::{ErrorKind, Write as _};
use std::net::TcpStream;

use ringway::clock::Now;
use support::frames::{
    Broken, PEER_GONE, SIDES, Sent, assert_close, assert_refused, assert_silent, next_frame,
    wait_for_violations,
};
use support::pairs::{Hall, Pair, SHAPES, assert_arrives, assert_ended, one_worker};
use support::{PATIENCE, connect, metric, read_head, wait_for_metric};

const CLIENT: Sent = SIDES[0];
const BACKEND: Sent = SIDES[1];
const TOO_MANY: Broken = (
    "message_rate",
    1008,
    "too many messages or bytes in a second",
);
const DROPPED: &str = "ringway_messages_dropped_total{reason=\"rate\"";

/// A route with this rate. What is left out needs the promise that nothing is compressed.
fn rate(lines: &str) -> String {
    format!("compression = \"strip\"\n[[routes.rates]]\n{lines}\n")
}

/// So long a message, at 1 KiB a second, is paid for in minutes: whatever follows it in a test is over.
fn heavy() -> Vec<u8> {
    CLIENT.frame(0x82, &vec![7; 256 * 1024])
}

/// A tunnel whose handshake has one field more.
fn pair_with(hall: &Hall, field: &str) -> Pair {
    let mut client = connect(hall.ringway.listening[0]);
    let head = support::upgrade_head("/ws").replace("\r\n\r\n", &format!("\r\n{field}\r\n\r\n"));
    client.write_all(head.as_bytes()).unwrap();
    let (backend, _) = hall.puppet.accept_tunnel();
    assert!(read_head(&mut client).starts_with("HTTP/1.1 101 "));
    Pair { client, backend }
}

/// Writes a frame that goes through.
fn passes(pair: &mut Pair, wire: &[u8]) {
    pair.client.write_all(wire).unwrap();
    assert_arrives(&mut pair.backend, wire);
}

#[test]
fn who_is_over_and_must_wait_sends_everything_in_order_in_the_end() {
    for shape in SHAPES {
        for lines in [
            "messages_per_second = 100\nburst = \"10ms\"",
            "bytes_per_second = \"256KiB\"\nburst = \"10ms\"",
        ] {
            let hall = Hall::new(&one_worker(shape, ""), &rate(lines));
            let (mut pair, mut bystander) = (hall.pair(), hall.pair());
            for number in 0..20_u8 {
                let wire = CLIENT.frame(0x82, &[number; 3_000]);
                pair.client.write_all(&wire).unwrap();
                bystander
                    .backend
                    .write_all(&BACKEND.frame(0x82, b"down"))
                    .unwrap();
                assert_arrives(&mut bystander.client, &BACKEND.frame(0x82, b"down"));
            }
            for number in 0..20_u8 {
                assert_arrives(&mut pair.backend, &CLIENT.frame(0x82, &[number; 3_000]));
            }
            wait_for_metric(&hall.ringway, "ringway_reads_slowed_total", |times| {
                times > 0.5
            });
            drop((pair, bystander));
            hall.all_home();
        }
    }
}

/// Writes until nobody takes any more.
fn fill(stream: &mut TcpStream) {
    stream.set_nonblocking(true).unwrap();
    let frame = CLIENT.frame(0x82, &vec![1; 64 * 1024]);
    let error = loop {
        if let Err(error) = stream.write_all(&frame) {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    stream.set_nonblocking(false).unwrap();
}

/// A tunnel whose client has sent so much that it is not read for minutes.
fn slowed(hall: &Hall) -> Pair {
    let mut pair = hall.pair();
    // They are read at once, and paid for in minutes.
    passes(&mut pair, &CLIENT.frame(0x82, b"!").repeat(200));
    hall.wait_for("ringway_reads_slowed_total", 1);
    pair
}

#[test]
fn who_must_wait_is_not_read_and_may_still_be_written_to() {
    let slow = rate("messages_per_second = 1");
    // Nobody sees that who is not read has left, but its backend leaves too.
    let slow = format!("half_close_timeout = \"1s\"\n{slow}");
    for shape in SHAPES {
        let hall = Hall::new(&one_worker(shape, ""), &slow);
        let mut pair = slowed(&hall);
        fill(&mut pair.client);
        assert_silent(&pair.backend);
        let down = BACKEND.frames(&[(0x82, b"down"), (0x89, b"?")]);
        pair.backend.write_all(&down).unwrap();
        assert_arrives(&mut pair.client, &down);
        hall.wait_for("ringway_reads_slowed_total", 1);
        drop(pair);
        hall.all_home();
    }
}

#[test]
fn who_must_wait_is_told_goodbye_and_its_answer_is_heard() {
    for shape in SHAPES {
        let drain = format!(
            "{}[drain]\ntime = \"0s\"\ndeadline = \"20s\"",
            one_worker(shape, "")
        );
        let hall = Hall::new(&drain, &rate("messages_per_second = 1"));
        let mut pair = slowed(&hall);
        pair.client
            .write_all(&CLIENT.frame(0x82, b"not read"))
            .unwrap();
        hall.ringway.stop();
        assert_close(&mut pair.client, true, 1001, "going down");
        assert_close(&mut pair.backend, false, 1001, "going down");
        let code = 1001_u16.to_be_bytes();
        pair.backend.write_all(&BACKEND.frame(0x88, &code)).unwrap();
        pair.client.write_all(&CLIENT.frame(0x88, &code)).unwrap();
        assert_ended(&mut pair.client);
        let outcome = hall.ringway.wait();
        assert_eq!((outcome.clean, outcome.cut), (1, 0));
    }
}

#[test]
fn a_goodbye_that_comes_with_what_is_over_ends_as_any_other() {
    let hall = Hall::new(&one_worker("auto", ""), &rate("messages_per_second = 1"));
    let mut pair = hall.pair();
    let code = 1000_u16.to_be_bytes();
    let over = CLIENT.frame(0x82, b"!").repeat(50);
    let wire = [over, CLIENT.frame(0x88, &code)].concat();
    passes(&mut pair, &wire);
    pair.backend.write_all(&BACKEND.frame(0x88, &code)).unwrap();
    assert_arrives(&mut pair.client, &BACKEND.frame(0x88, &code));
    pair.backend.shutdown(std::net::Shutdown::Write).unwrap();
    pair.client.shutdown(std::net::Shutdown::Write).unwrap();
    assert_ended(&mut pair.client);
    assert_ended(&mut pair.backend);
    hall.wait_for("ringway_tunnels_ended_total{reason=\"close_handshake\"", 1);
    hall.all_home();
}

/// What the backend has when the client has sent this at once, but for the Ping at its end.
fn arrived(pair: &mut Pair, frames: &[(u8, &[u8])]) -> Vec<(u8, Vec<u8>)> {
    let last = (0x89, &b"last"[..]);
    let wire = CLIENT.frames(&[frames, &[last]].concat());
    pair.client.write_all(&wire).unwrap();
    let frames = std::iter::from_fn(|| {
        let (first, _, payload) = next_frame(&mut pair.backend);
        (payload != last.1).then_some((first, payload))
    });
    frames.collect()
}

#[test]
fn what_is_over_is_left_out_as_whole_messages_and_control_frames_never_are() {
    let sent: [(u8, &[u8]); 12] = [
        (0x82, b"1"),
        (0x89, b"a"),
        (0x02, b"2"),
        (0x8A, b"b"),
        (0x80, b"2"),
        (0x82, &[3; 5_000]),
        (0x02, b"out"),
        (0x89, b"c"),
        (0x00, b""),
        (0x80, b"out"),
        (0x82, &[4; 5_000]),
        (0x8A, b"d"),
    ];
    let wanted = sent
        .iter()
        .enumerate()
        .filter(|(place, _)| !matches!(place, 6 | 8..=10));
    let wanted: Vec<_> = wanted
        .map(|(_, (first, payload))| (*first, payload.to_vec()))
        .collect();
    for shape in SHAPES {
        for level in ["headers", "messages"] {
            let lines = rate("messages_per_second = 1\nburst = \"3s\"\nover = \"drop\"");
            let route = format!("inspect = \"{level}\"\n{lines}");
            let hall = Hall::new(&one_worker(shape, ""), &route);
            let mut pair = hall.pair();
            let mut came = arrived(&mut pair, &sent);
            if level == "messages" {
                // The Pong overtakes the fragments of the second message.
                came.swap(2, 3);
            }
            assert_eq!(came, wanted);
            hall.wait_for(DROPPED, 2);
            hall.wait_for("ringway_reads_slowed_total", 0);
            hall.wait_for(
                "ringway_message_size_bytes_count{direction=\"client_to_backend\"",
                3,
            );
            drop(pair);
            hall.all_home();
        }
    }
}

#[test]
fn what_was_left_out_is_not_paid_for() {
    let lines = rate("bytes_per_second = \"1KiB\"\nover = \"drop\"");
    let hall = Hall::new(&one_worker("auto", ""), &lines);
    let mut pair = hall.pair();
    passes(&mut pair, &CLIENT.frame(0x82, &[1; 4_000]));
    // Paid for, these would take minutes.
    pair.client.write_all(&heavy().repeat(2)).unwrap();
    hall.wait_for(DROPPED, 2);
    assert_silent(&pair.backend);
    let start = Now::read();
    let again = CLIENT.frame(0x82, b"again");
    pair.backend.set_nonblocking(true).unwrap();
    while pair.backend.peek(&mut [0]).is_err() {
        assert!(
            Now::read().since(start) < PATIENCE,
            "nothing passes any more"
        );
        pair.client.write_all(&again).unwrap();
        std::thread::yield_now();
    }
}

#[test]
fn who_is_over_and_is_not_to_be_is_closed() {
    let message: (u8, &[u8]) = (0x82, b"message");
    for level in ["headers", "messages"] {
        let lines = rate("messages_per_second = 1\nburst = \"3s\"\nover = \"close\"");
        let route = format!("inspect = \"{level}\"\n{lines}");
        let hall = Hall::new(&one_worker("auto", ""), &route);
        let mut bystander = hall.pair();
        let legal = CLIENT.frames(&[message, (0x89, b"?"), message, message, (0x8A, b"!")]);
        let wire = [&legal[..], &CLIENT.frames(&[message, message])].concat();
        assert_refused(&hall, CLIENT, (&[&wire], &legal), (TOO_MANY, 1001));
        bystander.echoes();
        wait_for_violations(&hall, TOO_MANY.0, 1);
        hall.wait_for("ringway_tunnels_ended_total{reason=\"policy\"", 1);
        // A backend may send as much as it likes.
        let down = BACKEND.frame(0x82, b"down").repeat(200);
        bystander.backend.write_all(&down).unwrap();
        assert_arrives(&mut bystander.client, &down);
        drop(bystander);
        hall.all_home();
    }
}

#[test]
fn control_frames_count_only_where_the_rate_says_so() {
    let pings = CLIENT.frame(0x89, b"?").repeat(500);
    let lines = "messages_per_second = 1\nburst = \"3s\"\nover = \"close\"";
    let hall = Hall::new(&one_worker("auto", ""), &rate(lines));
    let mut pair = hall.pair();
    passes(&mut pair, &pings);
    let lines = format!("{lines}\ncounts_control = true");
    let hall = Hall::new(&one_worker("auto", ""), &rate(&lines));
    let legal = CLIENT.frames(&[(0x89, b"?"), (0x82, b"message"), (0x8A, b"!")]);
    let wire = [&legal[..], &pings].concat();
    assert_refused(&hall, CLIENT, (&[&wire], &legal), (TOO_MANY, 1001));
    let lines = lines.replace("close", "drop");
    let hall = Hall::new(&one_worker("auto", ""), &rate(&lines));
    let ping: (u8, &[u8]) = (0x89, b"?");
    let came = arrived(&mut hall.pair(), &[ping, ping, ping, ping, (0x82, b"out")]);
    assert_eq!(came, vec![(0x89, b"?".to_vec()); 4]);
    hall.wait_for(DROPPED, 1);
}

#[test]
fn who_is_the_same_shares_one_count() {
    let fields = [
        ("connection", ["X-User: ann", "X-User: ann"], false),
        ("source", ["X-User: ann", "X-User: bob"], true),
        (
            "{ header = \"x-user\" }",
            ["X-User: ann", "x-user:  ann "],
            true,
        ),
        (
            "{ header = \"x-user\" }",
            ["X-User: ann", "X-User: bob"],
            false,
        ),
        ("{ header = \"x-user\" }", ["X-None: 1", "X-None: 2"], true),
        (
            "{ header = \"x-user\" }",
            ["X-User: 127.0.0.1", "X-None: 2"],
            false,
        ),
        (
            "{ cookie = \"user\" }",
            ["Cookie: a=b; user=ann", "Cookie: user=ann"],
            true,
        ),
        (
            "{ cookie = \"user\" }",
            ["Cookie: user=ann", "Cookie: user=bob"],
            false,
        ),
    ];
    for (by, [one, other], is_shared) in fields {
        let by = if by.starts_with('{') {
            by.to_owned()
        } else {
            format!("\"{by}\"")
        };
        let lines = format!("by = {by}\nbytes_per_second = \"1KiB\"\nover = \"close\"");
        let hall = Hall::new(&one_worker("auto", ""), &rate(&lines));
        let (mut first, mut second) = (pair_with(&hall, one), pair_with(&hall, other));
        passes(&mut first, &heavy());
        second.client.write_all(&heavy()).unwrap();
        if is_shared {
            assert_close(&mut second.client, true, TOO_MANY.1, TOO_MANY.2);
            assert_close(&mut second.backend, false, 1001, PEER_GONE);
        } else {
            assert_arrives(&mut second.backend, &heavy());
        }
        // Who leaves and comes back finds the count as it was.
        drop((first, second));
        hall.wait_for("ringway_tunnels_open", 0);
        let mut again = pair_with(&hall, one);
        again.client.write_all(&heavy()).unwrap();
        if by == "\"connection\"" {
            assert_arrives(&mut again.backend, &heavy());
        } else {
            assert_close(&mut again.client, true, TOO_MANY.1, TOO_MANY.2);
        }
        drop(again);
        hall.all_home();
    }
}

#[test]
fn the_strictest_of_several_rates_decides() {
    let lines = format!(
        "{}{}",
        rate("messages_per_second = 1\nburst = \"5s\"\nover = \"close\""),
        "[[routes.rates]]\nmessages_per_second = 1\nburst = \"2s\"\nover = \"drop\"\n"
    );
    let hall = Hall::new(&one_worker("auto", ""), &lines);
    let mut pair = hall.pair();
    let message: (u8, &[u8]) = (0x82, b"message");
    assert_eq!(arrived(&mut pair, &[message; 10]).len(), 2);
    hall.wait_for(DROPPED, 8);
    assert!(metric(&hall.ringway, "ringway_tunnels_open") > 0.5);
}
