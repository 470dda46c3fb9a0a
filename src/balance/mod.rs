//! Which backend a new tunnel goes to. One policy a file, one enum, one match.

mod least_connections;
mod round_robin;
mod tried;

pub use crate::fleet::PolicyKind;
pub use tried::Tried;

use crate::fleet::{Member, Pool, SlotTable};
use crate::rng::Rng;
use least_connections::LeastConnections;
use round_robin::RoundRobin;

/// One worker's way of choosing in one pool. Each worker has its own, started at its own place, so that
/// workers do not march through the backends in step.
#[derive(Debug, Clone)]
pub enum Policy {
    /// Each backend in turn, by weight.
    RoundRobin(RoundRobin),
    /// The one with the fewest tunnels for its weight.
    LeastConnections(LeastConnections),
}

impl Policy {
    /// A policy whose every choice is decided by `seed` and what it is shown.
    pub fn new(kind: PolicyKind, seed: u64) -> Self {
        let mut rng = Rng::seeded(seed);
        match kind {
            PolicyKind::RoundRobin => Self::RoundRobin(RoundRobin::new(&mut rng)),
            PolicyKind::LeastConnections => Self::LeastConnections(LeastConnections::new(&mut rng)),
        }
    }

    /// The backend for the next tunnel, none of those already tried for this client. Nothing if all of the
    /// pool were tried. The pool may be another one than last time, after a reload.
    pub fn pick<'a>(
        &mut self,
        pool: &'a Pool,
        table: &SlotTable,
        tried: &Tried,
    ) -> Option<&'a Member> {
        match self {
            Self::RoundRobin(policy) => policy.pick(&pool.backends, tried),
            Self::LeastConnections(policy) => policy.pick(&pool.backends, table, tried),
        }
    }
}

#[cfg(test)]
mod tests;
