//! The configuration is read again, with one backend more, while messages pass and new clients come.

use ringway::cli::bench::{self, Mode, Options};

use crate::case::Case;
use crate::round::Ground;
use crate::sample::{Sample, load, options, taken};
use crate::server::{Server, pause};
use crate::stats::float;
use crate::upheaval::Upheaval;

pub(crate) fn reload(ground: &Ground, case: &Case, server: &mut Server) -> anyhow::Result<Sample> {
    let calm = load(ground, case, server, Some(RATE))?;
    let options = options(ground, case, server, Some(RATE));
    let newcomers = Options {
        mode: Mode::Handshakes,
        tunnels: 4,
        connect_rate: Some(NEWCOMERS),
        rate: None,
        in_flight: 1,
        watch: Vec::new(),
        ..options.clone()
    };
    let (report, arrived, processes) = std::thread::scope(|scope| {
        let tunnels = scope.spawn(|| bench::run(&options));
        let arrivals = scope.spawn(|| bench::run(&newcomers));
        pause(ground.warmup + ground.measured / 3);
        let told = server.reload();
        // While the tunnels are open: a process that holds some is still there.
        pause(ground.measured / 3);
        let processes = server.processes();
        let panicked = |_| anyhow::anyhow!("the load panicked");
        let report = tunnels.join().map_err(panicked).flatten();
        let arrived = arrivals.join().map_err(panicked).flatten();
        told.and(Ok((report?, arrived?, processes)))
    })?;
    let mut sample = taken(case, &options, &report);
    let lost = report.tunnels as u64 - report.tunnels_open;
    let examples = report.errors.examples.values().cloned();
    let refusals = arrived.errors.examples.values().cloned();
    let failed = arrived.errors.total();
    sample.upheaval = Some(Upheaval {
        tunnels: report.tunnels as u64,
        tunnels_lost: lost,
        messages_lost: report.unanswered,
        ends: examples.map(|end| (end, lost)).collect(),
        handshakes: arrived.messages,
        handshakes_failed: failed,
        refusals: refusals.map(|why| (why, failed)).collect(),
        failing_ms: 0.0,
        processes,
    });
    // What was lost is what was asked, and no reason not to count the run.
    sample.trouble = calm.trouble;
    sample.calm_p50_us = calm.p50_us;
    sample.calm_p99_us = calm.p99_us;
    sample.value = sample.p99_us / calm.p99_us;
    sample.load_percent = report.generator.cores * 100.0;
    sample.per_second = float(report.messages) / report.measured_seconds;
    Ok(sample)
}

/// Messages a second: well below what any of the proxies takes.
const RATE: f64 = 2_000.0;
/// New connections a second.
const NEWCOMERS: u64 = 100;
