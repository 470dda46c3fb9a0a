//! What it costs to pick a backend, at three sizes of pool and for both policies.
//!
//! The budget: under 100 ns for round robin at any size. Least connections reads one row a backend and grows
//! with the pool.

use std::hint::black_box;
use std::net::SocketAddr;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use ringway::balance::{Ask, Balancer, PolicyKind};
use ringway::fleet::{BackendId, Member, Pool, PoolId, SlotTable, Weight};
use ringway::rng::Rng;

fn pool(kind: PolicyKind, size: u16, weighted: bool) -> Pool {
    let member = |index| {
        let address = SocketAddr::from(([10, 0, 0, 1], index));
        let weight = Weight::new(if weighted { 1 + index % 5 } else { 1 });
        Member::new(BackendId(index), address, weight.expect("1 to 5"))
    };
    Pool::new(PoolId(0), "pool", kind, (0..size).map(member).collect())
}

/// A table in which every backend carries something, no two alike in a row.
fn loaded_table(size: u16) -> SlotTable {
    let table = SlotTable::new(usize::from(size));
    let mut rng = Rng::seeded(7);
    for id in (0..size).map(BackendId) {
        for _ in 0..rng.below(50) {
            table.connect_started(id);
            table.opened(id);
        }
    }
    table
}

fn pick(criterion: &mut Criterion) {
    for kind in PolicyKind::ALL {
        for weighted in [false, true] {
            let name = format!(
                "pick/{}{}",
                kind.label(),
                if weighted { "/weighted" } else { "" }
            );
            let mut group = criterion.benchmark_group(name);
            for size in [10, 100, 1_000, 10_000] {
                let pool = pool(kind, size, weighted);
                let table = loaded_table(size);
                let mut policy = Balancer::new(kind, 1);
                group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
                    bencher.iter(|| {
                        let picked = policy.pick(black_box(&pool), &table, &Ask::default());
                        picked.map(|member| member.id)
                    });
                });
            }
        }
    }
}

criterion_group!(benches, pick);
criterion_main!(benches);
