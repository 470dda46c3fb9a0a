//! Any backend, by weight.

use super::room::Room;
use crate::limits::DRAWS_MAX;
use crate::rng::Rng;

/// Draws until somebody is drawn who may be taken: the shares of the others are then as their weights say.
pub(super) fn pick(room: &Room<'_>, rng: &mut Rng) -> Option<usize> {
    (0..DRAWS_MAX)
        .map_while(|_| room.view.lots.draw(rng))
        .find(|&seat| room.takes(seat))
}
