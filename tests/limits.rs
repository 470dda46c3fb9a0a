//! Every bound is refused cheaply, and what was held is given back: deadlines, places, sources, descriptors.
#![expect(
    clippy::float_cmp,
    reason = "metrics count, and whole numbers are exact"
)]
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

#[path = "support/http.rs"]
mod http;
#[path = "support/process.rs"]
mod process;
mod support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use http::{Answer, Bystander, assert_refused, refusals};
use process::Process;
use ringway::cli::echo::EchoFleet;
use support::{
    Fixture, Puppet, client_frame, connect, metric, metric_at, open_tunnel, read_frame, read_head,
    right_answer, start, upgrade_head, wait_for_metric, wait_for_metric_at,
};

#[test]
fn a_head_that_is_never_finished_is_a_408() {
    let fixture = Fixture::echo(1, "[limits]\nhead_timeout = \"300ms\"\n");
    let mut bystander = Bystander::new(fixture.address());
    for (count, said) in (1..).zip(["", "G", "GET /ws HTTP/1.1\r\nHost: test\r\n", "\r"]) {
        let mut client = connect(fixture.address());
        client.write_all(said.as_bytes()).unwrap();
        assert_refused(&Answer::read(&mut client), 408, "in time");
        assert_eq!(refusals(&fixture.ringway, "head_timeout"), f64::from(count));
    }
    assert_eq!(refusals(&fixture.ringway, ""), 4.0);
    bystander.echoes();
}

#[test]
fn bytes_that_trickle_in_buy_a_head_no_time() {
    let fixture = Fixture::echo(1, "[limits]\nhead_timeout = \"300ms\"\n");
    let mut client = connect(fixture.address());
    client.write_all(b"GET /ws HTTP/1.1\r\nX: ").unwrap();
    // One byte after another until the answer is there; a deadline for each byte would never pass.
    client
        .set_read_timeout(Some(std::time::Duration::from_millis(5)))
        .unwrap();
    let mut answer = [0; 12];
    let mut bytes = 0;
    while client.read_exact(&mut answer).is_err() {
        bytes += 1;
        assert!(bytes < 4_000, "the head may trickle on for ever");
        client.write_all(b"a").unwrap();
    }
    assert_eq!(&answer, b"HTTP/1.1 408");
    assert!(bytes > 0, "it did trickle");
}

#[test]
fn a_worker_with_all_its_handshakes_refuses_one_more_and_then_has_room_again() {
    let fixture = Fixture::echo(1, "[workers]\ncores = 1\nhandshakes_max = 2\n");
    let mut bystander = Bystander::new(fixture.address());
    let mut half = [connect(fixture.address()), connect(fixture.address())];
    wait_for_metric(&fixture.ringway, "ringway_handshakes_open", |open| {
        open == 2.0
    });
    let mut third = connect(fixture.address());
    let answer = Answer::read(&mut third);
    assert_refused(&answer, 503, "full");
    assert_eq!(refusals(&fixture.ringway, "worker_full"), 1.0);
    bystander.echoes();
    half[0].write_all(upgrade_head("/ws").as_bytes()).unwrap();
    assert!(read_head(&mut half[0]).starts_with("HTTP/1.1 101 "));
    drop(third);
    wait_for_metric(&fixture.ringway, "ringway_handshakes_open", |open| {
        open == 1.0
    });
    open_tunnel(fixture.address());
    assert_eq!(refusals(&fixture.ringway, ""), 1.0);
}

#[test]
fn a_worker_with_all_its_tunnels_refuses_one_more_and_then_has_room_again() {
    let fixture = Fixture::echo(1, "[workers]\ncores = 1\ntunnels_max = 2\n");
    let mut bystander = Bystander::new(fixture.address());
    let second = open_tunnel(fixture.address());
    for count in 1..=3 {
        let answer = http::ask(fixture.address(), upgrade_head("/ws").as_bytes());
        assert_refused(&answer, 503, "full");
        assert_eq!(refusals(&fixture.ringway, "worker_full"), f64::from(count));
        bystander.echoes();
    }
    ringway::sys::reset_on_close(&second);
    drop(second);
    wait_for_metric(&fixture.ringway, "ringway_tunnels_open", |open| open == 1.0);
    open_tunnel(fixture.address());
}

