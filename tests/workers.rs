//! Workers share the clients, and one that dies takes its own tunnels with it and nobody else's.
#![expect(
    clippy::float_cmp,
    reason = "metrics count, and whole numbers are exact"
)]
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

#[path = "support/http.rs"]
mod http;
mod support;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;

use http::start_text;
use ringway::cli::echo::EchoFleet;
use ringway::control::{Running, Signals, StartError};
use support::{
    Fixture, PATIENCE, Puppet, client_frame, connect, metric, open_tunnel, read_frame, read_head,
    right_answer, start, upgrade_head, wait_for_metric,
};

const TWO: &str = "[workers]\ncores = 2\n";

fn at(worker: usize, name: &str) -> String {
    format!("{name}{{worker=\"{worker}\"")
}

/// Opens tunnels until both of two workers have at least `each`; hands them back by worker.
fn tunnels_of_both(ringway: &Running, each: usize) -> [Vec<TcpStream>; 2] {
    let mut tunnels = [Vec::new(), Vec::new()];
    while tunnels.iter().any(|of_one| of_one.len() < each) {
        let before = metric(ringway, &at(0, "ringway_tunnels_opened_total"));
        let tunnel = open_tunnel(ringway.listening[0]);
        let after = metric(ringway, &at(0, "ringway_tunnels_opened_total"));
        tunnels[usize::from(after == before)].push(tunnel);
        assert!(
            tunnels[0].len() + tunnels[1].len() < 200,
            "one worker gets nobody"
        );
    }
    tunnels
}

fn echoes(client: &mut TcpStream) {
    client.write_all(&client_frame(1, b"alive")).unwrap();
    assert_eq!(read_frame(client).unwrap(), (0x81, b"alive".to_vec()));
}

/// Asserts that a connection was broken off, not ended well.
fn is_reset(mut stream: TcpStream) {
    let end = stream.read_to_end(&mut Vec::new());
    assert_eq!(
        end.map_err(|error| error.kind()),
        Err(ErrorKind::ConnectionReset)
    );
}

/// Asserts that a connection is over, one way or the other.
fn is_over(mut stream: TcpStream) {
    let end = stream
        .read_to_end(&mut Vec::new())
        .map_err(|error| error.kind());
    assert!(
        matches!(end, Ok(_) | Err(ErrorKind::ConnectionReset)),
        "{end:?}"
    );
}

#[test]
fn both_of_two_workers_get_connections_and_count_for_themselves() {
    let fixture = Fixture::echo(2, TWO);
    let [mut first, mut second] = tunnels_of_both(&fixture.ringway, 3);
    first.iter_mut().chain(&mut second).for_each(echoes);
    for (worker, tunnels) in [&first, &second].into_iter().enumerate() {
        let open = f64::from(u32::try_from(tunnels.len()).unwrap());
        assert_eq!(
            metric(&fixture.ringway, &at(worker, "ringway_tunnels_open")),
            open
        );
        let messages = at(worker, "ringway_messages_total");
        wait_for_metric(&fixture.ringway, &messages, |count| count == 2.0 * open);
    }
}

#[test]
fn a_worker_that_dies_takes_only_its_own_tunnels_and_comes_back() {
    let fixture = Fixture::echo(1, TWO);
    let ringway = &fixture.ringway;
    let [doomed, mut safe] = tunnels_of_both(ringway, 3);
    let lost = f64::from(u32::try_from(doomed.len()).unwrap());
    let kept = f64::from(u32::try_from(safe.len()).unwrap());
    assert_eq!(metric(ringway, "ringway_backend_tunnels_open"), lost + kept);
    ringway.fail_worker(0);
    doomed.into_iter().for_each(is_reset);
    safe.iter_mut().for_each(echoes);
    wait_for_metric(ringway, "ringway_worker_restarts_total", |count| {
        count == 1.0
    });
    assert_eq!(metric(ringway, "ringway_backend_tunnels_open"), kept);
    assert_eq!(metric(ringway, &at(0, "ringway_tunnels_open")), 0.0);
    assert_eq!(metric(ringway, &at(1, "ringway_tunnels_open")), kept);
    let ended = "ringway_tunnels_ended_total{reason=\"worker_failure\"";
    assert_eq!(metric(ringway, ended), lost);
    let [mut again, more] = tunnels_of_both(ringway, 2);
    again.iter_mut().for_each(echoes);
    safe.iter_mut().for_each(echoes);
    let all = f64::from(u32::try_from(again.len() + more.len()).unwrap());
    assert_eq!(metric(ringway, "ringway_backend_tunnels_open"), kept + all);
    assert_eq!(
        metric(ringway, &at(1, "ringway_worker_restarts_total")),
        0.0
    );
}

#[test]
fn a_backend_of_a_dead_worker_is_told_too() {
    let puppet = Puppet::new();
    let ringway = start(&[puppet.address()], "");
    let mut client = connect(ringway.listening[0]);
    client.write_all(upgrade_head("/ws").as_bytes()).unwrap();
    let (backend, _) = puppet.accept_tunnel();
    read_head(&mut client);
    ringway.fail_worker(0);
    is_reset(client);
    is_reset(backend);
}

