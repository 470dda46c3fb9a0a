//! What clients saw of a reload, or of the death of a backend.

use std::collections::BTreeMap;

/// The counts of one run.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Upheaval {
    pub(crate) tunnels: u64,
    pub(crate) tunnels_lost: u64,
    /// Messages that were sent, or due, and never answered.
    pub(crate) messages_lost: u64,
    /// How the lost tunnels ended, as their clients saw it.
    pub(crate) ends: BTreeMap<String, u64>,
    /// New connections that were tried from the event on.
    pub(crate) handshakes: u64,
    pub(crate) handshakes_failed: u64,
    /// What the failed ones got.
    pub(crate) refusals: BTreeMap<String, u64>,
    /// From the event to the end of the last handshake that failed, in milliseconds; 0 if none did.
    pub(crate) failing_ms: f64,
    /// Processes of the proxy at the end: those that still hold old tunnels count.
    pub(crate) processes: u64,
}

impl Upheaval {
    /// All runs of a row together.
    pub(crate) fn sum<'a>(all: impl Iterator<Item = &'a Self>) -> Option<Self> {
        all.fold(None, |sum, one| {
            let mut sum: Self = sum.unwrap_or_default();
            sum.tunnels += one.tunnels;
            sum.tunnels_lost += one.tunnels_lost;
            sum.messages_lost += one.messages_lost;
            sum.handshakes += one.handshakes;
            sum.handshakes_failed += one.handshakes_failed;
            add(&mut sum.ends, &one.ends);
            add(&mut sum.refusals, &one.refusals);
            sum.failing_ms = sum.failing_ms.max(one.failing_ms);
            sum.processes = sum.processes.max(one.processes);
            Some(sum)
        })
    }
}

/// Counts in words: `12 × Close 1011, 4 × reset`.
pub(crate) fn counted(counts: &BTreeMap<String, u64>) -> String {
    let words = counts
        .iter()
        .map(|(what, count)| format!("{count} × {what}"));
    words.collect::<Vec<_>>().join(", ")
}

fn add(sum: &mut BTreeMap<String, u64>, more: &BTreeMap<String, u64>) {
    for (what, count) in more {
        *sum.entry(what.clone()).or_default() += count;
    }
}
