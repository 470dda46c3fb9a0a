//! Every interleaving of what cores do to the table of backends.
//!
//! ```text
//! RUSTFLAGS="--cfg ringway_loom" CARGO_TARGET_DIR=target/loom cargo test --release --test loom_fleet
//! ```
#![cfg(ringway_loom)]

use std::time::Duration;

use loom::thread::{self, JoinHandle};
use ringway::clock::Now;
use ringway::fleet::{
    BackendId, Caps, Ejection, Ledger, Load, Member, Phase, PolicyKind, Pool, PoolId, Registry,
    SlotTable, Standing, State, Weight,
};
use ringway::health;
use ringway::metrics::BackendFailure;
use ringway::sync::Arc;

const CHAT: BackendId = BackendId(0);
const NOW: Now = Now::from_nanos(1_000_000_000);

fn tunnels(established: u32) -> Load {
    Load {
        established,
        connecting: 0,
    }
}

/// Two workers that do this at once, each with its number.
fn two_workers<T: 'static>(
    table: &Arc<SlotTable>,
    act: fn(&SlotTable, u16) -> T,
) -> [JoinHandle<T>; 2] {
    [0, 1].map(|number| {
        let table = Arc::clone(table);
        thread::spawn(move || act(&table, number))
    })
}

fn outcomes<T>(workers: [JoinHandle<T>; 2]) -> [T; 2] {
    workers.map(|worker| worker.join().expect("its thread ended well"))
}

/// A pool that puts out one of two backends, after so many failures.
fn pool(failures: u32) -> Pool {
    let member = |id| Member::new(BackendId(id), ([10, 0, 0, 1], id).into(), Weight::ONE);
    let members = [0, 1].map(member).into();
    let mut pool = Pool::new(PoolId(0), "chat", PolicyKind::LeastConnections, members);
    pool.ejection.failures = failures;
    pool
}

/// A backend that was ejected once and stands in this phase, its time over.
fn ejected(table: &SlotTable, phase: Phase) -> Ejection {
    let ejection = Ejection {
        phase,
        until_ms: NOW.as_millis(),
        times: 1,
    };
    assert!(table.replace_ejection(CHAT, Ejection::default(), ejection));
    ejection
}

/// Takes the trial of a backend as a pick does.
fn claim_trial(table: &SlotTable) -> bool {
    let waiting = table.ejection(CHAT);
    let trial = Ejection {
        phase: Phase::OnTrial,
        until_ms: NOW.after(Duration::from_secs(13)).as_millis(),
        ..waiting
    };
    waiting.awaits_trial(NOW) && table.replace_ejection(CHAT, waiting, trial)
}

#[test]
fn two_workers_and_a_reader_agree_on_the_counts() {
    loom::model(|| {
        let table = Arc::new(SlotTable::new(1));
        let workers: Vec<_> = (0..2)
            .map(|_| {
                let table = Arc::clone(&table);
                thread::spawn(move || {
                    table.connect_started(CHAT);
                    table.opened(CHAT);
                    table.closed(CHAT);
                })
            })
            .collect();
        let seen = table.load(CHAT);
        assert!(seen.total() <= 2, "no more than the workers hold: {seen:?}");
        for worker in workers {
            worker.join().unwrap();
        }
        assert_eq!(table.load(CHAT), tunnels(0));
    });
}

#[test]
fn a_connection_that_becomes_a_tunnel_is_never_missed_or_counted_twice() {
    loom::model(|| {
        let table = Arc::new(SlotTable::new(1));
        table.connect_started(CHAT);
        let worker = {
            let table = Arc::clone(&table);
            thread::spawn(move || table.opened(CHAT))
        };
        assert_eq!(table.load(CHAT).total(), 1);
        worker.join().unwrap();
        assert_eq!(table.load(CHAT), tunnels(1));
    });
}

#[test]
fn a_worker_that_dies_takes_nothing_of_another_with_it() {
    loom::model(|| {
        let table = Arc::new(SlotTable::new(1));
        let dying = {
            let table = Arc::clone(&table);
            thread::spawn(move || {
                let ledger = Ledger::new(table);
                ledger.connect_started(CHAT);
                ledger.opened(CHAT);
                ledger.connect_started(CHAT);
            })
        };
        let survivor = Ledger::new(Arc::clone(&table));
        survivor.connect_started(CHAT);
        survivor.opened(CHAT);
        assert!(
            table.established(CHAT) >= 1,
            "the survivor's tunnel is always seen"
        );
        dying.join().unwrap();
        assert_eq!(table.load(CHAT), tunnels(1));
    });
}

