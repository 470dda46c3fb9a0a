//! A backend that fails costs its own client one clean answer, and the next client nothing.
#![expect(
    clippy::float_cmp,
    reason = "metrics count, and whole numbers are exact"
)]
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

#[path = "support/http.rs"]
mod http;
mod support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use http::{Answer, assert_refused, header, refusals, start_text};
use ringway::control::Running;
use support::{
    ACCEPT, Fixture, FullQueue, Puppet, client_frame, connect, metric, open_tunnel, read_frame,
    read_head, right_answer, start, start_with, upgrade_head, wait_for_metric,
};

/// One client's upgrade at a puppet: Ringway's end of the client, and of the backend, its head read.
fn meet(ringway: &Running, puppet: &Puppet, head: &str) -> (TcpStream, TcpStream) {
    let mut client = connect(ringway.listening[0]);
    client.write_all(head.as_bytes()).unwrap();
    let mut backend = puppet.accept();
    assert!(read_head(&mut backend).starts_with("GET "));
    (client, backend)
}

/// Whether the puppet's end of a connection hears nothing more: no byte, only the end.
fn hears_nothing_more(mut backend: TcpStream) {
    let mut rest = Vec::new();
    let end = backend.read_to_end(&mut rest).map_err(|error| error.kind());
    // A reset is an end too.
    let ended = matches!(end, Ok(_) | Err(std::io::ErrorKind::ConnectionReset));
    assert!(ended, "the connection stays open: {end:?}");
    assert_eq!(rest, b"", "a backend that did not confirm gets no byte");
}

/// Where nobody listens.
fn nobody() -> SocketAddr {
    Puppet::new().address()
}

fn failures(ringway: &Running, reason: &str) -> f64 {
    metric(
        ringway,
        &format!("ringway_backend_failures_total{{reason=\"{reason}\""),
    )
}

/// Answers to [`upgrade_head`] that open no tunnel, with the words that name why.
fn empty_promises() -> Vec<(String, &'static str)> {
    let other = |from: &str, to: &str| {
        let answer = right_answer().replace(from, to);
        assert_ne!(answer, right_answer(), "{from:?} is not in the answer");
        answer
    };
    let with = |line: &str| {
        other(
            "Connection: Upgrade",
            &format!("Connection: Upgrade\r\n{line}"),
        )
    };
    let accept = format!("Sec-WebSocket-Accept: {ACCEPT}\r\n");
    vec![
        (
            other(ACCEPT, "s3pPLMBiTxaQ9kYGzzhZRbK+xOO="),
            "does not answer the key",
        ),
        (
            other(ACCEPT, &ACCEPT.to_lowercase()),
            "does not answer the key",
        ),
        (other(&accept, ""), "Accept is missing"),
        (other(&accept, &accept.repeat(2)), "Accept is there twice"),
        (other("Upgrade: websocket\r\n", ""), "not exactly websocket"),
        (
            other("Upgrade: websocket", "Upgrade: h2c"),
            "not exactly websocket",
        ),
        (
            other("Upgrade: websocket", "Upgrade: websocket, h2c"),
            "not exactly websocket",
        ),
        (
            other("Connection: Upgrade\r\n", ""),
            "does not name upgrade",
        ),
        (other("HTTP/1.1", "HTTP/1.0"), "HTTP/1.0"),
        (
            with("Sec-WebSocket-Protocol: chat"),
            "subprotocol was not offered",
        ),
        (
            with("Sec-WebSocket-Extensions: permessage-deflate"),
            "extension was not offered",
        ),
        (
            with("Sec-WebSocket-Extensions: x"),
            "extension was not offered",
        ),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n".to_owned(), "not HTTP"),
        ("HTTP/1.1 1O1 Switching\r\n\r\n".to_owned(), "not HTTP"),
        (with("Bad Header: x"), "not HTTP"),
        (with(&format!("X: {}", "a".repeat(9 * 1024))), "not HTTP"),
        ("HTTP/1.1 100 Continue\r\n\r\n".repeat(9), "interim"),
    ]
}

