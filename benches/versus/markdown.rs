//! The report as a page for people.

use std::fmt::Write as _;

use crate::case::Metric;
use crate::report::{Report, Row};
use crate::sample::Sample;

/// The whole page.
pub(crate) fn page(report: &Report) -> String {
    let host = &report.host;
    let mut versions: Vec<&str> = report.versions.values().map(String::as_str).collect();
    // Ringway stands there once, however it is set.
    versions.dedup();
    let mut page = format!(
        "Ringway beside its peers, {}. {}, {} cores, Linux {}. Load averages {} before, {} after.\n\n{}\n\n",
        host.date,
        host.processor,
        host.cores,
        host.kernel,
        host.load_before,
        if host.load_after.is_empty() {
            "unknown"
        } else {
            &host.load_after
        },
        versions.join("; "),
    );
    page.push_str(HEADER);
    for row in &report.rows {
        page.push_str(&line(row));
    }
    let latencies: Vec<&Row> = report
        .rows
        .iter()
        .filter(|row| row.metric == Metric::LatencyP99Us)
        .collect();
    if !latencies.is_empty() {
        page.push_str(LATENCY_HEADER);
        for row in latencies {
            page.push_str(&latency_lines(row));
        }
    }
    let storms = report
        .rows
        .iter()
        .filter(|row| row.metric == Metric::LatencyP99Rise);
    let storms: String = storms.map(storm_lines).collect();
    if !storms.is_empty() {
        page.push_str(STORM_HEADER);
        page.push_str(&storms);
    }
    page.push_str(&tls(report));
    if report.rows.iter().any(|row| row.pairs_disturbed > 0) {
        page.push_str(DISTURBED);
    }
    let notes = report
        .notes
        .iter()
        .cloned()
        .chain(report.rows.iter().flat_map(troubles));
    for (number, note) in notes.enumerate() {
        let gap = if number == 0 { "\n" } else { "" };
        // Writing to a string cannot fail.
        let _ = writeln!(page, "{gap}- {note}");
    }
    page
}

fn line(row: &Row) -> String {
    let [ours, peer] = &row.names;
    let begin = format!("| {} | {ours} / {peer} |", row.title);
    let disturbed = match row.pairs_disturbed {
        0 => String::new(),
        some => format!(", {some} disturbed"),
    };
    let pairs = format!("{} of {}{disturbed}", row.pairs_good, row.pairs.len());
    let Some(medians) = &row.medians else {
        return format!("{begin} | no pair without errors | | | | | {pairs} |\n");
    };
    let ratio = row
        .ratio
        .map_or_else(|| "–".to_owned(), |ratio| format!("**{ratio:.2}**"));
    format!(
        "{begin} {} | {} | {ratio} | {} | {} | {} | {pairs} |\n",
        row.metric.unit(),
        both(medians, |side| row.metric.shown(side.value)),
        both(medians, |side| format!("{:.0}", side.per_second)),
        both(medians, |side| format!("{:.0} %", side.proxy_percent)),
        both(medians, |side| format!("{:.0} %", side.load_percent)),
    )
}

fn latency_lines(row: &Row) -> String {
    let Some(medians) = &row.medians else {
        return String::new();
    };
    let rate = row.rate.unwrap_or_default();
    let each = row.names.iter().zip(medians).map(|(name, side)| {
        let Sample { p50_us, p99_us, p999_us, max_us, .. } = side;
        format!("| {} | {name} | {rate:.0} | {p50_us:.0} | {p99_us:.0} | {p999_us:.0} | {max_us:.0} |\n", row.title)
    });
    each.collect()
}

fn storm_lines(row: &Row) -> String {
    let Some(medians) = &row.medians else {
        return String::new();
    };
    let each = row.names.iter().zip(medians).map(|(name, side)| {
        let Sample { per_second, calm_p50_us, calm_p99_us, p50_us, p99_us, .. } = side;
        format!("| {name} | {per_second:.0} | {calm_p50_us:.0} | {p50_us:.0} | {calm_p99_us:.0} | {p99_us:.0} |\n")
    });
    each.collect()
}

/// What each proxy was told about TLS, and what came of it.
fn tls(report: &Report) -> String {
    let mut lines = String::new();
    for (name, settings) in &report.tls_settings {
        let _ = writeln!(lines, "- TLS of {name}: `{settings}`");
    }
    let handshakes = |row: &&Row| row.metric == Metric::ProcessorUsPerHandshake;
    for row in report.rows.iter().filter(handshakes) {
        for (name, side) in row.names.iter().zip(row.medians.iter().flatten()) {
            if !side.tls.is_empty() {
                let _ = writeln!(lines, "- {}, {name}: {}", row.title, side.tls);
            }
        }
    }
    if lines.is_empty() {
        lines
    } else {
        format!("\n{lines}")
    }
}

/// What went wrong in a row, once for each side.
fn troubles(row: &Row) -> Vec<String> {
    let first_of = |side: usize| {
        row.pairs
            .iter()
            .find_map(|pair| pair[side].trouble.as_ref())
    };
    let notes = [0, 1].into_iter().filter_map(|side| {
        first_of(side).map(|why| format!("{}, {}: {why}", row.title, row.names[side]))
    });
    notes.collect()
}

fn both(sides: &[Sample; 2], shown: impl Fn(&Sample) -> String) -> String {
    let [ours, peer] = sides;
    format!("{} / {}", shown(ours), shown(peer))
}

const HEADER: &str = "\
| case | ours / peer | unit | ours / peer | ratio | per second | proxy's core | generator's core | pairs |
|---|---|---|---|---|---|---|---|---|
";

const DISTURBED: &str = "
In a disturbed pair, other programs used the proxy's core while it was ready to run. Processor time for each message \
hardly suffers; rates and latencies do, and are worth nothing where most pairs are disturbed.
";

const STORM_HEADER: &str = "
| proxy | new connections/s | p50 in peace, µs | p50 in the storm | p99 in peace | p99 in the storm |
|---|---|---|---|---|---|
";

const LATENCY_HEADER: &str = "
| case | proxy | messages/s | p50 µs | p99 µs | p99.9 µs | max µs |
|---|---|---|---|---|---|---|
";
