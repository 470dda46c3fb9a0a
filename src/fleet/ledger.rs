//! What one worker holds in the shared table, so that its death costs the fleet no counts.

use std::cell::Cell;

use super::ids::BackendId;
use super::rules::Caps;
use super::slot::Load;
use super::table::SlotTable;
use crate::metrics::BackendFailure;
use crate::sync::Arc;

/// A worker's own account of its claims. It forwards each step to the shared [`SlotTable`] and remembers
/// the difference; dropped, also by a panic that unwinds, it gives back whatever is still out. The fleet's
/// counts then stay true after the worker's tunnels have died with it.
///
/// It belongs to one thread and costs eight bytes a row, nothing a tunnel. The steps are those of the table.
pub struct Ledger {
    table: Arc<SlotTable>,
    /// Invariant: `held[id]` is this worker's part of `table.load(id)`.
    held: Box<[Cell<Load>]>,
}

impl Ledger {
    /// An account with nothing in it.
    pub fn new(table: Arc<SlotTable>) -> Self {
        let held = (0..table.capacity()).map(|_| Cell::default()).collect();
        Self { table, held }
    }

    /// The shared table, to pick by.
    pub fn table(&self) -> &SlotTable {
        &self.table
    }

    /// A backend was picked and a connection to it begins.
    pub fn connect_started(&self, id: BackendId) {
        if self.step(id, (1, 0)) {
            self.table.connect_started(id);
        }
    }

    /// The same, unless the backend is at one of its caps; false then, and nothing is counted.
    pub fn try_connect_started(&self, id: BackendId, caps: Caps) -> bool {
        let started = self.table.try_connect_started(id, caps);
        if started && !self.step(id, (1, 0)) {
            // More than 2^32 are held: nobody comes here.
            self.table.connect_ended(id);
            return false;
        }
        started
    }

    /// The connection ended before it became a tunnel, for whatever reason.
    pub fn connect_ended(&self, id: BackendId) {
        if self.step(id, (-1, 0)) {
            self.table.connect_ended(id);
        }
    }

    /// The connection became a tunnel.
    pub fn opened(&self, id: BackendId) {
        if self.step(id, (-1, 1)) {
            self.table.opened(id);
        }
    }

    /// The tunnel ended.
    pub fn closed(&self, id: BackendId) {
        if self.step(id, (0, -1)) {
            self.table.closed(id);
        }
    }

    /// Counts how a tunnel ended; `abnormal` if without a Close frame or with 1011, by the backend's doing.
    /// Claims nothing and gives nothing back: that is [`closed`](Self::closed).
    pub fn ended(&self, id: BackendId, abnormal: bool) {
        self.table.ended(id, abnormal);
    }

    /// Counts something the backend did wrong.
    pub fn failed(&self, id: BackendId, failure: BackendFailure) {
        self.table.failed(id, failure);
    }

    /// This worker's part of a backend's load.
    pub fn held(&self, id: BackendId) -> Load {
        self.held[id.index()].get()
    }

    /// Gives back every claim that is still out, for the end of a worker. A task that outlives it and ends its
    /// connection only then finds nothing to give back, and changes nothing; nor does a second call.
    pub fn give_back_all(&self) {
        for (row, held) in (0..=u16::MAX).zip(&self.held) {
            let held = held.take();
            if held != Load::default() {
                self.table.give_back(BackendId(row), held);
            }
        }
    }

    /// Changes what is held, unless it would give back what is not held: that would be taken from another worker.
    fn step(&self, id: BackendId, (connecting, established): (i32, i32)) -> bool {
        let cell = &self.held[id.index()];
        let held = cell.get();
        let connecting = held.connecting.checked_add_signed(connecting);
        let established = held.established.checked_add_signed(established);
        let (Some(connecting), Some(established)) = (connecting, established) else {
            return false;
        };
        cell.set(Load {
            established,
            connecting,
        });
        true
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.give_back_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAT: BackendId = BackendId(0);

    #[test]
    fn a_worker_that_dies_gives_back_only_what_it_held() {
        let table = Arc::new(SlotTable::new(2));
        let survivor = Ledger::new(Arc::clone(&table));
        survivor.connect_started(CHAT);
        survivor.opened(CHAT);

        let shared = Arc::clone(&table);
        let died = std::thread::spawn(move || {
            let ledger = Ledger::new(shared);
            for _ in 0..3 {
                ledger.connect_started(CHAT);
            }
            ledger.opened(CHAT);
            ledger.connect_started(BackendId(1));
            assert_eq!(ledger.table().load(CHAT).total(), 4);
            std::panic::resume_unwind(Box::new("the worker dies"));
        });
        assert!(died.join().is_err());

        let left = Load {
            established: 1,
            connecting: 0,
        };
        assert_eq!(table.load(CHAT), left);
        assert_eq!(survivor.held(CHAT), left);
        assert_eq!(table.load(BackendId(1)), Load::default());
        survivor.closed(CHAT);
        assert_eq!(table.load(CHAT), Load::default());
    }

    #[test]
    fn the_last_row_that_an_id_can_name_is_given_back_too() {
        let table = Arc::new(SlotTable::new(usize::MAX));
        let last = BackendId(u16::MAX);
        let ledger = Ledger::new(Arc::clone(&table));
        ledger.connect_started(last);
        drop(ledger);
        assert_eq!(table.load(last), Load::default());
    }

    #[test]
    fn an_orderly_life_leaves_nothing_to_give_back() {
        let table = Arc::new(SlotTable::new(1));
        let ledger = Ledger::new(Arc::clone(&table));
        ledger.connect_started(CHAT);
        ledger.opened(CHAT);
        ledger.connect_started(CHAT);
        ledger.failed(CHAT, BackendFailure::Refused);
        ledger.connect_ended(CHAT);
        ledger.closed(CHAT);
        assert_eq!(ledger.held(CHAT), Load::default());
        drop(ledger);
        assert_eq!(table.load(CHAT), Load::default());
        assert_eq!(table.failures(CHAT, BackendFailure::Refused), 1);
    }

    #[test]
    fn the_end_of_a_tunnel_is_counted_beside_the_claim() {
        let table = Arc::new(SlotTable::new(1));
        let ledger = Ledger::new(Arc::clone(&table));
        ledger.connect_started(CHAT);
        ledger.opened(CHAT);
        ledger.ended(CHAT, true);
        ledger.ended(CHAT, false);
        let ends = table.ends(CHAT);
        assert_eq!((ends.total, ends.abnormal), (2, 1));
        assert_eq!(ledger.held(CHAT).established, 1);
    }

    #[test]
    fn an_end_after_everything_was_given_back_takes_nothing_from_another_worker() {
        let table = Arc::new(SlotTable::new(1));
        let other = Ledger::new(Arc::clone(&table));
        other.connect_started(CHAT);
        other.opened(CHAT);

        let gone = Ledger::new(Arc::clone(&table));
        gone.connect_started(CHAT);
        gone.opened(CHAT);
        gone.connect_started(CHAT);
        gone.give_back_all();
        gone.connect_ended(CHAT);
        gone.opened(CHAT);
        gone.closed(CHAT);
        drop(gone);
        assert_eq!(table.load(CHAT), other.held(CHAT));
    }
}
