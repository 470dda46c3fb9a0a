//! One run against one proxy, and the numbers that came of it.

use std::time::Duration;

use anyhow::Context;
use ringway::cli::bench::{self, Mode, Options, Subject};
use ringway::clock::Now;

use crate::broadcast::broadcast;
use crate::case::{Case, Load};
use crate::death::death;
use crate::metric::Metric;
use crate::reload::reload;
use crate::round::Ground;
use crate::server::{Server, pause};
use crate::stats::float;
use crate::storm::{Awake, Storm};
use crate::upheaval::Upheaval;

/// What one run found.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Sample {
    /// What is compared; the case says what it is.
    pub(crate) value: f64,
    /// Messages, or handshakes.
    pub(crate) per_second: f64,
    /// Busy share of the proxy's core, in percent.
    pub(crate) proxy_percent: f64,
    /// Time the proxy was ready to run and another program had its core, in percent of the whole run.
    pub(crate) waited_percent: f64,
    /// The same as the proxy's share for the generator and the backends on the other core.
    pub(crate) load_percent: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) max_us: f64,
    /// The same before the storm, where there is one.
    pub(crate) calm_p50_us: f64,
    pub(crate) calm_p99_us: f64,
    /// What the clients and it agreed on. Empty in the clear.
    pub(crate) tls: String,
    /// What clients saw of an event, where there was one.
    pub(crate) upheaval: Option<Upheaval>,
    /// Why the run does not count.
    pub(crate) trouble: Option<String>,
}

impl Sample {
    /// A run that came to nothing.
    pub(crate) fn failed(why: impl Into<String>) -> Self {
        Self {
            trouble: Some(why.into()),
            ..Self::default()
        }
    }

    pub(crate) const fn is_good(&self) -> bool {
        self.trouble.is_none()
    }

    /// Whether others used the proxy's core so much that rates and latencies say more about them.
    pub(crate) fn is_disturbed(&self) -> bool {
        self.waited_percent > WAITED_PERCENT_MAX
    }
}

/// Runs `case` against `server`.
pub(crate) fn take(ground: &Ground, case: &Case, server: &mut Server, rate: Option<f64>) -> Sample {
    let before = server.used();
    let begun = Now::read();
    let taken = match case.load {
        Load::Nobody => Ok(watch_idle(ground, server)),
        Load::Storm { per_second } => storm(ground, case, server, per_second),
        Load::Broadcast {
            tunnels,
            payload_bytes,
        } => broadcast(ground, server, (tunnels, payload_bytes)),
        Load::Reload => reload(ground, case, server),
        Load::Death { tunnels } => death(ground, server, tunnels),
        _ => load(ground, case, server, rate),
    };
    let mut sample = taken.unwrap_or_else(|error| Sample::failed(format!("{error:#}")));
    let after = server.used();
    let waited = after.waited_ns.saturating_sub(before.waited_ns);
    if !matches!(case.load, Load::Memory { .. } | Load::Nobody) {
        // Memory and silence are the same however often the proxy had to wait.
        sample.waited_percent = float(waited) / 1e7 / Now::read().since(begun).as_secs_f64();
    }
    if let Some(status) = server.end() {
        let words = server.last_words();
        sample.trouble = Some(format!("the proxy ended ({status}): {words}"));
    } else if let Some(why) = &mut sample.trouble {
        let ran = after.processor_ns.saturating_sub(before.processor_ns);
        why.push_str(&aftermath(ground, server, [ran, waited]));
    }
    sample
}

