//! Hours of health in milliseconds: a pool whose backends fail and recover, on a clock that only the test moves.

use std::time::Duration;

use proptest::prelude::*;

use super::eject::may_be_out;
use super::{AbnormalShare, abnormal, describe, failed, succeeded, trial_lost};
use crate::clock::Now;
use crate::fleet::{
    BackendId, Ejection, Member, Phase, PolicyKind, Pool, PoolId, Registry, SlotTable, Weight,
};
use crate::limits::ABNORMAL_WINDOW;
use crate::sync::Arc;

const CHAT: BackendId = BackendId(0);
const QUICK: Duration = Duration::from_millis(2);

/// A pool, its rows and the time.
struct World {
    pool: Pool,
    table: Arc<SlotTable>,
    now: Now,
}

impl World {
    fn new(size: u16) -> Self {
        let member = |id| Member::new(BackendId(id), ([10, 0, 0, 1], id).into(), Weight::ONE);
        let members = (0..size).map(member).collect();
        Self {
            pool: Pool::new(PoolId(0), "chat", PolicyKind::RoundRobin, members),
            table: Arc::new(SlotTable::new(size.into())),
            now: Now::from_nanos(0).after(Duration::from_secs(1)),
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.after(time);
    }

    fn fail(&self, id: BackendId) -> Option<Duration> {
        failed(&self.pool, &self.table, id, self.now)
    }

    /// So many failures as put a trusted backend out.
    fn fail_enough(&self, id: BackendId) -> Option<Duration> {
        (0..self.pool.ejection.failures).find_map(|_| self.fail(id))
    }

    fn succeed(&self, id: BackendId) -> bool {
        succeeded(&self.table, id, QUICK, self.now)
    }

    /// Takes the trial of a backend whose time is over, as a pick does.
    fn claim(&self, id: BackendId) -> bool {
        let waiting = self.table.ejection(id);
        let trial = Ejection {
            phase: Phase::OnTrial,
            until_ms: self.now.after(Duration::from_secs(13)).as_millis(),
            ..waiting
        };
        waiting.awaits_trial(self.now) && self.table.replace_ejection(id, waiting, trial)
    }

    /// A client comes and is led to this backend if it may be. Whether it was, and for how long that put it out.
    fn visit(&self, id: BackendId, is_well: bool) -> (bool, Option<Duration>) {
        if self.table.ejection(id).is_out(self.now) {
            return (false, None);
        }
        self.claim(id);
        if is_well {
            self.succeed(id);
            return (true, None);
        }
        (true, self.fail(id))
    }

    /// A reload takes this backend's row and gives it to another.
    fn give_away(&self, id: BackendId) {
        let mut registry = Registry::new(Arc::clone(&self.table));
        for member in &*self.pool.backends {
            registry.assign("chat", member.address).unwrap();
        }
        registry.retain(|other| other != id);
        let newcomer = ([10, 0, 0, 2], 80).into();
        assert_eq!(registry.assign("chat", newcomer), Ok(id));
    }

    fn untrusted(&self) -> usize {
        let is_untrusted =
            |member: &&Member| self.table.ejection(member.id).phase != Phase::Trusted;
        self.pool.backends.iter().filter(is_untrusted).count()
    }

    fn word(&self) -> &'static str {
        describe(&self.table, CHAT, self.now)
    }
}

/// Whether a time is this many seconds, give or take the spread.
fn is_about(time: Duration, seconds: u64) -> bool {
    let least = Duration::from_secs(seconds);
    (least..=least + least / 20).contains(&time)
}

#[test]
fn failures_in_a_row_put_it_out_and_one_success_between_them_does_not_let_them_add_up() {
    let world = World::new(2);
    for _ in 0..100 {
        for _ in 0..4 {
            assert_eq!(world.fail(CHAT), None);
        }
        assert!(!world.succeed(CHAT), "it was never out");
    }
    assert!(is_about(world.fail_enough(CHAT).unwrap(), 10));
    assert_eq!(world.word(), "ejected");
    assert_eq!(world.fail(CHAT), None, "one that was under way");
    assert_eq!(world.table.ejection(CHAT).times, 1);
}

