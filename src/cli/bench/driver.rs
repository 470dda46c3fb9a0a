//! One thread's tunnels: opens them, waits for the common start, loads them, and takes its leave.

use std::io::ErrorKind;
use std::time::Duration;

use mio::{Events, Poll, Token};

use super::dial::Dialer;
use super::failure::{Failure, Kind};
use super::frames::Frames;
use super::options::{Mode, Options};
use super::schedule::Schedule;
use super::signals::{Signals, Start};
use super::subject::Subject;
use super::tally::{Edge, Tally};
use super::tunnel::{Desk, Origins, Stage, Tunnel, Turn};
use crate::clock::Now;
use crate::limits::{BENCH_BUFFER_BYTES, BENCH_GOODBYE_TIMEOUT, BENCH_GREETINGS_MAX, BENCH_SWEEP};
use crate::rng::Rng;

/// The tunnels of one thread and what drives them.
pub(super) struct Driver<'run> {
    options: &'run Options,
    signals: &'run Signals,
    /// Whom this thread watches.
    watch: &'run [Subject],
    poll: Poll,
    events: Option<Events>,
    dialer: Dialer,
    desk: Desk,
    tunnels: Vec<Tunnel>,
    /// Tunnels that have more to read although epoll will not say so again.
    ready: Vec<usize>,
    /// Tunnels that opened or failed.
    settled: usize,
    open: usize,
    next_sweep: Now,
}

impl<'run> Driver<'run> {
    /// A driver for `count` tunnels numbered from `first`.
    pub(super) fn new(
        options: &'run Options,
        signals: &'run Signals,
        dialer: Dialer,
        (first, count): (usize, usize),
        mut rng: Rng,
    ) -> std::io::Result<Self> {
        let origins = match options.rate {
            Some(rate) => Origins::Due(Schedule::new(
                rate,
                options.tunnels as u64,
                first as u64,
                count as u64,
            )),
            None => Origins::Written(vec![Now::default(); count * options.in_flight]),
        };
        let desk = Desk {
            buffer: vec![0; BENCH_BUFFER_BYTES],
            frames: Frames::build(
                options.text,
                options.payload_bytes,
                options.in_flight,
                &mut rng,
            ),
            tally: Tally::new(),
            payload_bytes: options.payload_bytes as u64,
            is_text: options.text.is_some(),
            in_flight: options.in_flight as u64,
            first_tunnel: u32::try_from(first).unwrap_or(u32::MAX),
            origins,
        };
        Ok(Self {
            options,
            signals,
            watch: if first == 0 { &options.watch } else { &[] },
            poll: Poll::new()?,
            events: Some(Events::with_capacity(EVENTS_PER_POLL)),
            dialer,
            desk,
            tunnels: (0..count).map(|_| Tunnel::new()).collect(),
            ready: Vec::new(),
            settled: 0,
            open: 0,
            next_sweep: Now::default(),
        })
    }

    /// Runs to the end. `say_ready` is called once all tunnels are open or have failed.
    pub(super) fn run(mut self, say_ready: impl FnOnce()) -> std::io::Result<Tally> {
        if self.options.mode == Mode::Idle {
            // The one message of each tunnel is its proof of life; it is timed although it comes before the start.
            self.desk.tally.begin(Now::default());
        }
        self.open_all()?;
        say_ready();
        while self.signals.decision() == Start::NotYet {
            self.poll_once(START_PATIENCE)?;
        }
        if let Start::At(start) = self.signals.decision() {
            self.load(start)?;
            self.part()?;
        }
        Ok(self.desk.tally)
    }

    fn open_all(&mut self) -> std::io::Result<()> {
        let begun = Now::read();
        let mut dialled = 0;
        while self.settled < self.tunnels.len() {
            let allowed = self.allowed_by_rate(begun);
            while dialled < allowed && dialled - self.settled < BENCH_GREETINGS_MAX {
                self.dial(dialled);
                dialled += 1;
            }
            let is_paced = dialled == allowed && dialled < self.tunnels.len();
            self.poll_once(if is_paced {
                CONNECT_PATIENCE
            } else {
                BENCH_SWEEP
            })?;
        }
        Ok(())
    }

    /// How many tunnels may have been dialled by now.
    fn allowed_by_rate(&self, begun: Now) -> usize {
        let Some(rate) = self.options.connect_rate else {
            return self.tunnels.len();
        };
        let nanos = Now::read().since(begun).as_nanos();
        let allowed = nanos * u128::from(rate) / (1_000_000_000 * self.options.threads as u128) + 1;
        usize::try_from(allowed).map_or(self.tunnels.len(), |count| count.min(self.tunnels.len()))
    }

