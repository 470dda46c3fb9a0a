//! How fast payloads are unmasked beside a plain copy, and how fast their text is checked: `cargo bench --bench unmask`.

use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};
use ringway::simd::{Kernels, Scratch, Utf8Stream};

const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// In the first cache, in the second, and in none.
const SIZES: [usize; 3] = [16 * 1024, 64 * 1024, 64 * 1024 * 1024];

/// A small message, a middle one, and one that fills a receive buffer.
const MESSAGES: [usize; 4] = [64, 256, 1024, 64 * 1024];

/// From one place to another, as into scratch.
fn into(criterion: &mut Criterion) {
    for bytes in SIZES {
        let mut group = sized(criterion, "unmask_into", bytes);
        let (source, mut out) = (vec![0x5A; bytes], vec![0; bytes]);
        group.bench_function(BenchmarkId::new("memcpy", bytes), |bencher| {
            bencher.iter(|| black_box(&mut out[..]).copy_from_slice(black_box(&source)));
        });
        for kernels in Kernels::available() {
            group.bench_function(BenchmarkId::new(kernels.name(), bytes), |bencher| {
                bencher
                    .iter(|| kernels.unmask_into(black_box(&source), KEY, 1, black_box(&mut out)));
            });
        }
    }
}

fn in_place(criterion: &mut Criterion) {
    for bytes in SIZES {
        let mut group = sized(criterion, "unmask_in_place", bytes);
        let mut payload = vec![0x5A; bytes];
        for kernels in Kernels::available() {
            group.bench_function(BenchmarkId::new(kernels.name(), bytes), |bencher| {
                bencher.iter(|| kernels.unmask_in_place(black_box(&mut payload), KEY, 1));
            });
        }
    }
}

/// A payload lies wherever its header ends: here 6 bytes behind an aligned place.
fn messages(criterion: &mut Criterion) {
    for bytes in MESSAGES {
        let mut group = sized(criterion, "unmask_message", bytes);
        let (source, mut out) = (vec![0x5A; bytes + 6], vec![0; bytes]);
        group.bench_function(BenchmarkId::new("memcpy", bytes), |bencher| {
            bencher.iter(|| black_box(&mut out[..]).copy_from_slice(black_box(&source[6..])));
        });
        for kernels in Kernels::available() {
            group.bench_function(BenchmarkId::new(kernels.name(), bytes), |bencher| {
                bencher.iter(|| {
                    kernels.unmask_into(black_box(&source[6..]), KEY, 0, black_box(&mut out));
                });
            });
        }
    }
}

/// The stream of text alone, and with the unmasking before it.
fn text(criterion: &mut Criterion) {
    for (name, letters) in [
        ("ascii", "the quick brown fox "),
        ("mixed", "naïve 東京 🚀 text "),
    ] {
        for bytes in MESSAGES {
            let mut plain = letters.repeat(bytes / letters.len()).into_bytes();
            plain.resize(bytes, b'.');
            let mut group = sized(criterion, "text", bytes);
            group.bench_function(
                BenchmarkId::new(format!("check_{name}"), bytes),
                |bencher| {
                    bencher.iter(|| {
                        let mut stream = Utf8Stream::default();
                        stream
                            .feed(black_box(&plain))
                            .and_then(|()| stream.finish())
                    });
                },
            );
            let mut masked = plain.clone();
            Kernels::scalar().unmask_in_place(&mut masked, KEY, 0);
            let mut scratch = Scratch::new(Kernels::best());
            let id = BenchmarkId::new(format!("unmask_and_check_{name}"), bytes);
            group.bench_function(id, |bencher| {
                bencher.iter(|| {
                    let mut stream = Utf8Stream::default();
                    scratch
                        .unmask_and_check(black_box(&masked), KEY, 0, &mut stream)
                        .and_then(|()| stream.finish())
                });
            });
        }
    }
}

fn sized<'a>(
    criterion: &'a mut Criterion,
    name: &str,
    bytes: usize,
) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Bytes(bytes as u64));
    group
}

criterion_group!(benches, into, in_place, messages, text);
criterion_main!(benches);
