//! The command line of `cargo versus`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;

use crate::case::Case;
use crate::proxy::{Peer, Shape};

/// Compares Ringway with other proxies on this machine, in interleaved pairs.
#[derive(Debug, clap::Parser)]
#[command(name = "cargo versus", bin_name = "cargo versus")]
pub(crate) struct Args {
    /// Pairs of runs for each row: ours, peer, ours, peer… [default: 5, with --quick 3]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
    pairs: Option<u32>,
    /// Measured seconds of each run. [default: 2, with --quick 1]
    #[arg(long, value_parser = seconds)]
    seconds: Option<Duration>,
    /// Who to compare with; those that are not installed are skipped. [default: all]
    #[arg(long, value_delimiter = ',')]
    peers: Vec<Peer>,
    /// What to measure. [default: all, with --quick 64x64,64x16KiB]
    #[arg(long, value_delimiter = ',')]
    cases: Vec<String>,
    /// Ringway's receive buffers. [default: auto]
    #[arg(long, conflicts_with = "shapes")]
    shape: Option<Shape>,
    /// Compare Ringway's three shapes of receive buffers with each other instead.
    #[arg(long)]
    pub(crate) shapes: bool,
    /// A first look: fewer, shorter pairs of two cases.
    #[arg(long)]
    quick: bool,
    /// Where the JSON goes. [default: benches/versus/out/versus.json]
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Where the table goes. [default: benches/versus/out/versus.md]
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
    /// The core of the proxy that is measured.
    #[arg(long, default_value_t = 0)]
    pub(crate) proxy_core: usize,
    /// The core of the load generator and the echo backends.
    #[arg(long, default_value_t = 1)]
    pub(crate) load_core: usize,
    /// No new row, and no further pair of one that has any, begins after so many minutes.
    #[arg(long, default_value_t = 60)]
    pub(crate) minutes_max: u64,
    /// Cargo passes it when benches are meant to run.
    #[arg(long, hide = true)]
    bench: bool,
    /// Cargo passes filters to every bench; one that does not name this one means another.
    #[arg(hide = true)]
    filters: Vec<String>,
}

impl Args {
    /// Whether this is a run for real: not `cargo test --benches`, and not a filter that means another bench.
    pub(crate) fn is_wanted(&self) -> bool {
        let is_meant = |filter: &String| "versus".contains(filter.as_str());
        self.bench && (self.filters.is_empty() || self.filters.iter().any(is_meant))
    }

    pub(crate) fn pairs(&self) -> u32 {
        self.pairs.unwrap_or(if self.quick { 3 } else { 5 })
    }

    pub(crate) fn seconds(&self) -> Duration {
        let default = if self.quick { 1 } else { 2 };
        self.seconds.unwrap_or(Duration::from_secs(default))
    }

    /// Load before each measured time.
    pub(crate) const fn warmup(&self) -> Duration {
        Duration::from_millis(if self.quick { 300 } else { 700 })
    }

    pub(crate) fn peers(&self) -> Vec<Peer> {
        if self.peers.is_empty() {
            Peer::ALL.to_vec()
        } else {
            self.peers.clone()
        }
    }

    pub(crate) fn shape(&self) -> Shape {
        self.shape.unwrap_or(Shape::Auto)
    }

    pub(crate) fn cases(&self) -> anyhow::Result<Vec<Case>> {
        let names: Vec<&str> = match (self.cases.as_slice(), self.quick) {
            ([], true) => vec!["64x64", "64x16KiB"],
            ([], false) => return Ok(Case::ALL.to_vec()),
            (given, _) => given.iter().map(String::as_str).collect(),
        };
        let known = || Case::ALL.map(|case| case.name).join(", ");
        names
            .into_iter()
            .map(|name| {
                let case = Case::ALL
                    .into_iter()
                    .find(|case| case.name.eq_ignore_ascii_case(name));
                case.with_context(|| format!("--cases: {name:?} is none of {}", known()))
            })
            .collect()
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "expected a number of seconds".to_owned())?;
    if (0.1..=600.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("expected 0.1 to 600 seconds".to_owned())
    }
}