/// What tells a proxy that slept from one that had no core, and a proxy that is stuck from a backend that is. It is
/// asked at once: later, the process is gone.
fn aftermath(ground: &Ground, server: &Server, [ran, waited]: [u64; 2]) -> String {
    let answer = |options: Options| {
        let probe = Options {
            tunnels: 1,
            core: Some(ground.load_core),
            duration: PRIMING,
            warmup: Duration::ZERO,
            ..options
        };
        if bench::run(&probe).is_ok() {
            "answers"
        } else {
            "is silent"
        }
    };
    // The backend goes first: the proxy's probe may wake what slept.
    let backend = answer(Options::to(format!("ws://{}/", server.backend())));
    let proxy = answer(server.options());
    format!(
        " [meanwhile the proxy ran {} ms and waited {} ms for its core; now its backend {backend}, and it {proxy}; \
        its last words: {}]",
        ran / 1_000_000,
        waited / 1_000_000,
        server.last_words(),
    )
}

pub(crate) fn load(
    ground: &Ground,
    case: &Case,
    server: &Server,
    rate: Option<f64>,
) -> anyhow::Result<Sample> {
    if matches!(case.load, Load::Memory { .. }) {
        // The first tunnels bring in code and buffers that all later ones share; a tunnel's own memory is the question.
        // Large messages, so that all of a shared buffer is resident whoever else slows the priming down.
        bench::run(&Options {
            duration: PRIMING,
            warmup: Duration::ZERO,
            payload_bytes: PRIMING_BYTES,
            ..options(ground, &Case::SATURATION, server, None)
        })
        .context("priming")?;
        pause(PRIMING);
    }
    let options = options(ground, case, server, rate);
    let report = bench::run(&options)?;
    Ok(taken(case, &options, &report))
}

/// The numbers of a run. The last one watched is this process, those before it are the proxy's.
pub(crate) fn taken(case: &Case, options: &Options, report: &bench::Report) -> Sample {
    let (proxy, own) = report.watched.split_at(report.watched.len() - 1);
    let percent = |watched: &[bench::Watched]| {
        watched.iter().map(|one| one.processor.cores).sum::<f64>() * 100.0
    };
    let ns: f64 = proxy.iter().map(|one| one.processor.ns_per_message).sum();
    let grown =
        |one: &bench::Watched| float(one.resident_bytes_after) - float(one.resident_bytes_before);
    let value = match case.metric() {
        Metric::ProcessorNsPerMessage => ns,
        Metric::ProcessorUsPerHandshake => ns / 1e3,
        Metric::ResidentKibPerTunnel => {
            proxy.iter().map(grown).sum::<f64>() / 1024.0 / float(report.tunnels_open.max(1))
        }
        Metric::IdleProcessorPercent => percent(proxy),
        // What is compared with the calm before it, is compared by the caller.
        _ => report.latency.p99_us,
    };
    Sample {
        value,
        per_second: match report.mode {
            Mode::Idle => 0.0,
            Mode::Messages | Mode::Handshakes => report.messages_per_second,
        },
        proxy_percent: percent(proxy),
        // The whole run is looked at, by the caller.
        waited_percent: 0.0,
        load_percent: percent(own),
        p50_us: report.latency.p50_us,
        p99_us: report.latency.p99_us,
        p999_us: report.latency.p999_us,
        max_us: report.latency.max_us,
        tls: shaken(report),
        trouble: trouble(options, report),
        ..Sample::default()
    }
}

/// The latency of a low rate, in peace and in a storm.
fn storm(ground: &Ground, case: &Case, server: &Server, per_second: u64) -> anyhow::Result<Sample> {
    let _awake = Awake::start(ground)?;
    let calm = load(ground, case, server, Some(STORM_RATE))?;
    let storm = Storm::start(ground, server, per_second)?;
    let mut sample = load(ground, case, server, Some(STORM_RATE))?;
    sample.per_second = storm.end()?;
    sample.calm_p50_us = calm.p50_us;
    sample.calm_p99_us = calm.p99_us;
    sample.value = sample.p99_us / calm.p99_us;
    sample.trouble = sample.trouble.or(calm.trouble);
    if sample.per_second < float(per_second) * STORM_LEAST {
        let why = format!("the storm made only {:.0} connections/s", sample.per_second);
        sample.trouble = sample.trouble.or(Some(why));
    }
    Ok(sample)
}

