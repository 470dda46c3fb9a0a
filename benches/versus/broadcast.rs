//! One message from a backend to all tunnels at once: what a delivery costs, and when the last client has it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use ringway::clock::Now;

use crate::crowd::Crowd;
use crate::pin::pin;
use crate::round::Ground;
use crate::sample::Sample;
use crate::server::Server;
use crate::station::Station;
use crate::stats::{float, percentile};
use crate::usage::ran_ns;

pub(crate) fn broadcast(
    ground: &Ground,
    server: &mut Server,
    (tunnels, payload_bytes): (usize, usize),
) -> anyhow::Result<Sample> {
    let station = server
        .lend_station()
        .context("no broadcaster stands behind")?;
    let (address, pids) = (server.address, server.pids.clone());
    let tunnels = ground.affordable(tunnels);
    let station_and_sample = std::thread::scope(|scope| {
        // The clients share the core of the backend, as everywhere.
        let run = scope.spawn(move || {
            pin(ground.load_core);
            let sample = take(ground, &station, (address, &pids), (tunnels, payload_bytes));
            (station, sample)
        });
        run.join()
    });
    let (station, sample) =
        station_and_sample.map_err(|_| anyhow::anyhow!("the clients panicked"))?;
    server.give_back(station);
    sample
}

fn take(
    ground: &Ground,
    station: &Station,
    (address, pids): (SocketAddr, &[u32]),
    (tunnels, payload_bytes): (usize, usize),
) -> anyhow::Result<Sample> {
    station.gather(tunnels);
    let mut crowd = Crowd::join(address, tunnels)?;
    station.wait()?;
    let frame = frame(payload_bytes);
    let mut heard = 0;
    let begun = Now::read();
    while Now::read().since(begun) < ground.warmup {
        heard += 1;
        once(&mut crowd, station, &frame, heard)?;
    }
    let (ran, own, from) = (ran_ns(pids), ran_ns(&[std::process::id()]), Now::read());
    let mut times_us = Vec::new();
    while Now::read().since(from) < ground.measured {
        heard += 1;
        times_us.push(once(&mut crowd, station, &frame, heard)?.as_secs_f64() * 1e6);
    }
    let seconds = Now::read().since(from).as_secs_f64();
    let ran = float(ran_ns(pids).saturating_sub(ran));
    let own = float(ran_ns(&[std::process::id()]).saturating_sub(own));
    let deliveries = float((times_us.len() * tunnels) as u64);
    let at = |percent| percentile(times_us.iter().copied(), percent).unwrap_or_default();
    Ok(Sample {
        value: ran / deliveries,
        per_second: deliveries / seconds,
        proxy_percent: ran / seconds / 1e7,
        load_percent: own / seconds / 1e7,
        p50_us: at(50.0),
        p99_us: at(99.0),
        p999_us: at(99.9),
        max_us: at(100.0),
        ..Sample::default()
    })
}

/// How long it took until the last client had the message.
fn once(
    crowd: &mut Crowd,
    station: &Station,
    frame: &[u8],
    number: u64,
) -> anyhow::Result<Duration> {
    station.shout(frame);
    let deadline = Now::read().after(PATIENCE);
    let mut waiting = crowd.members.len();
    let mut lost = None;
    while waiting > 0 {
        crowd.listen(TICK, |member| {
            if member.inbox.messages == number && member.sent < number {
                // What was heard is counted once, although it may come in pieces.
                member.sent = number;
                waiting -= 1;
            }
            lost = lost.take().or_else(|| member.end.clone());
        })?;
        ensure!(lost.is_none(), "a tunnel ended: {lost:?}");
        ensure!(
            Now::read() < deadline,
            "{waiting} clients did not get the message"
        );
    }
    let done = Now::read();
    Ok(done.since(station.wait()?))
}

/// A binary message as a server sends it.
fn frame(payload_bytes: usize) -> Vec<u8> {
    let mut frame = vec![0x82];
    match u16::try_from(payload_bytes) {
        Ok(short) if short < 126 => frame.push(short.to_be_bytes()[1]),
        Ok(middle) => {
            frame.push(126);
            frame.extend(middle.to_be_bytes());
        }
        Err(_) => {
            frame.push(127);
            frame.extend((payload_bytes as u64).to_be_bytes());
        }
    }
    frame.resize(frame.len() + payload_bytes, b'x');
    frame
}

const TICK: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(10);
