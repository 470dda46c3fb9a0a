//! A backend that dies costs no client more than the connection it had, and comes back without an operator.
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

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use http::refusals;
use pools::{greet, start_pool};
use ringway::cli::echo::EchoFleet;
use support::{metric, open_tunnel, upgrade_head};

fn backend(name: &str, address: SocketAddr) -> EchoFleet {
    EchoFleet::start(&[name], &[address], None).unwrap()
}

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

#[test]
fn no_handshake_fails_when_one_of_three_backends_dies() {
    let mut fleets: Vec<_> = ["one", "two", "three"]
        .into_iter()
        .map(|name| backend(name, ANY))
        .collect();
    let all: Vec<_> = fleets.iter().map(|fleet| fleet.addresses()[0]).collect();
    let ringway = start_pool(2, &all, |_| {});
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let reached = |more: u64| {
        let wanted = done.load(Ordering::Relaxed) + more;
        while done.load(Ordering::Relaxed) < wanted {
            std::thread::yield_now();
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let (_client, head) = greet(ringway.listening[0], &upgrade_head("/ws"));
                    if !head.starts_with("HTTP/1.1 101 ") {
                        stop.store(true, Ordering::Relaxed);
                        done.store(u64::MAX / 2, Ordering::Relaxed);
                        panic!("{head}");
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        reached(200);
        drop(fleets.remove(1));
        reached(1_000);
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(refusals(&ringway, ""), 0.0);
    assert!(metric(&ringway, "ringway_retries_total") >= 1.0);
}

#[test]
fn a_backend_that_failed_gets_no_more_until_a_trial_and_then_its_share() {
    let one = backend("one", ANY);
    let two = backend("two", ANY);
    let all = [one.addresses()[0], two.addresses()[0]];
    let ringway = start_pool(1, &all, |pool| {
        pool.ejection.failures = 3;
        pool.ejection.time = std::time::Duration::from_millis(300);
    });
    drop(two);
    let ejected = |count: f64| metric(&ringway, "ringway_backend_ejections_total") == count;
    while ejected(0.0) {
        drop(open_tunnel(ringway.listening[0]));
    }
    let refused = "ringway_backend_failures_total{reason=\"refused\"";
    assert_eq!(metric(&ringway, refused), 3.0);
    let two = backend("two", all[1]);
    loop {
        let (_client, head) = greet(ringway.listening[0], &upgrade_head("/ws"));
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        if http::header(&head, "x-backend") == Some("two") {
            break;
        }
    }
    assert_eq!(refusals(&ringway, ""), 0.0);
    drop(two);
}
