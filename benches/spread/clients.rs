//! Clients that open tunnels and keep them.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, ensure};
use ringway::clock::Now;
use socket2::{Domain, Socket, Type};

/// Where clients come from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crowd {
    /// Addresses in 127.0.0.0/8, in turn.
    pub(crate) sources: u32,
    /// The one core of the threads that connect. Over loopback it is the receiving core too.
    pub(crate) pin: Option<usize>,
}

/// Open tunnels.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    open: Vec<TcpStream>,
    /// From the connect to the 101, of the last that were opened.
    took: Vec<Duration>,
}

impl Clients {
    /// Opens so many more, a few at a time.
    pub(crate) fn open(
        &mut self,
        address: SocketAddr,
        count: usize,
        crowd: Crowd,
    ) -> anyhow::Result<()> {
        let opened = std::thread::scope(|scope| {
            let at_once = |thread: usize| {
                scope.spawn(move || {
                    let known = core_affinity::get_core_ids().unwrap_or_default();
                    if let Some(core) = known.into_iter().find(|core| Some(core.id) == crowd.pin) {
                        core_affinity::set_for_current(core);
                    }
                    let mine = (thread..count).step_by(THREADS);
                    mine.map(|number| open(address, source(number, crowd.sources)))
                        .collect::<anyhow::Result<Vec<_>>>()
                })
            };
            let threads: Vec<_> = (0..THREADS).map(at_once).collect();
            let ends = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
            ends.collect::<Result<Vec<_>, _>>()
        });
        let opened = opened.map_err(|_| anyhow::anyhow!("a thread of clients panicked"))?;
        self.took.clear();
        for tunnels in opened {
            for (stream, took) in tunnels? {
                self.open.push(stream);
                self.took.push(took);
            }
        }
        self.took.sort_unstable();
        Ok(())
    }

    /// The median and the 99th percentile of how long the last ones took.
    pub(crate) fn took_ms(&self) -> [f64; 2] {
        [50, 99].map(|percent| {
            let place = self.took.len().saturating_sub(1) * percent / 100;
            self.took
                .get(place)
                .map_or(0.0, |took| took.as_secs_f64() * 1e3)
        })
    }

    /// Forgets those whose tunnels ended, which will be so many: the kernel takes a while for the last of them.
    pub(crate) fn drop_dead(&mut self, expected: usize) -> anyhow::Result<()> {
        let before = self.open.len();
        for stream in &self.open {
            stream.set_nonblocking(true)?;
        }
        for _ in 0..LOOKS_MAX {
            self.open.retain_mut(|stream| {
                let read = stream.read(&mut [0]);
                read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
            });
            if before - self.open.len() >= expected {
                break;
            }
            std::thread::park_timeout(LOOK);
        }
        let gone = before - self.open.len();
        ensure!(
            gone == expected,
            "{gone} tunnels ended instead of {expected}"
        );
        Ok(())
    }
}

fn source(number: usize, sources: u32) -> Option<Ipv4Addr> {
    let number = u32::try_from(number).unwrap_or(0) % sources.max(1);
    (sources > 1).then(|| Ipv4Addr::from_bits(Ipv4Addr::new(127, 0, 1, 1).to_bits() + number))
}

fn open(address: SocketAddr, source: Option<Ipv4Addr>) -> anyhow::Result<(TcpStream, Duration)> {
    let start = Now::read();
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    // Without a bind the connect chooses a port for the whole pair of addresses, so that one address is enough.
    if let Some(source) = source {
        socket.bind(&SocketAddr::from((source, 0)).into())?;
    }
    // The last bench's connections leave no ports waiting.
    socket.set_linger(Some(Duration::ZERO))?;
    socket.set_tcp_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.connect(&address.into()).context("connecting")?;
    let mut stream = TcpStream::from(socket);
    stream.write_all(HEAD)?;
    let (mut head, mut room) = (Vec::new(), [0; 1024]);
    while !head.ends_with(b"\r\n\r\n") {
        let came = stream.read(&mut room).context("waiting for the 101")?;
        ensure!(came > 0, "closed instead of a 101");
        head.extend_from_slice(&room[..came]);
    }
    ensure!(
        head.starts_with(b"HTTP/1.1 101 "),
        "no tunnel: {}",
        String::from_utf8_lossy(&head)
    );
    Ok((stream, Now::read().since(start)))
}

const HEAD: &[u8] =
    b"GET / HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
/// Handshakes under way at once.
const THREADS: usize = 32;
const LOOK: Duration = Duration::from_millis(10);
const LOOKS_MAX: usize = 500;
const PATIENCE: Duration = Duration::from_secs(20);
