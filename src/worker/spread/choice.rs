//! Whether a new connection moves, and to whom. Knows loads, never sockets.

use crate::limits;
use crate::rng::Rng;

/// The worker that a connection moves to which worker `own` accepted, that carries `mine` without it; nothing if it
/// stays. `load` says what another one carries, nothing if it is away.
///
/// Two others are drawn, and the one that carries less is taken if the difference is worth it. To ask everybody would
/// send all workers to the same one at once, and cost a foreign cache line each; two at random have nobody sent to
/// more often than its share, and are as good within a few connections (Mitzenmacher, 2001).
pub(super) fn elsewhere(
    (own, workers): (usize, usize),
    mine: u32,
    load: impl Fn(usize) -> Option<u32>,
    rng: &mut Rng,
) -> Option<usize> {
    if mine < limits::HANDOFF_GAP_LEAST {
        // Nobody carries less than nothing.
        return None;
    }
    let others = u32::try_from(workers).unwrap_or(u32::MAX).checked_sub(1)?;
    let first = below(rng, others)?;
    // Of the rest, so that it is another one.
    let second = below(rng, others - 1).map(|place| place + usize::from(place >= first));
    let drawn = [Some(first), second].into_iter().flatten();
    let (worker, theirs) = drawn
        .map(|place| place + usize::from(place >= own))
        .filter_map(|worker| Some((worker, load(worker)?)))
        .min_by_key(|(_, load)| *load)?;
    (mine >= theirs.saturating_add(gap(theirs))).then_some(worker)
}

/// How much less another one must carry for a connection to move. It costs some microseconds and two cores' caches,
/// so it must level something out: with few tunnels one more or less counts, with thousands a share does.
fn gap(theirs: u32) -> u32 {
    limits::HANDOFF_GAP_LEAST.max(theirs / limits::HANDOFF_GAP_SHARE)
}

fn below(rng: &mut Rng, bound: u32) -> Option<usize> {
    (bound > 0).then(|| rng.below(bound) as usize)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{below, elsewhere, gap};
    use crate::limits;
    use crate::rng::Rng;

    #[test]
    fn a_connection_moves_to_who_carries_less_by_the_gap_and_never_to_who_is_away() {
        let least = limits::HANDOFF_GAP_LEAST;
        let mut rng = Rng::seeded(1);
        let mut moves = |mine, theirs| elsewhere((0, 2), mine, |_| theirs, &mut rng);
        assert_eq!(moves(0, Some(0)), None);
        assert_eq!(moves(least - 1, Some(0)), None);
        assert_eq!(moves(least, Some(0)), Some(1));
        assert_eq!(moves(9000, None), None, "it is away");
        let many = 64 * limits::HANDOFF_GAP_SHARE;
        assert_eq!(moves(many + 63, Some(many)), None);
        assert_eq!(moves(many + 64, Some(many)), Some(1));
    }

    #[test]
    fn a_lone_worker_keeps_everything() {
        assert_eq!(
            elsewhere((0, 1), 500, |_| Some(0), &mut Rng::seeded(1)),
            None
        );
    }

    #[test]
    fn everybody_else_is_drawn_and_oneself_never() {
        let mut rng = Rng::seeded(5);
        let mut seen = [false; 6];
        for own in 0..6 {
            for _ in 0..200 {
                let to = elsewhere((own, 6), 500, |_| Some(0), &mut rng).unwrap();
                assert_ne!(to, own);
                seen[to] = true;
            }
        }
        assert_eq!(seen, [true; 6]);
    }

    /// Workers that accept at once: what each holds is shown only when all have, what is on its way at once.
    struct Simulation {
        held: Vec<u32>,
        shown: Vec<u32>,
        coming: Vec<u32>,
        rng: Rng,
        moved: u32,
    }

    impl Simulation {
        fn new(held: Vec<u32>, seed: u64) -> Self {
            Self {
                shown: held.clone(),
                coming: vec![0; held.len()],
                held,
                rng: Rng::seeded(seed),
                moved: 0,
            }
        }

        /// Connection after connection at these workers, and then everybody takes and shows.
        fn round(&mut self, accepting: impl Iterator<Item = usize>) {
            let workers = self.held.len();
            for own in accepting {
                let (shown, coming) = (&self.shown, &self.coming);
                let load = |worker: usize| Some(shown[worker] + coming[worker]);
                match elsewhere((own, workers), self.held[own], load, &mut self.rng) {
                    Some(to) => {
                        self.coming[to] += 1;
                        self.moved += 1;
                    }
                    None => self.held[own] += 1,
                }
            }
            for (held, coming) in self.held.iter_mut().zip(&mut self.coming) {
                *held += std::mem::take(coming);
            }
            self.shown.clone_from(&self.held);
        }

        fn most(&self) -> u32 {
            self.held.iter().copied().max().unwrap()
        }

        fn least(&self) -> u32 {
            self.held.iter().copied().min().unwrap()
        }
    }

    proptest! {
        #[test]
        fn however_they_come_loads_end_close_and_no_herd_runs_one_over(
            workers in 2_usize..17,
            batch in 1_usize..33,
            start in prop::collection::vec(0_u32..400, 16),
            favourite in prop::option::of(0_usize..2),
            seed: u64,
        ) {
            let mut simulation = Simulation::new(start[..workers].to_vec(), seed);
            let mut hash = Rng::seeded(!seed);
            let before = simulation.most();
            let rounds = 800 * workers / batch + 40;
            for _ in 0..rounds {
                // The kernel's hash, or everything to one worker.
                let accepting: Vec<_> = (0..batch)
                    .map(|_| favourite.unwrap_or_else(|| below(&mut hash, u32::try_from(workers).unwrap()).unwrap()))
                    .collect();
                simulation.round(accepting.into_iter());
            }
            let (least, most) = (simulation.least(), simulation.most());
            // The gap is one to the drawn two, so to the least one it may be a little more; one batch was not seen.
            let bound = 2 * gap(least) + u32::try_from(batch).unwrap();
            prop_assert!(most - least <= bound, "{:?}", simulation.held);
            prop_assert!(most >= before);
        }

        #[test]
        fn an_empty_worker_is_filled_and_not_drowned(workers in 3_usize..17, seed: u64) {
            let mut simulation = Simulation::new(vec![1000; workers], seed);
            simulation.held[0] = 0;
            simulation.shown[0] = 0;
            // One batch of each at once: nobody has seen what the others did but for what is on its way.
            simulation.round((0..workers).flat_map(|own| std::iter::repeat_n(own, 32)));
            let share = simulation.held[0];
            prop_assert!(share >= 32, "it gets what it accepts itself at least");
            prop_assert!(share <= 32 * u32::try_from(workers).unwrap() * 4 / 5 + 64, "{share}");
        }
    }

    #[test]
    fn an_even_hash_moves_few() {
        // What moves where the kernel spreads evenly anyway is the price of the gap.
        for (workers, most_moved) in [(2_u32, 0.25), (8, 0.25), (16, 0.3)] {
            let mut simulation = Simulation::new(vec![0; workers as usize], 3);
            let mut hash = Rng::seeded(4);
            let total = 10_000;
            for _ in 0..total {
                let own = hash.below(workers) as usize;
                simulation.round(std::iter::once(own));
            }
            let moved = f64::from(simulation.moved) / f64::from(total);
            println!("{workers} workers: {moved}, {:?}", simulation.held);
            assert!(moved < most_moved, "{workers} workers: {moved}");
        }
    }
}
