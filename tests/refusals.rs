//! Who asks wrongly gets one clean answer that says why, is counted under that reason, and harms nobody.
#![expect(
    clippy::float_cmp,
    reason = "metrics count, and whole numbers are exact"
)]

#[path = "support/http.rs"]
mod http;
mod support;

use std::io::Write as _;

use http::{Answer, Bystander, ask, assert_refused, assert_refuses, refusals};
use support::{Fixture, Puppet, connect, metric, read_frame, start_with, upgrade_head};

/// The right upgrade with one thing changed; the change must be one.
fn changed(from: &str, to: &str) -> String {
    let head = upgrade_head("/ws").replace(from, to);
    assert_ne!(head, upgrade_head("/ws"), "{from:?} is not in the head");
    head
}

/// The right upgrade with these lines more, each without its line end.
fn with(lines: &str) -> String {
    changed("Host: test", &format!("Host: test\r\n{lines}"))
}

/// Security rule 6, one head each, with the words that the answer names it by.
fn heads_that_could_smuggle() -> Vec<(String, &'static str)> {
    vec![
        (
            with("Content-Length: 4\r\nTransfer-Encoding: chunked"),
            "Content-Length and Transfer-Encoding",
        ),
        (with("Content-Length: 4\r\nContent-Length: 5"), "differ"),
        (with("Content-Length: "), "not a plain number"),
        (with("Content-Length: +4"), "not a plain number"),
        (with("Content-Length: -1"), "not a plain number"),
        (with("Content-Length: 0x1"), "not a plain number"),
        (with("Content-Length: 4, 4"), "not a plain number"),
        (with("Content-Length: 99999999999999999999"), "over 64 bits"),
        (with("Transfer-Encoding: xchunked"), "not exactly chunked"),
        (
            with("Transfer-Encoding: gzip, chunked"),
            "not exactly chunked",
        ),
        (with("Transfer-Encoding: identity"), "not exactly chunked"),
        (
            with("Transfer-Encoding: chunked").replace("HTTP/1.1", "HTTP/1.0"),
            "Transfer-Encoding on HTTP/1.0",
        ),
        (with("X: a\rb"), "carriage return"),
        (with("X: a\nY: b"), "bare line feed"),
        (upgrade_head("/ws").replace("\r\n", "\n"), "bare line feed"),
        (format!("\r\n{}", upgrade_head("/ws")), "empty line"),
        (with("X : a"), "before the colon"),
        (with("Content-Length\t: 4"), "before the colon"),
        (with("X: a\r\n b"), "folded"),
        (with("X: a\0b"), "control byte"),
        (with("X: a\x08b"), "control byte"),
        (with(": a"), "name is empty"),
        (with("X a"), "no colon"),
        (with("X(: a"), "forbidden byte"),
        (changed("Host: test\r\n", ""), "Host is missing"),
        (with("Host: test"), "Host is there twice"),
        (with("Host: other"), "Host is there twice"),
        (changed("Host: test", "Host: te st"), "Host is malformed"),
        (changed("Host: test", "Host: u@test"), "Host is malformed"),
        (
            changed("GET /ws", "GET http://other/ws"),
            "disagrees with Host",
        ),
        (changed("GET /ws", "GET ws"), "target is malformed"),
        (changed("GET /ws", "GET  /ws"), "request line"),
        (changed("HTTP/1.1", "HTTP/2.0"), "version"),
        (
            with("Origin: http://a\r\nOrigin: http://b"),
            "Origin is there twice",
        ),
    ]
}

#[test]
fn a_head_that_two_readers_could_read_differently_is_a_400_that_says_so() {
    let fixture = Fixture::echo(1, "");
    let mut bystander = Bystander::new(fixture.address());
    for (head, words) in heads_that_could_smuggle() {
        let reason = (400, "bad_request");
        assert_refuses(&fixture.ringway, head.as_bytes(), reason, words);
        bystander.echoes();
    }
}

