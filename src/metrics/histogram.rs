//! Durations in fixed buckets, each a power of two wide; one writer, no allocation, one shift to find the bucket.

use std::time::Duration;

use super::Counter;

/// A histogram of durations. Bucket `i` holds what lasted at most `2^(FIRST + i * STEP)` microseconds, and
/// one more bucket holds the rest. Exactly one thread may call [`Histogram::observe`].
#[derive(Debug)]
pub struct Histogram<const FIRST: u32, const STEP: u32, const BUCKETS: usize> {
    counts: [Counter; BUCKETS],
    beyond: Counter,
    sum_us: Counter,
}

impl<const FIRST: u32, const STEP: u32, const BUCKETS: usize> Histogram<FIRST, STEP, BUCKETS> {
    /// Counts one duration.
    pub fn observe(&self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.counts
            .get(Self::bucket(us))
            .unwrap_or(&self.beyond)
            .add(1);
        self.sum_us.add(us);
    }

    /// The buckets as they are now. Each is read on its own, so the writer may be one step further in a later one.
    pub fn read(&self) -> HistogramReading {
        HistogramReading {
            buckets: (0u32..)
                .zip(&self.counts)
                .map(|(place, count)| (1 << (FIRST + place * STEP), count.get()))
                .collect(),
            beyond: self.beyond.get(),
            sum_us: self.sum_us.get(),
        }
    }

    /// The first bucket whose bound is not below `us`; it may be past the last.
    const fn bucket(us: u64) -> usize {
        // The number of bits of `us - 1` is the exponent of the smallest power of two that is not below `us`.
        let exponent = u64::BITS - us.saturating_sub(1).leading_zeros();
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
            sum_us: Counter::new(),
        }
    }
}

/// What a histogram held when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistogramReading {
    /// The upper bound of each bucket in microseconds, and how many fell into it (not cumulated).
    pub buckets: Vec<(u64, u64)>,
    /// How many lasted longer than the last bound.
    pub beyond: u64,
    /// The sum of all durations in microseconds.
    pub sum_us: u64,
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
                sum_us: 1_000_099,
            }
        );
    }
}
