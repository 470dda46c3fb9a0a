//! The table of README.md, and its place there.

use std::fmt::Write as _;

use anyhow::Context;

use crate::metric::Metric;
use crate::report::{FLOOR, Report, Row};

/// The table with what a reader must know to judge it. Columns are Ringway, the first peer, and the floor.
pub(crate) fn table(report: &Report) -> String {
    let peer = report
        .rows
        .iter()
        .flat_map(|row| row.contenders.iter().skip(1))
        .map(|contender| contender.name.as_str())
        .find(|name| *name != FLOOR)
        .unwrap_or("nginx");
    let version = report.versions.get(peer).map_or(peer, String::as_str);
    let mut table = format!(
        "| load | Ringway | {} | ratio | to a raw relay that parses nothing |\n|---|---|---|---|---|\n",
        version.replace('/', " ")
    );
    for row in &report.rows {
        table.push_str(&lines(row, peer));
    }
    let host = &report.host;
    let all = || report.rows.iter().flat_map(|row| &row.contenders);
    let disturbed: usize = all().map(|contender| contender.rounds_disturbed).sum();
    // Writing to a string cannot fail.
    let _ = write!(
        table,
        "\n`{}`, {}: {}, {} cores, Linux {}. {}\n",
        report.command,
        host.date,
        host.processor,
        host.cores,
        host.kernel,
        match disturbed {
            0 => "Nothing else used the proxy's core.".to_owned(),
            some => format!("{some} runs were disturbed by other programs."),
        }
    );
    table
}

fn lines(row: &Row, peer: &str) -> String {
    let Some(ours) = row.contenders.first() else {
        return String::new();
    };
    let (theirs, unit) = (row.of(peer), row.metric.short_unit());
    let digits = |value: f64| format!("{} {unit}", row.metric.grouped(value));
    let value = |of: Option<&crate::report::Contender>| {
        let median = of.and_then(|contender| contender.median.as_ref());
        median.map_or_else(|| "–".to_owned(), |median| digits(median.value))
    };
    let shown =
        |ratio: Option<f64>| ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"));
    let mut lines = String::new();
    if row.metric == Metric::LatencyP99Us {
        let median = |of: Option<&crate::report::Contender>| {
            let median = of.and_then(|contender| contender.median.as_ref());
            median.map_or_else(|| "–".to_owned(), |median| digits(median.p50_us))
        };
        let _ = writeln!(
            lines,
            "| {}, p50 | {} | {} | | |",
            row.title,
            median(Some(ours)),
            median(theirs)
        );
    }
    let name = if row.metric == Metric::LatencyP99Us {
        format!("{}, p99", row.title)
    } else {
        row.title.clone()
    };
    let _ = writeln!(
        lines,
        "| {name} | {} | {} | {} | {} |",
        value(Some(ours)),
        value(theirs),
        shown(theirs.and_then(|theirs| theirs.ratio)),
        shown(ours.over_floor),
    );
    lines
}

/// `text` with `table` between the two markers.
pub(crate) fn replaced(text: &str, table: &str) -> anyhow::Result<String> {
    let (before, rest) = text
        .split_once(START)
        .context("README.md has no start marker")?;
    let (_, after) = rest
        .split_once(END)
        .context("README.md has no end marker")?;
    Ok(format!("{before}{START}\n{table}{END}{after}"))
}

const START: &str = "<!-- versus:start -->";
const END: &str = "<!-- versus:end -->";
