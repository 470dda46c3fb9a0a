//! How many frame headers a second the scanner walks, and what it costs to look into the frames as well:
//! `cargo bench --bench scanner`.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringway::limits::FRAME_HEADER_BYTES_MAX;
use ringway::simd::{Kernels, Scratch};
use ringway::ws::{
    Admission, FrameHeader, Host, Inspect, Inspector, Opcode, Passage, Rule, Scanner, Sender,
    Verdict, Watch, apply_mask,
};

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

/// The chunks of [`full_chunks`] with somebody looking: at headers with nothing asked, and at text.
fn inspected_chunks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("inspector");
    for (name, sender) in [("masked", Sender::Client), ("unmasked", Sender::Backend)] {
        for (inspect, opcode) in LEVELS {
            for payload_bytes in [6, 64, 1024, 16 * 1024] {
                let (chunk, frames) = chunk_of(sender, opcode, payload_bytes);
                group.throughput(Throughput::Elements(frames));
                let id = BenchmarkId::new(format!("{name}_{}", inspect.label()), payload_bytes);
                group.bench_function(id, |bencher| {
                    let mut look = Look::new(sender, inspect);
                    bencher.iter(|| look.feed(black_box(&chunk)));
                    assert_eq!(u64::from(look.feed(&chunk)), frames);
                });
            }
        }
    }
    group.finish();
}

/// The frames of [`lone_frames`] with somebody looking.
fn inspected_lone_frames(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("inspector_lone_frame");
    group.throughput(Throughput::Elements(1));
    for (inspect, opcode) in LEVELS {
        for payload_bytes in [64, 1024] {
            let frame = frame_of(Sender::Client, opcode, payload_bytes);
            let id = BenchmarkId::new(format!("masked_{}", inspect.label()), payload_bytes);
            group.bench_function(id, |bencher| {
                let mut look = Look::new(Sender::Client, inspect);
                bencher.iter(|| look.feed(black_box(&frame)));
                assert_eq!(look.feed(&frame), 1);
            });
        }
    }
    group.finish();
}

/// One direction that is looked into, and what a worker has once for all of them.
struct Look {
    scanner: Scanner,
    inspector: Inspector,
    scratch: Scratch,
    passage: Passage,
}

impl Look {
    fn new(sender: Sender, inspect: Inspect) -> Self {
        let watch = Watch {
            inspect,
            ..Watch::default()
        };
        Self {
            scanner: Scanner::new(sender, false),
            inspector: Inspector::new(watch),
            scratch: Scratch::new(Kernels::best()),
            passage: Passage::default(),
        }
    }

    /// How many messages go on.
    fn feed(&mut self, chunk: &[u8]) -> u32 {
        let input = (&mut self.scanner, chunk, false);
        let (scratch, passage) = (&mut self.scratch, &mut self.passage);
        self.inspector
            .feed(input, scratch, &mut Indifferent, passage);
        passage.messages
    }
}

/// Asks for nothing and lets everything go on.
struct Indifferent;

impl Host for Indifferent {
    fn opened(&mut self, _: &FrameHeader) {}

    fn admit(&mut self) -> Admission {
        Admission::Pass
    }

    fn admit_control(&mut self) -> Result<(), Rule> {
        Ok(())
    }

    fn data(&mut self, _: &[u8], _: Option<[u8; 4]>, _: u64, _: bool) {}

    fn control(&mut self, _: Opcode, _: &[u8]) -> bool {
        true
    }

    fn message(&mut self, _: u64, _: u32) {}

    fn only_counts(&self) -> bool {
        true
    }

    fn may_hold(&mut self, _: usize) -> bool {
        true
    }
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
    frame.resize(header_bytes + payload_bytes, b'Z');
    if let Some(key) = header.mask {
        apply_mask(&mut frame[header_bytes..], key, 0);
    }
    frame
}

const CHUNK_BYTES: usize = 64 * 1024;
/// Levels, and frames that each of them has to do with.
const LEVELS: [(Inspect, Opcode); 2] = [
    (Inspect::Headers, Opcode::Binary),
    (Inspect::Text, Opcode::Text),
];

criterion_group!(
    benches,
    full_chunks,
    lone_frames,
    inspected_chunks,
    inspected_lone_frames
);
criterion_main!(benches);