    fn dial(&mut self, local: usize) {
        match self.dialer.dial(self.poll.registry(), Token(local)) {
            Ok((line, greeting)) => {
                let tunnel = &mut self.tunnels[local];
                tunnel.active_at = greeting.begun;
                tunnel.due = u64::from(self.options.mode == Mode::Idle);
                tunnel.stage = Stage::Greeting(line, Box::new(greeting));
            }
            Err(failure) => self.give_up(local, failure),
        }
    }

    /// The load from the common start to the end of the measured time.
    fn load(&mut self, start: Now) -> std::io::Result<()> {
        let is_idle = self.options.mode == Mode::Idle;
        let warmup = if is_idle {
            Duration::ZERO
        } else {
            self.options.warmup
        };
        while Now::read() < start {
            self.poll_once(start.since(Now::read()))?;
        }
        self.release(start);
        let mut begin = Edge::read(self.watch);
        let mut has_begun = false;
        loop {
            let now = Now::read();
            if !has_begun && now >= start.after(warmup) {
                begin = Edge::read(self.watch);
                has_begun = true;
                if !is_idle {
                    self.desk.tally.begin(begin.at);
                }
            }
            let until = if has_begun {
                begin.at.after(self.options.duration)
            } else {
                start.after(warmup)
            };
            if (has_begun && now >= until) || self.open == 0 {
                break;
            }
            self.send_due(now);
            self.poll_once(self.patience(now, until))?;
        }
        let end = Edge::read(self.watch);
        self.send_due(end.at);
        self.desk.tally.finish(&begin, &end, self.watch);
        self.desk.tally.tunnels_open = self.open as u64;
        if matches!(self.desk.origins, Origins::Due(_)) {
            self.wait_for_the_late()?;
        }
        Ok(())
    }

    /// Lets the tunnels send, unless a calendar or the mode says when.
    fn release(&mut self, start: Now) {
        match &mut self.desk.origins {
            Origins::Due(schedule) => schedule.start(start),
            Origins::Written(_) if self.options.mode == Mode::Idle => {}
            Origins::Written(_) => {
                for local in 0..self.tunnels.len() {
                    self.tunnels[local].due = u64::MAX;
                    self.pump(local, Now::read());
                }
            }
        }
    }

    fn send_due(&mut self, now: Now) {
        while let Origins::Due(schedule) = &mut self.desk.origins
            && let Some(local) = schedule.take_due(now)
        {
            self.tunnels[local].due += 1;
            self.pump(local, now);
        }
    }

    fn pump(&mut self, local: usize, now: Now) {
        if let Err(failure) = self.tunnels[local].pump(local, &mut self.desk, now) {
            self.give_up(local, failure);
        }
    }

    /// How long the poll may wait. Below a millisecond, the finest that epoll waits, a fixed rate does not wait at all:
    /// a message sent late would be the generator's fault and look like the server's.
    fn patience(&self, now: Now, until: Now) -> Duration {
        let Origins::Due(schedule) = &self.desk.origins else {
            return until.since(now).min(BENCH_SWEEP);
        };
        let left = schedule.next_due().min(until).since(now).min(BENCH_SWEEP);
        Duration::from_millis(u64::try_from(left.as_millis()).unwrap_or(0))
    }

    /// After a fixed rate: what is under way may still come in, and what does not is recorded with the age it reached.
    fn wait_for_the_late(&mut self) -> std::io::Result<()> {
        let deadline = Now::read().after(self.options.timeout);
        let is_late = |tunnel: &Tunnel| tunnel.is_open() && !tunnel.unanswered().is_empty();
        while self.tunnels.iter().any(is_late) && Now::read() < deadline {
            self.poll_once(LATE_PATIENCE)?;
        }
        let now = Now::read();
        if let Origins::Due(schedule) = &self.desk.origins {
            for (local, tunnel) in self.tunnels.iter().enumerate() {
                for number in tunnel.unanswered() {
                    let due = schedule.due_at(local as u64, number);
                    self.desk
                        .tally
                        .record_unanswered(due, now, tunnel.is_open());
                }
            }
        }
        Ok(())
    }