#[test]
fn handshakes_of_a_dead_worker_end_and_are_counted_no_more() {
    let puppet = Puppet::new();
    let ringway = start(&[puppet.address()], "");
    let mut half = connect(ringway.listening[0]);
    half.write_all(b"GET /ws HT").unwrap();
    let mut whole = connect(ringway.listening[0]);
    whole.write_all(upgrade_head("/ws").as_bytes()).unwrap();
    let mut backend = puppet.accept();
    read_head(&mut backend);
    wait_for_metric(&ringway, "ringway_handshakes_open", |open| open == 2.0);
    assert_eq!(metric(&ringway, "ringway_backend_handshakes_open"), 1.0);
    ringway.fail_worker(0);
    [half, whole, backend].into_iter().for_each(is_over);
    wait_for_metric(&ringway, "ringway_worker_restarts_total", |count| {
        count == 1.0
    });
    assert_eq!(metric(&ringway, "ringway_handshakes_open"), 0.0);
    assert_eq!(metric(&ringway, "ringway_backend_handshakes_open"), 0.0);
}

#[test]
fn who_connects_while_the_only_worker_is_dead_is_greeted_by_its_successor() {
    let fixture = Fixture::echo(1, "");
    for _ in 0..3 {
        let doomed = open_tunnel(fixture.address());
        fixture.ringway.fail_worker(0);
        is_reset(doomed);
        echoes(&mut open_tunnel(fixture.address()));
    }
    assert_eq!(
        metric(&fixture.ringway, "ringway_worker_restarts_total"),
        3.0
    );
}

#[test]
fn a_death_does_not_get_in_the_way_of_a_drain() {
    for death_first in [true, false] {
        let fixture = Fixture::echo(
            1,
            "[workers]\ncores = 2\n[drain]\ntime = \"0s\"\ndeadline = \"20s\"\n",
        );
        let [mut first, mut second] = tunnels_of_both(&fixture.ringway, 1);
        if death_first {
            fixture.ringway.fail_worker(0);
            fixture.ringway.stop();
        } else {
            fixture.ringway.stop();
            assert_eq!(read_frame(&mut first[0]).unwrap().0, 0x88);
            fixture.ringway.fail_worker(0);
        }
        // Who was told goodbye may have seen its backend end the stream before the death.
        first.into_iter().for_each(is_over);
        let count = u64::try_from(second.len()).unwrap();
        for client in &mut second {
            assert_eq!(read_frame(client).unwrap().0, 0x88);
            let goodbye = client_frame(8, &1001_u16.to_be_bytes());
            client.write_all(&goodbye).unwrap();
        }
        let outcome = fixture.ringway.wait();
        assert_eq!((outcome.clean, outcome.at_once), (count, false));
    }
}

/// Waits until the only worker sleeps: it enters its ring no more.
fn wait_until_asleep(ringway: &Running) {
    let mut enters = [0.0; 4];
    while enters[0] == 0.0 || enters.iter().any(|count| *count != enters[0]) {
        enters.rotate_left(1);
        enters[3] = metric(ringway, "ringway_ring_enters_total");
    }
}

#[test]
fn a_sleeping_worker_hears_the_second_command_like_the_first() {
    let fixture = Fixture::echo(1, "[drain]\ntime = \"0s\"\ndeadline = \"20s\"\n");
    let mut client = open_tunnel(fixture.address());
    wait_until_asleep(&fixture.ringway);
    fixture.ringway.stop();
    assert_eq!(read_frame(&mut client).unwrap().0, 0x88);
    wait_until_asleep(&fixture.ringway);
    fixture.ringway.fail_worker(0);
    is_over(client);
    // The one worker there was is dead, and none is started for a Ringway that goes down.
    assert!(!fixture.ringway.wait().at_once);
}

#[test]
fn a_second_stop_ends_everything_at_once() {
    let fixture = Fixture::echo(1, "[drain]\ntime = \"1h\"\ndeadline = \"2h\"\n");
    let client = open_tunnel(fixture.address());
    fixture.ringway.stop();
    fixture.ringway.stop();
    assert!(fixture.ringway.wait().at_once);
    drop(client);
}

#[test]
fn several_addresses_of_both_families_are_listened_on() {
    let fixture = Fixture::echo(1, "");
    let ringway = start_text(&format!(
        "[workers]\ncores = 2\n[control]\nbind = \"[::1]:0\"\naccess_log = \"off\"\n\
         [listeners.a]\nbind = [\"[::1]:0\", \"127.0.0.1:0\"]\n[listeners.b]\nbind = \"[::]:0\"\n\
         [pools.p]\nbackends = [\"{}\"]\n[[routes]]\npool = \"p\"\n",
        fixture.echo.addresses()[0]
    ));
    let ports: Vec<u16> = ringway.listening.iter().map(SocketAddr::port).collect();
    let [six, four, any] = ports[..] else {
        panic!("three addresses: {ports:?}")
    };
    let local: [(std::net::IpAddr, u16); 3] = [
        ([0, 0, 0, 0, 0, 0, 0, 1].into(), six),
        ([127, 0, 0, 1].into(), four),
        ([0, 0, 0, 0, 0, 0, 0, 1].into(), any),
    ];
    for address in local.map(SocketAddr::from) {
        echoes(&mut open_tunnel(address));
    }
    // `[::]` is only IPv6; whoever wants both families says both.
    let refused = TcpStream::connect(("127.0.0.1", any)).map_err(|error| error.kind());
    assert_eq!(refused.map(drop), Err(ErrorKind::ConnectionRefused));
}

