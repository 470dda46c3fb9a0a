//! Each backend in turn, as often as its weight says, the turns of a heavy one spread out.

use super::room::Room;
use crate::limits::TURNS_SKIPPED_MAX;
use crate::rng::Rng;

/// A place in the endless round of a view's turns. The turns themselves, and how they are spread, belong to the
/// view; so a pick is one addition and, with unequal weights, one binary search, and what is remembered is one number
/// whatever the size of the pool.
#[derive(Debug, Clone)]
pub(super) struct WeightedRoundRobin {
    /// Taken modulo the round at each pick, since the view may have changed.
    turn: u32,
}

impl WeightedRoundRobin {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self {
            turn: rng.below(u32::MAX),
        }
    }

    /// As in plain round robin, a turn that cannot be served is passed over.
    pub(super) fn pick(&mut self, room: &Room<'_>) -> Option<usize> {
        let turns = &room.view.turns;
        if self.turn >= turns.count() {
            self.turn = self.turn.checked_rem(turns.count())?;
        }
        for _ in 0..TURNS_SKIPPED_MAX {
            let seat = turns.owner(self.turn);
            self.turn = turns.after(self.turn);
            if room.takes(seat) {
                return Some(seat);
            }
        }
        None
    }
}
