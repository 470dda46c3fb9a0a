//! What many backends carry together, kept nearly true at a fixed cost a pick.

use crate::clock::Now;
use crate::fleet::{BackendId, SlotTable};
use crate::limits::{TALLY_AGE_MAX, TALLY_EXACT_MAX, TALLY_ROWS};

/// A sum of connections over some backends. Each look reads a few rows again, in turn; so the sum of a small pool is
/// exact, and that of a large one is at most half as many looks old as it has backends, and never older than
/// [`TALLY_AGE_MAX`].
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    rows: Vec<(BackendId, u64)>,
    /// Invariant: the sum of what `rows` say.
    sum: u64,
    /// The sum of their weights.
    weight: u64,
    next: usize,
    good_until: Now,
}

/// The answer of a tally.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Total {
    pub(super) connections: u64,
    pub(super) weight: u64,
}

impl Tally {
    pub(super) fn clear(&mut self) {
        *self = Self {
            rows: std::mem::take(&mut self.rows),
            ..Self::default()
        };
        self.rows.clear();
    }

    pub(super) fn add(&mut self, id: BackendId, weight: u16) {
        self.rows.push((id, 0));
        self.weight += u64::from(weight);
    }

    /// Nearly what they carry now.
    pub(super) fn total(&mut self, table: &SlotTable, now: Now) -> Total {
        if self.rows.len() <= TALLY_EXACT_MAX || now >= self.good_until {
            return self.exact(table, now);
        }
        for _ in 0..TALLY_ROWS {
            let (id, seen) = &mut self.rows[self.next];
            let load = table.load(*id).total();
            self.sum = self.sum + load - *seen;
            *seen = load;
            self.next += 1;
            if self.next == self.rows.len() {
                self.next = 0;
            }
        }
        self.said()
    }

    /// Exactly what they carry now, at the cost of reading every row.
    pub(super) fn exact(&mut self, table: &SlotTable, now: Now) -> Total {
        self.sum = 0;
        for (id, seen) in &mut self.rows {
            *seen = table.load(*id).total();
            self.sum += *seen;
        }
        self.good_until = now.after(TALLY_AGE_MAX);
        self.said()
    }

    /// Whether they carry as much as `most`. Near it the rows are read one by one.
    pub(super) fn is_full(&mut self, most: u32, table: &SlotTable, now: Now) -> bool {
        let most = u64::from(most);
        let near = most / 16 + self.rows.len() as u64;
        let nearly = self.total(table, now).connections;
        nearly + near >= most && self.exact(table, now).connections >= most
    }

    fn said(&self) -> Total {
        Total {
            connections: self.sum,
            weight: self.weight,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn tally(rows: u16) -> Tally {
        let mut tally = Tally::default();
        (0..rows).for_each(|id| tally.add(BackendId(id), 2));
        tally
    }

    #[test]
    fn a_small_pool_is_counted_exactly() {
        let table = SlotTable::new(8);
        let mut tally = tally(8);
        for count in 0..100 {
            let total = tally.total(&table, Now::default());
            assert_eq!((total.connections, total.weight), (count, 16));
            table.connect_started(BackendId(u16::try_from(count % 8).unwrap()));
        }
    }

    #[test]
    fn a_large_one_is_true_again_after_half_as_many_looks_and_after_a_while() {
        let table = SlotTable::new(800);
        let mut tally = tally(800);
        let now = Now::default();
        assert_eq!(tally.total(&table, now).connections, 0);
        (0..800).for_each(|id| table.connect_started(BackendId(id)));
        assert!(tally.total(&table, now).connections < 800);
        for _ in 1..400 {
            tally.total(&table, now);
        }
        assert_eq!(tally.total(&table, now).connections, 800);
        (0..800).for_each(|id| table.connect_ended(BackendId(id)));
        let later = now.after(Duration::from_millis(100));
        assert_eq!(tally.total(&table, later).connections, 0);
    }

    #[test]
    fn near_a_bound_it_is_exact() {
        let table = SlotTable::new(800);
        let mut tally = tally(800);
        let now = Now::default();
        for count in 0..2_000 {
            assert!(!tally.is_full(2_000, &table, now), "at {count}");
            table.connect_started(BackendId(u16::try_from(count % 800).unwrap()));
        }
        assert!(tally.is_full(2_000, &table, now));
    }
}
