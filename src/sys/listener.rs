//! Listening sockets: one for each worker and address, all in one SO_REUSEPORT group.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

/// What accepted connections inherit, and how many may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenOptions {
    /// Connections that may wait to be accepted; the kernel caps it at `net.core.somaxconn`.
    pub backlog: i32,
    /// Idle time before the kernel probes whether the peer is still there; nothing for never.
    pub keepalive: Option<Duration>,
}

/// Opens one member of the group that listens on `address`. Sockets that want the same address must all
/// be opened by the same user (socket(7), `SO_REUSEPORT`).
///
/// Everything set here is inherited by accepted connections, so none of them costs a system call for it.
pub fn listen(address: SocketAddr, options: ListenOptions) -> io::Result<OwnedFd> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // Whoever asks for any port wants one of their own. Between bind and listen the kernel gives the port of a
    // socket that may be shared (`SO_REUSEADDR`) to a second one; so this one may be only by its own group.
    let any_port = address.port() == 0;
    if !any_port {
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        // `[::]` and `0.0.0.0` are two addresses; whoever wants both says both.
        socket.set_only_v6(true)?;
    }
    socket.set_tcp_nodelay(true)?;
    if let Some(idle) = options.keepalive {
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(idle))?;
    }
    socket.bind(&address.into())?;
    if any_port {
        socket.set_reuse_port(true)?;
    }
    socket.listen(options.backlog)?;
    // Connections inherit it: while they linger, their address may be bound again.
    socket.set_reuse_address(true)?;
    Ok(socket.into())
}

/// Ends listening now, not when the last holder of the socket is gone: an accept in a ring holds it too, and
/// the kernel takes a ring apart only a while after its process has ended. Until then clients would be sent
/// to a listener that nobody accepts from, and the next Ringway would find the address taken.
pub fn stop_listening(listener: BorrowedFd<'_>) {
    // It fails only where nothing listens any more.
    let _ = SockRef::from(&listener).shutdown(Shutdown::Read);
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn members_of_one_group_share_an_address_and_pass_on_their_options() {
        let options = ListenOptions {
            backlog: 16,
            keepalive: Some(Duration::from_secs(77)),
        };
        let first = TcpListener::from(listen("127.0.0.1:0".parse().unwrap(), options).unwrap());
        let address = first.local_addr().unwrap();
        let second = TcpListener::from(listen(address, options).unwrap());
        drop(second);
        let _client = TcpStream::connect(address).unwrap();
        let (accepted, _) = first.accept().unwrap();
        let accepted = SockRef::from(&accepted);
        assert!(accepted.tcp_nodelay().unwrap() && accepted.keepalive().unwrap());
        assert_eq!(
            accepted.tcp_keepalive_time().unwrap(),
            Duration::from_secs(77)
        );
    }

    #[test]
    fn who_stopped_listening_is_not_connected_to_however_many_hold_the_socket() {
        let options = ListenOptions {
            backlog: 16,
            keepalive: None,
        };
        let listener = listen("127.0.0.1:0".parse().unwrap(), options).unwrap();
        let address = SockRef::from(&listener).local_addr().unwrap();
        let address = address.as_socket().unwrap();
        let _held = listener.try_clone().unwrap();
        stop_listening(listener.as_fd());
        assert!(TcpStream::connect(address).is_err());
    }
}
