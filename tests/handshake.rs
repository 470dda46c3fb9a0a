//! A client that asks rightly gets a tunnel to a backend that proved itself.
#![expect(
    clippy::float_cmp,
    reason = "metrics count, and whole numbers are exact"
)]

mod support;

use std::io::{Read as _, Write as _};

use support::{
    Fixture, Puppet, backend_frame, client_frame, connect, metric, open_tunnel, read_frame,
    read_head, right_answer, start, start_with, upgrade_head, wait_for_metric,
};

#[test]
fn an_upgrade_becomes_a_tunnel_that_echoes() {
    let fixture = Fixture::echo(1, "");
    let mut client = open_tunnel(fixture.address());
    client.write_all(&client_frame(1, b"hello")).unwrap();
    assert_eq!(read_frame(&mut client).unwrap(), (0x81, b"hello".to_vec()));
}

#[test]
fn a_drain_says_1001_to_both_sides_and_counts_the_clean_ones() {
    let fixture = Fixture::echo(1, "[drain]\ntime = \"100ms\"\ndeadline = \"5s\"\n");
    let mut client = open_tunnel(fixture.address());
    fixture.ringway.stop();
    let (first, payload) = read_frame(&mut client).unwrap();
    assert_eq!((first, &payload[..2]), (0x88, &1001_u16.to_be_bytes()[..]));
    client
        .write_all(&client_frame(8, &1001_u16.to_be_bytes()))
        .unwrap();
    let outcome = fixture.ringway.wait();
    assert_eq!((outcome.clean, outcome.cut, outcome.at_once), (1, 0, false));
}

#[test]
fn a_head_sent_one_byte_at_a_time_is_a_head() {
    let fixture = Fixture::echo(1, "");
    let mut client = connect(fixture.address());
    let mut bytes = upgrade_head("/ws").into_bytes();
    bytes.extend(client_frame(1, b"slowly"));
    for byte in bytes {
        client.write_all(&[byte]).unwrap();
    }
    assert!(read_head(&mut client).starts_with("HTTP/1.1 101 "));
    assert_eq!(read_frame(&mut client).unwrap(), (0x81, b"slowly".to_vec()));
}

#[test]
fn the_answer_and_the_first_frames_may_come_in_one_piece_or_in_many() {
    let puppet = Puppet::new();
    let ringway = start(&[puppet.address()], "");
    let mut bytes = right_answer().into_bytes();
    bytes.extend(backend_frame(1, b"welcome"));
    for piece in [1, 7, bytes.len()] {
        let mut client = connect(ringway.listening[0]);
        client.write_all(upgrade_head("/ws").as_bytes()).unwrap();
        let mut backend = puppet.accept();
        backend.set_nodelay(true).unwrap();
        read_head(&mut backend);
        for part in bytes.chunks(piece) {
            backend.write_all(part).unwrap();
        }
        assert!(read_head(&mut client).starts_with("HTTP/1.1 101 "));
        assert_eq!(
            read_frame(&mut client).unwrap(),
            (0x81, b"welcome".to_vec())
        );
    }
}

