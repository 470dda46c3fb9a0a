//! The backend with the fewest tunnels for its weight, counted over all workers.

use super::burden::Burden;
use super::room::Room;
use crate::rng::Rng;

/// Looks at every backend and takes the one that would carry least per unit of weight with one more tunnel
/// on it. Ties go to the first one after the last choice, so equals take turns.
///
/// A pick reads one cache line a backend; this is the one policy whose cost grows with the pool.
#[derive(Debug, Clone)]
pub(super) struct LeastConnections {
    /// Where the next scan starts. Taken modulo the seats at each pick.
    start: usize,
}

impl LeastConnections {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self {
            start: rng.below(u32::MAX) as usize,
        }
    }

    pub(super) fn pick(&mut self, room: &Room<'_>) -> Option<usize> {
        let seat = least_burdened(room, self.start)?;
        self.start = seat + 1;
        Some(seat)
    }
}

/// The least burdened of all that may be taken, the first of equals from `start` on. Also the last resort of the policies
/// that draw, when most of what they draw is full.
pub(super) fn least_burdened(room: &Room<'_>, start: usize) -> Option<usize> {
    let seats = &room.view.seats[..];
    let start = start.checked_rem(seats.len())?;
    let (before, after) = seats.split_at(start);
    let mut best: Option<(usize, Burden)> = None;
    let places = (start..seats.len()).chain(0..start);
    for (place, seat) in places.zip(after.iter().chain(before)) {
        let burden = Burden::with_one_more(room.table.load(seat.id), seat.weight);
        // Whether it may be taken is asked last, since a new best is rare in a long scan.
        if best.is_none_or(|(_, least)| burden.is_below(least)) && room.takes(place) {
            best = Some((place, burden));
        }
    }
    best.map(|(place, _)| place)
}
