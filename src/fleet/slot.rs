//! One backend's row in the shared table: what is open to it, what is being opened, what it did wrong.

use crossbeam_utils::CachePadded;

use super::ejection::Ejection;
use super::pace::Pace;
use super::rules::Caps;
use super::standing::Standing;
use crate::clock::Now;
use crate::metrics::BackendFailure;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// What a backend carries at one instant, read in one piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Tunnels that are open.
    pub established: u32,
    /// Connections on their way to becoming tunnels.
    pub connecting: u32,
}

/// How a backend's tunnels ended, so far. Both counts wrap around; only differences mean something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ends {
    /// All that ended.
    pub total: u32,
    /// Those that ended abnormally by the backend's doing: without a Close frame (1006), or with 1011.
    pub abnormal: u32,
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
    /// State, weight and generation in one word.
    ///
    /// Writer: control, by stores. Ordering: `Release`, read with `Acquire`: who sees a new generation sees the
    /// row as it was handed over. A worker that reads it a moment early picks by what was true a moment ago.
    standing: AtomicU64,
    /// Whether workers have put it out, until when, and how often in a row.
    ///
    /// Writers: every worker and control, by compare and exchange. Ordering: `Relaxed`; the modification order
    /// of this one word decides who ejected and who got the trial, and nothing else is published through it.
    ejection: AtomicU64,
    /// The average time of a handshake and when it was written.
    ///
    /// Writers: every worker, by one try of compare and exchange; a sample that lost the race is dropped, as
    /// another one was just counted. Ordering: `Relaxed`, a statistic.
    pace: AtomicU64,
    /// Abnormal ends in the high half, all ends in the low one; both wrap.
    ///
    /// Writers: every worker, by addition. Ordering: `Relaxed`, a statistic that control reads in one piece.
    ends: AtomicU64,
    /// When it last came up, in milliseconds of the process's clock; 0 has been up from the start.
    ///
    /// Writers: control when its probes rise, a worker when its trial succeeds; by stores. Ordering: `Relaxed`.
    risen_ms: AtomicU64,
    /// Failed handshakes in a row.
    ///
    /// Writers: every worker, by addition, and by a store of zero after a success. Ordering: `Relaxed`. A
    /// failure and a success in the same instant may come in either order; both are true.
    streak: AtomicU32,
}

impl Slot {
    pub(super) fn new() -> Self {
        Self(CachePadded::new(Row {
            load: AtomicU64::new(0),
            failures: std::array::from_fn(|_| AtomicU64::new(0)),
            standing: AtomicU64::new(Standing::default().packed()),
            ejection: AtomicU64::new(Ejection::default().packed()),
            pace: AtomicU64::new(0),
            ends: AtomicU64::new(0),
            risen_ms: AtomicU64::new(0),
            streak: AtomicU32::new(0),
        }))
    }

