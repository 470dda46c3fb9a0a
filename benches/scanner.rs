//! How many frame headers a second the scanner walks: `cargo bench --bench scanner`.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringway::limits::FRAME_HEADER_BYTES_MAX;
use ringway::ws::{FrameHeader, Opcode, Scanner, Sender, Verdict};

/// Whole frames in one large receive buffer, which is how a busy tunnel's bytes arrive.
fn full_chunks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("scanner");
    for (name, sender) in [("masked", Sender::Client), ("unmasked", Sender::Backend)] {
        for payload_bytes in [6, 64, 1024] {
            let (chunk, frames) = chunk_of(sender, Opcode::Binary, payload_bytes);
            group.throughput(Throughput::Elements(frames));
            let id = BenchmarkId::new(name, payload_bytes);
            group.bench_function(id, |bencher| {
                let mut scanner = Scanner::new(sender, false);
                bencher.iter(|| scanner.feed(black_box(&chunk)).messages);
                assert_eq!(scanner.feed(&chunk).verdict, Verdict::Pass);
            });
        }
    }
    // Control frames leave the fast path, so this is the general one on the smallest frames.
    let (chunk, frames) = chunk_of(Sender::Client, Opcode::Ping, 6);
    group.throughput(Throughput::Elements(frames));
    group.bench_function(BenchmarkId::new("masked_ping", 6), |bencher| {
        let mut scanner = Scanner::new(Sender::Client, false);
        bencher.iter(|| scanner.feed(black_box(&chunk)).release);
    });
    group.finish();
}

/// One frame a feed: a quiet tunnel, where the cost of the call itself shows.
fn lone_frames(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("scanner_lone_frame");
    group.throughput(Throughput::Elements(1));
    for payload_bytes in [64, 1024] {
        let frame = frame_of(Sender::Client, Opcode::Binary, payload_bytes);
        let id = BenchmarkId::new("masked", payload_bytes);
        group.bench_function(id, |bencher| {
            let mut scanner = Scanner::new(Sender::Client, false);
            bencher.iter(|| scanner.feed(black_box(&frame)).release);
        });
    }
    group.finish();
}

/// As many whole frames as fit the chunk, and how many they are.
fn chunk_of(sender: Sender, opcode: Opcode, payload_bytes: usize) -> (Vec<u8>, u64) {
    let frame = frame_of(sender, opcode, payload_bytes);
    let frames = CHUNK_BYTES / frame.len();
    (frame.repeat(frames), frames as u64)
}

fn frame_of(sender: Sender, opcode: Opcode, payload_bytes: usize) -> Vec<u8> {
    let header = FrameHeader {
        fin: true,
        rsv: 0,
        opcode,
        mask: sender.masks().then_some([0x37, 0xFA, 0x21, 0x3D]),
        payload_bytes: payload_bytes as u64,
    };
    let mut room = [0; FRAME_HEADER_BYTES_MAX];
    let header_bytes = header.encode(&mut room);
    let mut frame = room[..header_bytes].to_vec();
    frame.resize(header_bytes + payload_bytes, 0x5A);
    frame
}

const CHUNK_BYTES: usize = 64 * 1024;

criterion_group!(benches, full_chunks, lone_frames);
criterion_main!(benches);
