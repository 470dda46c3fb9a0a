//! The backends every core shares: ids, slots, and the immutable snapshot of pools and routes.
//!
//! Two things cross cores here. The [`SlotTable`] is a fixed array of counters, written by every worker
//! and never replaced. The [`Snapshot`] is a whole immutable answer to "what is configured"; control builds
//! it, workers read it, and a newer one replaces it between two tunnels.

mod client_cert;
mod ejection;
mod first;
mod frames;
mod host;
mod ids;
mod key;
mod ledger;
mod maglev;
mod pace;
mod pointer;
mod pool;
mod registry;
mod route;
mod rules;
mod slot;
mod snapshot;
mod source_addresses;
mod standing;
mod sticky;
mod table;

pub use client_cert::{ClientCertRules, Pattern, San};
pub use ejection::{Ejection, Phase};
pub use first::{Decides, FirstMessage};
pub use frames::{FrameRules, Heartbeats, OnMiss, Over, RateKey, RateRule, SlowConsumer};
pub use host::HostPattern;
pub use ids::{BackendId, PoolId, RouteId, Weight};
pub use key::{HashKey, PathKey};
pub use ledger::Ledger;
pub use maglev::{Maglev, key_hash};
pub use pace::Pace;
pub use pointer::{JsonPointer, PointerError};
pub use pool::{Hashing, Member, Members, PolicyKind, Pool};
pub use registry::{Registry, TableFull};
pub use route::{Route, RouteTable};
pub use rules::{Caps, EjectionRules, Fate, Fates, RetryBudget, WaitingRoom};
pub use slot::{Ends, Load};
pub use snapshot::{Door, Snapshot, SourceLimits, TlsDoor};
pub use source_addresses::SourceAddresses;
pub use standing::{Standing, State};
pub use sticky::{Alias, Aliases, SameSite, Secret, Sticky};
pub use table::SlotTable;
