//! A side that takes less than is sent to it: it is waited for, or loses its oldest messages, or is told to come back;
//! and whoever keeps up loses nothing.
#![expect(
    clippy::unwrap_used,
    reason = "a step of a test that fails is the test's failure"
)]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::thread::JoinHandle;

use support::frames::{Came, PEER_GONE, SIDES, Sent, assert_close, next_frame};
use support::pairs::{Hall, Pair, SHAPES, assert_ended, assert_reset, one_worker, reset};
use support::{metric, wait_for_metric};

const CLIENT: Sent = SIDES[0];
const BACKEND: Sent = SIDES[1];
const TOO_SLOW: &str = "messages were not read fast enough";

/// A route that does this with slow sides.
fn rule(level: &str, rule: &str, queue: &str) -> String {
    let level = format!("inspect = \"{level}\"\ncompression = \"strip\"\n");
    if rule == "backpressure" {
        return level;
    }
    format!(
        "{level}[routes.slow_consumer]\nclient = \"{rule}\"\nbackend = \"{rule}\"\n\
         queue = \"{queue}\"\n"
    )
}

/// A tunnel whose receiver holds little in its socket.
fn narrow(hall: &Hall, sent: Sent) -> Pair {
    if sent.by_client {
        hall.pair()
    } else {
        hall.narrow_pair()
    }
}

/// A message that says its number, so many bytes long.
fn numbered(sent: Sent, number: u32, bytes: usize) -> Vec<u8> {
    let mut payload = number.to_be_bytes().to_vec();
    payload.resize(bytes.max(4), 7);
    if number.is_multiple_of(5) {
        return sent.frames(&[(0x02, &payload[..4]), (0x00, b""), (0x80, &payload[4..])]);
    }
    sent.frame(0x82, &payload)
}

/// Writes so many numbered messages.
fn flood(stream: &TcpStream, sent: Sent, (count, bytes): (u32, usize)) -> JoinHandle<()> {
    let mut stream = stream.try_clone().unwrap();
    std::thread::spawn(move || {
        for number in 1..=count {
            stream.write_all(&numbered(sent, number, bytes)).unwrap();
        }
    })
}

/// Reads whole messages up to the one with this number, each newer than the one before; how many there were.
fn read_up_to(stream: &mut TcpStream, last: u32) -> u32 {
    let (mut count, mut before) = (0, 0);
    while before < last {
        let (mut first, _, mut payload) = next_frame(stream);
        while first < 0x80 {
            let (next, _, more) = next_frame(stream);
            assert!(next == 0x80 || next == 0, "a message inside of another");
            payload.extend(more);
            first |= next;
        }
        let number = u32::from_be_bytes(*payload.first_chunk().unwrap());
        assert!(number > before, "{number} behind {before}");
        assert!(payload[4..].iter().all(|byte| *byte == 7));
        (count, before) = (count + 1, number);
    }
    count
}

const DROPPED: &str = "ringway_messages_dropped_total{reason=\"slow_consumer\"";

#[test]
fn who_comes_back_gets_whole_messages_in_order_the_newest_among_them() {
    for (shape, (count, bytes)) in
        SHAPES
            .into_iter()
            .zip([(8_000, 2_000), (60_000, 200), (400, 100_000)])
    {
        for sent in SIDES {
            let hall = Hall::new(&one_worker(shape, ""), &rule("messages", "newest", "64KiB"));
            let (mut pair, mut bystander) = (narrow(&hall, sent), hall.pair());
            let (from, to) = sent.of(&mut pair);
            // The sender is never made to wait.
            flood(from, sent, (count, bytes)).join().unwrap();
            let direction = if sent.by_client {
                "client_to_backend"
            } else {
                "backend_to_client"
            };
            let row = format!("ringway_messages_total{{direction=\"{direction}\"");
            wait_for_metric(&hall.ringway, &row, |all| all > f64::from(count) - 0.5);
            bystander.echoes();
            let arrived = read_up_to(to, count);
            assert!(arrived < count, "nothing was left out");
            hall.wait_for(DROPPED, count - arrived);
            hall.wait_for("ringway_backpressure_pauses_total", 0);
            pair.echoes();
            drop((pair, bystander));
            hall.all_home();
        }
    }
}