#[test]
fn zero_failures_is_never() {
    let mut world = World::new(2);
    world.pool.ejection.failures = 0;
    assert!((0..1_000).all(|_| world.fail(CHAT).is_none()));
    assert_eq!(world.untrusted(), 0);
}

#[test]
fn one_trial_that_succeeds_brings_it_back_with_a_slow_start() {
    let mut world = World::new(2);
    let time = world.fail_enough(CHAT).unwrap();
    assert!(!world.claim(CHAT), "its time is not over");
    world.pass(time);
    assert_eq!(world.word(), "trial");
    assert!(world.claim(CHAT));
    assert!(!world.claim(CHAT), "somebody has it");
    let epoch = world.table.epoch();
    assert!(world.succeed(CHAT));
    assert_eq!(world.word(), "up");
    assert_eq!(world.table.risen_ms(CHAT), world.now.as_millis());
    assert_eq!(world.table.streak(CHAT), 0);
    assert!(world.table.epoch() > epoch, "workers are told");
    assert!(!world.succeed(CHAT), "once");
}

#[test]
fn one_trial_that_fails_puts_it_out_again_at_once() {
    let mut world = World::new(2);
    let time = world.fail_enough(CHAT).unwrap();
    world.pass(time);
    world.claim(CHAT);
    world.table.streak_ended(CHAT);
    assert!(
        is_about(world.fail(CHAT).unwrap(), 20),
        "whatever the streak"
    );
    assert_eq!(world.table.ejection(CHAT).times, 2);
}

#[test]
fn a_trial_whose_client_left_goes_to_the_next_at_once() {
    let mut world = World::new(2);
    let time = world.fail_enough(CHAT).unwrap();
    assert!(
        !trial_lost(&world.table, CHAT, world.now),
        "nobody tries it"
    );
    world.pass(time);
    world.claim(CHAT);
    assert!(trial_lost(&world.table, CHAT, world.now));
    assert_eq!(world.table.ejection(CHAT).times, 1, "neither good nor bad");
    assert!(world.claim(CHAT));
    assert!(world.succeed(CHAT));
    assert!(!trial_lost(&world.table, CHAT, world.now));
    assert_eq!(world.word(), "up");
}

#[test]
fn a_trial_that_nobody_ended_is_given_to_another_in_time() {
    let mut world = World::new(2);
    let time = world.fail_enough(CHAT).unwrap();
    world.pass(time);
    world.claim(CHAT);
    world.pass(Duration::from_secs(12));
    assert!(!world.claim(CHAT));
    world.pass(Duration::from_secs(1));
    assert!(world.claim(CHAT));
}

#[test]
fn a_flapping_backend_is_out_for_longer_each_time_and_forgiven_in_the_end() {
    let mut world = World::new(2);
    for seconds in [10, 20, 40, 80, 160, 300, 300, 300] {
        let time = world.fail_enough(CHAT).unwrap();
        assert!(is_about(time, seconds), "{time:?}, not {seconds} s");
        world.pass(time);
        assert!(world.claim(CHAT) && world.succeed(CHAT));
        // It does well for four minutes each time: not long enough to be believed.
        for _ in 0..240 {
            world.pass(Duration::from_secs(1));
            world.succeed(CHAT);
        }
    }
    world.pass(Duration::from_secs(61));
    let time = world.fail_enough(CHAT).unwrap();
    assert!(
        is_about(time, 10),
        "trusted for over five minutes: {time:?}"
    );
}

#[test]
fn a_black_hole_gets_a_handful_of_clients_an_hour() {
    let mut world = World::new(3);
    let mut lost = 0;
    for _ in 0..36_000 {
        let (led_there, _) = world.visit(CHAT, false);
        lost += u32::from(led_there);
        world.pass(Duration::from_millis(100));
    }
    // Five to notice; then trials after 10, 20, 40, 80 and 160 seconds and every five minutes.
    assert!((15..=22).contains(&lost), "{lost} clients of 36,000");
    world.pass(Duration::from_secs(315));
    assert_eq!(world.visit(CHAT, true), (true, None));
    assert_eq!(world.word(), "up", "without an operator");
}