    /// Says goodbye on every tunnel and waits a moment, so that the server sees tunnels that end well.
    fn part(&mut self) -> std::io::Result<()> {
        let deadline = Now::read().after(BENCH_GOODBYE_TIMEOUT);
        for tunnel in &mut self.tunnels {
            if !tunnel.say_goodbye() || tunnel.has_parted(&mut self.desk.buffer) {
                tunnel.stage = Stage::Gone;
            }
        }
        let mut waiting = self
            .tunnels
            .iter()
            .filter(|tunnel| tunnel.is_open())
            .count();
        let mut events = Events::with_capacity(EVENTS_PER_POLL);
        while waiting > 0 && Now::read() < deadline {
            let left = deadline.since(Now::read());
            ignore_signals(self.poll.poll(&mut events, Some(left)))?;
            for event in &events {
                let tunnel = &mut self.tunnels[event.token().0];
                if tunnel.is_open() && tunnel.has_parted(&mut self.desk.buffer) {
                    tunnel.stage = Stage::Gone;
                    waiting -= 1;
                }
            }
        }
        Ok(())
    }

    fn poll_once(&mut self, patience: Duration) -> std::io::Result<()> {
        let answered_before = self.desk.tally.answered;
        let open_before = self.open;
        let mut events = self
            .events
            .take()
            .unwrap_or_else(|| Events::with_capacity(EVENTS_PER_POLL));
        let patience = if self.ready.is_empty() {
            patience
        } else {
            Duration::ZERO
        };
        ignore_signals(self.poll.poll(&mut events, Some(patience)))?;
        for event in &events {
            self.serve(event.token().0, event.is_read_closed() || event.is_error());
        }
        if events.is_empty() && patience.is_zero() {
            // The server may be waiting for this very core.
            std::thread::yield_now();
        }
        self.events = Some(events);
        for local in std::mem::take(&mut self.ready) {
            self.tunnels[local].is_queued = false;
            self.serve(local, true);
        }
        self.sweep();
        self.signals
            .add_answered(self.desk.tally.answered - answered_before);
        self.signals
            .add_opened(self.open.saturating_sub(open_before) as u64);
        Ok(())
    }

    fn serve(&mut self, local: usize, has_hung_up: bool) {
        let tunnel = &mut self.tunnels[local];
        let was_open = tunnel.is_open();
        let turn = tunnel.turn(local, &mut self.desk, &mut self.dialer, has_hung_up);
        self.open += usize::from(tunnel.is_open() && !was_open);
        match turn {
            Ok(Turn::Again) if !tunnel.is_queued => {
                tunnel.is_queued = true;
                self.ready.push(local);
            }
            Ok(_) => {}
            Err(failure) => return self.give_up(local, failure),
        }
        let has_proved_itself = self.options.mode != Mode::Idle || tunnel.answered > 0;
        if !tunnel.is_settled && tunnel.is_open() && has_proved_itself {
            tunnel.is_settled = true;
            self.settled += 1;
        }
    }

    /// Drops a tunnel and counts why.
    fn give_up(&mut self, local: usize, failure: Failure) {
        self.desk.tally.errors.count(failure);
        let tunnel = &mut self.tunnels[local];
        self.open -= usize::from(tunnel.is_open());
        tunnel.stage = Stage::Gone;
        if !tunnel.is_settled {
            tunnel.is_settled = true;
            self.settled += 1;
        }
    }

    /// Gives up on tunnels whose server has been silent for too long.
    fn sweep(&mut self) {
        let now = Now::read();
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now.after(BENCH_SWEEP);
        for local in 0..self.tunnels.len() {
            let tunnel = &self.tunnels[local];
            if tunnel.is_waiting() && now.since(tunnel.active_at) > self.options.timeout {
                let what = if tunnel.is_open() {
                    "echo"
                } else {
                    "answer to the handshake"
                };
                let detail = format!("no {what} within {:?}", self.options.timeout);
                self.give_up(local, Failure::new(Kind::TimedOut, detail));
            }
        }
    }
}

/// A signal ends a poll early, which is no failure.
pub(super) fn ignore_signals(polled: std::io::Result<()>) -> std::io::Result<()> {
    match polled {
        Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
        other => other,
    }
}

pub(super) const EVENTS_PER_POLL: usize = 1024;
/// How often a thread whose tunnels are open looks for the start.
const START_PATIENCE: Duration = Duration::from_millis(1);
/// How often a paced thread looks whether it may dial again.
const CONNECT_PATIENCE: Duration = Duration::from_millis(2);
/// How often a thread looks whether the last echoes of a fixed rate have come.
const LATE_PATIENCE: Duration = Duration::from_millis(20);
