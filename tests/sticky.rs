//! A client with a sticky cookie comes back to its backend, and nobody can choose one.
#![expect(
    clippy::float_cmp,
    reason = "metrics count, and whole numbers are exact"
)]
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

#[path = "support/http.rs"]
mod http;
#[path = "support/pools.rs"]
mod pools;
mod support;

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use http::{Answer, header};
use pools::{greet, open_at, start_pool, upgrade_with};
use ringway::cli::echo::EchoFleet;
use ringway::config::PoolSettings;
use ringway::control::Running;
use ringway::fleet::{SameSite, Secret, Sticky};
use ringway::sync::Arc;
use support::{Fixture, Puppet, connect, read_head, right_answer, upgrade_head, wait_for_metric};

fn sticky(pool: &mut PoolSettings) {
    pool.sticky = Some(Arc::new(Sticky {
        cookie: "home".into(),
        secret: Secret([9; 32]),
        same_site: SameSite::Strict,
        secure: false,
        lifetime: Some(Duration::from_hours(1)),
    }));
}

/// The pair a browser would send back.
fn given(head: &str) -> Option<&str> {
    let cookie = header(head, "set-cookie")?;
    Some(cookie.split_once(';').unwrap().0)
}

fn return_with(ringway: &Running, cookie: &str) -> (std::net::TcpStream, String) {
    let line = format!("Cookie: {cookie}");
    greet(ringway.listening[0], &upgrade_with("/ws", &line))
}

fn name(head: &str) -> &str {
    header(head, "x-backend").unwrap()
}

#[test]
fn a_newcomer_gets_a_cookie_with_its_101() {
    let echo = Fixture::echo(3, "");
    let ringway = start_pool(1, echo.echo.addresses(), sticky);
    let (_client, head) = greet(ringway.listening[0], &upgrade_head("/ws"));
    let cookie = header(&head, "set-cookie").unwrap();
    assert!(cookie.starts_with("home="), "{cookie}");
    assert!(
        cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict; Max-Age=3600"),
        "{cookie}"
    );
}

#[test]
fn without_a_sticky_pool_there_is_no_cookie() {
    let echo = Fixture::echo(1, "");
    let (_client, head) = greet(echo.address(), &upgrade_head("/ws"));
    assert_eq!(header(&head, "set-cookie"), None);
}

#[test]
fn a_client_returns_to_its_backend_on_every_ringway_with_the_secret() {
    let echo = Fixture::echo(4, "");
    let ringways = [
        start_pool(2, echo.echo.addresses(), sticky),
        start_pool(1, echo.echo.addresses(), sticky),
    ];
    for _ in 0..4 {
        let (_client, head) = greet(ringways[0].listening[0], &upgrade_head("/ws"));
        let (home, cookie) = (name(&head), given(&head).unwrap());
        for ringway in ringways.iter().cycle().take(8) {
            let (_client, head) = return_with(ringway, &format!("a=b; {cookie}; c=d"));
            assert_eq!(name(&head), home);
            assert_eq!(given(&head), None, "its cookie is as good as new");
        }
    }
}

#[test]
fn a_client_whose_backend_is_gone_gets_another_and_a_fresh_cookie() {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let start = |name| EchoFleet::start(&[name], &[any], None).unwrap();
    let (one, two) = (start("one"), start("two"));
    let all = [one.addresses()[0], two.addresses()[0]];
    let ringway = start_pool(1, &all, sticky);
    let (first, cookie) = loop {
        let (client, head) = greet(ringway.listening[0], &upgrade_head("/ws"));
        if name(&head) == "one" {
            break (client, given(&head).unwrap().to_owned());
        }
    };
    drop((first, one));
    let (_client, head) = return_with(&ringway, &cookie);
    assert_eq!(name(&head), "two");
    let fresh = given(&head).unwrap().to_owned();
    assert_ne!(fresh, cookie);
    let (_client, head) = return_with(&ringway, &fresh);
    assert_eq!((name(&head), given(&head)), ("two", None));
}

#[test]
fn a_full_home_costs_the_cookie_and_not_the_connection() {
    let echo = Fixture::echo(2, "");
    let ringway = start_pool(1, echo.echo.addresses(), |pool| {
        sticky(pool);
        pool.caps.established = Some(1);
    });
    let (_holder, head) = greet(ringway.listening[0], &upgrade_head("/ws"));
    let (_client, other) = return_with(&ringway, given(&head).unwrap());
    assert_ne!(name(&other), name(&head));
    assert!(given(&other).is_some());
    for address in echo.echo.addresses() {
        assert_eq!(open_at(&ringway, *address), 1.0);
    }
}

#[test]
fn a_forged_cookie_chooses_nobody_and_is_replaced() {
    let echo = Fixture::echo(3, "");
    let ringway = start_pool(1, echo.echo.addresses(), sticky);
    let (_client, head) = greet(ringway.listening[0], &upgrade_head("/ws"));
    let cookie = given(&head).unwrap();
    let forged = [
        "home=".to_owned(),
        "home=one".to_owned(),
        format!("{cookie}A"),
        cookie[..cookie.len() - 1].to_owned(),
        cookie.replacen("home=", "home=A", 1),
        cookie.replacen("home", "Home", 1),
    ];
    for cookie in forged {
        let (_client, head) = return_with(&ringway, &cookie);
        assert!(head.starts_with("HTTP/1.1 101 "), "{cookie}: {head}");
        assert!(given(&head).is_some(), "{cookie}");
    }
}

#[test]
fn the_backend_sees_every_cookie_but_ours_and_a_page_gets_one_too() {
    let puppet = Puppet::new();
    let ringway = start_pool(1, &[puppet.address()], sticky);
    let meet = |lines: &str| {
        let mut client = connect(ringway.listening[0]);
        client
            .write_all(upgrade_with("/ws", lines).as_bytes())
            .unwrap();
        let mut backend = puppet.accept();
        let seen = read_head(&mut backend);
        backend.write_all(right_answer().as_bytes()).unwrap();
        read_head(&mut client);
        seen
    };
    let seen = meet("Cookie: a=1; home=x; b=2");
    assert_eq!(header(&seen, "cookie"), Some("a=1; b=2"));
    assert_eq!(header(&meet("Cookie: home=x"), "cookie"), None);

    let mut client = connect(ringway.listening[0]);
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: test\r\nCookie: home=x; a=1\r\n\r\n")
        .unwrap();
    let mut backend = puppet.accept();
    assert_eq!(header(&read_head(&mut backend), "cookie"), Some("a=1"));
    backend
        .write_all(b"HTTP/1.1 200 OK\r\nSet-Cookie: theirs=1\r\nContent-Length: 2\r\n\r\nhi")
        .unwrap();
    let answer = Answer::read(&mut client);
    assert_eq!((answer.status, &*answer.body), (200, "hi"));
    let cookies: Vec<_> = answer
        .head
        .lines()
        .filter_map(|line| line.strip_prefix("Set-Cookie: "))
        .collect();
    assert!(
        cookies.len() == 2 && cookies[0] == "theirs=1" && cookies[1].starts_with("home="),
        "{cookies:?}"
    );
    wait_for_metric(&ringway, "ringway_handshakes_open", |open| open == 0.0);
}
