//! A reader that takes nothing costs a bounded amount of memory, nobody else's time, and in the end its tunnel.

mod support;

use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use support::pairs::{
    Hall, SHAPES, Stream, assert_reset, one_worker, read_in_pieces, whole, write_in_pieces,
};
use support::{client_frame, metric, read_frame, wait_for_metric};

/// Far more than the sockets on the way hold.
const BULK_MESSAGES: usize = 40;

fn bulk(masked: bool) -> Stream {
    let mut stream = Stream::new(masked, 3);
    for _ in 0..BULK_MESSAGES {
        stream.message(1 << 20);
        stream.some(3, 200);
    }
    stream
}

#[test]
fn a_backend_that_stops_reading_is_waited_for_too() {
    let hall = Hall::new(&one_worker("auto", ""), "");
    let mut other = hall.pair();
    let pair = hall.pair();
    let stream = bulk(true);
    let wanted = whole(&stream.bytes);
    let write = write_in_pieces(&pair.client, stream.bytes, 4);
    wait_for_metric(
        &hall.ringway,
        "ringway_backpressure_pauses_total",
        |pauses| pauses > 0.0,
    );
    for _ in 0..300 {
        other.echoes();
    }
    hall.buffers_home();
    let read = read_in_pieces(&pair.backend, 5);
    write.join().unwrap();
    assert_eq!(read.join().unwrap(), wanted);
    drop((pair, other));
    hall.all_home();
}

/// Writes until the connection is reset.
fn write_until_reset(mut stream: TcpStream, bytes: &[u8]) {
    let error = loop {
        if let Err(error) = stream.write_all(bytes) {
            break error;
        }
    };
    assert!(
        matches!(error.kind(), ConnectionReset | BrokenPipe),
        "{error}"
    );
}

#[test]
fn a_reader_that_never_comes_back_is_cut_off_after_the_stalled_write_time() {
    for shape in SHAPES {
        let hall = Hall::new(&one_worker(shape, ""), "stalled_write_timeout = \"1s\"");
        let mut other = hall.pair();
        let (down, up) = (hall.narrow_pair(), hall.pair());
        let (mut deaf_client, mut deaf_backend) = (down.client, up.backend);
        let frame = support::backend_frame(2, &vec![1; 200_000]);
        let to_client = std::thread::spawn(move || write_until_reset(down.backend, &frame));
        let frame = client_frame(2, &vec![1; 200_000]);
        let to_backend = std::thread::spawn(move || write_until_reset(up.client, &frame));
        while !(to_client.is_finished() && to_backend.is_finished()) {
            other.echoes();
        }
        to_client.join().unwrap();
        to_backend.join().unwrap();
        assert_reset(&mut deaf_client);
        assert_reset(&mut deaf_backend);
        hall.wait_for("ringway_tunnels_ended_total{reason=\"stalled_write\"", 2);
        other.echoes();
        drop(other);
        hall.all_home();
    }
}

#[test]
fn a_silent_tunnel_is_told_so_on_both_sides_after_the_idle_time() {
    let hall = Hall::new(&one_worker("auto", ""), "idle_timeout = \"1s\"");
    let mut pair = hall.pair();
    pair.echoes();
    for stream in [&mut pair.client, &mut pair.backend] {
        let (first, payload) = read_frame(stream).unwrap();
        assert_eq!((first, &payload[..2]), (0x88, &1001_u16.to_be_bytes()[..]));
    }
    let answer = 1001_u16.to_be_bytes();
    pair.client.write_all(&client_frame(8, &answer)).unwrap();
    pair.backend
        .write_all(&support::backend_frame(8, &answer))
        .unwrap();
    for stream in [&mut pair.client, &mut pair.backend] {
        assert_eq!(stream.read(&mut [0; 9]).unwrap(), 0, "an end, not a reset");
    }
    hall.wait_for("ringway_tunnels_ended_total{reason=\"idle_timeout\"", 1);
    hall.all_home();
}

#[test]
fn a_silent_tunnel_whose_sides_do_not_answer_is_cut_off() {
    let hall = Hall::new(&one_worker("auto", ""), "idle_timeout = \"1s\"");
    let mut pair = hall.pair();
    assert_reset(&mut pair.client);
    assert_reset(&mut pair.backend);
    hall.wait_for("ringway_tunnels_ended_total{reason=\"idle_timeout\"", 1);
    hall.all_home();
}

#[test]
fn a_busy_tunnel_is_never_idle() {
    let hall = Hall::new(&one_worker("auto", ""), "idle_timeout = \"1s\"");
    let (mut busy, mut silent) = (hall.pair(), hall.pair());
    // As long as the silent one needs to be told goodbye, the busy one goes on.
    silent.client.set_nonblocking(true).unwrap();
    while silent.client.read(&mut [0; 1]).is_err() {
        busy.echoes();
    }
    busy.echoes();
    assert!(metric(&hall.ringway, "ringway_tunnels_open") > 0.5);
}
