//! Writes the catalogue's values in the Prometheus text format, version 0.0.4.

mod flows;

use std::fmt::Write as _;

use flows::Pair;

use super::metric::Source;
use super::{
    BackendFailure, CATALOG, ControlCounters, HistogramReading, Metric, RULES, WorkerCounters,
};
use crate::sync::Arc;
use crate::sys::proc::ProcessUsage;

/// The content type of what [`render`] writes.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// One backend's row, read from its slot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BackendSample {
    /// The pool's name in the configuration.
    pub pool: String,
    /// The backend's address or name.
    pub backend: String,
    /// Its state in a word.
    pub state: &'static str,
    /// Its share of the pool.
    pub weight: u64,
    /// Tunnels open to it.
    pub established: u64,
    /// Handshakes under way to it.
    pub connecting: u64,
    /// What its handshakes take, in microseconds; nothing before the first.
    pub handshake_us: Option<u64>,
    /// Its failures so far, each kind at the place of its number.
    pub failures: [u64; BackendFailure::ALL.len()],
    /// Failed handshakes in a row.
    pub failures_in_a_row: u64,
    /// How often in a row it was put out.
    pub ejections_in_a_row: u64,
    /// For how many microseconds more it is put out.
    pub ejected_for_us: u64,
    /// Tunnels to it that have ended.
    pub ended: u64,
    /// Of those, the ones that ended abnormally by its doing.
    pub ended_abnormally: u64,
}

/// A certificate that a listener shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CertificateSample {
    /// The listener's name in the configuration.
    pub listener: String,
    /// The path of its chain.
    pub certificate: String,
    /// Until when it is good, in seconds since 1970.
    pub not_after: i64,
}

/// What is read anew for each page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Samples {
    /// One row a backend; the pair of pool and backend is distinct.
    pub backends: Vec<BackendSample>,
    /// One row a certificate; the pair of listener and certificate is distinct.
    pub certificates: Vec<CertificateSample>,
}

/// What `/metrics` shows besides the workers' counters.
#[derive(Debug, Clone, Copy, Default)]
pub struct Extra<'a> {
    /// The names of the frame rules, by their numbers.
    pub rules: &'a [&'a str],
    /// One row a backend; the pair of pool and backend is distinct.
    pub backends: &'a [BackendSample],
    /// One row a certificate; the pair of listener and certificate is distinct.
    pub certificates: &'a [CertificateSample],
    /// What the control thread counted.
    pub control: Option<&'a ControlCounters>,
    /// What the process uses.
    pub process: Option<&'a ProcessUsage>,
    /// Whether Ringway is going down.
    pub draining: bool,
}

/// The whole page: every metric of the catalogue, its help, its type and its present values. The place of
/// a worker in `workers` is its label.
pub fn render(workers: &[Arc<WorkerCounters>], extra: &Extra<'_>) -> String {
    let pairs = flows::pairs(workers);
    let mut page = Page {
        text: String::with_capacity(8 * 1024 * (1 + workers.len()) + 2 * 1024 * pairs.len()),
    };
    for metric in CATALOG {
        page.metric(metric, workers, &pairs, extra);
    }
    page.text
}

struct Page {
    text: String,
}

impl Page {
    fn metric(
        &mut self,
        metric: &Metric,
        workers: &[Arc<WorkerCounters>],
        pairs: &[Pair],
        extra: &Extra<'_>,
    ) {
        let name = metric.name;
        let kind = metric.kind.label();
        self.line(format_args!(
            "# HELP {name} {}\n# TYPE {name} {kind}",
            metric.help
        ));
        match metric.source {
            Source::Backend(_)
            | Source::BackendTime(_)
            | Source::BackendFailures
            | Source::BackendState => {
                for row in extra.backends {
                    self.backend(metric, row);
                }
            }
            Source::Certificate(read) => {
                for row in extra.certificates {
                    let labels = labels(metric, &[&row.listener, &row.certificate]);
                    self.line(format_args!("{name}{{{labels}}} {}", read(row)));
                }
            }
            Source::Flow(source) => {
                for pair in pairs {
                    self.pair(metric, source, pair, extra.rules);
                }
            }
            Source::Control(read) => {
                if let Some(control) = extra.control {
                    self.line(format_args!("{name} {}", read(control)));
                }
            }
            Source::Process(read) => {
                if let Some(value) = extra.process.and_then(read) {
                    self.line(format_args!("{name} {value}"));
                }
            }
            Source::Draining => self.line(format_args!("{name} {}", u8::from(extra.draining))),
            Source::Build => {
                let labels = labels(metric, &[env!("CARGO_PKG_VERSION")]);
                self.line(format_args!("{name}{{{labels}}} 1"));
            }
            Source::Worker(_)
            | Source::Directions(_)
            | Source::Reasons(..)
            | Source::Rules
            | Source::Times(_) => {
                for (number, worker) in workers.iter().enumerate() {
                    self.worker(metric, &number.to_string(), worker, extra.rules);
                }
            }
        }
    }

