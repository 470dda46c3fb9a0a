//! The connection every probe starts with, and the whole of a TCP probe.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::ProbeFailure;

/// Connects to a backend.
pub(super) async fn connect(address: SocketAddr) -> Result<TcpStream, ProbeFailure> {
    let stream = TcpStream::connect(address)
        .await
        .map_err(|error| failure(&error))?;
    if is_itself(&stream) {
        return Err(ProbeFailure::Refused(io::ErrorKind::ConnectionRefused));
    }
    // A small request must not wait for the acknowledgement of the one before it.
    stream.set_nodelay(true).map_err(|_| ProbeFailure::Closed)?;
    Ok(stream)
}

/// Whether the socket met itself. A port of this machine from which the kernel also takes the ports of outgoing
/// connections can be given to a probe of that very port: with nobody listening, TCP then joins the socket to itself
/// (RFC 9293 section 3.5, simultaneous open), and a dead backend would look well.
pub(super) fn is_itself(stream: &TcpStream) -> bool {
    match (stream.local_addr(), stream.peer_addr()) {
        (Ok(here), Ok(there)) => here == there,
        _ => false,
    }
}

/// A probe that this machine had no descriptor, port or memory for says nothing about the backend.
pub(super) fn failure(error: &io::Error) -> ProbeFailure {
    match error.raw_os_error() {
        Some(
            libc::EMFILE
            | libc::ENFILE
            | libc::ENOBUFS
            | libc::ENOMEM
            | libc::EADDRNOTAVAIL
            | libc::EACCES
            | libc::EPERM,
        ) => ProbeFailure::Ours(error.to_string()),
        _ if error.kind() == io::ErrorKind::TimedOut => ProbeFailure::Timeout,
        _ => ProbeFailure::Refused(error.kind()),
    }
}
