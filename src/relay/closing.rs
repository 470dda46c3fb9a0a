//! Sends the tunnels of lost backends away: 1012 to their clients, so many a second, in small steps.
//!
//! ```text
//! places of the table   ├── told or not concerned ──┤cursor┼── still to be looked at ──┤
//! ```
//!
//! A pass looks at each place once. Handshakes that were under way when a backend was lost may become tunnels
//! behind the cursor; each that does calls for one more pass, and a backend stays listed until it has none.

use std::collections::HashMap;

use super::table::{Core, Tunnels};
use super::tunnel::{End, Farewell, Stage};
use crate::clock::Now;
use crate::fleet::{BackendId, Ledger, State};
use crate::limits;
use crate::metrics::{EndReason, Party};
use crate::ring::{Ring, Wheel};

/// Backends whose tunnels are being closed, by pace: one pool's haste is not another's.
#[derive(Debug, Default)]
pub(super) struct Closings(Vec<Closing>);

/// Lost backends whose tunnels are closed at one pace, in one pass for all of them.
#[derive(Debug)]
struct Closing {
    ration: Ration,
    /// Since when each is lost: a connection that was accepted later got its backend knowingly, in a panic.
    lost: HashMap<BackendId, Now>,
    /// The next place of the table to look at.
    cursor: usize,
    /// Something to tell may stand before the cursor.
    again: bool,
}

/// How many tunnels may be told by now.
#[derive(Debug, Clone, Copy)]
struct Ration {
    per_second: u32,
    /// Billionths of a tunnel that are left.
    left: u64,
    since: Now,
}

impl Tunnels {
    /// Lists backends that are lost. [`send_away`](Self::send_away) tells their tunnels, no more than
    /// `per_second` in a second; what is listed with the same pace shares it. In a drain everybody is told
    /// anyway, so nothing is listed then.
    pub fn lose(&mut self, backends: &[BackendId], per_second: u32, now: Now) {
        if self.goodbyes.is_draining() {
            return;
        }
        let fleet = &self.ledgers.fleet;
        let mut held = backends
            .iter()
            .filter(|id| fleet.held(**id).total() > 0)
            .peekable();
        if held.peek().is_some() {
            let closing = self.closings.at_pace(per_second, now);
            closing.lost.extend(held.map(|id| (*id, now)));
            closing.again |= closing.cursor > 0;
        }
    }

    /// Tells as many tunnels of lost backends as are due by now, unless their backend is up again. Returns
    /// whether more may follow; then this is called again a little later.
    pub fn send_away(&mut self, ring: &mut Ring, wheel: &mut Wheel, now: Now) -> bool {
        let core = &mut Core { ring, wheel, now };
        let mut closings = std::mem::take(&mut self.closings);
        for closing in &mut closings.0 {
            closing.ration.refill(now);
            self.take_step(core, closing);
        }
        closings.0.retain(|closing| !closing.lost.is_empty());
        self.closings = closings;
        self.flush(core);
        !self.closings.0.is_empty()
    }

    /// Looks at the next places of the table, and tells who is to be told.
    fn take_step(&mut self, core: &mut Core<'_>, closing: &mut Closing) {
        for _ in 0..limits::CLOSE_LOOKS_MAX {
            if closing.cursor >= self.places {
                return closing.pass_ended(&self.ledgers.fleet);
            }
            if self.is_concerned(closing) {
                if !closing.ration.take() {
                    return;
                }
                let key = u32::try_from(closing.cursor);
                self.send_one_away(core, key.expect("invariant: tunnels_max is below 2^32"));
            }
            closing.cursor += 1;
        }
    }

    /// Whether the tunnel under the cursor is to be told.
    fn is_concerned(&self, closing: &Closing) -> bool {
        let Some(tunnel) = self.slab.get(closing.cursor) else {
            return false;
        };
        tunnel.stage == Stage::Open
            && closing.concerns(tunnel.backend_id, tunnel.accepted)
            && is_lost(&self.ledgers.fleet, tunnel.backend_id)
    }

    fn send_one_away(&mut self, core: &mut Core<'_>, key: u32) {
        let tunnel = self.tunnel(key);
        tunnel.decide(Party::Ringway, EndReason::BackendGone);
        tunnel.side(End::Client).farewell = Farewell::Restart;
        tunnel.side(End::Backend).farewell = Farewell::SentAway;
        self.leave(core, key, core.now.after(limits::GOODBYE_TIMEOUT));
        self.settle(core, key);
    }
}

impl Closings {
    /// A connection that was accepted then has become a tunnel.
    pub(super) fn opened(&mut self, backend: BackendId, accepted: Now) {
        for closing in &mut self.0 {
            closing.again |= closing.concerns(backend, accepted);
        }
    }

    /// What is closed at this pace. When there are too many paces, the rest goes at the slowest.
    fn at_pace(&mut self, per_second: u32, now: Now) -> &mut Closing {
        let same = |closing: &Closing| closing.ration.per_second == per_second;
        let place = self.0.iter().position(same).unwrap_or_else(|| {
            if self.0.len() < limits::CLOSE_PACES_MAX {
                self.0.push(Closing::new(per_second, now));
                return self.0.len() - 1;
            }
            let paces = self.0.iter().map(|closing| closing.ration.per_second);
            let slowest = (0..).zip(paces).min_by_key(|(_, pace)| *pace);
            slowest.map_or(0, |(place, _)| place)
        });
        &mut self.0[place]
    }
}

