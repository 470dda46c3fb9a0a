//! Durations and sizes in fixed buckets, bounded by powers of two; one writer, no allocation, one shift to find the
//! bucket.

use std::time::Duration;

use super::Counter;

/// A histogram of whole numbers. Bucket `i` holds what is at most `2^(FIRST + i * STEP)`, and one more bucket
/// holds the rest. Durations are counted in microseconds. Exactly one thread may write to it.
#[derive(Debug)]
pub struct Histogram<const FIRST: u32, const STEP: u32, const BUCKETS: usize> {
    counts: [Counter; BUCKETS],
    beyond: Counter,
    sum: Counter,
}

impl<const FIRST: u32, const STEP: u32, const BUCKETS: usize> Histogram<FIRST, STEP, BUCKETS> {
    /// Counts one duration.
    pub fn observe(&self, duration: Duration) {
        self.count(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }

    /// Counts one number.
    pub fn count(&self, value: u64) {
        self.counts
            .get(Self::bucket(value))
            .unwrap_or(&self.beyond)
            .add(1);
        self.sum.add(value);
    }

    /// The buckets as they are now. Each is read on its own, so the writer may be one step further in a later one.
    pub fn read(&self) -> HistogramReading {
        HistogramReading {
            buckets: (0u32..)
                .zip(&self.counts)
                .map(|(place, count)| (1 << (FIRST + place * STEP), count.get()))
                .collect(),
            beyond: self.beyond.get(),
            sum: self.sum.get(),
        }
    }

    /// The first bucket whose bound is not below `value`; it may be past the last.
    const fn bucket(value: u64) -> usize {
        // The number of bits of `value - 1` is the exponent of the smallest power of two that is not below it.
        let exponent = u64::BITS - value.saturating_sub(1).leading_zeros();
        exponent.saturating_sub(FIRST).div_ceil(STEP) as usize
    }
}

impl<const FIRST: u32, const STEP: u32, const BUCKETS: usize> Default
    for Histogram<FIRST, STEP, BUCKETS>
{
    fn default() -> Self {
        Self {
            counts: std::array::from_fn(|_| Counter::new()),
            beyond: Counter::new(),
            sum: Counter::new(),
        }
    }
}

/// What a histogram held when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistogramReading {
    /// The upper bound of each bucket, and how many fell into it (not cumulated).
    pub buckets: Vec<(u64, u64)>,
    /// How many were larger than the last bound.
    pub beyond: u64,
    /// The sum of all that was counted.
    pub sum: u64,
}

impl HistogramReading {
    /// How many were counted.
    pub fn total(&self) -> u64 {
        let within = self.buckets.iter().map(|(_, count)| count);
        within.fold(self.beyond, |total, count| total.wrapping_add(*count))
    }

    /// Adds what another histogram of the same type held. A sum wraps as the counters themselves do.
    pub fn add(&mut self, other: &Self) {
        debug_assert_eq!(self.buckets.len(), other.buckets.len());
        for ((_, count), (_, more)) in self.buckets.iter_mut().zip(&other.buckets) {
            *count = count.wrapping_add(*more);
        }
        self.beyond = self.beyond.wrapping_add(other.beyond);
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Small = Histogram<2, 2, 3>;

    #[test]
    fn a_duration_falls_into_the_first_bucket_that_is_not_below_it() {
        for (us, bucket) in [
            (0, 0),
            (1, 0),
            (4, 0),
            (5, 1),
            (16, 1),
            (17, 2),
            (64, 2),
            (65, 3),
            (u64::MAX, 31),
        ] {
            assert_eq!(Small::bucket(us), bucket, "{us} us");
        }
    }

    #[test]
    fn what_outlasts_every_bucket_is_counted_beyond_them() {
        let times = Small::default();
        for us in [1, 16, 17, 65, 1_000_000] {
            times.observe(Duration::from_micros(us));
        }
        assert_eq!(
            times.read(),
            HistogramReading {
                buckets: vec![(4, 1), (16, 1), (64, 1)],
                beyond: 2,
                sum: 1_000_099,
            }
        );
    }

    #[test]
    fn two_readings_are_added_bucket_by_bucket() {
        let (one, two) = (Small::default(), Small::default());
        one.count(1);
        one.count(65);
        two.count(3);
        two.count(64);
        let mut both = one.read();
        both.add(&two.read());
        assert_eq!(
            both,
            HistogramReading {
                buckets: vec![(4, 2), (16, 0), (64, 1)],
                beyond: 1,
                sum: 133,
            }
        );
        assert_eq!(both.total(), 4);
    }
}
