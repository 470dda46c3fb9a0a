//! Tunnels that a test drives by hand at both ends, and streams of frames that a seed decides.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::OnceLock;
use std::thread::JoinHandle;

use ringway::control::Running;
use ringway::rng::Rng;
use sha1::{Digest, Sha1};

use super::{Puppet, connect, frame, metric, read_head, start_with, upgrade_head, wait_for_metric};

/// The shapes of receive buffers: what a tunnel promises, it promises with each.
pub const SHAPES: [&str; 3] = ["incremental", "two-size", "bundle"];

/// The `[workers]` section of one worker with this shape of buffers, and more lines of the section.
pub fn one_worker(shape: &str, more: &str) -> String {
    format!("[workers]\ncores = 1\nreceive_buffers = \"{shape}\"\n{more}\n")
}

/// A Ringway in front of one backend that the test drives.
pub struct Hall {
    pub ringway: Running,
    pub puppet: Puppet,
}

/// One tunnel: what the client holds and what the backend holds.
pub struct Pair {
    pub client: TcpStream,
    pub backend: TcpStream,
}

impl Hall {
    /// With the sections of [`one_worker`] and more lines in the route.
    pub fn new(sections: &str, route: &str) -> Self {
        let puppet = Puppet::new();
        // Deadlines beyond every test's patience: a wake-up that is lost is not made good by one of them.
        let sections = format!("{sections}\n[limits]\nhead_timeout = \"5m\"\n");
        let pool = "connect_timeout = \"1m\"\nanswer_timeout = \"5m\"";
        let ringway = start_with(&[puppet.address()], &sections, pool, route);
        Self { ringway, puppet }
    }

    /// The next tunnel.
    pub fn pair(&self) -> Pair {
        self.open(connect(self.ringway.listening[0]))
    }

    /// A tunnel whose client holds little in its socket.
    pub fn narrow_pair(&self) -> Pair {
        use socket2::{Domain, Socket, Type};
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(64 * 1024).unwrap();
        socket.connect(&self.ringway.listening[0].into()).unwrap();
        let client = TcpStream::from(socket);
        client.set_read_timeout(Some(super::PATIENCE)).unwrap();
        self.open(client)
    }

    fn open(&self, mut client: TcpStream) -> Pair {
        client.write_all(upgrade_head("/ws").as_bytes()).unwrap();
        let (backend, _) = self.puppet.accept_tunnel();
        let head = read_head(&mut client);
        assert!(head.starts_with("HTTP/1.1 101 "), "no tunnel: {head}");
        Pair { client, backend }
    }

    /// Waits until a metric is exactly this.
    pub fn wait_for(&self, row: &str, wanted: u32) {
        wait_for_metric(&self.ringway, row, |value| {
            (value - f64::from(wanted)).abs() < 0.5
        });
    }

    /// When every tunnel is gone: every buffer is home, and the worker that began is the one that ends.
    pub fn all_home(&self) {
        all_home(&self.ringway);
    }

    /// Waits until the kernel has every receive buffer.
    pub fn buffers_home(&self) {
        buffers_home(&self.ringway);
    }
}

/// [`Hall::all_home`] for a Ringway without a hall.
pub fn all_home(ringway: &Running) {
    wait_for_metric(ringway, "ringway_tunnels_open", |open| open < 0.5);
    buffers_home(ringway);
    assert!(
        metric(ringway, "ringway_worker_restarts_total") < 0.5,
        "a worker died"
    );
}

fn buffers_home(ringway: &Running) {
    let total = wait_for_metric(ringway, "ringway_receive_buffers", |total| total > 0.0);
    wait_for_metric(ringway, "ringway_receive_buffers_home", |home| {
        (home - total).abs() < 0.5
    });
}

impl Pair {
    /// One message in each direction, answered by what was sent.
    pub fn echoes(&mut self) {
        let there = frame(0x82, b"there", Some([9, 8, 7, 6]));
        self.client.write_all(&there).unwrap();
        assert_arrives(&mut self.backend, &there);
        let back = frame(0x82, b"back", None);
        self.backend.write_all(&back).unwrap();
        assert_arrives(&mut self.client, &back);
    }
}

/// The next bytes are exactly these.
pub fn assert_arrives(stream: &mut TcpStream, expected: &[u8]) {
    let mut found = vec![0; expected.len()];
    stream.read_exact(&mut found).unwrap();
    assert!(found == expected, "{} bytes arrived changed", found.len());
}

/// The peer has ended its stream, and nothing came before.
pub fn assert_ended(stream: &mut TcpStream) {
    assert_eq!(stream.read(&mut [0; 64]).unwrap(), 0, "the stream goes on");
}