#[test]
fn what_a_client_says_before_the_answer_is_held_and_delivered_after_it() {
    let puppet = Puppet::new();
    let ringway = start(&[puppet.address()], "");
    let mut client = connect(ringway.listening[0]);
    let mut bytes = upgrade_head("/ws").into_bytes();
    bytes.extend(client_frame(1, b"with the head"));
    client.write_all(&bytes).unwrap();
    let mut backend = puppet.accept();
    read_head(&mut backend);
    client
        .write_all(&client_frame(1, b"behind the head"))
        .unwrap();
    // An interim answer is no confirmation; a round trip on another tunnel shows that it was read.
    backend
        .write_all(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        .unwrap();
    let mut other = connect(ringway.listening[0]);
    other.write_all(upgrade_head("/other").as_bytes()).unwrap();
    let (_other, _) = puppet.accept_tunnel();
    assert!(read_head(&mut other).starts_with("HTTP/1.1 101 "));
    backend.set_nonblocking(true).unwrap();
    let early = backend.read(&mut [0; 64]).map_err(|error| error.kind());
    assert_eq!(
        early,
        Err(std::io::ErrorKind::WouldBlock),
        "held back until the 101"
    );
    backend.set_nonblocking(false).unwrap();
    backend.write_all(right_answer().as_bytes()).unwrap();
    assert!(read_head(&mut client).starts_with("HTTP/1.1 101 "));
    for said in [&b"with the head"[..], b"behind the head"] {
        assert_eq!(read_frame(&mut backend).unwrap(), (0x81, said.to_vec()));
    }
}

#[test]
fn a_large_early_burst_arrives_whole() {
    let fixture = Fixture::echo(1, "");
    let payload: Vec<u8> = (0..=255).cycle().take(200_000).collect();
    let mut bytes = upgrade_head("/ws").into_bytes();
    bytes.extend(client_frame(2, &payload));
    bytes.extend(client_frame(1, b"end"));
    let mut client = connect(fixture.address());
    let mut writer = client.try_clone().unwrap();
    let writing = std::thread::spawn(move || writer.write_all(&bytes));
    assert!(read_head(&mut client).starts_with("HTTP/1.1 101 "));
    assert_eq!(read_frame(&mut client).unwrap(), (0x82, payload));
    assert_eq!(read_frame(&mut client).unwrap(), (0x81, b"end".to_vec()));
    writing.join().unwrap().unwrap();
}

#[test]
fn interim_answers_are_skipped_on_the_way_to_the_real_one() {
    let puppet = Puppet::new();
    let ringway = start(&[puppet.address()], "");
    let mut client = connect(ringway.listening[0]);
    client.write_all(upgrade_head("/ws").as_bytes()).unwrap();
    let mut backend = puppet.accept();
    read_head(&mut backend);
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nX-Interim: 1\r\n\r\n";
    let answer = format!("{interim}{}", right_answer());
    backend.write_all(answer.as_bytes()).unwrap();
    let head = read_head(&mut client);
    assert!(
        head.starts_with("HTTP/1.1 101 ") && !head.contains("X-Interim"),
        "{head}"
    );
}

#[test]
fn the_answer_keeps_what_travels_end_to_end_and_nothing_else() {
    let puppet = Puppet::new();
    let ringway = start(&[puppet.address()], "");
    let mut client = connect(ringway.listening[0]);
    client.write_all(upgrade_head("/ws").as_bytes()).unwrap();
    let mut backend = puppet.accept();
    read_head(&mut backend);
    let more = "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\n\
                Transfer-Encoding: chunked\r\nConnection: X-Hop";
    let answer = right_answer().replace("Connection: Upgrade", &format!("{more}, Upgrade"));
    backend.write_all(answer.as_bytes()).unwrap();
    let head = read_head(&mut client);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(
        head.contains("Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n"),
        "{head}"
    );
    for gone in ["Keep-Alive", "X-Hop", "Transfer-Encoding"] {
        assert!(!head.contains(gone), "{gone} in {head}");
    }
    assert_eq!(
        head.matches("\r\nConnection: Upgrade\r\n").count(),
        1,
        "{head}"
    );
}

#[test]
fn a_client_that_leaves_while_the_backend_thinks_leaks_nothing() {
    let puppet = Puppet::new();
    let ringway = start_with(&[puppet.address()], "", "answer_timeout = \"20s\"", "");
    for reset in [false, true] {
        let mut client = connect(ringway.listening[0]);
        client.write_all(upgrade_head("/ws").as_bytes()).unwrap();
        let mut backend = puppet.accept();
        read_head(&mut backend);
        if reset {
            ringway::sys::reset_on_close(&client);
        }
        drop(client);
        backend.write_all(right_answer().as_bytes()).unwrap();
        // The tunnel to nobody ends by itself, and its backend is told.
        let mut rest = Vec::new();
        let end = backend.read_to_end(&mut rest).map_err(|error| error.kind());
        let ended = matches!(end, Ok(0) | Err(std::io::ErrorKind::ConnectionReset));
        assert!(ended, "{end:?} after {rest:?}");
        drop(backend);
        wait_for_metric(&ringway, "ringway_tunnels_open", |open| open == 0.0);
        assert_eq!(metric(&ringway, "ringway_handshakes_open"), 0.0);
        assert_eq!(metric(&ringway, "ringway_backend_handshakes_open"), 0.0);
        assert_eq!(metric(&ringway, "ringway_backend_tunnels_open"), 0.0);
    }
}

#[test]
fn a_tunnel_says_what_the_client_asked_for_and_where() {
    let puppet = Puppet::new();
    let ringway = start(&[puppet.address()], "");
    let mut client = connect(ringway.listening[0]);
    let head = upgrade_head("/a//b/../%2e?q=1&r=%20")
        .replace("Host: test", "Host: Test:81\r\nX-Own: \u{fe}");
    client.write_all(head.as_bytes()).unwrap();
    let (_backend, seen) = puppet.accept_tunnel();
    assert!(
        seen.starts_with("GET /a//b/../%2e?q=1&r=%20 HTTP/1.1\r\nHost: Test:81\r\n"),
        "{seen}"
    );
    for kept in [
        "X-Own: \u{fe}\r\n",
        "Sec-WebSocket-Version: 13\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        "Connection: Upgrade\r\n",
        "Upgrade: websocket\r\n",
    ] {
        assert_eq!(seen.matches(kept).count(), 1, "{kept:?} in {seen}");
    }
}
