//! Backends that are unwell without being gone: who takes no connection, who never answers, who answers late, who
//! comes and goes, and a pool in which nobody is well. Their clients are served by the others.
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

#[path = "support/http.rs"]
mod http;
#[path = "support/rows.rs"]
mod rows;
mod support;

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use http::{header, refusals};
use ringway::cli::echo::EchoFleet;
use ringway::clock::Now;
use ringway::control::Running;
use rows::{failures, row};
use support::{
    Fixture, FullQueue, PATIENCE, Puppet, connect, read_head, right_answer, start_with,
    upgrade_head,
};

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
/// The passive threshold, `ejection.failures`, at its default.
const THRESHOLD: u64 = 5;

/// Makes a handshake and hands back the head of the answer.
fn visit(ringway: &Running) -> String {
    let mut client = connect(ringway.listening[0]);
    client.write_all(upgrade_head("/ws").as_bytes()).unwrap();
    read_head(&mut client)
}

fn is_served(head: &str) -> bool {
    head.starts_with("HTTP/1.1 101 ")
}

/// Makes handshakes one after another until `is_enough`; each goes to `see`.
fn visit_until(ringway: &Running, is_enough: impl Fn() -> bool, see: impl Fn(&str)) {
    let deadline = Now::read().after(PATIENCE);
    while !is_enough() {
        assert!(Now::read() < deadline, "it never came");
        see(&visit(ringway));
    }
}

fn assert_served(head: &str) {
    assert!(is_served(head), "{head}");
}

#[test]
fn a_black_hole_costs_its_clients_a_connect_timeout_and_is_put_out() {
    let (echo, full) = (Fixture::echo(2, ""), FullQueue::new());
    let all = [echo.echo.addresses(), &[full.address]].concat();
    let ringway = start_with(&all, "", "connect_timeout = \"50ms\"", "");
    let is_out = || row(&ringway, full.address).state == "ejected";
    visit_until(&ringway, is_out, assert_served);
    let out = row(&ringway, full.address);
    assert_eq!(out.failures["connect_timeout"], THRESHOLD);
    (0..20).for_each(|_| assert_served(&visit(&ringway)));
    assert_eq!(failures(&row(&ringway, full.address)), THRESHOLD);
    assert!(refusals(&ringway, "").abs() < 0.5, "nobody was refused");
}

#[test]
fn a_backend_that_never_answers_fails_as_many_as_the_threshold_and_nobody_after() {
    let echo = Fixture::echo(2, "");
    // The kernel takes its connections, and it never looks at them.
    let silent = Puppet::new();
    let all = [echo.echo.addresses(), &[silent.address()]].concat();
    let ringway = start_with(&all, "", "answer_timeout = \"50ms\"", "");
    let is_out = || row(&ringway, silent.address()).state == "ejected";
    visit_until(&ringway, is_out, |head| {
        assert!(
            is_served(head) || head.starts_with("HTTP/1.1 504 "),
            "{head}"
        );
    });
    let out = row(&ringway, silent.address());
    assert_eq!(out.failures["answer_timeout"], THRESHOLD);
    (0..20).for_each(|_| assert_served(&visit(&ringway)));
    // Who has sent its request may have been heard, so it is not asked again elsewhere.
    assert_eq!(refusals(&ringway, "answer_timeout").to_string(), "5");
    assert_eq!(refusals(&ringway, "").to_string(), "5");
}

/// Answers every upgrade rightly, but late.
fn answer_late(listener: &TcpListener, late: Duration) {
    let answer = |mut stream: TcpStream| {
        read_head(&mut stream);
        std::thread::park_timeout(late);
        // The test may be over.
        let _ = stream.write_all(right_answer().as_bytes());
    };
    std::thread::scope(|scope| {
        for stream in listener.incoming() {
            scope.spawn(move || answer(stream.unwrap()));
        }
    });
}

#[test]
fn a_backend_that_is_slow_to_upgrade_gets_few_under_peak_ewma() {
    let echo = Fixture::echo(1, "");
    let listener = TcpListener::bind(ANY).unwrap();
    let slow = listener.local_addr().unwrap();
    std::thread::spawn(move || answer_late(&listener, Duration::from_millis(30)));
    let mut shares = [0, 0];
    for (share, policy) in shares.iter_mut().zip(["random", "peak-ewma"]) {
        let list = format!("[\"{}\", \"{slow}\"]", echo.echo.addresses()[0]);
        let ringway = http::start_text(&format!(
            "[workers]\ncores = 1\n[control]\nbind = \"127.0.0.1:0\"\naccess_log = \"off\"\n\
             [listeners.test]\nbind = \"127.0.0.1:0\"\n[pools.p]\npolicy = \"{policy}\"\n\
             backends = {list}\n[[routes]]\npool = \"p\"\n"
        ));
        for _ in 0..100 {
            let head = visit(&ringway);
            assert_served(&head);
            *share += u32::from(header(&head, "x-backend").is_none());
        }
    }
    let [random, peak_ewma] = shares;
    assert!(random >= 20, "it is well, and gets its share: {random}");
    assert!((1..=10).contains(&peak_ewma), "of 100: {peak_ewma}");
}

#[test]
fn a_backend_that_flaps_under_probes_costs_nobody_a_handshake() {
    let echo = Fixture::echo(1, "");
    let mut flapping = Some(EchoFleet::start(&["flapping"], &[ANY], None).unwrap());
    let address = flapping.as_ref().unwrap().addresses()[0];
    let ringway = start_with(
        &[echo.echo.addresses()[0], address],
        "",
        "[pools.p.probe]\ninterval = \"50ms\"\nunsure_interval = \"10ms\"\nrise = 2\nfall = 2\n\
         [pools.p.ejection]\ntime = \"100ms\"\ntime_max = \"100ms\"",
        "",
    );
    for _ in 0..3 {
        let serves_again = || row(&ringway, address).state == "up";
        visit_until(&ringway, serves_again, assert_served);
        drop(flapping.take());
        let is_down = || row(&ringway, address).state == "down";
        visit_until(&ringway, is_down, assert_served);
        // It is known to be down, so not one client is sent there.
        let before = failures(&row(&ringway, address));
        (0..10).for_each(|_| assert_served(&visit(&ringway)));
        assert_eq!(failures(&row(&ringway, address)), before);
        flapping = Some(EchoFleet::start(&["flapping"], &[address], None).unwrap());
    }
    assert!(refusals(&ringway, "").abs() < 0.5, "nobody was refused");
}

#[test]
fn with_everybody_put_out_clients_reach_the_one_that_answers_and_it_returns_by_itself() {
    let fleet = |address| EchoFleet::start(&["one"], &[address], None).unwrap();
    let [one, two] = [fleet(ANY), fleet(ANY)].map(|fleet| fleet.addresses()[0]);
    // Nobody's time is over while this runs.
    let ringway = start_with(
        &[one, two],
        "",
        "[pools.p.ejection]\nshare_max = \"100%\"\ntime = \"5m\"\ntime_max = \"5m\"",
        "",
    );
    let state = |address| row(&ringway, address).state;
    let all_out = || {
        [one, two]
            .iter()
            .all(|&address| state(address) == "ejected")
    };
    visit_until(&ringway, all_out, |head| {
        assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    });
    let _returned = fleet(two);
    assert_eq!(state(two), "ejected");
    (0..10).for_each(|_| assert_served(&visit(&ringway)));
    visit_until(&ringway, || state(two) == "up", assert_served);
    assert_ne!(state(one), "up");
}