#[test]
fn a_yes_that_proves_nothing_is_a_502_and_never_a_tunnel() {
    let puppet = Puppet::new();
    let ringway = start(&[puppet.address()], "");
    for (count, (answer, words)) in (1..).zip(empty_promises()) {
        let (mut client, mut backend) = meet(&ringway, &puppet, &upgrade_head("/ws"));
        // What a client says too early must not reach a backend that did not prove itself.
        client.write_all(&client_frame(1, b"secret")).unwrap();
        backend.write_all(answer.as_bytes()).unwrap();
        hears_nothing_more(backend);
        assert_refused(&Answer::read(&mut client), 502, words);
        let count = f64::from(count);
        assert_eq!(refusals(&ringway, "bad_backend_answer"), count, "{answer}");
        assert_eq!(failures(&ringway, "bad_answer"), count, "{answer}");
    }
    assert_eq!(metric(&ringway, "ringway_tunnels_opened_total"), 0.0);
    assert_eq!(
        refusals(&ringway, ""),
        refusals(&ringway, "bad_backend_answer")
    );
    wait_for_metric(&ringway, "ringway_backend_handshakes_open", |open| {
        open == 0.0
    });
}

#[test]
fn what_was_offered_may_be_chosen_and_something_else_may_not() {
    let puppet = Puppet::new();
    let ringway = start(&[puppet.address()], "");
    let offer = "Sec-WebSocket-Protocol: chat, superchat\r\n\
                 Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x-own";
    let head = upgrade_head("/ws").replace("Host: test", &format!("Host: test\r\n{offer}"));
    let answer = |lines: &str| {
        right_answer().replace("101 Switching Protocols", &format!("101 Yes\r\n{lines}"))
    };
    let deflate = "Sec-WebSocket-Extensions: permessage-deflate";
    for (lines, fine) in [
        ("Sec-WebSocket-Protocol: superchat", true),
        (deflate, true),
        ("Sec-WebSocket-Protocol: Chat", false),
        ("Sec-WebSocket-Protocol: chat, superchat", false),
        (
            "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: superchat",
            false,
        ),
        // Offered, but not by us: its frames could not be judged.
        ("Sec-WebSocket-Extensions: x-own", false),
        (&format!("{deflate}\r\n{deflate}"), false),
    ] {
        let (mut client, mut backend) = meet(&ringway, &puppet, &head);
        backend.write_all(answer(lines).as_bytes()).unwrap();
        let head = read_head(&mut client);
        let status = if fine {
            "HTTP/1.1 101 "
        } else {
            "HTTP/1.1 502 "
        };
        assert!(head.starts_with(status), "{lines}: {head}");
        assert_eq!(head.contains(lines), fine, "{lines} in {head}");
    }
}

#[test]
fn a_backend_that_closes_or_resets_before_it_answers_is_a_502() {
    let puppet = Puppet::new();
    let ringway = start(&[puppet.address()], "");
    for (count, (said, reset)) in (1..).zip([
        ("", false),
        ("", true),
        ("HTTP/1.1 101 Switching Protocols\r\nConn", false),
        ("HTTP/1.1 101 Switching Protocols\r\nConn", true),
        ("HTTP/1.1 100 Continue\r\n\r\n", false),
    ]) {
        let (mut client, mut backend) = meet(&ringway, &puppet, &upgrade_head("/ws"));
        backend.write_all(said.as_bytes()).unwrap();
        if reset {
            ringway::sys::reset_on_close(&backend);
        }
        drop(backend);
        assert_refused(
            &Answer::read(&mut client),
            502,
            "closed before it had answered",
        );
        let count = f64::from(count);
        assert_eq!(refusals(&ringway, "backend_closed"), count);
        assert_eq!(failures(&ringway, "closed"), count);
    }
    assert_eq!(refusals(&ringway, ""), 5.0);
    wait_for_metric(&ringway, "ringway_backend_handshakes_open", |open| {
        open == 0.0
    });
}

