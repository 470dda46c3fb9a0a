//! A pool: the backends that share one policy, and how they are tried.

use std::net::SocketAddr;
use std::ops::Deref;
use std::time::Duration;

use super::ids::{BackendId, PoolId, Weight};
use super::key::HashKey;
use super::maglev::Maglev;
use super::rules::{Caps, EjectionRules, Fates, RetryBudget, WaitingRoom};
use super::source_addresses::SourceAddresses;
use super::sticky::{Alias, Aliases, Sticky};
use crate::limits;
use crate::sync::Arc;
use crate::tls::{BackendTls, Connector};

/// How a pool chooses. The state that goes with it lives in `balance`, one for each worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PolicyKind {
    /// Each backend in turn, whatever its weight.
    RoundRobin,
    /// Each backend in turn, as often as its weight says, the turns of a heavy one spread out (smooth).
    WeightedRoundRobin,
    /// Any backend, by weight.
    Random,
    /// The one with the fewest tunnels for its weight, counted over all workers. The default: tunnels live long,
    /// so taking turns leaves a backend that came late empty.
    #[default]
    LeastConnections,
    /// The less loaded of two random ones.
    TwoChoices,
    /// The one of two random ones that answers handshakes sooner, for what it carries.
    PeakEwma,
    /// By the client's address: the same address, the same backend.
    SourceHash,
    /// By a key of the request: the same key, the same backend, and few keys move when backends come and go.
    Hash,
}

impl PolicyKind {
    /// Every policy, in the order messages name them.
    pub const ALL: [Self; 8] = [
        Self::RoundRobin,
        Self::WeightedRoundRobin,
        Self::Random,
        Self::LeastConnections,
        Self::TwoChoices,
        Self::PeakEwma,
        Self::SourceHash,
        Self::Hash,
    ];

    /// The word for this policy in the configuration and in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::RoundRobin => "round-robin",
            Self::WeightedRoundRobin => "weighted-round-robin",
            Self::Random => "random",
            Self::LeastConnections => "least-connections",
            Self::TwoChoices => "two-choices",
            Self::PeakEwma => "peak-ewma",
            Self::SourceHash => "source-hash",
            Self::Hash => "hash",
        }
    }

    /// Whether the choice follows from a key of the request.
    pub const fn is_hash(self) -> bool {
        matches!(self, Self::SourceHash | Self::Hash)
    }
}

/// One backend as its pool knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its row in the slot table.
    pub id: BackendId,
    /// Which of the row's owners it is; another one's row is not picked.
    pub generation: u32,
    /// Where to connect.
    pub address: SocketAddr,
    /// What logs and metrics call it.
    pub name: Arc<str>,
    /// Its share of the pool, as configured. What counts by now stands in its row.
    pub weight: Weight,
    /// Its tier: backends of a higher number are used only when those below do not suffice.
    pub priority: u8,
}

/// The backends of one pool, in the order of the file, and what follows from who they are. Shared and never changed.
/// Reads as a slice; made with `Members::from(vec)`, or with [`Members::hashed`] for keys to lead to them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Members(Arc<Listing>);

#[derive(Debug, PartialEq, Eq, Default)]
struct Listing {
    list: Box<[Member]>,
    /// Where each id stands in the list, in the order of the ids.
    places: Box<[(BackendId, usize)]>,
    maglev: Option<Maglev>,
}

impl Members {
    /// The same backends, and the table that leads keys to them. That takes from a few milliseconds to some hundred, for the largest
    /// pool: work for the control thread.
    pub fn hashed(list: Vec<Member>) -> Self {
        let maglev = Maglev::new(&list);
        Self::listed(list, Some(maglev))
    }

    /// Where a key leads, if the pool hashes.
    pub fn maglev(&self) -> Option<&Maglev> {
        self.0.maglev.as_ref()
    }

    /// Where in the list this backend stands.
    pub fn place_of(&self, id: BackendId) -> Option<usize> {
        let places = &self.0.places;
        let found = places.binary_search_by_key(&id, |&(id, _)| id).ok()?;
        Some(places[found].1)
    }

    /// Whether these are not only equal but the same list. Nothing else can be taken for it as long as one of the
    /// two is kept.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn listed(list: Vec<Member>, maglev: Option<Maglev>) -> Self {
        let ids = list.iter().map(|member| member.id);
        let mut places: Box<[_]> = ids.zip(0..).collect();
        places.sort_unstable();
        Self(Arc::new(Listing {
            list: list.into(),
            places,
            maglev,
        }))
    }
}

impl From<Vec<Member>> for Members {
    fn from(list: Vec<Member>) -> Self {
        Self::listed(list, None)
    }
}

impl Deref for Members {
    type Target = [Member];

    fn deref(&self) -> &[Member] {
        &self.0.list
    }
}

