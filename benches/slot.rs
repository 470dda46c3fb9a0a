//! What one tunnel's life costs in the shared table: alone, through a ledger, and against another core on the
//! same backend or on the one beside it.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};

use criterion::{Criterion, criterion_group, criterion_main};
use ringway::fleet::{BackendId, Ledger, SlotTable};
use ringway::sync::Arc;

const MINE: BackendId = BackendId(0);
const BESIDE: BackendId = BackendId(1);

fn life(table: &SlotTable, id: BackendId) {
    table.connect_started(id);
    table.opened(id);
    table.closed(id);
}

fn alone(criterion: &mut Criterion) {
    let table = Arc::new(SlotTable::new(2));
    criterion.bench_function("slot/life", |bencher| {
        bencher.iter(|| life(black_box(&table), MINE));
    });
    criterion.bench_function("slot/load", |bencher| {
        bencher.iter(|| black_box(&table).load(MINE));
    });
    let ledger = Ledger::new(Arc::clone(&table));
    criterion.bench_function("slot/life in a ledger", |bencher| {
        bencher.iter(|| {
            let ledger = black_box(&ledger);
            ledger.connect_started(MINE);
            ledger.opened(MINE);
            ledger.closed(MINE);
        });
    });
}

/// Measures this core while another one does the same without a pause.
fn contended(criterion: &mut Criterion, name: &str, other: BackendId) {
    let table = SlotTable::new(2);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                life(&table, other);
            }
        });
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| life(black_box(&table), MINE));
        });
        stop.store(true, Ordering::Relaxed);
    });
}

fn two_cores(criterion: &mut Criterion) {
    contended(
        criterion,
        "slot/life, another core on the same backend",
        MINE,
    );
    contended(
        criterion,
        "slot/life, another core on the one beside it",
        BESIDE,
    );
}

criterion_group!(benches, alone, two_cores);
criterion_main!(benches);
