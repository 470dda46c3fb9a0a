//! Which backend a new tunnel goes to. One policy a file, one enum, one match.

mod burden;
mod hash;
mod least_connections;
mod lots;
mod peak_ewma;
mod random;
mod room;
mod round_robin;
mod tally;
mod tried;
mod turns;
mod two_choices;
mod view;
mod weighted_round_robin;

pub use crate::fleet::{PolicyKind, key_hash};
pub use tried::Tried;

use crate::clock::Now;
use crate::fleet::{BackendId, Member, Pool, SlotTable};
use crate::rng::Rng;
use least_connections::{LeastConnections, least_burdened};
use room::Room;
use round_robin::RoundRobin;
use view::View;
use weighted_round_robin::WeightedRoundRobin;

/// What a pick may go by.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ask {
    /// Backends already tried for this client.
    pub tried: Tried,
    /// The hash of the request's key, for a policy that hashes.
    pub key: Option<u64>,
    /// The backend a sticky cookie names. Taken if it is healthy and not full, whatever the policy.
    pub preferred: Option<BackendId>,
    /// The time.
    pub now: Now,
}

/// Why nobody was picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPick {
    /// Every backend that may be picked was tried.
    Nobody,
    /// Some may be picked but are full: one may have room soon.
    Full,
}

/// One worker's way of choosing in one pool. Each worker has its own, started at its own place, so that
/// workers do not march through the backends in step.
///
/// It remembers who may be picked, and looks again when the table says that something changed: a pick itself allocates
/// nothing and, but for least connections, costs the same in any pool.
#[derive(Debug, Clone)]
pub struct Balancer {
    policy: Policy,
    view: View,
    rng: Rng,
}

/// The policies and what each remembers.
#[derive(Debug, Clone)]
enum Policy {
    /// Each backend in turn.
    RoundRobin(RoundRobin),
    /// Each backend in turn, by weight.
    WeightedRoundRobin(WeightedRoundRobin),
    /// Any backend, by weight.
    Random,
    /// The one with the fewest tunnels for its weight.
    LeastConnections(LeastConnections),
    /// The less loaded of two.
    TwoChoices,
    /// The faster of two, for what it carries.
    PeakEwma,
    /// The one a key leads to; any one without a key.
    Hash,
}

impl Balancer {
    /// A balancer whose every choice is decided by `seed` and what it is shown.
    pub fn new(kind: PolicyKind, seed: u64) -> Self {
        let mut rng = Rng::seeded(seed);
        let policy = Policy::new(kind, &mut rng);
        Self {
            policy,
            view: View::new(kind),
            rng,
        }
    }

    /// The backend for the next tunnel, none of those already tried for this client. The pool may be another one
    /// than last time, after a reload; the table is always the same. Nothing is claimed but a trial: the caller counts the
    /// connection, and asks again if the backend was filled up in between.
    pub fn pick<'a>(
        &mut self,
        pool: &'a Pool,
        table: &SlotTable,
        ask: &Ask,
    ) -> Result<&'a Member, NoPick> {
        let place = self.choose(pool, table, ask)?;
        Ok(&pool.backends[place])
    }

    /// The place of the next one in the pool.
    fn choose(&mut self, pool: &Pool, table: &SlotTable, ask: &Ask) -> Result<usize, NoPick> {
        let view = &mut self.view;
        view.refresh(pool, table, ask.now);
        if let Some(most) = pool.established_max
            && view.whole.is_full(most, table, ask.now)
        {
            return Err(NoPick::Full);
        }
        let key = ask.key.filter(|_| matches!(self.policy, Policy::Hash));
        let hashed = key.zip(pool.backends.maglev());
        let room = Room::new(view, (pool, table), ask, hashed.is_some());
        if let Some(seat) = ask.preferred.and_then(|id| room.preferred(id)) {
            return Ok(room.member(seat));
        }
        if let Some((key, maglev)) = hashed {
            let place = hash::pick(&room, maglev, key);
            return place.map_or_else(|| last_resort(room, &mut self.rng), Ok);
        }
        // A client that was turned away once is not sent where it may well be turned away again.
        if ask.tried.is_empty()
            && let Some(place) = room.trial()
        {
            return Ok(place);
        }
        match self.policy.pick(&room, &mut self.rng) {
            Some(seat) => Ok(room.member(seat)),
            None => last_resort(room, &mut self.rng),
        }
    }
}

impl Policy {
    fn new(kind: PolicyKind, rng: &mut Rng) -> Self {
        match kind {
            PolicyKind::RoundRobin => Self::RoundRobin(RoundRobin::new(rng)),
            PolicyKind::WeightedRoundRobin => {
                Self::WeightedRoundRobin(WeightedRoundRobin::new(rng))
            }
            PolicyKind::Random => Self::Random,
            PolicyKind::LeastConnections => Self::LeastConnections(LeastConnections::new(rng)),
            PolicyKind::TwoChoices => Self::TwoChoices,
            PolicyKind::PeakEwma => Self::PeakEwma,
            PolicyKind::SourceHash | PolicyKind::Hash => Self::Hash,
        }
    }

    /// A seat, without regard to keys.
    fn pick(&mut self, room: &Room<'_>, rng: &mut Rng) -> Option<usize> {
        match self {
            Self::RoundRobin(policy) => policy.pick(room),
            Self::WeightedRoundRobin(policy) => policy.pick(room),
            Self::Random | Self::Hash => random::pick(room, rng),
            Self::LeastConnections(policy) => policy.pick(room),
            Self::TwoChoices => two_choices::pick(room, rng),
            Self::PeakEwma => peak_ewma::pick(room, rng),
        }
    }
}

/// Somebody, whoever it is: the policy found nobody in as many steps as it may take.
fn last_resort(room: Room<'_>, rng: &mut Rng) -> Result<usize, NoPick> {
    let start = rng.below(u32::MAX) as usize;
    let seat =
        least_burdened(&room, start).or_else(|| least_burdened(&room.without_slow_start(), start));
    let place = seat.map(|seat| room.member(seat)).or_else(|| room.trial());
    place.ok_or_else(|| {
        if room.has_untried() {
            NoPick::Full
        } else {
            NoPick::Nobody
        }
    })
}

#[cfg(test)]
mod tests;