    fn backend(&mut self, metric: &Metric, row: &BackendSample) {
        let (pool, backend) = (&*row.pool, &*row.backend);
        match metric.source {
            Source::Backend(read) => self.value(metric, &[pool, backend], read(row)),
            Source::BackendTime(read) => {
                if let Some(us) = read(row) {
                    let labels = labels(metric, &[pool, backend]);
                    self.line(format_args!("{}{{{labels}}} {}", metric.name, seconds(us)));
                }
            }
            Source::BackendFailures => {
                for (failure, count) in BackendFailure::ALL.iter().zip(row.failures) {
                    self.value(metric, &[pool, backend, failure.label()], count);
                }
            }
            Source::BackendState => self.value(metric, &[pool, backend, row.state], 1),
            _ => {}
        }
    }

    fn worker(&mut self, metric: &Metric, number: &str, worker: &WorkerCounters, rules: &[&str]) {
        match metric.source {
            Source::Worker(read) => self.value(metric, &[number], read(worker)),
            Source::Directions(read) => {
                for (direction, traffic) in [
                    ("client_to_backend", &worker.client_to_backend),
                    ("backend_to_client", &worker.backend_to_client),
                ] {
                    self.value(metric, &[number, direction], read(traffic));
                }
            }
            Source::Reasons(read, label) => {
                for (place, count) in read(worker).iter().enumerate() {
                    self.value(metric, &[number, label(place)], count.get());
                }
            }
            Source::Rules => {
                for (rule, count) in rules.iter().take(RULES).zip(&worker.violations) {
                    self.value(metric, &[number, rule], count.get());
                }
            }
            Source::Times(read) => {
                self.histogram(metric, &[number], &read(worker), seconds);
            }
            _ => {}
        }
    }

    /// Buckets, sum and number of one histogram; `print` writes its unit.
    fn histogram(
        &mut self,
        metric: &Metric,
        values: &[&str],
        reading: &HistogramReading,
        print: fn(u64) -> String,
    ) {
        let (name, labels) = (metric.name, labels(metric, values));
        let mut so_far: u64 = 0;
        for (bound, count) in &reading.buckets {
            so_far = so_far.wrapping_add(*count);
            let bound = print(*bound);
            self.line(format_args!(
                "{name}_bucket{{{labels},le=\"{bound}\"}} {so_far}"
            ));
        }
        let (total, sum) = (reading.total(), print(reading.sum));
        self.line(format_args!(
            "{name}_bucket{{{labels},le=\"+Inf\"}} {total}"
        ));
        self.line(format_args!("{name}_sum{{{labels}}} {sum}"));
        self.line(format_args!("{name}_count{{{labels}}} {total}"));
    }

    fn value(&mut self, metric: &Metric, values: &[&str], value: u64) {
        let labels = labels(metric, values);
        self.line(format_args!("{}{{{labels}}} {value}", metric.name));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String never fails.
        let _ = self.text.write_fmt(line);
        self.text.push('\n');
    }
}

/// `worker="0",reason="no_route"`: the metric's label names with these values.
fn labels(metric: &Metric, values: &[&str]) -> String {
    debug_assert_eq!(metric.labels.len(), values.len(), "{}", metric.name);
    let mut text = String::new();
    for (place, (name, value)) in metric.labels.iter().zip(values).enumerate() {
        if place > 0 {
            text.push(',');
        }
        text.push_str(name);
        text.push_str("=\"");
        escape(&mut text, value);
        text.push('"');
    }
    text
}

