//! Routes that look into frames: text is UTF-8 or is refused, messages arrive whole or not at all, and what is
//! right arrives as it was sent.
#![expect(
    clippy::unwrap_used,
    reason = "a step of a test that fails is the test's failure"
)]

mod support;

use std::io::Write as _;

use ringway::rng::Rng;
use support::frames::{
    Broken, Came, SIDES, Sent, assert_close, assert_frame, assert_refused, assert_silent,
    read_to_end, wait_for_violations,
};
use support::pairs::{Hall, SHAPES, assert_arrives, assert_ended, one_worker, write_in_pieces};

const TEXT: &str = "inspect = \"text\"";
const MESSAGES: &str = "inspect = \"messages\"";
const NOT_UTF8: Broken = (
    "invalid_utf8",
    1007,
    "a text or a close reason is not UTF-8",
);
const TOO_LONG: Broken = (
    "message_too_large",
    1009,
    "a message is longer than allowed here",
);

/// Texts that break, whatever comes before and behind; the last two only because nothing comes behind.
const BROKEN: [&[u8]; 5] = [
    b"good until here \xFF and on",
    b"half a pair \xED\xA0\x80 of UTF-16",
    b"a longer way to write it \xC0\x80",
    b"a message that ends in a character \xE2\x82",
    b"\xF0\x9F\xA6",
];

#[test]
fn a_broken_text_reaches_nobody_however_it_is_cut() {
    for (shape, level) in SHAPES.into_iter().zip([TEXT, MESSAGES, TEXT]) {
        let hall = Hall::new(&one_worker(shape, ""), level);
        let mut bystander = hall.pair();
        let mut count = 0;
        for sent in SIDES {
            let first = sent.frames(&[(0x81, "gut: ä".as_bytes()), (0x89, b"?")]);
            let mut refused = |parts: &[&[u8]]| {
                let wire = [&[&first[..]], parts].concat();
                assert_refused(&hall, sent, (&wire, &first), (NOT_UTF8, 1001));
                count += 1;
            };
            for text in BROKEN {
                let wire = sent.frame(0x81, text);
                refused(&[&wire]);
                refused(&wire.chunks(1).collect::<Vec<_>>());
                for cut in [1, 2, 5, wire.len() / 2, wire.len() - 1] {
                    refused(&[&wire[..cut], &wire[cut..]]);
                }
            }
            let longest = [&[b'a'; 4095][..], b"\xFF"].concat();
            refused(&[&sent.frame(0x81, &longest)]);
        }
        bystander.echoes();
        wait_for_violations(&hall, NOT_UTF8.0, count);
        hall.wait_for(
            "ringway_tunnels_ended_total{reason=\"protocol_error\"",
            count,
        );
        drop(bystander);
        hall.all_home();
    }
}

#[test]
fn a_broken_fragment_reaches_nobody_and_the_other_side_may_be_told_another_code() {
    let route = format!("{TEXT}\npeer_close_code = 4321");
    let hall = Hall::new(&one_worker("auto", ""), &route);
    for sent in SIDES {
        let legal = sent.frames(&[
            (0x01, b"half a \xC3"),
            (0x89, b"?"),
            (0x00, b"\xA4 "),
            (0x00, b""),
        ]);
        for broken in [
            (0x00, &b"\xA4"[..]),
            (0x80, b"and half a \xE2\x82"),
            (0x80, b"\xFF"),
        ] {
            let wire = sent.frames(&[broken, (0x88, b"\x03\xE8")]);
            assert_refused(&hall, sent, (&[&legal, &wire], &legal), (NOT_UTF8, 4321));
        }
        // A message that may not end here, for what the fragment before it left open.
        let open = sent.frames(&[(0x01, b"half a \xC3")]);
        let wire = sent.frame(0x80, b"");
        assert_refused(&hall, sent, (&[&open, &wire], &open), (NOT_UTF8, 4321));
    }
    wait_for_violations(&hall, NOT_UTF8.0, 8);
    hall.all_home();
}

#[test]
fn the_reason_of_a_close_frame_is_a_text_too() {
    let hall = Hall::new(&one_worker("auto", ""), TEXT);
    for sent in SIDES {
        let wire = sent.frame(0x88, b"\x03\xE8half a \xE2\x82");
        assert_refused(&hall, sent, (&[&wire], b""), (NOT_UTF8, 1001));
        let (head, tail) = wire.split_at(wire.len() - 3);
        assert_refused(&hall, sent, (&[head, tail], b""), (NOT_UTF8, 1001));
    }
    wait_for_violations(&hall, NOT_UTF8.0, 4);
    hall.all_home();
}

