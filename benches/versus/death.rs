//! A backend is killed while all tunnels are in use: what their clients see, and what new clients meet.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::Context;
use ringway::clock::Now;

use crate::crowd::Crowd;
use crate::knock::knock;
use crate::pin::pin;
use crate::round::Ground;
use crate::sample::Sample;
use crate::server::Server;
use crate::upheaval::Upheaval;

pub(crate) fn death(
    ground: &Ground,
    server: &mut Server,
    tunnels: usize,
) -> anyhow::Result<Sample> {
    let address = server.address;
    let core = ground.load_core;
    let mut crowd = Crowd::join(address, tunnels)?;
    carry(&mut crowd, Now::read().after(CALM))?;
    let (stop, stopped) = channel();
    std::thread::scope(|scope| {
        server.kill_a_backend()?;
        let died = Now::read();
        let knocks = scope.spawn(move || {
            pin(core);
            knock_on(address, died, &stopped)
        });
        let last_end = carry(&mut crowd, died.after(WATCH));
        drop(stop);
        let mut upheaval = knocks
            .join()
            .map_err(|_| anyhow::anyhow!("the clients panicked"))?;
        let last_end = last_end?.context("no tunnel noticed that its backend is dead")?;
        count(&mut upheaval, &crowd);
        upheaval.processes = server.processes();
        Ok(Sample {
            value: last_end.since(died).as_secs_f64() * 1e3,
            upheaval: Some(upheaval),
            ..Sample::default()
        })
    })
}

/// Every tunnel sends a message each tick, unless its last one is under way. When the last tunnel ended, if any did.
fn carry(crowd: &mut Crowd, until: Now) -> anyhow::Result<Option<Now>> {
    let mut last_end = None;
    let mut next = Now::read();
    while Now::read() < until {
        if Now::read() >= next {
            next = next.after(TICK);
            for member in &mut crowd.members {
                if member.end.is_none() && member.is_answered() {
                    member.send(MESSAGE);
                }
            }
        }
        crowd.listen(TICK / 5, |member| {
            if member.end.is_some() {
                last_end = Some(Now::read());
            }
        })?;
    }
    Ok(last_end)
}

/// New clients, one after the other, until told to stop.
fn knock_on(address: std::net::SocketAddr, died: Now, stopped: &Receiver<()>) -> Upheaval {
    let mut found = Upheaval::default();
    while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
        found.handshakes += 1;
        if let Err(why) = knock(address, KNOCK) {
            found.handshakes_failed += 1;
            *found.refusals.entry(why).or_default() += 1;
            found.failing_ms = Now::read().since(died).as_secs_f64() * 1e3;
        }
    }
    found
}

fn count(upheaval: &mut Upheaval, crowd: &Crowd) {
    upheaval.tunnels = crowd.members.len() as u64;
    for member in &crowd.members {
        let is_silent = member.end.is_none() && !member.is_answered();
        let silent = || is_silent.then(|| "silent".to_owned());
        if let Some(end) = member.end.clone().or_else(silent) {
            upheaval.tunnels_lost += 1;
            upheaval.messages_lost += member.sent.saturating_sub(member.inbox.messages);
            *upheaval.ends.entry(end).or_default() += 1;
        }
    }
}

/// A masked text of five characters.
const MESSAGE: &[u8] = &[
    0x81,
    0x85,
    1,
    2,
    3,
    4,
    b'h' ^ 1,
    b'e' ^ 2,
    b'l' ^ 3,
    b'l' ^ 4,
    b'o' ^ 1,
];
const CALM: Duration = Duration::from_millis(300);
const WATCH: Duration = Duration::from_secs(2);
const TICK: Duration = Duration::from_millis(10);
const KNOCK: Duration = Duration::from_secs(2);
