//! What the promises are tested with: a Ringway in this process, backends that echo, and backends that misbehave.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses its own part of it"
)]
#![allow(
    clippy::unwrap_used,
    reason = "a fixture that cannot be made fails its test"
)]

pub mod frames;
pub mod pairs;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use ringway::cli::echo::EchoFleet;
use ringway::control::{Outcome, Running, Signals};

/// How long anything in a test may take before it has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A Ringway in this process, with its own echo backends unless a test brought others.
pub struct Fixture {
    pub ringway: Running,
    pub echo: EchoFleet,
}

impl Fixture {
    /// One worker in front of `backends` echo backends; `extra` is appended to the configuration.
    pub fn echo(backends: usize, extra: &str) -> Self {
        Self::echo_with(backends, extra, "")
    }

    /// The same with more lines in the route.
    pub fn echo_with(backends: usize, extra: &str, route: &str) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let names = ["one", "two", "three", "four"];
        let echo = EchoFleet::start(&names[..backends], &vec![any; backends], None).unwrap();
        let ringway = start_with(echo.addresses(), extra, "", route);
        Self { ringway, echo }
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.ringway.listening[0]
    }

    /// Goes down as configured and says how.
    pub fn drain(self) -> Outcome {
        self.ringway.stop();
        self.ringway.wait()
    }
}

/// A Ringway in this process in front of these backends, in pool `p`. `extra` may add tables, such as
/// `[workers]` or `[drain]`; without a `[workers]` of its own there is one worker, and the pool's and
/// route's own settings can be given with [`start_with`].
pub fn start(backends: &[SocketAddr], extra: &str) -> Running {
    start_with(backends, extra, "", "")
}

/// Like [`start`], with more lines in the pool and in the route.
pub fn start_with(backends: &[SocketAddr], extra: &str, pool: &str, route: &str) -> Running {
    let workers = if extra.contains("[workers]") {
        ""
    } else {
        "[workers]\ncores = 1\n"
    };
    let list: Vec<String> = backends
        .iter()
        .map(|address| format!("\"{address}\""))
        .collect();
    let text = format!(
        "{workers}{extra}\n[control]\nbind = \"127.0.0.1:0\"\naccess_log = \"off\"\n\
         [listeners.test]\nbind = [\"127.0.0.1:0\"]\n\
         [pools.p]\npolicy = \"round-robin\"\nbackends = [{}]\n{pool}\n\
         [[routes]]\npath = \"/\"\npool = \"p\"\n{route}\n",
        list.join(", ")
    );
    let config =
        ringway::config::parse("test.toml", &text).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    Running::start(&config, ringway::admin::service(), Signals::Ignore).unwrap()
}

/// A plain connection with deadlines, so that no test hangs.
pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// The head of an upgrade with the RFC's own example key.
pub fn upgrade_head(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// The answer to [`upgrade_head`].
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Opens a tunnel by hand; what follows the 101 stays in the stream.
pub fn open_tunnel(address: SocketAddr) -> TcpStream {
    let mut stream = connect(address);
    stream.write_all(upgrade_head("/ws").as_bytes()).unwrap();
    let head = read_head(&mut stream);
    assert!(head.starts_with("HTTP/1.1 101 "), "no tunnel: {head}");
    stream
}

/// Reads up to the empty line that ends a head, and no further.
pub fn read_head(stream: &mut TcpStream) -> String {
    let (mut head, mut room) = (Vec::new(), [0; 4096]);
    loop {
        let came = stream.peek(&mut room).unwrap_or_else(|error| {
            let head = String::from_utf8_lossy(&head);
            panic!("no head: {error}; so far {head:?}")
        });
        let before = head.len();
        head.extend_from_slice(&room[..came]);
        let end = head.windows(4).position(|four| four == b"\r\n\r\n");
        head.truncate(end.map_or(head.len(), |end| end + 4));
        stream.read_exact(&mut room[..head.len() - before]).unwrap();
        if came == 0 || end.is_some() {
            return String::from_utf8_lossy(&head).into_owned();
        }
    }
}

/// A masked frame as a client sends it.
pub fn client_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    frame(0x80 | opcode, payload, Some([1, 2, 3, 4]))
}

/// A bare frame as a backend sends it.
pub fn backend_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    frame(0x80 | opcode, payload, None)
}

