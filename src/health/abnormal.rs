//! Ejects by how tunnels end: a backend that takes handshakes and then drops its tunnels is not well either.

use std::time::Duration;

use super::eject::eject;
use crate::clock::Now;
use crate::fleet::{BackendId, EjectionRules, Ends, Phase, Pool, SlotTable};
use crate::limits::ABNORMAL_ENDS_LEAST;

/// Looks at one backend's ends since it was last looked at, and puts the backend out if too many were abnormal. Hands
/// back for how long. Control calls it for each backend once in every
/// [`ABNORMAL_WINDOW`](crate::limits::ABNORMAL_WINDOW), with what it remembers of that backend.
///
/// Only a trusted backend is put out by it: what is on trial is judged by its handshake, and the tunnels that end
/// while it is out are those from before.
pub fn abnormal(
    pool: &Pool,
    table: &SlotTable,
    id: BackendId,
    share: &mut AbnormalShare,
    now: Now,
) -> Option<Duration> {
    let generation = table.standing(id).generation;
    let too_many = share.step(table.ends(id), generation, &pool.ejection);
    let before = table.ejection(id);
    if too_many && before.phase == Phase::Trusted {
        eject(pool, table, id, before, now)
    } else {
        None
    }
}

/// How one backend's tunnels had ended when a window began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AbnormalShare {
    began: Option<Began>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Began {
    ends: Ends,
    generation: u32,
}

impl AbnormalShare {
    /// Ends a window and begins the next. True if enough tunnels ended in it and too large a share of them abnormally.
    /// The first window of a row's owner has no beginning, so nothing is concluded from it.
    pub fn step(&mut self, ends: Ends, generation: u32, rules: &EjectionRules) -> bool {
        let now = Began { ends, generation };
        let before = self.began.replace(now);
        before.is_some_and(|before| {
            before.generation == generation && is_too_much(before.ends, ends, rules)
        })
    }
}

fn is_too_much(before: Ends, now: Ends, rules: &EjectionRules) -> bool {
    let total = now.total.wrapping_sub(before.total);
    let abnormal = now.abnormal.wrapping_sub(before.abnormal);
    let share_is_high =
        u64::from(abnormal) * 100 >= u64::from(rules.abnormal_percent) * u64::from(total);
    rules.abnormal_percent > 0 && total >= ABNORMAL_ENDS_LEAST && share_is_high
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: EjectionRules = EjectionRules {
        failures: 0,
        time: Duration::from_secs(10),
        time_max: Duration::from_mins(5),
        share_max_percent: 50,
        abnormal_percent: 50,
    };

    fn ends(total: u32, abnormal: u32) -> Ends {
        Ends { total, abnormal }
    }

    /// The verdict over a window with these ends, begun at `from`.
    fn window(from: Ends, total: u32, abnormal: u32, rules: &EjectionRules) -> bool {
        let mut share = AbnormalShare::default();
        assert!(!share.step(from, 0, rules), "nothing to compare with");
        let after = ends(
            from.total.wrapping_add(total),
            from.abnormal.wrapping_add(abnormal),
        );
        share.step(after, 0, rules)
    }

    #[test]
    fn a_share_counts_from_its_threshold_and_only_among_enough_ends() {
        let from = ends(1_000, 900);
        assert!(window(from, 20, 10, &HALF));
        assert!(!window(from, 20, 9, &HALF));
        assert!(!window(
            from,
            ABNORMAL_ENDS_LEAST - 1,
            ABNORMAL_ENDS_LEAST - 1,
            &HALF
        ));
        assert!(window(
            from,
            ABNORMAL_ENDS_LEAST,
            ABNORMAL_ENDS_LEAST,
            &HALF
        ));
        assert!(!window(from, 0, 0, &HALF));
    }

    #[test]
    fn the_rule_is_off_at_zero() {
        let off = EjectionRules {
            abnormal_percent: 0,
            ..HALF
        };
        assert!(!window(ends(0, 0), 100, 100, &off));
    }

    #[test]
    fn counts_that_wrap_are_only_differences() {
        assert!(window(ends(u32::MAX - 3, u32::MAX - 1), 20, 12, &HALF));
        assert!(!window(ends(u32::MAX - 3, u32::MAX - 1), 20, 2, &HALF));
    }

    #[test]
    fn each_window_stands_alone() {
        let mut share = AbnormalShare::default();
        share.step(ends(0, 0), 0, &HALF);
        assert!(share.step(ends(20, 20), 0, &HALF));
        assert!(!share.step(ends(40, 20), 0, &HALF), "it ended well since");
    }

    #[test]
    fn a_row_that_went_to_another_backend_begins_anew() {
        let mut share = AbnormalShare::default();
        share.step(ends(10, 0), 0, &HALF);
        assert!(!share.step(ends(90, 90), 1, &HALF), "not its own window");
        assert!(share.step(ends(110, 110), 1, &HALF));
    }
}
