//! Backends are dialled from the addresses that their pool names, all of them are used, and when every port is in use
//! or an address is not there, the client is told so at once and no backend is blamed.
//!
//! Ports run out in a network namespace of the test's own, where the kernel has few of them; where none can be made the
//! tests say so and pass.
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

use std::collections::HashSet;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::Command;

use http::{Answer, assert_refused, refusals};
use pools::{open_at, start_pool};
use ringway::admin;
use ringway::clock::Now;
use ringway::config;
use ringway::control::{Running, Signals};
use ringway::fleet::SourceAddresses;
use ringway::sys::{depart_from, reset_on_close};
use socket2::{Domain, Protocol, Socket, Type};
use support::{
    Fixture, PATIENCE, Puppet, client_frame, connect, metric, open_tunnel, read_frame, read_head,
    upgrade_head,
};

const EXHAUSTED: &str = "the server has no port left for the backend";
const MISSING: &str = "the server has no address to reach the backend from";
const SEARCHES: &str = "ringway_source_port_searches_failed_total";
const CONNECTS: &str = "ringway_source_address_connects_total";

fn sources(texts: &[&str]) -> SourceAddresses {
    texts.iter().map(|text| address(text)).collect()
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Opens a tunnel to a puppet, and hands back where Ringway came from.
fn origin_of(ringway: &Running, puppet: &Puppet) -> (IpAddr, TcpStream, TcpStream) {
    let mut client = connect(ringway.listening[0]);
    client.write_all(upgrade_head("/ws").as_bytes()).unwrap();
    let (backend, _) = puppet.accept_tunnel();
    assert!(read_head(&mut client).starts_with("HTTP/1.1 101 "));
    (backend.peer_addr().unwrap().ip(), client, backend)
}

fn failed(ringway: &Running, kind: &str) -> f64 {
    metric(
        ringway,
        &format!("ringway_backend_failed_total{{kind=\"{kind}\""),
    )
}

#[test]
fn every_address_of_the_pool_is_dialled_from_and_no_other() {
    let puppet = Puppet::new();
    let three = ["127.1.0.1", "127.1.0.2", "127.1.0.3"];
    let ringway = start_pool(1, &[puppet.address()], |pool| {
        pool.source_addresses = sources(&three);
    });
    // With random beginnings one of three is left out in 40 rounds once in three million times.
    let tunnels: Vec<_> = (0..40).map(|_| origin_of(&ringway, &puppet)).collect();
    let seen: HashSet<_> = tunnels.iter().map(|(origin, ..)| *origin).collect();
    assert_eq!(seen, three.map(address).into());
    assert_eq!(metric(&ringway, CONNECTS), 40.0);
    assert_eq!(metric(&ringway, SEARCHES), 0.0);
}

#[test]
fn a_backend_of_another_family_is_dialled_from_where_the_kernel_likes() {
    let puppet = Puppet::new();
    let ringway = start_pool(1, &[puppet.address()], |pool| {
        pool.source_addresses = sources(&["::1"]);
    });
    assert_eq!(origin_of(&ringway, &puppet).0, address("127.0.0.1"));
    assert_eq!(metric(&ringway, CONNECTS), 0.0);
}

#[test]
fn ipv6_is_dialled_from_too() {
    let any = SocketAddr::new(address("::1"), 0);
    if std::net::TcpListener::bind(any).is_err() {
        println!("skipped: this host has no ::1");
        return;
    }
    let puppet = Puppet::at(any);
    let ringway = start_pool(1, &[puppet.address()], |pool| {
        pool.source_addresses = sources(&["127.1.0.1", "::1"]);
    });
    assert_eq!(origin_of(&ringway, &puppet).0, address("::1"));
    assert_eq!(metric(&ringway, CONNECTS), 1.0);
}

#[test]
fn an_address_that_is_not_here_has_a_refusal_of_its_own_and_no_backend_is_blamed() {
    let echo = Fixture::echo(1, "");
    let backend = echo.echo.addresses()[0];
    // RFC 5737: nobody has it.
    let ringway = start_pool(1, &[backend], |pool| {
        pool.source_addresses = sources(&["192.0.2.1"]);
        pool.connect_tries = 0;
        pool.ejection.failures = 1;
    });
    for _ in 0..5 {
        let answer = http::ask(ringway.listening[0], upgrade_head("/ws").as_bytes());
        assert_refused(&answer, 503, MISSING);
    }
    assert_eq!(refusals(&ringway, "source_address_missing"), 5.0);
    assert_eq!(refusals(&ringway, ""), 5.0);
    assert_eq!(failed(&ringway, "source_address_missing"), 5.0);
    assert_eq!(metric(&ringway, "ringway_backend_failures_in_a_row"), 0.0);
    assert_eq!(
        metric(&ringway, "ringway_backend_ejections_total"),
        0.0,
        "one failure of its own would have put it out"
    );

    // One that is here beside it is enough.
    let ringway = start_pool(1, &[backend], |pool| {
        pool.source_addresses = sources(&["192.0.2.1", "127.1.0.9"]);
        pool.connect_tries = 0;
    });
    let tunnels: Vec<_> = (0..20).map(|_| open_tunnel(ringway.listening[0])).collect();
    assert_eq!(open_at(&ringway, backend), 20.0);
    assert_eq!(refusals(&ringway, ""), 0.0);
    drop(tunnels);
}

#[test]
fn a_reload_changes_the_addresses_and_the_tunnels_live_on() {
    let puppet = Puppet::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ringway.toml");
    let write = |source: &str| {
        let text = format!(
            "[workers]\ncores = 1\n[control]\nbind = \"127.0.0.1:0\"\naccess_log = \"off\"\n\
             [listeners.test]\nbind = [\"127.0.0.1:0\"]\n\
             [pools.p]\nbackends = [\"{}\"]\n{source}\n[[routes]]\npool = \"p\"\n",
            puppet.address()
        );
        std::fs::write(&file, text).unwrap();
    };
    write("source_addresses = [\"127.1.0.1\"]");
    let config = config::load(&file).unwrap();
    let from = Some(file.clone());
    let ringway = Running::start_from(&config, from, admin::service(), Signals::Ignore).unwrap();
    let (origin, mut client, mut backend) = origin_of(&ringway, &puppet);
    assert_eq!(origin, address("127.1.0.1"));
    for (source, expected) in [
        (
            "source_addresses = [\"127.1.0.4/31\"]",
            "127.1.0.4 127.1.0.5",
        ),
        ("", "127.0.0.1"),
    ] {
        write(source);
        let reloaded = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(ringway.fleet().reload());
        assert_eq!(reloaded.unwrap().needs_restart, [""; 0]);
        // The worker hears of it before the next connection that it accepts, or with the one after.
        let start = Now::read();
        loop {
            let (origin, ..) = origin_of(&ringway, &puppet);
            if expected.contains(&origin.to_string()) {
                break;
            }
            assert!(Now::read().since(start) < PATIENCE, "still from {origin}");
        }
    }
    client.write_all(&client_frame(1, b"still here")).unwrap();
    assert_eq!(read_frame(&mut backend).unwrap().1, b"still here");
}

#[test]
fn more_tunnels_than_one_address_has_ports_and_then_a_refusal_with_its_name() {
    let name = "more_tunnels_than_one_address_has_ports_and_then_a_refusal_with_its_name";
    if !in_namespace(name) {
        return;
    }
    // Who listens here takes none of the few ports.
    widen_ports();
    let echo = Fixture::echo(1, "");
    let backend = echo.echo.addresses()[0];
    let ringway = start_pool(1, &[backend], |pool| {
        pool.source_addresses = sources(&["127.1.0.1", "127.1.0.2"]);
        pool.connect_tries = 0;
        pool.ejection.failures = 1;
    });
    narrow_ports();
    let mut open: Vec<_> = (0..2 * PORTS)
        .map(|number| tunnel(&ringway, number))
        .collect();
    for number in 0..REFUSED {
        assert_refused(&refused(&ringway, number), 503, EXHAUSTED);
    }
    widen_ports();
    assert_eq!(open_at(&ringway, backend), f64::from(2 * PORTS));
    assert_eq!(metric(&ringway, CONNECTS), f64::from(2 * PORTS));
    let told = f64::from(REFUSED);
    assert_eq!(refusals(&ringway, "source_ports_exhausted"), told);
    assert_eq!(refusals(&ringway, ""), told);
    assert_eq!(failed(&ringway, "source_ports_exhausted"), told);
    assert_eq!(metric(&ringway, "ringway_backend_failed_total"), told);
    assert_eq!(metric(&ringway, "ringway_backend_failures_in_a_row"), 0.0);
    assert_eq!(metric(&ringway, "ringway_backend_ejections_total"), 0.0);

    narrow_ports();
    reset_on_close(&open.swap_remove(7));
    let start = Now::read();
    let mut again = 0;
    while !try_tunnel(&ringway, again).1.starts_with("HTTP/1.1 101 ") {
        assert!(
            Now::read().since(start) < PATIENCE,
            "the freed port is not found"
        );
        again += 1;
    }
    for stream in &mut open {
        stream.write_all(&client_frame(2, b"still here")).unwrap();
        assert_eq!(read_frame(stream).unwrap().1, b"still here");
    }
    widen_ports();
    // Each of the two was searched once in vain before it was marked, and then only from time to time.
    let searched = metric(&ringway, SEARCHES);
    let refusals = refusals(&ringway, "source_ports_exhausted");
    assert!(
        searched >= 2.0 && searched < refusals,
        "{searched} of {refusals}"
    );
}

#[test]
fn without_addresses_of_its_own_a_pool_runs_out_by_the_same_name_for_one_backend_at_a_time() {
    let name =
        "without_addresses_of_its_own_a_pool_runs_out_by_the_same_name_for_one_backend_at_a_time";
    if !in_namespace(name) {
        return;
    }
    // Who listens here takes none of the few ports.
    widen_ports();
    let echo = Fixture::echo(2, "");
    let ringway = start_pool(1, echo.echo.addresses(), |pool| pool.connect_tries = 1);
    narrow_ports();
    let open: Vec<_> = (0..2 * PORTS)
        .map(|number| tunnel(&ringway, number))
        .collect();
    for number in 0..REFUSED {
        assert_refused(&refused(&ringway, number), 503, EXHAUSTED);
    }
    widen_ports();
    for address in echo.echo.addresses() {
        assert_eq!(open_at(&ringway, *address), f64::from(PORTS));
    }
    assert_eq!(
        refusals(&ringway, "source_ports_exhausted"),
        f64::from(REFUSED)
    );
    assert_eq!(metric(&ringway, CONNECTS), 0.0);
    assert_eq!(metric(&ringway, "ringway_backend_failures_in_a_row"), 0.0);
    drop(open);
}

/// Ports of each address once they are narrowed.
const PORTS: u16 = 20;
/// Clients that find none.
const REFUSED: u16 = 15;

/// A client that comes from an address of its own, so that the clients' own ports do not run out.
fn try_tunnel(ringway: &Running, number: u16) -> (TcpStream, String) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
    let [high, low] = number.to_be_bytes();
    depart_from(&socket, [127, 2, high, low].into()).unwrap();
    socket.connect(&ringway.listening[0].into()).unwrap();
    let mut client = TcpStream::from(socket);
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(upgrade_head("/ws").as_bytes()).unwrap();
    let head = read_head(&mut client);
    (client, head)
}

