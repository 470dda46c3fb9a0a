//! Every interleaving of what cores do to the table of backends.
//!
//! ```text
//! RUSTFLAGS="--cfg ringway_loom" CARGO_TARGET_DIR=target/loom cargo test --release --test loom_fleet
//! ```
#![cfg(ringway_loom)]

use loom::thread;
use ringway::fleet::{BackendId, Ledger, Load, Registry, SlotTable};
use ringway::metrics::BackendFailure;
use ringway::sync::Arc;

const CHAT: BackendId = BackendId(0);

fn tunnels(established: u32) -> Load {
    Load {
        established,
        connecting: 0,
    }
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
