//! The connection every probe starts with, and the whole of a TCP probe.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::net::{TcpSocket, TcpStream};

use super::ProbeFailure;
use crate::limits::SOURCES_TRIED_MAX;
use crate::sys;

/// Connects to a backend, from one of these addresses of this host if there are any: from the one that `chance` leads to,
/// or from one after it that has a port.
pub(super) async fn connect(
    address: SocketAddr,
    (sources, chance): (&[IpAddr], u64),
) -> Result<TcpStream, ProbeFailure> {
    let turn = chance.checked_rem(sources.len() as u64).unwrap_or(0);
    let (before, from) = sources.split_at(usize::try_from(turn).unwrap_or(0));
    let round = from.iter().chain(before).take(SOURCES_TRIED_MAX);
    let mut lacking = None;
    for source in round {
        match connect_from(address, Some(*source)).await {
            Err(why @ ProbeFailure::Ours(_)) => lacking = lacking.or(Some(why)),
            decided => return decided,
        }
    }
    match lacking {
        Some(why) => Err(why),
        None => connect_from(address, None).await,
    }
}

async fn connect_from(
    address: SocketAddr,
    source: Option<IpAddr>,
) -> Result<TcpStream, ProbeFailure> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    };
    let socket = socket.map_err(|error| failure(&error))?;
    sys::look_at_all_ports(&socket);
    if let Some(source) = source {
        let departing = sys::depart_from(&socket, source);
        departing.map_err(|error| ProbeFailure::Ours(format!("from {source}: {error}")))?;
    }
    let connected = socket.connect(address).await;
    let stream = connected.map_err(|error| match source {
        // From an address of the loopback nobody gets out of this host.
        Some(source) if error.raw_os_error() == Some(libc::EINVAL) => {
            ProbeFailure::Ours(format!("from {source}: {error}"))
        }
        _ => failure(&error),
    })?;
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
