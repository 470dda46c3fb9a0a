//! Connects to a backend of a pool, and to another one if the first does not take the connection.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use crate::balance::{Ask, Balancer, Tried};
use crate::clock::Now;
use crate::fleet::{BackendId, Ledger, Member, Pool};
use crate::metrics::{BackendFailure, Refusal, WorkerCounters};
use crate::ring::Caller;
use crate::sys;

/// A connection to a backend that is not yet a tunnel. Dropped, it ends the claim on the backend.
#[derive(Debug)]
pub struct Dialled {
    socket: Option<OwnedFd>,
    claim: Claim,
}

/// One connection counted as being made.
struct Claim {
    ledger: Rc<Ledger>,
    backend: BackendId,
    open: bool,
}

/// Connects to a backend of `pool`: the one the policy picks, then up to `connect_tries_max - 1` others.
/// `pick` asks the policy; it is called between awaits, never across one.
pub async fn dial(
    caller: &Caller,
    pool: &Pool,
    ledger: &Rc<Ledger>,
    counters: &WorkerCounters,
    policy: &std::cell::RefCell<Balancer>,
) -> Result<Dialled, Refusal> {
    let mut tried = Tried::none();
    let mut refusal = Refusal::NoBackend;
    for _ in 0..pool.connect_tries_max {
        let ask = Ask {
            tried,
            now: Now::read(),
            ..Ask::default()
        };
        let picked = policy.borrow_mut().pick(pool, ledger.table(), &ask);
        let Ok(member) = picked else { break };
        let claim = Claim::start(ledger, member.id);
        match connect(caller, pool, member).await {
            Ok(socket) => {
                return Ok(Dialled {
                    socket: Some(socket),
                    claim,
                });
            }
            Err(error) => {
                let failure = failure_of(&error);
                counters.backend_failed(failure);
                refusal = refusal_of(failure);
                if failure != BackendFailure::NoResources {
                    ledger.failed(member.id, failure);
                } else if fails_everywhere(&error) {
                    break;
                }
                tried.insert(member.id);
            }
        }
    }
    Err(refusal)
}

async fn connect(caller: &Caller, pool: &Pool, member: &Member) -> io::Result<OwnedFd> {
    let deadline = Now::read().after(pool.connect_timeout);
    let socket = sys::stream_for(member.address)?;
    caller
        .connect(socket.as_fd(), member.address, deadline)
        .await?;
    Ok(socket)
}

/// Whose fault a failed connection is.
fn failure_of(error: &io::Error) -> BackendFailure {
    match (error.kind(), error.raw_os_error()) {
        (io::ErrorKind::TimedOut, _) => BackendFailure::ConnectTimeout,
        (
            _,
            Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM | libc::EADDRNOTAVAIL),
        ) => BackendFailure::NoResources,
        _ => BackendFailure::Refused,
    }
}

/// What the client is told of the last failed connection.
const fn refusal_of(failure: BackendFailure) -> Refusal {
    match failure {
        BackendFailure::ConnectTimeout => Refusal::ConnectTimeout,
        BackendFailure::NoResources => Refusal::NoResources,
        _ => Refusal::NoBackend,
    }
}

/// Whether another backend would fail by the same. Ports run out for one destination at a time, and so do
/// the buffers on the way to it; descriptors and memory run out for all.
fn fails_everywhere(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM)
    )
}

impl Dialled {
    /// Which backend.
    pub const fn backend(&self) -> BackendId {
        self.claim.backend
    }

    /// The socket.
    pub fn socket(&self) -> std::os::fd::BorrowedFd<'_> {
        self.socket
            .as_ref()
            .expect("invariant: taken only by `into_tunnel`")
            .as_fd()
    }

    /// The connection becomes a tunnel's, and the claim with it: whoever opens the tunnel counts it as open.
    pub fn into_tunnel(mut self) -> OwnedFd {
        self.claim.open = true;
        self.socket
            .take()
            .expect("invariant: taken only here, and `self` ends")
    }
}

impl Claim {
    fn start(ledger: &Rc<Ledger>, backend: BackendId) -> Self {
        ledger.connect_started(backend);
        Self {
            ledger: Rc::clone(ledger),
            backend,
            open: false,
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.open {
            self.ledger.connect_ended(self.backend);
        }
    }
}

impl std::fmt::Debug for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Claim({:?})", self.backend)
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
