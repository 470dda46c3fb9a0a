//! Every metric of the catalogue has its row in the documentation, and the dashboard asks for no other.

use std::collections::BTreeSet;
use std::fs;

use crate::root;
use ringway::metrics::{BackendFailure, CATALOG, Dropped, EndReason, Kind, Refusal};
use ringway::ws::Rule;

#[test]
fn every_metric_is_documented_and_no_other() {
    let documented = table_names(&read("docs/metrics.md"));
    let known: BTreeSet<String> = CATALOG
        .iter()
        .map(|metric| metric.name.to_owned())
        .collect();
    let missing: Vec<_> = known.difference(&documented).collect();
    let unknown: Vec<_> = documented.difference(&known).collect();
    assert!(
        missing.is_empty(),
        "give these a row in docs/metrics.md: {missing:?}"
    );
    assert!(
        unknown.is_empty(),
        "docs/metrics.md has rows for no metric: {unknown:?}"
    );
}

#[test]
fn every_reason_is_explained() {
    let text = read("docs/metrics.md");
    let refusals = Refusal::ALL.iter().map(|reason| reason.label());
    let failures = BackendFailure::ALL.iter().map(|reason| reason.label());
    let ends = EndReason::ALL.iter().map(|reason| reason.label());
    let drops = Dropped::ALL.iter().map(|reason| reason.label());
    let rules = Rule::ALL.iter().map(|rule| rule.label());
    let reasons = refusals.chain(failures).chain(ends).chain(drops);
    for label in reasons.chain(rules) {
        let explained = text.contains(&format!("- `{label}`: "));
        assert!(explained, "explain the reason `{label}` in docs/metrics.md");
    }
}

#[test]
fn the_dashboard_asks_only_for_metrics_that_exist() {
    let board: serde_json::Value = serde_json::from_str(&read("docs/grafana.json")).unwrap();
    let series = series_of_catalog();
    let mut asked = BTreeSet::new();
    collect_queries(&board, &mut asked);
    assert!(
        asked.len() > 10,
        "the dashboard asks for next to nothing: {asked:?}"
    );
    let unknown: Vec<_> = asked.difference(&series).collect();
    assert!(
        unknown.is_empty(),
        "docs/grafana.json asks for no metric: {unknown:?}"
    );
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The names in the first column of the tables.
fn table_names(markdown: &str) -> BTreeSet<String> {
    let cells = markdown.lines().filter_map(|line| line.strip_prefix("| `"));
    cells
        .filter_map(|cell| Some(cell.split_once('`')?.0.to_owned()))
        .collect()
}

/// The names a query can ask for: a histogram has three and not its own.
fn series_of_catalog() -> BTreeSet<String> {
    let mut series = BTreeSet::new();
    for metric in CATALOG {
        let suffixes: &[&str] = match metric.kind {
            Kind::Histogram => &["_bucket", "_sum", "_count"],
            Kind::Counter | Kind::Gauge => &[""],
        };
        series.extend(
            suffixes
                .iter()
                .map(|suffix| format!("{}{suffix}", metric.name)),
        );
    }
    series
}

/// Every word of a query, anywhere in the dashboard, that looks like one of our metrics.
fn collect_queries(value: &serde_json::Value, asked: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::String(text) => {
            let words = text.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
            let ours =
                words.filter(|word| word.starts_with("ringway_") || word.starts_with("process_"));
            asked.extend(ours.map(str::to_owned));
        }
        serde_json::Value::Array(values) => values
            .iter()
            .for_each(|value| collect_queries(value, asked)),
        serde_json::Value::Object(fields) => fields
            .values()
            .for_each(|value| collect_queries(value, asked)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_tables_and_queries() {
        let table =
            "| name | kind |\n|---|---|\n| `ringway_a_total` | counter |\ntext `ringway_b`\n";
        assert_eq!(
            table_names(table).into_iter().collect::<Vec<_>>(),
            ["ringway_a_total"]
        );
        let board = serde_json::json!({ "panels": [{ "expr": "sum(rate(ringway_x_total{worker=\"0\"}[1m]))" }] });
        let mut asked = BTreeSet::new();
        collect_queries(&board, &mut asked);
        assert_eq!(asked.into_iter().collect::<Vec<_>>(), ["ringway_x_total"]);
    }
}
