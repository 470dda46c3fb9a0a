//! What is counted: one writer per cell, one catalogue of names, one text encoder.

mod catalog;
mod control;
mod counter;
mod histogram;
mod metric;
mod reason;
mod text;
mod worker;

pub use catalog::CATALOG;
pub use control::ControlCounters;
pub use counter::{Counter, Gauge};
pub use histogram::{Histogram, HistogramReading};
pub use metric::{Kind, Metric};
pub use reason::{BackendFailure, EndReason, Party, Refusal};
pub use text::{BackendSample, CONTENT_TYPE, Extra, render};
pub use worker::{HandshakeTimes, RULES, Traffic, TunnelTimes, WorkerCounters};
