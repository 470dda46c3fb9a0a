//! The echo fleet answers strangers' clients as a WebSocket server should, however the bytes are cut.
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use ringway::cli::echo::EchoFleet;
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};

const ANY_PORT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
const HEAD: &str = "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

fn fleet(names: &[&str]) -> EchoFleet {
    EchoFleet::start(names, &vec![ANY_PORT; names.len()], None).unwrap()
}

fn connect(fleet: &EchoFleet) -> TcpStream {
    let socket = TcpStream::connect(fleet.addresses()[0]).unwrap();
    socket.set_nodelay(true).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    socket
}

fn read_head(socket: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

fn upgraded(fleet: &EchoFleet) -> TcpStream {
    let mut socket = connect(fleet);
    socket.write_all(HEAD.as_bytes()).unwrap();
    assert!(read_head(&mut socket).starts_with("HTTP/1.1 101 "));
    socket
}

/// A frame with or without a mask; payloads below 126 bytes.
fn frame(first: u8, payload: &[u8], key: Option<[u8; 4]>) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    match key {
        None => [&[first, length], payload].concat(),
        Some(key) => {
            let masked = payload.iter().zip(key.iter().cycle()).map(|(p, k)| p ^ k);
            let mut bytes = vec![first, length | 0x80];
            bytes.extend(key);
            bytes.extend(masked);
            bytes
        }
    }
}

#[test]
fn one_byte_at_a_time_head_and_frames_are_understood() {
    let fleet = fleet(&["one"]);
    let mut socket = connect(&fleet);
    let mut stream = HEAD.as_bytes().to_vec();
    stream.extend(frame(0x01, b"two ", Some([1, 2, 3, 4])));
    stream.extend(frame(0x89, b"alive?", Some([9, 9, 9, 9])));
    stream.extend(frame(0x80, b"parts", Some([5, 6, 7, 8])));
    stream.extend(frame(0x88, &[0x03, 0xE8], Some([7; 4])));
    for byte in stream {
        socket.write_all(&[byte]).unwrap();
    }
    assert!(read_head(&mut socket).starts_with("HTTP/1.1 101 "));
    let mut echoed = Vec::new();
    socket.read_to_end(&mut echoed).unwrap();
    let expected = [
        frame(0x01, b"two ", None),
        frame(0x8A, b"alive?", None),
        frame(0x80, b"parts", None),
        frame(0x88, &[0x03, 0xE8], None),
    ];
    assert_eq!(echoed, expected.concat());
}

#[test]
fn frames_behind_the_head_in_one_write_are_echoed() {
    let fleet = fleet(&["one"]);
    let mut socket = connect(&fleet);
    let pipelined: Vec<u8> = (0..100)
        .flat_map(|n| frame(0x82, &[n; 20], Some([n; 4])))
        .collect();
    socket
        .write_all(&[HEAD.as_bytes(), &pipelined].concat())
        .unwrap();
    read_head(&mut socket);
    let expected: Vec<u8> = (0..100).flat_map(|n| frame(0x82, &[n; 20], None)).collect();
    let mut echoed = vec![0; expected.len()];
    socket.read_exact(&mut echoed).unwrap();
    assert_eq!(echoed, expected);
}

#[test]
fn a_reader_that_waits_gets_every_byte_later() {
    const FRAMES: usize = 3000;
    let fleet = fleet(&["one"]);
    let mut socket = upgraded(&fleet);
    let mut writer = socket.try_clone().unwrap();
    let payload: Vec<u8> = (0..10_000_u32).flat_map(u32::to_be_bytes).collect();
    let mut bytes = vec![0x82, 0xFE];
    bytes.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(&payload);
    let writing = std::thread::spawn(move || {
        for _ in 0..FRAMES {
            writer.write_all(&bytes).unwrap();
        }
    });
    // Nothing is read until the fleet can hold no more: then the writer is stuck, and only reading frees it.
    let mut other = upgraded(&fleet);
    for _ in 0..200 {
        other
            .write_all(&frame(0x81, b"still here", Some([1; 4])))
            .unwrap();
        let mut echo = [0; 12];
        other.read_exact(&mut echo).unwrap();
    }
    let mut echoed = vec![0; payload.len() + 4];
    for _ in 0..FRAMES {
        socket.read_exact(&mut echoed).unwrap();
        assert!(echoed[..4] == [0x82, 0x7E, 0x9C, 0x40] && echoed[4..] == payload);
    }
    writing.join().unwrap();
}