/// How a hash policy hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hashing {
    /// What is hashed. [`PolicyKind::SourceHash`] takes the source whatever stands here.
    pub key: HashKey,
    /// How many bits of an IPv4 source count.
    pub source_prefix_v4: u32,
    /// How many bits of an IPv6 source count.
    pub source_prefix_v6: u32,
    /// No backend gets more than this share of what it would carry if all carried the same, in percent; a key whose
    /// backend is over it goes to the next. `None` is no bound.
    pub load_bound_percent: Option<u32>,
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
    /// How it hashes, if it does.
    pub hashing: Hashing,
    /// The cookie that brings a client back to its backend, over any policy.
    pub sticky: Option<Arc<Sticky>>,
    /// Who the cookie means; made by [`with_aliases`](Self::with_aliases).
    pub aliases: Aliases,
    /// Who can be chosen.
    pub backends: Members,
    /// Where its backends are dialled from.
    pub source_addresses: SourceAddresses,
    /// How many backends one client may be tried on: the first and the others after it. At least 1, at
    /// most [`CONNECT_TRIES_MAX`](crate::limits::CONNECT_TRIES_MAX).
    pub connect_tries_max: u8,
    /// How long one backend may take to accept the connection.
    pub connect_timeout: Duration,
    /// How long it may then take to answer the request head.
    pub answer_timeout: Duration,
    /// A tier of which no more than this share is healthy calls the next one in; if none has more, health is
    /// ignored (panic). In percent; 0 is only when nobody is healthy.
    pub panic_percent: u32,
    /// Over how long a backend that came up is filled to what the others carry; nothing at once.
    pub slow_start: Option<Duration>,
    /// When workers put a backend out.
    pub ejection: EjectionRules,
    /// What each backend may hold.
    pub caps: Caps,
    /// Tunnels and connections being made to all its backends together; each worker counts the others with a
    /// delay, so it may be passed by one connection a worker.
    pub established_max: Option<u32>,
    /// Where clients wait while every backend is full.
    pub waiting_room: WaitingRoom,
    /// How many handshakes may be tried again.
    pub retry_budget: RetryBudget,
    /// What happens to open tunnels when their backend leaves.
    pub fates: Fates,
    /// What is asked of TLS to its backends; in the clear without it. The control room loads it into what connects and
    /// hands that to the workers: whoever finds settings here and nothing that was loaded must not connect at all.
    pub tls: Option<Arc<BackendTls>>,
    /// What was loaded from those settings.
    pub connector: Option<Connector>,
}

impl Pool {
    /// A pool with these backends and everything else as if the file did not say it.
    pub fn new(id: PoolId, name: &str, policy: PolicyKind, backends: Vec<Member>) -> Self {
        let backends = if policy.is_hash() {
            Members::hashed(backends)
        } else {
            backends.into()
        };
        Self {
            id,
            name: name.into(),
            policy,
            hashing: Hashing::default(),
            sticky: None,
            aliases: Aliases::default(),
            backends,
            source_addresses: SourceAddresses::default(),
            connect_tries_max: 1 + limits::CONNECT_TRIES.default,
            connect_timeout: limits::CONNECT_TIMEOUT.default,
            answer_timeout: limits::ANSWER_TIMEOUT.default,
            panic_percent: 0,
            slow_start: None,
            ejection: EjectionRules::default(),
            caps: Caps::default(),
            established_max: None,
            waiting_room: WaitingRoom::default(),
            retry_budget: RetryBudget::default(),
            fates: Fates::default(),
            tls: None,
            connector: None,
        }
    }

    /// The same pool, its backends findable by the aliases in its cookie. To be called once the name, the cookie and
    /// the backends are settled; without a cookie it does nothing.
    #[must_use]
    pub fn with_aliases(mut self) -> Self {
        self.aliases = self
            .sticky
            .as_ref()
            .map_or_else(Aliases::default, |sticky| {
                Aliases::new(sticky, &self.name, &self.backends)
            });
        self
    }

    /// The backend a cookie means, if it is still in the pool.
    pub fn member_called(&self, alias: Alias) -> Option<&Member> {
        self.aliases
            .find(alias)
            .and_then(|place| self.backends.get(place))
    }
}

impl Member {
    /// A backend of the first tier, called by its address, in the row's first generation.
    pub fn new(id: BackendId, address: SocketAddr, weight: Weight) -> Self {
        Self {
            id,
            generation: 0,
            address,
            name: address.to_string().into(),
            weight,
            priority: 0,
        }
    }

    /// The host that its certificate is for, unless its pool says another: its name without the port.
    pub fn host(&self) -> &str {
        let host = self.name.rsplit_once(':');
        let host = host.map_or(&*self.name, |(host, _)| host);
        host.trim_start_matches('[').trim_end_matches(']')
    }
}

impl Default for Hashing {
    fn default() -> Self {
        Self {
            key: HashKey::Source,
            source_prefix_v4: limits::SOURCE_PREFIX_V4.default,
            source_prefix_v6: limits::SOURCE_PREFIX_V6.default,
            load_bound_percent: Some(limits::LOAD_BOUND_PERCENT.default),
        }
    }
}
