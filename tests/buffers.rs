//! Receive buffers are few and shared: however few they are and whatever is done to them, all come home.
#![expect(
    clippy::unwrap_used,
    reason = "a step of a test that fails is the test's failure"
)]

mod support;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use support::pairs::{
    Hall, Pair, SHAPES, Stream, assert_ended, one_worker, read_in_pieces, reset, whole,
    write_in_pieces,
};
use support::{backend_frame, client_frame, connect, read_frame, read_head};

/// Sixteen buffers, so that there are never enough.
const TINY: &str = "buffers = 16\nbuffer_bytes = \"4KiB\"";
const TINIEST: &str = "buffers = 16\nbuffer_bytes = \"1KiB\"";

fn each_shape(settings: &str, test: impl Fn(&Hall)) {
    for shape in SHAPES {
        test(&Hall::new(&one_worker(shape, settings), ""));
    }
}

/// Bulk both ways through so many tunnels at once, every byte compared.
fn bulk_is_exact(hall: &Hall, tunnels: u64) {
    let mut running = Vec::new();
    for number in 0..tunnels {
        let pair = hall.pair();
        for masked in [true, false] {
            let (from, to) = if masked {
                (&pair.client, &pair.backend)
            } else {
                (&pair.backend, &pair.client)
            };
            let seed = number * 10 + u64::from(masked);
            let mut stream = Stream::new(masked, seed);
            stream.some(60, 30_000);
            stream.message(600_000);
            stream.some(60, 200);
            let wanted = whole(&stream.bytes);
            let read = read_in_pieces(to, seed);
            running.push((write_in_pieces(from, stream.bytes, seed), read, wanted));
        }
    }
    for (write, read, wanted) in running {
        write.join().unwrap();
        assert_eq!(read.join().unwrap(), wanted);
    }
    hall.all_home();
}

#[test]
fn sixteen_tiny_buffers_carry_four_bulk_tunnels_unchanged() {
    each_shape(TINY, |hall| bulk_is_exact(hall, 4));
    each_shape(TINIEST, |hall| bulk_is_exact(hall, 4));
}

#[test]
fn a_completion_queue_of_sixteen_carries_eight_bulk_tunnels_unchanged() {
    for shape in SHAPES {
        let sections = one_worker(shape, "completion_queue = 16");
        let hall = Hall::new(&sections, "idle_timeout = \"1s\"");
        bulk_is_exact(&hall, 8);
        // The deadlines have survived the overflows: an idle tunnel is told so.
        let mut pair = hall.pair();
        let (first, payload) = read_frame(&mut pair.client).unwrap();
        assert_eq!((first, &payload[..2]), (0x88, &1001_u16.to_be_bytes()[..]));
    }
}

#[test]
fn clients_that_never_become_tunnels_cost_no_buffer() {
    each_shape(TINIEST, |hall| {
        let address = hall.ringway.listening[0];
        for _ in 0..100 {
            // Gone before the head, in the middle of it, and refused.
            drop(connect(address));
            let mut cut = connect(address);
            cut.write_all(b"GET / HT").unwrap();
            cut.shutdown(Shutdown::Write).unwrap();
            assert_ended(&mut cut);
            let mut refused = connect(address);
            refused
                .write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
                .unwrap();
            assert!(read_head(&mut refused).starts_with("HTTP/1.1 426 "));
            let mut reset_late = connect(address);
            reset_late.write_all(b"GET / HT").unwrap();
            reset(reset_late);
        }
        hall.wait_for("ringway_handshakes_open", 0);
        bulk_is_exact(hall, 2);
    });
}

#[test]
fn ends_of_streams_cost_no_buffer() {
    each_shape(TINIEST, |hall| {
        for round in 0..100 {
            let mut pair = hall.pair();
            if round % 2 == 0 {
                pair.echoes();
            }
            drop(pair.client);
            assert_ended(&mut pair.backend);
        }
        bulk_is_exact(hall, 4);
    });
}

/// Writes until the socket takes no more.
fn flood(stream: &mut TcpStream, bytes: &[u8]) {
    stream.set_nonblocking(true).unwrap();
    for _ in 0..4 {
        match stream.write(bytes) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
}

fn cut_at_once(hall: &Hall, tunnels: usize) {
    let (up, down) = (
        client_frame(2, &vec![1; 30_000]),
        backend_frame(2, &vec![2; 30_000]),
    );
    let mut pairs: Vec<Pair> = (0..tunnels).map(|_| hall.pair()).collect();
    for pair in &mut pairs {
        flood(&mut pair.client, &up);
        flood(&mut pair.backend, &down);
    }
    // Nobody has read a byte. Half of them go by a reset, half by an end; of a few only one side goes.
    let mut left = Vec::new();
    for (number, pair) in pairs.into_iter().enumerate() {
        match number % 4 {
            0 => reset(pair.client),
            1 => reset(pair.backend),
            2 => left.push(pair.client),
            _ => left.push(pair.backend),
        }
    }
    for mut stream in left {
        stream.set_nonblocking(false).unwrap();
        // The other side is gone with bytes unread, which is a reset; it may come after some bytes.
        let mut room = vec![0; 256 * 1024];
        while stream.read(&mut room).is_ok_and(|bytes| bytes > 0) {}
    }
    hall.all_home();
    for _ in 0..20 {
        let mut pair = hall.pair();
        for _ in 0..20 {
            pair.echoes();
        }
    }
    hall.all_home();
}

#[test]
fn after_a_thousand_busy_tunnels_are_cut_at_once_every_buffer_is_back() {
    for shape in SHAPES {
        cut_at_once(&Hall::new(&one_worker(shape, ""), ""), 1000);
    }
}

#[test]
fn tunnels_cut_while_buffers_are_few_give_every_one_back() {
    for shape in SHAPES {
        cut_at_once(&Hall::new(&one_worker(shape, TINIEST), ""), 100);
    }
}

#[test]
#[ignore = "16,000 descriptors and a quarter of a minute; .ci/run runs it where the limit allows"]
fn after_four_thousand_busy_tunnels_are_cut_at_once_every_buffer_is_back() {
    for shape in SHAPES {
        cut_at_once(&Hall::new(&one_worker(shape, ""), ""), 4000);
    }
}
