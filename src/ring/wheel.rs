//! One coarse deadline wheel per core: cheap to put something in, never touched per message.

use crate::clock::Now;
use crate::limits;
use crate::ring::Token;

/// Deadlines in buckets of [`limits::WHEEL_TICK`]. It says late rather than early: what was put in for
/// a moment comes out with the first [`Wheel::advance`] at or after it, rounded up to a tick.
///
/// Nothing is taken out before its time. Owners keep the true deadline, look when the wheel says so, and
/// come back later if it moved: so a message costs the wheel nothing.
#[derive(Debug)]
pub struct Wheel {
    buckets: Vec<Vec<Entry>>,
    /// One bit for each bucket that holds something.
    occupied: [u64; limits::WHEEL_BUCKETS / 64],
    /// The next tick to look at; everything before it has come out.
    cursor: u64,
    entries: usize,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    tick: u64,
    token: Token,
}

impl Wheel {
    /// An empty wheel whose time starts at `now`.
    pub fn new(now: Now) -> Self {
        let buckets = (0..limits::WHEEL_BUCKETS).map(|_| Vec::new()).collect();
        let occupied = [0; limits::WHEEL_BUCKETS / 64];
        Self {
            buckets,
            occupied,
            cursor: tick_of(now),
            entries: 0,
        }
    }

    /// Puts `token` in for `deadline`.
    pub fn insert(&mut self, deadline: Now, token: Token) {
        let tick = tick_of(deadline).saturating_add(1).max(self.cursor);
        self.place(Entry { tick, token });
        self.entries += 1;
    }

    /// Moves everything whose time has come by `now` into `due`.
    pub fn advance(&mut self, now: Now, due: &mut Vec<Token>) {
        let end = tick_of(now);
        while self.cursor <= end {
            // One round over the buckets sees every entry, however long the sleep was.
            let Some(next) = self.next_occupied(self.cursor) else {
                break;
            };
            if next > end {
                break;
            }
            self.cursor = next + 1;
            self.empty_bucket(next, due);
        }
        self.cursor = self.cursor.max(end + 1);
    }

    /// When to look again at the latest; nothing if the wheel is empty. Early by less than one round for
    /// deadlines beyond it.
    pub fn next(&self) -> Option<Now> {
        let tick = self.next_occupied(self.cursor)?;
        Some(Now::from_nanos(tick.saturating_mul(TICK_NANOS)))
    }

    /// How many entries wait.
    pub const fn len(&self) -> usize {
        self.entries
    }

    /// Whether nothing waits.
    pub const fn is_empty(&self) -> bool {
        self.entries == 0
    }

    fn empty_bucket(&mut self, tick: u64, due: &mut Vec<Token>) {
        let bucket = bucket_of(tick);
        self.occupied[bucket / 64] &= !(1 << (bucket % 64));
        let mut entries = std::mem::take(&mut self.buckets[bucket]);
        for entry in entries.drain(..) {
            if entry.tick <= tick {
                self.entries -= 1;
                due.push(entry.token);
            } else {
                self.place(entry);
            }
        }
        // A bucket keeps a little room for the next round, not what a storm once needed.
        if self.buckets[bucket].is_empty() && entries.capacity() <= limits::WHEEL_BUCKET_KEEP {
            self.buckets[bucket] = entries;
        }
    }

    /// An entry stands in the bucket of its tick, or of the farthest tick of this round.
    fn place(&mut self, entry: Entry) {
        let farthest = self.cursor + limits::WHEEL_BUCKETS as u64 - 1;
        let bucket = bucket_of(entry.tick.min(farthest));
        self.occupied[bucket / 64] |= 1 << (bucket % 64);
        self.buckets[bucket].push(entry);
    }

    /// The first tick from `from` on whose bucket holds something, within one round.
    fn next_occupied(&self, from: u64) -> Option<u64> {
        let start = bucket_of(from);
        let words = self.occupied.len();
        for step in 0..=words {
            let word = (start / 64 + step) % words;
            let mut bits = self.occupied[word];
            if step == 0 {
                bits &= u64::MAX << (start % 64);
            } else if step == words {
                bits &= !(u64::MAX << (start % 64));
            }
            if bits != 0 {
                let bucket = word * 64 + bits.trailing_zeros() as usize;
                let ahead = (bucket + limits::WHEEL_BUCKETS - start) % limits::WHEEL_BUCKETS;
                return Some(from + ahead as u64);
            }
        }
        None
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the remainder is below the number of buckets"
)]
const fn bucket_of(tick: u64) -> usize {
    (tick % limits::WHEEL_BUCKETS as u64) as usize
}

const fn tick_of(moment: Now) -> u64 {
    moment.as_nanos() / TICK_NANOS
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a tick is a fraction of a second"
)]
const TICK_NANOS: u64 = limits::WHEEL_TICK.as_nanos() as u64;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn token(index: u32) -> Token {
        Token::new(20, 0, index)
    }

    #[test]
    fn an_empty_wheel_asks_for_nothing() {
        let mut wheel = Wheel::new(Now::from_nanos(12_345));
        let mut due = Vec::new();
        wheel.advance(Now::from_nanos(u64::from(u32::MAX) * 1000), &mut due);
        assert!(due.is_empty() && wheel.next().is_none() && wheel.is_empty());
    }

    #[test]
    fn a_deadline_hours_away_comes_out_once_and_on_time() {
        let start = Now::from_nanos(1_000_000_007);
        let mut wheel = Wheel::new(start);
        let deadline = start.after(Duration::from_hours(3));
        wheel.insert(deadline, token(1));
        let (mut due, mut wakes) = (Vec::new(), 0);
        while let Some(next) = wheel.next() {
            wheel.advance(next, &mut due);
            wakes += 1;
            assert!(due.is_empty() || next >= deadline, "early");
            assert!(next <= deadline.after(limits::WHEEL_TICK * 2), "late");
        }
        assert_eq!(due, [token(1)]);
        assert!(
            wakes < 200,
            "an idle wheel wakes about once a round, not {wakes} times"
        );
    }

    proptest! {
        #[test]
        fn everything_comes_out_once_never_early_and_at_most_a_tick_late(
            delays in prop::collection::vec(0_u64..200_000, 1..60),
            steps in prop::collection::vec(1_u64..40_000, 1..40),
        ) {
            let start = Now::from_nanos(77);
            let mut wheel = Wheel::new(start);
            let at = |ms: u64| start.after(Duration::from_millis(ms));
            for (index, delay) in delays.iter().enumerate() {
                wheel.insert(at(*delay), token(u32::try_from(index).unwrap()));
            }
            let (mut now_ms, mut seen) = (0, vec![0; delays.len()]);
            for step in steps.into_iter().chain([300_000]) {
                now_ms += step;
                let mut due = Vec::new();
                wheel.advance(at(now_ms), &mut due);
                for token in due {
                    seen[token.index() as usize] += 1;
                    prop_assert!(delays[token.index() as usize] <= now_ms, "early");
                }
                let tick_ms = u64::try_from(limits::WHEEL_TICK.as_millis()).unwrap();
                for (index, delay) in delays.iter().enumerate() {
                    prop_assert!(seen[index] == 1 || delay + 2 * tick_ms > now_ms, "late");
                }
            }
            prop_assert!(seen.iter().all(|count| *count == 1) && wheel.is_empty());
        }
    }
}