/// The peer has reset the connection, whatever arrived before.
pub fn assert_reset(stream: &mut TcpStream) {
    let mut room = vec![0; 64 * 1024];
    let error = loop {
        match stream.read(&mut room) {
            Ok(0) => panic!("the stream ended without a reset"),
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

/// Closes with a reset instead of an end.
pub fn reset(stream: TcpStream) {
    ringway::sys::reset_on_close(&stream);
    drop(stream);
}

/// Frames in the order of the wire, and how many messages they are.
pub struct Stream {
    pub bytes: Vec<u8>,
    pub messages: u32,
    masked: bool,
    rng: Rng,
}

/// Bytes without a pattern, made once.
fn noise() -> &'static [u8] {
    static NOISE: OnceLock<Vec<u8>> = OnceLock::new();
    NOISE.get_or_init(|| {
        let mut rng = Rng::seeded(99);
        (0..16 * 1024)
            .flat_map(|_| rng.next_u64().to_le_bytes())
            .collect()
    })
}

impl Stream {
    /// An empty stream of a client, whose frames are masked, or of a backend.
    pub fn new(masked: bool, seed: u64) -> Self {
        Self {
            bytes: Vec::new(),
            messages: 0,
            masked,
            rng: Rng::seeded(seed),
        }
    }

    /// Every length at which a header changes its form, large ones, and a few hundred others; some
    /// messages in fragments with pings between them.
    pub fn rich(masked: bool, seed: u64) -> Self {
        let mut stream = Self::new(masked, seed);
        let edges = [
            0,
            125,
            126,
            65_535,
            65_536,
            1 << 20,
            5 << 20,
            1,
            127,
            4096,
            64 * 1024 - 14,
        ];
        for bytes in edges {
            stream.message(bytes);
            stream.some(40, 2000);
        }
        stream
    }

    /// So many messages of fewer than `most` bytes.
    pub fn some(&mut self, count: u32, most: u32) {
        for _ in 0..count {
            let bytes = self.rng.below(most) as usize;
            self.message(bytes);
        }
    }

    /// One message; one in four is in fragments.
    pub fn message(&mut self, bytes: usize) {
        self.messages += 1;
        if self.rng.below(4) > 0 {
            return self.frame(0x82, bytes);
        }
        let first = bytes / 3;
        self.frame(0x02, first);
        self.frame(0x89, 125);
        self.frame(0x00, 0);
        self.frame(0x8A, 0);
        self.frame(0x80, bytes - first);
    }

    fn frame(&mut self, first: u8, mut bytes: usize) {
        // The payload is noise, so it may as well be masked already.
        let empty = frame(
            first,
            &vec![0; bytes.min(65_536)],
            self.masked.then_some([1, 2, 3, 4]),
        );
        let header = empty.len() - bytes.min(65_536);
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&empty[..header]);
        if bytes > 65_536 {
            self.bytes[start + 2..start + 10].copy_from_slice(&(bytes as u64).to_be_bytes());
        }
        while bytes > 0 {
            let from = self.rng.below(1000) as usize;
            let part = bytes.min(noise().len() - from);
            self.bytes.extend_from_slice(&noise()[from..from + part]);
            bytes -= part;
        }
    }
}

/// Writes all of `bytes` in pieces of random lengths, most of them short; then ends the stream.
pub fn write_in_pieces(stream: &TcpStream, bytes: Vec<u8>, seed: u64) -> JoinHandle<()> {
    let mut stream = stream.try_clone().unwrap();
    std::thread::spawn(move || {
        let mut rng = Rng::seeded(seed);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let most = if rng.below(4) == 0 { 300_000 } else { 3_000 };
            let (piece, after) = rest.split_at(rest.len().min(1 + rng.below(most) as usize));
            stream.write_all(piece).unwrap();
            rest = after;
        }
        stream.shutdown(Shutdown::Write).unwrap();
    })
}

/// Reads in pieces of random lengths to the end of the stream; what came, and its hash.
pub fn read_in_pieces(stream: &TcpStream, seed: u64) -> JoinHandle<(usize, String)> {
    let mut stream = stream.try_clone().unwrap();
    std::thread::spawn(move || {
        let (mut rng, mut hash, mut count) = (Rng::seeded(seed), Sha1::new(), 0);
        let mut room = vec![0; 256 * 1024];
        loop {
            let most = if rng.below(4) == 0 { 256 * 1024 } else { 5_000 };
            match stream.read(&mut room[..=rng.below(most) as usize]).unwrap() {
                0 => return (count, hex(&hash.finalize())),
                bytes => {
                    hash.update(&room[..bytes]);
                    count += bytes;
                }
            }
        }
    })
}

/// What [`read_in_pieces`] finds when every byte arrives once, unchanged and in order.
pub fn whole(bytes: &[u8]) -> (usize, String) {
    (bytes.len(), hex(&Sha1::digest(bytes)))
}

fn hex(hash: &[u8]) -> String {
    use std::fmt::Write as _;
    hash.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
