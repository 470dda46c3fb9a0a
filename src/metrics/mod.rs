//! What is counted: one writer per cell, one catalogue of names, one text encoder.

mod catalog;
mod close_codes;
mod control;
mod counter;
mod flow;
mod flows;
mod histogram;
mod metric;
mod reason;
mod text;
mod worker;

pub use catalog::CATALOG;
pub use close_codes::CloseCodes;
pub use control::ControlCounters;
pub use counter::{ByReason, Counter, Gauge};
pub use flow::{FlowCounters, FlowSide, FlowTraffic, RoundTrips, Sizes};
pub use flows::{FlowLabels, FlowRow, Flows};
pub use histogram::{Histogram, HistogramReading};
pub use metric::{Kind, Metric};
pub use reason::{BackendFailure, Dropped, EndReason, Handoff, Party, Refusal};
pub use text::{BackendSample, CONTENT_TYPE, CertificateSample, Extra, Samples, render};
pub use worker::{HandshakeTimes, RULES, Traffic, TunnelTimes, WorkerCounters};
