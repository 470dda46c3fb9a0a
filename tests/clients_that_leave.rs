//! A client that leaves before its answer is noticed at once, and takes nothing but its own handshake with it.
#![expect(
    clippy::float_cmp,
    reason = "metrics count, and whole numbers are exact"
)]
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use ringway::control::Running;
use support::{
    Puppet, client_frame, connect, metric, read_frame, read_head, right_answer, start_with,
    upgrade_head, wait_for_metric,
};

const ABANDONED: &str = "ringway_handshakes_abandoned_total";

/// A way to leave; what it hands back is kept open meanwhile.
type Leave = fn(TcpStream) -> Option<TcpStream>;

/// A Ringway that waits for an answer longer than any test does, and a backend that thinks about it.
fn thinking(route: &str) -> (Running, Puppet) {
    let puppet = Puppet::new();
    let pool = "answer_timeout = \"5m\"";
    (start_with(&[puppet.address()], "", pool, route), puppet)
}

fn ask(ringway: &Running, puppet: &Puppet, request: &[u8]) -> (TcpStream, TcpStream) {
    let mut client = connect(ringway.listening[0]);
    client.write_all(request).unwrap();
    let mut backend = puppet.accept();
    read_head(&mut backend);
    (client, backend)
}

fn assert_over(ringway: &Running, mut backend: TcpStream, count: f64) {
    let mut rest = Vec::new();
    assert_eq!(backend.read_to_end(&mut rest).unwrap(), 0, "{rest:?}");
    wait_for_metric(ringway, ABANDONED, |abandoned| abandoned == count);
    for row in ["ringway_handshakes_open", "ringway_backend_handshakes_open"] {
        wait_for_metric(ringway, row, |open| open == 0.0);
    }
}

#[test]
fn a_client_that_leaves_while_its_backend_thinks_ends_the_wait() {
    let (ringway, puppet) = thinking("");
    // It closes, ends its half and listens on, or breaks off.
    let leave: [Leave; 3] = [
        |_| None,
        |client| {
            client.shutdown(Shutdown::Write).unwrap();
            Some(client)
        },
        |client| {
            ringway::sys::reset_on_close(&client);
            None
        },
    ];
    let mut count = 0.0;
    for early in [vec![], client_frame(1, b"too early")] {
        for leave in leave {
            let request = [upgrade_head("/ws").as_bytes(), &early].concat();
            let (mut client, backend) = ask(&ringway, &puppet, &request);
            client.write_all(&early).unwrap();
            let _listening = leave(client);
            count += 1.0;
            assert_over(&ringway, backend, count);
        }
    }
    assert_eq!(metric(&ringway, "ringway_refusals_total"), 0.0);
    assert_eq!(metric(&ringway, "ringway_backend_failures_total"), 0.0);
    assert_eq!(metric(&ringway, "ringway_worker_restarts_total"), 0.0);
    let home = metric(&ringway, "ringway_receive_buffers_home");
    assert_eq!(home, metric(&ringway, "ringway_receive_buffers"));
}

#[test]
fn what_a_client_says_while_its_backend_thinks_waits_for_the_tunnel() {
    let (ringway, puppet) = thinking("");
    let (mut client, mut backend) = ask(&ringway, &puppet, upgrade_head("/ws").as_bytes());
    for word in [&b"one"[..], b"two", b"three"] {
        client.write_all(&client_frame(1, word)).unwrap();
    }
    backend.write_all(right_answer().as_bytes()).unwrap();
    assert!(read_head(&mut client).starts_with("HTTP/1.1 101 "));
    for word in [&b"one"[..], b"two", b"three"] {
        assert_eq!(read_frame(&mut backend).unwrap().1, word);
    }
    assert_eq!(metric(&ringway, ABANDONED), 0.0);
}

#[test]
fn a_plain_request_may_end_its_half_and_gets_its_answer_but_not_after_a_reset() {
    let (ringway, puppet) = thinking("plain_http = true");
    let get = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n";
    let (mut client, mut backend) = ask(&ringway, &puppet, get);
    client.shutdown(Shutdown::Write).unwrap();
    // Something else goes by meanwhile, so that the end was seen.
    wait_for_metric(&ringway, "ringway_request_heads_total", |heads| {
        heads == 1.0
    });
    backend
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        .unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("\r\n\r\nhi"), "{answer}");
    assert_eq!(metric(&ringway, ABANDONED), 0.0);

    let (client, backend) = ask(&ringway, &puppet, get);
    ringway::sys::reset_on_close(&client);
    drop(client);
    assert_over(&ringway, backend, 1.0);
}
