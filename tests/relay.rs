//! What goes in on one side comes out on the other: every byte, in order, and the way the stream ended.

mod support;

use std::io::Write as _;
use std::net::Shutdown;

use support::metric;
use support::pairs::{
    Hall, SHAPES, Stream, assert_arrives, assert_ended, assert_reset, one_worker, read_in_pieces,
    reset, whole, write_in_pieces,
};

/// Runs a test once for each shape of receive buffers.
fn each_shape(test: impl Fn(Hall)) {
    for shape in SHAPES {
        test(Hall::new(&one_worker(shape, ""), ""));
    }
}

#[test]
fn bulk_in_both_directions_at_once_arrives_unchanged_however_it_is_cut() {
    each_shape(|hall| {
        let pair = hall.pair();
        let up = Stream::rich(true, 1);
        let down = Stream::rich(false, 2);
        let read_up = read_in_pieces(&pair.backend, 3);
        let read_down = read_in_pieces(&pair.client, 4);
        let (wanted_up, wanted_down) = (whole(&up.bytes), whole(&down.bytes));
        let write_up = write_in_pieces(&pair.client, up.bytes, 5);
        let write_down = write_in_pieces(&pair.backend, down.bytes, 6);
        write_up.join().unwrap();
        write_down.join().unwrap();
        assert_eq!(read_up.join().unwrap(), wanted_up, "to the backend");
        assert_eq!(read_down.join().unwrap(), wanted_down, "to the client");
        hall.all_home();
        let messages = |way| {
            let row = format!("ringway_messages_total{{direction=\"{way}\"");
            hall.wait_for(
                &row,
                if way == "client_to_backend" {
                    up.messages
                } else {
                    down.messages
                },
            );
        };
        messages("client_to_backend");
        messages("backend_to_client");
        hall.wait_for("ringway_tunnels_ended_total{reason=\"end_of_stream\"", 1);
    });
}

#[test]
fn bulk_and_small_messages_side_by_side_arrive_unchanged() {
    each_shape(|hall| {
        // Small messages in lockstep keep the kernel's place in each buffer moving while bulk fills them.
        let mut chat = hall.pair();
        let bulk = hall.pair();
        let mut down = Stream::new(false, 7);
        for bytes in [300_000, 2 << 20, 70_000, 3 << 20] {
            down.message(bytes);
            down.some(30, 9000);
        }
        let wanted = whole(&down.bytes);
        let read = read_in_pieces(&bulk.client, 8);
        let write = write_in_pieces(&bulk.backend, down.bytes, 9);
        for _ in 0..1500 {
            chat.echoes();
        }
        write.join().unwrap();
        assert_eq!(read.join().unwrap(), wanted);
        drop((chat, bulk));
        hall.all_home();
    });
}

#[test]
fn a_header_may_be_cut_at_every_place() {
    each_shape(|hall| {
        let mut pair = hall.pair();
        let mut sent = [0, 0];
        for bytes in [3, 300, 70_000] {
            for masked in [true, false] {
                let mut stream = Stream::new(masked, 11);
                stream.message(0);
                let header = if bytes < 126 {
                    2
                } else if bytes < 65_536 {
                    4
                } else {
                    10
                };
                let payload = vec![0x55; bytes];
                let frame = support::frame(0x82, &payload, masked.then_some([4, 3, 2, 1]));
                for cut in 1..=header + if masked { 4 } else { 0 } {
                    let (from, to, way) = if masked {
                        (&mut pair.client, &mut pair.backend, "client_to_backend")
                    } else {
                        (&mut pair.backend, &mut pair.client, "backend_to_client")
                    };
                    let count = &mut sent[usize::from(masked)];
                    let (first, rest) = frame.split_at(cut);
                    from.write_all(first).unwrap();
                    *count += u32::try_from(first.len()).unwrap();
                    // The first part has been read for itself before the rest is sent.
                    hall.wait_for(&format!("ringway_bytes_total{{direction=\"{way}\""), *count);
                    from.write_all(rest).unwrap();
                    *count += u32::try_from(rest.len()).unwrap();
                    assert_arrives(to, &frame);
                }
            }
        }
        drop(pair);
        hall.all_home();
    });
}

