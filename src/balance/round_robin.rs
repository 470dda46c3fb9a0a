//! Each backend in turn, as often as its weight says, the turns of a heavy one spread out.

use super::Tried;
use crate::fleet::{Member, Members};
use crate::limits::TURNS_SKIPPED_MAX;
use crate::rng::Rng;

/// A place in the endless round of a pool's turns. The turns themselves, and how they are spread, belong to the
/// snapshot; so a pick is one addition and, with unequal weights, one binary search, and a worker keeps one number
/// whatever the size of the pool.
#[derive(Debug, Clone)]
pub(super) struct RoundRobin {
    /// Taken modulo the round at each pick, since the pool may have changed.
    turn: u32,
}

impl RoundRobin {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self {
            turn: rng.below(u32::MAX),
        }
    }

    pub(super) fn pick<'a>(&mut self, members: &'a Members, tried: &Tried) -> Option<&'a Member> {
        self.turn = self.turn.checked_rem(members.turns())?;
        // A turn that falls on a tried backend is passed over, so its share is spread over all the others
        // and not given to its neighbour.
        for _ in 0..TURNS_SKIPPED_MAX {
            let member = members.at_turn(self.turn)?;
            self.turn = members.turn_after(self.turn);
            if !tried.contains(member.id) {
                return Some(member);
            }
        }
        // Only when tried backends own nearly every turn: take anyone who is left.
        members.iter().find(|member| !tried.contains(member.id))
    }
}
