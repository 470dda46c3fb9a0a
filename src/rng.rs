//! A small seeded generator, so that every random choice can be replayed.

/// SplitMix64 (Steele, Lea, Flood 2014): 64 bits of state, two multiplications a draw.
/// Not for secrets.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// A generator whose whole future is decided by `seed`.
    pub const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, by Lemire's multiplication; `bound` must not be zero.
    pub fn below(&mut self, bound: u32) -> u32 {
        debug_assert!(bound > 0, "a draw below zero has no answer");
        let wide = u128::from(self.next_u64()) * u128::from(bound);
        u32::try_from(wide >> 64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_replays_the_same_draws() {
        let mut one = Rng::seeded(7);
        let mut two = Rng::seeded(7);
        assert!((0..100).all(|_| one.next_u64() == two.next_u64()));
    }

    #[test]
    fn draws_stay_below_their_bound_and_reach_every_value() {
        let mut rng = Rng::seeded(1);
        let mut seen = [false; 5];
        for _ in 0..200 {
            seen[rng.below(5) as usize] = true;
        }
        assert_eq!(seen, [true; 5]);
    }
}
