//! Connects to one backend.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use super::claim::{Claim, Grounds};
use super::shake::{ShakeError, shake};
use super::stream::Stream;
use crate::clock::Now;
use crate::fleet::{BackendId, Member, Route};
use crate::metrics::{BackendFailure, FlowLabels, Refusal};
use crate::ring::Caller;
use crate::sync::Arc;
use crate::sys;
use crate::tls::{Failure, Handshake, Wire};

/// A connection to a backend that is not yet a tunnel. Dropped, it ends the claim on the backend.
pub struct Dialled<'a> {
    stream: Stream,
    claim: Claim<'a>,
}

/// Why a backend was not reached.
#[derive(Debug)]
pub(super) enum DialError {
    /// The connection was not made, or not in time.
    Connect(io::Error),
    /// It was made, and its TLS handshake failed.
    Tls(String),
}

/// Connects to a backend and, where its pool speaks TLS, shakes hands.
pub(super) async fn connect(
    caller: &Caller,
    Grounds {
        pool,
        turns,
        counters,
        ..
    }: Grounds<'_>,
    member: &Member,
) -> Result<Stream, DialError> {
    let deadline = Now::read().after(pool.connect_timeout);
    let socket = sys::stream_for(member.address).map_err(DialError::Connect)?;
    let connecting = caller.connect(socket.as_fd(), member.address, deadline);
    connecting.await.map_err(DialError::Connect)?;
    let stream = Stream::new(socket);
    if pool.tls.is_some() {
        let unloaded = || DialError::Tls("its TLS settings were not loaded".to_owned());
        let connector = pool.connector.as_ref().ok_or_else(unloaded)?;
        let failed = |failure: Failure| DialError::Tls(failure.to_string());
        let handshake = Handshake::connect(connector, member.host()).map_err(failed)?;
        let mut early = Vec::new();
        let shaken = shake((caller, turns), &stream, handshake, &mut early, deadline).await;
        match shaken {
            // A backend that speaks before it is asked says nothing we could use: an answer to no request.
            Ok(_) if early.is_empty() => counters.tls_backends.add(1),
            Ok(_) => return Err(DialError::Tls("it spoke before it was asked".to_owned())),
            Err(ShakeError::Failed(failure)) => return Err(failed(failure)),
            Err(ShakeError::Timeout) => {
                return Err(DialError::Connect(io::ErrorKind::TimedOut.into()));
            }
            Err(ShakeError::Ended(error)) => return Err(DialError::Tls(error.to_string())),
        }
    }
    Ok(stream)
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
        BackendFailure::Tls => Refusal::BackendTls,
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
    pub(super) const fn new(stream: Stream, claim: Claim<'a>) -> Self {
        Self { stream, claim }
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

    /// The connection.
    pub const fn stream(&self) -> &Stream {
        &self.stream
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
    pub fn into_tunnel(self) -> (OwnedFd, Option<Box<Wire>>) {
        self.claim.into_open();
        self.stream.into_parts()
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
