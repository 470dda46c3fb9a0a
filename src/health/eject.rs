//! The one way out: puts a backend out, for how long, and never more of a pool than its share.

use std::time::Duration;

use crate::clock::Now;
use crate::fleet::{BackendId, Ejection, EjectionRules, Member, Phase, Pool, SlotTable};
use crate::limits::EJECTION_SPREAD_PERCENT;
use crate::rng::Rng;
use crate::sync::{Ordering, fence};

/// Puts a backend out that stood like `before`, or out again if it was on trial. Hands back for how long; nothing if it
/// was out already, if it stands otherwise by now, if the pool may not spare it, or if its row belongs to another.
///
/// A backend counts against the pool's share from its ejection until it is trusted again. So a trial that fails
/// makes nobody more out, and puts out again even at the full share. Only if the share has shrunk meanwhile, by a
/// reload, is such a backend let in instead.
pub(super) fn eject(
    pool: &Pool,
    table: &SlotTable,
    id: BackendId,
    before: Ejection,
    now: Now,
) -> Option<Duration> {
    if before.phase == Phase::Out || !has_member(pool, table, id) {
        return None;
    }
    if !can_spare(pool, table, id) {
        if before.phase == Phase::OnTrial {
            table.replace_ejection(id, before, trusted(before, now));
        }
        return None;
    }
    let times = times_remembered(before, &pool.ejection, now);
    let time = time_out(&pool.ejection, id, times);
    let out = Ejection {
        phase: Phase::Out,
        until_ms: now.after(time).as_millis(),
        times: times.saturating_add(1),
    };
    if !table.replace_ejection(id, before, out) {
        return None;
    }
    if before.phase == Phase::Trusted && was_one_too_many(pool, table, id) {
        table.replace_ejection(id, out, before);
        return None;
    }
    Some(time)
}

/// What an ejection becomes when the backend is trusted again: how often it was out is remembered, and since when
/// it is not.
pub(super) const fn trusted(ejection: Ejection, now: Now) -> Ejection {
    Ejection {
        phase: Phase::Trusted,
        until_ms: now.as_millis(),
        times: ejection.times,
    }
}

/// How many backends of a pool may be out at once. One always may, but not the only one: with nobody else to take
/// its place, its clients would wait for nothing.
pub(super) fn may_be_out(pool: &Pool) -> usize {
    let size = pool.backends.len();
    let percent = pool.ejection.share_max_percent.min(100) as usize;
    let share = size * percent / 100;
    if size == 1 { 0 } else { share.max(1) }
}

/// Whether a row still belongs to this member, and not to whoever came after it.
pub(super) fn owns_row(member: &Member, table: &SlotTable) -> bool {
    table.standing(member.id).generation == member.generation
}

fn has_member(pool: &Pool, table: &SlotTable, id: BackendId) -> bool {
    let member = pool.backends.iter().find(|member| member.id == id);
    member.is_some_and(|member| owns_row(member, table))
}

/// Whether the pool's other backends leave room for this one to be out.
fn can_spare(pool: &Pool, table: &SlotTable, id: BackendId) -> bool {
    let is_out = |member: &&Member| {
        member.id != id
            && table.ejection(member.id).phase != Phase::Trusted
            && owns_row(member, table)
    };
    let others = pool.backends.iter().filter(is_out).count();
    others < may_be_out(pool)
}

/// Two workers may put out two backends at once, each having found room for one. So each looks again.
///
/// Ordering: of two who both ejected and then passed the fence, the later one sees the ejection of the earlier.
/// Both may, and both take theirs back; the share is then not used up, which the next failures make good.
fn was_one_too_many(pool: &Pool, table: &SlotTable, id: BackendId) -> bool {
    fence(Ordering::SeqCst);
    !can_spare(pool, table, id)
}

/// How often in a row it was out before; not at all if it has been trusted for longer than the longest ejection.
fn times_remembered(before: Ejection, rules: &EjectionRules, now: Now) -> u8 {
    let trusted_ms = now.as_millis().saturating_sub(before.until_ms);
    let forgotten =
        before.phase == Phase::Trusted && u128::from(trusted_ms) > rules.time_max.as_millis();
    if forgotten { 0 } else { before.times }
}

/// The back-off: doubled each time up to its longest, and a little more by the backend's number.
fn time_out(rules: &EjectionRules, id: BackendId, times: u8) -> Duration {
    let factor = 1_u32.checked_shl(times.into()).unwrap_or(u32::MAX);
    let time = rules.time.saturating_mul(factor).min(rules.time_max);
    let share = Rng::seeded(id.0.into()).below(SPREAD_STEPS + 1);
    time.saturating_add(time / 100 * EJECTION_SPREAD_PERCENT / SPREAD_STEPS * share)
}

const SPREAD_STEPS: u32 = 256;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fleet::{PolicyKind, PoolId, Weight};

    fn pool(size: u16, share_max_percent: u32) -> Pool {
        let member = |id| Member::new(BackendId(id), ([10, 0, 0, 1], id).into(), Weight::ONE);
        let members = (0..size).map(member).collect();
        let mut pool = Pool::new(PoolId(0), "chat", PolicyKind::RoundRobin, members);
        pool.ejection.share_max_percent = share_max_percent;
        pool
    }

    #[test]
    fn one_may_always_be_out_but_never_the_only_one() {
        for (size, percent, expected) in [
            (1, 100, 0),
            (2, 0, 1),
            (2, 50, 1),
            (2, 100, 2),
            (3, 50, 1),
            (10, 50, 5),
            (10, 19, 1),
        ] {
            assert_eq!(
                may_be_out(&pool(size, percent)),
                expected,
                "{percent} % of {size}"
            );
        }
    }

    #[test]
    fn those_that_fell_together_do_not_all_return_together() {
        let rules = EjectionRules::default();
        let times: std::collections::HashSet<_> = (0..100)
            .map(|id| time_out(&rules, BackendId(id), 0))
            .collect();
        assert!(times.len() > 50, "{} different times", times.len());
    }

    proptest! {
        #[test]
        fn the_back_off_only_grows_and_stays_in_its_bounds(
            time_ms in 100_u64..3_600_000,
            more_ms in 0_u64..86_400_000,
            id: u16,
            times: u8,
        ) {
            let rules = EjectionRules {
                time: Duration::from_millis(time_ms),
                time_max: Duration::from_millis(time_ms + more_ms),
                ..EjectionRules::default()
            };
            let out = time_out(&rules, BackendId(id), times);
            let longest = rules.time_max + rules.time_max / 100 * EJECTION_SPREAD_PERCENT;
            prop_assert!((rules.time..=longest).contains(&out), "{:?}", out);
            prop_assert!(out <= time_out(&rules, BackendId(id), times.saturating_add(1)));
        }
    }
}
