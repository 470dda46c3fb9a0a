//! What it costs to pick a backend, at three sizes of pool and for both policies.
//!
//! The budget: under 100 ns for round robin at any size. Least connections reads one row a backend and grows
//! with the pool.

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use ringway::balance::{Policy, PolicyKind, Tried};
use ringway::fleet::{BackendId, Member, Pool, PoolId, SlotTable, Weight};
use ringway::rng::Rng;

fn pool(kind: PolicyKind, size: u16, weighted: bool) -> Pool {
    let member = |index| Member {
        id: BackendId(index),
        address: SocketAddr::from(([10, 0, 0, 1], index)),
        name: "backend".into(),
        weight: Weight::new(if weighted { 1 + index % 5 } else { 1 }).expect("1 to 5"),
    };
    Pool {
        id: PoolId(0),
        name: "pool".into(),
        policy: kind,
        backends: (0..size).map(member).collect::<Vec<_>>().into(),
        connect_tries_max: 3,
        connect_timeout: Duration::from_secs(1),
        answer_timeout: Duration::from_secs(1),
    }
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
                let mut policy = Policy::new(kind, 1);
                group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
                    bencher.iter(|| {
                        let picked = policy.pick(black_box(&pool), &table, &Tried::none());
                        picked.map(|member| member.id)
                    });
                });
            }
        }
    }
}

criterion_group!(benches, pick);
criterion_main!(benches);
