//! Connects to one backend.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use super::claim::{Claim, Grounds};
use super::ports::{Lack, Pair};
use super::shake::{ShakeError, shake};
use super::stream::Stream;
use crate::clock::Now;
use crate::fleet::{BackendId, Member, Route};
use crate::limits;
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
    /// This host had no port or no address to make it from.
    Lack(Lack),
}

/// Connects to a backend and, where its pool speaks TLS, shakes hands.
pub(super) async fn connect(
    caller: &Caller,
    grounds: Grounds<'_>,
    member: &Member,
) -> Result<Stream, DialError> {
    let Grounds {
        pool,
        turns,
        counters,
        ..
    } = grounds;
    let deadline = Now::read().after(pool.connect_timeout);
    let stream = Stream::new(depart(caller, grounds, member.address, deadline).await?);
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

/// Connects from the first of the pool's source addresses that has a port for this backend, or from wherever the kernel
/// likes if it has none of the backend's family.
async fn depart(
    caller: &Caller,
    Grounds {
        pool,
        counters,
        ports,
        ..
    }: Grounds<'_>,
    backend: SocketAddr,
    deadline: Now,
) -> Result<OwnedFd, DialError> {
    let mut worst = Lack::Address;
    let mut tried = 0;
    for source in ports.round(pool.source_addresses.to(backend)) {
        let pair = (backend, source);
        if let Err(known) = ports.may_try(pair, Now::read()) {
            worst = worst.max(known);
            continue;
        }
        if tried == limits::SOURCES_TRIED_MAX {
            break;
        }
        tried += 1;
        let socket = sys::stream_for(backend).map_err(DialError::Connect)?;
        let lack = match dial_from(caller, &socket, pair, deadline).await {
            Ok(()) => {
                ports.worked(pair);
                if source.is_some() {
                    counters.dials_bound.add(1);
                }
                return Ok(socket);
            }
            Err(DialError::Lack(lack)) => lack,
            Err(error) => {
                ports.worked(pair);
                return Err(error);
            }
        };
        if lack == Lack::Ports {
            counters.ports_missed.add(1);
        }
        worst = worst.max(lack);
        ports.lacked(pair, lack, Now::read());
    }
    Err(DialError::Lack(worst))
}

/// Connects from this address, or from wherever the kernel likes.
async fn dial_from(
    caller: &Caller,
    socket: &OwnedFd,
    (backend, source): Pair,
    deadline: Now,
) -> Result<(), DialError> {
    if let Some(source) = source {
        let departing = sys::depart_from(socket, source);
        departing.map_err(|_| DialError::Lack(Lack::Address))?;
    }
    let connecting = caller.connect(socket.as_fd(), backend, deadline);
    let lacks = |error| match lack_of(&error, (backend, source)) {
        Some(lack) => DialError::Lack(lack),
        None => DialError::Connect(error),
    };
    connecting.await.map_err(lacks)
}

/// What this host lacked, if a connect failed by that.
fn lack_of(error: &io::Error, (backend, source): Pair) -> Option<Lack> {
    match (error.raw_os_error()?, source) {
        (libc::EADDRNOTAVAIL, Some(_)) => Some(Lack::Ports),
        (libc::EADDRNOTAVAIL, None) if sys::has_way_to(backend) => Some(Lack::Ports),
        // From an address of the loopback nobody gets out of this host.
        (libc::EADDRNOTAVAIL, None) | (libc::EINVAL, Some(_)) => Some(Lack::Address),
        _ => None,
    }
}

/// Whose fault a failed connection is.
pub(super) fn failure_of(error: &io::Error) -> BackendFailure {
    match (error.kind(), error.raw_os_error()) {
        (io::ErrorKind::TimedOut, _) => BackendFailure::ConnectTimeout,
        (_, Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)) => {
            BackendFailure::NoResources
        }
        _ => BackendFailure::Refused,
    }
}

/// What the client is told of a failed connection.
pub(super) const fn refusal_of(failure: BackendFailure) -> Refusal {
    match failure {
        BackendFailure::ConnectTimeout => Refusal::ConnectTimeout,
        BackendFailure::NoResources => Refusal::NoResources,
        BackendFailure::SourcePortsExhausted => Refusal::SourcePortsExhausted,
        BackendFailure::SourceAddressMissing => Refusal::SourceAddressMissing,
        BackendFailure::Tls => Refusal::BackendTls,
        _ => Refusal::NoBackend,
    }
}

/// Whether another backend would fail by the same. The buffers on the way to one run out for it alone, as source
/// ports do; descriptors and memory run out for all.
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
        ] {
            let error = io::Error::from_raw_os_error(errno);
            assert_eq!(failure_of(&error), BackendFailure::NoResources, "{error}");
            assert_eq!(fails_everywhere(&error), everywhere, "{error}");
        }
        let refused = io::Error::from_raw_os_error(libc::ECONNREFUSED);
        assert_eq!(refusal_of(failure_of(&refused)), Refusal::NoBackend);
        assert!(!fails_everywhere(&refused));
    }

    #[test]
    fn a_connect_without_a_port_or_an_address_is_told_apart_from_a_backend_that_refuses() {
        let here = SocketAddr::from(([127, 0, 0, 1], 1));
        let source = Some([127, 0, 0, 2].into());
        for (errno, source, lack) in [
            (libc::EADDRNOTAVAIL, source, Some(Lack::Ports)),
            (libc::EADDRNOTAVAIL, None, Some(Lack::Ports)),
            (libc::EINVAL, source, Some(Lack::Address)),
            (libc::EINVAL, None, None),
            (libc::ECONNREFUSED, source, None),
            (libc::ETIMEDOUT, source, None),
        ] {
            let error = io::Error::from_raw_os_error(errno);
            assert_eq!(lack_of(&error, (here, source)), lack, "{error} {source:?}");
        }
        let told = [Lack::Ports, Lack::Address].map(|lack| refusal_of(lack.failure()));
        assert_eq!(
            told,
            [Refusal::SourcePortsExhausted, Refusal::SourceAddressMissing]
        );
        assert!(
            Lack::Ports > Lack::Address,
            "who comes back may find a port"
        );
    }
}
