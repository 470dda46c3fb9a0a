//! Probes against backends that are well, ill and hostile, on loopback.

mod http;
pub(in crate::control) mod secure;
mod websocket;

use std::future::Future;

use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;

use super::*;
use crate::health::{HttpProbe, WebSocketProbe};
use crate::limits::HEAD_BYTES_MAX;

/// A backend that takes one connection, and whatever it finds out about it.
struct Backend<T> {
    address: SocketAddr,
    seen: oneshot::Receiver<T>,
}

impl<T: Send + 'static> Backend<T> {
    async fn with<F>(serve: impl FnOnce(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = T> + Send,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, seen) = oneshot::channel();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            // A test that does not ask has dropped the other end.
            let _ = tell.send(serve(stream).await);
        });
        Self { address, seen }
    }
}

/// Long enough for the busiest machine; only a bug makes a test wait for it.
const PATIENT: Duration = Duration::from_secs(30);
/// For probes that have to run into their timeout.
const SHORT: Duration = Duration::from_millis(150);

fn settings(kind: ProbeKind, timeout: Duration) -> ProbeSettings {
    ProbeSettings {
        kind,
        timeout,
        ..ProbeSettings::default()
    }
}

/// Probes in the clear.
async fn probe(address: SocketAddr, settings: &ProbeSettings) -> Result<Probed, ProbeFailure> {
    super::probe(address, &Approach::default(), settings).await
}

fn http_probe(body: Option<&str>) -> HttpProbe {
    HttpProbe {
        path: "/health?deep=1".to_owned(),
        host: None,
        status: 200..=299,
        body: body.map(str::to_owned),
    }
}

fn websocket_probe(subprotocol: Option<&str>) -> ProbeKind {
    ProbeKind::WebSocket(WebSocketProbe {
        path: "/live".to_owned(),
        host: Some("chat.test".to_owned()),
        subprotocol: subprotocol.map(str::to_owned),
    })
}

/// Reads up to the empty line.
async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// Whether the peer has ended the connection in whatever way.
async fn ended(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    let read = timeout(PATIENT, stream.read_to_end(&mut rest)).await;
    read.is_ok()
}

fn bad(outcome: Result<Probed, ProbeFailure>) -> String {
    match outcome {
        Err(ProbeFailure::BadAnswer(why)) => why,
        other => panic!("a bad answer, not {other:?}"),
    }
}

// --- TCP ---

#[tokio::test]
async fn a_tcp_probe_connects_and_closes() {
    let backend = Backend::with(|mut stream| async move { ended(&mut stream).await }).await;
    let outcome = probe(backend.address, &settings(ProbeKind::Tcp, PATIENT)).await;
    assert!(outcome.unwrap().took < PATIENT);
    assert!(backend.seen.await.unwrap());
}

#[tokio::test]
async fn a_closed_port_refuses_every_kind() {
    // A socket that is bound and does not listen keeps the port from everybody else.
    let closed = TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = closed.local_addr().unwrap();
    for kind in [
        ProbeKind::Tcp,
        ProbeKind::Http(http_probe(None)),
        websocket_probe(None),
    ] {
        let outcome = probe(address, &settings(kind, PATIENT)).await;
        let refused = ProbeFailure::Refused(io::ErrorKind::ConnectionRefused);
        assert_eq!(outcome, Err(refused));
    }
}

#[tokio::test]
async fn a_probe_comes_from_the_addresses_of_its_pool_and_passes_over_those_it_cannot_have() {
    // RFC 5737: nobody has the first one.
    let both = ["192.0.2.1", "127.3.2.1"].map(|text| text.parse().unwrap());
    for chance in 0..2 {
        let backend = Backend::with(|stream| async move { stream.peer_addr().unwrap().ip() }).await;
        let connected = tcp::connect(backend.address, (&both, chance)).await;
        connected.unwrap();
        assert_eq!(backend.seen.await.unwrap(), both[1]);
    }
    let approach = Approach {
        secure: None,
        sources: both[..1].iter().copied().collect(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let outcome = super::probe(address, &approach, &settings(ProbeKind::Tcp, PATIENT)).await;
    let why = outcome.unwrap_err();
    assert_eq!(why.label(), "ours");
    assert!(why.to_string().contains("192.0.2.1"), "{why}");
}

#[tokio::test]
async fn a_socket_that_meets_itself_is_known() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let itself = socket.local_addr().unwrap();
    let stream = socket.connect(itself).await.unwrap();
    assert!(tcp::is_itself(&stream));

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    assert!(!tcp::is_itself(&stream));
}

#[tokio::test]
async fn a_black_hole_is_a_timeout_for_every_kind() {
    // One connection fills an accept queue of none; the kernel drops the SYN of the next.
    let full = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    full.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into())
        .unwrap();
    full.listen(0).unwrap();
    let address = full.local_addr().unwrap().as_socket().unwrap();
    let _fills = std::net::TcpStream::connect(address).unwrap();
    for kind in [
        ProbeKind::Tcp,
        ProbeKind::Http(http_probe(None)),
        websocket_probe(None),
    ] {
        let begun = Now::read();
        let outcome = probe(address, &settings(kind, SHORT)).await;
        assert_eq!(outcome, Err(ProbeFailure::Timeout));
        assert!((SHORT..PATIENT).contains(&Now::read().since(begun)));
    }
}

