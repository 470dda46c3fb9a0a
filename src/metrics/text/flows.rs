//! The part of the page about pairs of route and backend: each pair's rows of all workers, added up.

use std::collections::BTreeMap;

use super::{Page, seconds};
use crate::metrics::metric::FlowSource;
use crate::metrics::{
    Counter, Dropped, FlowCounters, FlowRow, FlowSide, FlowTraffic, HistogramReading, Metric,
    WorkerCounters,
};
use crate::sync::Arc;

/// A pair of route and backend, with every row that counts for it.
pub(super) struct Pair {
    route: Arc<str>,
    pool: Arc<str>,
    backend: Arc<str>,
    /// Invariant: not empty.
    rows: Vec<Arc<FlowRow>>,
}

/// The pairs that any worker has a row for, by name. One that has left is shown as long as a tunnel is open for it on
/// any worker, and then vanishes whole: workers drop its rows one by one, and a sum that lacks a part would look like
/// a counter that started again.
pub(super) fn pairs(workers: &[Arc<WorkerCounters>]) -> Vec<Pair> {
    let mut pairs = BTreeMap::new();
    for row in workers
        .iter()
        .flat_map(|worker| worker.flows.rows().to_vec())
    {
        let labels = &row.labels;
        let (route, pool, backend) = (&labels.route_name, &labels.pool_name, &labels.backend_name);
        pairs
            .entry((Arc::clone(route), Arc::clone(pool), Arc::clone(backend)))
            .or_insert_with(Vec::new)
            .push(row);
    }
    pairs
        .into_iter()
        .filter(|(_, rows)| !rows.iter().all(|row| row.may_go()))
        .map(|((route, pool, backend), rows)| Pair {
            route,
            pool,
            backend,
            rows,
        })
        .collect()
}

impl Pair {
    fn names(&self) -> [&str; 3] {
        [&self.route, &self.pool, &self.backend]
    }

    fn sum(&self, read: impl Fn(&FlowCounters) -> u64) -> u64 {
        let values = self.rows.iter().map(|row| read(row.counters()));
        values.fold(0, u64::wrapping_add)
    }

    fn has(&self, shows: impl Fn(&FlowCounters) -> bool) -> bool {
        self.rows.iter().any(|row| shows(row.counters()))
    }

    fn histogram(&self, read: impl Fn(&FlowCounters) -> HistogramReading) -> HistogramReading {
        let mut readings = self.rows.iter().map(|row| read(row.counters()));
        let mut sum = readings
            .next()
            .expect("invariant: a pair is made with its first row");
        readings.for_each(|reading| sum.add(&reading));
        sum
    }
}

