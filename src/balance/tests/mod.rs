//! What each policy promises, over pools of many shapes.

use std::net::SocketAddr;

use proptest::prelude::*;

use super::{Ask, Balancer, NoPick, PolicyKind, Tried};
use crate::clock::Now;
use crate::fleet::{BackendId, Member, Pool, PoolId, SlotTable, Standing, State, Weight};

mod health;
mod keys;

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

/// A table whose rows say what the pool does.
fn table(pool: &Pool) -> SlotTable {
    let table = SlotTable::new(pool.backends.len());
    for member in pool.backends.iter() {
        weigh(&table, member.id.0, member.weight.get());
    }
    table
}

fn weigh(table: &SlotTable, id: u16, weight: u16) {
    let id = BackendId(id);
    let before = table.standing(id);
    table.set_standing(id, Standing { weight, ..before });
}

fn set_state(table: &SlotTable, id: u16, state: State) {
    let id = BackendId(id);
    let before = table.standing(id);
    table.set_standing(id, Standing { state, ..before });
}

fn tried(ids: impl IntoIterator<Item = u16>) -> Tried {
    let mut tried = Tried::none();
    for id in ids {
        assert!(tried.insert(BackendId(id)));
    }
    tried
}

/// Picks without claiming anything.
fn picks(policy: &mut Balancer, pool: &Pool, count: usize) -> Vec<u16> {
    picks_from(policy, pool, &table(pool), count)
}

fn picks_from(policy: &mut Balancer, pool: &Pool, table: &SlotTable, count: usize) -> Vec<u16> {
    let mut pick = || policy.pick(pool, table, &Ask::default()).unwrap().id.0;
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
fn plain_round_robin_knows_no_weights() {
    let pool = pool(PolicyKind::RoundRobin, &[9, 1, 1]);
    let order = picks(&mut Balancer::new(PolicyKind::RoundRobin, 5), &pool, 30);
    assert_eq!([0, 1, 2].map(|id| times(&order, id)), [10; 3]);
}

#[test]
fn heavy_turns_are_spread_out() {
    let kind = PolicyKind::WeightedRoundRobin;
    let pool = pool(kind, &[5, 1, 1]);
    let order = picks(&mut Balancer::new(kind, 1), &pool, 70);
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
    for kind in PolicyKind::ALL {
        let pool = pool(kind, &[1000, 1]);
        let picked = Balancer::new(kind, 1)
            .pick(&pool, &table(&pool), &asking(tried([0])))
            .unwrap()
            .id;
        assert_eq!(picked, BackendId(1), "{kind:?}");
    }
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
        let large = pool(kind, &[1, 2, 3, 4, 5]);
        let table = table(&large);
        picks_from(&mut policy, &large, &table, 4);
        assert_eq!(
            picks_from(&mut policy, &pool(kind, &[9]), &table, 3),
            [0; 3]
        );
        assert_eq!(
            policy
                .pick(&pool(kind, &[]), &table, &Ask::default())
                .unwrap_err(),
            NoPick::Nobody
        );
    }
}

#[test]
fn another_list_of_the_same_length_is_not_taken_for_the_old_one() {
    for kind in PolicyKind::ALL {
        let table = SlotTable::new(4);
        let mut policy = Balancer::new(kind, 3);
        for round in 0..50 {
            // Dropped at once, so that the allocator may put the next one in the same place.
            let member = Member::new(BackendId(round % 4), ([10, 0, 0, 1], 1).into(), Weight::ONE);
            let pool = Pool::new(PoolId(0), "chat", kind, vec![member]);
            assert_eq!(picks_from(&mut policy, &pool, &table, 1), [round % 4]);
        }
    }
}

#[test]
fn a_weight_changed_by_hand_counts_at_the_next_pick() {
    let kind = PolicyKind::WeightedRoundRobin;
    let pool = pool(kind, &[1, 1]);
    let table = table(&pool);
    let mut policy = Balancer::new(kind, 3);
    picks_from(&mut policy, &pool, &table, 5);
    weigh(&table, 0, 3);
    let order = picks_from(&mut policy, &pool, &table, 40);
    assert_eq!([times(&order, 0), times(&order, 1)], [30, 10]);
}

#[test]
fn two_choices_keeps_the_fullest_close_to_the_mean() {
    let pool = pool(PolicyKind::TwoChoices, &[1; 100]);
    let table = table(&pool);
    open(
        &mut Balancer::new(PolicyKind::TwoChoices, 1),
        &pool,
        &table,
        10_000,
    );
    let fullest = established(&pool, &table).into_iter().max();
    assert!(fullest <= Some(106), "{fullest:?}");
}

mod peak_ewma {
    use std::time::Duration;

    use super::*;

    const KIND: PolicyKind = PolicyKind::PeakEwma;

    fn after(seconds: u64) -> Now {
        Now::default().after(Duration::from_secs(seconds))
    }

