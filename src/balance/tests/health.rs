//! Who may be picked at all: states, tiers, panic, trials, caps and slow starts, under every policy.

use std::time::Duration;

use super::*;
use crate::fleet::{Caps, Ejection, Phase};

fn at(millis: u64) -> Now {
    Now::default().after(Duration::from_millis(millis))
}

fn asking_at(millis: u64) -> Ask {
    Ask {
        now: at(millis),
        ..Ask::default()
    }
}

fn eject(table: &SlotTable, id: u16, until_ms: u64) {
    let ejection = Ejection {
        phase: Phase::Out,
        until_ms,
        times: 1,
    };
    let id = BackendId(id);
    assert!(table.replace_ejection(id, table.ejection(id), ejection));
}

/// A pool of these tiers, all weights one.
fn tiers(kind: PolicyKind, priorities: &[u8]) -> Pool {
    let members = pool(kind, &vec![1; priorities.len()]).backends;
    let member = |(member, &priority): (&Member, &u8)| Member {
        priority,
        ..member.clone()
    };
    let members = members.iter().zip(priorities).map(member).collect();
    Pool::new(PoolId(0), "chat", kind, members)
}

/// Everybody who is picked in so many tries, with keys for those that hash.
fn picked(policy: &mut Balancer, pool: &Pool, table: &SlotTable, now: Now) -> Vec<u16> {
    let pick = |key: u64| {
        let ask = Ask {
            key: Some(super::super::key_hash(&key.to_le_bytes())),
            now,
            ..Ask::default()
        };
        policy
            .pick(pool, table, &ask)
            .ok()
            .map(|member| member.id.0)
    };
    let mut ids: Vec<_> = (0..200).filter_map(pick).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Runs a check under every policy, with a balancer that has already remembered the healthy pool.
fn under_every_policy(priorities: &[u8], check: impl Fn(&mut Balancer, &mut Pool, &SlotTable)) {
    for kind in PolicyKind::ALL {
        let mut pool = tiers(kind, priorities);
        // Bounds are proved in `keys`.
        pool.hashing.load_bound_percent = None;
        let table = table(&pool);
        let mut policy = Balancer::new(kind, 1);
        picks_from(&mut policy, &pool, &table, 3);
        check(&mut policy, &mut pool, &table);
    }
}

#[test]
fn a_change_of_state_is_seen_at_the_next_pick() {
    under_every_policy(&[0; 3], |policy, pool, table| {
        for state in State::ALL {
            set_state(table, 1, state);
            let expected: &[u16] = if state == State::Up {
                &[0, 1, 2]
            } else {
                &[0, 2]
            };
            assert_eq!(picked(policy, pool, table, at(0)), expected, "{state:?}");
        }
        set_state(table, 1, State::Up);
        weigh(table, 2, 0);
        assert_eq!(picked(policy, pool, table, at(0)), [0, 1]);
    });
}

#[test]
fn a_row_that_went_to_somebody_else_is_not_picked() {
    under_every_policy(&[0; 2], |policy, pool, table| {
        let id = BackendId(0);
        let standing = table.standing(id);
        let generation = standing.generation + 1;
        table.set_standing(
            id,
            Standing {
                generation,
                ..standing
            },
        );
        assert_eq!(picked(policy, pool, table, at(0)), [1]);
        set_state(table, 1, State::Down);
        assert_eq!(
            picked(policy, pool, table, at(0)),
            [1],
            "not even in a panic"
        );
    });
}

#[test]
fn the_next_tier_is_called_in_when_the_first_is_too_ill() {
    under_every_policy(&[0, 0, 1, 1, 2], |policy, pool, table| {
        let mut now = |pool: &Pool| picked(policy, pool, table, at(0));
        assert_eq!(now(pool), [0, 1]);
        set_state(table, 0, State::Down);
        assert_eq!(now(pool), [1], "half of it is enough");
        pool.panic_percent = 50;
        assert_eq!(now(pool), [1, 2, 3], "unless that is what the pool says");
        pool.panic_percent = 0;
        set_state(table, 1, State::Draining);
        assert_eq!(now(pool), [2, 3]);
        set_state(table, 2, State::Down);
        set_state(table, 3, State::Disabled);
        assert_eq!(now(pool), [4]);
        set_state(table, 0, State::Up);
        assert_eq!(now(pool), [0], "and it goes back as soon as it can");
    });
}

#[test]
fn in_a_panic_health_is_ignored_but_no_order() {
    under_every_policy(&[0, 0, 1, 1, 2, 2], |policy, pool, table| {
        let states = [State::Down, State::Draining, State::Up, State::Disabled];
        for (id, state) in (0..).zip(states) {
            set_state(table, id, state);
        }
        eject(table, 2, 1_000);
        set_state(table, 4, State::Removed);
        set_state(table, 5, State::Down);
        assert_eq!(picked(policy, pool, table, at(0)), [0, 2, 4, 5]);
        for id in [0, 2, 4, 5] {
            set_state(table, id, State::Draining);
        }
        let nobody = policy.pick(pool, table, &Ask::default());
        assert_eq!(nobody.unwrap_err(), NoPick::Nobody);
    });
}

#[test]
fn an_ejected_backend_gets_one_trial_when_its_time_is_over() {
    under_every_policy(&[0; 3], |policy, pool, table| {
        pool.connect_timeout = Duration::from_millis(20);
        pool.answer_timeout = Duration::from_millis(30);
        eject(table, 1, 1_000);
        assert_eq!(picked(policy, pool, table, at(999)), [0, 2]);
        let is_trial = |policy: &mut Balancer, now| {
            // A key that leads there, for those that hash.
            let keys = (0..100).map(|key: u64| super::super::key_hash(&key.to_le_bytes()));
            let mut picked = keys.map(|key| {
                let ask = Ask {
                    key: Some(key),
                    ..asking_at(now)
                };
                policy.pick(pool, table, &ask).unwrap().id.0
            });
            picked.find(|&id| id == 1).is_some()
        };
        let mut other = Balancer::new(pool.policy, 2);
        assert_eq!(picks_from(&mut other, pool, table, 1).len(), 1);
        assert!(is_trial(policy, 1_000));
        assert_eq!(table.ejection(BackendId(1)).phase, Phase::OnTrial);
        assert_eq!(table.ejection(BackendId(1)).times, 1);
        assert!(
            !is_trial(policy, 1_000) && !is_trial(&mut other, 1_049),
            "one only"
        );
        assert!(
            is_trial(&mut other, 1_050),
            "the first was lost without a verdict"
        );
        eject(table, 1, 5_000);
        assert!(!is_trial(policy, 1_200) && !is_trial(&mut other, 1_200));
        let trusted = Ejection::default();
        assert!(table.replace_ejection(BackendId(1), table.ejection(BackendId(1)), trusted));
        assert_eq!(picked(policy, pool, table, at(1_300)), [0, 1, 2]);
    });
}

#[test]
fn a_trial_goes_to_a_client_that_was_not_turned_away_before() {
    for kind in PolicyKind::ALL {
        let pool = pool(kind, &[1; 3]);
        let table = table(&pool);
        eject(&table, 1, 1_000);
        let mut policy = Balancer::new(kind, 1);
        let ask = |ids: &[u16]| Ask {
            tried: tried(ids.iter().copied()),
            ..asking_at(2_000)
        };
        assert_eq!(policy.pick(&pool, &table, &ask(&[0])).unwrap().id.0, 2);
        let last = policy.pick(&pool, &table, &ask(&[0, 2])).unwrap();
        assert_eq!(last.id.0, 1, "unless there is nobody else");
        let nobody = policy.pick(&pool, &table, &ask(&[0, 2]));
        assert_eq!(nobody.unwrap_err(), NoPick::Nobody);
    }
}

#[test]
fn of_two_workers_only_one_gets_the_trial() {
    let pool = pool(PolicyKind::RoundRobin, &[1; 2]);
    for round in 0..50 {
        let table = table(&pool);
        eject(&table, 1, 1_000);
        let trials: usize = std::thread::scope(|scope| {
            let worker = |seed| {
                let mut policy = Balancer::new(PolicyKind::RoundRobin, seed);
                let (pool, table) = (&pool, &table);
                scope.spawn(move || {
                    let picks = (0..10).map(|_| policy.pick(pool, table, &asking_at(1_000)));
                    picks
                        .filter(|picked| picked.as_ref().unwrap().id.0 == 1)
                        .count()
                })
            };
            let workers = [worker(round), worker(round + 1)];
            workers
                .into_iter()
                .map(|worker| worker.join().unwrap())
                .sum()
        });
        assert_eq!(trials, 1);
    }
}

#[test]
fn a_full_backend_is_passed_over_and_a_full_pool_says_so() {
    under_every_policy(&[0; 3], |policy, pool, table| {
        pool.caps = Caps {
            established: Some(2),
            connecting: Some(1),
        };
        table.connect_started(BackendId(0));
        assert_eq!(
            picked(policy, pool, table, at(0)),
            [1, 2],
            "one is being made"
        );
        table.opened(BackendId(0));
        let others_tried = policy.pick(pool, table, &asking(tried([1, 2])));
        assert_eq!(others_tried.unwrap().id.0, 0, "it is made");
        for id in [0, 1, 1, 2, 2].map(BackendId) {
            table.connect_started(id);
            table.opened(id);
        }
        let full = policy.pick(pool, table, &Ask::default());
        assert_eq!(full.unwrap_err(), NoPick::Full);
        let some_tried = policy.pick(pool, table, &asking(tried([0, 1])));
        assert_eq!(some_tried.unwrap_err(), NoPick::Full);
        let all_tried = policy.pick(pool, table, &asking(tried([0, 1, 2])));
        assert_eq!(all_tried.unwrap_err(), NoPick::Nobody);
        table.closed(BackendId(2));
        assert_eq!(picked(policy, pool, table, at(0)), [2]);
    });
}

#[test]
fn a_pool_takes_no_more_than_its_bound() {
    under_every_policy(&[0; 20], |policy, pool, table| {
        pool.established_max = Some(50);
        set_state(table, 3, State::Draining);
        table.connect_started(BackendId(3));
        open(policy, pool, table, 49);
        let full = policy.pick(pool, table, &Ask::default());
        assert_eq!(
            full.unwrap_err(),
            NoPick::Full,
            "those on a draining one count"
        );
        let id = pool
            .backends
            .iter()
            .find(|member| table.established(member.id) > 0);
        table.closed(id.unwrap().id);
        assert!(policy.pick(pool, table, &Ask::default()).is_ok());
    });
}

#[test]
fn a_slow_start_is_a_ramp_on_what_the_others_carry() {
    under_every_policy(&[0; 3], |policy, pool, table| {
        pool.slow_start = Some(Duration::from_secs(10));
        for id in [0, 1].map(BackendId) {
            for _ in 0..100 {
                table.connect_started(id);
                table.opened(id);
            }
        }
        let rising = BackendId(2);
        table.rose(rising, at(1_000));
        // How many it gets, when all that are sent there stay.
        let mut fill = |now| {
            for key in 0..2_000_u64 {
                let key = super::super::key_hash(&key.to_le_bytes());
                let ask = Ask {
                    key: Some(key),
                    ..asking_at(now)
                };
                let picked = policy.pick(pool, table, &ask).unwrap().id;
                if picked == rising {
                    table.connect_started(picked);
                    table.opened(picked);
                }
            }
            table.established(rising)
        };
        assert_eq!(fill(1_000), 1, "one at once");
        assert_eq!(fill(2_000), 10);
        assert_eq!(fill(6_000), 50);
        assert!(fill(11_000) > 100, "its time is over");
    });
}

#[test]
fn a_slow_start_holds_nobody_back_if_there_is_nobody_else() {
    under_every_policy(&[0; 2], |policy, pool, table| {
        pool.slow_start = Some(Duration::from_secs(10));
        table.rose(BackendId(1), at(1_000));
        for _ in 0..5 {
            let ask = Ask {
                tried: tried([0]),
                ..asking_at(1_000)
            };
            let id = policy.pick(pool, table, &ask).unwrap().id;
            table.connect_started(id);
        }
        table.rose(BackendId(0), at(1_000));
        let ask = Ask {
            tried: tried([0]),
            ..asking_at(1_000)
        };
        assert!(policy.pick(pool, table, &ask).is_ok(), "all are warming");
    });
}

#[test]
fn the_preferred_backend_is_taken_if_it_may_be() {
    under_every_policy(&[0; 4], |policy, pool, table| {
        let preferring = |tried| Ask {
            preferred: Some(BackendId(2)),
            tried,
            ..asking_at(10)
        };
        let mut times_picked = |pool: &Pool, tried| {
            let picks = (0..20).map(|_| policy.pick(pool, table, &preferring(tried)).unwrap().id.0);
            picks.filter(|&id| id == 2).count()
        };
        pool.slow_start = Some(Duration::from_secs(1));
        table.rose(BackendId(2), at(1));
        for _ in 0..9 {
            table.connect_started(BackendId(2));
        }
        assert_eq!(
            times_picked(pool, Tried::none()),
            20,
            "a slow start does not count"
        );
        assert_eq!(times_picked(pool, tried([2])), 0);
        pool.caps.established = Some(9);
        assert_eq!(times_picked(pool, Tried::none()), 0, "it is full");
        pool.caps = Caps::default();
        set_state(table, 2, State::Draining);
        assert_eq!(times_picked(pool, Tried::none()), 0);
        set_state(table, 2, State::Up);
        assert_eq!(times_picked(pool, Tried::none()), 20);
    });
}

/// What a member may look like to the property below.
#[derive(Debug, Clone, Copy)]
struct Shape {
    state: State,
    priority: u8,
    weight: u16,
    row_weight: u16,
    is_out: bool,
    is_full: bool,
    is_tried: bool,
}

fn shapes() -> impl Strategy<Value = Vec<Shape>> {
    let flags = (
        any::<bool>(),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.3),
    );
    let weights = (1_u16..=1_000, prop_oneof![Just(0_u16), 1_u16..=1_000]);
    let shape = (
        prop::sample::select(&State::ALL[..]),
        0_u8..3,
        weights,
        flags,
    )
        .prop_map(
            |(state, priority, (weight, row_weight), (is_out, is_full, is_tried))| Shape {
                state,
                priority,
                weight,
                row_weight,
                is_out,
                is_full,
                is_tried,
            },
        );
    let keep_few_tried = |mut shapes: Vec<Shape>| {
        let tried = shapes.iter_mut().filter(|shape| shape.is_tried);
        tried.skip(8).for_each(|shape| shape.is_tried = false);
        shapes
    };
    prop::collection::vec(shape, 0..40).prop_map(keep_few_tried)
}