pub(crate) fn options(ground: &Ground, case: &Case, server: &Server, rate: Option<f64>) -> Options {
    let mut options = server.options();
    options.core = Some(ground.load_core);
    options.duration = ground.measured;
    options.warmup = ground.warmup;
    options.watch.push(Subject::Process(std::process::id()));
    match case.load {
        Load::Messages {
            tunnels,
            payload_bytes,
            in_flight,
            text,
        } => {
            options.tunnels = ground.affordable(tunnels);
            options.payload_bytes = payload_bytes;
            options.in_flight = in_flight;
            options.text = text;
        }
        Load::Handshakes {
            at_once,
            is_resuming,
        } => {
            options.mode = Mode::Handshakes;
            options.is_resuming = is_resuming && server.authority().is_some();
            options.tunnels = at_once;
        }
        Load::Memory {
            tunnels,
            per_second,
        } => {
            options.mode = Mode::Idle;
            // What many handshakes at once need in passing is no part of a tunnel that has been opened.
            options.connect_rate = Some(per_second);
            options.tunnels = ground.affordable(tunnels);
        }
        Load::Latency { .. } | Load::Storm { .. } | Load::Reload => {
            options.in_flight = LATENCY_IN_FLIGHT;
            options.rate = rate.map(whole);
        }
        Load::Nobody | Load::Broadcast { .. } | Load::Death { .. } => {}
    }
    options
}

/// Why the numbers of a run cannot be trusted, if so.
fn trouble(options: &Options, report: &bench::Report) -> Option<String> {
    // The first connection of each place has no ticket yet.
    if options.is_resuming && report.tls.full > options.tunnels as u64 {
        return Some(format!("tickets were refused: {}", shaken(report)));
    }
    let lost = if report.mode == Mode::Handshakes {
        0
    } else {
        report.tunnels as u64 - report.tunnels_open
    };
    let errors = report.errors.total();
    if errors == 0 && lost == 0 && report.unanswered == 0 {
        return None;
    }
    let examples: Vec<&str> = report
        .errors
        .examples
        .values()
        .map(String::as_str)
        .collect();
    Some(format!(
        "{errors} errors, {lost} tunnels lost, {} unanswered: {}",
        report.unanswered,
        examples.join("; ")
    ))
}

fn shaken(report: &bench::Report) -> String {
    let bench::Shaken {
        full,
        resumed,
        terms,
    } = &report.tls;
    if terms.is_empty() {
        return String::new();
    }
    format!("{terms}; {full} full handshakes, {resumed} resumed")
}

/// The processor time of a process nobody talks to.
fn watch_idle(ground: &Ground, server: &Server) -> Sample {
    pause(SETTLING);
    let (before, begun) = (server.used().processor_ns, Now::read());
    pause(ground.measured);
    let (after, seconds) = (
        server.used().processor_ns,
        Now::read().since(begun).as_secs_f64(),
    );
    let percent = float(after.saturating_sub(before)) / 1e9 / seconds * 100.0;
    Sample {
        value: percent,
        proxy_percent: percent,
        ..Sample::default()
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate of messages is positive and far below 2^52"
)]
fn whole(rate: f64) -> u64 {
    rate.round().max(1.0) as u64
}

/// Alone on its core, a proxy waits for next to nothing.
const WAITED_PERCENT_MAX: f64 = 5.0;
/// Messages per second beside a storm: a tenth of what any of these proxies takes.
const STORM_RATE: f64 = 1_000.0;
/// The share of a storm that must have come about.
const STORM_LEAST: f64 = 0.9;
/// A tunnel may send on while an echo is late, so that the offered rate holds.
const LATENCY_IN_FLIGHT: usize = 16;
const PRIMING_BYTES: usize = 16 * 1024;
const PRIMING: Duration = Duration::from_millis(300);
/// A process that has just started still has things to finish.
const SETTLING: Duration = Duration::from_secs(1);