#[test]
fn with_all_failing_no_more_than_the_share_are_out_and_all_return_when_they_are_well() {
    let mut world = World::new(4);
    let mut ever_out = [false; 4];
    for step in 0..36_000_u16 {
        let id = BackendId(step % 4);
        let (_, out) = world.visit(id, false);
        ever_out[id.index()] |= out.is_some();
        assert!(world.untrusted() <= 2, "half of four");
        world.pass(Duration::from_millis(100));
    }
    assert_eq!(world.untrusted(), 2);
    assert_eq!(ever_out.iter().filter(|out| **out).count(), 2);
    world.pass(Duration::from_secs(315));
    for id in (0..4).map(BackendId) {
        world.visit(id, true);
    }
    assert_eq!(world.untrusted(), 0);
}

#[test]
fn a_refused_ejection_is_made_good_when_another_returned() {
    let mut world = World::new(2);
    let (one, other) = (BackendId(0), BackendId(1));
    let time = world.fail_enough(one).unwrap();
    assert_eq!(world.fail_enough(other), None, "the share is used up");
    world.pass(time);
    assert!(world.claim(one) && world.succeed(one));
    assert!(world.fail_enough(other).is_some(), "it failed on");
}

#[test]
fn the_only_backend_of_a_pool_is_never_out() {
    let world = World::new(1);
    assert!((0..1_000).all(|_| world.fail(CHAT).is_none()));
    assert_eq!(world.word(), "up");
}

#[test]
fn a_share_that_shrank_lets_in_who_fails_its_trial() {
    let mut world = World::new(4);
    let time = world.fail_enough(BackendId(1)).max(world.fail_enough(CHAT));
    world.pool.ejection.share_max_percent = 25;
    world.pass(time.unwrap());
    assert!(world.claim(CHAT));
    assert_eq!(world.fail(CHAT), None);
    assert_eq!(world.word(), "up");
    assert_eq!(world.table.ejection(CHAT).times, 1, "remembered");
}

#[test]
fn a_failure_under_an_old_snapshot_is_not_held_against_the_newcomer() {
    let mut world = World::new(3);
    world.give_away(CHAT);
    assert_eq!(world.fail_enough(CHAT), None);
    assert_eq!(world.word(), "up");
    let member = Member {
        generation: 1,
        ..world.pool.backends[0].clone()
    };
    let others = world.pool.backends[1..].iter().cloned();
    world.pool.backends = std::iter::once(member)
        .chain(others)
        .collect::<Vec<_>>()
        .into();
    assert!(world.fail_enough(CHAT).is_some(), "with the new one it is");
}

#[test]
fn a_row_that_left_for_another_backend_does_not_use_up_the_share() {
    let world = World::new(2);
    world.give_away(BackendId(1));
    let newcomer = Ejection {
        phase: Phase::Out,
        until_ms: u64::from(u32::MAX),
        times: 1,
    };
    let trusted = world.table.ejection(BackendId(1));
    assert!(
        world
            .table
            .replace_ejection(BackendId(1), trusted, newcomer)
    );
    assert!(world.fail_enough(CHAT).is_some());
}

#[test]
fn nothing_but_now_moves_time() {
    let mut world = World::new(2);
    let time = world.fail_enough(CHAT).unwrap();
    for _ in 0..1_000 {
        assert_eq!(world.visit(CHAT, true), (false, None));
    }
    // Two workers read the clock a moment apart: the past is no trap.
    let later = world.now;
    world.now = Now::from_nanos(0);
    assert_eq!(world.visit(CHAT, true), (false, None));
    assert_eq!(world.fail(CHAT), None);
    assert!(!world.succeed(CHAT));
    let over = later.after(time);
    world.now = Now::from_nanos(over.as_nanos() - 1_000_000);
    assert_eq!(world.visit(CHAT, true), (false, None));
    world.now = over;
    assert_eq!(world.visit(CHAT, true), (true, None));
    assert_eq!(world.word(), "up");
}