#[test]
fn who_keeps_up_loses_nothing_whatever_comes_at_once() {
    for shape in SHAPES {
        for kind in ["newest", "close"] {
            let hall = Hall::new(&one_worker(shape, ""), &rule("messages", kind, "4KiB"));
            for sent in SIDES {
                let mut pair = hall.pair();
                for round in 0..30 {
                    // Far more than the queue, and far less than a socket holds.
                    let burst: Vec<u8> = (1..=20)
                        .flat_map(|n| numbered(sent, n, 100 * round + 4))
                        .collect();
                    let (from, to) = sent.of(&mut pair);
                    from.write_all(&burst).unwrap();
                    assert_eq!(read_up_to(to, 20), 20);
                }
                let (from, to) = sent.of(&mut pair);
                from.write_all(&numbered(sent, 1, 50_000)).unwrap();
                assert_eq!(read_up_to(to, 1), 1);
                pair.echoes();
            }
            hall.wait_for(DROPPED, 0);
            hall.all_home();
        }
    }
}

#[test]
fn who_is_too_slow_is_told_to_come_back_behind_a_whole_frame() {
    for shape in SHAPES {
        for (level, bytes) in [
            ("headers", 300),
            ("headers", 70_000),
            ("text", 3_000),
            ("messages", 20_000),
        ] {
            for sent in SIDES {
                let hall = Hall::new(&one_worker(shape, ""), &rule(level, "close", "64KiB"));
                let (mut pair, mut bystander) = (narrow(&hall, sent), hall.pair());
                let (from, to) = sent.of(&mut pair);
                let mut writer = from.try_clone().unwrap();
                let flood = std::thread::spawn(move || {
                    let frame = sent.frame(0x82, &vec![7; bytes]);
                    // It is cut in the end, and may be in the middle of a frame.
                    while writer.write_all(&frame).is_ok() {}
                });
                assert_close(from, sent.by_client, 1001, PEER_GONE);
                bystander.echoes();
                from.shutdown(Shutdown::Both).unwrap();
                flood.join().unwrap();
                let read = read_until_close(to);
                let came = Came::parse(&read);
                assert!(came.rest.is_empty());
                let frame = sent.frame(0x82, &vec![7; bytes]);
                assert!(came.data.chunks(frame.len()).all(|found| found == frame));
                assert_says(&came.control, 1013, TOO_SLOW);
                to.write_all(&sent.other().frame(0x88, &1013_u16.to_be_bytes()))
                    .unwrap();
                drop((pair, bystander));
                hall.wait_for("ringway_tunnels_ended_total{reason=\"slow_consumer\"", 1);
                hall.all_home();
            }
        }
    }
}

/// Reads on until a Close frame is all there.
fn read_until_close(stream: &mut TcpStream) -> Vec<u8> {
    let mut read = Vec::new();
    let mut room = vec![0; 256 * 1024];
    while Came::parse(&read).control.is_empty() {
        let bytes = stream.read(&mut room).unwrap();
        assert!(bytes > 0, "an end without a Close frame");
        read.extend_from_slice(&room[..bytes]);
    }
    read
}

/// The only control frame is a Close that says this.
fn assert_says(control: &[u8], code: u16, reason: &str) {
    let mut control = control.to_vec();
    let masked = control[1] >= 0x80;
    let (header, payload) = control.split_at_mut(if masked { 6 } else { 2 });
    if masked {
        let key = header[2..].iter().cycle();
        payload
            .iter_mut()
            .zip(key)
            .for_each(|(byte, key)| *byte ^= key);
    }
    let wanted = [&code.to_be_bytes()[..], reason.as_bytes()].concat();
    assert_eq!(
        (header[0], String::from_utf8_lossy(payload)),
        (0x88, String::from_utf8_lossy(&wanted))
    );
}

#[test]
fn a_pong_overtakes_what_waits_for_a_slow_client() {
    for shape in SHAPES {
        let route = format!(
            "answer_pings = true\n{}",
            rule("messages", "newest", "1MiB")
        );
        let hall = Hall::new(&one_worker(shape, ""), &route);
        let mut pair = hall.narrow_pair();
        let count = 10_000;
        flood(&pair.backend, BACKEND, (count, 1_000))
            .join()
            .unwrap();
        let row = "ringway_messages_total{direction=\"backend_to_client\"";
        wait_for_metric(&hall.ringway, row, |all| all > f64::from(count) - 0.5);
        let dropped = metric(&hall.ringway, DROPPED);
        pair.client.write_all(&CLIENT.frame(0x89, b"now")).unwrap();
        hall.wait_for("ringway_pings_answered_total", 1);
        while next_frame(&mut pair.client).0 != 0x8A {}
        // All of this had come before the Ping was answered.
        let behind = read_up_to(&mut pair.client, count);
        assert!(behind > 900, "{behind} messages, {dropped} left out");
        drop(pair);
        hall.all_home();
    }
}

