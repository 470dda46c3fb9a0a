//! What one thread counted.

use std::ops::Range;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::failure::Errors;
use super::line::Agreed;
use super::processor::thread_ns;
use super::subject::Subject;
use crate::clock::Now;
use crate::limits::BENCH_LATENCY_MAX;

/// Counts and latencies of one thread.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) latency: Histogram<u64>,
    /// Echoes, or handshakes, that came back in the measured time.
    pub(super) messages: u64,
    /// The same over the whole run.
    pub(super) answered: u64,
    pub(super) errors: Errors,
    pub(super) shaken: Shaken,
    /// Tunnels that were open at the end of the measured time.
    pub(super) tunnels_open: u64,
    /// Messages of a fixed rate that were due in the measured time and never answered.
    pub(super) unanswered: u64,
    /// How long the measured time really was.
    pub(super) measured: Duration,
    /// Processor time of this thread in the measured time.
    pub(super) processor_ns: u64,
    /// Processor time and memory at the end of each that is watched.
    pub(super) watched: Vec<(u64, u64)>,
    /// The measured time: a latency counts if its message began in it, a message if its echo came in it.
    span: Range<Now>,
}

/// The handshakes of TLS over the whole run.
#[derive(Debug, Default, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Shaken {
    /// Those in which the server showed its certificate.
    pub full: u64,
    /// Those in which it took a ticket instead.
    pub resumed: u64,
    /// Version, suite and group of the first. Empty in the clear.
    pub terms: String,
}

/// One end of the measured time.
#[derive(Debug)]
pub(super) struct Edge {
    pub(super) at: Now,
    own_ns: u64,
    watched_ns: Vec<u64>,
}

impl Tally {
    pub(super) fn new() -> Self {
        let longest = u64::try_from(BENCH_LATENCY_MAX.as_nanos()).unwrap_or(u64::MAX);
        Self {
            latency: Histogram::new_with_bounds(1, longest, 3)
                .expect("invariant: the bounds are constants the histogram accepts"),
            messages: 0,
            answered: 0,
            errors: Errors::default(),
            shaken: Shaken::default(),
            tunnels_open: 0,
            unanswered: 0,
            measured: Duration::ZERO,
            processor_ns: 0,
            watched: Vec::new(),
            span: NEVER..NEVER,
        }
    }

    /// Counts a message that began at `origin` and was answered `now`.
    pub(super) fn record(&mut self, origin: Now, now: Now) {
        self.answered += 1;
        self.messages += u64::from(self.span.contains(&now));
        self.record_latency(origin, now);
    }

    /// A message due at `origin` that had no answer by `now`: its latency is at least that long.
    pub(super) fn record_unanswered(&mut self, origin: Now, now: Now, is_open: bool) {
        self.unanswered += u64::from(self.span.contains(&origin));
        if is_open {
            self.record_latency(origin, now);
        }
    }

    fn record_latency(&mut self, origin: Now, now: Now) {
        if self.span.contains(&origin) {
            let nanos = u64::try_from(now.since(origin).as_nanos()).unwrap_or(u64::MAX);
            self.latency.saturating_record(nanos.max(1));
        }
    }

    /// Counts everything from `from` on.
    pub(super) const fn begin(&mut self, from: Now) {
        self.span.start = from;
    }

    /// Ends the measured time and takes what was used between its edges.
    pub(super) fn finish(&mut self, begin: &Edge, end: &Edge, watch: &[Subject]) {
        self.span.end = end.at;
        self.measured = end.at.since(begin.at);
        self.processor_ns = end.own_ns.saturating_sub(begin.own_ns);
        let spent = begin.watched_ns.iter().zip(&end.watched_ns);
        self.watched = spent
            .zip(watch)
            .map(|((&before, &after), subject)| {
                let resident = subject.resident_bytes().unwrap_or(0);
                // Without one of its edges there is no time between them.
                let spent = if before == 0 {
                    0
                } else {
                    after.saturating_sub(before)
                };
                (spent, resident)
            })
            .collect();
    }

    /// Adds what another thread counted. Only one of them watched the processes.
    pub(super) fn add(&mut self, other: Self) {
        self.latency
            .add(&other.latency)
            .expect("invariant: all histograms have the same bounds");
        self.messages += other.messages;
        self.answered += other.answered;
        self.errors.add(other.errors);
        self.shaken.add(other.shaken);
        self.tunnels_open += other.tunnels_open;
        self.unanswered += other.unanswered;
        self.measured = self.measured.max(other.measured);
        self.processor_ns += other.processor_ns;
        self.watched.extend(other.watched);
    }
}

impl Shaken {
    pub(super) fn count(&mut self, agreed: Option<Agreed>) {
        let Some(Agreed { terms, is_resumed }) = agreed else {
            return;
        };
        self.full += u64::from(!is_resumed);
        self.resumed += u64::from(is_resumed);
        if self.terms.is_empty() {
            self.terms = terms.join(", ");
        }
    }

    fn add(&mut self, other: Self) {
        self.full += other.full;
        self.resumed += other.resumed;
        if self.terms.is_empty() {
            self.terms = other.terms;
        }
    }
}

impl Edge {
    /// Reads the clock and what has been used so far.
    pub(super) fn read(watch: &[Subject]) -> Self {
        let watched_ns = watch
            .iter()
            .map(|subject| subject.processor_ns().unwrap_or(0));
        Self {
            watched_ns: watched_ns.collect(),
            own_ns: thread_ns(),
            at: Now::read(),
        }
    }
}

const NEVER: Now = Now::from_nanos(u64::MAX);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_measured_time_counts() {
        let mut tally = Tally::new();
        let at = Now::from_nanos;
        tally.record(at(5), at(6));
        tally.begin(at(10));
        tally.record(at(9), at(11));
        tally.record(at(12), at(112));
        assert_eq!((tally.messages, tally.latency.len()), (2, 1));
        let edge = |at| Edge {
            at: Now::from_nanos(at),
            own_ns: at,
            watched_ns: Vec::new(),
        };
        tally.finish(&edge(10), &edge(200), &[]);
        tally.record(at(150), at(250));
        tally.record_unanswered(at(199), at(300), true);
        tally.record_unanswered(at(200), at(300), true);
        assert_eq!((tally.messages, tally.latency.len()), (2, 3));
        assert_eq!((tally.unanswered, tally.processor_ns), (1, 190));
    }
}
