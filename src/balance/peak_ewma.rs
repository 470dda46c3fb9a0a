//! The one of two random backends that answers handshakes sooner, for what it carries.

use super::burden::Burden;
use super::room::Room;
use super::two_choices::better_of_two;
use crate::rng::Rng;

/// Draws two by weight and takes the one with the lower [`Cost`].
pub(super) fn pick(room: &Room<'_>, rng: &mut Rng) -> Option<usize> {
    better_of_two(room, rng, |one, other| {
        Cost::of(room, one).is_below(Cost::of(room, other))
    })
}

/// How long a handshake takes there, times what it would carry for its weight with one more.
#[derive(Debug, Clone, Copy)]
struct Cost {
    /// 0 as long as no handshake has told.
    micros: f64,
    /// Nobody knows how fast it is, and nobody is finding out.
    is_unknown: bool,
    burden: Burden,
}

impl Cost {
    fn of(room: &Room<'_>, seat: usize) -> Self {
        let seat = &room.view.seats[seat];
        let load = room.table.load(seat.id);
        let pace = room.table.pace(seat.id);
        // Old news fade, so that somebody looks again. While one looks, the others go by what was last known: a burst
        // must not take a backend for fast only because nobody went there for a while.
        let micros = if load.connecting == 0 {
            pace.micros_at(room.now)
        } else {
            f64::from(pace.micros)
        };
        Self {
            micros,
            is_unknown: pace.micros == 0 && load.connecting == 0,
            burden: Burden::with_one_more(load, seat.weight),
        }
    }

    /// A backend that nobody knows is tried, by one connection; the others wait for its answer and meanwhile take it
    /// to be as fast as the one it is compared with.
    fn is_below(self, other: Self) -> bool {
        if self.is_unknown != other.is_unknown {
            return self.is_unknown;
        }
        if self.micros == 0.0 || other.micros == 0.0 {
            return self.burden.is_below(other.burden);
        }
        self.micros * self.burden.per_weight() < other.micros * other.burden.per_weight()
    }
}
