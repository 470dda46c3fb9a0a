//! The fleet as people and programs read it: one row a backend, live.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Overseer;
use super::record::Record;
use super::tasks::Probed;
use crate::clock::Now;
use crate::fleet::{BackendId, SlotTable};
use crate::health;
use crate::metrics::BackendFailure;

/// One backend of one pool at this moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BackendRow {
    /// Its pool.
    pub pool: String,
    /// Its name, by which orders name it.
    pub backend: String,
    /// Where it is.
    pub address: String,
    /// `up`, `down`, `draining`, `disabled`, `ejected` or `trial`.
    pub state: String,
    /// Its tier; 0 is the first.
    pub priority: u8,
    /// Its share of the pool by now.
    pub weight: u16,
    /// Tunnels open to it, over all workers.
    pub established: u32,
    /// Connections being made to it.
    pub connecting: u32,
    /// What its handshakes take by now, in milliseconds, slow ones first; nothing before the first.
    pub handshake_ms: Option<f64>,
    /// Failed handshakes in a row.
    pub failures_in_a_row: u32,
    /// Failed handshakes so far, by kind.
    pub failures: BTreeMap<String, u64>,
    /// For how many seconds more it is put out, if it is.
    pub ejected_for: Option<f64>,
    /// Tunnels that have ended, modulo 2^32.
    pub ended: u32,
    /// Of those, the ones that ended abnormally by its doing.
    pub ended_abnormally: u32,
    /// What its probes say, where it is probed.
    pub probe: Option<ProbeRow>,
}

/// The last probe of a backend.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProbeRow {
    /// Whether the probes hold it to be up.
    pub up: bool,
    /// How long the last one took in milliseconds, if it was good.
    pub took_ms: Option<f64>,
    /// What was wrong with it, if it was bad, in one word.
    pub reason: Option<String>,
    /// And in a sentence.
    pub error: Option<String>,
    /// How many seconds ago it ended.
    pub ago: f64,
}

impl Overseer {
    /// Every backend, in the order of the pools and their backends.
    pub(in crate::control) fn rows(&self, now: Now) -> Vec<BackendRow> {
        let members = self
            .snapshot
            .pools
            .iter()
            .flat_map(|pool| pool.backends.iter());
        members
            .filter_map(|member| self.row(member.id, now))
            .collect()
    }

    pub(super) fn row(&self, id: BackendId, now: Now) -> Option<BackendRow> {
        let record = self.records.get(&id)?;
        Some(row(record, self.registry.table(), now))
    }
}

fn row(record: &Record, table: &SlotTable, now: Now) -> BackendRow {
    let id = record.id;
    let load = table.load(id);
    let ends = table.ends(id);
    let pace = table.pace(id);
    let failures = BackendFailure::ALL.iter().map(|failure| {
        let label = failure.label().to_owned();
        (label, table.failures(id, *failure))
    });
    let probe = record
        .last_probe
        .as_ref()
        .map(|last| probe_row(record.is_down, last, now));
    BackendRow {
        pool: record.pool.to_string(),
        backend: record.name.to_string(),
        address: record.address.to_string(),
        state: health::describe(table, id, now).to_owned(),
        priority: record.priority,
        weight: table.standing(id).weight,
        established: load.established,
        connecting: load.connecting,
        handshake_ms: (pace.micros > 0).then(|| pace.micros_at(now) / 1e3),
        failures_in_a_row: table.streak(id),
        failures: failures.collect(),
        ejected_for: health::returns_in(table, id, now).map(|left| left.as_secs_f64()),
        ended: ends.total,
        ended_abnormally: ends.abnormal,
        probe,
    }
}

fn probe_row(is_down: bool, (probed, ended): &(Probed, Now), now: Now) -> ProbeRow {
    let failure = probed.outcome.as_ref().err();
    ProbeRow {
        up: !is_down,
        took_ms: probed
            .outcome
            .as_ref()
            .ok()
            .map(|took| took.as_secs_f64() * 1e3),
        reason: failure.map(|failure| failure.label().to_owned()),
        error: failure.map(ToString::to_string),
        ago: now.since(*ended).as_secs_f64(),
    }
}
