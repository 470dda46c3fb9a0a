//! The comparison with other proxies counts, writes and draws what was measured. Nothing here is timed: numbers are made
//! up, and what runs is looked at for what it is, not for how long it takes.
#![expect(
    dead_code,
    reason = "the bench's own main uses the rest of its modules"
)]

#[path = "../benches/versus/agent.rs"]
mod agent;
#[path = "../benches/versus/behind.rs"]
mod behind;
#[path = "../benches/versus/broadcast.rs"]
mod broadcast;
#[path = "../benches/versus/case.rs"]
mod case;
#[path = "../benches/versus/cases.rs"]
mod cases;
#[path = "../benches/versus/crowd.rs"]
mod crowd;
#[path = "../benches/versus/death.rs"]
mod death;
#[path = "../benches/floor/mod.rs"]
mod floor;
#[path = "../benches/versus/folder.rs"]
mod folder;
#[path = "../benches/versus/host.rs"]
mod host;
#[path = "../benches/versus/inbox.rs"]
mod inbox;
#[path = "../benches/versus/knock.rs"]
mod knock;
#[path = "../benches/versus/matrix.rs"]
mod matrix;
#[path = "../benches/versus/metric.rs"]
mod metric;
#[path = "../benches/versus/mortal.rs"]
mod mortal;
#[path = "../benches/versus/page/mod.rs"]
mod page;
#[path = "../benches/versus/papers.rs"]
mod papers;
#[path = "../benches/versus/pin.rs"]
mod pin;
#[path = "../benches/versus/plot/mod.rs"]
mod plot;
#[path = "../benches/versus/proxy/mod.rs"]
mod proxy;
#[path = "../benches/versus/readme.rs"]
mod readme;
#[path = "../benches/versus/reload.rs"]
mod reload;
#[path = "../benches/versus/remote.rs"]
mod remote;
#[path = "../benches/versus/report.rs"]
mod report;
#[path = "../benches/versus/round.rs"]
mod round;
#[path = "../benches/versus/sample.rs"]
mod sample;
#[path = "../benches/versus/server.rs"]
mod server;
#[path = "../benches/versus/station.rs"]
mod station;
#[path = "../benches/versus/stats.rs"]
mod stats;
#[path = "../benches/versus/storm.rs"]
mod storm;
#[path = "../benches/versus/upheaval.rs"]
mod upheaval;
#[path = "../benches/versus/usage.rs"]
mod usage;

#[path = "versus/counting.rs"]
mod counting;
#[path = "versus/proxies.rs"]
mod proxies;
#[path = "versus/written.rs"]
mod written;
