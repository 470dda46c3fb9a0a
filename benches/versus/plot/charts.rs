//! Takes the numbers of each picture out of a report.

use super::{Bars, Chart, Picture, Point, Series};
use crate::case::{Load, grouped, size};
use crate::matrix::{BASE_BYTES, BASE_DEPTH, BASE_TUNNELS};
use crate::metric::Metric;
use crate::report::{Report, Row};

pub(super) fn all(report: &Report) -> Vec<(&'static str, Picture)> {
    let mut pictures: Vec<(&str, Picture)> = AXES
        .iter()
        .filter_map(|axis| Some((axis.file, Picture::Chart(axis.chart(report)?))))
        .collect();
    for (file, percent) in [("latency50", 50), ("latency80", 80)] {
        let at = |row: &&Row| row.load == Load::Latency { percent };
        if let Some(row) = report.rows.iter().find(at) {
            pictures.extend(latency(row, percent).map(|chart| (file, Picture::Chart(chart))));
        }
    }
    for (file, metric) in [
        ("memory", Metric::ResidentKibPerTunnel),
        ("handshakes", Metric::ProcessorUsPerHandshake),
        ("broadcast", Metric::ProcessorNsPerDelivery),
    ] {
        if let Some(row) = report.rows.iter().find(|row| row.metric == metric) {
            pictures.extend(bars(row).map(|bars| (file, Picture::Bars(bars))));
        }
    }
    pictures
}

/// One way through the matrix.
struct Axis {
    file: &'static str,
    title: &'static str,
    x_label: &'static str,
    x_base: f64,
    x_shown: fn(f64) -> String,
    is_y_log: bool,
    /// The place of tunnels, size and depth on the axis, if they lie on it.
    place: Place,
}

type Place = fn(usize, usize, usize) -> Option<usize>;

impl Axis {
    fn chart(&self, report: &Report) -> Option<Chart> {
        let mut series: Vec<Series> = Vec::new();
        for row in &report.rows {
            let Load::Messages {
                tunnels,
                payload_bytes,
                in_flight,
                text: None,
            } = row.load
            else {
                continue;
            };
            let Some(x) = (self.place)(tunnels, payload_bytes, in_flight) else {
                continue;
            };
            for contender in &row.contenders {
                let Some(median) = &contender.median else {
                    continue;
                };
                add(&mut series, &contender.name, (as_f64(x), median.value));
            }
        }
        for one in &mut series {
            one.points.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        let has_line = series.iter().any(|one| one.points.len() > 1);
        has_line.then(|| Chart {
            title: self.title.to_owned(),
            x_label: self.x_label,
            y_label: "ns of processor time per message",
            x_base: self.x_base,
            x_shown: self.x_shown,
            is_y_log: self.is_y_log,
            series,
        })
    }
}

const AXES: [Axis; 3] = [
    Axis {
        file: "tunnels",
        title: "64 B messages, one in flight",
        x_label: "tunnels",
        x_base: 10.0,
        x_shown: |x| grouped(as_usize(x)),
        is_y_log: false,
        place: |tunnels, bytes, depth| {
            (bytes == BASE_BYTES && depth == BASE_DEPTH).then_some(tunnels)
        },
    },
    Axis {
        file: "sizes",
        title: "64 tunnels, one message in flight",
        x_label: "payload of a message",
        x_base: 4.0,
        x_shown: |x| size(as_usize(x)),
        is_y_log: true,
        place: |tunnels, bytes, depth| {
            (tunnels == BASE_TUNNELS && depth == BASE_DEPTH).then_some(bytes)
        },
    },
    Axis {
        file: "in_flight",
        title: "64 tunnels, 64 B messages",
        x_label: "messages in flight on each tunnel",
        x_base: 4.0,
        x_shown: |x| grouped(as_usize(x)),
        is_y_log: true,
        place: |tunnels, bytes, depth| {
            (tunnels == BASE_TUNNELS && bytes == BASE_BYTES).then_some(depth)
        },
    },
];

/// How many are slower than a value is what the axis counts: one of two, of 100, of 1,000.
fn latency(row: &Row, percent: u8) -> Option<Chart> {
    let mut series = Vec::new();
    for contender in &row.contenders {
        let Some(median) = &contender.median else {
            continue;
        };
        for point in [
            (2.0, median.p50_us),
            (100.0, median.p99_us),
            (1_000.0, median.p999_us),
        ] {
            add(&mut series, &contender.name, point);
        }
    }
    (!series.is_empty()).then(|| Chart {
        title: format!(
            "64 tunnels, 64 B, {} messages/s ({percent} % load)",
            grouped(as_usize(row.rate.unwrap_or_default()))
        ),
        x_label: "percentile (leftmost: the median)",
        y_label: "latency from when a message was due, µs",
        x_base: 10.0,
        x_shown: |x| format!("{}", (1000.0 - 1000.0 / x).round() / 10.0),
        is_y_log: true,
        series,
    })
}

fn bars(row: &Row) -> Option<Bars> {
    let bars: Vec<(String, f64)> = row
        .contenders
        .iter()
        .filter_map(|one| Some((one.name.clone(), one.median.as_ref()?.value)))
        .filter(|(_, value)| value.is_finite())
        .collect();
    (!bars.is_empty()).then(|| Bars {
        title: row.title.clone(),
        unit: row.metric.unit(),
        of_each: bars,
    })
}

/// What is not a number that a logarithm can be taken of is left out.
fn add(series: &mut Vec<Series>, name: &str, point: Point) {
    if !(point.0.is_finite() && point.1.is_finite() && point.1 > 0.0) {
        return;
    }
    match series.iter_mut().find(|one| one.name == name) {
        Some(one) => one.points.push(point),
        None => series.push(Series {
            name: name.to_owned(),
            points: vec![point],
        }),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a place on an axis")]
const fn as_f64(number: usize) -> f64 {
    number as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place on an axis, which is positive"
)]
fn as_usize(number: f64) -> usize {
    number.round() as usize
}
