//! A route may decide by the client's first message: which backend, or which pool; and says why where it cannot.
#![allow(
    clippy::unwrap_used,
    reason = "a fixture that cannot be made fails its test"
)]

#[path = "support/http.rs"]
mod http;
mod support;

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};

use http::start_text;
use ringway::control::Running;
use support::pairs::{all_home, assert_arrives};
use support::{
    ACCEPT, PATIENCE, Puppet, client_frame, connect, frame, metric, read_frame, read_head,
    right_answer, upgrade_head, wait_for_metric,
};

/// Three backends by hand, and a route that decides by `/room`.
struct Scene {
    ringway: Running,
    backends: Vec<Puppet>,
}

impl Scene {
    /// `policy` and more lines of the pools, and of `[routes.first_message]`.
    fn new(policy: &str, more: &str) -> Self {
        let backends: Vec<_> = (0..3).map(|_| Puppet::new()).collect();
        let addresses: Vec<_> = backends.iter().map(Puppet::address).collect();
        let pool = |name: &str, backends: &[SocketAddr]| {
            let list: Vec<_> = backends.iter().map(|one| format!("\"{one}\"")).collect();
            let list = list.join(", ");
            format!("[pools.{name}]\n{policy}\nanswer_timeout = \"5m\"\nbackends = [{list}]\n")
        };
        let text = format!(
            "[workers]\ncores = 1\n[control]\nbind = \"127.0.0.1:0\"\naccess_log = \"off\"\n\
             [listeners.test]\nbind = [\"127.0.0.1:0\"]\n{}{}\
             [[routes]]\npath = \"/\"\npool = \"all\"\n\
             [routes.first_message]\npointer = \"/room\"\n{more}\n",
            pool("all", &addresses),
            pool("last", &addresses[2..]),
        );
        Self {
            ringway: start_text(&text),
            backends,
        }
    }

    /// A client that has its 101, which came before any backend was asked.
    fn client(&self, more: &str) -> (TcpStream, String) {
        let mut client = connect(self.ringway.listening[0]);
        let head = upgrade_head("/ws?a=1");
        let head = head.replace("\r\n\r\n", &format!("\r\n{more}\r\n"));
        client.write_all(head.as_bytes()).unwrap();
        let answer = read_head(&mut client);
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        assert!(answer.contains(ACCEPT), "{answer}");
        (client, answer)
    }

    /// The backend that a client with this first message ends at, which has answered then.
    fn home(&self, message: &[u8]) -> (usize, TcpStream, TcpStream) {
        let (mut client, _) = self.client("");
        client.write_all(message).unwrap();
        let (place, mut backend) = self.asked();
        assert_arrives(&mut backend, message);
        backend.write_all(&frame(0x81, b"welcome", None)).unwrap();
        assert_arrives(&mut client, &frame(0x81, b"welcome", None));
        (place, client, backend)
    }

    /// The backend that is asked next; it says yes.
    fn asked(&self) -> (usize, TcpStream) {
        let (place, mut backend, head) = self.asked_first();
        assert!(head.starts_with("GET /ws?a=1 HTTP/1.1\r\n"), "{head}");
        backend.write_all(right_answer().as_bytes()).unwrap();
        (place, backend)
    }

    fn asked_first(&self) -> (usize, TcpStream, String) {
        let start = ringway::clock::Now::read();
        loop {
            for (place, puppet) in self.backends.iter().enumerate() {
                if let Some(mut stream) = puppet.try_accept() {
                    let head = read_head(&mut stream);
                    return (place, stream, head);
                }
            }
            let waited = ringway::clock::Now::read().since(start);
            assert!(waited < PATIENCE, "no backend was asked");
            std::thread::yield_now();
        }
    }

    /// A client is told this, and nothing else, after these bytes.
    fn assert_closes(&self, bytes: &[u8], code: u16, words: &str) {
        let (mut client, _) = self.client("");
        client.write_all(bytes).unwrap();
        assert_closed(&mut client, code, words);
    }
}

fn assert_closed(client: &mut TcpStream, code: u16, words: &str) {
    let (first, payload) = read_frame(client).unwrap();
    assert_eq!(first, 0x88, "{payload:?}");
    let reason = String::from_utf8_lossy(&payload[2..]).into_owned();
    let found = u16::from_be_bytes([payload[0], payload[1]]);
    assert_eq!(found, code, "{reason}");
    assert!(reason.contains(words), "{reason}");
    client.shutdown(Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty(), "{rest:?}");
}

const HASH: &str = "policy = \"hash\"";
const TURNS: &str = "policy = \"round-robin\"";
const POOLS: &str = "decides = \"pool\"\npools = { lobby = \"last\", \"7\" = \"last\" }";

fn text(json: &str) -> Vec<u8> {
    client_frame(1, json.as_bytes())
}

