//! How many retries a worker may still make in one pool: a share of its handshakes, and a few each second in any case.

use crate::clock::Now;
use crate::fleet::RetryBudget;
use crate::limits;

/// What is left to one worker in one pool. Every handshake earns a share of a retry; a full purse earns no more, so
/// a long good time does not pay for a storm of retries. A few more come back with each second.
#[derive(Debug, Clone, Copy)]
pub struct Purse {
    /// Earned by handshakes, in hundredths of a retry.
    earned: u32,
    /// Given by time, in nanoseconds of its rate: a retry is a second's worth divided by the rate.
    given: u64,
    /// Up to when time has given.
    since: Now,
}

impl Purse {
    /// A purse that holds what one second gives.
    pub const fn new(now: Now) -> Self {
        Self {
            earned: 0,
            given: RETRY,
            since: now,
        }
    }

    /// A handshake made its first try.
    pub fn earn(&mut self, rules: RetryBudget) {
        let most = limits::RETRIES_SAVED_MAX * 100;
        self.earned = self.earned.saturating_add(rules.percent).min(most);
    }

    /// Takes one retry out, if there is one.
    pub fn spend(&mut self, rules: RetryBudget, now: Now) -> bool {
        let rate = u64::from(rules.least_per_second);
        let passed = u64::try_from(now.since(self.since).as_nanos()).unwrap_or(RETRY);
        self.since = self.since.max(now);
        // A retry costs as many nanoseconds as a second has, divided by the rate; so both sides are whole.
        self.given = self.given.saturating_add(passed).min(RETRY);
        if rate > 0 && self.given >= RETRY / rate {
            self.given -= RETRY / rate;
            return true;
        }
        let enough = self.earned >= 100;
        if enough {
            self.earned -= 100;
        }
        enough
    }
}

/// The nanoseconds of a second: what the rate's retries cost together.
const RETRY: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules(percent: u32, least_per_second: u32) -> RetryBudget {
        RetryBudget {
            percent,
            least_per_second,
        }
    }

    fn spent(purse: &mut Purse, rules: RetryBudget, now: Now) -> u32 {
        let mut count = 0;
        while purse.spend(rules, now) {
            count += 1;
        }
        count
    }

    const START: Now = Now::from_nanos(5_000_000_000);

    #[test]
    fn a_share_of_the_handshakes_may_be_tried_again() {
        let mut purse = Purse::new(START);
        for _ in 0..100 {
            purse.earn(rules(20, 0));
        }
        assert_eq!(spent(&mut purse, rules(20, 0), START), 20);
        purse.earn(rules(20, 0));
        assert_eq!(spent(&mut purse, rules(20, 0), START), 0);
    }

    #[test]
    fn a_quiet_pool_may_always_retry_a_little() {
        let mut purse = Purse::new(START);
        assert_eq!(spent(&mut purse, rules(0, 10), START), 10);
        let later = START.after(std::time::Duration::from_millis(300));
        assert_eq!(spent(&mut purse, rules(0, 10), later), 3);
        let much_later = later.after(std::time::Duration::from_hours(1));
        assert_eq!(spent(&mut purse, rules(0, 10), much_later), 10);
    }

    #[test]
    fn a_long_good_time_saves_no_more_than_the_bound() {
        let mut purse = Purse::new(START);
        for _ in 0..1_000_000 {
            purse.earn(rules(1_000, 0));
        }
        assert_eq!(
            spent(&mut purse, rules(1_000, 0), START),
            limits::RETRIES_SAVED_MAX
        );
    }

    #[test]
    fn nothing_is_nothing() {
        let mut purse = Purse::new(START);
        purse.earn(rules(0, 0));
        assert_eq!(spent(&mut purse, rules(0, 0), START), 0);
    }

    proptest! {
        /// However handshakes and retries mix, and should the clock run backwards, retries stay within the share, the
        /// rate and the first second.
        #[test]
        fn retries_stay_within_the_budget(
            steps in proptest::collection::vec((0_u64..300_000_000, any::<bool>()), 0..400),
            percent in 0_u32..200, least in 0_u32..50,
        ) {
            let rules = rules(percent, least);
            let mut purse = Purse::new(START);
            let (mut now, mut earned, mut retries) = (START, 0_u64, 0_u64);
            for (pause, retry) in steps {
                now = now.after(std::time::Duration::from_nanos(pause));
                if retry {
                    retries += u64::from(purse.spend(rules, now));
                } else {
                    purse.earn(rules);
                    earned += u64::from(percent);
                }
            }
            let millis = (now.as_nanos() - START.as_nanos()) / 1_000_000 + 1_001;
            let bound = earned / 100 + millis * u64::from(least) / 1_000 + 1;
            prop_assert!(retries <= bound, "{retries} of {bound}");
        }
    }
}
