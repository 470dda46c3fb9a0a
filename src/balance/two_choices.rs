//! The less loaded of two random backends.

use std::hint::select_unpredictable;

use super::burden::Burden;
use super::room::Room;
use crate::limits::DRAWS_MAX;
use crate::rng::Rng;

/// Draws two by weight and takes the one that would carry less for its weight with one more tunnel on it. Two
/// are enough to keep the fullest close to the mean (Mitzenmacher 2001), at the cost of two rows.
pub(super) fn pick(room: &Room<'_>, rng: &mut Rng) -> Option<usize> {
    better_of_two(room, rng, |one, other| {
        burden(room, one).is_below(burden(room, other))
    })
}

/// Draws two by weight: the better one if it may be taken, else the other if it may. If neither may, two
/// others are drawn.
pub(super) fn better_of_two(
    room: &Room<'_>,
    rng: &mut Rng,
    is_better: impl Fn(usize, usize) -> bool,
) -> Option<usize> {
    for _ in 0..DRAWS_MAX {
        let (first, second) = room.view.lots.draw_two(rng)?;
        let is_second = is_better(second, first);
        let better = select_unpredictable(is_second, second, first);
        let other = select_unpredictable(is_second, first, second);
        if let Some(seat) = [better, other].into_iter().find(|&seat| room.takes(seat)) {
            return Some(seat);
        }
    }
    None
}

fn burden(room: &Room<'_>, seat: usize) -> Burden {
    let seat = &room.view.seats[seat];
    Burden::with_one_more(room.table.load(seat.id), seat.weight)
}