#[test]
fn a_backend_may_be_reached_over_ipv6() {
    let any = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 0));
    let echo = EchoFleet::start(&["six"], &[any], None).unwrap();
    let ringway = start(echo.addresses(), "");
    echoes(&mut open_tunnel(ringway.listening[0]));
}

#[test]
fn steering_by_core_hands_a_connection_to_the_worker_of_the_core_it_came_in_on() {
    let cores = core_affinity::get_core_ids().unwrap();
    let list: Vec<String> = cores.iter().map(|core| core.id.to_string()).collect();
    let workers = format!(
        "[workers]\ncores = [{}]\nsteering = \"cpu\"\n",
        list.join(", ")
    );
    let fixture = Fixture::echo(1, &workers);
    for (worker, core) in cores.into_iter().enumerate() {
        // Over loopback the sender's core is the receiving one.
        assert!(core_affinity::set_for_current(core));
        let opened = at(worker, "ringway_tunnels_opened_total");
        let mut clients: Vec<_> = (0..8).map(|_| open_tunnel(fixture.address())).collect();
        clients.iter_mut().for_each(echoes);
        assert_eq!(metric(&fixture.ringway, &opened), 8.0, "worker {worker}");
    }
}

#[test]
fn steering_by_core_survives_the_death_of_a_worker() {
    let fixture = Fixture::echo(1, "[workers]\ncores = 2\nsteering = \"cpu\"\n");
    for worker in [0, 1] {
        fixture.ringway.fail_worker(worker);
        let restarts = at(worker, "ringway_worker_restarts_total");
        wait_for_metric(&fixture.ringway, &restarts, |count| count == 1.0);
        for _ in 0..8 {
            echoes(&mut open_tunnel(fixture.address()));
        }
    }
}

#[test]
fn an_address_that_is_taken_is_an_error_that_says_so() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let text = |control: SocketAddr, listener: SocketAddr| {
        format!(
            "[control]\nbind = \"{control}\"\n[listeners.l]\nbind = \"{listener}\"\n\
             [pools.p]\nbackends = [\"127.0.0.1:1\"]\n[[routes]]\npool = \"p\"\n"
        )
    };
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    for (text, start) in [
        (text(free, address), format!("cannot listen on {address}: ")),
        (
            text(address, free),
            format!("control.bind: cannot listen on {address}: "),
        ),
    ] {
        let config = ringway::config::parse("test.toml", &text).unwrap();
        let error =
            Running::start(&config, ringway::admin::service(), Signals::Ignore).unwrap_err();
        assert!(matches!(
            error,
            StartError::Listen { .. } | StartError::Control { .. }
        ));
        let said = error.to_string();
        assert!(
            said.starts_with(&start) && said.contains("another program listens there"),
            "{said}"
        );
        // The command says the same, and fails.
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ringway.toml");
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringway"));
        let output = command.arg("run").arg("-c").arg(&file).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(&start), "{said}");
    }
}

#[test]
fn another_ringway_does_not_join_the_group_of_the_first() {
    let fixture = Fixture::echo(1, TWO);
    let text = format!(
        "[control]\nbind = \"127.0.0.1:0\"\n[listeners.l]\nbind = \"{}\"\n\
         [pools.p]\nbackends = [\"127.0.0.1:1\"]\n[[routes]]\npool = \"p\"\n",
        fixture.address()
    );
    let config = ringway::config::parse("test.toml", &text).unwrap();
    let error = Running::start(&config, ringway::admin::service(), Signals::Ignore).unwrap_err();
    assert!(matches!(error, StartError::Listen { .. }), "{error}");
    echoes(&mut open_tunnel(fixture.address()));
}

#[test]
fn a_port_is_free_again_when_ringway_is_down() {
    let fixture = Fixture::echo(1, "[drain]\ntime = \"0s\"\ndeadline = \"0s\"\n");
    let address = fixture.address();
    let _client = open_tunnel(address);
    fixture.drain();
    let start = ringway::clock::Now::read();
    while TcpStream::connect(address).is_ok() {
        let waited = ringway::clock::Now::read().since(start);
        assert!(waited < PATIENCE, "it is down and still listens");
    }
    let puppet = Puppet::at(address);
    let mut client = connect(address);
    client.write_all(right_answer().as_bytes()).unwrap();
    assert!(read_head(&mut puppet.accept()).starts_with("HTTP/1.1 101 "));
}
