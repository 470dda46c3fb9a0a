//! The one thing all cores share: a fixed array of backend rows. It is built once and never moves.

use super::ids::BackendId;
use super::slot::{Load, Slot};
use crate::limits::SLOT_ROWS_MAX;
use crate::metrics::BackendFailure;

/// A row for every backend, shared by all workers as an `Arc`. Counts are fleet-wide.
///
/// The life of one connection to a backend is one of these lines, and each is paired on the same id:
///
/// ```text
/// connect_started → connect_ended                no tunnel came of it
/// connect_started → opened → closed              a tunnel lived
/// ```
///
/// `opened` moves the count from connecting to established; `connect_ended` is not called after it.
/// A worker calls them through its [`Ledger`](super::Ledger), which gives back what it held if it dies.
/// An id that is not in the table is a broken invariant: ids come from a [`Registry`](super::Registry) of
/// the same table.
pub struct SlotTable {
    rows: Box<[Slot]>,
}

impl SlotTable {
    /// A table with room for `capacity` backends, at most [`SLOT_ROWS_MAX`]; each costs 128 bytes.
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.min(SLOT_ROWS_MAX);
        Self {
            rows: (0..capacity).map(|_| Slot::new()).collect(),
        }
    }

    /// How many backends fit.
    pub fn capacity(&self) -> usize {
        self.rows.len()
    }

    /// Tunnels open to this backend, from all workers.
    pub fn established(&self, id: BackendId) -> u32 {
        self.load(id).established
    }

    /// Connections being made to this backend, from all workers.
    pub fn connecting(&self, id: BackendId) -> u32 {
        self.load(id).connecting
    }

    /// Both counts, read in one piece.
    pub fn load(&self, id: BackendId) -> Load {
        self.row(id).load()
    }

    /// Failures of one kind since this backend got its row.
    pub fn failures(&self, id: BackendId, failure: BackendFailure) -> u64 {
        self.row(id).failures(failure)
    }

    /// A backend was picked and a connection to it begins.
    pub fn connect_started(&self, id: BackendId) {
        self.row(id).connect_started();
    }

    /// The connection ended before it became a tunnel, for whatever reason.
    pub fn connect_ended(&self, id: BackendId) {
        self.row(id).connect_ended();
    }

    /// The connection became a tunnel.
    pub fn opened(&self, id: BackendId) {
        self.row(id).opened();
    }

    /// The tunnel ended.
    pub fn closed(&self, id: BackendId) {
        self.row(id).closed();
    }

    /// Counts something the backend did wrong. Claims nothing and gives nothing back.
    pub fn failed(&self, id: BackendId, failure: BackendFailure) {
        self.row(id).failed(failure);
    }

    pub(super) fn give_back(&self, id: BackendId, held: Load) {
        self.row(id).give_back(held);
    }

    pub(super) fn forget_failures(&self, id: BackendId) {
        self.row(id).forget_failures();
    }

    fn row(&self, id: BackendId) -> &Slot {
        &self.rows[id.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_do_not_touch_each_other() {
        let table = SlotTable::new(3);
        table.connect_started(BackendId(1));
        table.opened(BackendId(1));
        table.connect_started(BackendId(2));
        table.failed(BackendId(2), BackendFailure::Refused);
        assert_eq!(table.load(BackendId(0)).total(), 0);
        assert_eq!(table.established(BackendId(1)), 1);
        assert_eq!(table.connecting(BackendId(2)), 1);
        assert_eq!(table.failures(BackendId(2), BackendFailure::Refused), 1);
        assert_eq!(table.failures(BackendId(1), BackendFailure::Refused), 0);
    }

    #[test]
    fn the_table_is_no_larger_than_its_bound() {
        assert_eq!(SlotTable::new(usize::MAX).capacity(), SLOT_ROWS_MAX);
    }

    #[test]
    fn counts_from_many_threads_add_up() {
        let table = SlotTable::new(1);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        table.connect_started(BackendId(0));
                        table.opened(BackendId(0));
                        table.closed(BackendId(0));
                    }
                    table.connect_started(BackendId(0));
                    table.opened(BackendId(0));
                });
            }
        });
        assert_eq!(table.established(BackendId(0)), 4);
        assert_eq!(table.connecting(BackendId(0)), 0);
    }
}