#[test]
fn clients_of_one_room_meet_at_one_backend() {
    let scene = Scene::new(HASH, "decides = \"backend\"");
    let mut homes = Vec::new();
    for room in 0..12 {
        let message = text(&format!("{{\"user\": \"ann\", \"room\": \"r{room}\"}}"));
        let other = text(&format!(
            "{{\"room\": \"r{room}\", \"text\": [1, {{\"room\": 2}}]}}"
        ));
        let (one, ..) = scene.home(&message);
        let (two, ..) = scene.home(&other);
        assert_eq!(one, two, "room {room}");
        homes.push(one);
    }
    homes.sort_unstable();
    homes.dedup();
    assert!(homes.len() > 1, "all rooms are at one backend");
    all_home(&scene.ringway);
}

#[test]
fn a_value_chooses_the_pool_and_what_was_said_arrives_as_it_was_sent() {
    let scene = Scene::new(TURNS, POOLS);
    for json in ["{\"room\": \"lobby\"}", "{\"room\": 7}"] {
        assert_eq!(scene.home(&text(json)).0, 2, "{json}");
    }
    // In fragments, with control frames between, written byte by byte, and with more behind it.
    let said = [
        client_frame(9, b"ping"),
        frame(0x01, b"{\"ro", Some([1, 2, 3, 4])),
        client_frame(10, b"pong"),
        frame(0x80, b"om\": \"lobby\"}", Some([5, 6, 7, 8])),
        client_frame(2, b"the next message"),
    ]
    .concat();
    let (mut client, _) = scene.client("");
    for byte in said.chunks(1) {
        client.write_all(byte).unwrap();
    }
    let (place, mut backend) = scene.asked();
    assert_eq!(place, 2);
    assert_arrives(&mut backend, &said);
    drop((client, backend));
    all_home(&scene.ringway);
}

#[test]
fn who_does_not_say_where_it_belongs_is_closed_and_told_why() {
    let scene = Scene::new(TURNS, &format!("{POOLS}\nmax_size = \"100B\""));
    let mut bystander = {
        let said = text("{\"room\": \"lobby\"}");
        scene.home(&said)
    };
    let deep = "[".repeat(90);
    let long = "x".repeat(101);
    for (bytes, code, words) in [
        (text("{\"room\": \"attic\"}"), 1008, "no known pool"),
        (text("{\"seat\": 1}"), 1008, ""),
        (text("{\"room\": null}"), 1008, ""),
        (text("{\"room\": 1e999}"), 1008, ""),
        (text("{\"room\": \"lobby\", \"room\": \"attic\"}"), 1008, ""),
        (text("not JSON"), 1008, ""),
        (text(&deep), 1008, ""),
        (
            client_frame(2, b"{\"room\": \"lobby\"}"),
            1008,
            "not a text",
        ),
        (text(&long), 1009, "longer than allowed"),
        (client_frame(1, b"\xFF"), 1007, "UTF-8"),
        (vec![0x81, 0x01, b'x'], 1002, "not masked"),
        (client_frame(8, b"\x03\xE8"), 1000, ""),
    ] {
        scene.assert_closes(&bytes, code, words);
    }
    let refused = metric(
        &scene.ringway,
        "ringway_refusals_total{reason=\"first_message_refused\"",
    );
    assert!((refused - 11.0).abs() < 0.5, "{refused}");
    let broken = metric(&scene.ringway, "ringway_frame_violations_total");
    assert!((broken - 3.0).abs() < 0.5, "{broken}");
    bystander
        .1
        .write_all(&client_frame(2, b"still here"))
        .unwrap();
    assert_arrives(&mut bystander.2, &client_frame(2, b"still here"));
    all_home_after(bystander, &scene.ringway);
}

fn all_home_after(pair: (usize, TcpStream, TcpStream), ringway: &Running) {
    drop(pair);
    all_home(ringway);
}

#[test]
fn where_the_route_has_a_default_it_is_taken() {
    let scene = Scene::new(HASH, "decides = \"backend\"\nmissing = \"default\"");
    let (first, ..) = scene.home(&text("{\"seat\": 1}"));
    let (second, ..) = scene.home(&client_frame(2, &[0, 1, 2]));
    assert_eq!(first, second, "both go by their source address");
}

#[test]
fn silence_has_its_deadline() {
    let scene = Scene::new(HASH, "decides = \"backend\"\ntimeout = \"100ms\"");
    scene.assert_closes(&[], 1008, "no message came in time");
    scene.assert_closes(&client_frame(9, b"only a ping"), 1008, "in time");
    let row = "ringway_refusals_total{reason=\"first_message_timeout\"";
    assert!((metric(&scene.ringway, row) - 2.0).abs() < 0.5);
}