#[test]
fn a_flood_to_a_client_that_never_reads_takes_no_memory() {
    let hall = Hall::new(
        &one_worker("auto", ""),
        &rule("messages", "newest", "64KiB"),
    );
    let pairs: Vec<Pair> = (0..3).map(|_| hall.narrow_pair()).collect();
    let before = resident_bytes();
    let floods: Vec<_> = pairs
        .iter()
        .map(|pair| flood(&pair.backend, BACKEND, (700, 100_000)))
        .collect();
    for flood in floods {
        flood.join().unwrap();
    }
    wait_for_metric(&hall.ringway, "ringway_messages_total", |all| all > 2_099.5);
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 120 << 20, "{grown} bytes more");
    drop(pairs);
    hall.all_home();
}

fn resident_bytes() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// A tunnel whose client does not read, with full tracks towards it.
fn full(hall: &Hall) -> (Pair, JoinHandle<()>) {
    let pair = hall.narrow_pair();
    let mut writer = pair.backend.try_clone().unwrap();
    let flood = std::thread::spawn(move || {
        let frame = BACKEND.frame(0x82, &[7; 5_000]);
        while writer.write_all(&frame).is_ok() {}
    });
    wait_for_metric(
        &hall.ringway,
        "ringway_backpressure_pauses_total",
        |times| times > 0.5,
    );
    (pair, flood)
}

#[test]
fn a_goodbye_comes_behind_full_tracks_and_a_lost_side_empties_them() {
    for shape in SHAPES {
        let drain = format!(
            "{}[drain]\ntime = \"0s\"\ndeadline = \"20s\"",
            one_worker(shape, "")
        );
        let hall = Hall::new(&drain, "inspect = \"text\"");
        let (lost, flood) = full(&hall);
        reset(lost.backend.try_clone().unwrap());
        lost.backend.shutdown(Shutdown::Both).unwrap();
        flood.join().unwrap();
        let mut client = lost.client;
        drop(lost.backend);
        let mut room = vec![0; 64 * 1024];
        while client.read(&mut room).is_ok_and(|bytes| bytes > 0) {}
        drop(client);
        hall.all_home();
        let (left, flood) = full(&hall);
        reset(left.client);
        flood.join().unwrap();
        drop(left.backend);
        hall.all_home();
        let (mut told, flood) = full(&hall);
        hall.ringway.stop();
        assert_close(&mut told.backend, false, 1001, "going down");
        told.backend.shutdown(Shutdown::Both).unwrap();
        flood.join().unwrap();
        let came = Came::parse(&read_until_close(&mut told.client));
        assert!(came.rest.is_empty());
        assert_says(&came.control, 1001, "going down");
        let answer = CLIENT.frame(0x88, &1001_u16.to_be_bytes());
        told.client.write_all(&answer).unwrap();
        assert_ended(&mut told.client);
        assert_eq!(hall.ringway.wait().cut, 0);
    }
}

#[test]
fn who_never_reads_is_reset_after_the_stalled_write_time_whatever_the_rule() {
    for kind in ["backpressure", "newest"] {
        let route = format!(
            "stalled_write_timeout = \"1s\"\n{}",
            rule("messages", kind, "64KiB")
        );
        let hall = Hall::new(&one_worker("auto", ""), &route);
        let (mut pair, mut bystander) = (hall.narrow_pair(), hall.pair());
        let mut writer = pair.backend.try_clone().unwrap();
        let flood = std::thread::spawn(move || {
            let frame = BACKEND.frame(0x82, &[7; 5_000]);
            while writer.write_all(&frame).is_ok() {}
        });
        hall.wait_for("ringway_tunnels_ended_total{reason=\"stalled_write\"", 1);
        flood.join().unwrap();
        assert_reset(&mut pair.client);
        bystander.echoes();
        drop((pair, bystander));
        hall.all_home();
    }
}
