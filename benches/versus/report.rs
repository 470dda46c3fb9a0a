//! Everything a run found, as it is written down.

use std::collections::BTreeMap;

use crate::case::{Case, Metric};
use crate::host::Host;
use crate::sample::Sample;

/// The whole report.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Report {
    pub(crate) host: Host,
    pub(crate) versions: BTreeMap<String, String>,
    pub(crate) notes: Vec<String>,
    /// What each proxy is told about TLS. Empty without.
    pub(crate) tls_settings: BTreeMap<String, String>,
    pub(crate) rows: Vec<Row>,
    /// The configurations of the first row of each proxy; others differ in ports and backends.
    pub(crate) configs: BTreeMap<String, String>,
}

/// One case against one peer.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Row {
    pub(crate) case: &'static str,
    pub(crate) title: String,
    pub(crate) metric: Metric,
    /// Messages per second offered, where that is fixed.
    pub(crate) rate: Option<f64>,
    pub(crate) names: [String; 2],
    /// The medians of ours and the peer's; absent if no pair counts.
    pub(crate) medians: Option<[Sample; 2]>,
    /// The median of ours divided by the peer's, pair by pair. Absent where the peer's number is zero.
    pub(crate) ratio: Option<f64>,
    /// Pairs in which both runs went well; only these count.
    pub(crate) pairs_good: usize,
    /// Good pairs in which another program used the proxy's core for a noticeable time.
    pub(crate) pairs_disturbed: usize,
    pub(crate) pairs: Vec<[Sample; 2]>,
}

/// One fight, not yet summed up.
#[derive(Debug)]
pub(crate) struct Outcome {
    case: Case,
    names: [String; 2],
    rate: Option<f64>,
    pub(crate) pairs: Vec<[Sample; 2]>,
    pub(crate) configs: [String; 2],
}

impl Outcome {
    pub(crate) fn new(case: &Case, names: [&String; 2], rate: Option<f64>) -> Self {
        Self {
            case: *case,
            names: names.map(Clone::clone),
            rate,
            pairs: Vec::new(),
            configs: Default::default(),
        }
    }
}

impl Report {
    pub(crate) fn new(host: Host, versions: BTreeMap<String, String>) -> Self {
        Self {
            host,
            versions,
            notes: Vec::new(),
            tls_settings: BTreeMap::new(),
            rows: Vec::new(),
            configs: BTreeMap::new(),
        }
    }

    /// Sums up a fight into a row.
    pub(crate) fn take(&mut self, outcome: Outcome) {
        let Outcome {
            case,
            names,
            rate,
            pairs,
            configs,
        } = outcome;
        for (name, config) in names.iter().zip(configs) {
            self.configs.entry(name.clone()).or_insert(config);
        }
        let is_good = |pair: &&[Sample; 2]| pair.iter().all(|sample| sample.trouble.is_none());
        let good: Vec<&[Sample; 2]> = pairs.iter().filter(is_good).collect();
        let ratios = good.iter().map(|[ours, peer]| ours.value / peer.value);
        self.rows.push(Row {
            case: case.name,
            title: case.title(),
            metric: case.metric(),
            rate,
            medians: (!good.is_empty()).then(|| [0, 1].map(|side| typical(&good, side))),
            ratio: median(ratios).filter(|ratio| ratio.is_finite()),
            pairs_good: good.len(),
            pairs_disturbed: good
                .iter()
                .filter(|pair| pair.iter().any(Sample::is_disturbed))
                .count(),
            names,
            pairs,
        });
    }
}

/// The median of each number of one side.
fn typical(pairs: &[&[Sample; 2]], side: usize) -> Sample {
    let of = |number: fn(&Sample) -> f64| {
        median(pairs.iter().map(|pair| number(&pair[side]))).unwrap_or_default()
    };
    Sample {
        value: of(|sample| sample.value),
        per_second: of(|sample| sample.per_second),
        proxy_percent: of(|sample| sample.proxy_percent),
        waited_percent: of(|sample| sample.waited_percent),
        load_percent: of(|sample| sample.load_percent),
        p50_us: of(|sample| sample.p50_us),
        p99_us: of(|sample| sample.p99_us),
        p999_us: of(|sample| sample.p999_us),
        max_us: of(|sample| sample.max_us),
        calm_p50_us: of(|sample| sample.calm_p50_us),
        calm_p99_us: of(|sample| sample.calm_p99_us),
        tls: pairs
            .first()
            .map_or_else(String::new, |pair| pair[side].tls.clone()),
        trouble: None,
    }
}

/// The middle one; of an even number, the mean of the two in the middle.
fn median(numbers: impl Iterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = numbers.filter(|number| number.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}
