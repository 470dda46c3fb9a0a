//! The few words that a run and its threads exchange.

use crate::clock::Now;
use crate::sync::{AtomicU64, Ordering};

/// Shared by the threads of one run. Nothing is read through these values but themselves, so every access is relaxed:
/// a thread that sees one late begins a poll later.
#[derive(Debug, Default)]
pub(super) struct Signals {
    /// Nanoseconds of the common start, [`NOT_YET`] or [`NEVER`]. Written by the run, once.
    start: AtomicU64,
    /// Tunnels opened so far. Every thread adds its own; the progress bar reads.
    opened: AtomicU64,
    /// Messages answered so far. Every thread adds its own, once for each poll.
    answered: AtomicU64,
}

/// What the run has decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    NotYet,
    Never,
    At(Now),
}

impl Signals {
    pub(super) fn start(&self, at: Now) {
        let nanos = at.as_nanos().clamp(NOT_YET + 1, NEVER - 1);
        self.start.store(nanos, Ordering::Relaxed);
    }

    pub(super) fn call_off(&self) {
        self.start.store(NEVER, Ordering::Relaxed);
    }

    pub(super) fn decision(&self) -> Start {
        match self.start.load(Ordering::Relaxed) {
            NOT_YET => Start::NotYet,
            NEVER => Start::Never,
            nanos => Start::At(Now::from_nanos(nanos)),
        }
    }

    pub(super) fn add_opened(&self, count: u64) {
        self.opened.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn add_answered(&self, count: u64) {
        self.answered.fetch_add(count, Ordering::Relaxed);
    }

    /// Tunnels opened and messages answered so far.
    pub(super) fn progress(&self) -> (u64, u64) {
        (
            self.opened.load(Ordering::Relaxed),
            self.answered.load(Ordering::Relaxed),
        )
    }
}

const NOT_YET: u64 = 0;
const NEVER: u64 = u64::MAX;
