//! Some proxies, one case: runs them in turn, ours, peer, peer, ours, peer, peer, round after round.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use anyhow::bail;
use ringway::clock::Now;

use crate::case::Case;
use crate::papers::Papers;
use crate::proxy::Proxy;
use crate::remote::Agent;
use crate::report::Outcome;
use crate::sample::{Sample, take};
use crate::server::Server;

/// What holds for every contest.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) proxy_core: usize,
    pub(crate) load_core: usize,
    /// Files a process may open.
    pub(crate) files: u64,
    pub(crate) rounds: u32,
    pub(crate) measured: Duration,
    pub(crate) warmup: Duration,
    /// What the proxies show to clients, where those speak TLS.
    pub(crate) papers: Option<Papers>,
    /// Where the proxies run, if not here.
    pub(crate) agent: Option<Agent>,
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

    /// Lets `proxies` take `case` in turn.
    pub(crate) fn contest(&self, case: &Case, proxies: &[Proxy], rate: Option<f64>) -> Outcome {
        let shared = Rc::default();
        let mut sides: Vec<Side<'_>> = proxies
            .iter()
            .map(|proxy| Side::new(self, case, proxy, &shared))
            .collect();
        let mut samples = vec![Vec::new(); proxies.len()];
        for round in 1..=self.rounds {
            if round > 1 && self.is_over() {
                break;
            }
            for (side, samples) in sides.iter_mut().zip(&mut samples) {
                let sample = side.run(rate);
                let line = progress(case, side.proxy, (round, self.rounds), &sample);
                eprintln!("{line}");
                samples.push(sample);
            }
        }
        Outcome {
            case: case.clone(),
            names: proxies.iter().map(|proxy| proxy.name.clone()).collect(),
            rate,
            samples,
            configs: sides.into_iter().map(|side| side.config).collect(),
        }
    }

    /// Messages per second that the reference takes as fast as they come: the best of several runs, since whoever else
    /// computes here can only make it less.
    pub(crate) fn saturation(&self, reference: &Proxy) -> anyhow::Result<f64> {
        let case = Case::SATURATION;
        let mut side = Side::new(self, &case, reference, &Rc::default());
        let mut best: f64 = 0.0;
        for run in 1..=self.rounds {
            let sample = side.run(None);
            let line = progress(&case, reference, (run, self.rounds), &sample);
            eprintln!("{line}");
            if let Some(why) = sample.trouble {
                bail!("cannot find the rate that {} takes: {why}", reference.name);
            }
            best = best.max(sample.per_second);
        }
        Ok(best)
    }
}

/// One proxy in a contest. It is started when needed, and again if it has died.
struct Side<'a> {
    ground: &'a Ground,
    case: &'a Case,
    proxy: &'a Proxy,
    /// Several sides have the same, if they are routes of one process.
    server: Running,
    config: String,
}

type Running = Rc<RefCell<Option<Server>>>;

impl<'a> Side<'a> {
    fn new(ground: &'a Ground, case: &'a Case, proxy: &'a Proxy, shared: &Running) -> Self {
        let (_, is_shared) = proxy.route();
        let server = if is_shared {
            Rc::clone(shared)
        } else {
            Rc::default()
        };
        Self {
            ground,
            case,
            proxy,
            server,
            config: String::new(),
        }
    }

    fn run(&mut self, rate: Option<f64>) -> Sample {
        let running = self.server.borrow_mut().take();
        let mut server = match running.map_or_else(|| self.start(), Ok) {
            Ok(server) => server,
            Err(error) => return Sample::failed(format!("{error:#}")),
        };
        self.config.clone_from(&server.config);
        (server.path, _) = self.proxy.route();
        let sample = take(self.ground, self.case, &mut server, rate);
        // After trouble, the next round begins with a clean process.
        if !self.case.needs_fresh() && sample.trouble.is_none() {
            *self.server.borrow_mut() = Some(server);
        }
        sample
    }

    fn start(&self) -> anyhow::Result<Server> {
        Server::start(self.ground, self.proxy, self.case)
    }
}

fn progress(case: &Case, proxy: &Proxy, (round, rounds): (u32, u32), sample: &Sample) -> String {
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
        "{:<16} {round}/{rounds} {:<28} {:>9} {:<12} {:>8.0}/s  proxy {:>3.0} %  load {:>3.0} %  p99 {:.0} µs{waited}{trouble}",
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
