//! What each policy promises, over pools of many shapes.

use std::net::SocketAddr;

use proptest::prelude::*;

use super::{Ask, Balancer, PolicyKind, Tried};
use crate::fleet::{BackendId, Member, Pool, PoolId, SlotTable, Weight};

fn pool(policy: PolicyKind, weights: &[u16]) -> Pool {
    let member = |(index, &weight): (u16, &u16)| {
        let address = SocketAddr::from(([10, 0, 0, 1], 9000 + index));
        Member::new(BackendId(index), address, Weight::new(weight).unwrap())
    };
    let members = (0..).zip(weights).map(member).collect();
    Pool::new(PoolId(0), "chat", policy, members)
}

fn asking(tried: Tried) -> Ask {
    Ask {
        tried,
        ..Ask::default()
    }
}

/// Picks without claiming anything.
fn picks(policy: &mut Balancer, pool: &Pool, count: usize) -> Vec<u16> {
    let table = SlotTable::new(pool.backends.len());
    let mut pick = || policy.pick(pool, &table, &Ask::default()).unwrap().id.0;
    (0..count).map(|_| pick()).collect()
}

/// Opens a tunnel on each pick.
fn open(policy: &mut Balancer, pool: &Pool, table: &SlotTable, count: usize) {
    for _ in 0..count {
        let id = policy.pick(pool, table, &Ask::default()).unwrap().id;
        table.connect_started(id);
        table.opened(id);
    }
}

fn established(pool: &Pool, table: &SlotTable) -> Vec<u32> {
    pool.backends
        .iter()
        .map(|member| table.established(member.id))
        .collect()
}

fn times(picks: &[u16], id: u16) -> usize {
    picks.iter().filter(|&&picked| picked == id).count()
}

#[test]
fn round_robin_goes_in_order_from_its_seeded_place() {
    let pool = pool(PolicyKind::RoundRobin, &[1, 1, 1]);
    let order = picks(&mut Balancer::new(PolicyKind::RoundRobin, 5), &pool, 7);
    assert!(
        order.windows(2).all(|pair| pair[1] == (pair[0] + 1) % 3),
        "{order:?}"
    );
}

#[test]
fn workers_with_different_seeds_start_at_different_backends() {
    for kind in PolicyKind::ALL {
        let pool = pool(kind, &[1; 10]);
        let mut starts: Vec<_> = (0..20)
            .flat_map(|seed| picks(&mut Balancer::new(kind, seed), &pool, 1))
            .collect();
        starts.sort_unstable();
        starts.dedup();
        assert!(starts.len() >= 5, "{kind:?} started only at {starts:?}");
    }
}

#[test]
fn heavy_turns_are_spread_out() {
    let pool = pool(PolicyKind::RoundRobin, &[5, 1, 1]);
    let order = picks(&mut Balancer::new(PolicyKind::RoundRobin, 1), &pool, 70);
    assert!(!order.windows(5).any(|five| five == [0; 5]), "{order:?}");
    assert_eq!(times(&order, 0), 50);
}

#[test]
fn a_share_that_cannot_be_served_is_spread_over_the_others() {
    let pool = pool(PolicyKind::RoundRobin, &[1; 4]);
    let table = SlotTable::new(4);
    let mut policy = Balancer::new(PolicyKind::RoundRobin, 1);
    let mut served = [0; 4];
    for _ in 0..300 {
        let mut tried = Tried::none();
        let first = policy.pick(&pool, &table, &asking(tried)).unwrap();
        let mut last = first;
        if first.id == BackendId(1) {
            tried.insert(first.id);
            last = policy.pick(&pool, &table, &asking(tried)).unwrap();
        }
        served[usize::from(last.id.0)] += 1;
    }
    assert_eq!(served, [100, 0, 100, 100]);
}

#[test]
fn a_turn_owned_almost_wholly_by_a_tried_backend_still_finds_the_other() {
    let pool = pool(PolicyKind::RoundRobin, &[1000, 1]);
    let table = SlotTable::new(2);
    let mut policy = Balancer::new(PolicyKind::RoundRobin, 1);
    let mut tried = Tried::none();
    tried.insert(BackendId(0));
    assert_eq!(
        policy.pick(&pool, &table, &asking(tried)).unwrap().id,
        BackendId(1)
    );
}

#[test]
fn least_connections_sees_what_other_workers_opened() {
    let pool = pool(PolicyKind::LeastConnections, &[1, 1, 1]);
    let table = SlotTable::new(3);
    for (id, tunnels) in [(0, 3), (1, 1), (2, 2)] {
        for _ in 0..tunnels {
            table.connect_started(BackendId(id));
            table.opened(BackendId(id));
        }
    }
    let mut policy = Balancer::new(PolicyKind::LeastConnections, 1);
    assert_eq!(
        policy.pick(&pool, &table, &Ask::default()).unwrap().id,
        BackendId(1)
    );
    open(&mut policy, &pool, &table, 3);
    assert_eq!(established(&pool, &table), [3, 3, 3]);
}

