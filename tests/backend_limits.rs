//! A backend gets no more than its limit, whoever has no place waits or is told so, and retries stay within a budget.
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
use std::net::{SocketAddr, TcpStream};
use std::sync::Barrier;
use std::time::Duration;

use http::{Answer, assert_refused, header, refusals};
use pools::{greet, open_at, start_pool};
use ringway::control::Running;
use ringway::fleet::{Caps, RetryBudget, WaitingRoom};
use support::{
    Fixture, PATIENCE, Puppet, client_frame, connect, metric, open_tunnel, read_frame, read_head,
    right_answer, upgrade_head, wait_for_metric,
};

const WAITING: &str = "ringway_clients_waiting";

fn two_each() -> Caps {
    Caps {
        established: Some(2),
        connecting: None,
    }
}

fn room(places: u32, timeout: Duration) -> WaitingRoom {
    WaitingRoom { places, timeout }
}

fn ask(ringway: &Running) -> TcpStream {
    let mut client = connect(ringway.listening[0]);
    client.write_all(upgrade_head("/ws").as_bytes()).unwrap();
    client
}

fn is_tunnel(client: &mut TcpStream) -> bool {
    read_head(client).starts_with("HTTP/1.1 101 ")
}

fn nobody() -> SocketAddr {
    Puppet::new().address()
}

#[test]
fn a_cap_is_exact_however_many_come_at_once() {
    const CLIENTS: usize = 50;
    let echo = Fixture::echo(3, "");
    let ringway = start_pool(2, echo.echo.addresses(), |pool| pool.caps = two_each());
    for _ in 0..3 {
        let barrier = Barrier::new(CLIENTS);
        let answers: Vec<_> = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|_| {
                    scope.spawn(|| {
                        barrier.wait();
                        let (client, head) = greet(ringway.listening[0], &upgrade_head("/ws"));
                        (client, head)
                    })
                })
                .collect();
            clients.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let tunnels = answers
            .iter()
            .filter(|(_, head)| head.starts_with("HTTP/1.1 101 "));
        assert_eq!(tunnels.count(), 6);
        for address in echo.echo.addresses() {
            assert_eq!(open_at(&ringway, *address), 2.0);
        }
        for (_, head) in &answers {
            assert!(
                head.starts_with("HTTP/1.1 101 ") || header(head, "retry-after").is_some(),
                "{head}"
            );
        }
        drop(answers);
        wait_for_metric(&ringway, "ringway_backend_tunnels_open", |open| open == 0.0);
        wait_for_metric(&ringway, "ringway_backend_handshakes_open", |open| {
            open == 0.0
        });
    }
    assert_eq!(refusals(&ringway, "backends_full"), 3.0 * 44.0);
    assert_eq!(refusals(&ringway, ""), 3.0 * 44.0);
    assert_eq!(metric(&ringway, "ringway_backend_failures_total"), 0.0);
}

#[test]
fn a_pool_as_a_whole_has_a_limit_too() {
    let echo = Fixture::echo(3, "");
    let ringway = start_pool(1, echo.echo.addresses(), |pool| {
        pool.established_max = Some(4);
    });
    let tunnels: Vec<_> = (0..4).map(|_| open_tunnel(ringway.listening[0])).collect();
    let answer = http::ask(ringway.listening[0], upgrade_head("/ws").as_bytes());
    assert_refused(&answer, 503, "every backend is full");
    drop(tunnels);
    wait_for_metric(&ringway, "ringway_backend_tunnels_open", |open| open == 0.0);
    open_tunnel(ringway.listening[0]);
}

#[test]
fn who_waits_is_served_in_turn_as_tunnels_end() {
    let echo = Fixture::echo(1, "");
    let ringway = start_pool(1, echo.echo.addresses(), |pool| {
        pool.caps = two_each();
        pool.waiting_room = room(3, PATIENCE * 2);
    });
    let mut open: Vec<_> = (0..2).map(|_| open_tunnel(ringway.listening[0])).collect();
    let mut waiting = Vec::new();
    for count in 1..=3 {
        let mut client = ask(&ringway);
        // What it says too early is held for its backend.
        client.write_all(&client_frame(1, b"early")).unwrap();
        waiting.push(client);
        wait_for_metric(&ringway, WAITING, |waiting| waiting == f64::from(count));
    }
    let answer = http::ask(ringway.listening[0], upgrade_head("/ws").as_bytes());
    assert_refused(&answer, 503, "every backend is full");
    assert_eq!(answer.header("retry-after"), Some("5"));
    assert_eq!(refusals(&ringway, "backends_full"), 1.0);

    for mut client in waiting {
        drop(open.remove(0));
        assert!(
            is_tunnel(&mut client),
            "the one that came first, and no other"
        );
        assert_eq!(read_frame(&mut client).unwrap(), (0x81, b"early".to_vec()));
        assert_eq!(open_at(&ringway, echo.echo.addresses()[0]), 2.0);
        open.push(client);
    }
    assert_eq!(metric(&ringway, WAITING), 0.0);
    assert_eq!(metric(&ringway, "ringway_clients_waited_total"), 3.0);
    assert_eq!(refusals(&ringway, ""), 1.0);
}