#[test]
fn a_long_text_that_breaks_ends_the_other_sides_stream_behind_its_last_good_byte() {
    for shape in SHAPES {
        let hall = Hall::new(&one_worker(shape, ""), TEXT);
        for sent in SIDES {
            for (at, write_at) in [(70_000, 0), (70_000, 50_000), (4_096, 300), (0, 1)] {
                let mut text = "é".repeat(50_000).into_bytes();
                text[at] = 0xFF;
                let wire = sent.frame(0x81, &text);
                let good = wire.len() - text.len() + at;
                let mut pair = hall.pair();
                let (offender, other) = sent.of(&mut pair);
                offender.write_all(&wire[..write_at]).unwrap();
                // A text of this length streams.
                assert_arrives(other, &wire[..if write_at > 15 { write_at } else { 0 }]);
                offender.write_all(&wire[write_at..]).unwrap();
                assert_close(offender, sent.by_client, NOT_UTF8.1, NOT_UTF8.2);
                assert_ended(offender);
                let rest = if write_at > 15 { write_at } else { 0 };
                assert_arrives(other, &wire[rest..good]);
                assert_ended(other);
            }
        }
        wait_for_violations(&hall, NOT_UTF8.0, 8);
        hall.all_home();
    }
}

#[test]
fn what_is_no_text_may_be_anything() {
    for level in [TEXT, MESSAGES] {
        let hall = Hall::new(&one_worker("auto", ""), level);
        let mut pair = hall.pair();
        for sent in SIDES {
            for text in BROKEN {
                let wire = sent.frames(&[(0x82, text), (0x02, text), (0x80, text), (0x89, text)]);
                let (from, to) = sent.of(&mut pair);
                from.write_all(&wire).unwrap();
                assert_arrives(to, &wire);
            }
        }
        drop(pair);
        hall.all_home();
    }
}

/// Messages of every length at which something changes, text and binary, whole and in fragments that cut characters,
/// with Pings between them.
fn rich(sent: Sent, seed: u64) -> Vec<u8> {
    let mut rng = Rng::seeded(seed);
    let alphabet: Vec<char> = "aä€🦀".chars().collect();
    let edges = [
        0,
        1,
        125,
        126,
        4_095,
        4_096,
        4_097,
        16_384,
        65_535,
        65_536,
        1 << 20,
        300_000,
    ];
    let mut wire = Vec::new();
    for edge in edges {
        let lengths: Vec<usize> = (0..30).map(|_| rng.below(1_500) as usize).collect();
        for length in std::iter::once(edge).chain(lengths) {
            let mut text = String::new();
            while text.len() < length {
                let one = alphabet[rng.below(4) as usize];
                text.push(if text.len() + one.len_utf8() > length {
                    'a'
                } else {
                    one
                });
            }
            let (opcode, text) = (1 + u8::from(rng.below(4) == 0), text.as_bytes());
            if rng.below(3) > 0 {
                wire.extend(sent.frame(0x80 | opcode, text));
            } else {
                let cut = rng.below(u32::try_from(length).unwrap() + 1) as usize;
                let parts = [
                    (opcode, &text[..cut]),
                    (0x89, b"between"),
                    (0x00, b""),
                    (0x80, &text[cut..]),
                ];
                wire.extend(sent.frames(&parts));
            }
        }
    }
    wire
}

#[test]
fn what_is_right_arrives_byte_for_byte_whatever_its_length_and_its_cuts() {
    for shape in SHAPES {
        for level in [TEXT, MESSAGES] {
            let route = format!(
                "{level}\nframe_metrics = true\n[routes.client_frames]\nmax_message = \"1MiB\"\n\
                 [routes.backend_frames]\nmax_message = \"1MiB\""
            );
            let hall = Hall::new(&one_worker(shape, ""), &route);
            let pair = hall.pair();
            let (up, down) = (rich(SIDES[0], 1), rich(SIDES[1], 2));
            let reads = [read_to_end(&pair.backend), read_to_end(&pair.client)];
            let writes = [
                write_in_pieces(&pair.client, up.clone(), 3),
                write_in_pieces(&pair.backend, down.clone(), 4),
            ];
            for write in writes {
                write.join().unwrap();
            }
            for (read, sent) in reads.into_iter().zip([up, down]) {
                let came = read.join().unwrap();
                if level == TEXT && came.len() == sent.len() && came == sent {
                    continue;
                }
                let (came, sent) = (Came::parse(&came), Came::parse(&sent));
                assert!(came.rest.is_empty());
                assert!(came.data == sent.data, "{level}, {shape}: data");
                assert!(
                    came.control == sent.control,
                    "{level}, {shape}: control frames"
                );
            }
            drop(pair);
            hall.wait_for("ringway_frame_violations_total", 0);
            hall.all_home();
        }
    }
}

#[test]
fn of_a_message_nothing_arrives_before_its_last_byte_and_control_frames_overtake_it() {
    for shape in SHAPES {
        let hall = Hall::new(&one_worker(shape, ""), MESSAGES);
        for sent in SIDES {
            let mut pair = hall.pair();
            let (from, to) = sent.of(&mut pair);
            let long = vec![7; 100_000];
            let begun = sent.frames(&[(0x02, &long), (0x00, b"more")]);
            let last = sent.frame(0x80, b"the last");
            from.write_all(&begun).unwrap();
            for number in 0..10 {
                from.write_all(&sent.frame(0x89, &[number])).unwrap();
                assert_frame(to, !sent.by_client, 0x89, &[number]);
                assert_silent(to);
            }
            from.write_all(&last[..last.len() - 1]).unwrap();
            assert_silent(to);
            from.write_all(&last[last.len() - 1..]).unwrap();
            assert_arrives(to, &begun);
            assert_arrives(to, &last);
            pair.echoes();
        }
        hall.all_home();
    }
}

