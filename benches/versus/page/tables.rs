//! The tables of a page. One that has no rows is left out.

use std::fmt::Write as _;

use crate::case::Load;
use crate::metric::Metric;
use crate::report::{Contender, Row};
use crate::sample::Sample;
use crate::upheaval::{Upheaval, counted};

/// Every case, every proxy.
pub(super) fn compared(rows: &[Row]) -> String {
    let lines = rows.iter().flat_map(|row| {
        row.contenders
            .iter()
            .map(|contender| compared_line(row, contender))
    });
    table(COMPARED, lines)
}

fn compared_line(row: &Row, contender: &Contender) -> String {
    let disturbed = match contender.rounds_disturbed {
        0 => String::new(),
        some => format!(", {some} disturbed"),
    };
    let rounds = format!(
        "{} of {}{disturbed}",
        contender.rounds_good,
        contender.samples.len()
    );
    let begin = format!("| {} | {} |", row.title, contender.name);
    let Some(median) = &contender.median else {
        return format!("{begin} no round without errors | | | | | | {rounds} |");
    };
    format!(
        "{begin} {} {} | {} | {} | {:.0} | {:.0} % | {:.0} % | {rounds} |",
        row.metric.shown(median.value),
        row.metric.unit(),
        contender
            .ratio
            .map_or_else(|| "–".to_owned(), |ratio| format!("**{ratio:.2}**")),
        contender
            .over_floor
            .map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}")),
        median.per_second,
        median.proxy_percent,
        median.load_percent,
    )
}

pub(super) fn latencies(rows: &[Row]) -> String {
    let lines = medians(rows, |row| row.metric == Metric::LatencyP99Us).map(|(row, name, side)| {
        let Sample {
            p50_us,
            p99_us,
            p999_us,
            max_us,
            ..
        } = side;
        let rate = row.rate.unwrap_or_default();
        format!(
            "| {} | {name} | {rate:.0} | {p50_us:.0} | {p99_us:.0} | {p999_us:.0} | {max_us:.0} |",
            row.title
        )
    });
    table(LATENCY, lines)
}

pub(super) fn broadcasts(rows: &[Row]) -> String {
    let is_one = |row: &Row| matches!(row.load, Load::Broadcast { .. });
    let lines = medians(rows, is_one).map(|(row, name, side)| {
        let Sample { value, per_second, p50_us, p99_us, max_us, .. } = side;
        format!("| {} | {name} | {value:.0} | {per_second:.0} | {p50_us:.0} | {p99_us:.0} | {max_us:.0} |", row.title)
    });
    table(BROADCAST, lines)
}

pub(super) fn storms(rows: &[Row]) -> String {
    let is_one = |row: &Row| matches!(row.load, Load::Storm { .. });
    let lines = medians(rows, is_one).map(|(_, name, side)| {
        let Sample { per_second, calm_p50_us, calm_p99_us, p50_us, p99_us, .. } = side;
        format!("| {name} | {per_second:.0} | {calm_p50_us:.0} | {p50_us:.0} | {calm_p99_us:.0} | {p99_us:.0} |")
    });
    table(STORM, lines)
}

/// What clients saw of reloads and deaths, all rounds together.
pub(super) fn upheavals(rows: &[Row]) -> String {
    let mut reloads = Vec::new();
    let mut deaths = Vec::new();
    for row in rows {
        for contender in &row.contenders {
            let samples = contender.samples.iter();
            let all = samples.filter_map(|sample| sample.upheaval.as_ref());
            let (Some(sum), Some(median)) = (Upheaval::sum(all), &contender.median) else {
                continue;
            };
            let line = upheaval_line(contender, &sum, median, &row.load);
            match row.load {
                Load::Reload => reloads.push(line),
                _ => deaths.push(line),
            }
        }
    }
    table(RELOAD, reloads.into_iter()) + &table(DEATH, deaths.into_iter())
}

fn upheaval_line(contender: &Contender, sum: &Upheaval, median: &Sample, load: &Load) -> String {
    let or_none = |text: String| {
        if text.is_empty() {
            "–".to_owned()
        } else {
            text
        }
    };
    let mut line = format!(
        "| {} | {} of {} | {} | {} | {} of {} | {} |",
        contender.name,
        sum.tunnels_lost,
        sum.tunnels,
        or_none(counted(&sum.ends)),
        sum.messages_lost,
        sum.handshakes_failed,
        sum.handshakes,
        or_none(counted(&sum.refusals)),
    );
    // Writing to a string cannot fail.
    let _ = match load {
        Load::Reload => write!(
            line,
            " {:.0} | {:.0} | {} |",
            median.calm_p99_us, median.p99_us, sum.processes
        ),
        _ => write!(line, " {:.1} | {:.0} |", median.value, sum.failing_ms),
    };
    line
}

/// The medians of the rows that are asked for.
fn medians(
    rows: &[Row],
    is_asked: impl Fn(&Row) -> bool,
) -> impl Iterator<Item = (&Row, &str, &Sample)> {
    rows.iter()
        .filter(move |row| is_asked(row))
        .flat_map(|row| {
            row.contenders.iter().filter_map(move |contender| {
                Some((row, contender.name.as_str(), contender.median.as_ref()?))
            })
        })
}

fn table(header: &str, lines: impl Iterator<Item = String>) -> String {
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() {
        return String::new();
    }
    let columns = header.matches('|').count() - 1;
    format!(
        "\n{header}\n|{}\n{}\n",
        "---|".repeat(columns),
        lines.join("\n")
    )
}

const COMPARED: &str = "| case | proxy | median | the first's, of this | over the floor | per second | proxy's core | generator's core | rounds |";
const LATENCY: &str = "| case | proxy | messages/s | p50 µs | p99 µs | p99.9 µs | max µs |";
const BROADCAST: &str =
    "| case | proxy | ns/delivery | deliveries/s | p50 µs till the last has it | p99 µs | max µs |";
const STORM: &str = "| proxy | new connections/s | p50 in peace, µs | p50 in the storm | p99 in peace | p99 in the storm |";
const RELOAD: &str = "| reload | tunnels lost | how | messages lost | handshakes failed | with | p99 before, µs | p99 during | processes after |";
const DEATH: &str = "| backend killed | tunnels ended | as their clients saw it | messages lost | handshakes failed | with | ms till the last client knew | ms till no handshake failed |";
