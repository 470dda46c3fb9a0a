//! A backend whose process is killed under load costs no client more than the connection it had, and takes its
//! share again when it is back, without an operator.
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]
#![expect(
    clippy::disallowed_types,
    reason = "clients of a test may share a lock: they are not the data path"
)]

#[path = "support/http.rs"]
mod http;
#[path = "support/process.rs"]
mod process;
#[path = "support/rows.rs"]
mod rows;
mod support;

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use http::{header, refusals, start_text};
use process::EchoProcess;
use ringway::clock::Now;
use ringway::control::Running;
use support::{PATIENCE, client_frame, connect, metric, read_frame, read_head, upgrade_head};

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
/// Each client begins a handshake every 16 ms, so all of them together 500 in a second.
const CLIENTS: u32 = 8;
const PERIOD: Duration = Duration::from_millis(16);
/// The passive threshold, `ejection.failures`, at its default.
const THRESHOLD: u32 = 5;

/// A Ringway as the file's defaults make it, except that an ejection is short.
fn start(backends: &[SocketAddr]) -> Running {
    let list: Vec<_> = backends.iter().map(|one| format!("\"{one}\"")).collect();
    start_text(&format!(
        "[workers]\ncores = 2\n[control]\nbind = \"127.0.0.1:0\"\naccess_log = \"off\"\n\
         [listeners.test]\nbind = \"127.0.0.1:0\"\n[pools.p]\nbackends = [{}]\n\
         [pools.p.ejection]\ntime = \"100ms\"\ntime_max = \"200ms\"\n[[routes]]\npool = \"p\"\n",
        list.join(", ")
    ))
}

/// One handshake, one echo and the end.
#[derive(Debug)]
struct Visit {
    began: Now,
    ended: Now,
    /// The answer's head.
    head: String,
    /// Whether the echo came.
    is_echoed: bool,
}

impl Visit {
    fn make(address: SocketAddr) -> Self {
        let began = Now::read();
        let mut client = connect(address);
        client.write_all(upgrade_head("/ws").as_bytes()).unwrap();
        let head = read_head(&mut client);
        let sent = client.write_all(&client_frame(0x81, b"hello"));
        let echo = sent.and_then(|()| read_frame(&mut client));
        let is_echoed = echo.is_ok_and(|(first, payload)| first == 0x81 && payload == b"hello");
        Self {
            began,
            ended: Now::read(),
            head,
            is_echoed,
        }
    }

    fn backend(&self) -> Option<&str> {
        header(&self.head, "x-backend")
    }
}

/// The clients, all they have seen, and the signal that ends them.
#[derive(Default)]
struct Load {
    visits: Mutex<Vec<Visit>>,
    done: AtomicU64,
    is_over: AtomicBool,
}

impl Load {
    /// One client at its pace, from its own part of the first period on.
    fn visit(&self, address: SocketAddr, number: u32) {
        let first = PERIOD * number / CLIENTS;
        let mut next = Now::read().after(first);
        while !self.is_over.load(Ordering::Relaxed) {
            std::thread::park_timeout(next.since(Now::read()));
            next = next.after(PERIOD);
            let visit = Visit::make(address);
            self.visits.lock().unwrap().push(visit);
            self.done.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until so many more handshakes are over.
    fn wait_for(&self, more: u64) {
        let enough = self.done.load(Ordering::Relaxed) + more;
        self.wait_until(|_| self.done.load(Ordering::Relaxed) >= enough);
    }

    fn wait_until(&self, wanted: impl Fn(&[Visit]) -> bool) {
        let deadline = Now::read().after(PATIENCE);
        while !wanted(&self.visits.lock().unwrap()) {
            if Now::read() > deadline {
                self.is_over.store(true, Ordering::Relaxed);
                panic!("it never came");
            }
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }
}

#[test]
fn a_killed_process_costs_only_what_was_in_flight_on_it_and_serves_again_when_it_is_back() {
    // By how many are in its process, each one's last backend has a name of its own.
    let mut fleet: Vec<_> = (1..=3)
        .map(|count| EchoProcess::start(&vec![ANY; count]))
        .collect();
    let all: Vec<_> = fleet
        .iter()
        .map(|process| *process.addresses().last().unwrap())
        .collect();
    let ringway = start(&all);
    let load = Load::default();
    let (killed, dead, back, _returned) = std::thread::scope(|scope| {
        let (load, address) = (&load, ringway.listening[0]);
        for number in 0..CLIENTS {
            scope.spawn(move || load.visit(address, number));
        }
        load.wait_for(400);
        let addresses = fleet.remove(1).kill();
        let killed = Now::read();
        load.wait_for(400);
        let dead = rows::row(&ringway, all[1]);
        let back = Now::read();
        let returned = EchoProcess::start(&addresses);
        load.wait_until(|visits| {
            let new = visits.iter().filter(|visit| visit.began > back);
            new.filter(|visit| visit.backend() == Some("echo-2"))
                .count()
                >= 50
        });
        load.is_over.store(true, Ordering::Relaxed);
        (killed, dead, back, returned)
    });

    assert!(refusals(&ringway, "").abs() < 0.5, "nobody was refused");
    let visits = load.visits.into_inner().unwrap();
    for visit in &visits {
        assert!(visit.head.starts_with("HTTP/1.1 101 "), "{visit:?}");
        let is_on_killed = visit.backend() == Some("echo-2");
        let was_in_flight = is_on_killed && visit.began < killed;
        assert!(visit.is_echoed || was_in_flight, "{visit:?}");
        let is_dead = visit.began > killed && visit.ended < back;
        assert!(!(is_on_killed && is_dead), "{visit:?}");
    }
    let lost = visits.iter().filter(|visit| !visit.is_echoed).count();
    assert!(
        lost <= CLIENTS as usize,
        "{lost} tunnels were in flight on it"
    );

    // Each ejection but the first came of one trial. Those under way at the first may have failed besides.
    let ejections = metric(&ringway, "ringway_backend_ejections_total");
    let tried: u32 = rows::failures(&dead).try_into().unwrap();
    assert!(tried >= THRESHOLD, "{dead:?}");
    let most = f64::from(THRESHOLD + CLIENTS) + ejections - 1.0;
    assert!(f64::from(tried) <= most, "{ejections} ejections: {dead:?}");
}