fn tunnel(ringway: &Running, number: u16) -> TcpStream {
    let (client, head) = try_tunnel(ringway, number);
    assert!(head.starts_with("HTTP/1.1 101 "), "{number}: {head}");
    client
}

fn refused(ringway: &Running, number: u16) -> Answer {
    let (mut client, head) = try_tunnel(ringway, number);
    let mut body = String::new();
    std::io::Read::read_to_string(&mut client, &mut body).unwrap();
    Answer::parse(&format!("{head}{body}"))
}

fn narrow_ports() {
    ports(40_000, 40_000 + PORTS - 1);
}

/// What the test itself connects with must not run out.
fn widen_ports() {
    ports(20_000, 30_000);
}

fn ports(least: u16, most: u16) {
    let range = format!("{least} {most}");
    std::fs::write("/proc/sys/net/ipv4/ip_local_port_range", range).unwrap();
}

/// Whether this process is in a network namespace of the test's own. If not, the test is run again in one, alone, and
/// what it says there is said here.
#[expect(clippy::print_stdout, reason = "who skips a test says why")]
fn in_namespace(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let script = "ip link set lo up || exit 77; test -w /proc/sys/net/ipv4/ip_local_port_range || exit 77; \
                  exec \"$0\" --exact \"$1\" --nocapture";
    let run = Command::new("unshare")
        .args(["--net", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .arg(test)
        .env(INSIDE, "1")
        .output();
    let output = match run {
        Ok(output) => output,
        Err(error) => {
            println!("skipped: unshare: {error}");
            return false;
        }
    };
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    if output.status.code() == Some(77) || said.contains("unshare failed") {
        println!("skipped: no network namespace can be made here: {said}");
    } else {
        assert!(output.status.success(), "{said}");
        assert!(said.contains("1 passed"), "{said}");
    }
    false
}

const INSIDE: &str = "RINGWAY_TEST_IN_NAMESPACE";