/// Label values escape the backslash, the quote and the line feed, and nothing else.
fn escape(text: &mut String, value: &str) {
    for letter in value.chars() {
        match letter {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}

/// Microseconds as exact decimal seconds: floats would print bounds that change with their rounding.
fn seconds(us: u64) -> String {
    let text = format!("{}.{:06}", us / 1_000_000, us % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use super::*;
    use crate::metrics::{FlowLabels, Refusal};

    #[expect(clippy::too_many_lines, reason = "one of everything there is")]
    fn page() -> String {
        let workers = [
            Arc::new(WorkerCounters::default()),
            Arc::new(WorkerCounters::default()),
        ];
        workers[1].refused(Refusal::NoRoute);
        workers[1].backend_to_client.messages.add(7);
        workers[1].violated(1);
        for worker in &workers {
            let row = worker.flows.row(&FlowLabels {
                route: 0,
                backend: 0,
                route_name: "chat".into(),
                pool_name: "p".into(),
                backend_name: "b".into(),
            });
            row.client_to_backend.sizes.observe(100);
            row.client.closes.observe(1001);
            row.backend.pings_sent.add(1);
        }
        workers[0]
            .handshake_times
            .observe(Duration::from_micros(300));
        workers[0]
            .handshake_times
            .observe(Duration::from_secs(1_000));
        let control = ControlCounters::default();
        control.log_lines.add(5);
        control.tls_loads.add(2);
        control.tls_load_failures.add(1);
        let backends = [BackendSample {
            pool: "chat \"a\"\\".into(),
            backend: "10.0.0.11:9000".into(),
            state: "draining",
            established: 12,
            connecting: 1,
            handshake_us: Some(1_500),
            failures: [2, 0, 1, 0, 0, 0, 0, 0, 0],
            ..BackendSample::default()
        }];
        let certificates = [CertificateSample {
            listener: "public".into(),
            certificate: "/etc/ringway/chat.pem".into(),
            not_after: 1_800_000_000,
        }];
        let process = ProcessUsage {
            cpu_seconds: 1.25,
            resident_bytes: 4096.0,
            start_unix_seconds: None,
            files_open: None,
            files_max: Some(1024.0),
        };
        render(
            &workers,
            &Extra {
                rules: &["first_rule", "second_rule"],
                backends: &backends,
                certificates: &certificates,
                control: Some(&control),
                process: Some(&process),
                draining: true,
            },
        )
    }

    #[test]
    fn every_source_prints_its_values_with_its_labels() {
        let page = page();
        for line in [
            "# TYPE ringway_refusals_total counter",
            "ringway_refusals_total{worker=\"0\",reason=\"no_route\"} 0",
            "ringway_refusals_total{worker=\"1\",reason=\"no_route\"} 1",
            "ringway_messages_total{worker=\"1\",direction=\"backend_to_client\"} 7",
            "ringway_frame_violations_total{worker=\"1\",rule=\"second_rule\"} 1",
            "ringway_handshake_duration_seconds_bucket{worker=\"0\",le=\"0.000256\"} 0",
            "ringway_handshake_duration_seconds_bucket{worker=\"0\",le=\"0.000512\"} 1",
            "ringway_handshake_duration_seconds_bucket{worker=\"0\",le=\"67.108864\"} 1",
            "ringway_handshake_duration_seconds_bucket{worker=\"0\",le=\"+Inf\"} 2",
            "ringway_handshake_duration_seconds_sum{worker=\"0\"} 1000.0003",
            "ringway_handshake_duration_seconds_count{worker=\"0\"} 2",
            "ringway_backend_tunnels_open{pool=\"chat \\\"a\\\"\\\\\",backend=\"10.0.0.11:9000\"} 12",
            "ringway_backend_state{pool=\"chat \\\"a\\\"\\\\\",backend=\"10.0.0.11:9000\",state=\"draining\"} 1",
            "ringway_backend_handshake_seconds{pool=\"chat \\\"a\\\"\\\\\",backend=\"10.0.0.11:9000\"} 0.0015",
            "ringway_backend_failed_total{pool=\"chat \\\"a\\\"\\\\\",backend=\"10.0.0.11:9000\",kind=\"closed\"} 1",
            "ringway_access_log_lines_total 5",
            "ringway_tls_certificate_not_after_seconds{listener=\"public\",certificate=\"/etc/ringway/chat.pem\"} 1800000000",
            "ringway_tls_loads_total 2",
            "ringway_tls_load_failures_total 1",
            "ringway_draining 1",
            "process_cpu_seconds_total 1.25",
            "process_max_fds 1024",
        ] {
            assert!(page.lines().any(|found| found == line), "missing: {line}");
        }
        assert!(!page.contains("\nprocess_open_fds"), "absent where unknown");
    }

    #[test]
    fn every_series_is_printed_once_under_its_own_metric() {
        let page = page();
        let mut seen = HashSet::new();
        let mut helped = HashSet::new();
        let mut current = "";
        for line in page.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                current = help.split(' ').next().unwrap();
                assert!(helped.insert(current), "{current} twice");
            } else if !line.starts_with('#') {
                let (series, value) = line.rsplit_once(' ').unwrap();
                assert!(series.starts_with(current), "{series} under {current}");
                assert!(seen.insert(series.to_owned()), "{series} twice");
                value.parse::<f64>().unwrap();
            }
        }
        assert!(page.ends_with('\n'));
    }

    #[test]
    fn a_page_without_workers_or_extras_still_names_every_metric() {
        let page = render(&[], &Extra::default());
        for metric in CATALOG {
            assert!(
                page.contains(&format!("# HELP {} ", metric.name)),
                "{}",
                metric.name
            );
        }
    }

    #[test]
    fn microseconds_become_exact_seconds() {
        for (us, text) in [
            (0, "0"),
            (128, "0.000128"),
            (1_000_000, "1"),
            (67_108_864, "67.108864"),
        ] {
            assert_eq!(seconds(us), text);
        }
    }
}