#[test]
fn refusals_themselves_have_a_bound_and_what_is_beyond_is_reset() {
    let fixture = Fixture::echo(1, "[workers]\ncores = 1\ntunnels_max = 1\n");
    let mut bystander = Bystander::new(fixture.address());
    let most = ringway::limits::REFUSALS_MAX as usize;
    // Each takes its answer and then stays, which keeps its place for a while.
    let clients: Vec<_> = (0..most + 64).map(|_| connect(fixture.address())).collect();
    let all = f64::from(u32::try_from(most + 64).unwrap());
    wait_for_metric(
        &fixture.ringway,
        "ringway_refusals_total{reason=\"worker_full\"",
        |n| n == all,
    );
    bystander.echoes();
    let answered = clients.into_iter().filter(|mut client| {
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).is_ok() && answer.starts_with(b"HTTP/1.1 503 ")
    });
    assert!((most..most + 64).contains(&answered.count()));
    wait_for_metric(&fixture.ringway, "ringway_handshakes_open", |open| {
        open == 0.0
    });
    bystander.echoes();
}

#[test]
fn one_source_may_hold_only_so_many_connections() {
    let fixture = Fixture::echo(1, "[limits]\nconnections_per_source = 2\n");
    let mut bystander = Bystander::new(fixture.address());
    let second = open_tunnel(fixture.address());
    let answer = http::ask(fixture.address(), upgrade_head("/ws").as_bytes());
    assert_refused(&answer, 429, "from this address");
    assert_eq!(refusals(&fixture.ringway, "source_limited"), 1.0);
    // Another address is another source.
    let mut other = connect_from([127, 0, 0, 2], fixture.address());
    other.write_all(upgrade_head("/ws").as_bytes()).unwrap();
    assert!(read_head(&mut other).starts_with("HTTP/1.1 101 "));
    bystander.echoes();
    ringway::sys::reset_on_close(&second);
    drop(second);
    wait_for_metric(&fixture.ringway, "ringway_tunnels_open", |open| open == 2.0);
    open_tunnel(fixture.address());
}

#[test]
fn one_source_may_have_only_so_many_handshakes() {
    let fixture = Fixture::echo(1, "[limits]\nhandshakes_per_source = 1\n");
    let mut first = connect(fixture.address());
    wait_for_metric(&fixture.ringway, "ringway_handshakes_open", |open| {
        open == 1.0
    });
    assert_refused(&Answer::read(&mut connect(fixture.address())), 429, "");
    first.write_all(upgrade_head("/ws").as_bytes()).unwrap();
    assert!(read_head(&mut first).starts_with("HTTP/1.1 101 "));
    // The refused one is not counted as a handshake of that source, and the tunnel no longer is.
    open_tunnel(fixture.address());
    assert_eq!(refusals(&fixture.ringway, "source_limited"), 1.0);
}

#[test]
fn one_source_may_open_only_so_many_connections_in_a_second() {
    let fixture = Fixture::echo(1, "[limits]\nnew_connections_per_source_per_second = 1\n");
    let mut bystander = Bystander::new(fixture.address());
    // Some of so many in a row fall into one second, whenever that begins.
    let mut connected: Vec<_> = (0..8).map(|_| connect(fixture.address())).collect();
    wait_for_metric(
        &fixture.ringway,
        "ringway_refusals_total{reason=\"source_limited\"",
        |n| n >= 1.0,
    );
    let limited = connected.iter_mut().filter_map(|client| {
        client.write_all(upgrade_head("/ws").as_bytes()).unwrap();
        let head = read_head(client);
        (!head.starts_with("HTTP/1.1 101 ")).then_some(head)
    });
    let limited: Vec<_> = limited.collect();
    assert!(!limited.is_empty());
    assert!(
        limited
            .iter()
            .all(|head| head.starts_with("HTTP/1.1 429 ") && head.contains("Retry-After"))
    );
    bystander.echoes();
}

