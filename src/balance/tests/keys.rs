//! Where keys lead: who agrees, who moves, and how much one backend may get.

use super::*;
use crate::balance::key_hash;

const KIND: PolicyKind = PolicyKind::Hash;

fn key(number: u64) -> u64 {
    key_hash(&number.to_le_bytes())
}

fn unbounded(weights: &[u16]) -> Pool {
    let mut pool = pool(KIND, weights);
    pool.hashing.load_bound_percent = None;
    pool
}

fn lead(policy: &mut Balancer, pool: &Pool, table: &SlotTable, number: u64, tried: Tried) -> u16 {
    let ask = Ask {
        key: Some(key(number)),
        ..asking(tried)
    };
    policy.pick(pool, table, &ask).unwrap().id.0
}

fn all_lead(policy: &mut Balancer, pool: &Pool, table: &SlotTable) -> Vec<u16> {
    let keys = 0..5_000;
    keys.map(|number| lead(policy, pool, table, number, Tried::none()))
        .collect()
}

#[test]
fn without_a_table_or_a_key_a_pick_is_random() {
    let plain = pool(PolicyKind::Random, &[1; 3]);
    let table = table(&plain);
    let picked = (0..100).map(|_| {
        lead(
            &mut Balancer::new(KIND, 1),
            &plain,
            &table,
            1,
            Tried::none(),
        )
    });
    assert_eq!(picked.count(), 100);
    let order = picks(&mut Balancer::new(KIND, 1), &unbounded(&[1; 3]), 100);
    assert!((0..3).all(|id| times(&order, id) > 10), "{order:?}");
}

#[test]
fn two_ringways_agree_whatever_the_order_of_the_file() {
    let forth = unbounded(&[3, 1, 2, 5, 1, 9, 4]);
    let mut members = forth.backends.to_vec();
    members.reverse();
    let mut back = Pool::new(PoolId(7), "other", PolicyKind::SourceHash, members);
    back.hashing.load_bound_percent = None;
    let (one, two) = (table(&forth), table(&forth));
    let (mut here, mut there) = (
        Balancer::new(KIND, 1),
        Balancer::new(PolicyKind::SourceHash, 2),
    );
    assert_eq!(
        all_lead(&mut here, &forth, &one),
        all_lead(&mut there, &back, &two)
    );
    // Also when hardly anybody is left to pick from, and a key walks in vain.
    for table in [&one, &two] {
        (1..7).for_each(|id| set_state(table, id, State::Draining));
    }
    assert_eq!(
        all_lead(&mut here, &forth, &one),
        all_lead(&mut there, &back, &two)
    );
}

#[test]
fn two_ringways_agree_on_whoever_is_left_of_a_thousand() {
    let forth = unbounded(&[1; 1_000]);
    let mut members = forth.backends.to_vec();
    members.reverse();
    let mut back = Pool::new(PoolId(0), "chat", KIND, members);
    back.hashing.load_bound_percent = None;
    let table = table(&forth);
    (0..1_000)
        .filter(|id| id % 500 != 7)
        .for_each(|id| set_state(&table, id, State::Draining));
    let here = all_lead(&mut Balancer::new(KIND, 1), &forth, &table);
    let there = all_lead(&mut Balancer::new(KIND, 2), &back, &table);
    assert_eq!(here, there);
    assert!(times(&here, 7) > 2_000 && times(&here, 507) > 2_000);
}

#[test]
fn a_leaving_backend_moves_only_its_own_keys() {
    let pool = unbounded(&[1; 10]);
    let table = table(&pool);
    let mut policy = Balancer::new(KIND, 1);
    let before = all_lead(&mut policy, &pool, &table);
    set_state(&table, 4, State::Down);
    let during = all_lead(&mut policy, &pool, &table);
    for (old, new) in before.iter().zip(&during) {
        assert!(*new != 4 && (old == new || *old == 4));
    }
    // They are spread over all others, not given to one.
    let moved = |id| {
        before
            .iter()
            .zip(&during)
            .filter(|&(&old, &new)| old == 4 && new == id)
            .count()
    };
    assert!((0..10).filter(|&id| id != 4).all(|id| moved(id) > 20));
    set_state(&table, 4, State::Up);
    assert_eq!(
        all_lead(&mut policy, &pool, &table),
        before,
        "and back again"
    );
}

