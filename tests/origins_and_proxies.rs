//! Who may open a tunnel, and what a backend is told about who did.
#![expect(
    clippy::float_cmp,
    reason = "metrics count, and whole numbers are exact"
)]
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

#[path = "support/http.rs"]
mod http;
mod support;

use std::io::Write as _;
use std::net::SocketAddr;

use http::{assert_refuses, header, refusals, start_text};
use ringway::control::Running;
use support::{Fixture, Puppet, connect, read_head, start, start_with, upgrade_head};

fn with(lines: &str) -> String {
    upgrade_head("/ws").replace("Host: test", &format!("Host: test\r\n{lines}"))
}

/// What a puppet sees of this request.
fn seen(ringway: &Running, puppet: &Puppet, head: &str) -> String {
    let mut client = connect(ringway.listening[0]);
    client.write_all(head.as_bytes()).unwrap();
    let (_, seen) = puppet.accept_tunnel();
    assert!(read_head(&mut client).starts_with("HTTP/1.1 101 "));
    seen
}

/// Asserts that a head has each of these, once and with this value; an empty value means that it is absent.
fn assert_fields(head: &str, fields: &[(&str, &str)]) {
    for (name, value) in fields {
        assert_eq!(
            header(head, name).unwrap_or_default(),
            *value,
            "{name} in {head}"
        );
    }
}

#[test]
fn only_the_origins_of_a_route_open_its_tunnels() {
    let fixture = Fixture::echo(1, "");
    let list = "allowed_origins = [\"https://app.example\", \"http://dev.example:8080\", \".wide.example\"]\n";
    let ringway = start_with(fixture.echo.addresses(), "", "", list);
    for origin in [
        "Origin: https://app.example",
        "Origin: https://APP.example:443",
        "origin: http://dev.example:8080",
        "Origin: https://a.wide.example",
        "Origin: http://a.b.WIDE.example:81",
    ] {
        let mut client = connect(ringway.listening[0]);
        client.write_all(with(origin).as_bytes()).unwrap();
        let head = read_head(&mut client);
        assert!(head.starts_with("HTTP/1.1 101 "), "{origin}: {head}");
    }
    for origin in [
        "Origin: http://app.example",
        "Origin: https://app.example.evil",
        "Origin: https://evil-app.example",
        "Origin: https://app.example:444",
        "Origin: https://app.example/",
        "Origin: https://app.example@evil",
        "Origin: http://dev.example",
        "Origin: https://wide.example",
        "Origin: https://awide.example",
        "Origin: ftp://a.wide.example",
        "Origin: null",
        "Origin: ",
        "X-Origin: https://app.example",
        "Origin: https://app.example, https://evil",
    ] {
        let reason = (403, "origin_forbidden");
        assert_refuses(&ringway, with(origin).as_bytes(), reason, "origin");
    }
    let twice = with("Origin: https://app.example\r\nOrigin: https://evil");
    assert_refuses(
        &ringway,
        twice.as_bytes(),
        (400, "bad_request"),
        "Origin is there twice",
    );
}

#[test]
fn no_origin_and_a_null_origin_are_two_switches() {
    let fixture = Fixture::echo(1, "");
    for (switches, missing, null) in [
        ("allow_missing_origin = true", true, false),
        ("allow_null_origin = true", false, true),
    ] {
        let route = format!("allowed_origins = []\n{switches}\n");
        let ringway = start_with(fixture.echo.addresses(), "", "", &route);
        for (head, fine) in [(upgrade_head("/ws"), missing), (with("Origin: null"), null)] {
            if fine {
                let mut client = connect(ringway.listening[0]);
                client.write_all(head.as_bytes()).unwrap();
                assert!(read_head(&mut client).starts_with("HTTP/1.1 101 "));
            } else {
                assert_refuses(&ringway, head.as_bytes(), (403, "origin_forbidden"), "");
            }
        }
    }
}

#[test]
fn without_a_list_every_origin_may_pass_and_is_passed_on() {
    let puppet = Puppet::new();
    let ringway = start(&[puppet.address()], "");
    let head = seen(&ringway, &puppet, &with("Origin: https://anywhere.example"));
    assert_fields(&head, &[("Origin", "https://anywhere.example")]);
    assert_eq!(refusals(&ringway, ""), 0.0);
}

