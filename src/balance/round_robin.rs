//! Each backend in turn, whatever its weight.

use super::room::Room;
use crate::limits::TURNS_SKIPPED_MAX;
use crate::rng::Rng;

/// A place in the endless round of the seats.
#[derive(Debug, Clone)]
pub(super) struct RoundRobin {
    /// Taken modulo the seats at each pick, since the view may have changed.
    turn: usize,
}

impl RoundRobin {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self {
            turn: rng.below(u32::MAX) as usize,
        }
    }

    /// A turn that falls on a tried or full backend is passed over for good, so its share is spread over all the
    /// others and not given to its neighbour.
    pub(super) fn pick(&mut self, room: &Room<'_>) -> Option<usize> {
        let seats = room.view.seats.len();
        if self.turn >= seats {
            self.turn = self.turn.checked_rem(seats)?;
        }
        for _ in 0..TURNS_SKIPPED_MAX {
            let seat = self.turn;
            self.turn = if seat + 1 == seats { 0 } else { seat + 1 };
            if room.takes(seat) {
                return Some(seat);
            }
        }
        None
    }
}