#[test]
fn a_broken_frame_is_answered_with_1002() {
    let fleet = fleet(&["one"]);
    let mut socket = upgraded(&fleet);
    socket.write_all(&frame(0x81, b"no mask", None)).unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, [0x88, 2, 0x03, 0xEA]);
}

#[test]
fn pages_are_served_and_the_connection_ends() {
    let fleet = fleet(&["north", "south"]);
    for (path, status) in [
        ("/", "200 OK"),
        ("/healthz", "200 OK"),
        ("/none", "404 Not Found"),
    ] {
        for (address, name) in fleet.addresses().iter().zip(["north", "south"]) {
            let mut socket = TcpStream::connect(address).unwrap();
            write!(socket, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
            let mut response = String::new();
            socket.read_to_string(&mut response).unwrap();
            assert!(
                response.starts_with(&format!("HTTP/1.1 {status}\r\n")),
                "{response}"
            );
            assert!(response.contains(&format!("X-Backend: {name}\r\n")));
        }
    }
}

#[test]
fn a_dropped_fleet_frees_its_port() {
    let first = fleet(&["one"]);
    let address = first.addresses()[0];
    let _open = upgraded(&first);
    drop(first);
    assert!(EchoFleet::start(&["two"], &[address], None).is_ok());
}

#[test]
fn wrong_orders_are_refused() {
    assert!(EchoFleet::start(&["a", "b"], &[ANY_PORT], None).is_err());
    assert!(EchoFleet::start(&["line\r\nbreak"], &[ANY_PORT], None).is_err());
    assert!(EchoFleet::start(&["a"], &[ANY_PORT], Some(100_000)).is_err());
}

#[tokio::test]
async fn tungstenite_hears_the_name_and_its_echoes() {
    let fleet = fleet(&["north"]);
    let url = format!("ws://{}/ws/hello", fleet.addresses()[0]);
    let mut request = url.into_client_request().unwrap();
    request
        .headers_mut()
        .insert("sec-websocket-protocol", "chat, v2".parse().unwrap());
    let (mut socket, response) = tokio_tungstenite::connect_async(request).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
    let hello = socket.next().await.unwrap().unwrap();
    assert_eq!(hello, Message::text(r#"{"backend":"north"}"#));
    let large: Vec<u8> = (0..1024 * 1024_u32).map(|n| n.to_le_bytes()[1]).collect();
    for message in [
        Message::text("hi"),
        Message::binary(large),
        Message::text(""),
    ] {
        socket.send(message.clone()).await.unwrap();
        assert!(socket.next().await.unwrap().unwrap() == message);
    }
    socket
        .send(Message::Ping("are you there".into()))
        .await
        .unwrap();
    assert_eq!(
        socket.next().await.unwrap().unwrap(),
        Message::Pong("are you there".into())
    );
    socket.close(None).await.unwrap();
    assert!(matches!(
        socket.next().await,
        Some(Ok(Message::Close(None)))
    ));
    assert!(socket.next().await.is_none());
}

#[tokio::test]
async fn fastwebsockets_gets_fragments_back_as_it_sent_them() {
    use fastwebsockets::{Frame, OpCode, Role, WebSocket};

    let fleet = fleet(&["north"]);
    let socket = upgraded(&fleet);
    socket.set_nonblocking(true).unwrap();
    let socket = tokio::net::TcpStream::from_std(socket).unwrap();
    let mut socket = WebSocket::after_handshake(socket, Role::Client);
    let parts = [
        (false, OpCode::Text, vec![b'a'; 70_000]),
        (false, OpCode::Continuation, vec![b'b'; 3]),
        (true, OpCode::Continuation, Vec::new()),
    ];
    for (fin, opcode, payload) in &parts {
        let frame = Frame::new(*fin, *opcode, None, payload.clone().into());
        socket.write_frame(frame).await.unwrap();
    }
    for (fin, opcode, payload) in &parts {
        let frame = socket.read_frame().await.unwrap();
        assert_eq!((frame.fin, frame.opcode), (*fin, *opcode));
        assert!(frame.payload == payload.as_slice());
    }
}