#[test]
fn a_client_that_ends_its_stream_still_hears_the_backend_to_its_end() {
    each_shape(|hall| {
        let mut pair = hall.pair();
        let up = support::client_frame(2, &vec![1; 1 << 20]);
        let wanted = whole(&up);
        let read = read_in_pieces(&pair.backend, 1);
        write_in_pieces(&pair.client, up, 2).join().unwrap();
        assert_eq!(read.join().unwrap(), wanted, "everything, then the end");
        let down = support::backend_frame(2, &vec![2; 1 << 20]);
        let wanted = whole(&down);
        let read = read_in_pieces(&pair.client, 3);
        pair.backend.write_all(&down).unwrap();
        drop(pair.backend);
        assert_eq!(read.join().unwrap(), wanted, "everything, then the end");
        hall.wait_for("ringway_tunnels_ended_total{reason=\"end_of_stream\"", 1);
        hall.all_home();
    });
}

#[test]
fn a_backend_that_ends_its_stream_still_hears_the_client_to_its_end() {
    each_shape(|hall| {
        let mut pair = hall.pair();
        pair.backend.shutdown(Shutdown::Write).unwrap();
        assert_ended(&mut pair.client);
        let up = support::client_frame(2, &vec![2; 1 << 20]);
        let wanted = whole(&up);
        let read = read_in_pieces(&pair.backend, 3);
        pair.client.write_all(&up).unwrap();
        drop(pair.client);
        assert_eq!(read.join().unwrap(), wanted, "everything, then the end");
        hall.wait_for("ringway_tunnels_ended_total{reason=\"end_of_stream\"", 1);
        hall.all_home();
    });
}

#[test]
fn a_reset_in_the_middle_of_a_frame_resets_the_other_side() {
    each_shape(|hall| {
        let mut other = hall.pair();
        let mut pair = hall.pair();
        let frame = support::client_frame(2, &vec![1; 200_000]);
        pair.client.write_all(&frame[..100_000]).unwrap();
        assert_arrives(&mut pair.backend, &frame[..100_000]);
        reset(pair.client);
        assert_reset(&mut pair.backend);
        hall.wait_for("ringway_tunnels_ended_total{reason=\"reset\"", 1);

        let mut pair = hall.pair();
        let frame = support::backend_frame(2, &vec![1; 200_000]);
        pair.backend.write_all(&frame[..100_000]).unwrap();
        assert_arrives(&mut pair.client, &frame[..100_000]);
        reset(pair.backend);
        assert_reset(&mut pair.client);
        hall.wait_for("ringway_tunnels_ended_total{reason=\"reset\"", 2);

        other.echoes();
        drop(other);
        hall.all_home();
    });
}

#[test]
fn a_reset_after_the_other_side_has_ended_its_stream_harms_nobody_else() {
    each_shape(|hall| {
        let mut other = hall.pair();
        let mut pair = hall.pair();
        pair.client.shutdown(Shutdown::Write).unwrap();
        assert_ended(&mut pair.backend);
        reset(pair.backend);
        assert_reset(&mut pair.client);

        let mut pair = hall.pair();
        pair.backend.shutdown(Shutdown::Write).unwrap();
        assert_ended(&mut pair.client);
        reset(pair.client);
        assert_reset(&mut pair.backend);

        hall.wait_for("ringway_tunnels_ended_total{reason=\"reset\"", 2);
        other.echoes();
        drop(other);
        hall.all_home();
    });
}

#[test]
fn a_stream_that_ends_in_the_middle_of_a_frame_ends_there_for_the_other_side_too() {
    each_shape(|hall| {
        let mut pair = hall.pair();
        let frame = support::backend_frame(2, &vec![1; 5000]);
        pair.backend.write_all(&frame[..4000]).unwrap();
        drop(pair.backend);
        assert_arrives(&mut pair.client, &frame[..4000]);
        assert_ended(&mut pair.client);
        drop(pair.client);
        hall.all_home();
        assert!(metric(&hall.ringway, "ringway_frame_violations_total") < 0.5);
    });
}
