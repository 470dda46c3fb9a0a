//! An ordinary answer reaches the client whole, or ends so that nobody takes it for whole.
#![expect(
    clippy::float_cmp,
    reason = "metrics count, and whole numbers are exact"
)]
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

#[path = "support/http.rs"]
mod http;
mod support;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;

use http::{Answer, Bystander, assert_refused, assert_refuses, header, refusals};
use ringway::control::Running;
use support::{
    Fixture, Puppet, client_frame, connect, metric, read_head, right_answer, start, start_with,
    upgrade_head, wait_for_metric,
};

const PLAIN: &str = "plain_http = true";

/// Sends `request`; the puppet reads its head, says `answer` and closes, with a reset if asked to.
fn exchange(
    ringway: &Running,
    puppet: &Puppet,
    request: &str,
    answer: &[u8],
    reset: bool,
) -> (TcpStream, String) {
    let mut client = connect(ringway.listening[0]);
    client.write_all(request.as_bytes()).unwrap();
    let mut backend = puppet.accept();
    let head = read_head(&mut backend);
    backend.write_all(answer).unwrap();
    if reset {
        // What was said must have been read before, or the reset would take it away.
        wait_for_metric(ringway, "ringway_plain_responses_total", |count| {
            count > 0.0
        });
        ringway::sys::reset_on_close(&backend);
    }
    (client, head)
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n")
}

#[test]
fn a_no_to_an_upgrade_is_relayed_whole_and_ends_both_connections() {
    let puppet = Puppet::new();
    let ringway = start(&[puppet.address()], "");
    let bodies: [(&str, &str, &str); 4] = [
        ("Content-Length: 5\r\n", "hello", "hello"),
        (
            "Transfer-Encoding: chunked\r\n",
            "3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nX-T: 1\r\n\r\n",
            "",
        ),
        ("", "hello until the end", "hello until the end"),
        ("Content-Length: 0\r\n", "", ""),
    ];
    for (count, (framing, sent, body)) in (1..).zip(bodies) {
        let mut client = connect(ringway.listening[0]);
        client.write_all(upgrade_head("/ws").as_bytes()).unwrap();
        client.write_all(&client_frame(1, b"too early")).unwrap();
        let mut backend = puppet.accept();
        read_head(&mut backend);
        let answer = format!(
            "HTTP/1.1 401 Who Are You\r\n{framing}WWW-Authenticate: Basic\r\nKeep-Alive: x\r\n\r\n{sent}"
        );
        backend.write_all(answer.as_bytes()).unwrap();
        if framing.is_empty() {
            backend.shutdown(std::net::Shutdown::Write).unwrap();
        }
        let answer = Answer::read(&mut client);
        assert_eq!(answer.status, 401);
        assert_eq!(answer.body, if body.is_empty() { sent } else { body });
        assert!(
            answer.head.starts_with("HTTP/1.1 401 Who Are You\r\n"),
            "{answer:?}"
        );
        assert!(answer.head.contains(framing.trim_end()), "{answer:?}");
        assert_eq!(answer.header("www-authenticate"), Some("Basic"));
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(answer.header("keep-alive"), None);
        let mut rest = Vec::new();
        let end = backend.read_to_end(&mut rest).map_err(|error| error.kind());
        assert!(
            matches!(end, Ok(0) | Err(ErrorKind::ConnectionReset)),
            "{end:?} {rest:?}"
        );
        assert_eq!(
            metric(&ringway, "ringway_plain_responses_total"),
            f64::from(count)
        );
    }
    // The backend said no, Ringway did not.
    assert_eq!(refusals(&ringway, ""), 0.0);
    assert_eq!(metric(&ringway, "ringway_backend_failures_total"), 0.0);
    assert_eq!(metric(&ringway, "ringway_tunnels_opened_total"), 0.0);
    wait_for_metric(&ringway, "ringway_handshakes_open", |open| open == 0.0);
    assert_eq!(metric(&ringway, "ringway_backend_handshakes_open"), 0.0);
}

#[test]
fn a_plain_get_is_relayed_where_the_route_allows_it() {
    let puppet = Puppet::new();
    let ringway = start_with(&[puppet.address()], "", "", PLAIN);
    let request = "GET /page?q=1 HTTP/1.1\r\nHost: test\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n\
                   Upgrade: h2c\r\nX-Forwarded-For: 6.6.6.6\r\nAccept: */*\r\n\r\n";
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nETag: x\r\n\r\nok";
    let (mut client, seen) = exchange(&ringway, &puppet, request, answer, false);
    let answer = Answer::read(&mut client);
    assert_eq!((answer.status, &*answer.body), (200, "ok"));
    assert_eq!(answer.header("etag"), Some("x"));
    assert!(seen.starts_with("GET /page?q=1 HTTP/1.1\r\n"), "{seen}");
    for (name, value) in [
        ("Accept", Some("*/*")),
        ("Connection", Some("close")),
        ("X-Forwarded-For", Some("127.0.0.1")),
        ("X-Hop", None),
        ("Upgrade", None),
    ] {
        assert_eq!(header(&seen, name), value, "{name} in {seen}");
    }
}

