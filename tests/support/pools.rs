//! A Ringway whose one pool is set up as values, for settings whether or not the file knows them.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses its own part of it"
)]
#![allow(
    clippy::unwrap_used,
    reason = "a fixture that cannot be made fails its test"
)]

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};

use ringway::config::{Config, Cores, PoolSettings};
use ringway::control::{Running, Signals};

use crate::support::{connect, metric, read_head, upgrade_head};

/// So many workers in front of these backends, after `change` has been made to their pool.
pub fn start_pool(
    workers: u16,
    backends: &[SocketAddr],
    change: impl FnOnce(&mut PoolSettings),
) -> Running {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut config = Config::for_demo(any, any, backends);
    config.workers.cores = Cores::Count(workers);
    change(&mut config.pools[0]);
    Running::start(&config, ringway::admin::service(), Signals::Ignore).unwrap()
}

/// The head of an upgrade with one more header line.
pub fn upgrade_with(path: &str, line: &str) -> String {
    upgrade_head(path).replace("Host: test\r\n", &format!("Host: test\r\n{line}\r\n"))
}

/// Sends an upgrade and reads the head of what comes back.
pub fn greet(address: SocketAddr, head: &str) -> (TcpStream, String) {
    let mut client = connect(address);
    client.write_all(head.as_bytes()).unwrap();
    let answer = read_head(&mut client);
    (client, answer)
}

/// Tunnels open to this backend.
pub fn open_at(ringway: &Running, backend: SocketAddr) -> f64 {
    metric(
        ringway,
        &format!("ringway_backend_tunnels_open{{backend=\"{backend}\""),
    )
}
