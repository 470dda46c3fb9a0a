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
use support::{metric, upgrade_head};

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
    let ringway = start_pool(2, &all, |pool| pool.retry_budget.percent = 100);
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
