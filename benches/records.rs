//! What a TLS record costs to seal and to open, with warm keys and with cold ones: `cargo bench --bench records`.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringway::tls::{Half, Keys, Role, Session, Suite, Verdict, Version, sealed_bytes_max};

/// A small message, a middle one, and a full record.
const SIZES: [usize; 3] = [64, 1024, 16 * 1024];

/// Records that are sealed at a time before they are opened: few enough to stay in the caches.
const BATCH: BatchSize = BatchSize::NumIterations(32);

fn seal(criterion: &mut Criterion) {
    for bytes in SIZES {
        let mut group = criterion.benchmark_group("seal");
        group.throughput(Throughput::Bytes(bytes as u64));
        let plain = vec![0x5A; bytes];
        let mut out = vec![0; sealed_bytes_max(bytes)];
        for (name, suite) in suites() {
            let (mut session, _) = pair(suite);
            let mut keys = Keys::new();
            group.bench_function(BenchmarkId::new(name, bytes), |bencher| {
                bencher.iter(|| session.seal(&mut keys, black_box(&plain), &mut out));
            });
            group.bench_function(BenchmarkId::new(format!("{name}_cold"), bytes), |bencher| {
                bencher.iter(|| {
                    keys.cool();
                    session.seal(&mut keys, black_box(&plain), &mut out)
                });
            });
            let (one, two) = plain.split_at(bytes / 2);
            group.bench_function(
                BenchmarkId::new(format!("{name}_gathered"), bytes),
                |bencher| {
                    bencher
                        .iter(|| session.seal_gathered(&mut keys, black_box([one, two]), &mut out));
                },
            );
        }
    }
}

fn open(criterion: &mut Criterion) {
    for bytes in SIZES {
        let mut group = criterion.benchmark_group("open");
        group.throughput(Throughput::Bytes(bytes as u64));
        let plain = vec![0x5A; bytes];
        for (name, suite) in suites() {
            for (temper, cold) in [("", false), ("_cold", true)] {
                let (mut sender, mut receiver) = pair(suite);
                let (mut sending, mut receiving) = (Keys::new(), Keys::new());
                let id = BenchmarkId::new(format!("{name}{temper}"), bytes);
                group.bench_function(id, |bencher| {
                    bencher.iter_batched_ref(
                        || {
                            let mut wire = vec![0; sealed_bytes_max(bytes)];
                            sender
                                .seal(&mut sending, &plain, &mut wire)
                                .expect("it is open");
                            wire
                        },
                        |wire| {
                            if cold {
                                receiving.cool();
                            }
                            take(&mut receiver, &mut receiving, wire)
                        },
                        BATCH,
                    );
                });
            }
        }
    }
}

/// Opens data, and once in 2^24 records the key update before it.
fn take(session: &mut Session, keys: &mut Keys, mut wire: &mut [u8]) -> usize {
    loop {
        match session.open(keys, wire) {
            Verdict::Data { used, .. } => return used,
            Verdict::Rekeyed { used } => wire = &mut wire[used..],
            other => panic!("{other:?}"),
        }
    }
}

fn suites() -> [(&'static str, Suite); 3] {
    let [one, two, three] = Suite::ALL;
    [("aes128", one), ("aes256", two), ("chacha20", three)]
}

/// One that seals, and one that opens what it sealed.
fn pair(suite: Suite) -> (Session, Session) {
    let half = |seed| {
        let secret = [seed; 48];
        let bytes = if suite == Suite::Aes256Gcm { 48 } else { 32 };
        Half::of_secret(suite, &secret[..bytes], 0).expect("the secret has the length of the hash")
    };
    let session = |role, tx, rx| Session::new(Version::Tls13, suite, role, half(tx), half(rx));
    (session(Role::Client, 1, 2), session(Role::Server, 2, 1))
}

criterion_group!(benches, seal, open);
criterion_main!(benches);
