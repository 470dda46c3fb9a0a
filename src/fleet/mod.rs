//! The backends every core shares: ids, slots, and the immutable snapshot of pools and routes.
//!
//! Two things cross cores here. The [`SlotTable`] is a fixed array of counters, written by every worker
//! and never replaced. The [`Snapshot`] is a whole immutable answer to "what is configured"; control builds
//! it, workers read it, and a newer one replaces it between two tunnels.

mod host;
mod ids;
mod ledger;
mod pool;
mod registry;
mod route;
mod slot;
mod snapshot;
mod table;
mod turns;

pub use host::HostPattern;
pub use ids::{BackendId, PoolId, RouteId, Weight};
pub use ledger::Ledger;
pub use pool::{Member, Members, PolicyKind, Pool};
pub use registry::{Registry, TableFull};
pub use route::{Route, RouteTable};
pub use slot::Load;
pub use snapshot::{Snapshot, SourceLimits};
pub use table::SlotTable;
