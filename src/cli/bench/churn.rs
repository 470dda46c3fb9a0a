//! Handshakes in a loop: connect, upgrade, abort. What a server pays for a client that comes and goes.

use std::time::Duration;

use mio::{Events, Poll, Token};
use socket2::SockRef;

use super::dial::{Dialer, Greeting, Step};
use super::driver::{EVENTS_PER_POLL, ignore_signals};
use super::failure::{Failure, Kind};
use super::line::Line;
use super::options::Options;
use super::signals::{Signals, Start};
use super::subject::Subject;
use super::tally::{Edge, Tally};
use crate::clock::Now;
use crate::limits::{BENCH_BUFFER_BYTES, BENCH_SWEEP};

/// One thread's handshakes.
pub(super) struct Churn<'run> {
    options: &'run Options,
    signals: &'run Signals,
    watch: &'run [Subject],
    poll: Poll,
    dialer: Dialer,
    buffer: Vec<u8>,
    /// Handshakes under way; an empty place waits for the next retry.
    places: Vec<Option<(Line, Greeting)>>,
    tally: Tally,
    next_retry: Now,
    /// Between two connections of a fixed rate.
    pace: Option<Duration>,
    next_dial: Now,
    next_sweep: Now,
}

impl<'run> Churn<'run> {
    /// Keeps as many handshakes under way as this thread's share of the tunnels says.
    pub(super) fn new(
        options: &'run Options,
        signals: &'run Signals,
        dialer: Dialer,
        (first, count): (usize, usize),
    ) -> std::io::Result<Self> {
        Ok(Self {
            options,
            signals,
            watch: if first == 0 { &options.watch } else { &[] },
            poll: Poll::new()?,
            dialer,
            buffer: vec![0; BENCH_BUFFER_BYTES],
            places: (0..count).map(|_| None).collect(),
            tally: Tally::new(),
            next_retry: Now::default(),
            pace: options.connect_rate.map(|rate| pace(rate, options.threads)),
            next_dial: Now::default(),
            next_sweep: Now::default(),
        })
    }

    /// Runs to the end of the measured time.
    pub(super) fn run(mut self, say_ready: impl FnOnce()) -> std::io::Result<Tally> {
        let mut events = Events::with_capacity(EVENTS_PER_POLL);
        say_ready();
        let start = loop {
            match self.signals.decision() {
                Start::NotYet => ignore_signals(self.poll.poll(&mut events, Some(RETRY)))?,
                Start::Never => return Ok(self.tally),
                Start::At(start) => break start,
            }
        };
        self.next_dial = Now::read();
        let mut begin = Edge::read(self.watch);
        let mut has_begun = false;
        loop {
            let now = Now::read();
            if !has_begun && now >= start.after(self.options.warmup) {
                begin = Edge::read(self.watch);
                has_begun = true;
                self.tally.begin(begin.at);
            }
            if has_begun && now >= begin.at.after(self.options.duration) {
                break;
            }
            self.keep_up(now);
            ignore_signals(self.poll.poll(&mut events, Some(self.patience())))?;
            let answered_before = self.tally.answered;
            for event in &events {
                self.serve(event.token().0);
            }
            self.signals
                .add_answered(self.tally.answered - answered_before);
        }
        let end = Edge::read(self.watch);
        self.tally.finish(&begin, &end, self.watch);
        Ok(self.tally)
    }

    /// Fills places that are empty: those of a failure not at once, so that a refusing server is not stormed, and those
    /// of a fixed rate when they are due. And gives up on handshakes that take too long.
    fn keep_up(&mut self, now: Now) {
        if now < self.next_retry {
            return;
        }
        self.next_retry = now.after(self.patience());
        for place in 0..self.places.len() {
            if self.places[place].is_none() && self.is_due(now) {
                self.dial(place);
            }
        }
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now.after(BENCH_SWEEP);
        for place in &mut self.places {
            let is_late =
                |(_, greeting): &(Line, Greeting)| now.since(greeting.begun) > self.options.timeout;
            if place.as_ref().is_some_and(is_late) {
                *place = None;
                let detail = format!(
                    "no answer to the handshake within {:?}",
                    self.options.timeout
                );
                self.tally
                    .errors
                    .count(Failure::new(Kind::TimedOut, detail));
            }
        }
    }

    /// How soon to look again.
    fn patience(&self) -> Duration {
        self.pace.map_or(RETRY, |_| PACED)
    }

    /// Whether one more connection may be made; then it counts as made.
    fn is_due(&mut self, now: Now) -> bool {
        let Some(pace) = self.pace else {
            return true;
        };
        let is_due = now >= self.next_dial;
        if is_due {
            self.next_dial = self.next_dial.after(pace);
        }
        is_due
    }

    fn dial(&mut self, place: usize) {
        match self.dialer.dial(self.poll.registry(), Token(place)) {
            Ok(handshake) => self.places[place] = Some(handshake),
            Err(failure) => self.tally.errors.count(failure),
        }
    }

    fn serve(&mut self, place: usize) {
        let Some((line, greeting)) = &mut self.places[place] else {
            return;
        };
        match greeting.step(line, &mut self.dialer, &mut self.buffer) {
            Ok(Step::Wait) => {}
            Ok(Step::Upgraded(_)) => {
                self.tally.record(greeting.begun, Now::read());
                self.tally.shaken.count(line.agreed());
                // Closing then sends a reset, which leaves no port behind in TIME_WAIT. Where it cannot be set, the
                // close is a plain one.
                let _ = SockRef::from(line.socket()).set_linger(Some(Duration::ZERO));
                self.places[place] = None;
                if self.pace.is_none() {
                    self.dial(place);
                }
            }
            Err(failure) => {
                self.places[place] = None;
                self.tally.errors.count(failure);
            }
        }
    }
}

/// The time between two connections of one thread.
fn pace(rate: u64, threads: usize) -> Duration {
    Duration::from_secs(threads as u64) / u32::try_from(rate).unwrap_or(u32::MAX)
}

/// How soon a failed handshake is tried again.
const RETRY: Duration = Duration::from_millis(10);
/// How often a fixed rate looks whether the next connection is due: the finest that a poll waits.
const PACED: Duration = Duration::from_millis(1);
