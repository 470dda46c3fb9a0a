//! Two proxies, one case: runs them in turn, ours, peer, ours, peer, and compares each pair.

use std::time::Duration;

use anyhow::bail;
use ringway::clock::Now;

use crate::case::Case;
use crate::papers::Papers;
use crate::proxy::Proxy;
use crate::report::Outcome;
use crate::sample::{Sample, take};
use crate::server::Server;

/// What holds for every fight.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) proxy_core: usize,
    pub(crate) load_core: usize,
    /// Files a process may open.
    pub(crate) files: u64,
    pub(crate) pairs: u32,
    pub(crate) measured: Duration,
    pub(crate) warmup: Duration,
    /// What the proxies show to clients, where those speak TLS.
    pub(crate) papers: Option<Papers>,
    /// When to begin nothing new.
    pub(crate) until: Now,
}

impl Ground {
    pub(crate) fn is_over(&self) -> bool {
        Now::read() > self.until
    }

    /// As many of these tunnels as there are files for: two each in this process, two each in the proxy.
    pub(crate) fn affordable(&self, tunnels: usize) -> usize {
        let files = usize::try_from(self.files).unwrap_or(usize::MAX);
        tunnels.min(files.saturating_sub(FILES_SPARE) / 2).max(1)
    }

    /// Fights `case` out between `ours` and `peer`.
    pub(crate) fn fight(
        &self,
        case: &Case,
        (ours, peer): (&Proxy, &Proxy),
        rate: Option<f64>,
    ) -> Outcome {
        let mut sides = [Side::new(self, case, ours), Side::new(self, case, peer)];
        let mut outcome = Outcome::new(case, [&ours.name, &peer.name], rate);
        for pair in 1..=self.pairs {
            if pair > 1 && self.is_over() {
                break;
            }
            let samples = sides.each_mut().map(|side| side.run(rate));
            for (side, sample) in sides.iter().zip(&samples) {
                eprintln!("{}", progress(case, side.proxy, (pair, self.pairs), sample));
            }
            outcome.pairs.push(samples);
        }
        outcome.configs = sides.map(|side| side.config);
        outcome
    }

    /// Messages per second that the reference takes as fast as they come: the best of several runs, since whoever else
    /// computes here can only make it less.
    pub(crate) fn saturation(&self, reference: &Proxy) -> anyhow::Result<f64> {
        let mut side = Side::new(self, &Case::SATURATION, reference);
        let mut best: f64 = 0.0;
        for run in 1..=self.pairs {
            let sample = side.run(None);
            let line = progress(&Case::SATURATION, reference, (run, self.pairs), &sample);
            eprintln!("{line}");
            if let Some(why) = sample.trouble {
                bail!("cannot find the rate that {} takes: {why}", reference.name);
            }
            best = best.max(sample.per_second);
        }
        Ok(best)
    }
}

/// One proxy in a fight. It is started when needed, and again if it has died.
struct Side<'a> {
    ground: &'a Ground,
    case: &'a Case,
    proxy: &'a Proxy,
    server: Option<Server>,
    config: String,
}

impl<'a> Side<'a> {
    const fn new(ground: &'a Ground, case: &'a Case, proxy: &'a Proxy) -> Self {
        Self {
            ground,
            case,
            proxy,
            server: None,
            config: String::new(),
        }
    }

    fn run(&mut self, rate: Option<f64>) -> Sample {
        let running = self.server.take();
        let mut server = match running.map_or_else(|| self.start(), Ok) {
            Ok(server) => server,
            Err(error) => return Sample::failed(format!("{error:#}")),
        };
        self.config.clone_from(&server.config);
        let sample = take(self.ground, self.case, &mut server, rate);
        // After trouble, the next pair begins with a clean process.
        if !self.case.needs_fresh() && sample.trouble.is_none() {
            self.server = Some(server);
        }
        sample
    }

    fn start(&self) -> anyhow::Result<Server> {
        Server::start(self.ground, self.proxy, self.case.backends())
    }
}

fn progress(case: &Case, proxy: &Proxy, (pair, pairs): (u32, u32), sample: &Sample) -> String {
    let metric = case.metric();
    let trouble = sample
        .trouble
        .as_ref()
        .map_or_else(String::new, |why| format!("  TROUBLE: {why}"));
    let waited = if sample.is_disturbed() {
        format!("  disturbed {:.0} %", sample.waited_percent)
    } else {
        String::new()
    };
    format!(
        "{:<16} {pair}/{pairs} {:<28} {:>9} {:<12} {:>8.0}/s  proxy {:>3.0} %  load {:>3.0} %  p99 {:.0} µs{waited}{trouble}",
        case.name,
        proxy.name,
        metric.shown(sample.value),
        metric.unit(),
        sample.per_second,
        sample.proxy_percent,
        sample.load_percent,
        sample.p99_us,
    )
}

/// Files that a process opens for itself.
const FILES_SPARE: usize = 500;
