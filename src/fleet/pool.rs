//! A pool: the backends that share one policy, and how they are tried.

use std::net::SocketAddr;
use std::ops::Deref;
use std::time::Duration;

use super::ids::{BackendId, PoolId, Weight};
use super::turns::Turns;
use crate::sync::Arc;

/// How a pool chooses. The state that goes with it lives in `balance`, one for each worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PolicyKind {
    /// Each backend in turn, by weight.
    RoundRobin,
    /// The one with the fewest tunnels for its weight, counted over all workers. The default: tunnels live long,
    /// so taking turns leaves a backend that came late empty.
    #[default]
    LeastConnections,
}

impl PolicyKind {
    /// Every policy, in the order messages name them.
    pub const ALL: [Self; 2] = [Self::RoundRobin, Self::LeastConnections];

    /// The word for this policy in the configuration and in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::RoundRobin => "round-robin",
            Self::LeastConnections => "least-connections",
        }
    }
}

/// One backend as its pool knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its row in the slot table.
    pub id: BackendId,
    /// Where to connect.
    pub address: SocketAddr,
    /// What logs and metrics call it.
    pub name: Arc<str>,
    /// Its share of the pool.
    pub weight: Weight,
}

/// The backends of one pool, in the order of the file, and their turns by weight. Reads as a slice; made with
/// `Members::from(vec)`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Members {
    list: Box<[Member]>,
    turns: Turns,
}

impl Members {
    /// How many turns make one round: in it, each member comes as often as its weight says.
    pub fn turns(&self) -> u32 {
        self.turns.count()
    }

    /// The member whose turn this is, for a turn below [`turns`](Self::turns).
    pub fn at_turn(&self, turn: u32) -> Option<&Member> {
        self.list.get(self.turns.owner(turn))
    }

    /// The turn to take after this one. Round and round, it takes each turn once and spreads a member's.
    pub fn turn_after(&self, turn: u32) -> u32 {
        self.turns.after(turn)
    }
}

impl From<Vec<Member>> for Members {
    fn from(list: Vec<Member>) -> Self {
        Self {
            turns: Turns::new(list.iter().map(|member| member.weight)),
            list: list.into(),
        }
    }
}

impl Deref for Members {
    type Target = [Member];

    fn deref(&self) -> &[Member] {
        &self.list
    }
}

/// Backends under one policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Its place in the snapshot.
    pub id: PoolId,
    /// Its name in the file, in logs and in metrics.
    pub name: Arc<str>,
    /// How a backend is chosen.
    pub policy: PolicyKind,
    /// Who can be chosen.
    pub backends: Members,
    /// How many backends one client may be tried on: the first and the others after it. At least 1, at
    /// most [`CONNECT_TRIES_MAX`](crate::limits::CONNECT_TRIES_MAX).
    pub connect_tries_max: u8,
    /// How long one backend may take to accept the connection.
    pub connect_timeout: Duration,
    /// How long it may then take to answer the request head.
    pub answer_timeout: Duration,
}
