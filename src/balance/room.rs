//! Who may be taken at this pick: what a view leaves open, because it changes from one connection to the next.

use super::tally::Total;
use super::view::{Seat, View};
use super::{Ask, Tried};
use crate::clock::Now;
use crate::fleet::{BackendId, Caps, Ejection, Load, Phase, Pool, SlotTable};

/// One pick's look at the pool.
#[derive(Clone, Copy)]
pub(super) struct Room<'a> {
    pub(super) view: &'a View,
    pub(super) table: &'a SlotTable,
    pub(super) now: Now,
    pool: &'a Pool,
    tried: Tried,
    caps: Caps,
    /// What those carry who are not in their slow start, if anybody is; nothing lets everybody take what it can.
    steady: Option<Total>,
    /// What all seats carry, if the pool bounds each one's part of it.
    carried: Option<Total>,
}

impl<'a> Room<'a> {
    /// `is_hashed` says that a key decides, so that bounds of hashes hold.
    pub(super) fn new(
        view: &'a mut View,
        (pool, table): (&'a Pool, &'a SlotTable),
        ask: &Ask,
        is_hashed: bool,
    ) -> Self {
        let now = ask.now;
        let bound = pool.hashing.load_bound_percent.filter(|_| is_hashed);
        let steady = view.is_warming.then(|| view.steady.total(table, now));
        let carried = bound.map(|_| view.carried.total(table, now));
        Self {
            view,
            table,
            now,
            pool,
            tried: ask.tried,
            caps: pool.caps,
            steady,
            carried,
        }
    }

    /// The same with nobody held back by a slow start.
    pub(super) fn without_slow_start(self) -> Self {
        Self {
            steady: None,
            ..self
        }
    }

    /// Who sits there, by its place in the pool.
    pub(super) fn member(&self, seat: usize) -> usize {
        self.view.seats[seat].member.into()
    }

    /// Whether this seat may be taken: not tried, not full, not ahead of its slow start.
    pub(super) fn takes(&self, seat: usize) -> bool {
        let seat = &self.view.seats[seat];
        if !self.is_new(seat.id) || self.is_full(seat.id) {
            return false;
        }
        let steady = self.steady.filter(|_| seat.risen_ms != 0);
        steady.is_none_or(|steady| self.is_within_slow_start(seat, steady))
    }

    /// Whether this client was not sent there before.
    pub(super) fn is_new(&self, id: BackendId) -> bool {
        self.tried.is_empty() || !self.tried.contains(id)
    }

    fn is_full(&self, id: BackendId) -> bool {
        self.caps != Caps::default() && is_at_cap(self.table.load(id), self.caps)
    }

    /// Whether a backend that came up lately may have one more: its share of what the others carry, times how much of
    /// its slow start is over. So it is filled over established tunnels and not only over time: where the others
    /// carry little or grow slowly, it does too.
    fn is_within_slow_start(&self, seat: &Seat, steady: Total) -> bool {
        let length = self.pool.slow_start.map_or(0, |time| time.as_millis());
        let age = self.now.as_millis().saturating_sub(seat.risen_ms);
        let share = u128::from(steady.connections) * u128::from(seat.weight) * u128::from(age);
        let most = share.checked_div(u128::from(steady.weight) * length);
        let load = self.table.load(seat.id).total();
        load == 0 || most.is_none_or(|most| u128::from(load) < most)
    }

    /// Whether with one more it would still be within its part of what all carry, rounded up.
    pub(super) fn is_within_bound(&self, seat: usize) -> bool {
        let (Some(all), Some(percent)) = (self.carried, self.pool.hashing.load_bound_percent)
        else {
            return true;
        };
        let seat = &self.view.seats[seat];
        let per_weight = (all.connections + 1).saturating_mul(percent.into());
        let most = u128::from(per_weight) * u128::from(seat.weight);
        let load = self.table.load(seat.id).total();
        u128::from(load) * u128::from(all.weight * 100) < most
    }

    /// The backend a sticky cookie names, if it may be taken. A slow start does not hold back who already belongs
    /// there.
    pub(super) fn preferred(&self, id: BackendId) -> Option<usize> {
        let seat = self.view.seat_of(self.pool.backends.place_of(id)?)?;
        (self.is_new(id) && !self.is_full(id)).then_some(seat)
    }

    /// Claims the trial of any member that awaits one, and says whose it is.
    pub(super) fn trial(&self) -> Option<usize> {
        let mut trials = self.view.trials.iter().map(|&place| usize::from(place));
        trials.find(|&place| self.claim_trial(place))
    }

    /// Claims the trial of this member, if it awaits one.
    pub(super) fn claims_trial(&self, place: usize) -> bool {
        self.view.awaits_trial(place) && self.claim_trial(place)
    }

    /// Of all workers that see a trial due, the one whose exchange succeeds has it. It is his until a connection would
    /// have given up; after that it was lost without a verdict, and another may try.
    fn claim_trial(&self, place: usize) -> bool {
        let id = self.pool.backends[place].id;
        let ejection = self.table.ejection(id);
        if !ejection.awaits_trial(self.now) || !self.is_new(id) || self.is_full(id) {
            return false;
        }
        let patience = self.pool.connect_timeout + self.pool.answer_timeout;
        let claimed = Ejection {
            phase: Phase::OnTrial,
            until_ms: self.now.after(patience).as_millis(),
            ..ejection
        };
        self.table.replace_ejection(id, ejection, claimed)
    }

    /// Whether there is a seat that was not tried: it is full then, since nobody took it.
    pub(super) fn has_untried(&self) -> bool {
        self.view.seats.iter().any(|seat| self.is_new(seat.id))
    }
}

fn is_at_cap(load: Load, caps: Caps) -> bool {
    let reached = |count: u64, cap: Option<u32>| cap.is_some_and(|cap| count >= u64::from(cap));
    reached(load.total(), caps.established) || reached(load.connecting.into(), caps.connecting)
}
