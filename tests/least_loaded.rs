//! With `steering = "least-loaded"` new connections move to workers that carry less, and none is lost on the way.
#![expect(
    clippy::float_cmp,
    reason = "metrics count, and whole numbers are exact"
)]
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

#[path = "support/http.rs"]
mod http;
#[path = "support/secure.rs"]
mod secure;
#[path = "support/secure_hall.rs"]
mod secure_hall;
mod support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use ringway::control::Running;
use secure_hall::{More, Scene, both_ways, payload};
use support::{
    Fixture, client_frame, connect, metric, open_tunnel, read_frame, read_head, upgrade_head,
    wait_for_metric,
};

fn least_loaded(workers: usize) -> String {
    format!("[workers]\ncores = {workers}\nsteering = \"least-loaded\"\n")
}

fn open(ringway: &Running, worker: usize) -> f64 {
    metric(
        ringway,
        &format!("ringway_tunnels_open{{worker=\"{worker}\""),
    )
}

fn handoffs(ringway: &Running, word: &str) -> f64 {
    metric(
        ringway,
        &format!("ringway_handoffs_total{{handoff=\"{word}\""),
    )
}

fn echoes(client: &mut TcpStream) {
    client.write_all(&client_frame(1, b"alive")).unwrap();
    assert_eq!(read_frame(client).unwrap(), (0x81, b"alive".to_vec()));
}

/// Kills worker 0, and waits until another one is in its place.
fn replace_first(ringway: &Running, deaths: f64) {
    ringway.fail_worker(0);
    replaced(ringway, deaths);
}

/// Waits until worker 0 has died so often and works again.
fn replaced(ringway: &Running, deaths: f64) {
    let restarts = "ringway_worker_restarts_total{worker=\"0\"";
    wait_for_metric(ringway, restarts, |count| count == deaths);
    let buffers = "ringway_receive_buffers{worker=\"0\"";
    wait_for_metric(ringway, buffers, |count| count > 0.0);
}

/// Opens tunnels until worker 1 has `least`.
fn fill_second(ringway: &Running, least: f64) -> Vec<TcpStream> {
    let mut tunnels = Vec::new();
    while open(ringway, 1) < least {
        tunnels.push(open_tunnel(ringway.listening[0]));
    }
    tunnels
}

#[test]
fn tunnels_lie_evenly_over_four_workers_and_all_work() {
    let fixture = Fixture::echo(1, &least_loaded(4));
    let mut tunnels: Vec<_> = (0..400).map(|_| open_tunnel(fixture.address())).collect();
    tunnels.iter_mut().for_each(echoes);
    let loads = [0, 1, 2, 3].map(|worker| open(&fixture.ringway, worker));
    assert_eq!(loads.iter().sum::<f64>(), 400.0);
    let most = loads.iter().copied().fold(0.0, f64::max);
    let least = loads.iter().copied().fold(f64::INFINITY, f64::min);
    // Twice the gap at most: each connection is compared with two of the other three.
    assert!(most - least <= 8.0, "{loads:?}");
    let (out, taken) = (
        handoffs(&fixture.ringway, "out"),
        handoffs(&fixture.ringway, "in"),
    );
    assert!(out > 0.0 && out == taken, "{out} handed on, {taken} taken");
    assert_eq!(
        metric(&fixture.ringway, "ringway_connections_accepted_total"),
        400.0,
        "one that moved is accepted once"
    );
}

#[test]
fn what_the_busy_worker_accepts_goes_to_the_idle_one() {
    let fixture = Fixture::echo(1, &least_loaded(2));
    let ringway = &fixture.ringway;
    let _held = fill_second(ringway, 40.0);
    replace_first(ringway, 1.0);
    let busy = open(ringway, 1);
    assert_eq!(open(ringway, 0), 0.0);
    let mut fresh: Vec<_> = (0..30).map(|_| open_tunnel(fixture.address())).collect();
    fresh.iter_mut().for_each(echoes);
    assert_eq!((open(ringway, 0), open(ringway, 1)), (30.0, busy));
}

#[test]
fn by_the_hash_nothing_moves_however_uneven_it_is() {
    let fixture = Fixture::echo(1, "[workers]\ncores = 2\nsteering = \"hash\"\n");
    let ringway = &fixture.ringway;
    let _held = fill_second(ringway, 20.0);
    replace_first(ringway, 1.0);
    let before = open(ringway, 1);
    let _fresh: Vec<_> = (0..40).map(|_| open_tunnel(fixture.address())).collect();
    assert!(open(ringway, 1) > before, "the busy one gets its share too");
    assert_eq!(handoffs(ringway, "out") + handoffs(ringway, "in"), 0.0);
}