#[test]
fn a_backend_that_takes_handshakes_and_drops_its_tunnels_is_put_out() {
    let mut world = World::new(2);
    world.pool.ejection.abnormal_percent = 50;
    let mut share = AbnormalShare::default();
    let mut outs = Vec::new();
    for window in 0..6 {
        for tunnel in 0..20 {
            world.succeed(CHAT);
            world.table.ended(CHAT, window == 3 && tunnel % 2 == 0);
        }
        outs.push(abnormal(
            &world.pool,
            &world.table,
            CHAT,
            &mut share,
            world.now,
        ));
        world.pass(ABNORMAL_WINDOW);
    }
    assert!(is_about(outs[3].unwrap(), 10));
    assert_eq!(outs.iter().flatten().count(), 1, "{outs:?}");
}

#[test]
fn abnormal_ends_keep_to_the_share_and_leave_a_trial_alone() {
    let mut world = World::new(2);
    world.pool.ejection.abnormal_percent = 50;
    let mut shares = [AbnormalShare::default(); 2];
    let look = |world: &World, shares: &mut [AbnormalShare; 2]| {
        [0, 1].map(|id| {
            let share = &mut shares[usize::from(id)];
            abnormal(&world.pool, &world.table, BackendId(id), share, world.now).is_some()
        })
    };
    let drop_all = |world: &World| {
        for id in [0, 1].map(BackendId) {
            (0..20).for_each(|_| world.table.ended(id, true));
        }
    };
    assert_eq!(look(&world, &mut shares), [false, false]);
    drop_all(&world);
    assert_eq!(look(&world, &mut shares), [true, false], "one of two");
    world.pass(Duration::from_secs(11));
    assert!(world.claim(CHAT));
    drop_all(&world);
    assert_eq!(look(&world, &mut shares), [false, false]);
    assert_eq!(world.table.ejection(CHAT).phase, Phase::OnTrial);
}

/// What may happen to a backend in an hour.
#[derive(Debug, Clone, Copy)]
enum Event {
    Fails,
    Succeeds,
    IsTried,
    LosesItsClient,
    DropsItsTunnels,
    Waits(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => Just(Event::Fails),
        1 => Just(Event::Succeeds),
        2 => Just(Event::IsTried),
        1 => Just(Event::LosesItsClient),
        2 => Just(Event::DropsItsTunnels),
        2 => (1_u64..400_000).prop_map(Event::Waits),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_no_more_than_the_share_are_out(
        size in 1_u16..9,
        share_max_percent in 0_u32..=100,
        failures in 1_u32..4,
        events in prop::collection::vec((0_u16..9, event()), 0..300),
    ) {
        let mut world = World::new(size);
        world.pool.ejection.share_max_percent = share_max_percent;
        world.pool.ejection.failures = failures;
        world.pool.ejection.abnormal_percent = 50;
        let mut shares = vec![AbnormalShare::default(); size.into()];
        for (id, event) in events {
            let id = BackendId(id % size);
            match event {
                Event::Fails => {
                    world.fail(id);
                }
                Event::Succeeds => {
                    world.succeed(id);
                }
                Event::IsTried => {
                    world.claim(id);
                }
                Event::LosesItsClient => {
                    trial_lost(&world.table, id, world.now);
                }
                Event::DropsItsTunnels => {
                    (0..10).for_each(|_| world.table.ended(id, true));
                    let share = &mut shares[id.index()];
                    abnormal(&world.pool, &world.table, id, share, world.now);
                }
                Event::Waits(time_ms) => world.pass(Duration::from_millis(time_ms)),
            }
            prop_assert!(world.untrusted() <= may_be_out(&world.pool));
        }
        // Whatever happened, a visit by a client after the longest ejection finds each of them well again.
        world.pass(Duration::from_secs(400));
        for id in (0..size).map(BackendId) {
            prop_assert_eq!(world.visit(id, true), (true, None));
        }
        prop_assert_eq!(world.untrusted(), 0);
    }
}
