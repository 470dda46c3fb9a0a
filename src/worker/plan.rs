//! What this worker greets by: one snapshot, and what it remembers about each of its pools.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::balance::Balancer;
use crate::fleet::{Pool, PoolId, Snapshot};
use crate::rng::Rng;
use crate::sync::Arc;

/// A snapshot and the state that belongs to it, in one piece: a greeting holds the plan it began with, so the
/// id of a pool is never looked up in the state of another snapshot.
pub(super) struct Plan {
    pub(super) snapshot: Arc<Snapshot>,
    /// One for each pool of the snapshot, at the place its id names. Shared with the plans before and after.
    policies: Vec<Rc<RefCell<Balancer>>>,
}

impl Plan {
    /// The first plan of a worker.
    pub(super) fn new(snapshot: Arc<Snapshot>, rng: &mut Rng) -> Self {
        let pools = snapshot.pools.iter();
        let policies = pools.map(|pool| fresh(pool, rng)).collect();
        Self { snapshot, policies }
    }

    /// The plan by the next snapshot. What is known of a pool goes on under its name, as long as its policy
    /// stays: a round keeps its place.
    pub(super) fn followed_by(&self, snapshot: Arc<Snapshot>, rng: &mut Rng) -> Self {
        let before = &self.snapshot.pools;
        let places: HashMap<&str, usize> = (0..)
            .zip(before)
            .map(|(place, pool)| (&*pool.name, place))
            .collect();
        let pools = snapshot.pools.iter();
        let policies = pools
            .map(|pool| match places.get(&*pool.name) {
                Some(place) if before[*place].policy == pool.policy => {
                    Rc::clone(&self.policies[*place])
                }
                _ => fresh(pool, rng),
            })
            .collect();
        Self { snapshot, policies }
    }

    /// How this worker chooses in a pool of this snapshot.
    pub(super) fn policy(&self, pool: PoolId) -> &RefCell<Balancer> {
        &self.policies[pool.index()]
    }
}

fn fresh(pool: &Pool, rng: &mut Rng) -> Rc<RefCell<Balancer>> {
    Rc::new(RefCell::new(Balancer::new(pool.policy, rng.next_u64())))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use super::*;
    use crate::balance::Ask;
    use crate::fleet::{
        BackendId, Member, PolicyKind, RouteTable, SlotTable, SourceLimits, Weight,
    };

    fn pool(id: u16, name: &str, policy: PolicyKind, rows: std::ops::Range<u16>) -> Pool {
        let address = |row| SocketAddr::from(([192, 0, 2, 1], row));
        let members = rows.map(|row| Member::new(BackendId(row), address(row), Weight::ONE));
        Pool::new(PoolId(id), name, policy, members.collect())
    }

    fn snapshot(pools: Vec<Pool>) -> Arc<Snapshot> {
        Arc::new(Snapshot {
            pools,
            routes: RouteTable::default(),
            trusted_proxies: Vec::new(),
            doors: Vec::new(),
            head_timeout: Duration::from_secs(1),
            source_limits: SourceLimits::default(),
        })
    }

    fn next(plan: &Plan, id: u16, table: &SlotTable) -> BackendId {
        let pool = plan.snapshot.pool(PoolId(id));
        let mut policy = plan.policy(PoolId(id)).borrow_mut();
        policy.pick(pool, table, &Ask::default()).unwrap().id
    }

    #[test]
    fn a_round_keeps_its_place_though_the_pool_has_another_number() {
        use PolicyKind::RoundRobin;
        let (table, mut rng) = (SlotTable::new(8), Rng::seeded(7));
        let four = |id| pool(id, "chat", RoundRobin, 0..4);
        let old = Plan::new(snapshot(vec![four(0)]), &mut rng);
        let mut seen = vec![next(&old, 0, &table), next(&old, 0, &table)];
        let games = pool(0, "games", RoundRobin, 4..8);
        let new = old.followed_by(snapshot(vec![games, four(1)]), &mut rng);
        seen.extend([next(&new, 1, &table), next(&new, 1, &table)]);
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2, 3].map(BackendId), "one round over both");
    }

    #[test]
    fn another_policy_or_another_name_begins_anew() {
        let mut rng = Rng::seeded(7);
        let kept = pool(0, "kept", PolicyKind::RoundRobin, 0..2);
        let changed = |policy| pool(1, "changed", policy, 2..4);
        let first = vec![kept.clone(), changed(PolicyKind::RoundRobin)];
        let old = Plan::new(snapshot(first), &mut rng);
        let renamed = pool(2, "renamed", PolicyKind::RoundRobin, 4..6);
        let second = vec![kept, changed(PolicyKind::LeastConnections), renamed];
        let new = old.followed_by(snapshot(second), &mut rng);
        let same = |place: usize| {
            let old = old.policies.get(place);
            old.is_some_and(|old| Rc::ptr_eq(old, &new.policies[place]))
        };
        assert_eq!([same(0), same(1), same(2)], [true, false, false]);
    }

    #[test]
    fn a_greeting_that_began_before_a_pool_went_away_still_picks_from_it() {
        let (table, mut rng) = (SlotTable::new(8), Rng::seeded(7));
        let both = vec![
            pool(0, "stays", PolicyKind::RoundRobin, 0..2),
            pool(1, "goes", PolicyKind::RoundRobin, 2..3),
        ];
        let old = Rc::new(Plan::new(snapshot(both), &mut rng));
        let greeting = Rc::clone(&old);
        let stays = pool(0, "stays", PolicyKind::RoundRobin, 0..2);
        let new = Rc::new(old.followed_by(snapshot(vec![stays]), &mut rng));
        drop(old);
        assert_eq!(next(&greeting, 1, &table), BackendId(2));
        assert_eq!(new.policies.len(), 1);
    }
}
