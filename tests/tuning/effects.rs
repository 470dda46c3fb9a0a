//! The numbers that tuning/README.md shows, measured in a network namespace on the loopback.

use std::fs;
use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::namespace::{command, is_inside, real_host, run_inside};

#[test]
fn queues_ports_and_buffers_do_what_the_readme_says() {
    let Some(output) = run_inside("effects::inside_a_namespace") else {
        return;
    };
    let said = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{error}");
    assert!(said.contains("1 passed"), "{said}");
    println!("{said}");
}

#[test]
#[ignore = "is run by the test above, in a namespace of its own"]
fn inside_a_namespace() {
    if !is_inside() {
        return;
    }
    command("ip", &["link", "set", "lo", "up"]);
    // An address that the kernel does not take for the loopback's own, which it treats otherwise in TIME_WAIT.
    command("ip", &["address", "add", "192.0.2.1/32", "dev", "lo"]);
    accept_queue();
    stopped_reader();
    ports();
    time_wait();
}

/// 2,000 clients at once, and nobody accepts.
fn accept_queue() {
    let host = real_host();
    set("net/core/somaxconn", "128");
    // The queue takes one more than its length.
    let (short, dropped) = settled(burst, |(short, dropped)| {
        *short == 129 && *dropped >= BURST - short
    });
    println!("somaxconn 128: {short} of {BURST} got in at once, {dropped} overflows");
    host.run("sockets", &["apply"]).succeeded();
    let (long, none) = settled(burst, |taken| *taken == (BURST, 0));
    println!("after sockets.sh apply: {long} of {BURST} got in at once, {none} overflows");
    host.run("sockets", &["undo"]).succeeded();
}

/// What is as it should be in one of some tries. A kernel that has much to do works on packets later than it was asked
/// to, and then the queue is looked at too early; one that does what it should not never gets there.
fn settled<T: std::fmt::Debug>(take: impl Fn() -> T, is_right: impl Fn(&T) -> bool) -> T {
    let mut seen = Vec::new();
    for _ in 0..TRIES {
        let taken = take();
        if is_right(&taken) {
            return taken;
        }
        seen.push(taken);
    }
    panic!("not in {TRIES} tries: {seen:?}");
}

fn burst() -> (u64, u64) {
    let before = overflows();
    let (listener, address) = listen();
    let clients: Vec<_> = (0..BURST).map(|_| start(&address).unwrap()).collect();
    listener.set_nonblocking(true).unwrap();
    let mut accepted = 0;
    while listener.accept().is_ok() {
        accepted += 1;
    }
    let overflows = overflows() - before;
    drop(clients);
    (accepted, overflows)
}

/// Tunnels to one backend address until the kernel has no port left. The range is cut to its 50th part, to stay small.
fn ports() {
    for range in ["32768 33331", "10240 11345"] {
        set("net/ipv4/ip_local_port_range", range);
        let (_listener, address) = listen_with(&SocketAddr::from((LOCAL, 9000)).into());
        let mut clients = Vec::new();
        let error = loop {
            match start(&address) {
                Ok(client) => clients.push(client),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
        println!(
            "ip_local_port_range {range}: {} tunnels, then: {error}",
            clients.len()
        );
        let (first, last) = range.split_once(' ').unwrap();
        let room = last.parse::<usize>().unwrap() - first.parse::<usize>().unwrap() + 1;
        assert_eq!(clients.len(), room);
    }
}

/// 100 ports, and 200 short connections that end on this side first.
fn time_wait() {
    set("net/ipv4/ip_local_port_range", "40000 40099");
    for (reuse, expected) in [("2", 100), ("1", 200)] {
        set("net/ipv4/tcp_tw_reuse", reuse);
        let (listener, address) = listen_with(&SocketAddr::from((LOCAL, 9000 + expected)).into());
        let mut made = 0;
        while made < 200 {
            match start(&address) {
                Ok(client) => {
                    client.shutdown(Shutdown::Both).unwrap();
                    drop(client);
                    drop(listener.accept().unwrap());
                    made += 1;
                }
                // With 1 they come back after a second, with 2 after a minute.
                Err(_) if reuse == "1" => std::thread::yield_now(),
                Err(_) => break,
            }
        }
        println!("tcp_tw_reuse {reuse}: {made} of 200 short connections over 100 ports");
        assert_eq!(made, expected);
    }
}

/// How much one tunnel puts into the kernel whose reader has stopped.
fn stopped_reader() {
    let host = real_host();
    let before = most_stuffed();
    host.run("tcp-memory", &["apply", "--profile", "many-idle"])
        .succeeded();
    let after = most_stuffed();
    host.run("tcp-memory", &["undo"]).succeeded();
    println!("a stopped reader: {before} bytes in the kernel, {after} after tcp-memory.sh apply");
    assert!(after < before);
}

/// The writer may give up before a busy kernel has grown the windows, so the most of some tries counts.
fn most_stuffed() -> usize {
    (0..3).map(|_| stuffed()).max().unwrap()
}

fn stuffed() -> usize {
    let (listener, address) = listen();
    let mut writer = start(&address).unwrap();
    let (_reader, _) = listener.accept().unwrap();
    let mut written = 0;
    let chunk = vec![0; 64 * 1024];
    // Windows grow a while after the first refusal, so only many in a row mean that it is full.
    let mut refusals = 0;
    while refusals < 1000 {
        if let Ok(more) = writer.write(&chunk) {
            written += more;
            refusals = 0;
        } else {
            refusals += 1;
            std::thread::yield_now();
        }
    }
    written
}

fn listen() -> (Socket, SockAddr) {
    listen_with(&SocketAddr::from((LOCAL, 0)).into())
}

fn listen_with(address: &SockAddr) -> (Socket, SockAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(address).unwrap();
    socket.listen(65_535).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// Begins to connect. On the loopback the handshake is over when the call returns, unless it was dropped.
fn start(address: &SockAddr) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    match socket.connect(address) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(socket),
    }
}

/// `ListenOverflows` of this namespace.
fn overflows() -> u64 {
    let text = fs::read_to_string("/proc/net/netstat").unwrap();
    let mut lines = text.lines().filter(|line| line.starts_with("TcpExt:"));
    let names = lines.next().unwrap().split(' ');
    let values = lines.next().unwrap().split(' ');
    let mut both = names.zip(values);
    let (_, value) = both.find(|(name, _)| *name == "ListenOverflows").unwrap();
    value.parse().unwrap()
}

fn set(name: &str, value: &str) {
    fs::write(format!("/proc/sys/{name}"), value).unwrap();
}

const LOCAL: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

const BURST: u64 = 2000;

const TRIES: usize = 10;