#[test]
fn a_change_of_members_keeps_the_counts_of_who_stays_and_who_leaves() {
    loom::model(|| {
        let table = Arc::new(SlotTable::new(2));
        let address = |port| ([10, 0, 0, 1], port).into();
        let mut registry = Registry::new(Arc::clone(&table));
        let stays = registry.assign("chat", address(1)).unwrap();
        let leaves = registry.assign("chat", address(2)).unwrap();
        table.connect_started(leaves);
        table.opened(leaves);
        // A worker still on the old snapshot: one tunnel to each, and the end of the one that was there.
        let worker = {
            let table = Arc::clone(&table);
            thread::spawn(move || {
                table.connect_started(stays);
                table.opened(stays);
                table.closed(leaves);
                table.failed(leaves, BackendFailure::Refused);
            })
        };
        registry.retain(|id| id == stays);
        assert_eq!(registry.assign("chat", address(1)), Ok(stays));
        match registry.assign("chat", address(3)) {
            Ok(newcomer) => {
                assert_eq!(newcomer, leaves, "the only row that can be free");
                assert_eq!(
                    table.load(newcomer),
                    tunnels(0),
                    "only after its last tunnel"
                );
            }
            Err(full) => assert_eq!(full.capacity, 2),
        }
        worker.join().unwrap();
        assert_eq!(table.load(stays), tunnels(1));
        assert_eq!(table.load(leaves), tunnels(0));
    });
}

#[test]
fn a_claim_from_an_old_snapshot_on_a_row_given_away_stays_in_balance() {
    loom::model(|| {
        let table = Arc::new(SlotTable::new(1));
        let address = |port| ([10, 0, 0, 1], port).into();
        let mut registry = Registry::new(Arc::clone(&table));
        let old = registry.assign("chat", address(1)).unwrap();
        let late = {
            let table = Arc::clone(&table);
            thread::spawn(move || {
                table.connect_started(old);
                table.opened(old);
                table.closed(old);
            })
        };
        registry.retain(|_| false);
        if let Ok(new) = registry.assign("chat", address(2)) {
            table.connect_started(new);
            table.opened(new);
            late.join().unwrap();
            assert_eq!(
                table.load(new),
                tunnels(1),
                "the late one gave back what it took"
            );
        } else {
            late.join().unwrap();
            assert_eq!(table.load(old), tunnels(0));
        }
    });
}

#[test]
fn a_backend_with_one_place_never_has_two() {
    const ONE: Caps = Caps {
        established: Some(1),
        connecting: None,
    };
    loom::model(|| {
        let table = Arc::new(SlotTable::new(1));
        let workers = two_workers(&table, |table, _| {
            let got_it = table.try_connect_started(CHAT, ONE);
            if got_it {
                assert_eq!(table.load(CHAT).total(), 1);
                table.opened(CHAT);
                assert_eq!(table.load(CHAT).total(), 1);
                table.closed(CHAT);
            }
            got_it
        });
        assert!(table.load(CHAT).total() <= 1);
        let got_it = outcomes(workers);
        assert!(got_it[0] || got_it[1], "the place was free for the first");
        assert_eq!(table.load(CHAT), tunnels(0));
    });
}

#[test]
fn a_place_that_is_kept_goes_to_exactly_one_of_two() {
    const ONE: Caps = Caps {
        established: None,
        connecting: Some(1),
    };
    loom::model(|| {
        let table = Arc::new(SlotTable::new(1));
        let workers = two_workers(&table, |table, _| table.try_connect_started(CHAT, ONE));
        let got_it = outcomes(workers);
        assert_ne!(got_it[0], got_it[1]);
        assert_eq!(table.connecting(CHAT), 1);
    });
}

#[test]
fn two_workers_that_see_the_threshold_at_once_eject_once() {
    for failures in [1, 2] {
        loom::model(move || {
            let table = Arc::new(SlotTable::new(2));
            let workers = two_workers(
                &table,
                match failures {
                    1 => |table, _| health::failed(&pool(1), table, CHAT, NOW),
                    _ => |table, _| health::failed(&pool(2), table, CHAT, NOW),
                },
            );
            let out = outcomes(workers);
            assert_eq!(out.iter().flatten().count(), 1, "{out:?}");
            let ejection = table.ejection(CHAT);
            assert_eq!((ejection.phase, ejection.times), (Phase::Out, 1));
            assert_eq!(table.streak(CHAT), 2);
        });
    }
}

#[test]
fn a_trial_that_two_see_fail_counts_once() {
    loom::model(|| {
        let table = Arc::new(SlotTable::new(2));
        ejected(&table, Phase::OnTrial);
        let workers = two_workers(&table, |table, _| {
            health::failed(&pool(5), table, CHAT, NOW)
        });
        let out = outcomes(workers);
        assert_eq!(out.iter().flatten().count(), 1, "{out:?}");
        assert_eq!(table.ejection(CHAT).times, 2);
    });
}