#[test]
fn a_message_of_the_default_length_passes_and_one_byte_more_does_not() {
    let hall = Hall::new(&one_worker("auto", ""), MESSAGES);
    let long = vec![7; 256 * 1024 + 1];
    for sent in SIDES {
        let mut pair = hall.pair();
        let (from, to) = sent.of(&mut pair);
        let longest = sent.frame(0x82, &long[1..]);
        from.write_all(&longest).unwrap();
        assert_arrives(to, &longest);
        // The header alone says it.
        let over = sent.frame(0x82, &long);
        assert_refused(&hall, sent, (&[&over[..14]], b""), (TOO_LONG, 1001));
        let begun = sent.frame(0x02, &long[1..]);
        let wire = sent.frame(0x80, b"!");
        assert_refused(&hall, sent, (&[&begun, &wire], b""), (TOO_LONG, 1001));
    }
    wait_for_violations(&hall, TOO_LONG.0, 4);
    hall.wait_for("ringway_tunnels_ended_total{reason=\"policy\"", 4);
    hall.all_home();
}

#[test]
fn a_ping_right_behind_a_frame_whose_header_was_cut_goes_on_with_it() {
    for shape in SHAPES {
        let hall = Hall::new(&one_worker(shape, ""), "frame_metrics = true");
        for sent in SIDES {
            let mut pair = hall.pair();
            let (from, to) = sent.of(&mut pair);
            let wire = sent.frames(&[(0x82, b"first"), (0x82, &[7; 5_000]), (0x89, b"?")]);
            // The first frame arrives, so what follows it is read by itself.
            let cut = sent.frame(0x82, b"first").len() + 3;
            from.write_all(&wire[..cut]).unwrap();
            assert_arrives(to, &wire[..cut - 3]);
            from.write_all(&wire[cut..]).unwrap();
            assert_arrives(to, &wire[cut - 3..]);
            pair.echoes();
        }
        hall.all_home();
    }
}

#[test]
fn a_goodbye_does_not_wait_for_what_is_held_back() {
    for shape in SHAPES {
        for sent in SIDES {
            let drain = "[drain]\ntime = \"0s\"\ndeadline = \"20s\"";
            let hall = Hall::new(&format!("{}{drain}", one_worker(shape, "")), MESSAGES);
            let mut pairs = [hall.pair(), hall.pair(), hall.pair()];
            // Half a message, half a fragment in its midst, and half a Ping: of none of them has anything gone on.
            let long = vec![7; 30_000];
            let begun = sent.frames(&[(0x02, &long), (0x89, b"seen")]);
            let fragment = sent.frame(0x00, &long);
            let ping = sent.frame(0x89, b"not whole");
            for (pair, half) in pairs.iter_mut().zip([b"", &fragment[..9_000], &ping[..9]]) {
                let (from, to) = sent.of(pair);
                from.write_all(&[&begun, half].concat()).unwrap();
                assert_frame(to, !sent.by_client, 0x89, b"seen");
            }
            let mut lost = hall.pair();
            let (from, to) = sent.of(&mut lost);
            from.write_all(&begun).unwrap();
            assert_frame(to, !sent.by_client, 0x89, b"seen");
            from.shutdown(std::net::Shutdown::Write).unwrap();
            assert_ended(to);
            drop(lost);
            hall.wait_for("ringway_tunnels_open", 3);
            hall.ringway.stop();
            for (pair, half) in pairs.iter_mut().zip([b"", &fragment[9_000..], &ping[9..]]) {
                let (from, to) = sent.of(pair);
                assert_close(from, sent.by_client, 1001, "going down");
                assert_close(to, !sent.by_client, 1001, "going down");
                let code = 1001_u16.to_be_bytes();
                let answer = [half, &sent.frame(0x88, &code)].concat();
                from.write_all(&answer).unwrap();
                to.write_all(&sent.other().frame(0x88, &code)).unwrap();
                assert_ended(from);
                assert_ended(to);
            }
            let outcome = hall.ringway.wait();
            assert_eq!((outcome.clean, outcome.cut), (3, 0));
        }
    }
}

#[test]
fn a_message_that_is_never_finished_is_waited_for_so_long_and_no_longer() {
    let broken = (
        "message_timeout",
        1008,
        "a message did not become whole in time",
    );
    for sent in SIDES {
        let route = "inspect = \"messages\"\nmessage_timeout = \"300ms\"";
        let hall = Hall::new(&one_worker("auto", ""), route);
        let start = sent.frame(0x01, b"half a message");
        assert_refused(&hall, sent, (&[&start], b""), (broken, 1001));
        let whole = sent.frame(0x81, b"a frame that stops");
        assert_refused(&hall, sent, (&[&whole[..9]], b""), (broken, 1001));
        wait_for_violations(&hall, broken.0, 2);
        hall.all_home();
    }
}