#[test]
fn a_backend_that_never_answers_is_a_504() {
    let puppet = Puppet::new();
    let ringway = start_with(&[puppet.address()], "", "answer_timeout = \"100ms\"", "");
    for (count, said) in (1..).zip(["", "HTTP/1.1 101 Swit", "HTTP/1.1 100 Continue\r\n\r\n"]) {
        let (mut client, mut backend) = meet(&ringway, &puppet, &upgrade_head("/ws"));
        backend.write_all(said.as_bytes()).unwrap();
        assert_refused(&Answer::read(&mut client), 504, "did not answer in time");
        hears_nothing_more(backend);
        assert_eq!(refusals(&ringway, "answer_timeout"), f64::from(count));
        assert_eq!(failures(&ringway, "answer_timeout"), f64::from(count));
    }
    assert_eq!(refusals(&ringway, ""), 3.0);
}

#[test]
fn a_backend_that_never_accepts_is_a_504() {
    let full = FullQueue::new();
    let ringway = start_with(&[full.address], "", "connect_timeout = \"100ms\"", "");
    let mut client = connect(ringway.listening[0]);
    client.write_all(upgrade_head("/ws").as_bytes()).unwrap();
    assert_refused(
        &Answer::read(&mut client),
        504,
        "took the connection in time",
    );
    assert_eq!(refusals(&ringway, "connect_timeout"), 1.0);
    assert_eq!(failures(&ringway, "connect_timeout"), 1.0);
}

#[test]
fn another_backend_is_tried_when_one_takes_no_connection() {
    let fixture = Fixture::echo(1, "");
    let full = FullQueue::new();
    let all = [nobody(), full.address, fixture.echo.addresses()[0]];
    let ringway = start_with(&all, "", "connect_timeout = \"100ms\"", "");
    for _ in 0..3 {
        let mut client = open_tunnel(ringway.listening[0]);
        client.write_all(&client_frame(1, b"hello")).unwrap();
        assert_eq!(read_frame(&mut client).unwrap().1, b"hello");
    }
    // In turn over three, each of the two was first once, and once more behind the other.
    assert!(failures(&ringway, "refused") >= 1.0);
    assert!(failures(&ringway, "connect_timeout") >= 1.0);
    let row = |address: SocketAddr| format!("ringway_backend_failed_total{{backend=\"{address}\"");
    assert_eq!(
        metric(&ringway, &row(all[0])),
        failures(&ringway, "refused")
    );
    assert_eq!(
        metric(&ringway, &row(all[1])),
        failures(&ringway, "connect_timeout")
    );
    assert_eq!(metric(&ringway, &row(all[2])), 0.0);
    assert_eq!(refusals(&ringway, ""), 0.0);
}

#[test]
fn only_so_many_others_are_tried() {
    let down = [nobody(), nobody(), nobody(), nobody()];
    for (setting, tries) in [
        ("connect_tries = 0", 1.0),
        ("connect_tries = 2", 3.0),
        ("", 3.0),
    ] {
        let ringway = start_with(&down, "", setting, "");
        assert_eq!(ask(&ringway).status, 503);
        assert_eq!(failures(&ringway, "refused"), tries, "{setting}");
    }
}

#[test]
fn with_every_backend_down_it_is_a_503_until_one_returns() {
    let down = [nobody(), nobody()];
    let ringway = start(&down, "");
    for count in 1..=3 {
        let answer = ask(&ringway);
        assert_refused(&answer, 503, "no backend");
        assert_eq!(answer.header("retry-after"), Some("5"));
        assert_eq!(refusals(&ringway, "no_backend"), f64::from(count));
    }
    assert_eq!(refusals(&ringway, ""), 3.0);
    let returned = Puppet::at(down[1]);
    for _ in 0..2 {
        let (mut client, mut backend) = meet(&ringway, &returned, &upgrade_head("/ws"));
        backend.write_all(right_answer().as_bytes()).unwrap();
        assert!(read_head(&mut client).starts_with("HTTP/1.1 101 "));
    }
    assert_eq!(refusals(&ringway, ""), 3.0);
}