    /// Counts a connection as begun unless the backend is at one of its caps.
    pub(super) fn try_connect_started(&self, caps: Caps) -> bool {
        if caps == Caps::default() {
            self.connect_started();
            return true;
        }
        let below = |count: u64, cap: Option<u32>| cap.is_none_or(|cap| count < u64::from(cap));
        let mut word = self.0.load.load(Ordering::Relaxed);
        loop {
            let load = Load::unpacked(word);
            if !below(load.total(), caps.established)
                || !below(load.connecting.into(), caps.connecting)
            {
                return false;
            }
            let next = word + CONNECTING;
            let relaxed = Ordering::Relaxed;
            match self
                .0
                .load
                .compare_exchange_weak(word, next, relaxed, relaxed)
            {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
    }

    pub(super) fn standing(&self) -> Standing {
        Standing::unpacked(self.0.standing.load(Ordering::Acquire))
    }

    pub(super) fn set_standing(&self, standing: Standing) {
        self.0.standing.store(standing.packed(), Ordering::Release);
    }

    pub(super) fn ejection(&self) -> Ejection {
        Ejection::unpacked(self.0.ejection.load(Ordering::Relaxed))
    }

    /// Replaces the ejection if it is still `from`.
    pub(super) fn replace_ejection(&self, from: Ejection, to: Ejection) -> bool {
        let relaxed = Ordering::Relaxed;
        let (from, to) = (from.packed(), to.packed());
        self.0
            .ejection
            .compare_exchange(from, to, relaxed, relaxed)
            .is_ok()
    }

    pub(super) fn pace(&self) -> Pace {
        Pace::unpacked(self.0.pace.load(Ordering::Relaxed))
    }

    pub(super) fn handshake_took(&self, took: std::time::Duration, now: Now) {
        let before = self.0.pace.load(Ordering::Relaxed);
        let after = Pace::unpacked(before).observed(took, now).packed();
        let relaxed = Ordering::Relaxed;
        // A sample that lost the race is dropped.
        let _ = self
            .0
            .pace
            .compare_exchange(before, after, relaxed, relaxed);
    }

    pub(super) fn ends(&self) -> Ends {
        let word = self.0.ends.load(Ordering::Relaxed);
        Ends {
            total: (word & 0xFFFF_FFFF) as u32,
            abnormal: (word >> 32) as u32,
        }
    }

    /// Counts the end of a tunnel. The low half may carry into the high one once in 2^32 ends.
    pub(super) fn ended(&self, abnormal: bool) {
        let step = 1 + (u64::from(abnormal) << 32);
        self.0.ends.fetch_add(step, Ordering::Relaxed);
    }

    pub(super) fn risen_ms(&self) -> u64 {
        self.0.risen_ms.load(Ordering::Relaxed)
    }

    pub(super) fn rose(&self, now: Now) {
        self.0
            .risen_ms
            .store(now.as_millis().max(1), Ordering::Relaxed);
    }

    /// One more failed handshake in a row; hands back how many that are.
    pub(super) fn streak_grew(&self) -> u32 {
        self.0
            .streak
            .fetch_add(1, Ordering::Relaxed)
            .saturating_add(1)
    }

    pub(super) fn streak(&self) -> u32 {
        self.0.streak.load(Ordering::Relaxed)
    }

    /// A handshake succeeded. Most find zero there and leave the line alone.
    pub(super) fn streak_ended(&self) {
        if self.streak() != 0 {
            self.0.streak.store(0, Ordering::Relaxed);
        }
    }

    /// A new owner: nothing of the former one's record is held against it.
    pub(super) fn hand_over(&self) {
        self.forget_failures();
        for word in [
            &self.0.ejection,
            &self.0.pace,
            &self.0.ends,
            &self.0.risen_ms,
        ] {
            word.store(0, Ordering::Relaxed);
        }
        self.0.streak.store(0, Ordering::Relaxed);
        let generation = self.standing().generation.wrapping_add(1);
        self.set_standing(Standing {
            generation,
            ..Standing::default()
        });
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
    fn forget_failures(&self) {
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
        slot.hand_over();
        assert_eq!(slot.failures(BackendFailure::Refused), 0);
        assert_eq!(slot.standing().generation, 1);
    }

    #[test]
    fn a_capped_backend_takes_no_more_than_its_cap() {
        let slot = Slot::new();
        let caps = Caps {
            established: Some(2),
            connecting: Some(1),
        };
        assert!(slot.try_connect_started(caps));
        assert!(!slot.try_connect_started(caps), "one is being made");
        slot.opened();
        assert!(slot.try_connect_started(caps));
        slot.opened();
        assert!(!slot.try_connect_started(caps), "two are open");
        slot.closed();
        assert!(slot.try_connect_started(caps));
    }

    #[test]
    fn ends_and_streaks_are_counted() {
        let slot = Slot::new();
        slot.ended(false);
        slot.ended(true);
        assert_eq!(
            slot.ends(),
            Ends {
                total: 2,
                abnormal: 1
            }
        );
        assert_eq!((slot.streak_grew(), slot.streak_grew()), (1, 2));
        slot.streak_ended();
        assert_eq!(slot.streak(), 0);
    }

    #[test]
    fn two_rows_never_share_a_line_and_one_row_fits_a_pair() {
        assert_eq!(size_of::<Slot>(), 128);
        assert_eq!(align_of::<Slot>(), align_of::<CachePadded<u8>>());
    }
}
