//! Whatever bytes strangers send to a route with every setting on, the worker lives, its buffers come home, and whoever
//! behaves notices nothing.
#![expect(
    clippy::unwrap_used,
    reason = "a step of a test that fails is the test's failure"
)]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use ringway::rng::Rng;
use support::frames::{SIDES, Sent, next_frame};
use support::metric;
use support::pairs::{Hall, Pair, SHAPES, one_worker, reset};

/// Tunnels for each shape and route.
const TUNNELS: u64 = 400;

fn route(level: &str, slow: &str) -> String {
    format!(
        "inspect = \"{level}\"\ncompression = \"strip\"\nanswer_pings = true\nframe_metrics = true\n\
         peer_close_code = 4000\nhalf_close_timeout = \"1s\"\n\
         [routes.client_frames]\nmax_frame = \"20KiB\"\nmax_message = \"30KiB\"\nmax_fragments = 5\n\
         control_per_second = 50\n\
         [routes.backend_frames]\nmax_frame = \"100KiB\"\nmax_message = \"150KiB\"\n\
         max_fragments = 6\ncontrol_per_second = 60\n\
         [[routes.rates]]\nmessages_per_second = 1000\nbytes_per_second = \"1MiB\"\nburst = \"10ms\"\n\
         [[routes.rates]]\nmessages_per_second = 20\nover = \"drop\"\ncounts_control = true\n\
         [[routes.rates]]\nby = {{ header = \"x-none\" }}\nbytes_per_second = \"100MiB\"\nover = \"close\"\n\
         [routes.heartbeat]\nclient = \"1s\"\nmisses = 20\n\
         [routes.slow_consumer]\nclient = \"{slow}\"\nbackend = \"{slow}\"\nqueue = \"4KiB\"\n"
    )
}

/// Frames as they should be, most of the time.
fn frames(sent: Sent, rng: &mut Rng) -> Vec<u8> {
    let mut wire = Vec::new();
    for _ in 0..=rng.below(12) {
        let length = match rng.below(6) {
            0 => rng.below(20_000),
            1 => 120 + rng.below(10),
            _ => rng.below(60),
        };
        let text = "aä€🦀".repeat(length as usize / 10 + 1);
        let text = &text.as_bytes()[..length as usize];
        let first = match rng.below(12) {
            0 => 0x01,
            1 => 0x02,
            2 => 0x00,
            3 => 0x80,
            4 => 0x89,
            5 => 0x8A,
            6 => 0x88,
            7 | 8 => 0x81,
            _ => 0x82,
        };
        let short = if first & 8 == 0 {
            text
        } else {
            &text[..text.len().min(125)]
        };
        wire.extend(sent.frame(first, short));
    }
    wire
}

/// What a stranger sends at once: frames, frames with a few bytes changed, part of them, or noise.
fn noise(sent: Sent, rng: &mut Rng) -> Vec<u8> {
    let mut wire = frames(sent, rng);
    match rng.below(8) {
        0 => (0..rng.below(300))
            .map(|_| rng.next_u64().to_le_bytes()[0])
            .collect(),
        1 | 2 => {
            for _ in 0..=rng.below(3) {
                let place = rng.below(u32::try_from(wire.len()).unwrap()) as usize;
                wire[place] ^= 1 << rng.below(8);
            }
            wire
        }
        3 => {
            wire.truncate(rng.below(u32::try_from(wire.len()).unwrap()) as usize);
            wire
        }
        _ => wire,
    }
}

/// Takes whatever is there.
fn drained(stream: &mut TcpStream) {
    let mut room = [0; 16 * 1024];
    while stream.read(&mut room).is_ok_and(|bytes| bytes > 0) {}
}

fn torment(mut pair: Pair, rng: &mut Rng) {
    for stream in [&pair.client, &pair.backend] {
        stream.set_nonblocking(true).unwrap();
    }
    for _ in 0..=rng.below(5) {
        let sent = SIDES[rng.below(2) as usize];
        let (from, to) = sent.of(&mut pair);
        let wire = noise(sent, rng);
        let cut = rng.below(u32::try_from(wire.len()).unwrap() + 1) as usize;
        for part in [&wire[..cut], &wire[cut..]] {
            // It may have been thrown out already, and need not be read.
            let _ = from.write(part);
        }
        if rng.below(3) > 0 {
            drained(from);
            drained(to);
        }
    }
    match rng.below(6) {
        0 => reset(pair.client),
        1 => reset(pair.backend),
        2 => {
            let _ = pair.client.shutdown(Shutdown::Write);
        }
        3 => {
            let _ = pair.backend.shutdown(Shutdown::Write);
            drained(&mut pair.client);
        }
        _ => {}
    }
}

/// A message of the backend reaches the client. The client answers Pings on the way.
fn says_something(pair: &mut Pair) {
    let message = SIDES[1].frame(0x82, b"still here");
    pair.backend.write_all(&message).unwrap();
    while let (first, _, payload) = next_frame(&mut pair.client)
        && payload != b"still here"
    {
        assert_eq!(first, 0x89);
        pair.client
            .write_all(&SIDES[0].frame(0x8A, &payload))
            .unwrap();
    }
}

#[test]
fn no_bytes_kill_a_worker_or_hurt_a_bystander() {
    for (shape, seed) in SHAPES.into_iter().zip(0..) {
        for (level, slow) in [
            ("messages", "newest"),
            ("messages", "close"),
            ("text", "backpressure"),
            ("headers", "close"),
        ] {
            let mut route = route(level, slow);
            if slow == "backpressure" {
                route = route.replace("queue = \"4KiB\"\n", "");
            }
            let hall = Hall::new(&one_worker(shape, ""), &route);
            let mut bystander = hall.pair();
            let mut rng = Rng::seeded(seed);
            for number in 0..TUNNELS {
                torment(hall.pair(), &mut rng);
                if number.is_multiple_of(50) {
                    says_something(&mut bystander);
                }
            }
            assert!(metric(&hall.ringway, "ringway_frame_violations_total") > 20.0);
            drop(bystander);
            hall.all_home();
        }
    }
}
