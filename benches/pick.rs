//! What it costs to pick a backend: every policy at four sizes of pool, with all healthy and with a tenth down,
//! and picked and counted by as many threads as there are cores.
//!
//! The budget: under 100 ns at any size for all but least connections, which reads one row a backend and has 1 µs
//! at 100. Many threads: at most twice the cost of one.

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Barrier;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use ringway::balance::{Ask, Balancer, PolicyKind};
use ringway::clock::Now;
use ringway::fleet::{BackendId, Member, Pool, PoolId, SlotTable, Standing, State, Weight};
use ringway::rng::Rng;

fn pool(kind: PolicyKind, size: u16) -> Pool {
    let is_weighted = kind != PolicyKind::RoundRobin;
    let member = |index| {
        let address = SocketAddr::from(([10, 0, 0, 1], index));
        let weight = Weight::new(if is_weighted { 1 + index % 5 } else { 1 });
        Member::new(BackendId(index), address, weight.expect("1 to 5"))
    };
    Pool::new(PoolId(0), "pool", kind, (0..size).map(member).collect())
}

/// A table in which every backend carries something, no two alike in a row, and answers in some time; each tenth is
/// down if `some_down`.
fn loaded_table(pool: &Pool, some_down: bool) -> SlotTable {
    let table = SlotTable::new(pool.backends.len());
    let mut rng = Rng::seeded(7);
    for member in pool.backends.iter() {
        let is_down = some_down && member.id.0 % 10 == 3;
        let standing = Standing {
            state: if is_down { State::Down } else { State::Up },
            weight: member.weight.get(),
            generation: 0,
        };
        table.set_standing(member.id, standing);
        let took = Duration::from_micros(500 + u64::from(rng.below(1_000)));
        table.handshake_took(member.id, took, Now::default());
        let share = 20 * u32::from(member.weight.get());
        for _ in 0..share + rng.below(share / 10) {
            table.connect_started(member.id);
            table.opened(member.id);
        }
    }
    table
}

/// Another key and a later moment for each pick.
struct Asks(Rng, Now);

impl Asks {
    fn next(&mut self) -> Ask {
        self.1 = self.1.after(Duration::from_micros(10));
        Ask {
            key: Some(self.0.next_u64()),
            now: self.1,
            ..Ask::default()
        }
    }
}

fn alone(criterion: &mut Criterion) {
    for kind in PolicyKind::ALL {
        for some_down in [false, true] {
            let down = if some_down { "/a tenth down" } else { "" };
            let mut group = criterion.benchmark_group(format!("pick/{}{down}", kind.label()));
            for size in [10, 100, 1_000, 10_000] {
                let pool = pool(kind, size);
                let table = loaded_table(&pool, some_down);
                let mut policy = Balancer::new(kind, 1);
                let mut asks = Asks(Rng::seeded(1), Now::default());
                group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
                    bencher.iter(|| {
                        let picked = policy.pick(black_box(&pool), &table, &asks.next());
                        picked.map(|member| member.id)
                    });
                });
            }
        }
    }
}

/// Picks and counts on so many threads at once; the time until the last is through.
fn crew(pool: &Pool, table: &SlotTable, threads: u64, picks: u64) -> Duration {
    let start = Barrier::new(usize::try_from(threads).expect("few threads"));
    let times = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|seed| {
                let start = &start;
                scope.spawn(move || {
                    let mut policy = Balancer::new(pool.policy, seed);
                    let mut asks = Asks(Rng::seeded(seed), Now::default());
                    let mut life = || {
                        let picked = policy.pick(black_box(pool), table, &asks.next());
                        let id = picked.expect("all are up").id;
                        table.connect_started(id);
                        table.opened(id);
                        table.closed(id);
                    };
                    life();
                    start.wait();
                    let begun = Now::read();
                    (0..picks).for_each(|_| life());
                    Now::read().since(begun)
                })
            })
            .collect();
        let times = workers
            .into_iter()
            .map(|worker| worker.join().expect("no panic"));
        times.max()
    });
    times.unwrap_or_default()
}

fn together(criterion: &mut Criterion) {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    for kind in PolicyKind::ALL {
        let mut group = criterion.benchmark_group(format!("pick and count/{}", kind.label()));
        for size in [100, 1_000] {
            let pool = pool(kind, size);
            let table = loaded_table(&pool, false);
            for threads in [1, cores] {
                let id = BenchmarkId::from_parameter(format!("{size}, {threads} threads"));
                group.bench_function(id, |bencher| {
                    bencher.iter_custom(|picks| crew(&pool, &table, threads, picks));
                });
            }
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(700))
        .sample_size(20);
    targets = alone, together
}
criterion_main!(benches);