#[test]
fn the_second_choice_of_a_key_is_the_same_whether_the_first_is_down_or_was_tried() {
    let pool = unbounded(&[1; 10]);
    let table = table(&pool);
    let mut policy = Balancer::new(KIND, 1);
    for number in 0..300 {
        let first = lead(&mut policy, &pool, &table, number, Tried::none());
        let second = lead(&mut policy, &pool, &table, number, tried([first]));
        assert_ne!(first, second);
        set_state(&table, first, State::Draining);
        assert_eq!(
            lead(&mut policy, &pool, &table, number, Tried::none()),
            second
        );
        set_state(&table, first, State::Up);
    }
}

#[test]
fn one_key_does_not_load_its_backend_beyond_the_bound() {
    let pool = pool(KIND, &[1; 8]);
    let table = table(&pool);
    let mut policy = Balancer::new(KIND, 1);
    for opened in 1..=1_000_u32 {
        let id = BackendId(lead(&mut policy, &pool, &table, 1, Tried::none()));
        table.connect_started(id);
        table.opened(id);
        let most = (125 * opened).div_ceil(8 * 100);
        let fullest = established(&pool, &table).into_iter().max().unwrap();
        assert!(fullest <= most, "{fullest} of {opened}");
    }
    let used = established(&pool, &table)
        .into_iter()
        .filter(|&count| count > 0);
    assert_eq!(used.count(), 7, "and no more are used than need be");
}

#[test]
fn the_bound_follows_the_weights() {
    let pool = pool(KIND, &[6, 2, 1, 1]);
    let table = table(&pool);
    let mut policy = Balancer::new(KIND, 1);
    for number in 0..1_000 {
        let id = BackendId(lead(&mut policy, &pool, &table, number % 3, Tried::none()));
        table.connect_started(id);
    }
    let most = [750, 250, 125, 125];
    for (member, most) in pool.backends.iter().zip(most) {
        assert!(table.load(member.id).total() <= most);
    }
}

#[test]
fn a_large_pool_keeps_its_bound_too_though_its_sum_is_a_little_old() {
    let pool = pool(KIND, &[1; 400]);
    let table = table(&pool);
    let mut workers = [Balancer::new(KIND, 1), Balancer::new(KIND, 2)];
    for number in 0..20_000 {
        // A tenth of all clients want the same room.
        let number = if number % 10 == 0 { 0 } else { number };
        let worker = &mut workers[usize::from(number % 2 == 1)];
        let id = BackendId(lead(worker, &pool, &table, number, Tried::none()));
        table.connect_started(id);
        table.opened(id);
    }
    let fullest = established(&pool, &table).into_iter().max();
    assert!(fullest <= Some(63), "{fullest:?} of 62.5");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn keys_are_shared_out_by_weight(weights in prop::collection::vec(1_u16..=20, 1..12), salt: u64) {
        let pool = unbounded(&weights);
        let table = table(&pool);
        let mut policy = Balancer::new(KIND, 1);
        let numbers = (0..4_000).map(|number| salt.wrapping_add(number));
        let order: Vec<_> = numbers
            .map(|number| lead(&mut policy, &pool, &table, number, Tried::none()))
            .collect();
        let sum: u32 = weights.iter().map(|&weight| u32::from(weight)).sum();
        for (id, &weight) in (0..).zip(&weights) {
            let share = f64::from(weight) / f64::from(sum);
            let spread = (4_000.0 * share * (1.0 - share)).sqrt();
            let got = f64::from(u32::try_from(times(&order, id)).unwrap());
            prop_assert!((got - 4_000.0 * share).abs() <= 6.0 * spread + 2.0, "{} got {}", id, got);
        }
    }

    #[test]
    fn whoever_goes_moves_no_other_key(
        weights in prop::collection::vec(1_u16..=20, 2..12),
        gone: prop::sample::Index,
        salt: u64,
    ) {
        let pool = unbounded(&weights);
        let table = table(&pool);
        let mut policy = Balancer::new(KIND, 1);
        let gone = u16::try_from(gone.index(weights.len())).unwrap();
        let numbers = || (0..200).map(|number| salt.wrapping_add(number));
        let mut leads = || -> Vec<_> {
            numbers().map(|number| lead(&mut policy, &pool, &table, number, Tried::none())).collect()
        };
        let before = leads();
        set_state(&table, gone, State::Draining);
        for (old, new) in before.into_iter().zip(leads()) {
            prop_assert!(new != gone && (old == new || old == gone));
        }
    }
}
