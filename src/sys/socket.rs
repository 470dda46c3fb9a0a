//! What is done to one connection outside the ring: the few system calls that have no place in it.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::departure::look_at_all_ports;

/// A socket for dialling `address`, with Nagle's delay off. The last packet of its handshake waits for the
/// request head and travels with it (`TCP_QUICKACK` off, tcp(7)): one packet less for a tunnel.
pub fn stream_for(address: SocketAddr) -> io::Result<OwnedFd> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_quickack(false)?;
    look_at_all_ports(&socket);
    Ok(socket.into())
}

/// Who is at the other end.
pub fn peer_of(socket: BorrowedFd<'_>) -> io::Result<SocketAddr> {
    let peer = SockRef::from(&socket).peer_addr()?;
    peer.as_socket()
        .ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

/// Makes the coming close a reset: what the other side broke off is broken off here too, and no port
/// waits in `TIME_WAIT` for it.
pub fn reset_on_close(socket: &impl AsFd) {
    // A socket that is already gone needs no option.
    let _ = SockRef::from(&socket.as_fd()).set_linger(Some(Duration::ZERO));
}

/// Ends both halves, so that whatever waits for the socket completes.
pub fn end_both(socket: &impl AsFd) {
    // Nothing waits for what is gone already.
    let _ = SockRef::from(&socket.as_fd()).shutdown(Shutdown::Both);
}

/// Sends a few last bytes if the socket takes them at once: a goodbye that nobody waits for. Says whether all went.
pub fn send_last(socket: &impl AsFd, bytes: &[u8]) -> bool {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    let sent = SockRef::from(&socket.as_fd()).send_with_flags(bytes, flags);
    sent.is_ok_and(|sent| sent == bytes.len())
}

/// Ends our half of the stream. A plain system call: as a ring operation it would always be handed to a
/// kernel thread.
pub fn end_stream(socket: &impl AsFd) {
    // The peer may have reset the connection already; its receive says so.
    let _ = SockRef::from(&socket.as_fd()).shutdown(Shutdown::Write);
}
