//! Everything a run found, as it is written down and read again.

use std::collections::BTreeMap;

use crate::case::{Case, Load};
use crate::host::Host;
use crate::metric::Metric;
use crate::sample::Sample;
use crate::stats::median;

/// The whole report.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Report {
    /// What the names below mean; another number is another meaning.
    pub(crate) schema: u32,
    /// The words it was started with.
    pub(crate) command: String,
    /// The machine with the load, and with the proxy unless that has one of its own.
    pub(crate) host: Host,
    pub(crate) proxy_host: Option<Host>,
    pub(crate) versions: BTreeMap<String, String>,
    pub(crate) notes: Vec<String>,
    /// What each proxy is told about TLS. Empty without.
    pub(crate) tls_settings: BTreeMap<String, String>,
    pub(crate) rows: Vec<Row>,
    /// The configurations of the first row of each proxy; others differ in ports and backends.
    pub(crate) configs: BTreeMap<String, String>,
}

/// One case, and how each proxy did.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Row {
    pub(crate) case: String,
    pub(crate) title: String,
    pub(crate) load: Load,
    pub(crate) metric: Metric,
    /// Messages per second offered, where that is fixed.
    pub(crate) rate: Option<f64>,
    /// The first is the one that all are compared with.
    pub(crate) contenders: Vec<Contender>,
}

/// One proxy in a case.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Contender {
    pub(crate) name: String,
    /// The median of each number over the rounds that count; absent if none does.
    pub(crate) median: Option<Sample>,
    /// The first one's number divided by this one's, the median over the rounds. Absent for the first itself, and where
    /// this one's number is zero.
    pub(crate) ratio: Option<f64>,
    /// This one's number divided by the floor's, the median over the rounds. Absent for the floor itself, and without it.
    pub(crate) over_floor: Option<f64>,
    /// Rounds in which both this one and the first did well; only these count.
    pub(crate) rounds_good: usize,
    /// Good rounds in which another program used the proxy's core for a noticeable time.
    pub(crate) rounds_disturbed: usize,
    /// One for each round.
    pub(crate) samples: Vec<Sample>,
}

/// One contest, not yet summed up.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) case: Case,
    pub(crate) names: Vec<String>,
    pub(crate) rate: Option<f64>,
    /// For each proxy a sample from each round.
    pub(crate) samples: Vec<Vec<Sample>>,
    pub(crate) configs: Vec<String>,
}

impl Report {
    pub(crate) fn new(
        command: String,
        host: Host,
        proxy_host: Option<Host>,
        versions: BTreeMap<String, String>,
    ) -> Self {
        Self {
            schema: SCHEMA,
            command,
            host,
            proxy_host,
            versions,
            notes: Vec::new(),
            tls_settings: BTreeMap::new(),
            rows: Vec::new(),
            configs: BTreeMap::new(),
        }
    }

    /// Sums up a contest into a row.
    pub(crate) fn take(&mut self, outcome: Outcome) {
        for (name, config) in outcome.names.iter().zip(&outcome.configs) {
            let known = self.configs.entry(name.clone()).or_default();
            if known.is_empty() {
                known.clone_from(config);
            }
        }
        self.rows.push(Row::new(outcome));
    }
}

impl Row {
    pub(crate) fn new(outcome: Outcome) -> Self {
        let Outcome {
            case,
            names,
            rate,
            samples,
            ..
        } = outcome;
        let floor = names.iter().position(|name| name == FLOOR);
        let contender = |place: usize| {
            let own = &samples[place];
            let rounds = own.iter().zip(&samples[0]);
            let good = rounds.filter(|(own, first)| own.is_good() && first.is_good());
            let good: Vec<(&Sample, &Sample)> = good.collect();
            let ratio = median(good.iter().map(|(own, first)| first.value / own.value));
            let floor = floor.filter(|floor| *floor != place);
            let over_floor = floor.and_then(|floor| {
                let both = own.iter().zip(&samples[floor]);
                let good = both.filter(|(own, floor)| own.is_good() && floor.is_good());
                median(good.map(|(own, floor)| own.value / floor.value))
            });
            let is_disturbed =
                |pair: &&(&Sample, &Sample)| pair.0.is_disturbed() || pair.1.is_disturbed();
            Contender {
                name: names[place].clone(),
                median: typical(&own_of(&good)),
                ratio: ratio.filter(|_| place > 0),
                over_floor,
                rounds_good: good.len(),
                rounds_disturbed: good.iter().filter(is_disturbed).count(),
                samples: own.clone(),
            }
        };
        Self {
            title: case.title(),
            load: case.load,
            metric: case.metric(),
            case: case.name.into_owned(),
            rate,
            contenders: (0..names.len()).map(contender).collect(),
        }
    }

    /// The one of that name.
    pub(crate) fn of(&self, name: &str) -> Option<&Contender> {
        self.contenders
            .iter()
            .find(|contender| contender.name == name)
    }
}

fn own_of<'a>(good: &[(&'a Sample, &Sample)]) -> Vec<&'a Sample> {
    good.iter().map(|(own, _)| *own).collect()
}

/// The median of each number.
fn typical(samples: &[&Sample]) -> Option<Sample> {
    let first = samples.first()?;
    let of = |number: fn(&Sample) -> f64| {
        median(samples.iter().map(|sample| number(sample))).unwrap_or_default()
    };
    Some(Sample {
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
        tls: first.tls.clone(),
        upheaval: None,
        trouble: None,
    })
}

/// Raised when a name in the JSON changes its meaning.
pub(crate) const SCHEMA: u32 = 2;
/// The name of what the kernel allows.
pub(crate) const FLOOR: &str = "raw relay (parses nothing)";