    #[test]
    fn the_slow_one_is_passed_over_until_the_others_carry_more() {
        let pool = pool(KIND, &[1, 1]);
        let table = table(&pool);
        table.handshake_took(BackendId(0), Duration::from_millis(40), Now::default());
        table.handshake_took(BackendId(1), Duration::from_millis(10), Now::default());
        open(&mut Balancer::new(KIND, 1), &pool, &table, 50);
        assert_eq!(established(&pool, &table), [10, 40]);
    }

    #[test]
    fn a_newcomer_is_tried_by_one_and_not_by_the_whole_burst() {
        let pool = pool(KIND, &[1, 1]);
        let table = table(&pool);
        table.handshake_took(BackendId(0), Duration::from_millis(1), Now::default());
        let mut policy = Balancer::new(KIND, 1);
        let mut counts = [0; 2];
        for _ in 0..100 {
            let id = policy.pick(&pool, &table, &Ask::default()).unwrap().id;
            table.connect_started(id);
            counts[id.index()] += 1;
        }
        assert_eq!(counts, [50, 50]);
    }

    #[test]
    fn a_burst_does_not_take_a_backend_for_fast_that_nobody_has_asked_for_a_while() {
        let pool = pool(KIND, &[1, 1]);
        let table = table(&pool);
        table.handshake_took(BackendId(0), Duration::from_millis(40), Now::default());
        table.handshake_took(BackendId(1), Duration::from_millis(10), after(100));
        let mut policy = Balancer::new(KIND, 1);
        let ask = Ask {
            now: after(100),
            ..Ask::default()
        };
        let mut order = Vec::new();
        for _ in 0..50 {
            let id = policy.pick(&pool, &table, &ask).unwrap().id;
            table.connect_started(id);
            order.push(id.0);
        }
        assert_eq!(order[0], 0, "old news have faded");
        assert_eq!(times(&order, 0), 10, "and are not forgotten: {order:?}");
    }
}

proptest! {
    #[test]
    fn a_round_is_exact_from_any_place(
        weights in prop::collection::vec(1_u16..=50, 1..12),
        seed: u64,
        late in 0_usize..100,
    ) {
        let pool = pool(PolicyKind::WeightedRoundRobin, &weights);
        let turns: usize = weights.iter().map(|&weight| usize::from(weight)).sum();
        let mut policy = Balancer::new(PolicyKind::WeightedRoundRobin, seed);
        let order = picks(&mut policy, &pool, late + turns);
        for (id, &weight) in (0..).zip(&weights) {
            prop_assert_eq!(times(&order[late..], id), usize::from(weight));
        }
    }

    #[test]
    fn every_part_of_a_round_is_nearly_fair(
        weights in prop::collection::vec(1_u16..=1_000, 2..20),
        seed: u64,
        length in 1_u32..2_000,
    ) {
        let kind = PolicyKind::WeightedRoundRobin;
        let pool = pool(kind, &weights);
        let order = picks(&mut Balancer::new(kind, seed), &pool, length as usize);
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
        let table = table(&pool);
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
        let table = table(&pool);
        let mut policy = Balancer::new(kind, seed);
        let mut tried = Tried::none();
        for _ in 0..weights.len() {
            let member = policy.pick(&pool, &table, &asking(tried)).unwrap();
            prop_assert!(tried.insert(member.id));
        }
        prop_assert!(policy.pick(&pool, &table, &asking(tried)).is_err());
    }

    #[test]
    fn draws_are_shared_out_by_weight(
        weights in prop::collection::vec(1_u16..=20, 1..8),
        kind in prop::sample::select(vec![PolicyKind::Random, PolicyKind::Hash]),
        seed: u64,
    ) {
        let pool = pool(kind, &weights);
        let order = picks(&mut Balancer::new(kind, seed), &pool, 5_000);
        let sum: u32 = weights.iter().map(|&weight| u32::from(weight)).sum();
        for (id, &weight) in (0..).zip(&weights) {
            let share = f64::from(weight) / f64::from(sum);
            let spread = (5_000.0 * share * (1.0 - share)).sqrt();
            let got = f64::from(u32::try_from(times(&order, id)).unwrap());
            // Six standard deviations: one case in 500 million.
            prop_assert!((got - 5_000.0 * share).abs() <= 6.0 * spread, "{} got {}", id, got);
        }
    }

    #[test]
    fn two_choices_fills_by_weight(
        weights in prop::collection::vec(1_u16..=20, 1..8),
        kind in prop::sample::select(vec![PolicyKind::TwoChoices, PolicyKind::PeakEwma]),
        seed: u64,
    ) {
        let pool = pool(kind, &weights);
        let table = table(&pool);
        let sum: u32 = weights.iter().map(|&weight| u32::from(weight)).sum();
        open(&mut Balancer::new(kind, seed), &pool, &table, 100 * sum as usize);
        for (&weight, got) in weights.iter().zip(established(&pool, &table)) {
            let due = 100 * u32::from(weight);
            prop_assert!(got.abs_diff(due) <= due / 5, "{} of {}", got, due);
        }
    }
}
