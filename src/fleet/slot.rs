//! One backend's row in the shared table: what is open to it, what is being opened, what it did wrong.

use crossbeam_utils::CachePadded;

use crate::metrics::BackendFailure;
use crate::sync::{AtomicU64, Ordering};

/// What a backend carries at one instant, read in one piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Tunnels that are open.
    pub established: u32,
    /// Connections on their way to becoming tunnels.
    pub connecting: u32,
}

impl Load {
    /// Both together: what a policy should compare.
    pub const fn total(self) -> u64 {
        self.established as u64 + self.connecting as u64
    }

    const fn unpacked(word: u64) -> Self {
        Self {
            established: (word & 0xFFFF_FFFF) as u32,
            connecting: (word >> 32) as u32,
        }
    }
}

/// The row. Padded to the pair of cache lines that the prefetcher fetches together, so that two backends
/// never share one.
pub(super) struct Slot(CachePadded<Row>);

struct Row {
    /// `connecting` in the high half, `established` in the low half. One word, so that a connection which
    /// becomes a tunnel moves from one half to the other in a single step: no reader ever counts it twice
    /// or misses it, and a whole turn of life costs three additions.
    ///
    /// Writers: every worker, by addition. Ordering: `Relaxed`. The modification order of this one word is
    /// all that balancing needs; no other memory is published through it.
    /// Invariant: each half is the number of claims not given back, so neither ever borrows from the other.
    load: AtomicU64,
    /// Failures by kind, in the order of [`BackendFailure::ALL`].
    ///
    /// Writers: every worker, by addition; control, by a store of zero when the row goes to a new backend.
    /// Ordering: `Relaxed`. They are read as statistics only.
    failures: [AtomicU64; BackendFailure::ALL.len()],
}

impl Slot {
    pub(super) fn new() -> Self {
        Self(CachePadded::new(Row {
            load: AtomicU64::new(0),
            failures: std::array::from_fn(|_| AtomicU64::new(0)),
        }))
    }

    pub(super) fn load(&self) -> Load {
        Load::unpacked(self.0.load.load(Ordering::Relaxed))
    }

    pub(super) fn connect_started(&self) {
        self.0.load.fetch_add(CONNECTING, Ordering::Relaxed);
    }

    pub(super) fn connect_ended(&self) {
        let before = self.0.load.fetch_sub(CONNECTING, Ordering::Relaxed);
        debug_assert!(before >= CONNECTING, "no connection was being made");
    }

    pub(super) fn opened(&self) {
        let step = CONNECTING - ESTABLISHED;
        let before = self.0.load.fetch_sub(step, Ordering::Relaxed);
        debug_assert!(before >= CONNECTING, "no connection was being made");
    }

    pub(super) fn closed(&self) {
        let before = self.0.load.fetch_sub(ESTABLISHED, Ordering::Relaxed);
        debug_assert!(Load::unpacked(before).established > 0, "no tunnel was open");
    }

    /// Takes back many claims at once, for a worker that died.
    pub(super) fn give_back(&self, held: Load) {
        let word = u64::from(held.connecting) * CONNECTING + u64::from(held.established);
        let before = self.0.load.fetch_sub(word, Ordering::Relaxed);
        debug_assert!(before >= word, "more given back than claimed");
    }

    pub(super) fn failed(&self, failure: BackendFailure) {
        self.0.failures[failure.index()].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failures(&self, failure: BackendFailure) -> u64 {
        self.0.failures[failure.index()].load(Ordering::Relaxed)
    }

    /// Forgets the failures of the row's former backend. A worker that counts one in the same instant may
    /// have it lost or kept; either is only a statistic.
    pub(super) fn forget_failures(&self) {
        for failures in &self.0.failures {
            failures.store(0, Ordering::Relaxed);
        }
    }
}

const ESTABLISHED: u64 = 1;
const CONNECTING: u64 = 1 << 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_moves_from_one_half_to_the_other_and_leaves_nothing() {
        let slot = Slot::new();
        slot.connect_started();
        slot.connect_started();
        assert_eq!(
            slot.load(),
            Load {
                established: 0,
                connecting: 2
            }
        );
        slot.opened();
        assert_eq!(
            slot.load(),
            Load {
                established: 1,
                connecting: 1
            }
        );
        slot.connect_ended();
        slot.closed();
        assert_eq!(slot.load(), Load::default());
    }

    #[test]
    fn failures_are_counted_by_kind() {
        let slot = Slot::new();
        slot.failed(BackendFailure::Refused);
        slot.failed(BackendFailure::Refused);
        slot.failed(BackendFailure::BadAnswer);
        assert_eq!(slot.failures(BackendFailure::Refused), 2);
        assert_eq!(slot.failures(BackendFailure::BadAnswer), 1);
        assert_eq!(slot.failures(BackendFailure::Closed), 0);
        slot.forget_failures();
        assert_eq!(slot.failures(BackendFailure::Refused), 0);
    }

    #[test]
    fn two_rows_never_share_a_line_and_one_row_fits_a_pair() {
        assert_eq!(size_of::<Slot>(), 128);
        assert_eq!(align_of::<Slot>(), align_of::<CachePadded<u8>>());
    }
}
