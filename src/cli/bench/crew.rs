//! Starts the threads of a run, gives them their common start and gathers what they counted.

use std::io;
use std::sync::mpsc;
use std::thread::{Scope, ScopedJoinHandle};
use std::time::Duration;

use anyhow::{Context, bail};

use super::super::pin::pin_to;
use super::churn::Churn;
use super::dial::Dialer;
use super::driver::Driver;
use super::options::{Mode, Options};
use super::progress::Progress;
use super::report::Report;
use super::signals::Signals;
use super::tally::Tally;
use super::target::Target;
use super::tls::Tls;
use crate::clock::Now;
use crate::rng::Rng;

/// Runs the load to its end and reports. Fails if the options cannot be run, or if nothing at all came back.
pub fn run(options: &Options) -> anyhow::Result<Report> {
    options.check()?;
    let target = Target::resolve(&options.url, options.timeout)?;
    let tls = match &target.secure_name {
        Some(host) => Some(Tls::new(host, &options.trust, options.is_resuming)?),
        None => None,
    };
    let mut resident_before = Vec::new();
    for subject in &options.watch {
        let bytes = subject
            .resident_bytes()
            .with_context(|| format!("reading the memory of {subject:?}; is it there?"))?;
        resident_before.push(bytes);
    }
    let tally = run_threads(options, &target, tls.as_ref())?;
    if tally.answered == 0 {
        let what = if options.mode == Mode::Handshakes {
            "handshake"
        } else {
            "message"
        };
        let reasons: Vec<String> = tally
            .errors
            .lines()
            .map(|(count, kind, example)| format!("\n  {count} {kind}, the first: {example}"))
            .collect();
        let reasons = reasons.concat();
        bail!(
            "no {what} came back from {} ({}); does a WebSocket echo server listen there?{reasons}",
            options.url,
            target.address
        );
    }
    Ok(Report::new(options, tally, &resident_before))
}

fn run_threads(options: &Options, target: &Target, tls: Option<&Tls>) -> anyhow::Result<Tally> {
    let signals = Signals::default();
    let progress = Progress::new(options);
    let (ready, is_ready) = mpsc::channel();
    let mut rng = Rng::seeded(Now::read().as_nanos() ^ (u64::from(std::process::id()) << 32));
    std::thread::scope(|scope| {
        let mut threads = Vec::with_capacity(options.threads);
        for index in 0..options.threads {
            let rng = Rng::seeded(rng.next_u64());
            let work = Work {
                options,
                target,
                tls,
                signals: &signals,
                index,
                rng,
            };
            match work.spawn(scope, ready.clone()) {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    signals.call_off();
                    return Err(error).context("starting a thread; try fewer --threads");
                }
            }
        }
        drop(ready);
        wait_for_all(&threads, &is_ready, &signals, &progress);
        progress.finish();
        gather(threads)
    })
}

/// One thread's part.
struct Work<'run> {
    options: &'run Options,
    target: &'run Target,
    tls: Option<&'run Tls>,
    signals: &'run Signals,
    index: usize,
    rng: Rng,
}

impl<'run> Work<'run> {
    fn spawn<'scope>(
        self,
        scope: &'scope Scope<'scope, 'run>,
        ready: mpsc::Sender<()>,
    ) -> io::Result<ScopedJoinHandle<'scope, io::Result<Tally>>> {
        std::thread::Builder::new()
            .name(format!("bench-{}", self.index))
            .spawn_scoped(scope, move || {
                // The receiver outlives this thread, so the word arrives.
                self.run(|| ready.send(()).unwrap_or_default())
            })
    }

    fn run(mut self, say_ready: impl FnOnce()) -> io::Result<Tally> {
        if let Some(first) = self.options.core {
            pin_to(first + self.index)?;
        }
        let (options, signals) = (self.options, self.signals);
        let share = options.share(self.index);
        let dialer = Dialer::new(
            self.target,
            self.tls,
            options,
            share,
            Rng::seeded(self.rng.next_u64()),
        );
        match options.mode {
            Mode::Handshakes => Churn::new(options, signals, dialer, share)?.run(say_ready),
            Mode::Messages | Mode::Idle => {
                Driver::new(options, signals, dialer, share, self.rng)?.run(say_ready)
            }
        }
    }
}

/// Gives the start once every thread is ready, and calls the run off if one ended before. Returns when all have ended.
fn wait_for_all(
    threads: &[ScopedJoinHandle<'_, io::Result<Tally>>],
    is_ready: &mpsc::Receiver<()>,
    signals: &Signals,
    progress: &Progress,
) {
    let mut missing = threads.len();
    while missing > 0 {
        match is_ready.recv_timeout(TICK) {
            Ok(()) => missing -= 1,
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {}
        }
        if threads.iter().any(ScopedJoinHandle::is_finished) {
            break;
        }
        progress.show_opening(signals);
    }
    if missing > 0 {
        return signals.call_off();
    }
    let start = Now::read().after(HEAD_START);
    signals.start(start);
    // Every thread holds a sender until it ends.
    while is_ready.recv_timeout(TICK) != Err(mpsc::RecvTimeoutError::Disconnected) {
        progress.show_load(signals, Now::read().since(start));
    }
}

fn gather(threads: Vec<ScopedJoinHandle<'_, io::Result<Tally>>>) -> anyhow::Result<Tally> {
    let mut sum = Tally::new();
    for thread in threads {
        match thread.join() {
            Ok(tally) => sum.add(tally?),
            Err(_) => bail!("a thread of the load generator panicked; its message is above"),
        }
    }
    Ok(sum)
}

/// How often the progress bar moves.
const TICK: Duration = Duration::from_millis(100);
/// Between the decision to start and the start, so that every thread has seen it.
const HEAD_START: Duration = Duration::from_millis(5);
