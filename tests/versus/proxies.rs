//! What each proxy is told, and that clients see what an event does to a running Ringway.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use ringway::cli::bench::Text;
use ringway::clock::Now;

use crate::case::{Case, Load};
use crate::proxy::{Level, Peer, Place, Proxy, Shape};
use crate::round::Ground;
use crate::sample::Sample;

/// A place before two backends elsewhere.
fn place(backends: &[SocketAddr], is_renewed: bool) -> Place<'_> {
    Place {
        folder: Path::new("/run/versus"),
        listen: SocketAddr::from(([10, 0, 0, 1], 8000)),
        control: SocketAddr::from(([127, 0, 0, 1], 8001)),
        backends,
        core: 0,
        files: 20_000,
        papers: None,
        is_renewed,
    }
}

fn backends() -> [SocketAddr; 2] {
    [9001, 9002].map(|port| SocketAddr::from(([10, 0, 0, 2], port)))
}

#[test]
fn every_peer_is_told_all_backends_one_worker_and_long_timeouts() {
    for (peer, told) in [
        (
            Peer::Nginx,
            &[
                "worker_processes 1;",
                "access_log off;",
                "reuseport",
                "proxy_read_timeout 1h;",
            ][..],
        ),
        (
            Peer::Haproxy,
            &[
                "nbthread 1",
                "timeout tunnel 1h",
                "option redispatch",
                "maxconn 9900",
            ],
        ),
        (
            Peer::Envoy,
            &[
                "upgrade_type: websocket",
                "max_connections: 1000000",
                "timeout: 0s",
                "retry_on: connect-failure",
            ],
        ),
        (Peer::Floor, &["10.0.0.1:8000"]),
    ] {
        let proxy = Proxy::of(peer, "/usr/sbin/proxy", "1");
        let (_, config) = proxy.config(&place(&backends(), false));
        for words in told.iter().copied().chain(["9001", "9002"]) {
            assert!(
                config.contains(words),
                "{peer:?} is not told {words:?}:\n{config}"
            );
        }
    }
}

#[test]
fn the_others_run_one_thread_and_a_haproxy_that_reloads_has_a_master() {
    let words = |peer: Peer, is_renewed| {
        let proxy = Proxy::of(peer, "/usr/sbin/proxy", "1");
        let command = proxy.command(Path::new("file"), &place(&backends(), is_renewed));
        let args: Vec<String> = command
            .get_args()
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        args.join(" ")
    };
    assert!(words(Peer::Envoy, false).contains("--concurrency 1"));
    assert!(
        words(Peer::Haproxy, false).contains("-db -f")
            && words(Peer::Haproxy, true).contains("-W -f")
    );
}

#[test]
fn the_configuration_of_ringway_is_right() {
    for (proxy, routes) in [
        (Proxy::ringway(Shape::Auto), 1),
        (Proxy::level(Shape::Auto, Level::Text), 4),
    ] {
        let (_, config) = proxy.config(&place(&backends(), false));
        match ringway::config::parse("ringway.toml", &config) {
            Ok(config) => assert_eq!(config.routes.len(), routes),
            Err(mistakes) => panic!("{mistakes:?}\n{config}"),
        }
    }
}

/// One core for all is enough where nothing is timed.
fn ground() -> Ground {
    Ground {
        proxy_core: 0,
        load_core: 0,
        files: 2_000,
        rounds: 1,
        measured: Duration::from_millis(200),
        warmup: Duration::from_millis(50),
        papers: None,
        agent: None,
        until: Now::read().after(Duration::from_mins(5)),
    }
}

fn taken(load: Load) -> Sample {
    let case = Case {
        name: "tiny".into(),
        load,
    };
    let ours = Proxy::ringway(Shape::Auto);
    let mut outcome = ground().contest(&case, &[ours], Some(200.0));
    let sample = outcome.samples.remove(0).remove(0);
    assert_eq!(sample.trouble, None);
    sample
}

#[test]
fn messages_and_broadcasts_pass_a_running_ringway() {
    let echoed = taken(Load::Messages {
        tunnels: 3,
        payload_bytes: 64,
        in_flight: 2,
        text: None,
    });
    assert!(echoed.value > 0.0 && echoed.per_second > 0.0, "{echoed:?}");
    let told = taken(Load::Broadcast {
        tunnels: 5,
        payload_bytes: 70_000,
    });
    assert!(
        told.value > 0.0 && told.p50_us > 0.0 && told.p50_us <= told.max_us,
        "{told:?}"
    );
}

#[test]
fn levels_are_routes_of_one_process() {
    let load = Load::Messages {
        tunnels: 2,
        payload_bytes: 64,
        in_flight: 1,
        text: Some(Text::Mixed),
    };
    let case = Case {
        name: "tiny".into(),
        load,
    };
    let sides = Level::ALL.map(|level| Proxy::level(Shape::Auto, level));
    let outcome = ground().contest(&case, &sides, None);
    for sample in outcome.samples.iter().flatten() {
        assert_eq!(sample.trouble, None);
        assert!(sample.value > 0.0, "{sample:?}");
    }
    let [first, others @ ..] = &outcome.configs[..] else {
        panic!("nobody ran");
    };
    // Each process is told a port of its own.
    assert!(others.iter().all(|config| config == first));
}

#[test]
fn a_reload_is_survived_by_every_tunnel() {
    let upheaval = taken(Load::Reload).upheaval.expect("it was looked at");
    assert_eq!((upheaval.tunnels, upheaval.tunnels_lost), (64, 0));
    assert_eq!((upheaval.messages_lost, upheaval.handshakes_failed), (0, 0));
}

#[test]
fn clients_of_a_dead_backend_are_told_and_new_ones_go_elsewhere() {
    let upheaval = taken(Load::Death { tunnels: 8 })
        .upheaval
        .expect("it was looked at");
    // In turn over four backends.
    assert_eq!((upheaval.tunnels, upheaval.tunnels_lost), (8, 2));
    // The kernel of a killed backend ends its streams, which is passed on; nobody is left waiting.
    assert!(!upheaval.ends.contains_key("silent"), "{:?}", upheaval.ends);
    assert!(
        upheaval.handshakes > 0 && upheaval.handshakes_failed == 0,
        "{upheaval:?}"
    );
}
