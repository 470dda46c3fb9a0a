//! What a worker remembers of its pool: who may be picked, until something changes.

use super::lots::Lots;
use super::tally::Tally;
use super::turns::Turns;
use crate::clock::Now;
use crate::fleet::{BackendId, Member, Members, PolicyKind, Pool, SlotTable, State};

/// Who may be picked now. One load tells whether it still holds: the table's epoch grows with every change of a
/// standing or an ejection. It is made anew then, for another pool, and when an ejection or a slow start ends
/// by the clock alone. Its memory is kept from one time to the next.
#[derive(Debug, Clone)]
pub(super) struct View {
    /// Those who may be picked, in the order of the pool.
    pub(super) seats: Vec<Seat>,
    /// Members that await their trial, by their place in the pool, ascending.
    pub(super) trials: Vec<u16>,
    /// Turns by weight, for weighted round robin.
    pub(super) turns: Turns,
    /// Draws by weight, for policies that draw.
    pub(super) lots: Lots,
    /// What the whole pool carries, if it is bounded.
    pub(super) whole: Tally,
    /// What all seats carry, if a hash is bounded.
    pub(super) carried: Tally,
    /// What those carry who are not in a slow start, if anybody is.
    pub(super) steady: Tally,
    /// Whether a slow start holds anybody back.
    pub(super) is_warming: bool,
    /// The seat of each member of the pool, or [`NOBODY`].
    places: Vec<u16>,
    /// What was found in the rows.
    found: Vec<Found>,
    kind: PolicyKind,
    made_of: Option<MadeOf>,
}

/// A backend that may be picked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seat {
    /// When it came up, if it is in its slow start; else 0.
    pub(super) risen_ms: u64,
    /// Its place in the pool.
    pub(super) member: u16,
    pub(super) id: BackendId,
    /// Its weight by now, never 0.
    pub(super) weight: u16,
}

/// What a view was made of. It holds as long as all of this is the same.
#[derive(Debug, Clone)]
struct MadeOf {
    /// Kept, so that no other list can be taken for it.
    members: Members,
    terms: Terms,
    epoch: u64,
    until_ms: u64,
}

/// What else of a pool a view depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Terms {
    panic_percent: u32,
    slow_start_ms: u64,
    is_bounded: bool,
    is_hash_bounded: bool,
}

/// What a row says of one member.
#[derive(Debug, Clone, Copy)]
struct Found {
    health: Health,
    weight: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    /// Not ours to pick: draining, taken out, somebody else's row by now, or without weight.
    Barred,
    /// Its probes fell.
    Down,
    /// Workers have put it out, or one is trying it.
    Out,
    /// It is out, and one connection may try it.
    AwaitsTrial,
    Well,
}

/// How far down the tiers a pick may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// To whoever is well, up to this tier.
    Tier(u8),
    /// Everywhere, and health is ignored.
    Panic,
}

/// No seat. A pool has a quarter as many members at most.
const NOBODY: u16 = u16::MAX;

impl View {
    pub(super) fn new(kind: PolicyKind) -> Self {
        Self {
            seats: Vec::new(),
            trials: Vec::new(),
            turns: Turns::default(),
            lots: Lots::default(),
            whole: Tally::default(),
            carried: Tally::default(),
            steady: Tally::default(),
            is_warming: false,
            places: Vec::new(),
            found: Vec::new(),
            kind,
            made_of: None,
        }
    }

    /// Makes it anew unless it still holds.
    pub(super) fn refresh(&mut self, pool: &Pool, table: &SlotTable, now: Now) {
        let terms = Terms::of(pool);
        let epoch = table.epoch();
        let holds = self.made_of.as_ref().is_some_and(|made_of| {
            made_of.epoch == epoch
                && now.as_millis() < made_of.until_ms
                && made_of.terms == terms
                && made_of.members.is_same(&pool.backends)
        });
        if !holds {
            self.make(pool, table, now, (epoch, terms));
        }
    }

    /// The seat of a member of the pool.
    pub(super) fn seat_of(&self, member: usize) -> Option<usize> {
        let seat = *self.places.get(member)?;
        (seat != NOBODY).then_some(seat.into())
    }

    /// Whether a member of the pool awaits its trial.
    pub(super) fn awaits_trial(&self, member: usize) -> bool {
        let trials = &self.trials;
        !trials.is_empty()
            && u16::try_from(member).is_ok_and(|member| trials.binary_search(&member).is_ok())
    }

    /// The epoch was read before the rows: a change that comes in between is seen at the next pick.
    fn make(&mut self, pool: &Pool, table: &SlotTable, now: Now, (epoch, terms): (u64, Terms)) {
        let members = &pool.backends;
        let mut until_ms = u64::MAX;
        self.found.clear();
        for member in members.iter() {
            let (found, changes_ms) = Found::of(member, table, now);
            self.found.push(found);
            until_ms = until_ms.min(changes_ms);
        }
        let reach = reach(members, &self.found, pool.panic_percent);
        self.seat(members, reach);
        until_ms = until_ms.min(self.warm(table, terms.slow_start_ms, now));
        self.prepare(members, terms);
        self.made_of = Some(MadeOf {
            members: members.clone(),
            terms,
            epoch,
            until_ms,
        });
    }