impl Closing {
    fn new(per_second: u32, now: Now) -> Self {
        Self {
            ration: Ration::new(per_second, now),
            lost: HashMap::new(),
            cursor: 0,
            again: false,
        }
    }

    fn concerns(&self, backend: BackendId, accepted: Now) -> bool {
        self.lost
            .get(&backend)
            .is_some_and(|since| accepted <= *since)
    }

    /// Begins another pass if one is needed, else forgets every backend that no handshake is under way to.
    fn pass_ended(&mut self, fleet: &Ledger) {
        if std::mem::take(&mut self.again) {
            self.cursor = 0;
        } else {
            self.lost
                .retain(|id, _| is_lost(fleet, *id) && fleet.held(*id).connecting > 0);
        }
    }
}

/// Whether a backend that was lost is not up again.
fn is_lost(fleet: &Ledger, id: BackendId) -> bool {
    fleet.table().standing(id).state != State::Up
}

impl Ration {
    /// One tunnel at once, the others as time passes.
    fn new(per_second: u32, now: Now) -> Self {
        Self {
            per_second,
            left: TUNNEL,
            since: now,
        }
    }

    /// What was not used is not kept, but for one tunnel: a pause is not followed by a burst.
    fn refill(&mut self, now: Now) {
        let passed = now.since(self.since).min(limits::WHEEL_TICK * 4);
        let nanos = u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX);
        let fresh = u64::from(self.per_second.max(1)).saturating_mul(nanos);
        self.left = self.left.min(TUNNEL).saturating_add(fresh);
        self.since = now;
    }

    fn take(&mut self) -> bool {
        let taken = self.left.checked_sub(TUNNEL);
        self.left = taken.unwrap_or(self.left);
        taken.is_some()
    }
}

/// One tunnel, in billionths.
const TUNNEL: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{SlotTable, Standing};
    use crate::sync::Arc;

    const CHAT: BackendId = BackendId(0);

    fn at(ms: u64) -> Now {
        Now::from_nanos(ms * 1_000_000)
    }

    /// What a ration gives out when it is asked at each of these moments.
    fn given(per_second: u32, moments: impl IntoIterator<Item = u64>) -> u32 {
        let mut ration = Ration::new(per_second, at(0));
        let mut given = 0;
        for ms in moments {
            ration.refill(at(ms));
            while ration.take() {
                given += 1;
            }
        }
        given
    }

    #[test]
    fn a_second_gives_out_no_more_than_its_pace_and_hardly_less() {
        for pace in [1, 7, 30, 100, 1_000, 1_000_000] {
            let found = given(pace, (0..=1000).step_by(32));
            assert!(found <= pace + 1, "{found} at {pace}");
            assert!(found >= pace - pace / 20, "{found} at {pace}");
        }
        // A pace of nothing would never end.
        assert_eq!(given(0, (0..=1000).step_by(20)), 2);
    }

    #[test]
    fn a_pause_is_not_followed_by_a_burst() {
        assert!(given(1_000, [0, 60_000]) <= 1 + 4 * 32);
        assert_eq!(given(10, [0, 60_000]), 2);
    }

    #[test]
    fn paces_are_kept_apart_as_long_as_there_is_room_and_then_join_the_slowest() {
        let mut closings = Closings::default();
        let paces = u32::try_from(limits::CLOSE_PACES_MAX).unwrap();
        for pace in (1..=paces).rev().chain([5, 3]) {
            assert_eq!(closings.at_pace(pace, at(0)).ration.per_second, pace);
        }
        assert_eq!(closings.at_pace(1_000_000, at(0)).ration.per_second, 1);
        assert_eq!(closings.0.len(), limits::CLOSE_PACES_MAX);
    }

    #[test]
    fn a_backend_stays_listed_while_a_handshake_with_it_is_under_way() {
        let table = Arc::new(SlotTable::new(1));
        let fleet = Ledger::new(Arc::clone(&table));
        let state = State::Down;
        table.set_standing(
            CHAT,
            Standing {
                state,
                ..table.standing(CHAT)
            },
        );
        fleet.connect_started(CHAT);
        let mut closing = Closing::new(1, at(0));
        closing.lost.insert(CHAT, at(100));
        closing.cursor = 7;
        closing.pass_ended(&fleet);
        assert_eq!((closing.cursor, closing.lost.len()), (7, 1));

        let mut closings = Closings(vec![closing]);
        closings.opened(BackendId(1), at(50));
        closings.opened(CHAT, at(101));
        let closing = &mut closings.0[0];
        closing.pass_ended(&fleet);
        assert_eq!(closing.cursor, 7, "neither of the two is concerned");
        closings.opened(CHAT, at(100));
        fleet.opened(CHAT);
        let closing = &mut closings.0[0];
        closing.pass_ended(&fleet);
        assert_eq!(
            (closing.cursor, closing.lost.len()),
            (0, 1),
            "one more pass"
        );
        closing.pass_ended(&fleet);
        assert!(closing.lost.is_empty());
    }

    #[test]
    fn a_backend_that_is_up_again_is_forgotten() {
        let table = Arc::new(SlotTable::new(1));
        let fleet = Ledger::new(table);
        fleet.connect_started(CHAT);
        let mut closing = Closing::new(1, at(0));
        closing.lost.insert(CHAT, at(0));
        closing.pass_ended(&fleet);
        assert!(closing.lost.is_empty());
    }
}
