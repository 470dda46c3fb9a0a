//! From which address and port of this host a connection leaves.
#![expect(
    unsafe_code,
    reason = "IP_BIND_ADDRESS_NO_PORT and IP_LOCAL_PORT_RANGE have no safe wrapper"
)]

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use socket2::{Domain, SockRef, Socket, Type};

/// Has `socket` connect from this address. Its port is chosen by the connect, which knows the other end: so each
/// backend has all ports of the address for itself (ip(7), `IP_BIND_ADDRESS_NO_PORT`). A bind with a port would take it
/// for all backends together.
///
/// It fails with `EADDRNOTAVAIL` if no interface has the address.
pub fn depart_from(socket: &impl AsFd, source: IpAddr) -> io::Result<()> {
    let socket = socket.as_fd();
    set(socket, libc::IP_BIND_ADDRESS_NO_PORT, 1)?;
    SockRef::from(&socket).bind(&SocketAddr::new(source, 0).into())
}

/// Has the connect look at all ports alike. By itself the kernel looks at every second port first, and once those are in
/// use each connect goes through all of them before it turns to the others: on 6.18 it then takes 1,300 µs instead of 14.
/// It does not where a socket has a range of its own (ip(7), `IP_LOCAL_PORT_RANGE`, kernel 6.3). This one begins at
/// port 1 and has no end, so it is the range of the host, `net.ipv4.ip_local_port_range`.
pub fn look_at_all_ports(socket: &impl AsFd) {
    // An older kernel has no such option; there it takes its time.
    let _ = set(socket.as_fd(), IP_LOCAL_PORT_RANGE, 1);
}

/// Sets an option of one int.
fn set(socket: BorrowedFd<'_>, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let bytes = u32::try_from(size_of_val(&value)).unwrap_or(0);
    // SAFETY: these options read one int of `bytes` bytes, which lives through the call. IPv6 sockets take them at this
    // level too.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            option,
            (&raw const value).cast(),
            bytes,
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Whether connections can leave from this address now: an interface has it.
pub fn is_of_this_host(source: IpAddr) -> io::Result<bool> {
    let domain = Domain::for_address(SocketAddr::new(source, 0));
    let socket = Socket::new(domain, Type::STREAM, None)?;
    match depart_from(&socket, source) {
        Err(error) if error.raw_os_error() == Some(libc::EADDRNOTAVAIL) => Ok(false),
        bound => bound.map(|()| true),
    }
}

/// Whether this host has any address from which `destination` can be reached. A connect says `EADDRNOTAVAIL` both
/// without one and without a free port; a datagram socket, which is told without a packet, has other ports.
pub fn has_way_to(destination: SocketAddr) -> bool {
    let socket = Socket::new(Domain::for_address(destination), Type::DGRAM, None);
    let told = socket.and_then(|socket| socket.connect(&destination.into()));
    let no_address = |error: &io::Error| error.raw_os_error() == Some(libc::EADDRNOTAVAIL);
    !told.is_err_and(|error| no_address(&error))
}

/// `linux/in.h`; the crate does not name it.
const IP_LOCAL_PORT_RANGE: libc::c_int = 51;

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::sys::stream_for;

    #[test]
    fn an_address_is_left_from_in_both_families_and_the_connect_chooses_the_port() {
        for (source, any) in [("127.1.2.3", "127.0.0.1:0"), ("::1", "[::1]:0")] {
            let Ok(listener) = TcpListener::bind(any) else {
                println!("skipped {any}: this host has no such address");
                continue;
            };
            let (address, source) = (listener.local_addr().unwrap(), source.parse().unwrap());
            let socket = stream_for(address).unwrap();
            depart_from(&socket, source).unwrap();
            let socket = SockRef::from(&socket);
            let bound = socket.local_addr().unwrap().as_socket();
            assert_eq!(
                bound,
                Some(SocketAddr::new(source, 0)),
                "no port is taken yet"
            );
            socket.connect(&address.into()).unwrap();
            let (_, from) = listener.accept().unwrap();
            assert_eq!(from.ip(), source);
            assert_eq!(socket.local_addr().unwrap().as_socket(), Some(from));
        }
    }

    #[test]
    fn who_has_an_address_is_known_before_anybody_connects() {
        assert!(is_of_this_host([127, 9, 9, 9].into()).unwrap());
        // RFC 5737: nobody has it.
        let nobody = IpAddr::from([192, 0, 2, 1]);
        assert!(!is_of_this_host(nobody).unwrap());
        let socket = stream_for(([127, 0, 0, 1], 1).into()).unwrap();
        let error = depart_from(&socket, nobody).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EADDRNOTAVAIL));
        assert!(has_way_to(([127, 0, 0, 1], 1).into()));
    }

    #[test]
    fn every_dial_looks_at_all_ports_alike() {
        for backend in ["127.0.0.1:1", "[::1]:1"] {
            let Ok(socket) = stream_for(backend.parse().unwrap()) else {
                println!("skipped {backend}: this host has no such family");
                continue;
            };
            let (mut range, mut bytes) = (0_u32, 4);
            // SAFETY: the option writes at most `bytes` bytes to `range`, and their number to `bytes`; both live
            // through the call.
            let failed = unsafe {
                libc::getsockopt(
                    socket.as_raw_fd(),
                    libc::IPPROTO_IP,
                    IP_LOCAL_PORT_RANGE,
                    (&raw mut range).cast(),
                    &raw mut bytes,
                )
            };
            if failed != 0 {
                println!("skipped: this kernel is older than 6.3");
                return;
            }
            assert_eq!(range, 1, "from port 1 on, without an end");
        }
    }
}
