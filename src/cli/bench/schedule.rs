//! When each message of a fixed rate is due. Pure: the calendar is fixed before the first message leaves.
//!
//! Messages go to all tunnels in turn, over all threads, so each thread knows its own without asking the others.

use crate::clock::Now;

/// The calendar of one thread's tunnels.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    start: Now,
    rate_per_second: u64,
    tunnels: u64,
    first_tunnel: u64,
    own_tunnels: u64,
    /// The next message to come due: its round, and which of the own tunnels sends it.
    round: u64,
    local: u64,
}

impl Schedule {
    /// The calendar of `own_tunnels` tunnels, numbered from `first_tunnel`, among `tunnels`.
    pub(super) const fn new(
        rate_per_second: u64,
        tunnels: u64,
        first_tunnel: u64,
        own_tunnels: u64,
    ) -> Self {
        Self {
            start: Now::from_nanos(0),
            rate_per_second,
            tunnels,
            first_tunnel,
            own_tunnels,
            round: 0,
            local: 0,
        }
    }

    /// Begins the calendar.
    pub(super) const fn start(&mut self, now: Now) {
        self.start = now;
    }

    /// When a tunnel's message of that number is due.
    pub(super) fn due_at(&self, local: u64, number: u64) -> Now {
        let message = u128::from(number) * u128::from(self.tunnels)
            + u128::from(self.first_tunnel)
            + u128::from(local);
        let offset = message * 1_000_000_000 / u128::from(self.rate_per_second);
        let offset = u64::try_from(offset).unwrap_or(u64::MAX);
        Now::from_nanos(self.start.as_nanos().saturating_add(offset))
    }

    /// When the next message is due.
    pub(super) fn next_due(&self) -> Now {
        self.due_at(self.local, self.round)
    }

    /// The tunnel of the next message if that is due by `now`; then moves on.
    pub(super) fn take_due(&mut self, now: Now) -> Option<usize> {
        if self.next_due() > now {
            return None;
        }
        let local = self.local;
        self.local += 1;
        if self.local == self.own_tunnels {
            self.local = 0;
            self.round += 1;
        }
        usize::try_from(local).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_threads_together_keep_the_rate() {
        let mut all: Vec<u64> = Vec::new();
        for (first, own) in [(0, 3), (3, 2)] {
            let mut schedule = Schedule::new(1000, 5, first, own);
            schedule.start(Now::from_nanos(7));
            let end = Now::from_nanos(7 + 1_000_000_000 - 1);
            let mut sent = [0; 3];
            while let Some(local) = schedule.take_due(end) {
                all.push(schedule.due_at(local as u64, sent[local]).as_nanos());
                sent[local] += 1;
            }
        }
        all.sort_unstable();
        let expected: Vec<u64> = (0..1000).map(|n| 7 + n * 1_000_000).collect();
        assert_eq!(all, expected);
    }

    #[test]
    fn nothing_is_due_before_its_time() {
        let mut schedule = Schedule::new(10, 1, 0, 1);
        schedule.start(Now::from_nanos(100));
        assert_eq!(schedule.take_due(Now::from_nanos(99)), None);
        assert_eq!(schedule.take_due(Now::from_nanos(100)), Some(0));
        assert_eq!(schedule.next_due(), Now::from_nanos(100_000_100));
    }
}