#[test]
fn while_a_worker_is_dead_nobody_is_sent_to_it_and_nobody_is_lost() {
    let fixture = Fixture::echo(1, &least_loaded(2));
    let ringway = &fixture.ringway;
    let mut held = fill_second(ringway, 20.0);
    for death in 1..=3 {
        while open(ringway, 0) < 1.0 {
            held.push(open_tunnel(fixture.address()));
        }
        ringway.fail_worker(0);
        // Its gauges go with it, a while before another one is started.
        wait_for_metric(ringway, "ringway_tunnels_open{worker=\"0\"", |open| {
            open == 0.0
        });
        // Whoever comes to the dead one's accept queue waits there; whoever comes to the other stays there.
        let clients: Vec<_> = (0..8).map(|_| knock(fixture.address())).collect();
        for mut client in clients {
            assert!(read_head(&mut client).starts_with("HTTP/1.1 101 "));
            echoes(&mut client);
            held.push(client);
        }
        replaced(ringway, f64::from(death));
    }
}

#[test]
fn what_was_handed_on_is_taken_by_somebody_however_often_workers_die() {
    let fixture = Fixture::echo(1, &least_loaded(2));
    let ringway = &fixture.ringway;
    let _held = fill_second(ringway, 20.0);
    let address = fixture.address();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(move || {
                for _ in 0..50 {
                    // Who is with the worker that dies ends with it.
                    let _ = knock(address).read(&mut [0]);
                }
            });
        }
        for death in 1..=3 {
            replace_first(ringway, f64::from(death));
        }
    });
    let out = handoffs(ringway, "out");
    assert!(out > 0.0);
    wait_for_metric(ringway, "ringway_handoffs_total{handoff=\"in\"", |taken| {
        taken == out
    });
}

/// A client that has asked and not listened yet.
fn knock(address: SocketAddr) -> TcpStream {
    let mut client = connect(address);
    client.write_all(upgrade_head("/ws").as_bytes()).unwrap();
    client
}

#[test]
fn connections_that_moved_are_counted_by_source_where_they_are_held() {
    let limits = "[limits]\nconnections_per_source = 10\n";
    let fixture = Fixture::echo(1, &format!("{}{limits}", least_loaded(2)));
    let ringway = &fixture.ringway;
    for round in 1..=2 {
        let mut held = Vec::new();
        for _ in 0..40 {
            let mut client = knock(fixture.address());
            if read_head(&mut client).starts_with("HTTP/1.1 101 ") {
                held.push(client);
            }
        }
        // As many as each may hold, on each.
        assert!(
            (10..=20).contains(&held.len()),
            "{} in round {round}",
            held.len()
        );
        assert!([0, 1].iter().all(|worker| open(ringway, *worker) <= 10.0));
        drop(held);
        wait_for_metric(ringway, "ringway_tunnels_open", |open| open == 0.0);
    }
}

#[test]
fn tls_connections_move_before_their_handshake() {
    let sections = least_loaded(2);
    let scene = Scene::new(&More {
        sections: &sections,
        ..More::default()
    });
    let (ringway, config) = (&scene.ringway, scene.config());
    let mut held = Vec::new();
    while open(ringway, 1) < 12.0 {
        held.push(scene.tunnel(&config));
    }
    replace_first(ringway, 1.0);
    let mut fresh: Vec<_> = (0..8).map(|_| scene.tunnel(&config)).collect();
    for (client, backend) in &mut fresh {
        both_ways(client, backend, &payload(5_000));
    }
    assert_eq!(open(ringway, 0), 8.0);
    let shaken = "ringway_tls_full_handshakes_total{worker=\"0\"";
    let resumed = "ringway_tls_resumed_handshakes_total{worker=\"0\"";
    assert!(metric(ringway, shaken) + metric(ringway, resumed) >= 8.0);
}

#[test]
fn a_drain_ends_with_everybody_told() {
    let drain = "[drain]\ntime = \"0s\"\ndeadline = \"5s\"\n";
    let fixture = Fixture::echo(1, &format!("{}{drain}", least_loaded(4)));
    let mut tunnels: Vec<_> = (0..40).map(|_| open_tunnel(fixture.address())).collect();
    fixture.ringway.stop();
    for tunnel in &mut tunnels {
        let (first, payload) = read_frame(tunnel).unwrap();
        assert_eq!((first, &payload[..2]), (0x88, &1001_u16.to_be_bytes()[..]));
        tunnel.write_all(&client_frame(8, &payload)).unwrap();
        assert_eq!(tunnel.read(&mut [0]).unwrap_or(0), 0);
    }
    let outcome = fixture.ringway.wait();
    assert_eq!((outcome.clean, outcome.cut), (40, 0));
}
