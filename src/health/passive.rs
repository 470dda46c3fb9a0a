//! What a worker concludes from a handshake of its own.

use std::time::Duration;

use super::eject::{eject, trusted};
use crate::clock::Now;
use crate::fleet::{BackendId, Ejection, Phase, Pool, SlotTable};

/// A handshake with a backend failed by the backend's doing. Hands back for how long it is now out, if this
/// put it out.
///
/// A trial that failed puts it out again at once. Else the streak decides: it is tried at each multiple of the
/// threshold, so that a pool at its share of ejections is not looked through at every failure.
/// A failure of a handshake that began before the trial counts like the trial's own: it is as true.
pub fn failed(pool: &Pool, table: &SlotTable, id: BackendId, now: Now) -> Option<Duration> {
    let streak = table.streak_grew(id);
    let threshold = pool.ejection.failures;
    let enough = threshold > 0 && streak.is_multiple_of(threshold);
    // Read once: what is decided for a trial must not fall on a backend that another worker just found well.
    let before = table.ejection(id);
    if enough || is_on_trial(before) {
        eject(pool, table, id, before, now)
    } else {
        None
    }
}

/// A handshake succeeded, `took` long from the start of the connection. True if that was its trial and it is
/// trusted again: its slow start begins.
///
/// For a backend that was well and still is, this reads three words of its row and writes one, the pace.
pub fn succeeded(table: &SlotTable, id: BackendId, took: Duration, now: Now) -> bool {
    table.streak_ended(id);
    table.handshake_took(id, took, now);
    let trial = table.ejection(id);
    let returned = is_on_trial(trial) && table.replace_ejection(id, trial, trusted(trial, now));
    if returned {
        table.rose(id, now);
    }
    returned
}

/// A handshake that began while its backend was out, in a panic, has succeeded: it is trusted again, whatever is left
/// of its time. Or nobody would be trusted until the time is over, and every other pick in a panic would be of one
/// that is not well. True if it had still been out.
pub fn vouched(table: &SlotTable, id: BackendId, now: Now) -> bool {
    let out = table.ejection(id);
    let returned =
        matches!(out.phase, Phase::Out) && table.replace_ejection(id, out, trusted(out, now));
    if returned {
        table.rose(id, now);
    }
    returned
}

/// The connection that was a backend's trial ended without a verdict: its client left. The next connection may try
/// it at once, with its back-off as it was. True if there was a trial to give back.
pub fn trial_lost(table: &SlotTable, id: BackendId, now: Now) -> bool {
    let trial = table.ejection(id);
    let waiting = Ejection {
        phase: Phase::Out,
        until_ms: trial.until_ms.min(now.as_millis()),
        ..trial
    };
    is_on_trial(trial) && table.replace_ejection(id, trial, waiting)
}

const fn is_on_trial(ejection: Ejection) -> bool {
    matches!(ejection.phase, Phase::OnTrial)
}
