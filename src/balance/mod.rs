//! Which backend a new tunnel goes to. One policy a file, one enum, one match.

mod least_connections;
mod round_robin;
mod tried;

pub use crate::fleet::PolicyKind;
pub use tried::Tried;

use crate::clock::Now;
use crate::fleet::{BackendId, Member, Pool, SlotTable};
use crate::rng::Rng;
use least_connections::LeastConnections;
use round_robin::RoundRobin;

/// What a pick may go by.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ask {
    /// Backends already tried for this client.
    pub tried: Tried,
    /// The hash of the request's key, for a policy that hashes.
    pub key: Option<u64>,
    /// The backend a sticky cookie names. Taken if it is healthy and not full, whatever the policy.
    pub preferred: Option<BackendId>,
    /// The time.
    pub now: Now,
}

/// Why nobody was picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPick {
    /// Every backend that may be picked was tried.
    Nobody,
    /// Some may be picked but are full: one may have room soon.
    Full,
}

/// One worker's way of choosing in one pool. Each worker has its own, started at its own place, so that
/// workers do not march through the backends in step.
#[derive(Debug, Clone)]
pub struct Balancer {
    policy: Policy,
}

/// The policies and what each remembers.
#[derive(Debug, Clone)]
enum Policy {
    /// Each backend in turn, by weight.
    RoundRobin(RoundRobin),
    /// The one with the fewest tunnels for its weight.
    LeastConnections(LeastConnections),
}

impl Balancer {
    /// A balancer whose every choice is decided by `seed` and what it is shown.
    pub fn new(kind: PolicyKind, seed: u64) -> Self {
        let mut rng = Rng::seeded(seed);
        let policy = if kind == PolicyKind::RoundRobin {
            Policy::RoundRobin(RoundRobin::new(&mut rng))
        } else {
            Policy::LeastConnections(LeastConnections::new(&mut rng))
        };
        Self { policy }
    }

    /// The backend for the next tunnel, none of those already tried for this client. The pool may be another one
    /// than last time, after a reload.
    pub fn pick<'a>(
        &mut self,
        pool: &'a Pool,
        table: &SlotTable,
        ask: &Ask,
    ) -> Result<&'a Member, NoPick> {
        let picked = match &mut self.policy {
            Policy::RoundRobin(policy) => policy.pick(&pool.backends, &ask.tried),
            Policy::LeastConnections(policy) => policy.pick(&pool.backends, table, &ask.tried),
        };
        picked.ok_or(NoPick::Nobody)
    }
}

#[cfg(test)]
mod tests;
