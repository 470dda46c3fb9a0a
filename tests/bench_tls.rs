//! `ringway bench` over TLS: the same loads, tickets where they are asked for, and words that help against distrust.
#![allow(
    clippy::unwrap_used,
    reason = "a fixture that cannot be made fails its test"
)]

#[path = "support/http.rs"]
mod http;
#[path = "support/secure.rs"]
mod secure;
mod support;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use http::start_text;
use ringway::cli::bench::{Mode, Options, Report, Trust, run};
use ringway::cli::echo::EchoFleet;
use ringway::control::Running;
use secure::Authority;

/// A Ringway that speaks TLS before an echo backend in the clear.
struct Scene {
    authority: Authority,
    ringway: Running,
    _fleet: EchoFleet,
}

impl Scene {
    fn new(more: &str) -> Self {
        let authority = Authority::new();
        let papers = authority.issue("server", &["127.0.0.1"]);
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let fleet = EchoFleet::start(&["one"], &[any_port], None).unwrap();
        let text = format!(
            "[workers]\ncores = 1\n[control]\nbind = \"127.0.0.1:0\"\naccess_log = \"off\"\n\
             [listeners.test]\nbind = [\"127.0.0.1:0\"]\n\
             [listeners.test.tls]\ncertificates = [{}]\n{more}\n\
             [pools.all]\nbackends = [\"{}\"]\n[[routes]]\npath = \"/\"\npool = \"all\"\n",
            papers.toml(),
            fleet.addresses()[0],
        );
        Self {
            ringway: start_text(&text),
            authority,
            _fleet: fleet,
        }
    }

    fn options(&self) -> Options {
        Options {
            tunnels: 8,
            duration: Duration::from_millis(200),
            warmup: Duration::from_millis(50),
            trust: Trust::File(self.authority.file()),
            ..Options::to(format!("wss://{}/ws", self.ringway.listening[0]))
        }
    }
}

fn run_clean(options: &Options) -> Report {
    let report = run(options).unwrap();
    assert_eq!(report.errors.total(), 0, "{:?}", report.errors);
    assert!(report.messages > 0);
    report
}

#[test]
fn every_shape_of_load_comes_back_whole() {
    let scene = Scene::new("");
    for (tunnels, payload_bytes, in_flight, threads) in [
        (1, 0, 1, 1),
        (8, 64, 1, 1),
        (7, 125, 16, 3),
        (4, 16 * 1024, 4, 1),
        (2, 3 * 1024 * 1024, 2, 1),
    ] {
        let report = run_clean(&Options {
            tunnels,
            payload_bytes,
            in_flight,
            threads,
            ..scene.options()
        });
        assert_eq!(report.tunnels_open, tunnels as u64);
        assert_eq!((report.tls.full, report.tls.resumed), (tunnels as u64, 0));
    }
}

#[test]
fn suites_follow_the_server_and_idle_tunnels_stay_open() {
    for (more, terms) in [
        ("", "TLSv1_3, TLS13_AES_128_GCM_SHA256, X25519"),
        (
            "ciphers = [\"chacha20-poly1305\"]",
            "TLSv1_3, TLS13_CHACHA20_POLY1305_SHA256, X25519",
        ),
    ] {
        let report = run_clean(&Options {
            mode: Mode::Idle,
            ..Scene::new(more).options()
        });
        assert_eq!(report.tunnels_open, 8);
        assert_eq!(report.tls.terms, terms);
        assert!(report.to_string().contains("8 full handshakes, 0 resumed"));
    }
}

#[test]
fn tickets_are_used_where_they_are_asked_for() {
    let scene = Scene::new("");
    for is_resuming in [false, true] {
        let report = run_clean(&Options {
            mode: Mode::Handshakes,
            is_resuming,
            ..scene.options()
        });
        let tls = report.tls;
        if is_resuming {
            assert!(tls.full <= 8 && tls.resumed > 8, "{tls:?}");
        } else {
            assert_eq!(tls.resumed, 0, "{tls:?}");
        }
    }
}

#[test]
fn handshakes_keep_a_rate() {
    let report = run_clean(&Options {
        mode: Mode::Handshakes,
        connect_rate: Some(100),
        duration: Duration::from_millis(500),
        ..Scene::new("").options()
    });
    assert!((40..=60).contains(&report.messages), "{}", report.messages);
}

#[test]
fn whom_nobody_vouches_for_is_let_in_only_when_asked_to() {
    let scene = Scene::new("");
    let stranger = Authority::new();
    let distrusting = Options {
        trust: Trust::File(stranger.file()),
        ..scene.options()
    };
    let error = run(&distrusting).unwrap_err().to_string();
    assert!(error.contains("invalid peer certificate"), "{error}");
    assert!(error.contains("--ca FILE"), "{error}");
    run_clean(&Options {
        trust: Trust::Anyone,
        ..scene.options()
    });
}
