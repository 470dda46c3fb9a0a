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
const MESSAGES: [usize; 6] = [20, 64, 125, 256, 1024, 64 * 1024];

const PAGE_BYTES: usize = 4096;

/// From one place to another, as into scratch, beside a copy of the same bytes.
fn into(criterion: &mut Criterion) {
    for bytes in SIZES {
        let mut group = sized(criterion, "unmask_into", bytes);
        beside_memcpy(&mut group, bytes);
    }
}

fn messages(criterion: &mut Criterion) {
    for bytes in MESSAGES {
        let mut group = sized(criterion, "unmask_message", bytes);
        beside_memcpy(&mut group, bytes);
    }
}

/// A payload lies wherever its header ends, so each turn takes the next of 16 places. Both slices keep half a page
/// between them: within one page of each other, copies of some kinds are slowed by the processor, up to 30 times.
fn beside_memcpy(group: &mut BenchmarkGroup<'_, WallTime>, bytes: usize) {
    let pages = bytes.next_multiple_of(PAGE_BYTES) + 2 * PAGE_BYTES;
    let (source, mut out) = (vec![0x5A; pages], vec![0; pages]);
    let from = source.as_ptr().align_offset(PAGE_BYTES);
    let to = out.as_ptr().align_offset(PAGE_BYTES) + PAGE_BYTES / 2;
    let mut turns = (0..16_usize).cycle();
    let mut places = || {
        let turn = turns.next().unwrap_or_default();
        (from + (turn * 37 + 6) % 256, to + turn * 48 % 256)
    };
    group.bench_function(BenchmarkId::new("memcpy", bytes), |bencher| {
        bencher.iter(|| {
            let (from, to) = places();
            black_box(&mut out[to..][..bytes]).copy_from_slice(black_box(&source[from..][..bytes]));
        });
    });
    for kernels in Kernels::available() {
        group.bench_function(BenchmarkId::new(kernels.name(), bytes), |bencher| {
            bencher.iter(|| {
                let (from, to) = places();
                let source = black_box(&source[from..][..bytes]);
                kernels.unmask_into(source, KEY, 0, black_box(&mut out[to..][..bytes]));
            });
        });
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

/// The stream of text alone, with the unmasking before it, and as the best kernels look into it under its mask.
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
            let id = BenchmarkId::new(format!("look_{name}"), bytes);
            group.bench_function(id, |bencher| {
                bencher.iter(|| {
                    let mut stream = Utf8Stream::default();
                    let looked = scratch.check(black_box(&masked), Some(KEY), 0, &mut stream);
                    looked.is_ok() && stream.finish().is_ok()
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