/// A frame with any first byte.
pub fn frame(first: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let bit = if mask.is_some() { 0x80 } else { 0 };
    let mut out = vec![first];
    match payload.len() {
        length @ 0..=125 => out.push(bit | u8::try_from(length).unwrap()),
        length @ 126..=0xFFFF => {
            out.push(bit | 0x7E);
            out.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            out.push(bit | 0x7F);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    let key = mask.unwrap_or_default();
    out.extend(mask.iter().flatten());
    out.extend(
        payload
            .iter()
            .zip(key.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    out
}

/// Reads one frame; the payload comes unmasked.
pub fn read_frame(stream: &mut TcpStream) -> std::io::Result<(u8, Vec<u8>)> {
    let mut start = [0; 2];
    stream.read_exact(&mut start)?;
    let length = match start[1] & 0x7F {
        126 => {
            let mut length = [0; 2];
            stream.read_exact(&mut length)?;
            u64::from(u16::from_be_bytes(length))
        }
        127 => {
            let mut length = [0; 8];
            stream.read_exact(&mut length)?;
            u64::from_be_bytes(length)
        }
        short => short.into(),
    };
    let mut key = [0; 4];
    if start[1] & 0x80 != 0 {
        stream.read_exact(&mut key)?;
    }
    let mut payload = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut payload)?;
    payload
        .iter_mut()
        .zip(key.iter().cycle())
        .for_each(|(byte, key)| *byte ^= key);
    Ok((start[0], payload))
}

/// A backend that a test drives by hand: it listens, and hands out each connection.
pub struct Puppet {
    listener: TcpListener,
}

impl Puppet {
    pub fn new() -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// A puppet at an address of the test's choice, for one that comes back.
    pub fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        // Linux lets an accept time out like a read, so no test waits forever for a connection.
        let patience = socket2::SockRef::from(&listener).set_read_timeout(Some(PATIENCE));
        patience.unwrap();
        Self { listener }
    }

    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// The next connection Ringway made.
    pub fn accept(&self) -> TcpStream {
        let (stream, _) = self.listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// The next connection, if there is one by now.
    pub fn try_accept(&self) -> Option<TcpStream> {
        self.listener.set_nonblocking(true).unwrap();
        let accepted = self.listener.accept();
        self.listener.set_nonblocking(false).unwrap();
        let stream = accepted.ok()?.0;
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Some(stream)
    }

    /// The next connection, its head read and answered with a right 101. Hands back the head too.
    pub fn accept_tunnel(&self) -> (TcpStream, String) {
        let mut stream = self.accept();
        let head = read_head(&mut stream);
        stream.write_all(right_answer().as_bytes()).unwrap();
        (stream, head)
    }
}

/// A listener whose accept queue is full, so that the kernel drops every further SYN.
pub struct FullQueue {
    pub address: SocketAddr,
    _listener: socket2::Socket,
    _waiting: Vec<socket2::Socket>,
}

impl FullQueue {
    pub fn new() -> Self {
        use socket2::{Domain, Socket, Type};
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&any.into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        // One more than the backlog is taken; a few that are not are enough to be sure.
        let waiting = (0..4).map(|_| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            // It is under way, which is all that is wanted.
            let _ = socket.connect(&address.into());
            socket
        });
        Self {
            address,
            _waiting: waiting.collect(),
            _listener: listener,
        }
    }
}

/// The 101 that answers [`upgrade_head`].
pub fn right_answer() -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
    )
}

/// The value of a metric, all its rows added up. `row` may name labels: `name{reason="no_route"`.
pub fn metric(ringway: &Running, row: &str) -> f64 {
    metric_at(ringway.control, row)
}

/// The same from the control listener at this address, which may be another process's.
pub fn metric_at(control: SocketAddr, row: &str) -> f64 {
    let mut stream = connect(control);
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n")
        .unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    let (name, labels) = row.split_once('{').unwrap_or((row, ""));
    let labels: Vec<&str> = labels
        .split(',')
        .filter(|label| !label.is_empty())
        .collect();
    let rows = page.lines().filter(|line| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(['{', ' ']))
            && labels.iter().all(|label| line.contains(label))
    });
    rows.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

/// Waits until a metric has a value; the metrics page is the event that tests wait for.
pub fn wait_for_metric(ringway: &Running, row: &str, wanted: impl Fn(f64) -> bool) -> f64 {
    wait_for_metric_at(ringway.control, row, wanted)
}

/// The same for the control listener at this address.
pub fn wait_for_metric_at(control: SocketAddr, row: &str, wanted: impl Fn(f64) -> bool) -> f64 {
    let start = ringway::clock::Now::read();
    loop {
        let value = metric_at(control, row);
        if wanted(value) {
            return value;
        }
        assert!(
            ringway::clock::Now::read().since(start) < PATIENCE,
            "{row} stays at {value}"
        );
        std::thread::yield_now();
    }
}
