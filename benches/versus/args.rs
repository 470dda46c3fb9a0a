//! The command line of `cargo versus`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;

use crate::case::Case;
use crate::proxy::{Peer, Shape};

/// Compares Ringway with other proxies on this machine, in interleaved pairs.
#[derive(Debug, clap::Parser)]
#[command(name = "cargo versus", bin_name = "cargo versus")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
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
    /// What to measure. [default: all, with --quick 64x64,64x16KiB; with --levels 64x64 is 64x64-ascii,64x64-mixed]
    #[arg(long, value_delimiter = ',')]
    cases: Vec<String>,
    /// Ringway's receive buffers. [default: auto]
    #[arg(long, conflicts_with = "shapes")]
    shape: Option<Shape>,
    /// Compare Ringway's three shapes of receive buffers with each other instead.
    #[arg(long)]
    pub(crate) shapes: bool,
    /// Compare what Ringway can look at in frames with its defaults instead, over text messages.
    #[arg(long, conflicts_with_all = ["shapes", "peers"])]
    pub(crate) levels: bool,
    /// Let clients speak TLS 1.3 with the proxies; backends stay in the clear.
    #[arg(long, conflicts_with_all = ["shapes", "levels"])]
    pub(crate) tls: bool,
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
        let all = || {
            Peer::ALL
                .into_iter()
                .filter(|peer| !self.tls || peer.speaks_tls())
        };
        if self.peers.is_empty() {
            all().collect()
        } else {
            self.peers.clone()
        }
    }

    pub(crate) fn shape(&self) -> Shape {
        self.shape.unwrap_or(Shape::Auto)
    }

    pub(crate) fn cases(&self) -> anyhow::Result<Vec<Case>> {
        let (all, quick) = if self.levels {
            (Case::TEXTS.as_slice(), ["64x64", "64x64KiB"])
        } else if self.tls {
            (Case::TLS.as_slice(), ["64x64", "64x16KiB"])
        } else {
            (Case::ALL.as_slice(), ["64x64", "64x16KiB"])
        };
        let names: Vec<&str> = match (self.cases.as_slice(), self.quick) {
            ([], true) => quick.to_vec(),
            ([], false) => return Ok(all.to_vec()),
            (given, _) => given.iter().map(String::as_str).collect(),
        };
        let mut cases = Vec::new();
        for name in names {
            let before = cases.len();
            cases.extend(all.iter().filter(|case| case.is_called(name)));
            ensure!(
                cases.len() > before,
                "--cases: {name:?} is none of {}",
                known(all)
            );
        }
        Ok(cases)
    }
}

fn known(cases: &[Case]) -> String {
    let names: Vec<&str> = cases.iter().map(|case| case.name).collect();
    names.join(", ")
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
