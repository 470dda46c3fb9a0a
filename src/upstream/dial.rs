//! Connects to one backend.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use super::claim::Claim;
use crate::clock::Now;
use crate::fleet::{BackendId, Member, Pool, Route};
use crate::metrics::{BackendFailure, FlowLabels, Refusal};
use crate::ring::Caller;
use crate::sync::Arc;
use crate::sys;

/// A connection to a backend that is not yet a tunnel. Dropped, it ends the claim on the backend.
pub struct Dialled<'a> {
    socket: OwnedFd,
    claim: Claim<'a>,
}

pub(super) async fn connect(caller: &Caller, pool: &Pool, member: &Member) -> io::Result<OwnedFd> {
    let deadline = Now::read().after(pool.connect_timeout);
    let socket = sys::stream_for(member.address)?;
    caller
        .connect(socket.as_fd(), member.address, deadline)
        .await?;
    Ok(socket)
}

/// Whose fault a failed connection is.
pub(super) fn failure_of(error: &io::Error) -> BackendFailure {
    match (error.kind(), error.raw_os_error()) {
        (io::ErrorKind::TimedOut, _) => BackendFailure::ConnectTimeout,
        (
            _,
            Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM | libc::EADDRNOTAVAIL),
        ) => BackendFailure::NoResources,
        _ => BackendFailure::Refused,
    }
}

/// What the client is told of a failed connection.
pub(super) const fn refusal_of(failure: BackendFailure) -> Refusal {
    match failure {
        BackendFailure::ConnectTimeout => Refusal::ConnectTimeout,
        BackendFailure::NoResources => Refusal::NoResources,
        _ => Refusal::NoBackend,
    }
}

/// Whether another backend would fail by the same. Ports run out for one destination at a time, and so do
/// the buffers on the way to it; descriptors and memory run out for all.
pub(super) fn fails_everywhere(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM)
    )
}

impl<'a> Dialled<'a> {
    pub(super) const fn new(socket: OwnedFd, claim: Claim<'a>) -> Self {
        Self { socket, claim }
    }

    /// Which backend.
    pub const fn backend(&self) -> BackendId {
        self.claim.member().id
    }

    /// Where it is.
    pub const fn address(&self) -> SocketAddr {
        self.claim.member().address
    }

    /// Under which it is counted, with the route that led to it.
    pub fn labels(&self, route: &Route) -> FlowLabels {
        let member = self.claim.member();
        FlowLabels {
            route: route.id.0,
            backend: member.id.0,
            route_name: Arc::clone(&route.name),
            pool_name: Arc::clone(&self.claim.pool().name),
            backend_name: Arc::clone(&member.name),
        }
    }

    /// The socket.
    pub fn socket(&self) -> std::os::fd::BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The backend did something wrong. Before its answer was taken this counts against its health, after it only
    /// as a number.
    pub fn failed(&self, failure: BackendFailure) {
        self.claim.failed(failure, Now::read());
    }

    /// The backend's answer is as it should be.
    pub fn succeeded(&self) {
        self.claim.succeeded(Now::read());
    }

    /// The connection becomes a tunnel's, and the claim with it: whoever opens the tunnel counts it as open.
    pub fn into_tunnel(self) -> OwnedFd {
        self.claim.into_open();
        self.socket
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_lack_ourselves_is_our_fault_and_ends_the_search_where_it_is_for_all() {
        for (errno, everywhere) in [
            (libc::EMFILE, true),
            (libc::ENFILE, true),
            (libc::ENOMEM, true),
            (libc::ENOBUFS, false),
            (libc::EADDRNOTAVAIL, false),
        ] {
            let error = io::Error::from_raw_os_error(errno);
            assert_eq!(failure_of(&error), BackendFailure::NoResources, "{error}");
            assert_eq!(fails_everywhere(&error), everywhere, "{error}");
        }
        let refused = io::Error::from_raw_os_error(libc::ECONNREFUSED);
        assert_eq!(refusal_of(failure_of(&refused)), Refusal::NoBackend);
        assert!(!fails_everywhere(&refused));
    }
}
