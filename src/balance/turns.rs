//! A pool's round of turns: who has which turn, and the step that spreads the turns of one member.

/// One turn for each unit of weight, or one for each member if all weights are equal. Built with the view, so that
/// a worker's place in the round is a single number.
///
/// With equal weights the turns are taken in order: a, b, c. With different ones they are taken in steps near
/// the golden section of the round. Such a walk visits every turn exactly once, because step and round have
/// no common factor, and it lands evenly everywhere, because the golden ratio is the number that fractions
/// approach worst. So a whole round is exact and every part of it is nearly so.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Turns {
    /// `ends[i]` is the sum of the weights up to and including member `i`. Empty if all weights are equal.
    ends: Box<[u32]>,
    /// The owner of each turn that is a multiple of two to the power of `shift`, so that the search for an owner is
    /// short: as many marks as there are members, or half as many.
    marks: Box<[u32]>,
    shift: u32,
    /// Turns in a round.
    count: u32,
    /// Invariant: no factor in common with `count`.
    step: u32,
}

impl Turns {
    pub(super) fn new(weights: impl Iterator<Item = u16>) -> Self {
        let weights: Vec<_> = weights.collect();
        if weights.windows(2).all(|pair| pair[0] == pair[1]) {
            return Self {
                count: u32::try_from(weights.len()).unwrap_or(u32::MAX),
                step: 1,
                ..Self::default()
            };
        }
        let mut count = 0_u32;
        let ends = weights.iter().map(|&weight| {
            count = count.saturating_add(u32::from(weight));
            count
        });
        let ends: Box<[u32]> = ends.collect();
        let members = u32::try_from(weights.len()).unwrap_or(u32::MAX);
        let shift = count.div_ceil(members).next_power_of_two().ilog2();
        let owner = |turn| ends.partition_point(|&end| end <= turn);
        let marks = (0..=count >> shift)
            .map(|mark| u32::try_from(owner(mark << shift)).unwrap_or(u32::MAX));
        Self {
            marks: marks.collect(),
            ends,
            shift,
            count,
            step: even_step(count),
        }
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// The turn after this one, which is below `count`.
    pub(super) fn after(&self, turn: u32) -> u32 {
        // A step is below the round, so the sum is below twice the round and one subtraction is enough.
        let next = turn + self.step;
        if next >= self.count {
            next - self.count
        } else {
            next
        }
    }

    /// The place of the member whose turn this is.
    pub(super) fn owner(&self, turn: u32) -> usize {
        if self.ends.is_empty() {
            turn as usize
        } else {
            let mark = (turn >> self.shift) as usize;
            let first = self.marks[mark] as usize;
            let last = self.marks.get(mark + 1);
            let last = last.map_or(self.ends.len(), |&last| last as usize);
            first + self.ends[first..last].partition_point(|&end| end <= turn)
        }
    }
}

/// A step near the golden section of `count` that spreads best. How far any part of the walk can be from fair
/// grows with the sum of the quotients in Euclid's algorithm on step and count; the nearest number without a
/// common factor may have a large one (a member was once 35 turns late in a round of some thousands), the
/// best of the neighbourhood never does (below 5).
fn even_step(count: u32) -> u32 {
    // 2^32 divided by the golden ratio.
    const INVERSE_GOLDEN: u64 = 2_654_435_769;
    const NEIGHBOURS: u32 = 40;
    let section = ((u64::from(count) * INVERSE_GOLDEN) >> 32) as u32;
    let neighbours = section.saturating_sub(NEIGHBOURS).max(1)..=section + NEIGHBOURS;
    let candidates = neighbours.filter(|&step| step < count);
    candidates
        .filter_map(|step| Some((unevenness(step, count)?, step.abs_diff(section), step)))
        .min()
        .map_or(1, |(.., step)| step)
}

/// The sum of Euclid's quotients, or nothing if there is a common factor.
fn unevenness(step: u32, count: u32) -> Option<u32> {
    let (mut larger, mut smaller, mut sum) = (count, step, 0_u32);
    while smaller != 0 {
        sum = sum.saturating_add(larger / smaller);
        (larger, smaller) = (smaller, larger % smaller);
    }
    (larger == 1).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(weights: &[u16]) -> Vec<usize> {
        let turns = Turns::new(weights.iter().copied());
        let mut turn = 0;
        let walk = (0..turns.count()).map(|_| {
            let owner = turns.owner(turn);
            turn = turns.after(turn);
            owner
        });
        walk.collect()
    }

    #[test]
    fn equal_weights_go_in_order() {
        assert_eq!(round(&[7, 7, 7]), [0, 1, 2]);
        assert_eq!(round(&[3]), [0]);
        assert_eq!(round(&[]), Vec::<usize>::new());
    }

    #[test]
    fn a_round_gives_each_its_weight() {
        let round = round(&[2, 1, 3]);
        let times = |member| round.iter().filter(|&&owner| owner == member).count();
        assert_eq!([times(0), times(1), times(2)], [2, 1, 3]);
    }

    #[test]
    fn the_owner_of_a_turn_is_found_from_its_mark() {
        for weights in [
            &[1, 1_000, 1, 1, 7][..],
            &[1, 2],
            &[1_000, 1, 1],
            &[3; 9],
            &[5, 1, 1, 1, 1, 1, 1, 1, 1],
        ] {
            let turns = Turns::new(weights.iter().copied());
            let owners = (0..turns.count()).map(|turn| turns.owner(turn));
            let times = |&weight: &u16| {
                if turns.ends.is_empty() {
                    1
                } else {
                    weight.into()
                }
            };
            let due = weights.iter().map(times).enumerate();
            let due = due.flat_map(|(member, times)| std::iter::repeat_n(member, times));
            assert!(owners.eq(due), "{weights:?}");
        }
    }

    #[test]
    fn every_step_is_free_of_common_factors_and_even() {
        for count in (3..3_000).chain([65_536, 720_720, 1_000_000, 8_192_000]) {
            let step = even_step(count);
            assert!(step >= 1 && step < count, "{count}");
            let unevenness = unevenness(step, count);
            assert!(
                unevenness.is_some_and(|sum| sum <= 50),
                "{count}: {unevenness:?}"
            );
        }
    }
}
