//! A handshake as a client makes it, and as a backend answers it: plain sockets that block, and a deadline.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use base64::Engine as _;
use sha1::{Digest as _, Sha1};

/// Connects and upgrades. An error is what a person would want to count: a status, or what the socket said.
pub(crate) fn knock(address: SocketAddr, patience: Duration) -> Result<TcpStream, String> {
    let try_it = || -> io::Result<(TcpStream, String)> {
        let mut socket = TcpStream::connect_timeout(&address, patience)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(patience))?;
        socket.write_all(request(address).as_bytes())?;
        let head = head(&mut socket)?;
        Ok((socket, head))
    };
    let (socket, head) = try_it().map_err(|error| told(&error))?;
    let status = head.split_whitespace().nth(1).unwrap_or_default();
    match status {
        "101" => Ok(socket),
        "" => Err("closed without an answer".to_owned()),
        status => Err(status.to_owned()),
    }
}

/// Answers an upgrade on the backend's side.
pub(crate) fn welcome(socket: &mut TcpStream, patience: Duration) -> io::Result<()> {
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(patience))?;
    let head = head(socket)?;
    let accept = accept_of(&head).ok_or(io::ErrorKind::InvalidData)?;
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    socket.write_all(answer.as_bytes())
}

/// What proves that a server has read the key in `head`.
pub(crate) fn accept_of(head: &str) -> Option<String> {
    let key = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key")
            .then(|| value.trim())
    })?;
    let digest = Sha1::digest(format!("{key}{GUID}"));
    Some(base64::engine::general_purpose::STANDARD.encode(digest))
}

/// An error in a few words that are the same each time.
pub(crate) fn told(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "refused".to_owned(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => "reset".to_owned(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "silent".to_owned(),
        io::ErrorKind::UnexpectedEof => "closed without an answer".to_owned(),
        other => other.to_string(),
    }
}

fn request(address: SocketAddr) -> String {
    format!(
        "GET / HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// A head, byte by byte: what follows it belongs to somebody else.
fn head(socket: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == HEAD_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        socket.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const HEAD_BYTES_MAX: usize = 16 * 1024;