#[test]
fn ten_thousand_connects_and_aborts_leave_nothing_behind() {
    let echo = echo();
    let process = Process::start(echo.addresses(), 4096);
    let mut bystander = Bystander::new(process.address);
    let round = |first: u32| {
        for batch in (first..first + 2_500).collect::<Vec<_>>().chunks(250) {
            let clients: Vec<_> = batch
                .iter()
                .map(|number| aborted(process.address, *number))
                .collect();
            drop(clients);
            for row in ["ringway_handshakes_open", "ringway_backend_handshakes_open"] {
                wait_for_metric_at(process.control, row, |open| open == 0.0);
            }
        }
        let accepted = f64::from(first + 2_500 + 1);
        wait_for_metric_at(process.control, "ringway_connections_accepted_total", |n| {
            n == accepted
        });
        wait_for_metric_at(process.control, "ringway_tunnels_open", |open| open == 1.0);
        wait_for_metric_at(process.control, "ringway_handshakes_open", |open| {
            open == 0.0
        });
    };
    // The first round touches what is kept for the next ones: greeters, slabs, the allocator's pages.
    round(0);
    let (descriptors, resident_kib) = (process.descriptors(), process.resident_kib());
    for number in 1..4 {
        round(number * 2_500);
    }
    bystander.echoes();
    // Each look at the metrics has a descriptor too, for a moment longer than the look.
    process.wait_for_descriptors(descriptors);
    let grown = process.resident_kib().saturating_sub(resident_kib);
    // The receive buffers alone are 4 MiB, which are touched one after the other.
    assert!(grown < 8 * 1024, "{grown} KiB more after 7,500 more aborts");
    let home = metric_at(process.control, "ringway_receive_buffers_home");
    assert_eq!(home, metric_at(process.control, "ringway_receive_buffers"));
}

/// A client that breaks off: at once, inside its head, behind it, or inside a frame.
fn aborted(address: SocketAddr, number: u32) -> TcpStream {
    let mut client = connect(address);
    ringway::sys::reset_on_close(&client);
    let head = upgrade_head("/ws");
    let said = match number % 8 {
        0 | 4 => head.as_bytes(),
        1 => &head.as_bytes()[..40],
        2 => &[head.as_bytes(), &client_frame(2, &[7; 3000])[..1000]].concat(),
        _ => b"",
    };
    client.write_all(said).unwrap();
    client
}

#[test]
fn a_lack_of_our_own_is_no_failure_of_a_backend_and_sends_nobody_to_the_next_one() {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let echo = EchoFleet::start(&["one", "two"], &[any; 2], None).unwrap();
    let mut refusals = 0.0;
    // With one of the two numbers the last client has a descriptor left, and its backend none.
    for files in [96, 97] {
        let process = Process::start(echo.addresses(), files);
        let mut open: Vec<TcpStream> = Vec::new();
        let mut refused = 0.0;
        loop {
            let mut client = connect(process.address);
            client.write_all(upgrade_head("/ws").as_bytes()).unwrap();
            let patience = Some(std::time::Duration::from_millis(500));
            client.set_read_timeout(patience).unwrap();
            let mut first = [0; 13];
            let answered = client.read_exact(&mut first).is_ok();
            if answered && &first == b"HTTP/1.1 101 " {
                ringway::sys::reset_on_close(&client);
                open.push(client);
                continue;
            }
            if answered {
                assert_eq!(&first, b"HTTP/1.1 503 ");
                assert!(read_head(&mut client).contains("Retry-After: 5"));
                refused = 1.0;
            }
            ringway::sys::reset_on_close(&client);
            break;
        }
        drop(open);
        for row in ["ringway_refusals_total", "ringway_backend_failures_total"] {
            let one = format!("{row}{{reason=\"no_resources\"");
            assert_eq!(metric_at(process.control, &one), refused, "{row}");
            assert_eq!(metric_at(process.control, row), refused, "{row}");
        }
        let blamed = metric_at(process.control, "ringway_backend_failed_total");
        assert_eq!(blamed, 0.0);
        refusals += refused;
    }
    assert!(refusals > 0.0, "descriptors never ran out for a backend");
}