#[test]
fn a_place_that_another_worker_frees_is_found() {
    let echo = Fixture::echo(1, "");
    let ringway = start_pool(2, echo.echo.addresses(), |pool| {
        pool.caps = two_each();
        pool.waiting_room = room(32, PATIENCE * 2);
    });
    let mut open: Vec<_> = (0..2).map(|_| open_tunnel(ringway.listening[0])).collect();
    let mut waiting: Vec<_> = (0..16).map(|_| ask(&ringway)).collect();
    wait_for_metric(&ringway, WAITING, |waiting| waiting == 16.0);
    // Over two workers: each one that ends makes room for somebody, here or there.
    for left in (0..16).rev() {
        drop(open.pop());
        wait_for_metric(&ringway, WAITING, |waiting| waiting == f64::from(left));
        let ready = |client: &TcpStream| {
            client.set_nonblocking(true).unwrap();
            let found = client.peek(&mut [0]).is_ok();
            client.set_nonblocking(false).unwrap();
            found
        };
        let place = loop {
            if let Some(place) = waiting.iter().position(ready) {
                break place;
            }
            std::thread::yield_now();
        };
        let mut served = waiting.swap_remove(place);
        assert!(is_tunnel(&mut served));
        open.push(served);
    }
    assert_eq!(refusals(&ringway, ""), 0.0);
}

#[test]
fn who_waits_too_long_is_told_so() {
    let echo = Fixture::echo(1, "");
    let ringway = start_pool(1, echo.echo.addresses(), |pool| {
        pool.caps = two_each();
        pool.waiting_room = room(8, Duration::from_millis(100));
    });
    let _open: Vec<_> = (0..2).map(|_| open_tunnel(ringway.listening[0])).collect();
    let mut waiting = [ask(&ringway), ask(&ringway)];
    for client in &mut waiting {
        let answer = Answer::read(client);
        assert_refused(&answer, 503, "no backend had room in time");
        assert_eq!(answer.header("retry-after"), Some("5"));
    }
    assert_eq!(refusals(&ringway, "waiting_timeout"), 2.0);
    assert_eq!(metric(&ringway, WAITING), 0.0);
}

#[test]
fn who_leaves_gives_its_place_to_the_next() {
    let echo = Fixture::echo(1, "");
    let ringway = start_pool(1, echo.echo.addresses(), |pool| {
        pool.caps = two_each();
        pool.waiting_room = room(2, PATIENCE * 2);
    });
    let mut open: Vec<_> = (0..2).map(|_| open_tunnel(ringway.listening[0])).collect();
    let gone = ask(&ringway);
    wait_for_metric(&ringway, WAITING, |waiting| waiting == 1.0);
    let mut next = ask(&ringway);
    wait_for_metric(&ringway, WAITING, |waiting| waiting == 2.0);
    drop(gone);
    wait_for_metric(&ringway, WAITING, |waiting| waiting == 1.0);
    drop(open.pop());
    assert!(is_tunnel(&mut next));
    assert_eq!(refusals(&ringway, ""), 0.0);
    wait_for_metric(&ringway, "ringway_handshakes_open", |open| open == 0.0);
}

#[test]
fn a_drain_sends_home_who_waits() {
    let echo = Fixture::echo(1, "");
    let ringway = start_pool(1, echo.echo.addresses(), |pool| {
        pool.caps = two_each();
        pool.waiting_room = room(2, PATIENCE * 2);
    });
    let _open: Vec<_> = (0..2).map(|_| open_tunnel(ringway.listening[0])).collect();
    let mut waiting = ask(&ringway);
    wait_for_metric(&ringway, WAITING, |waiting| waiting == 1.0);
    ringway.stop();
    assert_refused(&Answer::read(&mut waiting), 503, "going down");
}