#[test]
fn a_trial_ends_one_way() {
    loom::model(|| {
        let table = Arc::new(SlotTable::new(2));
        ejected(&table, Phase::OnTrial);
        let workers = two_workers(&table, |table, number| match number {
            0 => health::succeeded(table, CHAT, Duration::from_millis(1), NOW),
            _ => health::failed(&pool(5), table, CHAT, NOW).is_some(),
        });
        let [returned, out] = outcomes(workers);
        assert_ne!(returned, out);
        let expected = if returned { Phase::Trusted } else { Phase::Out };
        assert_eq!(table.ejection(CHAT).phase, expected);
    });
}

#[test]
fn one_of_two_workers_gets_the_trial() {
    loom::model(|| {
        let table = Arc::new(SlotTable::new(1));
        ejected(&table, Phase::Out);
        let won = outcomes(two_workers(&table, |table, _| claim_trial(table)));
        assert_ne!(won[0], won[1]);
        assert_eq!(table.ejection(CHAT).phase, Phase::OnTrial);
    });
}

#[test]
fn two_backends_that_fail_at_once_are_never_both_out() {
    loom::model(|| {
        let table = Arc::new(SlotTable::new(2));
        let workers = two_workers(&table, |table, number| {
            health::failed(&pool(1), table, BackendId(number), NOW)
        });
        let out = outcomes(workers);
        for (id, out) in [0, 1].map(BackendId).into_iter().zip(out) {
            let is_out = table.ejection(id).phase == Phase::Out;
            assert_eq!(is_out, out.is_some(), "what was said holds");
        }
        assert!(out.iter().flatten().count() <= 1, "half of two: {out:?}");
    });
}

#[test]
fn who_sees_a_new_epoch_sees_the_change() {
    loom::model(|| {
        let table = Arc::new(SlotTable::new(2));
        let writer = {
            let table = Arc::clone(&table);
            thread::spawn(move || {
                let state = State::Down;
                let standing = Standing {
                    state,
                    ..Standing::default()
                };
                table.set_standing(BackendId(1), standing);
                health::failed(&pool(1), &table, CHAT, NOW);
            })
        };
        let epoch = table.epoch();
        let state = table.standing(BackendId(1)).state;
        let phase = table.ejection(CHAT).phase;
        assert!(epoch < 1 || state == State::Down);
        assert!(epoch < 2 || phase == Phase::Out);
        writer.join().unwrap();
        assert_eq!(table.epoch(), 2);
    });
}

#[test]
fn a_worker_that_lags_behind_a_reload_notices_the_new_owner_of_a_row() {
    loom::model(|| {
        let table = Arc::new(SlotTable::new(1));
        let address = |port| ([10, 0, 0, 1], port).into();
        let mut registry = Registry::new(Arc::clone(&table));
        let old = registry.assign("chat", address(1)).unwrap();
        let generation = table.standing(old).generation;
        table.streak_grew(old);
        ejected(&table, Phase::Out);
        let late = {
            let table = Arc::clone(&table);
            thread::spawn(move || {
                table.connect_started(old);
                let is_stale = table.standing(old).generation != generation;
                if is_stale {
                    assert_eq!(table.streak(old), 0, "nothing is left of the former owner");
                    assert_eq!(table.ejection(old), Ejection::default());
                    table.connect_ended(old);
                } else {
                    table.opened(old);
                    table.closed(old);
                }
            })
        };
        registry.retain(|_| false);
        let newcomer = registry.assign("chat", address(2));
        late.join().unwrap();
        assert_eq!(table.load(old), tunnels(0));
        let now = table.standing(old).generation;
        assert_eq!(newcomer.is_ok(), now != generation);
    });
}

#[test]
fn a_reload_keeps_the_row_of_who_stays_and_counts_on_it() {
    loom::model(|| {
        let table = Arc::new(SlotTable::new(2));
        let address = |port| ([10, 0, 0, 1], port).into();
        let mut registry = Registry::new(Arc::clone(&table));
        let stays = registry.assign("chat", address(1)).unwrap();
        assert_eq!(stays, CHAT);
        let before = (ejected(&table, Phase::Out), table.standing(stays));
        let worker = {
            let table = Arc::clone(&table);
            thread::spawn(move || {
                table.connect_started(CHAT);
                table.streak_grew(CHAT);
                table.opened(CHAT);
            })
        };
        registry.assign("chat", address(2)).unwrap();
        registry.retain(|_| false);
        let again = registry.assign("chat", address(1)).unwrap();
        table.connect_started(again);
        table.opened(again);
        worker.join().unwrap();
        assert_eq!(again, stays);
        assert_eq!(table.load(stays), tunnels(2));
        assert_eq!(table.streak(stays), 1);
        assert_eq!((table.ejection(stays), table.standing(stays)), before);
    });
}
