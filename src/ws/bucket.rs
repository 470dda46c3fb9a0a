//! A token bucket: so much a second, and what was not used is kept for a while. Knows arithmetic, never a clock.

use std::time::Duration;

use crate::clock::Now;
use crate::limits;

/// How fast a bucket fills, and how much it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    /// Tokens in a second; at least 1.
    pub per_second: u32,
    /// What the bucket holds at most, as the time it takes to fill; at least a millisecond.
    pub burst: Duration,
}

/// What is left, kept as the time that it took to fill: a full bucket is `burst` old, one in debt is ahead of the
/// clock. So it is one number, and refilling it is no work at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bucket {
    /// When it was, or will be, empty, as [`moment`] counts.
    empty_at: u64,
}

impl Bucket {
    /// A full one: zero is the longest burst before the start of the process's clock.
    pub const fn full() -> Self {
        Self { empty_at: 0 }
    }

    /// Whether there is anything left: whoever asks may then take even more than there is, and owes the rest.
    pub fn has_some(&self, now: Now) -> bool {
        self.empty_at < moment(now)
    }

    /// Takes so many tokens, whether they are there or not.
    pub fn take(&mut self, tokens: u64, rate: Rate, now: Now) {
        let burst = u64::try_from(rate.burst.as_nanos()).unwrap_or(u64::MAX);
        let oldest = moment(now).saturating_sub(burst);
        let cost = u128::from(tokens) * 1_000_000_000 / u128::from(rate.per_second.max(1));
        let cost = u64::try_from(cost).unwrap_or(u64::MAX);
        self.empty_at = self.empty_at.max(oldest).saturating_add(cost);
    }

    /// How long until there is something again; nothing if there is.
    pub fn wait(&self, now: Now) -> Option<Duration> {
        let ahead = self.empty_at.checked_sub(moment(now))?;
        // One nanosecond more, so that whoever waits so long finds some.
        Some(Duration::from_nanos(ahead + 1))
    }
}

/// Nanoseconds since the longest burst before the start of the process's clock. A bucket is then full from the first
/// moment on: after a restart everybody comes back at once.
fn moment(now: Now) -> u64 {
    now.after(limits::RATE_BURST.most).as_nanos()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RATE: Rate = Rate {
        per_second: 10,
        burst: Duration::from_secs(2),
    };

    fn at(ms: u64) -> Now {
        Now::from_nanos((100_000 + ms) * 1_000_000)
    }

    /// Takes one token at a time for as long as there are some.
    fn taken(bucket: &mut Bucket, now: Now) -> u32 {
        let mut count = 0;
        while bucket.has_some(now) {
            bucket.take(1, RATE, now);
            count += 1;
        }
        count
    }

    #[test]
    fn a_full_bucket_gives_its_burst_and_then_its_rate() {
        let mut bucket = Bucket::full();
        assert_eq!(taken(&mut bucket, at(0)), 20);
        assert_eq!(taken(&mut bucket, at(50)), 1);
        assert_eq!(taken(&mut bucket, at(1_000)), 9);
        assert_eq!(taken(&mut bucket, at(60_000)), 20, "no more than its burst");
    }

    #[test]
    fn a_new_bucket_is_full_from_the_first_moment_on() {
        let hour = Rate {
            per_second: 1,
            burst: limits::RATE_BURST.most,
        };
        let start = Now::from_nanos(0);
        assert_eq!(taken(&mut Bucket::full(), start), 20);
        let mut bucket = Bucket::full();
        bucket.take(3_599, hour, start);
        assert!(bucket.has_some(start) && bucket.wait(start).is_none());
        bucket.take(1, hour, start);
        assert!(!bucket.has_some(start) && bucket.wait(start).is_some());
    }

    #[test]
    fn what_is_taken_too_much_is_owed() {
        let mut bucket = Bucket::full();
        bucket.take(50, RATE, at(0));
        assert!(!bucket.has_some(at(0)));
        let wait = bucket.wait(at(0)).unwrap();
        assert_eq!(wait.as_millis(), 3_000);
        assert!(!bucket.has_some(at(2_999)));
        assert!(bucket.has_some(at(0).after(wait)));
        assert_eq!(bucket.wait(at(3_001)), None);
    }

    proptest! {
        #[test]
        fn nothing_overflows_and_no_time_gives_more_than_the_rate(
            per_second in 1_u32.., burst_ms in 1_u64..3_600_000,
            steps in prop::collection::vec((0_u64..10_000, 0_u64..1_000), 1..40),
        ) {
            let rate = Rate { per_second, burst: Duration::from_millis(burst_ms) };
            let (mut bucket, mut ms, mut given) = (Bucket::full(), 0, 0_u128);
            let mut last = 0;
            for (passed, tokens) in steps {
                ms += passed;
                if bucket.has_some(at(ms)) {
                    bucket.take(tokens, rate, at(ms));
                    given += u128::from(tokens);
                    last = tokens;
                }
            }
            let most = u128::from(per_second) * u128::from(burst_ms + ms) / 1_000 + 1;
            prop_assert!(given <= most + u128::from(last), "{given} of {most}");
            bucket.take(u64::MAX, rate, at(ms));
            prop_assert!(!bucket.has_some(at(ms)));
        }
    }
}