#[test]
fn what_this_machine_lacks_is_not_the_backends_fault() {
    for (code, label) in [
        (libc::EMFILE, "ours"),
        (libc::EADDRNOTAVAIL, "ours"),
        (libc::ECONNREFUSED, "refused"),
        (libc::EHOSTUNREACH, "refused"),
        (libc::ETIMEDOUT, "timeout"),
    ] {
        assert_eq!(
            tcp::failure(&io::Error::from_raw_os_error(code)).label(),
            label
        );
    }
}

// --- Silence and cancellation ---

#[tokio::test]
async fn a_backend_that_takes_connections_and_never_answers_is_left_in_time() {
    for kind in [ProbeKind::Http(http_probe(None)), websocket_probe(None)] {
        let backend = Backend::with(|mut stream| async move { ended(&mut stream).await }).await;
        let begun = Now::read();
        let outcome = probe(backend.address, &settings(kind, SHORT)).await;
        assert_eq!(outcome, Err(ProbeFailure::Timeout));
        assert!((SHORT..PATIENT).contains(&Now::read().since(begun)));
        assert!(backend.seen.await.unwrap(), "the socket is closed");
    }
}

#[tokio::test]
async fn a_dropped_probe_closes_its_socket() {
    for kind in [ProbeKind::Http(http_probe(None)), websocket_probe(None)] {
        let (asked, was_asked) = oneshot::channel();
        let backend = Backend::with(|mut stream| async move {
            read_head(&mut stream).await;
            asked.send(()).unwrap();
            ended(&mut stream).await
        })
        .await;
        let settings = settings(kind, PATIENT);
        tokio::select! {
            outcome = probe(backend.address, &settings) => panic!("nobody answered: {outcome:?}"),
            asked = was_asked => asked.unwrap(),
        }
        assert!(backend.seen.await.unwrap());
    }
}

#[tokio::test]
async fn an_end_before_the_answer_is_said_as_such() {
    for kind in [ProbeKind::Http(http_probe(None)), websocket_probe(None)] {
        let backend = Backend::with(|mut stream| async move {
            read_head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 2").await.unwrap();
        })
        .await;
        let outcome = probe(backend.address, &settings(kind, PATIENT)).await;
        assert_eq!(outcome, Err(ProbeFailure::Closed));
    }
}

#[tokio::test]
async fn a_head_without_end_is_left_at_its_bound() {
    for kind in [ProbeKind::Http(http_probe(None)), websocket_probe(None)] {
        let backend = Backend::with(|mut stream| async move {
            let line = format!("X-More: {}\r\n", "a".repeat(1000));
            let start = "HTTP/1.1 200 OK\r\n".to_owned();
            pour(&mut stream, &start, &line).await
        })
        .await;
        let why = bad(probe(backend.address, &settings(kind, PATIENT)).await);
        assert!(why.starts_with("its answer is not HTTP"), "{why}");
        assert!(backend.seen.await.unwrap() > HEAD_BYTES_MAX);
    }
}

/// Writes `start` and then `piece` until the prober is gone; answers how much that was.
async fn pour(stream: &mut TcpStream, start: &str, piece: &str) -> usize {
    read_head(stream).await;
    let mut poured = 0;
    let mut next = start;
    while stream.write_all(next.as_bytes()).await.is_ok() {
        poured += next.len();
        next = piece;
    }
    poured
}