    /// Gives a seat to everybody within reach.
    fn seat(&mut self, members: &Members, reach: Reach) {
        self.seats.clear();
        self.trials.clear();
        self.places.clear();
        self.places.resize(members.len(), NOBODY);
        for ((place, member), found) in (0..NOBODY).zip(members.iter()).zip(&self.found) {
            let is_within = match reach {
                Reach::Tier(last) => member.priority <= last,
                Reach::Panic => true,
            };
            if is_within && found.health == Health::AwaitsTrial {
                self.trials.push(place);
            }
            let is_seated = match reach {
                Reach::Tier(_) => is_within && found.health == Health::Well,
                Reach::Panic => found.health != Health::Barred,
            };
            if is_seated {
                self.places[usize::from(place)] = u16::try_from(self.seats.len()).unwrap_or(NOBODY);
                self.seats.push(Seat {
                    risen_ms: 0,
                    member: place,
                    id: member.id,
                    weight: found.weight,
                });
            }
        }
    }

    /// Marks those in their slow start, unless all are. Hands back when the first of them is through.
    fn warm(&mut self, table: &SlotTable, slow_start_ms: u64, now: Now) -> u64 {
        let mut until_ms = u64::MAX;
        let mut warming = 0;
        for seat in self.seats.iter_mut().filter(|_| slow_start_ms != 0) {
            let risen_ms = table.risen_ms(seat.id);
            let end_ms = risen_ms.saturating_add(slow_start_ms);
            if risen_ms != 0 && now.as_millis() < end_ms {
                seat.risen_ms = risen_ms;
                until_ms = until_ms.min(end_ms);
                warming += 1;
            }
        }
        self.is_warming = warming > 0 && warming < self.seats.len();
        until_ms
    }

    /// What the policy and the bounds need of the seats.
    fn prepare(&mut self, members: &Members, terms: Terms) {
        let weights = self.seats.iter().map(|seat| seat.weight);
        match self.kind {
            PolicyKind::RoundRobin | PolicyKind::LeastConnections => {}
            PolicyKind::WeightedRoundRobin => self.turns = Turns::new(weights),
            _ => self.lots.deal(weights),
        }
        self.whole.clear();
        self.carried.clear();
        self.steady.clear();
        if terms.is_bounded {
            members
                .iter()
                .for_each(|member| self.whole.add(member.id, 0));
        }
        for seat in &self.seats {
            if terms.is_hash_bounded {
                self.carried.add(seat.id, seat.weight);
            }
            if self.is_warming && seat.risen_ms == 0 {
                self.steady.add(seat.id, seat.weight);
            }
        }
    }
}

impl Terms {
    fn of(pool: &Pool) -> Self {
        let slow_start_ms = pool.slow_start.map_or(0, |time| time.as_millis());
        Self {
            panic_percent: pool.panic_percent,
            slow_start_ms: u64::try_from(slow_start_ms).unwrap_or(u64::MAX),
            is_bounded: pool.established_max.is_some(),
            is_hash_bounded: pool.policy.is_hash() && pool.hashing.load_bound_percent.is_some(),
        }
    }
}

impl Found {
    /// What a member's row says, and when that changes by the clock alone.
    fn of(member: &Member, table: &SlotTable, now: Now) -> (Self, u64) {
        let standing = table.standing(member.id);
        let ejection = table.ejection(member.id);
        let mut changes_ms = u64::MAX;
        let is_ours = standing.generation == member.generation && standing.weight > 0;
        let health = match standing.state {
            State::Up if !is_ours => Health::Barred,
            State::Up if ejection.is_out(now) => {
                changes_ms = ejection.until_ms;
                Health::Out
            }
            State::Up if ejection.awaits_trial(now) => Health::AwaitsTrial,
            State::Up => Health::Well,
            // A row changes before every worker has the new list: who still has the old one has a last resort in it.
            State::Removed | State::Down if is_ours => Health::Down,
            _ => Health::Barred,
        };
        let found = Self {
            health,
            weight: standing.weight,
        };
        (found, changes_ms)
    }
}

/// The first tier that is well enough for itself and those above it.
fn reach(members: &Members, found: &[Found], panic_percent: u32) -> Reach {
    let mut tiers = [(0_u64, 0_u64); u8::MAX as usize + 1];
    for (member, found) in members.iter().zip(found) {
        let (well, all) = &mut tiers[usize::from(member.priority)];
        *all += u64::from(found.health != Health::Barred);
        *well += u64::from(found.health == Health::Well);
    }
    let suffices =
        |&(_, &(well, all)): &(u8, &(u64, u64))| well * 100 > u64::from(panic_percent) * all;
    let tier = (0..=u8::MAX).zip(&tiers).find(suffices);
    tier.map_or(Reach::Panic, |(tier, _)| Reach::Tier(tier))
}
