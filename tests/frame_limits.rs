//! What a route says a side may send: what is within passes, and whoever sends more is told which limit it was.
mod support;

use std::io::Write as _;

use support::frames::{
    Broken, SIDES, Sent, assert_close, assert_refused, read_to_end, wait_for_violations,
};
use support::pairs::{Hall, SHAPES, assert_arrives, one_worker};

const FRAME: Broken = (
    "frame_too_large",
    1009,
    "a frame is longer than allowed here",
);
const MESSAGE: Broken = (
    "message_too_large",
    1009,
    "a message is longer than allowed here",
);
const FRAGMENTS: Broken = (
    "too_many_fragments",
    1008,
    "a message has more fragments than allowed here",
);
const OPCODE: Broken = (
    "opcode_not_allowed",
    1008,
    "this kind of frame is not allowed here",
);
const CONTROL: Broken = ("control_rate", 1008, "too many control frames in a second");

/// A side's limits in every kind, in its table.
const LIMITS: &str = "max_frame = \"1KiB\"\nmax_message = \"2KiB\"\nmax_fragments = 4\n\
                      opcodes = [\"binary\", \"ping\", \"pong\"]\ncontrol_per_second = 5\n";

fn limited(sent: Sent, lines: &str) -> String {
    format!(
        "peer_close_code = 3456\n[routes.{}_frames]\n{lines}",
        sent.table()
    )
}

/// Frames within every limit, and all of them at it.
fn within(sent: Sent) -> Vec<u8> {
    let long = [7; 1024];
    sent.frames(&[
        (0x82, &long),
        (0x02, &long),
        (0x80, &long),
        (0x02, b""),
        (0x89, b"1"),
        (0x00, b""),
        (0x8A, b"2"),
        (0x00, &long),
        (0x89, b"3"),
        (0x80, b""),
        (0x89, &long[..125]),
        (0x8A, b""),
        (0x82, b""),
    ])
}

/// The limit, what is within it, and what follows and is not.
type Over = (Broken, Vec<u8>, Vec<u8>);

/// What is over one limit, with the frames in front of it that are not.
fn over(sent: Sent) -> Vec<Over> {
    let long = [7; 1025];
    let full = sent.frames(&[(0x02, &long[1..]), (0x00, &long[1..])]);
    let four = sent.frames(&[(0x02, b"1"), (0x00, b"2"), (0x00, b"3"), (0x00, b"4")]);
    let five = sent.frame(0x89, b"?").repeat(5);
    vec![
        // The first bytes of a header are enough.
        (FRAME, Vec::new(), sent.frame(0x82, &long)[..8].to_vec()),
        (FRAME, sent.frame(0x02, b"1"), sent.frame(0x80, &long)),
        (MESSAGE, full, sent.frame(0x80, b"!")),
        (FRAGMENTS, four.clone(), sent.frame(0x80, b"5")),
        (FRAGMENTS, four, sent.frame(0x00, b"")),
        (OPCODE, Vec::new(), sent.frame(0x81, b"no text")),
        (OPCODE, Vec::new(), sent.frame(0x01, b"")),
        (CONTROL, five.clone(), sent.frame(0x89, b"!")),
        (CONTROL, five, sent.frame(0x8A, b"")),
    ]
}

#[test]
fn who_is_over_a_limit_is_told_so_and_nobody_else_notices() {
    for shape in SHAPES {
        for sent in SIDES {
            let hall = Hall::new(&one_worker(shape, ""), &limited(sent, LIMITS));
            let mut bystander = hall.pair();
            let mut count = 0;
            for (broken, legal, wire) in over(sent) {
                let both = [&legal[..], &wire].concat();
                assert_refused(&hall, sent, (&[&both], &legal), (broken, 3456));
                count += 1;
                // A moment later there may be room for one more control frame.
                if broken != CONTROL {
                    let parts = [&legal[..], &wire];
                    assert_refused(&hall, sent, (&parts, &legal), (broken, 3456));
                    count += 1;
                }
                bystander.echoes();
            }
            for (rule, times) in [
                (FRAME.0, 4),
                (MESSAGE.0, 2),
                (FRAGMENTS.0, 4),
                (OPCODE.0, 4),
                (CONTROL.0, 2),
            ] {
                wait_for_violations(&hall, rule, times);
            }
            hall.wait_for("ringway_frame_violations_total", count);
            hall.wait_for("ringway_tunnels_ended_total{reason=\"policy\"", count);
            drop(bystander);
            hall.all_home();
        }
    }
}

