//! What it costs to find the routing key in a first message: `cargo bench --bench first_message`. Budget: 2 µs for 1 KiB.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringway::fleet::JsonPointer;
use ringway::upstream::JsonReader;

/// At the start of the message, at its end, and nowhere in it.
const POINTERS: [(&str, &str); 3] = [
    ("at_its_start", "/room"),
    ("at_its_end", "/token/sub"),
    ("nowhere", "/nowhere"),
];

/// A small message, the one of the budget, and the largest that a reader keeps its memory for.
const MESSAGES: [usize; 3] = [256, 1024, 16 * 1024];

/// The message is copied afresh each time, as the relay copies it when it unmasks it: reading spoils it.
fn key(criterion: &mut Criterion) {
    for bytes in MESSAGES {
        let message = message(bytes);
        let mut group = criterion.benchmark_group("first_message");
        group.throughput(Throughput::Bytes(bytes as u64));
        let mut copy = vec![0; bytes];
        group.bench_function(BenchmarkId::new("copy", bytes), |bencher| {
            bencher.iter(|| black_box(&mut copy[..]).copy_from_slice(black_box(&message)));
        });
        for (place, text) in POINTERS {
            let pointer = JsonPointer::parse(text).expect("a pointer of this bench");
            let mut reader = JsonReader::default();
            group.bench_function(BenchmarkId::new(place, bytes), |bencher| {
                bencher.iter(|| {
                    copy.copy_from_slice(black_box(&message));
                    reader.read(&mut copy, &pointer).map(str::len)
                });
            });
        }
    }
}

/// What a chat client says first: where it wants to be, what it can do, what it saw last, and who it is.
fn message(bytes: usize) -> Vec<u8> {
    let start = r#"{"type":"join","room":"engineering-4711","client":{"name":"web","version":"7.12.3","mobile":false},"seen":["#;
    let end = r#"],"text":"","token":{"iss":"chat.example","iat":1767225600,"sub":"3f0c9b1e-55aa-4c1d-9d43-0b9f2e6a7c11"}}"#;
    let mut seen = String::new();
    for id in 0.. {
        let entry = format!(
            r#"{}{{"id":{},"from":"user-{}","at":1767225{:03},"text":"Olá \"all\", how was it?\n","pinned":false}}"#,
            if id > 0 { "," } else { "" },
            90_000 + id,
            id * 37 % 101,
            id % 1000
        );
        if start.len() + seen.len() + entry.len() + end.len() > bytes {
            break;
        }
        seen.push_str(&entry);
    }
    // What is left is text at the end, so that the size is right to the byte.
    let rest = bytes - start.len() - seen.len() - end.len();
    let end = end.replacen("\"\"", &format!("\"{}\"", "x".repeat(rest)), 1);
    format!("{start}{seen}{end}").into_bytes()
}

criterion_group!(benches, key);
criterion_main!(benches);
