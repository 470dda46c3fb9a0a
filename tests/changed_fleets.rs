//! A reload that changes every backend of every pool, under load: nobody loses a tunnel and nobody is refused.
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

#[path = "support/http.rs"]
mod http;
#[path = "support/rows.rs"]
mod rows;
mod support;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use http::refusals;
use ringway::clock::Now;
use ringway::config;
use ringway::control::{Running, Signals};
use rows::{rows, wait};
use support::{Fixture, PATIENCE, client_frame, connect, read_frame, read_head, upgrade_head};

/// Two pools with these backends: in turn, and by the key of a room.
fn text(backends: &[SocketAddr]) -> String {
    let list: Vec<_> = backends.iter().map(|one| format!("\"{one}\"")).collect();
    let list = list.join(", ");
    format!(
        "[workers]\ncores = 2\n[control]\nbind = \"127.0.0.1:0\"\naccess_log = \"off\"\n\
         [listeners.test]\nbind = \"127.0.0.1:0\"\n\
         [pools.chat]\npolicy = \"round-robin\"\nbackends = [{list}]\n\
         [pools.rooms]\npolicy = \"hash\"\nhash_key = \"path:/room/{{id}}\"\nbackends = [{list}]\n\
         [[routes]]\npath = \"/chat\"\npool = \"chat\"\n\
         [[routes]]\npath = \"/room\"\npool = \"rooms\"\n"
    )
}

/// A tunnel of the chat, or of a room, by turns.
fn open(ringway: &Running, number: u64) -> TcpStream {
    let path = match number % 2 {
        0 => "/chat".to_owned(),
        _ => format!("/room/{number}"),
    };
    let mut client = connect(ringway.listening[0]);
    client.write_all(upgrade_head(&path).as_bytes()).unwrap();
    let head = read_head(&mut client);
    assert!(head.starts_with("HTTP/1.1 101 "), "{path}: {head}");
    client
}

fn echoes(tunnel: &mut TcpStream) {
    tunnel.write_all(&client_frame(0x81, b"hello")).unwrap();
    let (first, payload) = read_frame(tunnel).unwrap();
    assert_eq!((first, &*payload), (0x81, &b"hello"[..]));
}

/// Ends the clients when the test is through, or has failed.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn nobody_loses_a_tunnel_when_every_backend_is_another_one() {
    let fleets = [Fixture::echo(2, ""), Fixture::echo(3, "")];
    let [old, new] = [0, 1].map(|place| fleets[place].echo.addresses());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ringway.toml");
    let write = |backends| std::fs::write(&file, text(backends)).unwrap();
    write(old);
    let config = config::load(&file).unwrap();
    let service = ringway::admin::service();
    let ringway = Running::start_from(&config, Some(file.clone()), service, Signals::Ignore);
    let ringway = ringway.unwrap();

    let mut held: Vec<_> = (0..32).map(|number| open(&ringway, number)).collect();
    let (done, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let number = done.fetch_add(1, Ordering::Relaxed);
                    echoes(&mut open(&ringway, number));
                }
            });
        }
        let _over = Over(&is_over);
        for round in 0..10 {
            let backends = if round % 2 == 0 { new } else { old };
            write(backends);
            wait(ringway.fleet().reload()).unwrap();
            let enough = done.load(Ordering::Relaxed) + 50;
            let deadline = Now::read().after(PATIENCE);
            while done.load(Ordering::Relaxed) < enough {
                assert!(Now::read() < deadline, "the clients have stopped");
                std::thread::yield_now();
            }
            held.iter_mut().for_each(echoes);
            assert_members(&ringway, backends);
            held.push(open(&ringway, round));
        }
    });
    assert!(refusals(&ringway, "").abs() < 0.5, "nobody was refused");
    write(old);
    wait(ringway.fleet().reload()).unwrap();
    held.iter_mut().for_each(echoes);
    // Half of the rounds opened theirs with these backends, and each that has come back still has its own.
    let established = rows(&ringway)
        .iter()
        .map(|row| row.established)
        .sum::<u32>();
    assert_eq!(established, 32 + 5);
}

/// Both pools have these backends and no others.
fn assert_members(ringway: &Running, backends: &[SocketAddr]) {
    let wanted: BTreeSet<_> = backends.iter().map(ToString::to_string).collect();
    let rows = rows(ringway);
    assert_eq!(rows.len(), 2 * wanted.len());
    let found: BTreeSet<_> = rows.into_iter().map(|row| row.backend).collect();
    assert_eq!(found, wanted);
}