#[test]
fn connections_being_made_count_like_tunnels() {
    let pool = pool(PolicyKind::LeastConnections, &[1, 1]);
    let table = SlotTable::new(2);
    table.connect_started(BackendId(0));
    let mut policy = Balancer::new(PolicyKind::LeastConnections, 1);
    assert_eq!(
        policy.pick(&pool, &table, &Ask::default()).unwrap().id,
        BackendId(1)
    );
}

#[test]
fn equals_take_turns() {
    let pool = pool(PolicyKind::LeastConnections, &[1, 1, 1]);
    let table = SlotTable::new(3);
    table.connect_started(BackendId(1));
    let mut policy = Balancer::new(PolicyKind::LeastConnections, 1);
    let order: Vec<_> = (0..6)
        .map(|_| policy.pick(&pool, &table, &Ask::default()).unwrap().id.0)
        .collect();
    assert_eq!((times(&order, 0), times(&order, 2)), (3, 3));
}

#[test]
fn a_smaller_pool_after_a_reload_is_no_trap() {
    for kind in PolicyKind::ALL {
        let mut policy = Balancer::new(kind, 3);
        picks(&mut policy, &pool(kind, &[1, 2, 3, 4, 5]), 4);
        let small = pool(kind, &[9]);
        assert_eq!(picks(&mut policy, &small, 3), [0, 0, 0]);
        assert!(
            policy
                .pick(&pool(kind, &[]), &SlotTable::new(1), &Ask::default())
                .is_err()
        );
    }
}

proptest! {
    #[test]
    fn a_round_is_exact_from_any_place(
        weights in prop::collection::vec(1_u16..=50, 1..12),
        seed: u64,
        late in 0_usize..100,
    ) {
        let pool = pool(PolicyKind::RoundRobin, &weights);
        let turns = pool.backends.turns() as usize;
        let mut policy = Balancer::new(PolicyKind::RoundRobin, seed);
        let order = picks(&mut policy, &pool, late + turns);
        for (id, member) in (0..).zip(pool.backends.iter()) {
            let share = turns * usize::from(member.weight.get())
                / weights.iter().map(|&weight| usize::from(weight)).sum::<usize>();
            prop_assert_eq!(times(&order[late..], id), share);
        }
    }

    #[test]
    fn every_part_of_a_round_is_nearly_fair(
        weights in prop::collection::vec(1_u16..=1_000, 2..20),
        seed: u64,
        length in 1_u32..2_000,
    ) {
        let pool = pool(PolicyKind::RoundRobin, &weights);
        let order = picks(&mut Balancer::new(PolicyKind::RoundRobin, seed), &pool, length as usize);
        let sum: u32 = weights.iter().map(|&weight| u32::from(weight)).sum();
        for (id, &weight) in (0..).zip(&weights) {
            let due = f64::from(length) * f64::from(weight) / f64::from(sum);
            let got = f64::from(u32::try_from(times(&order, id)).unwrap());
            prop_assert!((got - due).abs() <= 5.0, "{} was due {due} and got {got}", id);
        }
    }

    #[test]
    fn least_connections_fills_by_weight(
        weights in prop::collection::vec(1_u16..=20, 1..8),
        seed: u64,
    ) {
        let pool = pool(PolicyKind::LeastConnections, &weights);
        let table = SlotTable::new(weights.len());
        let sum: u32 = weights.iter().map(|&weight| u32::from(weight)).sum();
        open(&mut Balancer::new(PolicyKind::LeastConnections, seed), &pool, &table, 10 * sum as usize);
        let due: Vec<_> = weights.iter().map(|&weight| 10 * u32::from(weight)).collect();
        prop_assert_eq!(established(&pool, &table), due);
    }

    #[test]
    fn nobody_is_picked_twice_for_one_client_and_everyone_once(
        weights in prop::collection::vec(1_u16..=1_000, 1..8),
        kind in prop::sample::select(&PolicyKind::ALL[..]),
        seed: u64,
    ) {
        let pool = pool(kind, &weights);
        let table = SlotTable::new(weights.len());
        let mut policy = Balancer::new(kind, seed);
        let mut tried = Tried::none();
        for _ in 0..weights.len() {
            let member = policy.pick(&pool, &table, &asking(tried)).unwrap();
            prop_assert!(tried.insert(member.id));
        }
        prop_assert!(policy.pick(&pool, &table, &asking(tried)).is_err());
    }
}
