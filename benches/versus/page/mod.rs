//! The report as a page for people.

mod tables;

use std::fmt::Write as _;

use crate::host::Host;
use crate::metric::Metric;
use crate::report::{Report, Row};

/// The whole page; `pictures` are the files beside it.
pub(crate) fn page(report: &Report, pictures: &[String]) -> String {
    let mut page = head(report);
    page.push_str(&tables::compared(&report.rows));
    page.push_str(&tables::latencies(&report.rows));
    page.push_str(&tables::broadcasts(&report.rows));
    page.push_str(&tables::storms(&report.rows));
    page.push_str(&tables::upheavals(&report.rows));
    page.push_str(&tls(report));
    let all = || report.rows.iter().flat_map(|row| &row.contenders);
    if all().any(|contender| contender.rounds_disturbed > 0) {
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
    for picture in pictures {
        let name = picture.trim_end_matches(".svg").replace('_', " ");
        let _ = write!(page, "\n![{name}]({picture})\n");
    }
    page.push_str(&configs(report));
    page
}

fn head(report: &Report) -> String {
    let mut versions: Vec<&str> = report.versions.values().map(String::as_str).collect();
    // Ringway stands there once, however it is set.
    versions.dedup();
    let mut head = format!(
        "# Ringway beside its peers\n\n{}\n\n`{}`\n\n{}\n",
        machine(&report.host),
        report.command,
        versions.join("; "),
    );
    if let Some(host) = &report.proxy_host {
        let _ = write!(head, "\nThe proxies ran on: {}\n", machine(host));
    }
    head.push('\n');
    head
}

/// A machine in a line.
pub(crate) fn machine(host: &Host) -> String {
    let after = if host.load_after.is_empty() {
        "unknown"
    } else {
        &host.load_after
    };
    format!(
        "{}: {}, {} cores, Linux {}; load averages {} before, {after} after.",
        host.date, host.processor, host.cores, host.kernel, host.load_before,
    )
}

/// What each proxy was told about TLS, and what came of it.
fn tls(report: &Report) -> String {
    let mut lines = String::new();
    for (name, settings) in &report.tls_settings {
        let settings = if settings.is_empty() {
            "none: in the clear".to_owned()
        } else {
            format!("`{settings}`")
        };
        let _ = writeln!(lines, "- TLS of {name}: {settings}");
    }
    let handshakes = |row: &&Row| row.metric == Metric::ProcessorUsPerHandshake;
    for row in report.rows.iter().filter(handshakes) {
        for contender in &row.contenders {
            let terms = contender.median.as_ref().map(|median| &median.tls);
            if let Some(terms) = terms.filter(|terms| !terms.is_empty()) {
                let _ = writeln!(lines, "- {}, {}: {terms}", row.title, contender.name);
            }
        }
    }
    if lines.is_empty() {
        lines
    } else {
        format!("\n{lines}")
    }
}

/// What went wrong in a row, once for each proxy.
fn troubles(row: &Row) -> Vec<String> {
    let notes = row.contenders.iter().filter_map(|contender| {
        let mut troubles = contender
            .samples
            .iter()
            .filter_map(|sample| sample.trouble.as_ref());
        let why = troubles.next()?;
        Some(format!("{}, {}: {why}", row.title, contender.name))
    });
    notes.collect()
}

fn configs(report: &Report) -> String {
    let mut text = String::from("\n## Configurations\n");
    for (name, config) in &report.configs {
        let _ = write!(text, "\n### {name}\n\n```\n{}\n```\n", config.trim_end());
    }
    text
}

const DISTURBED: &str = "
In a disturbed round, other programs used the proxy's core while it was ready to run. Processor time for each message \
hardly suffers; rates and latencies do, and are worth nothing where most rounds are disturbed.
";