#[test]
fn out_of_descriptors_the_open_tunnels_go_on_and_new_ones_wait_for_room() {
    let echo = echo();
    let process = Process::start(echo.addresses(), 96);
    let pauses = "ringway_accept_pauses_total";
    let mut open: Vec<TcpStream> = Vec::new();
    let (mut waiting, mut idle) = (Vec::new(), Vec::new());
    while waiting.len() < 4 {
        let mut client = connect(process.address);
        client.write_all(upgrade_head("/ws").as_bytes()).unwrap();
        client
            .set_read_timeout(Some(std::time::Duration::from_millis(500)))
            .unwrap();
        let mut first = [0; 13];
        match client.read_exact(&mut first) {
            Ok(()) if &first == b"HTTP/1.1 101 " => {
                read_head(&mut client);
                client.set_read_timeout(Some(support::PATIENCE)).unwrap();
                open.push(client);
            }
            // There was a descriptor for the client and none for its backend: somebody silent takes that one.
            Ok(()) => {
                assert_eq!(&first, b"HTTP/1.1 503 ");
                idle.push(connect(process.address));
            }
            // There was none at all: it waits in the accept queue.
            Err(_) => waiting.push(client),
        }
        assert!(open.len() + idle.len() < 48, "96 descriptors are no bound");
        open.iter_mut().for_each(echoes);
    }
    assert!(open.len() >= 8, "only {} tunnels", open.len());
    // Half of them leave; whoever waited in the accept queue is answered now, if only with a 503 while the
    // descriptors come back one by one.
    drop(idle);
    for client in open.drain(..open.len() / 2) {
        ringway::sys::reset_on_close(&client);
    }
    for mut client in waiting {
        client.set_read_timeout(Some(support::PATIENCE)).unwrap();
        let head = read_head(&mut client);
        let answered = ["HTTP/1.1 101 ", "HTTP/1.1 503 "];
        assert!(
            answered.iter().any(|start| head.starts_with(start)),
            "{head:?}"
        );
    }
    let left = f64::from(u32::try_from(open.len()).unwrap());
    wait_for_metric_at(process.control, "ringway_handshakes_open", |count| {
        count == 0.0
    });
    wait_for_metric_at(process.control, "ringway_tunnels_open", |count| {
        count <= left
    });
    let mut fresh = open_tunnel(process.address);
    open.iter_mut().chain([&mut fresh]).for_each(echoes);
    assert!(metric_at(process.control, pauses) >= 1.0);
    assert_eq!(
        metric_at(process.control, "ringway_worker_restarts_total"),
        0.0
    );
}

#[test]
fn many_heads_at_once_share_few_buffers() {
    let puppet = Puppet::new();
    let ringway = start(
        &[puppet.address()],
        "[workers]\ncores = 1\nbuffers = 4\nbuffer_bytes = \"1KiB\"\n",
    );
    let padding = format!("Host: test\r\nX: {}", "a".repeat(5_000));
    let head = upgrade_head("/ws").replace("Host: test", &padding);
    let mut clients: Vec<_> = (0..64).map(|_| connect(ringway.listening[0])).collect();
    for part in head.as_bytes().chunks(2_000) {
        for client in &mut clients {
            client.write_all(part).unwrap();
        }
    }
    let backends: Vec<_> = (0..64).map(|_| puppet.accept_tunnel()).collect();
    for (_, seen) in &backends {
        assert!(seen.contains(&"a".repeat(5_000)));
    }
    for client in &mut clients {
        assert_eq!(read_head(client).len(), right_answer().len());
    }
    assert_eq!(metric(&ringway, "ringway_tunnels_open"), 64.0);
    let all = metric(&ringway, "ringway_receive_buffers");
    wait_for_metric(&ringway, "ringway_receive_buffers_home", |home| home == all);
}

fn echoes(client: &mut TcpStream) {
    client.write_all(&client_frame(1, b"alive")).unwrap();
    assert_eq!(read_frame(client).unwrap(), (0x81, b"alive".to_vec()));
}

fn echo() -> EchoFleet {
    EchoFleet::start(&["one"], &[([127, 0, 0, 1], 0).into()], None).unwrap()
}

fn connect_from(source: [u8; 4], address: SocketAddr) -> TcpStream {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((source, 0)).into()).unwrap();
    socket.connect(&address.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(support::PATIENCE)).unwrap();
    stream
}