/// One of the two directions or sides: its word, and where it stands in a row.
type Half<T> = (&'static str, fn(&FlowCounters) -> &T);

const DIRECTIONS: [Half<FlowTraffic>; 2] = [
    ("client_to_backend", |row| &row.client_to_backend),
    ("backend_to_client", |row| &row.backend_to_client),
];
const SIDES: [Half<FlowSide>; 2] = [
    ("client", |row| &row.client),
    ("backend", |row| &row.backend),
];

impl Page {
    pub(super) fn pair(
        &mut self,
        metric: &Metric,
        source: FlowSource,
        pair: &Pair,
        rules: &[&str],
    ) {
        match source {
            FlowSource::Rules => {
                let [route, pool, backend] = pair.names();
                for (place, rule) in rules.iter().enumerate() {
                    let count = pair.sum(|row| row.violations.get(place).map_or(0, Counter::get));
                    self.counted(metric, &[route, pool, backend, rule], count);
                }
            }
            FlowSource::Directions(..) | FlowSource::Sizes | FlowSource::Dropped => {
                for (direction, of) in DIRECTIONS {
                    self.direction(metric, source, pair, (direction, of));
                }
            }
            FlowSource::Sides(..) | FlowSource::RoundTrips | FlowSource::Closes => {
                for (side, of) in SIDES {
                    self.side(metric, source, pair, (side, of));
                }
            }
        }
    }

    fn direction(
        &mut self,
        metric: &Metric,
        source: FlowSource,
        pair: &Pair,
        half: Half<FlowTraffic>,
    ) {
        let [route, pool, backend] = pair.names();
        let (direction, of) = half;
        let values = [route, pool, backend, direction];
        match source {
            FlowSource::Directions(read, shows) if pair.has(|row| shows(of(row))) => {
                self.value(metric, &values, pair.sum(|row| read(of(row))));
            }
            FlowSource::Sizes => {
                let reading = pair.histogram(|row| of(row).sizes.read());
                if reading.total() > 0 {
                    self.histogram(metric, &values, &reading, |bytes| bytes.to_string());
                }
            }
            FlowSource::Dropped => {
                for reason in Dropped::ALL {
                    let count = pair.sum(|row| of(row).dropped[reason.index()].get());
                    let values = [route, pool, backend, direction, reason.label()];
                    self.counted(metric, &values, count);
                }
            }
            _ => {}
        }
    }

    fn side(&mut self, metric: &Metric, source: FlowSource, pair: &Pair, half: Half<FlowSide>) {
        let [route, pool, backend] = pair.names();
        let (side, of) = half;
        let values = [route, pool, backend, side];
        match source {
            FlowSource::Sides(read, shows) if pair.has(|row| shows(of(row))) => {
                self.value(metric, &values, pair.sum(|row| read(of(row))));
            }
            FlowSource::RoundTrips if pair.has(|row| of(row).pings_sent.get() > 0) => {
                let reading = pair.histogram(|row| of(row).round_trips.read());
                self.histogram(metric, &values, &reading, seconds);
            }
            FlowSource::Closes => {
                let mut codes = BTreeMap::new();
                for row in &pair.rows {
                    for (code, count) in of(row.counters()).closes.read() {
                        let sum: &mut u64 = codes.entry(code).or_default();
                        *sum = sum.wrapping_add(count);
                    }
                }
                for (code, count) in codes {
                    self.counted(metric, &[route, pool, backend, side, code], count);
                }
            }
            _ => {}
        }
    }

    /// A line for what was counted at all.
    fn counted(&mut self, metric: &Metric, values: &[&str], count: u64) {
        if count > 0 {
            self.value(metric, values, count);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::metrics::text::{Extra, render};
    use crate::metrics::{CATALOG, FlowLabels, Kind};

    fn labels(backend: u16, name: &str) -> FlowLabels {
        FlowLabels {
            route: 1,
            backend,
            route_name: "chat".into(),
            pool_name: "rooms".into(),
            backend_name: name.into(),
        }
    }

    /// Two workers that have the pair `a` in common.
    fn workers() -> [Arc<WorkerCounters>; 2] {
        let workers = [
            Arc::new(WorkerCounters::default()),
            Arc::new(WorkerCounters::default()),
        ];
        workers[0].flows.row(&labels(3, "b"));
        for worker in &workers {
            let row = worker.flows.row(&labels(2, "a"));
            row.client_to_backend.messages.add(3);
            row.client_to_backend.bytes.add(500);
            row.client_to_backend.sizes.observe(64);
            row.client_to_backend.sizes.observe(300);
            row.backend_to_client.dropped(Dropped::SlowConsumer);
            row.client.closes.observe(1000);
            row.client.closes.observe(4711);
            row.backend.pings_sent.add(2);
            row.violated(1);
        }
        let row = workers[1].flows.row(&labels(2, "a"));
        row.client_to_backend.sizes.observe(17 << 20);
        row.client_to_backend.fragments.add(4);
        row.backend_to_client.slowed.add(6);
        row.backend.round_trips.observe(Duration::from_micros(200));
        row.backend.pongs_missed.add(1);
        row.client.pings_answered.add(8);
        workers
    }

    /// The lines that speak of pairs.
    fn lines(workers: &[Arc<WorkerCounters>]) -> Vec<String> {
        let extra = Extra {
            rules: &["first", "second"],
            ..Extra::default()
        };
        let page = render(workers, &extra);
        let ours = page.lines().filter(|line| line.contains("{route="));
        ours.map(str::to_owned).collect()
    }

    #[test]
    fn the_rows_of_all_workers_are_added_up() {
        let lines = lines(&workers());
        let a = "route=\"chat\",pool=\"rooms\",backend=\"a\"";
        let b = "route=\"chat\",pool=\"rooms\",backend=\"b\"";
        let up = "direction=\"client_to_backend\"";
        let down = "direction=\"backend_to_client\"";
        let size = "ringway_message_size_bytes";
        for line in [
            format!("ringway_route_messages_total{{{a},{up}}} 6"),
            format!("ringway_route_messages_total{{{a},{down}}} 0"),
            format!("ringway_route_messages_total{{{b},{up}}} 0"),
            format!("ringway_route_bytes_total{{{a},{up}}} 1000"),
            format!("{size}_bucket{{{a},{up},le=\"64\"}} 2"),
            format!("{size}_bucket{{{a},{up},le=\"256\"}} 2"),
            format!("{size}_bucket{{{a},{up},le=\"1024\"}} 4"),
            format!("{size}_bucket{{{a},{up},le=\"16777216\"}} 4"),
            format!("{size}_bucket{{{a},{up},le=\"+Inf\"}} 5"),
            format!("{size}_sum{{{a},{up}}} {}", 2 * 364 + (17 << 20)),
            format!("{size}_count{{{a},{up}}} 5"),
            format!("ringway_message_fragments_total{{{a},{up}}} 4"),
            format!("ringway_messages_dropped_total{{{a},{down},reason=\"slow_consumer\"}} 2"),
            format!("ringway_reads_slowed_total{{{a},{down}}} 6"),
            format!("ringway_close_frames_total{{{a},side=\"client\",code=\"1000\"}} 2"),
            format!("ringway_close_frames_total{{{a},side=\"client\",code=\"4xxx\"}} 2"),
            format!("ringway_route_violations_total{{{a},rule=\"second\"}} 2"),
            format!("ringway_pings_sent_total{{{a},side=\"backend\"}} 4"),
            format!("ringway_pongs_missed_total{{{a},side=\"backend\"}} 1"),
            format!("ringway_pings_answered_total{{{a},side=\"client\"}} 8"),
            format!("ringway_ping_rtt_seconds_bucket{{{a},side=\"backend\",le=\"0.000128\"}} 0"),
            format!("ringway_ping_rtt_seconds_bucket{{{a},side=\"backend\",le=\"0.000256\"}} 1"),
            format!("ringway_ping_rtt_seconds_bucket{{{a},side=\"backend\",le=\"8.388608\"}} 1"),
            format!("ringway_ping_rtt_seconds_sum{{{a},side=\"backend\"}} 0.0002"),
            format!("ringway_ping_rtt_seconds_count{{{a},side=\"backend\"}} 1"),
        ] {
            assert!(lines.contains(&line), "missing: {line}\n{lines:#?}");
        }
    }

    #[test]
    fn a_pair_without_news_has_lines_for_messages_and_bytes_only() {
        let lines = lines(&workers());
        let quiet = lines.iter().filter(|line| line.contains("backend=\"b\""));
        let names: Vec<_> = quiet.map(|line| line.split('{').next().unwrap()).collect();
        assert_eq!(
            names,
            [
                "ringway_route_messages_total",
                "ringway_route_messages_total",
                "ringway_route_bytes_total",
                "ringway_route_bytes_total"
            ]
        );
        let unseen = [
            "side=\"client\",le=",
            "reason=\"rate\"",
            "rule=\"first\"",
            "code=\"none\"",
        ];
        for part in unseen {
            assert!(lines.iter().all(|line| !line.contains(part)), "{part}");
        }
    }

    #[test]
    fn every_metric_of_pairs_can_be_seen() {
        let lines = lines(&workers());
        for metric in CATALOG
            .iter()
            .filter(|metric| metric.labels.first() == Some(&"route"))
        {
            let suffix = if metric.kind == Kind::Histogram {
                "_count"
            } else {
                ""
            };
            let start = format!("{}{suffix}{{", metric.name);
            assert!(lines.iter().any(|line| line.starts_with(&start)), "{start}");
        }
    }

    #[test]
    fn a_pair_that_left_vanishes_whole_with_its_last_tunnel() {
        let workers = workers();
        let tunnel = workers[0].flows.row(&labels(2, "a"));
        // The second worker has not heard of it yet.
        workers[0].flows.follow(|labels| labels.backend != 2);
        let sum = |workers: &[_]| {
            let line = "ringway_route_messages_total{route=\"chat\",pool=\"rooms\",backend=\"a\",direction=\"client_to_backend\"} 6";
            lines(workers).iter().any(|found| found == line)
        };
        assert!(sum(&workers));
        workers[1].flows.follow(|labels| labels.backend != 2);
        assert!(sum(&workers), "a tunnel is open for it");
        drop(tunnel);
        assert!(
            lines(&workers)
                .iter()
                .all(|line| line.contains("backend=\"b\""))
        );
    }

    #[test]
    fn a_name_with_two_numbers_is_one_pair_and_any_name_is_escaped() {
        let worker = Arc::new(WorkerCounters::default());
        for number in [4, 5] {
            let row = worker.flows.row(&labels(number, "x\"\\\n"));
            row.client_to_backend.messages.add(1);
        }
        let lines = lines(&[worker]);
        assert_eq!(lines.len(), 4, "{lines:#?}");
        assert!(lines[0].contains("backend=\"x\\\"\\\\\\n\",direction=\"client_to_backend\"} 2"));
    }
}
