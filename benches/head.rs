//! What one upgrade costs in text: measuring, parsing, checking, rendering, answering.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ringway::http::{
    HeadScan, Hop, RequestHead, ResponseHead, accept_key, check_upgrade, render_upgrade, verify_101,
};

/// What a current browser sends, with a session cookie of a usual size.
const UPGRADE: &[u8] = b"GET /chat/socket?room=42&v=3 HTTP/1.1\r\n\
Host: chat.example.com\r\n\
Connection: Upgrade\r\n\
Pragma: no-cache\r\n\
Cache-Control: no-cache\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n\
Upgrade: websocket\r\n\
Origin: https://chat.example.com\r\n\
Sec-WebSocket-Version: 13\r\n\
Accept-Encoding: gzip, deflate, br, zstd\r\n\
Accept-Language: en-GB,en;q=0.9\r\n\
Cookie: session=0123456789abcdef0123456789abcdef0123456789abcdef; theme=dark\r\n\
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
Sec-WebSocket-Protocol: chat.v2, chat.v1\r\n\
\r\n";

const PROOF: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\
Upgrade: websocket\r\n\
Connection: Upgrade\r\n\
Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
Sec-WebSocket-Protocol: chat.v2\r\n\
\r\n";

fn request(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("request");
    group.throughput(Throughput::Bytes(UPGRADE.len() as u64));
    group.bench_function("scan", |bencher| {
        bencher.iter(|| HeadScan::default().feed(black_box(UPGRADE)));
    });
    group.bench_function("parse", |bencher| {
        bencher.iter(|| RequestHead::parse(black_box(UPGRADE)));
    });
    let head = RequestHead::parse(UPGRADE).expect("the head above is valid");
    group.bench_function("check_upgrade", |bencher| {
        bencher.iter(|| check_upgrade(black_box(&head)));
    });
    let hop = Hop {
        peer: [192, 0, 2, 1].into(),
        trusted: false,
        scheme: "https",
        local: ([192, 0, 2, 2], 443).into(),
        hidden_cookie: None,
        claimed: &[],
        offers_deflate: true,
    };
    let mut out = Vec::with_capacity(2 * UPGRADE.len());
    group.bench_function("render_upgrade", |bencher| {
        bencher.iter(|| {
            out.clear();
            render_upgrade(black_box(&head), black_box(&hop), &mut out);
            out.len()
        });
    });
    group.finish();
}

fn response(criterion: &mut Criterion) {
    let head = RequestHead::parse(UPGRADE).expect("the head above is valid");
    let expected = check_upgrade(&head)
        .expect("the head above upgrades")
        .expected();
    criterion.bench_function("accept_key", |bencher| {
        bencher.iter(|| accept_key(black_box("dGhlIHNhbXBsZSBub25jZQ==")));
    });
    criterion.bench_function("response/parse_and_verify_101", |bencher| {
        bencher.iter(|| {
            ResponseHead::parse(black_box(PROOF)).map(|head| verify_101(&head, &expected))
        });
    });
}

criterion_group!(benches, request, response);
criterion_main!(benches);