#[test]
fn a_backend_is_told_who_came_where_whatever_the_client_says() {
    let puppet = Puppet::new();
    let ringway = start(&[puppet.address()], "");
    let by = ringway.listening[0];
    let own = format!("for=127.0.0.1;by=\"{by}\";host=\"test\";proto=http");
    let spoofed = "X-Forwarded-For: 6.6.6.6\r\nX-FORWARDED-FOR: 7.7.7.7\r\nX_Forwarded_For: 8.8.8.8\r\n\
                   X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Port: 443\r\n\
                   X-Real-IP: 6.6.6.6\r\nForwarded: for=6.6.6.6;proto=https\r\nX-Forwarded-Prefix: /evil";
    // What Connection nominates must not take away what we set.
    let nominated =
        "Connection: X-Forwarded-For, Forwarded, X-Forwarded-Proto, Host, Sec-WebSocket-Key";
    for lines in [
        "X: 1",
        spoofed,
        nominated,
        &format!("{spoofed}\r\n{nominated}"),
    ] {
        let head = seen(&ringway, &puppet, &with(lines));
        assert_fields(
            &head,
            &[
                ("Host", "test"),
                ("X-Forwarded-For", "127.0.0.1"),
                ("X-Forwarded-Proto", "http"),
                ("X-Forwarded-Host", "test"),
                ("X-Forwarded-Port", ""),
                ("X-Forwarded-Prefix", ""),
                ("X-Real-IP", ""),
                ("X_Forwarded_For", ""),
                ("Forwarded", &own),
                ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ],
        );
        assert!(
            !head.contains("6.6.6.6") && !head.contains("evil"),
            "{head}"
        );
    }
}

#[test]
fn a_trusted_proxy_may_say_who_came_and_is_itself_named_last() {
    let puppet = Puppet::new();
    let trusted = "[limits]\ntrusted_proxies = [\"127.0.0.0/8\"]\n";
    let ringway = start(&[puppet.address()], trusted);
    let said = "X-Forwarded-For: 198.51.100.7\r\nX-Forwarded-For: 127.0.0.9\r\n\
                X-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\n\
                X-Real-IP: 198.51.100.7\r\nForwarded: for=198.51.100.7;proto=https";
    let head = seen(&ringway, &puppet, &with(said));
    let by = ringway.listening[0];
    assert_fields(
        &head,
        &[
            ("X-Forwarded-For", "198.51.100.7, 127.0.0.9, 127.0.0.1"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "shop.example"),
            ("X-Real-IP", "198.51.100.7"),
            (
                "Forwarded",
                &format!(
                    "for=198.51.100.7;proto=https, for=127.0.0.1;by=\"{by}\";host=\"test\";proto=http"
                ),
            ),
        ],
    );
    // A proxy that says nothing, or nothing clear, is not made to say it.
    let unclear = "X-Forwarded-Proto: https\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: ";
    let head = seen(&ringway, &puppet, &with(unclear));
    assert_fields(
        &head,
        &[
            ("X-Forwarded-For", "127.0.0.1"),
            ("X-Forwarded-Proto", "http"),
            ("X-Forwarded-Host", "test"),
        ],
    );
}

#[test]
fn only_a_peer_inside_the_list_is_a_trusted_proxy() {
    let puppet = Puppet::new();
    let trusted = "[limits]\ntrusted_proxies = [\"10.0.0.0/8\", \"127.0.0.2\"]\n";
    let ringway = start(&[puppet.address()], trusted);
    let head = seen(&ringway, &puppet, &with("X-Forwarded-For: 127.0.0.2"));
    assert_fields(&head, &[("X-Forwarded-For", "127.0.0.1")]);
}

#[test]
fn what_concerns_one_hop_stays_on_it() {
    let puppet = Puppet::new();
    let ringway = start(&[puppet.address()], "");
    let lines = "Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nProxy: evil\r\nTE: trailers\r\n\
                 Trailer: X\r\nHTTP2-Settings: AAMAAABk\r\nX-Own: mine\r\nX-Hop: 1\r\n\
                 Connection: X-Hop, HTTP2-Settings, Authorization, Cookie\r\n\
                 Authorization: Bearer t\r\nCookie: a=1\r\nContent-Length: 0";
    let head = with(lines).replace("Upgrade: websocket", "Upgrade: h2c, websocket, foo");
    let head = seen(&ringway, &puppet, &head);
    assert_fields(
        &head,
        &[
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("X-Own", "mine"),
            ("Authorization", "Bearer t"),
            ("Cookie", "a=1"),
        ],
    );
    for gone in [
        "Keep-Alive",
        "Proxy-Connection",
        "Proxy",
        "TE",
        "Trailer",
        "HTTP2-Settings",
        "X-Hop",
        "Content-Length",
    ] {
        assert_eq!(header(&head, gone), None, "{gone} in {head}");
    }
}

#[test]
fn an_ipv6_client_is_named_as_rfc_7239_wants_it() {
    let puppet = Puppet::new();
    let text = format!(
        "[workers]\ncores = 1\n[control]\nbind = \"127.0.0.1:0\"\naccess_log = \"off\"\n\
         [listeners.l]\nbind = \"[::1]:0\"\n[pools.p]\nbackends = [\"{}\"]\n[[routes]]\npool = \"p\"\n",
        puppet.address()
    );
    let ringway = start_text(&text);
    let by: SocketAddr = ringway.listening[0];
    assert!(by.is_ipv6());
    let head = upgrade_head("/ws").replace("Host: test", "Host: [::1]:80");
    let head = seen(&ringway, &puppet, &head);
    assert_fields(
        &head,
        &[
            ("X-Forwarded-For", "::1"),
            ("X-Forwarded-Host", "[::1]:80"),
            (
                "Forwarded",
                &format!("for=\"[::1]\";by=\"{by}\";host=\"[::1]:80\";proto=http"),
            ),
        ],
    );
}
