//! The backend a key leads to.

use super::room::Room;
use crate::fleet::Maglev;
use crate::limits::KEY_STEPS_MAX;
use crate::rng::Rng;

/// Follows the key through the pool's table until somebody may be taken: he is healthy, not tried, has room, and
/// would not carry more than his bound. So only the keys of whoever may not be picked move, each to where it
/// would always go next. A backend that awaits its trial gets it from the first key that leads there. Hands back a place in the
/// pool.
pub(super) fn pick(room: &Room<'_>, maglev: &Maglev, key: u64) -> Option<usize> {
    for place in maglev.walk(key).take(KEY_STEPS_MAX) {
        let seat = room.view.seat_of(place);
        let is_fit = |seat| room.takes(seat) && room.is_within_bound(seat);
        if room.claims_trial(place) || seat.is_some_and(is_fit) {
            return Some(place);
        }
    }
    let seat = highest(room, maglev, key, |seat| room.is_within_bound(seat));
    seat.or_else(|| highest(room, maglev, key, |_| true))
        .map(|seat| room.member(seat))
}

/// Who is left when a key has walked far and found nobody: all are asked, and the one whose number together with
/// the key is the highest for its weight is taken (rendezvous hashing, Thaler and Ravishankar 1998). Again only the keys of
/// whoever may not be picked move.
fn highest(
    room: &Room<'_>,
    maglev: &Maglev,
    key: u64,
    is_fit: impl Fn(usize) -> bool,
) -> Option<usize> {
    let fit = (0..room.view.seats.len()).filter(|&seat| room.takes(seat) && is_fit(seat));
    let scored = fit.map(|seat| {
        let mark = maglev.mark(room.member(seat));
        (score(key ^ mark, room.view.seats[seat].weight), seat)
    });
    let best = scored.max_by(|(one, _), (other, _)| one.total_cmp(other));
    best.map(|(_, seat)| seat)
}

/// The weight divided by a random number from the exponential distribution.
fn score(seed: u64, weight: u16) -> f64 {
    let drawn = Rng::seeded(seed).below(u32::MAX);
    let share = (f64::from(drawn) + 0.5) / f64::from(u32::MAX);
    f64::from(weight) / -share.ln()
}