#[test]
fn a_backend_that_dies_mid_handshake_takes_no_tunnel_of_its_own_with_it() {
    let puppet = Puppet::new();
    let ringway = start(&[puppet.address()], "");
    let (mut open, mut backend) = meet(&ringway, &puppet, &upgrade_head("/ws"));
    backend.write_all(right_answer().as_bytes()).unwrap();
    assert!(read_head(&mut open).starts_with("HTTP/1.1 101 "));
    let (mut client, dying) = meet(&ringway, &puppet, &upgrade_head("/ws"));
    drop(dying);
    assert_refused(&Answer::read(&mut client), 502, "");
    open.write_all(&client_frame(1, b"still")).unwrap();
    assert_eq!(read_frame(&mut backend).unwrap(), (0x81, b"still".to_vec()));
}

#[test]
fn in_turn_means_every_backend_as_often() {
    let fixture = Fixture::echo(3, "");
    let clients: Vec<_> = (0..12).map(|_| open_tunnel(fixture.address())).collect();
    for backend in fixture.echo.addresses() {
        assert_eq!(open_at(&fixture.ringway, *backend), 4.0);
    }
    drop(clients);
    wait_for_metric(&fixture.ringway, "ringway_backend_tunnels_open", |open| {
        open == 0.0
    });
}

#[test]
fn a_weight_of_three_gets_three_of_four() {
    let echo = Fixture::echo(2, "");
    let [heavy, light] = *echo.echo.addresses() else {
        panic!("two were started")
    };
    let text = format!(
        "[workers]\ncores = 1\n[control]\nbind = \"127.0.0.1:0\"\naccess_log = \"off\"\n\
         [listeners.l]\nbind = \"127.0.0.1:0\"\n[pools.p]\npolicy = \"weighted-round-robin\"\n\
         backends = [{{ address = \"{heavy}\", weight = 3 }}, \"{light}\"]\n[[routes]]\npool = \"p\"\n"
    );
    let ringway = start_text(&text);
    let _clients: Vec<_> = (0..16).map(|_| open_tunnel(ringway.listening[0])).collect();
    assert_eq!(
        (open_at(&ringway, heavy), open_at(&ringway, light)),
        (12.0, 4.0)
    );
}

#[test]
fn least_connections_fills_the_emptier_one() {
    let echo = Fixture::echo(2, "");
    let ringway = start_least(echo.echo.addresses());
    let [one, two] = *echo.echo.addresses() else {
        panic!("two were started")
    };
    let mut clients: Vec<_> = (0..8)
        .map(|_| {
            let mut client = connect(ringway.listening[0]);
            client.write_all(upgrade_head("/ws").as_bytes()).unwrap();
            let name = header(&read_head(&mut client), "x-backend")
                .unwrap()
                .to_owned();
            (name, client)
        })
        .collect();
    assert_eq!((open_at(&ringway, one), open_at(&ringway, two)), (4.0, 4.0));
    // Everybody on the first leaves; the next four all go there.
    clients.retain(|(name, _)| name != "one");
    wait_for_metric(&ringway, "ringway_backend_tunnels_open", |open| open == 4.0);
    assert_eq!(open_at(&ringway, one), 0.0);
    let _more: Vec<_> = (0..4).map(|_| open_tunnel(ringway.listening[0])).collect();
    assert_eq!((open_at(&ringway, one), open_at(&ringway, two)), (4.0, 4.0));
}

fn start_least(backends: &[SocketAddr]) -> Running {
    let list: Vec<String> = backends.iter().map(|one| format!("\"{one}\"")).collect();
    let text = format!(
        "[workers]\ncores = 2\n[control]\nbind = \"127.0.0.1:0\"\naccess_log = \"off\"\n\
         [listeners.l]\nbind = \"127.0.0.1:0\"\n[pools.p]\npolicy = \"least-connections\"\n\
         backends = [{}]\n[[routes]]\npool = \"p\"\n",
        list.join(", ")
    );
    start_text(&text)
}

fn open_at(ringway: &Running, backend: SocketAddr) -> f64 {
    metric(
        ringway,
        &format!("ringway_backend_tunnels_open{{backend=\"{backend}\""),
    )
}

fn ask(ringway: &Running) -> Answer {
    http::ask(ringway.listening[0], upgrade_head("/ws").as_bytes())
}
