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
                ledger.failed(member.id, failure);
                refusal = match failure {
                    BackendFailure::ConnectTimeout => Refusal::ConnectTimeout,
                    _ => Refusal::NoBackend,
                };
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