#[test]
fn a_refused_head_never_reaches_a_backend_and_neither_does_what_follows_it() {
    let puppet = Puppet::new();
    let ringway = support::start(&[puppet.address()], "");
    for (head, _) in heads_that_could_smuggle() {
        let pipelined = format!("{head}{}", upgrade_head("/smuggled"));
        assert_eq!(ask(ringway.listening[0], pipelined.as_bytes()).status, 400);
    }
    let mut client = connect(ringway.listening[0]);
    client.write_all(upgrade_head("/right").as_bytes()).unwrap();
    let (_backend, head) = puppet.accept_tunnel();
    assert!(head.starts_with("GET /right HTTP/1.1\r\n"), "{head}");
    assert_eq!(metric(&ringway, "ringway_backend_failures_total"), 0.0);
}

#[test]
fn an_upgrade_with_one_thing_wrong_is_a_400_or_a_426() {
    let fixture = Fixture::echo(1, "");
    let mut bystander = Bystander::new(fixture.address());
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let (bad, other) = ((400, "bad_upgrade"), (426, "upgrade_required"));
    for (head, reason, words) in [
        (changed(key, ""), bad, "Key is missing"),
        (with(key.trim_end()), bad, "Key is there twice"),
        (changed("dGhl", "dGh_"), bad, "not 16 bytes in base64"),
        (changed("ZQ==", ""), bad, "not 16 bytes in base64"),
        (
            changed("Connection: Upgrade", "Connection: close"),
            bad,
            "name upgrade",
        ),
        (with("Content-Length: 4"), bad, "no body"),
        (with("Transfer-Encoding: chunked"), bad, "no body"),
        (
            with("Sec-WebSocket-Protocol: a b"),
            bad,
            "Protocol is malformed",
        ),
        (
            changed("Version: 13", "Version: 8"),
            other,
            "Version is not 13",
        ),
        (
            changed("Version: 13", "Version: 14"),
            other,
            "Version is not 13",
        ),
        (
            changed("Sec-WebSocket-Version: 13\r\n", ""),
            other,
            "Version is not 13",
        ),
        (
            changed("Upgrade: websocket", "Upgrade: h2c"),
            other,
            "WebSocket only",
        ),
        (
            changed("Upgrade: websocket\r\n", ""),
            other,
            "WebSocket only",
        ),
        (changed("HTTP/1.1", "HTTP/1.0"), other, "needs HTTP/1.1"),
    ] {
        assert_refuses(&fixture.ringway, head.as_bytes(), reason, words);
        bystander.echoes();
    }
}

#[test]
fn a_426_says_which_version_would_do() {
    let fixture = Fixture::echo(1, "");
    let head = changed("Version: 13", "Version: 7");
    let answer = ask(fixture.address(), head.as_bytes());
    assert_refused(&answer, 426, "");
    assert_eq!(answer.header("sec-websocket-version"), Some("13"));
    assert_eq!(answer.header("upgrade"), Some("websocket"));
    assert_eq!(answer.header("connection"), Some("close, Upgrade"));
}

#[test]
fn a_host_or_path_without_a_route_is_a_404() {
    let fixture = Fixture::echo(1, "");
    let route = "host = \"known.example\"\n[[routes]]\nhost = \"deep.example\"\npath = \"/in\"\npool = \"p\"\n";
    let ringway = start_with(fixture.echo.addresses(), "", "", route);
    let asked = |host: &str, path: &str| upgrade_head(path).replace("test", host);
    for (host, path) in [
        ("unknown.example", "/"),
        ("deep.example", "/"),
        ("deep.example", "/inner"),
    ] {
        let head = asked(host, path);
        assert_refuses(&ringway, head.as_bytes(), (404, "no_route"), "no route");
    }
    for (host, path) in [
        ("KNOWN.example:80", "/x"),
        ("deep.example", "/in/x"),
        ("deep.example", "/in"),
    ] {
        let mut client = connect(ringway.listening[0]);
        client.write_all(asked(host, path).as_bytes()).unwrap();
        let head = support::read_head(&mut client);
        assert!(head.starts_with("HTTP/1.1 101 "), "{host}{path}: {head}");
    }
}

#[test]
fn another_method_than_get_is_a_405_that_allows_get() {
    let fixture = Fixture::echo(1, "");
    let mut bystander = Bystander::new(fixture.address());
    for method in ["POST", "HEAD", "get", "CONNECTED"] {
        let head = changed("GET", method);
        let reason = (405, "method_not_allowed");
        assert_refuses(&fixture.ringway, head.as_bytes(), reason, "GET");
    }
    let answer = ask(fixture.address(), changed("GET", "PUT").as_bytes());
    assert_eq!(answer.header("allow"), Some("GET"));
    bystander.echoes();
}

