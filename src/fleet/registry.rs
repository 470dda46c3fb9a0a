//! Who has which row of the slot table. Control alone assigns; a backend that stays keeps its row.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use super::ids::{BackendId, RouteId};
use super::table::SlotTable;
use crate::sync::Arc;

/// Gives each backend of each pool its row, the same one for as long as it stays configured.
///
/// A row whose backend left is used again only when no tunnel is open on it, and only after all fresh rows
/// are gone, the longest retired first. A worker that still holds an older snapshot may in that moment pick
/// the former backend once more: the claim and its return then both fall on the new owner of the row. Its count
/// is off by that tunnel for as long as it lives, and is never left out of balance.
pub struct Registry {
    table: Arc<SlotTable>,
    rows: HashMap<Key, BackendId>,
    /// Rows handed out so far; the next fresh one has this index.
    fresh: usize,
    /// Backends that left, the longest gone first. Invariant: each is still a key of `rows`.
    retired: VecDeque<Key>,
    /// The number of each route, by its name.
    routes: HashMap<Box<str>, RouteId>,
}

/// A pool by its name, since its number may change from one snapshot to the next.
type Key = (Box<str>, SocketAddr);

/// Every row is taken by a backend that is configured or still has tunnels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the table of backends is full: {capacity} rows are configured or still have tunnels")]
pub struct TableFull {
    /// How many rows there are.
    pub capacity: usize,
}

impl Registry {
    /// A registry that hands out the rows of `table`.
    pub fn new(table: Arc<SlotTable>) -> Self {
        Self {
            table,
            rows: HashMap::new(),
            fresh: 0,
            retired: VecDeque::new(),
            routes: HashMap::new(),
        }
    }

    /// The table whose rows are handed out.
    pub fn table(&self) -> &Arc<SlotTable> {
        &self.table
    }

    /// The row of this backend: its own if it has one, also if it had left; else a new one.
    pub fn assign(&mut self, pool: &str, address: SocketAddr) -> Result<BackendId, TableFull> {
        let key = (Box::from(pool), address);
        if let Some(&id) = self.rows.get(&key) {
            self.retired.retain(|retired| *retired != key);
            return Ok(id);
        }
        let id = self
            .fresh_row()
            .or_else(|| self.idle_row())
            .ok_or(TableFull {
                capacity: self.table.capacity(),
            })?;
        self.rows.insert(key, id);
        Ok(id)
    }

    /// The number of this route: its own for as long as it is called so, since a tunnel keeps it for its whole life
    /// and is logged by it. When all 65,536 numbers have been given, which takes as many names, they are given
    /// anew: a line about an old tunnel may then name a new route.
    pub fn route(&mut self, name: &str) -> RouteId {
        if let Some(&id) = self.routes.get(name) {
            return id;
        }
        let id = u16::try_from(self.routes.len()).unwrap_or_else(|_| {
            self.routes.clear();
            0
        });
        self.routes.insert(name.into(), RouteId(id));
        RouteId(id)
    }

    /// Retires every backend for which `stays` is false. Its tunnels live on and stay counted.
    pub fn retain(&mut self, mut stays: impl FnMut(BackendId) -> bool) {
        let mut leaving: Vec<_> = self
            .rows
            .iter()
            .filter(|&(key, &id)| !stays(id) && !self.retired.contains(key))
            .map(|(key, &id)| (id, key.clone()))
            .collect();
        leaving.sort_unstable_by_key(|&(id, _)| id);
        self.retired.extend(leaving.into_iter().map(|(_, key)| key));
    }

    fn fresh_row(&mut self) -> Option<BackendId> {
        let id = u16::try_from(self.fresh).ok().map(BackendId)?;
        (id.index() < self.table.capacity()).then(|| {
            self.fresh += 1;
            id
        })
    }

    /// Takes the row of the backend that has been gone longest among those without a tunnel.
    fn idle_row(&mut self) -> Option<BackendId> {
        let place = self.retired.iter().position(|key| {
            let id = self.rows.get(key);
            id.is_some_and(|&id| self.table.load(id).total() == 0)
        })?;
        let key = self.retired.remove(place)?;
        let id = self.rows.remove(&key)?;
        self.table.hand_over(id);
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::BackendFailure;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], port))
    }

    fn registry(capacity: usize) -> Registry {
        Registry::new(Arc::new(SlotTable::new(capacity)))
    }

    #[test]
    fn the_same_backend_of_the_same_pool_keeps_its_row() {
        let mut registry = registry(4);
        let chat = registry.assign("chat", address(1)).unwrap();
        let games = registry.assign("games", address(1)).unwrap();
        assert_ne!(chat, games, "two pools count one address apart");
        assert_eq!(registry.assign("chat", address(1)), Ok(chat));
        registry.retain(|_| false);
        assert_eq!(
            registry.assign("chat", address(1)),
            Ok(chat),
            "it came back to its row"
        );
    }

    #[test]
    fn a_route_keeps_its_number_whatever_comes_before_it() {
        let mut registry = registry(1);
        assert_eq!(registry.route("/chat"), RouteId(0));
        assert_eq!(registry.route("/news"), RouteId(1));
        assert_eq!(registry.route("/chat"), RouteId(0));
        for name in 2..=u32::from(u16::MAX) {
            registry.route(&name.to_string());
        }
        assert_eq!(registry.route("one too many"), RouteId(0));
    }

    #[test]
    fn fresh_rows_go_before_used_ones() {
        let mut registry = registry(2);
        registry.assign("chat", address(1)).unwrap();
        registry.retain(|_| false);
        assert_eq!(registry.assign("chat", address(2)), Ok(BackendId(1)));
        assert_eq!(registry.assign("chat", address(3)), Ok(BackendId(0)));
    }

    #[test]
    fn a_row_with_tunnels_is_not_given_away() {
        let mut registry = registry(2);
        let first = registry.assign("chat", address(1)).unwrap();
        let second = registry.assign("chat", address(2)).unwrap();
        registry.table().connect_started(first);
        registry.table().failed(second, BackendFailure::Closed);
        registry.retain(|_| false);
        assert_eq!(registry.assign("chat", address(3)), Ok(second));
        assert_eq!(
            registry.table().failures(second, BackendFailure::Closed),
            0,
            "the newcomer does not inherit failures"
        );
        assert_eq!(
            registry.assign("chat", address(4)),
            Err(TableFull { capacity: 2 })
        );
        registry.table().connect_ended(first);
        assert_eq!(registry.assign("chat", address(4)), Ok(first));
    }

    #[test]
    fn a_backend_that_returned_is_safe_from_being_replaced() {
        let mut registry = registry(1);
        let id = registry.assign("chat", address(1)).unwrap();
        registry.retain(|_| false);
        assert_eq!(registry.assign("chat", address(1)), Ok(id));
        assert_eq!(
            registry.assign("chat", address(2)),
            Err(TableFull { capacity: 1 })
        );
    }
}
