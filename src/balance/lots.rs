//! Draws by weight, at the same cost for any number of backends.

use std::hint::select_unpredictable;

use crate::rng::Rng;

/// The alias method (Walker 1974, in Vose's form), in whole numbers, so that each share is exact. Every seat has a column
/// as high as the sum of all weights; what its own weight does not fill belongs to one other seat. A draw picks a column and
/// a height.
#[derive(Debug, Clone, Default)]
pub(super) struct Lots {
    seats: u32,
    /// Empty if all weights are equal: then a column is a seat.
    columns: Vec<Column>,
    /// The height of every column.
    height: u32,
    /// How much of each seat is not yet in a column, and which columns are too low or not; kept from one time to the
    /// next.
    left: Vec<u64>,
    low: Vec<u32>,
    high: Vec<u32>,
}

#[derive(Debug, Clone, Copy)]
struct Column {
    /// How much of it belongs to its own seat.
    own: u32,
    /// Whose the rest is.
    other: u32,
}

impl Lots {
    /// Makes them for seats of these weights, at most 2^16 of them.
    pub(super) fn deal(&mut self, weights: impl ExactSizeIterator<Item = u16> + Clone) {
        self.columns.clear();
        self.seats = u32::try_from(weights.len()).unwrap_or(u32::MAX);
        let mut pairs = weights.clone().zip(weights.clone().skip(1));
        if pairs.all(|(one, two)| one == two) {
            return;
        }
        self.height = weights.clone().map(u32::from).sum();
        let (seats, height) = (u64::from(self.seats), u64::from(self.height));
        self.left.clear();
        self.left
            .extend(weights.map(|weight| u64::from(weight) * seats));
        self.low.clear();
        self.high.clear();
        for (seat, &left) in (0..).zip(&self.left) {
            let side = if left < height {
                &mut self.low
            } else {
                &mut self.high
            };
            side.push(seat);
            self.columns.push(Column {
                own: self.height,
                other: seat,
            });
        }
        self.level();
    }

    /// Fills each low column up from a high one.
    fn level(&mut self) {
        let height = u64::from(self.height);
        while let (Some(&high), Some(low)) = (self.high.last(), self.low.pop()) {
            let own = self.left[low as usize];
            self.columns[low as usize] = Column {
                own: u32::try_from(own).unwrap_or(self.height),
                other: high,
            };
            let left = &mut self.left[high as usize];
            *left -= height - own;
            if *left < height {
                self.high.pop();
                self.low.push(high);
            }
        }
    }

    /// A seat, each as likely as its weight says. Nobody if there is none.
    pub(super) fn draw(&self, rng: &mut Rng) -> Option<usize> {
        if self.seats == 0 {
            return None;
        }
        let drawn = rng.below(self.seats);
        if self.columns.is_empty() {
            return Some(drawn as usize);
        }
        let column = self.columns[drawn as usize];
        let is_own = rng.below(self.height) < column.own;
        Some(select_unpredictable(is_own, drawn, column.other) as usize)
    }

    /// Two seats, not the same one unless there is only one. The second is any other one if the first was drawn
    /// twice.
    pub(super) fn draw_two(&self, rng: &mut Rng) -> Option<(usize, usize)> {
        let first = self.draw(rng)?;
        let second = self.draw(rng)?;
        if second != first || self.seats == 1 {
            return Some((first, second));
        }
        let further = 1 + rng.below(self.seats - 1) as usize;
        Some((first, (first + further) % self.seats as usize))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rng::Rng;

    proptest! {
        #[test]
        fn every_share_is_exact(weights in prop::collection::vec(1_u16..=1_000, 0..60)) {
            let mut lots = Lots::default();
            lots.deal(weights.iter().copied());
            let height = u64::from(lots.height);
            let mut shares = vec![0; weights.len()];
            for (seat, column) in lots.columns.iter().enumerate() {
                prop_assert!(column.own <= lots.height);
                shares[seat] += u64::from(column.own);
                shares[column.other as usize] += height - u64::from(column.own);
            }
            let due = weights.iter().map(|&weight| u64::from(weight) * weights.len() as u64);
            if !lots.columns.is_empty() {
                prop_assert_eq!(shares, due.collect::<Vec<_>>());
            }
        }

        #[test]
        fn two_are_never_the_same(weights in prop::collection::vec(1_u16..=1_000, 2..10), seed: u64) {
            let mut lots = Lots::default();
            lots.deal(weights.iter().copied());
            let mut rng = Rng::seeded(seed);
            for _ in 0..50 {
                let (one, two) = lots.draw_two(&mut rng).unwrap();
                prop_assert!(one != two && one.max(two) < weights.len());
            }
        }
    }
}