#[test]
fn a_request_line_over_its_bound_is_a_414_and_the_rest_of_a_head_a_431() {
    let fixture = Fixture::echo(1, "");
    let mut bystander = Bystander::new(fixture.address());
    let line = upgrade_head(&format!("/{}", "a".repeat(8 * 1024)));
    assert_refuses(&fixture.ringway, line.as_bytes(), (414, "uri_too_long"), "");
    let too_large = (431, "head_too_large");
    let header = with(&format!("X: {}", "a".repeat(8 * 1024)));
    let many = with(&vec!["X: a"; 101].join("\r\n"));
    let whole = with(&vec![format!("X: {}", "a".repeat(4 * 1024)); 4].join("\r\n"));
    for head in [header, many, whole] {
        assert_refuses(&fixture.ringway, head.as_bytes(), too_large, "");
        bystander.echoes();
    }
    // Just under every bound is fine.
    let near = with(&vec![format!("X: {}", "a".repeat(7 * 1024)); 2].join("\r\n"));
    let mut client = connect(fixture.address());
    client.write_all(near.as_bytes()).unwrap();
    assert!(support::read_head(&mut client).starts_with("HTTP/1.1 101 "));
}

#[test]
fn a_head_without_end_is_refused_at_its_bound_not_stored() {
    let fixture = Fixture::echo(1, "");
    let mut client = connect(fixture.address());
    // The answer comes while the client is still talking.
    let endless = format!("GET /{}", "a".repeat(64 * 1024));
    client.write_all(endless.as_bytes()).unwrap();
    assert_refused(&Answer::read(&mut client), 414, "");
}

#[test]
fn what_is_not_http_at_all_is_a_400() {
    let fixture = Fixture::echo(1, "");
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n";
    let frame = support::client_frame(1, b"no head before me\r\n\r\n");
    for bytes in [
        &hello[..],
        &frame,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\r\n\r\n",
    ] {
        assert_refuses(&fixture.ringway, bytes, (400, "bad_request"), "");
    }
}

#[test]
fn while_ringway_goes_down_nobody_new_is_let_in() {
    let fixture = Fixture::echo(1, "[drain]\ntime = \"0s\"\ndeadline = \"20s\"\n");
    let mut leaving = support::open_tunnel(fixture.address());
    // In line before the drain begins, and greeted after.
    let mut waiting = connect(fixture.address());
    support::wait_for_metric(&fixture.ringway, "ringway_handshakes_open", |open| {
        open == 1.0
    });
    fixture.ringway.stop();
    assert_eq!(read_frame(&mut leaving).unwrap().0, 0x88);
    // Whoever was in line is still served, and told goodbye like the others.
    waiting.write_all(upgrade_head("/ws").as_bytes()).unwrap();
    let head = support::read_head(&mut waiting);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let (first, payload) = read_frame(&mut waiting).unwrap();
    assert_eq!((first, &payload[..2]), (0x88, &1001_u16.to_be_bytes()[..]));
    // A newcomer is not left hanging in a queue that nobody empties: the kernel refuses it.
    let start = ringway::clock::Now::read();
    while std::net::TcpStream::connect(fixture.address()).is_ok() {
        let waited = ringway::clock::Now::read().since(start);
        assert!(waited < support::PATIENCE, "the listener is still open");
    }
    for client in [&mut leaving, &mut waiting] {
        let goodbye = support::client_frame(8, &1001_u16.to_be_bytes());
        client.write_all(&goodbye).unwrap();
    }
    let outcome = fixture.ringway.wait();
    assert_eq!((outcome.clean, outcome.cut), (2, 0));
}

#[test]
fn a_client_that_leaves_without_a_word_is_no_refusal() {
    let fixture = Fixture::echo(1, "");
    let mut half = connect(fixture.address());
    half.write_all(b"GET / HTTP/1.1\r\nHost").unwrap();
    drop(half);
    drop(connect(fixture.address()));
    support::wait_for_metric(
        &fixture.ringway,
        "ringway_connections_accepted_total",
        |n| n == 2.0,
    );
    support::wait_for_metric(&fixture.ringway, "ringway_handshakes_open", |open| {
        open == 0.0
    });
    assert_eq!(refusals(&fixture.ringway, ""), 0.0);
}