/// Who may be picked, said in another way than the code says it.
fn candidates(shapes: &[Shape], panic_percent: usize) -> Vec<usize> {
    let allowed = |shape: &Shape| shape.state.is_allowed() && shape.row_weight > 0;
    let well = |shape: &Shape| allowed(shape) && shape.state == State::Up && !shape.is_out;
    let ids = |wanted: &dyn Fn(&Shape) -> bool| {
        let all = shapes.iter().enumerate();
        all.filter(|(_, shape)| wanted(shape))
            .map(|(id, _)| id)
            .collect()
    };
    for tier in 0..3 {
        let count = |wanted: &dyn Fn(&Shape) -> bool| {
            let of_tier = shapes.iter().filter(|shape| shape.priority == tier);
            of_tier.filter(|shape| wanted(shape)).count()
        };
        if count(&well) * 100 > panic_percent * count(&allowed) {
            return ids(&|shape| well(shape) && shape.priority <= tier);
        }
    }
    ids(&allowed)
}

proptest! {
    #[test]
    fn only_who_may_be_picked_is_and_somebody_always_is(
        shapes in shapes(),
        kind in prop::sample::select(&PolicyKind::ALL[..]),
        panic_percent in 0_u8..100,
        key: Option<u64>,
        seed: u64,
    ) {
        let weights: Vec<_> = shapes.iter().map(|shape| shape.weight).collect();
        let priorities: Vec<_> = shapes.iter().map(|shape| shape.priority).collect();
        let members = tiers(kind, &priorities).backends;
        let members = members.iter().zip(weights).map(|(member, weight)| Member {
            weight: Weight::new(weight).unwrap(),
            ..member.clone()
        });
        let mut pool = Pool::new(PoolId(0), "chat", kind, members.collect());
        pool.panic_percent = panic_percent.into();
        pool.caps.connecting = Some(1);
        let table = table(&pool);
        let mut tried = Tried::none();
        for (id, shape) in (0..).zip(&shapes) {
            weigh(&table, id, shape.row_weight);
            set_state(&table, id, shape.state);
            if shape.is_out {
                eject(&table, id, 1_000);
            }
            if shape.is_full {
                table.connect_started(BackendId(id));
            }
            if shape.is_tried {
                tried.insert(BackendId(id));
            }
        }
        let mut may_be = candidates(&shapes, panic_percent.into());
        may_be.retain(|&id| !shapes[id].is_tried);
        let was_empty = may_be.is_empty();
        may_be.retain(|&id| !shapes[id].is_full);
        let mut policy = Balancer::new(kind, seed);
        for _ in 0..30 {
            let ask = Ask { tried, key, ..asking_at(10) };
            match policy.pick(&pool, &table, &ask) {
                Ok(member) => prop_assert!(may_be.contains(&member.id.index())),
                Err(NoPick::Full) => prop_assert!(may_be.is_empty() && !was_empty),
                Err(NoPick::Nobody) => prop_assert!(was_empty),
            }
        }
    }
}
