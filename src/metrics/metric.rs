//! What a metric is: its name, its type, its labels, and where its values are read.

use super::text::{BackendSample, CertificateSample};
use super::{
    ControlCounters, Counter, FlowSide, FlowTraffic, HistogramReading, Traffic, WorkerCounters,
};
use crate::sys::proc::ProcessUsage;

/// One metric, as Prometheus sees it.
#[derive(Debug)]
pub struct Metric {
    /// The name; counters end in `_total`, durations in `_seconds`.
    pub name: &'static str,
    /// The sentence after `# HELP`.
    pub help: &'static str,
    /// What the value does over time.
    pub kind: Kind,
    /// The labels, in the order they are printed.
    pub labels: &'static [&'static str],
    /// Where the values are read.
    pub(super) source: Source,
}

/// What a metric's value does over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It rises and falls.
    Gauge,
    /// Counts in buckets, their sum and their number.
    Histogram,
}

impl Kind {
    /// The word after `# TYPE`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Where the values of a metric are read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source {
    /// One value a worker.
    Worker(fn(&WorkerCounters) -> u64),
    /// Two values a worker: one for each direction.
    Directions(fn(&Traffic) -> u64),
    /// One value a worker for each reason of a closed list.
    Reasons(fn(&WorkerCounters) -> &[Counter], fn(usize) -> &'static str),
    /// One value a worker for each frame rule that has a name.
    Rules,
    /// One histogram a worker.
    Times(fn(&WorkerCounters) -> HistogramReading),
    /// One value a backend.
    Backend(fn(&BackendSample) -> u64),
    /// One time a backend in microseconds, printed in seconds; absent where there is none.
    BackendTime(fn(&BackendSample) -> Option<u64>),
    /// One value a backend for each kind of failure.
    BackendFailures,
    /// Always 1 for each backend, with its state as a label.
    BackendState,
    /// One value a certificate of a listener.
    Certificate(fn(&CertificateSample) -> i64),
    /// What is counted for each pair of route and backend, over all workers.
    Flow(FlowSource),
    /// One value of the control thread.
    Control(fn(&ControlCounters) -> u64),
    /// One value of the process, absent where the kernel does not tell.
    Process(fn(&ProcessUsage) -> Option<f64>),
    /// Whether Ringway is going down.
    Draining,
    /// Always 1, with the version as its label.
    Build,
}

/// Where the values of a pair of route and backend are read. Most pairs never see most things, so only messages and
/// bytes are printed for all of them.
#[derive(Debug, Clone, Copy)]
pub(super) enum FlowSource {
    /// A value for each direction in which the second says that there is something to show.
    Directions(fn(&FlowTraffic) -> u64, fn(&FlowTraffic) -> bool),
    /// A histogram for each direction that had messages.
    Sizes,
    /// A value for each direction and reason that was counted.
    Dropped,
    /// A value for each side of which the second says that there is something to show.
    Sides(fn(&FlowSide) -> u64, fn(&FlowSide) -> bool),
    /// A histogram for each side that was sent pings.
    RoundTrips,
    /// A value for each side and close code that was counted.
    Closes,
    /// A value for each rule that was broken.
    Rules,
}

pub(super) const WORKER: &[&str] = &["worker"];
pub(super) const WORKER_REASON: &[&str] = &["worker", "reason"];
pub(super) const WORKER_DIRECTION: &[&str] = &["worker", "direction"];
pub(super) const POOL_BACKEND: &[&str] = &["pool", "backend"];
pub(super) const LISTENER_CERTIFICATE: &[&str] = &["listener", "certificate"];
pub(super) const FLOW_DIRECTION: &[&str] = &["route", "pool", "backend", "direction"];
pub(super) const FLOW_SIDE: &[&str] = &["route", "pool", "backend", "side"];

pub(super) const fn counter(
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    source: Source,
) -> Metric {
    Metric {
        name,
        help,
        kind: Kind::Counter,
        labels,
        source,
    }
}

pub(super) const fn gauge(
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    source: Source,
) -> Metric {
    Metric {
        name,
        help,
        kind: Kind::Gauge,
        labels,
        source,
    }
}

pub(super) const fn times(
    name: &'static str,
    help: &'static str,
    read: fn(&WorkerCounters) -> HistogramReading,
) -> Metric {
    Metric {
        name,
        help,
        kind: Kind::Histogram,
        labels: WORKER,
        source: Source::Times(read),
    }
}

/// What is read for each pair of route and backend.
pub(super) const fn flow(
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    source: FlowSource,
) -> Metric {
    Metric {
        name,
        help,
        kind: match source {
            FlowSource::Sizes | FlowSource::RoundTrips => Kind::Histogram,
            _ => Kind::Counter,
        },
        labels,
        source: Source::Flow(source),
    }
}