#[test]
fn an_answer_without_a_body_needs_none() {
    let puppet = Puppet::new();
    let ringway = start_with(&[puppet.address()], "", "", PLAIN);
    let head_request = get("/").replace("GET", "HEAD");
    for (request, answer, length) in [
        (
            &*head_request,
            "200 OK\r\nContent-Length: 1000",
            Some("1000"),
        ),
        (&head_request, "200 OK\r\nTransfer-Encoding: chunked", None),
        (
            &get("/"),
            "304 Not Modified\r\nContent-Length: 1000",
            Some("1000"),
        ),
        (&get("/"), "204 No Content", None),
    ] {
        let mut client = connect(ringway.listening[0]);
        client.write_all(request.as_bytes()).unwrap();
        // The backend stays: the end of the answer must be known without it.
        let mut backend = puppet.accept();
        let seen = read_head(&mut backend);
        assert_eq!(
            seen.starts_with("HEAD "),
            request.starts_with("HEAD "),
            "{seen}"
        );
        backend
            .write_all(format!("HTTP/1.1 {answer}\r\n\r\n").as_bytes())
            .unwrap();
        let answer = Answer::read(&mut client);
        assert_eq!(answer.body, "");
        assert_eq!(answer.header("content-length"), length);
    }
}

#[test]
fn a_large_answer_arrives_whole_at_a_client_that_reads_slowly() {
    let puppet = Puppet::new();
    let ringway = start_with(&[puppet.address()], "", "", PLAIN);
    let body: Vec<u8> = (0_u8..=250).cycle().take(3_000_000).collect();
    let mut chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for chunk in body.chunks(70_001) {
        chunked.extend(format!("{:x}\r\n", chunk.len()).bytes());
        chunked.extend_from_slice(chunk);
        chunked.extend(b"\r\n");
    }
    chunked.extend(b"0\r\n\r\n");
    let mut counted =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    counted.extend_from_slice(&body);
    let mut until_close = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    until_close.extend_from_slice(&body);
    for answer in [chunked, counted, until_close] {
        let mut client = connect(ringway.listening[0]);
        client.write_all(get("/").as_bytes()).unwrap();
        let mut backend = puppet.accept();
        read_head(&mut backend);
        let end = answer
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap()
            + 4;
        let sent = answer[end..].to_vec();
        let writing = std::thread::spawn(move || backend.write_all(&answer));
        read_head(&mut client);
        let mut got = Vec::new();
        let mut piece = [0; 9_973];
        while let Ok(bytes @ 1..) = client.read(&mut piece) {
            got.extend_from_slice(&piece[..bytes]);
        }
        writing.join().unwrap().unwrap();
        assert!(got == sent, "{} bytes instead of {}", got.len(), sent.len());
    }
}

#[test]
fn an_answer_that_breaks_off_ends_in_a_reset() {
    for (start, reset) in [
        ("Content-Length: 10\r\n\r\nhalf", false),
        ("Content-Length: 10\r\n\r\nhalf", true),
        ("Transfer-Encoding: chunked\r\n\r\n9\r\nhalf", false),
        ("Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", false),
        ("Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n", true),
        // Only a clean end ends a body that lasts until the end.
        ("X: 1\r\n\r\nhalf", true),
    ] {
        let puppet = Puppet::new();
        let ringway = start_with(&[puppet.address()], "", "", PLAIN);
        let answer = format!("HTTP/1.1 200 OK\r\n{start}");
        let (mut client, _) = exchange(&ringway, &puppet, &get("/"), answer.as_bytes(), reset);
        let mut got = Vec::new();
        let end = client.read_to_end(&mut got).map_err(|error| error.kind());
        assert_eq!(
            end,
            Err(ErrorKind::ConnectionReset),
            "{start:?}, reset: {reset}"
        );
        assert_eq!(
            metric(&ringway, "ringway_backend_failures_total{reason=\"closed\""),
            1.0
        );
        wait_for_metric(&ringway, "ringway_handshakes_open", |open| open == 0.0);
    }
}

