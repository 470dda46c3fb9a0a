//! What a worker concludes from a handshake of its own.

use std::time::Duration;

use crate::clock::Now;
use crate::fleet::{BackendId, Pool, SlotTable};

/// A handshake with a backend failed by the backend's doing. Hands back for how long it is now out, if this
/// put it out.
pub fn failed(_pool: &Pool, table: &SlotTable, id: BackendId, _now: Now) -> Option<Duration> {
    table.streak_grew(id);
    None
}

/// A handshake succeeded, `took` long from the start of the connection. True if that was its trial and it is
/// trusted again.
pub fn succeeded(table: &SlotTable, id: BackendId, took: Duration, now: Now) -> bool {
    table.streak_ended(id);
    table.handshake_took(id, took, now);
    false
}