#[test]
fn who_leaves_before_its_message_is_whole_costs_nothing() {
    let scene = Scene::new(HASH, "decides = \"backend\"\ntimeout = \"5m\"");
    let (mut client, _) = scene.client("");
    client.write_all(&text("{\"room\": 1}")[..5]).unwrap();
    drop(client);
    wait_for_metric(
        &scene.ringway,
        "ringway_handshakes_abandoned_total",
        |count| count > 0.5,
    );
    all_home(&scene.ringway);
}

#[test]
fn a_backend_that_disagrees_closes_the_client_with_1011() {
    let more = "decides = \"backend\"\nsubprotocol = \"chat.v2\"";
    let offer = "Sec-WebSocket-Protocol: chat.v1, chat.v2\r\n";
    let agreed = "Sec-WebSocket-Protocol: chat.v2\r\n\r\n";
    let plain = right_answer();
    let with = |line: &str| plain.replace("\r\n\r\n", &format!("\r\n{line}"));
    for (answer, agrees) in [
        (with(agreed), true),
        (with("Sec-WebSocket-Protocol: chat.v1\r\n\r\n"), false),
        (plain.clone(), false),
        (
            with(
                "Sec-WebSocket-Protocol: chat.v2\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
            ),
            false,
        ),
        (plain.replace(ACCEPT, "AAAAAAAAAAAAAAAAAAAAAAAAAAA="), false),
        (
            "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n".to_owned(),
            false,
        ),
    ] {
        let scene = Scene::new(HASH, more);
        let deflate = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
        let (mut client, head) = scene.client(&format!("{offer}{deflate}"));
        assert!(
            head.contains("Sec-WebSocket-Protocol: chat.v2\r\n"),
            "{head}"
        );
        assert!(!head.to_lowercase().contains("extensions"), "{head}");
        client.write_all(&text("{\"room\": 1}")).unwrap();
        let (_, mut backend, head) = scene.asked_first();
        assert!(head.contains("chat.v1"), "{head}");
        assert!(!head.to_lowercase().contains("extensions"), "{head}");
        backend.write_all(answer.as_bytes()).unwrap();
        if agrees {
            assert_arrives(&mut backend, &text("{\"room\": 1}"));
        } else {
            assert_closed(&mut client, 1011, "");
        }
    }
}

#[test]
fn without_a_backend_the_client_may_try_again_later() {
    let mut scene = Scene::new(TURNS, POOLS);
    let (mut client, _) = scene.client("");
    scene.backends.clear();
    client.write_all(&text("{\"room\": \"lobby\"}")).unwrap();
    assert_closed(&mut client, 1013, "");
}

#[test]
fn a_drain_ends_the_wait_for_a_first_message() {
    let scene = Scene::new(HASH, "decides = \"backend\"\ntimeout = \"5m\"");
    let (mut client, _) = scene.client("");
    scene.ringway.stop();
    assert_closed(&mut client, 1001, "going down");
    let outcome = scene.ringway.wait();
    assert!(!outcome.at_once);
}

#[test]
fn compression_may_be_kept_from_backends() {
    let puppet = Puppet::new();
    let ringway = support::start_with(&[puppet.address()], "", "", "compression = \"strip\"");
    let mut client = connect(ringway.listening[0]);
    let head = upgrade_head("/ws").replace(
        "\r\n\r\n",
        "\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n",
    );
    client.write_all(head.as_bytes()).unwrap();
    let (mut backend, asked) = puppet.accept_tunnel();
    assert!(!asked.to_lowercase().contains("extensions"), "{asked}");
    let answer = read_head(&mut client);
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    client
        .write_all(&frame(0xC1, b"compressed", Some([1; 4])))
        .unwrap();
    assert_closed(&mut client, 1002, "reserved bit");
    let (first, payload) = read_frame(&mut backend).unwrap();
    assert_eq!((first, &payload[..2]), (0x88, &1001_u16.to_be_bytes()[..]));
}

#[test]
fn a_backend_that_refuses_the_handshake_is_not_put_out_for_it() {
    let scene = Scene::new(HASH, "decides = \"backend\"");
    for _ in 0..8 {
        let (mut client, _) = scene.client("");
        client.write_all(&text("{\"room\": 1}")).unwrap();
        let (_, mut backend, _) = scene.asked_first();
        let no = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
        backend.write_all(no).unwrap();
        assert_closed(&mut client, 1011, "refused the handshake");
    }
    let out = metric(&scene.ringway, "ringway_backend_ejections_total");
    assert!(out < 0.5, "{out} ejections");
}

#[test]
fn a_first_message_may_come_with_the_head_itself() {
    let scene = Scene::new(HASH, "decides = \"backend\"");
    let mut client = connect(scene.ringway.listening[0]);
    let said = [text("{\"room\": 1}"), client_frame(2, b"and more")].concat();
    let head = upgrade_head("/ws?a=1").into_bytes();
    client.write_all(&[head, said.clone()].concat()).unwrap();
    let answer = read_head(&mut client);
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    let (_, mut backend) = scene.asked();
    assert_arrives(&mut backend, &said);
}