#[test]
fn chunks_that_two_readers_could_read_differently_end_the_answer() {
    let puppet = Puppet::new();
    let ringway = start_with(&[puppet.address()], "", "", PLAIN);
    for body in [
        "+4\r\nhalf\r\n0\r\n\r\n",
        "4 \r\nhalf\r\n",
        "4\nhalf\n0\n\n",
        "4\r\nhalfX\r\n",
        "0x4\r\nhalf\r\n",
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        let (mut client, _) = exchange(&ringway, &puppet, &get("/"), answer.as_bytes(), false);
        let mut got = Vec::new();
        let end = client.read_to_end(&mut got).map_err(|error| error.kind());
        assert_eq!(end, Err(ErrorKind::ConnectionReset), "{body:?}");
    }
    let failures = "ringway_backend_failures_total";
    assert_eq!(
        metric(&ringway, &format!("{failures}{{reason=\"bad_answer\"")),
        5.0
    );
    assert_eq!(metric(&ringway, failures), 5.0);
}

#[test]
fn heads_of_answers_that_could_smuggle_are_a_502() {
    let puppet = Puppet::new();
    let ringway = start_with(&[puppet.address()], "", "", PLAIN);
    for lines in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Content-Length: 4\r\nContent-Length: 5",
        "Content-Length: +4",
        "Transfer-Encoding: gzip, chunked",
        "X : a",
        "X: a\r\n b",
        "X: a\0b",
        "X: a\nY: b",
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n0\r\n\r\n");
        let (mut client, _) = exchange(&ringway, &puppet, &get("/"), answer.as_bytes(), false);
        assert_refused(&Answer::read(&mut client), 502, "not HTTP");
    }
    assert_eq!(refusals(&ringway, "bad_backend_answer"), 8.0);
}

#[test]
fn a_101_that_nobody_asked_for_is_a_502() {
    let puppet = Puppet::new();
    let ringway = start_with(&[puppet.address()], "", "", PLAIN);
    let (mut client, _) = exchange(
        &ringway,
        &puppet,
        &get("/"),
        right_answer().as_bytes(),
        false,
    );
    assert_refused(&Answer::read(&mut client), 502, "");
    assert_eq!(refusals(&ringway, "bad_backend_answer"), 1.0);
    assert_eq!(
        metric(
            &ringway,
            "ringway_backend_failures_total{reason=\"bad_answer\""
        ),
        1.0
    );
    assert_eq!(metric(&ringway, "ringway_plain_responses_total"), 0.0);
}

#[test]
fn what_a_plain_route_does_not_relay_is_refused() {
    let fixture = Fixture::echo(1, "");
    let ringway = start_with(fixture.echo.addresses(), "", "", PLAIN);
    let mut bystander = Bystander::new(ringway.listening[0]);
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let request = get("/").replace("GET", method);
        assert_refuses(
            &ringway,
            request.as_bytes(),
            (405, "method_not_allowed"),
            "GET and HEAD",
        );
        let mut client = connect(ringway.listening[0]);
        client.write_all(request.as_bytes()).unwrap();
        let allowed = Answer::read(&mut client);
        assert_eq!(allowed.header("allow"), Some("GET, HEAD"));
    }
    for body in [
        "Content-Length: 4\r\n\r\nbody",
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: test\r\n{body}");
        assert_refuses(
            &ringway,
            request.as_bytes(),
            (400, "bad_request"),
            "no request body",
        );
    }
    // Who wants an upgrade is held to its rules here too.
    let head = upgrade_head("/ws").replace("Version: 13", "Version: 8");
    assert_refuses(&ringway, head.as_bytes(), (426, "upgrade_required"), "");
    bystander.echoes();
}

#[test]
fn a_second_request_on_a_connection_is_never_read() {
    let puppet = Puppet::new();
    let ringway = start_with(&[puppet.address()], "", "", PLAIN);
    let two = format!("{}{}", get("/first"), get("/second"));
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\nsmuggled";
    let (mut client, seen) = exchange(&ringway, &puppet, &two, answer, false);
    assert!(seen.starts_with("GET /first "), "{seen}");
    let answer = Answer::read(&mut client);
    assert_eq!(answer.body, "ok", "what follows the body is nobody's");
    let mut client = connect(ringway.listening[0]);
    client.write_all(get("/third").as_bytes()).unwrap();
    assert!(read_head(&mut puppet.accept()).starts_with("GET /third "));
}

#[test]
fn without_plain_http_a_plain_request_is_a_426() {
    let puppet = Puppet::new();
    let ringway = start(&[puppet.address()], "");
    assert_refuses(
        &ringway,
        get("/").as_bytes(),
        (426, "upgrade_required"),
        "WebSocket only",
    );
}
