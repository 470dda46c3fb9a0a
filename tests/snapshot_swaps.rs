//! Pools and routes change while clients come and go: nobody is refused for it, and nobody's tunnel notices.
#![expect(
    clippy::unwrap_used,
    reason = "a step of a test that fails is the test's failure"
)]

#[path = "support/lone.rs"]
mod lone;
mod support;

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use lone::Lone;
use ringway::cli::echo::EchoFleet;
use ringway::fleet::Load;
use ringway::worker::Command;
use support::{PATIENCE, client_frame, connect, read_frame, read_head, upgrade_head};

const CLIENTS: usize = 100;

/// A tunnel, and the name of the backend that it leads to.
fn tunnel(address: SocketAddr) -> (TcpStream, String) {
    let mut client = connect(address);
    client.write_all(upgrade_head("/p").as_bytes()).unwrap();
    let head = read_head(&mut client);
    assert!(head.starts_with("HTTP/1.1 101 "), "no tunnel: {head}");
    let mut lines = head.lines();
    let name = lines.find_map(|line| line.strip_prefix("X-Backend: "));
    (client, name.unwrap().to_owned())
}

fn echoes(client: &mut TcpStream) {
    client.write_all(&client_frame(2, b"hello")).unwrap();
    assert_eq!(read_frame(client).unwrap(), (0x82, b"hello".to_vec()));
}

fn fleet(names: [&str; 2]) -> EchoFleet {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    EchoFleet::start(&names, &[any; 2], None).unwrap()
}

/// Clients that come and go for as long as this says, each with one message.
#[derive(Default)]
struct Crowd {
    over: AtomicBool,
    /// Who connects from now on must get a backend of the new pool.
    swapped: AtomicBool,
    served: AtomicU32,
}

impl Crowd {
    fn come_and_go(&self, address: SocketAddr) {
        // However a client fails, the others end.
        struct Over<'a>(&'a AtomicBool);
        impl Drop for Over<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Release);
            }
        }
        let _over = Over(&self.over);
        while !self.over.load(Ordering::Acquire) {
            let swapped = self.swapped.load(Ordering::Acquire);
            let (mut client, name) = tunnel(address);
            assert!(!swapped || name.starts_with("new"), "led to {name}");
            echoes(&mut client);
            client.write_all(&client_frame(8, &[])).unwrap();
            read_frame(&mut client).unwrap();
            self.served.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Waits until so many more were served.
    fn served_more(&self, count: u32) {
        let start = ringway::clock::Now::read();
        let before = self.served.load(Ordering::Acquire);
        while self.served.load(Ordering::Acquire) < before + count {
            assert!(!self.over.load(Ordering::Acquire), "a client failed");
            assert!(ringway::clock::Now::read().since(start) < PATIENCE);
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_swap_under_load_loses_nobody_and_leads_to_the_new_backends() {
    let (before, after) = (fleet(["old-1", "old-2"]), fleet(["new-1", "new-2"]));
    let (old, new) = (before.addresses(), after.addresses());
    let mut lone = Lone::start(&[("unused", old, ""), ("p", old, "")]);
    let address = lone.address;
    let ids = [lone.id("p", old[0]), lone.id("p", old[1])];
    let mut living: Vec<_> = (0..4).map(|_| tunnel(address)).collect();
    let crowd = Crowd::default();
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| crowd.come_and_go(address));
        }
        crowd.served_more(500);
        // The pool changes its number too, to that of another one.
        lone.swap(&[("p", new, "")]);
        while !tunnel(address).1.starts_with("new") {}
        crowd.swapped.store(true, Ordering::Release);
        crowd.served_more(1_000);
        crowd.over.store(true, Ordering::Release);
    });
    assert!(living.iter().all(|(_, name)| name.starts_with("old")));
    for (client, _) in &mut living {
        echoes(client);
    }
    lone.wait_until("only the old tunnels are left", |lone| {
        lone.counters.tunnels_open.get() == 4
    });
    let two = Load {
        established: 2,
        connecting: 0,
    };
    assert_eq!(ids.map(|id| lone.table.load(id)), [two, two]);
    assert_eq!(lone.refused(), 0);
    lone.drain();
}

#[test]
fn swap_after_swap_under_load_refuses_nobody_though_pools_change_their_numbers() {
    let backends = fleet(["new-1", "new-2"]);
    let all = backends.addresses();
    let mut lone = Lone::start(&[("p", all, "")]);
    let address = lone.address;
    let crowd = Crowd::default();
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| crowd.come_and_go(address));
        }
        for _ in 0..50 {
            lone.swap(&[("a", all, ""), ("b", all, ""), ("p", all, "")]);
            crowd.served_more(5);
            lone.swap(&[("p", all, "")]);
            crowd.served_more(5);
        }
        crowd.over.store(true, Ordering::Release);
    });
    assert_eq!(lone.refused(), 0);
    lone.drain();
}

#[test]
fn a_round_goes_on_where_it_was_through_a_swap() {
    let backends = fleet(["one", "two"]);
    let all = backends.addresses();
    let mut lone = Lone::start(&[("p", all, "")]);
    let mut last = tunnel(lone.address).1;
    for _ in 0..10 {
        lone.swap(&[("q", all, ""), ("p", all, "")]);
        // The worker has read its mail when it can take as much again as fits.
        for _ in 0..ringway::limits::MAILBOX_COMMANDS {
            let same = Command::Snapshot(ringway::sync::Arc::clone(&lone.snapshot));
            while !lone.tell(same.clone()) {
                std::thread::yield_now();
            }
        }
        let next = tunnel(lone.address).1;
        assert_ne!(next, last, "a round of two begins anew");
        last = next;
    }
    lone.drain();
}