#[test]
fn a_worker_that_dies_with_clients_in_line_takes_nothing_with_it() {
    let echo = Fixture::echo(1, "");
    let ringway = start_pool(1, echo.echo.addresses(), |pool| {
        pool.caps = two_each();
        pool.waiting_room = room(4, PATIENCE * 2);
    });
    let open: Vec<_> = (0..2).map(|_| open_tunnel(ringway.listening[0])).collect();
    let waiting: Vec<_> = (0..3).map(|_| ask(&ringway)).collect();
    wait_for_metric(&ringway, WAITING, |waiting| waiting == 3.0);
    ringway.fail_worker(0);
    wait_for_metric(&ringway, "ringway_worker_restarts_total", |restarts| {
        restarts == 1.0
    });
    drop((open, waiting));
    wait_for_metric(&ringway, "ringway_backend_tunnels_open", |open| open == 0.0);
    let _again: Vec<_> = (0..2).map(|_| open_tunnel(ringway.listening[0])).collect();
    assert_eq!(metric(&ringway, WAITING), 0.0);
}

#[test]
fn retries_stay_within_their_budget_and_the_first_failure_is_told() {
    let down = [nobody(), nobody(), nobody()];
    let ringway = start_pool(1, &down, |pool| {
        pool.ejection.failures = 0;
        pool.retry_budget = RetryBudget {
            percent: 50,
            least_per_second: 0,
        };
    });
    for _ in 0..20 {
        let answer = http::ask(ringway.listening[0], upgrade_head("/ws").as_bytes());
        assert_refused(&answer, 503, "no backend");
    }
    // Twenty handshakes earn ten retries, and each wanted at least one.
    assert_eq!(metric(&ringway, "ringway_retries_total"), 10.0);
    assert_eq!(metric(&ringway, "ringway_backend_failures_total"), 30.0);
    assert!(metric(&ringway, "ringway_retries_denied_total") >= 10.0);
    assert_eq!(refusals(&ringway, "no_backend"), 20.0);
}

#[test]
fn a_backend_that_closes_without_a_word_costs_its_client_nothing() {
    let echo = Fixture::echo(1, "");
    let puppet = Puppet::new();
    let all = [puppet.address(), echo.echo.addresses()[0]];
    let ringway = start_pool(1, &all, |_| {});
    let silent = std::thread::spawn(move || {
        // Once read and closed, once reset.
        let mut first = puppet.accept();
        read_head(&mut first);
        drop(first);
        let second = puppet.accept();
        ringway::sys::reset_on_close(&second);
        drop(second);
        // Once with a word: that is an answer, though half of one.
        let mut third = puppet.accept();
        read_head(&mut third);
        third.write_all(b"HTTP/1.1 101 Swi").unwrap();
    });
    let mut cut = 0;
    while cut == 0 {
        let mut client = ask(&ringway);
        let head = read_head(&mut client);
        if head.starts_with("HTTP/1.1 502 ") {
            cut += 1;
        } else {
            assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        }
    }
    silent.join().unwrap();
    assert_eq!(metric(&ringway, "ringway_retries_total"), 2.0);
    let closed = metric(&ringway, "ringway_backend_failures_total{reason=\"closed\"");
    assert_eq!(closed, 3.0);
    assert_eq!(refusals(&ringway, "backend_closed"), 1.0);
}

#[test]
fn an_answer_that_is_whole_and_bad_is_not_asked_for_again() {
    let echo = Fixture::echo(1, "");
    let puppet = Puppet::new();
    let all = [puppet.address(), echo.echo.addresses()[0]];
    let ringway = start_pool(1, &all, |_| {});
    let liar = std::thread::spawn(move || {
        let mut backend = puppet.accept();
        read_head(&mut backend);
        let answer = right_answer().replace("s3pP", "AAAA");
        backend.write_all(answer.as_bytes()).unwrap();
    });
    let statuses = [
        greet(ringway.listening[0], &upgrade_head("/ws")),
        greet(ringway.listening[0], &upgrade_head("/ws")),
    ];
    liar.join().unwrap();
    let bad = statuses
        .iter()
        .filter(|(_, head)| head.starts_with("HTTP/1.1 502 "));
    assert_eq!(bad.count(), 1);
    assert_eq!(metric(&ringway, "ringway_retries_total"), 0.0);
}