#[test]
fn what_is_within_every_limit_passes_and_the_other_side_has_none() {
    for shape in SHAPES {
        for sent in SIDES {
            let hall = Hall::new(&one_worker(shape, ""), &limited(sent, LIMITS));
            let (mut whole, mut cut) = (hall.pair(), hall.pair());
            let wire = within(sent);
            let (from, to) = sent.of(&mut whole);
            from.write_all(&wire).unwrap();
            assert_arrives(to, &wire);
            let (from, to) = sent.of(&mut cut);
            for part in wire.chunks(3) {
                from.write_all(part).unwrap();
            }
            assert_arrives(to, &wire);
            let wire = over(sent.other())
                .into_iter()
                .filter(|(broken, ..)| *broken != FRAME);
            for (_, legal, wire) in wire {
                let frames = [&legal[..], &wire].concat();
                let mut pair = hall.pair();
                let (from, to) = sent.other().of(&mut pair);
                from.write_all(&frames).unwrap();
                assert_arrives(to, &frames);
            }
            drop((whole, cut));
            hall.wait_for("ringway_frame_violations_total", 0);
            hall.all_home();
        }
    }
}

#[test]
fn of_a_message_that_is_held_back_nothing_arrives_when_it_goes_over_a_limit() {
    for sent in SIDES {
        let route = format!("inspect = \"messages\"\n{}", limited(sent, LIMITS));
        let hall = Hall::new(&one_worker("auto", ""), &route);
        for (broken, legal, wire) in over(sent) {
            // Control frames overtake, the start of a message does not go at all.
            let passed = if broken == CONTROL { &legal[..] } else { b"" };
            let wire = [&legal[..], &wire].concat();
            assert_refused(&hall, sent, (&[&wire], passed), (broken, 3456));
        }
        hall.all_home();
    }
}

#[test]
fn one_frame_may_be_too_long_a_message() {
    for level in ["headers", "text", "messages"] {
        for sent in SIDES {
            let limits = limited(sent, "max_message = \"1MiB\"");
            let route = format!("inspect = \"{level}\"\n{limits}");
            let hall = Hall::new(&one_worker("auto", ""), &route);
            let mut pair = hall.pair();
            let longest = sent.frame(0x82, &vec![7; 1 << 20]);
            let (from, to) = sent.of(&mut pair);
            let read = read_to_end(to);
            from.write_all(&longest).unwrap();
            from.shutdown(std::net::Shutdown::Write).unwrap();
            assert!(read.join().unwrap() == longest);
            let over = sent.frame(0x81, &vec![b'a'; (1 << 20) + 1]);
            assert_refused(&hall, sent, (&[&over[..14]], b""), (MESSAGE, 3456));
            wait_for_violations(&hall, MESSAGE.0, 1);
        }
    }
}

#[test]
fn who_may_send_nothing_may_still_say_goodbye() {
    for sent in SIDES {
        let hall = Hall::new(&one_worker("auto", ""), &limited(sent, "opcodes = []"));
        for first in [0x81, 0x82, 0x89, 0x8A] {
            let wire = sent.frame(first, b"hi");
            assert_refused(&hall, sent, (&[&wire], b""), (OPCODE, 3456));
        }
        let mut pair = hall.pair();
        let goodbye = [&1000_u16.to_be_bytes()[..], b"bye"].concat();
        let (from, to) = sent.of(&mut pair);
        from.write_all(&sent.frame(0x88, &goodbye)).unwrap();
        assert_close(to, !sent.by_client, 1000, "bye");
        drop(pair);
        hall.all_home();
    }
}

#[test]
fn what_a_side_sends_with_its_very_first_bytes_is_judged_as_well() {
    let hall = Hall::new(&one_worker("auto", ""), &limited(SIDES[0], LIMITS));
    let head = support::upgrade_head("/ws").into_bytes();
    let legal = within(SIDES[0]);
    let wire = [&head[..], &legal, &SIDES[0].frame(0x81, b"no text")].concat();
    let mut client = support::connect(hall.ringway.listening[0]);
    client.write_all(&wire).unwrap();
    let (mut backend, _) = hall.puppet.accept_tunnel();
    assert!(support::read_head(&mut client).starts_with("HTTP/1.1 101 "));
    assert_close(&mut client, true, OPCODE.1, OPCODE.2);
    assert_arrives(&mut backend, &legal);
    assert_close(&mut backend, false, 3456, support::frames::PEER_GONE);
    drop((client, backend));
    wait_for_violations(&hall, OPCODE.0, 1);
    hall.all_home();
}
