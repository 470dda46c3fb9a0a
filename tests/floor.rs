//! The raw relay that comparisons are made with loses and changes no byte, and passes the end of a stream on.

#[path = "../benches/floor/mod.rs"]
mod floor;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd as _, OwnedFd};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

use ringway::rng::Rng;
use ringway::sys::{ListenOptions, listen, reset_on_close, stop_listening};

/// A relay in this process in front of echoing backends; both end with it.
struct Fixture {
    address: SocketAddr,
    listener: OwnedFd,
    relay: Option<JoinHandle<()>>,
}

impl Fixture {
    fn new(backends: &[SocketAddr]) -> Self {
        let options = ListenOptions {
            backlog: 64,
            keepalive: None,
        };
        let listener = listen(([127, 0, 0, 1], 0).into(), options).expect("a free port");
        let relays = listener.try_clone().expect("a file for the relay");
        let named = listener.try_clone().expect("a file to be asked");
        let backends = backends.to_vec();
        Self {
            address: TcpListener::from(named).local_addr().expect("an address"),
            listener,
            relay: Some(spawn(move || {
                floor::run(relays, &backends).expect("the relay runs until it is stopped");
            })),
        }
    }

    /// A client that stands connected to `backend`, and what that got. It speaks first, since the relay's dial waits
    /// for something to send (`stream_for`).
    fn pair(&self, backend: &TcpListener) -> (TcpStream, TcpStream) {
        let mut client = self.client();
        client.write_all(b"hello").expect("the relay reads");
        let (mut accepted, _) = backend.accept().expect("the relay connects");
        accepted
            .set_read_timeout(Some(PATIENCE))
            .expect("a timeout");
        let mut hello = [0; 5];
        accepted.read_exact(&mut hello).expect("it passes on");
        assert_eq!(&hello, b"hello");
        (client, accepted)
    }

    fn client(&self) -> TcpStream {
        let client = TcpStream::connect(self.address).expect("the relay listens");
        client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        client
    }

    /// Waits until every connection has ended, which the relay does by itself.
    fn end(mut self) {
        stop_listening(self.listener.as_fd());
        let relay = self.relay.take().expect("it ends once");
        relay.join().expect("the relay ends without a panic");
    }
}

/// A backend that sends back what it reads, one piece after the other, until the stream ends.
fn echo(connections: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    spawn(move || {
        for stream in listener.incoming().take(connections).flatten() {
            spawn(move || std::io::copy(&mut &stream, &mut &stream));
        }
    });
    address
}

fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut rng = Rng::seeded(seed);
    let words = (0..bytes / 8).flat_map(|_| rng.next_u64().to_ne_bytes());
    words.collect()
}

/// Writes all of `bytes` in pieces of any size, then ends the stream.
fn write_in_pieces(stream: &TcpStream, bytes: Vec<u8>, seed: u64) -> JoinHandle<()> {
    let mut stream = stream.try_clone().expect("a file for the writer");
    spawn(move || {
        let mut rng = Rng::seeded(seed);
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let piece = rest.len().min(1 + rng.below(200_000) as usize);
            stream.write_all(&rest[..piece]).expect("the relay reads");
            rest = &rest[piece..];
        }
        stream.shutdown(Shutdown::Write).expect("it is still open");
    })
}

/// What comes until the stream ends. Compared here, since a failed comparison would print megabytes.
fn assert_reads(mut stream: &TcpStream, wanted: &[u8]) {
    let mut read = Vec::new();
    stream.read_to_end(&mut read).expect("the stream ends");
    assert_eq!(read.len(), wanted.len());
    let wrong = read
        .iter()
        .zip(wanted)
        .position(|(one, other)| one != other);
    assert_eq!(wrong, None, "the first byte that differs");
}

#[test]
fn bytes_pass_both_ways_at_once_unchanged_and_then_the_end() {
    let relay = Fixture::new(&[echo(1)]);
    let client = relay.client();
    let bytes = noise(1, 8 << 20);
    let writer = write_in_pieces(&client, bytes.clone(), 2);
    assert_reads(&client, &bytes);
    writer.join().expect("all was written");
    drop(client);
    relay.end();
}

#[test]
fn what_sockets_and_buffers_do_not_hold_passes_unchanged() {
    let relay = Fixture::new(&[echo(1), echo(1)]);
    let clients: Vec<(TcpStream, Vec<u8>)> = (0..2)
        .map(|seed| (relay.client(), noise(seed, 12 << 20)))
        .collect();
    let write = |(client, bytes): &(TcpStream, Vec<u8>)| write_in_pieces(client, bytes.clone(), 7);
    let writers: Vec<JoinHandle<()>> = clients.iter().map(write).collect();
    // Nobody reads before everything is written, so that the relay has to keep what the sockets do not hold.
    for writer in writers {
        writer.join().expect("all was written");
    }
    for (client, bytes) in &clients {
        assert_reads(client, bytes);
    }
    drop(clients);
    relay.end();
}

#[test]
fn each_connection_goes_to_the_next_backend() {
    let backends: [TcpListener; 2] =
        [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    let addresses = backends
        .each_ref()
        .map(|backend| backend.local_addr().expect("an address"));
    let relay = Fixture::new(&addresses);
    for backend in backends.iter().cycle().take(4) {
        let (client, mut accepted) = relay.pair(backend);
        accepted.write_all(b"here").expect("the relay reads");
        drop(accepted);
        assert_reads(&client, b"here");
    }
    relay.end();
}

#[test]
fn a_reset_passes_on_as_a_reset() {
    let backend = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let relay = Fixture::new(&[backend.local_addr().expect("an address")]);
    let (client, mut accepted) = relay.pair(&backend);
    reset_on_close(&client);
    drop(client);
    let error = accepted.read(&mut [0]).expect_err("nothing was sent");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    relay.end();
}

#[test]
fn a_client_of_a_backend_that_refuses_is_reset() {
    let gone = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = gone.local_addr().expect("an address");
    drop(gone);
    let relay = Fixture::new(&[address]);
    let error = relay.client().read(&mut [0]).expect_err("nobody is there");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    relay.end();
}

/// How long anything here may take before it has failed.
const PATIENCE: Duration = Duration::from_secs(20);
