//! The one thing all cores share: a fixed array of backend rows. It is built once and never moves.

use std::time::Duration;

use crossbeam_utils::CachePadded;

use super::ejection::Ejection;
use super::ids::BackendId;
use super::pace::Pace;
use super::rules::Caps;
use super::slot::{Ends, Load, Slot};
use super::standing::Standing;
use crate::clock::Now;
use crate::limits::SLOT_ROWS_MAX;
use crate::metrics::BackendFailure;
use crate::sync::{AtomicU64, Ordering};

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
    /// Grows with every change of who may be picked, so that one load tells a worker whether what it remembers
    /// still holds.
    ///
    /// Writers: whoever changed a standing or an ejection, after that change, by addition. Ordering: `Release`,
    /// read with `Acquire`: who sees the new number sees the change.
    epoch: CachePadded<AtomicU64>,
}

impl SlotTable {
    /// A table with room for `capacity` backends, at most [`SLOT_ROWS_MAX`]; each costs 128 bytes.
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.min(SLOT_ROWS_MAX);
        Self {
            rows: (0..capacity).map(|_| Slot::new()).collect(),
            epoch: CachePadded::new(AtomicU64::new(0)),
        }
    }

    /// The number of changes so far in who may be picked.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    fn changed(&self) {
        self.epoch.fetch_add(1, Ordering::Release);
    }

    /// What control has decided about a backend.
    pub fn standing(&self, id: BackendId) -> Standing {
        self.row(id).standing()
    }

    /// Control decides about a backend. Every worker sees it at its next pick.
    pub fn set_standing(&self, id: BackendId, standing: Standing) {
        if self.standing(id) != standing {
            self.row(id).set_standing(standing);
            self.changed();
        }
    }

    /// Whether workers have put it out.
    pub fn ejection(&self, id: BackendId) -> Ejection {
        self.row(id).ejection()
    }

    /// Replaces the ejection of a backend if it is still `from`; false if somebody else was first.
    pub fn replace_ejection(&self, id: BackendId, from: Ejection, to: Ejection) -> bool {
        let replaced = self.row(id).replace_ejection(from, to);
        if replaced {
            self.changed();
        }
        replaced
    }

    /// How long its handshakes take.
    pub fn pace(&self, id: BackendId) -> Pace {
        self.row(id).pace()
    }

    /// A handshake with it succeeded after this time, from the start of the connection to its answer.
    pub fn handshake_took(&self, id: BackendId, took: Duration, now: Now) {
        self.row(id).handshake_took(took, now);
    }

    /// How its tunnels ended so far.
    pub fn ends(&self, id: BackendId) -> Ends {
        self.row(id).ends()
    }

    /// A tunnel to it ended; `abnormal` if without a Close frame or with 1011, by the backend's doing.
    pub fn ended(&self, id: BackendId, abnormal: bool) {
        self.row(id).ended(abnormal);
    }

    /// When it last came up, in milliseconds of the process's clock; 0 if it has been up from the start.
    pub fn risen_ms(&self, id: BackendId) -> u64 {
        self.row(id).risen_ms()
    }

    /// It came up: its slow start begins.
    pub fn rose(&self, id: BackendId, now: Now) {
        self.row(id).rose(now);
        self.changed();
    }

    /// Failed handshakes in a row.
    pub fn streak(&self, id: BackendId) -> u32 {
        self.row(id).streak()
    }

    /// One more failed handshake in a row; hands back how many that are.
    pub fn streak_grew(&self, id: BackendId) -> u32 {
        self.row(id).streak_grew()
    }

    /// A handshake succeeded.
    pub fn streak_ended(&self, id: BackendId) {
        self.row(id).streak_ended();
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

    /// The same, unless the backend is at one of its caps; false then, and nothing is counted.
    pub fn try_connect_started(&self, id: BackendId, caps: Caps) -> bool {
        self.row(id).try_connect_started(caps)
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

    /// The row goes to a new backend.
    pub(super) fn hand_over(&self, id: BackendId) {
        self.row(id).hand_over();
        self.changed();
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
