//! What is configured, whole and immutable, as the workers see it.

use std::time::Duration;

use ipnet::IpNet;

use super::ids::PoolId;
use super::pool::Pool;
use super::route::RouteTable;

/// Everything a worker needs to know to greet a client. Shared as an `Arc`; a change is a new snapshot.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Pools, each at the place its [`PoolId`] names.
    pub pools: Vec<Pool>,
    /// Which pool a host and path lead to.
    pub routes: RouteTable,
    /// Peers whose `X-Forwarded-*` are believed (security rule 9).
    pub trusted_proxies: Vec<IpNet>,
    /// How long a client may take for its whole request head.
    pub head_timeout: Duration,
    /// What one source address may hold (security rule 16).
    pub source_limits: SourceLimits,
}

/// Bounds for one source address, an IPv6 source being a whole /64. `None` is no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SourceLimits {
    /// Connections open at once.
    pub connections: Option<u32>,
    /// Handshakes in flight at once.
    pub handshakes: Option<u32>,
    /// New connections in one second.
    pub new_connections_per_second: Option<u32>,
}

impl Snapshot {
    /// The pool with this id, which came from a route of this snapshot.
    pub fn pool(&self, id: PoolId) -> &Pool {
        &self.pools[id.index()]
    }
}
