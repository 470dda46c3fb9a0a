//! The command line of `cargo versus`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::agent::Post;
use crate::case::Case;
use crate::host::said;
use crate::matrix::Extent;
use crate::proxy::{Peer, Shape};

/// Compares Ringway with other proxies on this machine, in interleaved pairs.
#[derive(Debug, clap::Parser)]
#[command(name = "cargo versus", bin_name = "cargo versus")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(crate) struct Args {
    /// Rounds of runs for each row: ours, peer, peer, ours, peer, peer… [default: 5, with --quick 3]
    #[arg(long, alias = "rounds", value_parser = clap::value_parser!(u32).range(1..=100))]
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
    /// The matrix of tunnels, sizes and messages in flight instead of the cases.
    #[arg(long, value_name = "EXTENT", conflicts_with_all = ["shapes", "levels", "tls", "cases", "table"])]
    pub(crate) matrix: Option<Extent>,
    /// The table of README.md: its cases, against nginx and the raw relay unless --peers says otherwise.
    #[arg(long, conflicts_with_all = ["shapes", "levels", "tls"])]
    pub(crate) table: bool,
    /// Put the table into README.md, between its markers.
    #[arg(long, requires = "table")]
    pub(crate) write: bool,
    /// Where the results go. [default: target/versus/<date and time>]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Measure nothing: write the page and the plots of this folder's results.json again.
    #[arg(long, value_name = "FOLDER", conflicts_with = "out")]
    pub(crate) render: Option<PathBuf>,
    /// What this host is for when there are several: the proxy's, or (with --agent alone) the generator's.
    #[arg(long, requires_all = ["agent", "listen", "backends"])]
    role: Option<Role>,
    /// Where the agent on the proxy's host takes orders.
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with_all = ["shapes", "levels", "tls"])]
    pub(crate) agent: Option<SocketAddr>,
    /// With --role proxy: where proxies listen for the generator.
    #[arg(long, value_name = "ADDRESS:PORT", requires = "role")]
    listen: Option<SocketAddr>,
    /// With --role proxy: the echo backends (`ringway echo`).
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        value_delimiter = ',',
        requires = "role"
    )]
    backends: Vec<SocketAddr>,
    /// The core of the proxy that is measured.
    #[arg(long, default_value_t = 0)]
    pub(crate) proxy_core: usize,
    /// The core of the load generator and the echo backends.
    #[arg(long, default_value_t = 1)]
    pub(crate) load_core: usize,
    /// No new row, and no further round of one that has any, begins after so many minutes.
    #[arg(long, default_value_t = 60)]
    pub(crate) minutes_max: u64,
    /// Cargo passes it when benches are meant to run.
    #[arg(long, hide = true)]
    bench: bool,
    /// Cargo passes filters to every bench; one that does not name this one means another.
    #[arg(hide = true)]
    filters: Vec<String>,
}

/// What a host is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Role {
    /// Starts proxies when told to.
    Proxy,
}

impl Args {
    /// Whether this is a run for real: not `cargo test --benches`, and not a filter that means another bench.
    pub(crate) fn is_wanted(&self) -> bool {
        let is_meant = |filter: &String| "versus".contains(filter.as_str());
        self.bench && (self.filters.is_empty() || self.filters.iter().any(is_meant))
    }

    pub(crate) fn rounds(&self) -> u32 {
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

    /// Those to compare with. The floor stands in every report, with TLS in the clear.
    pub(crate) fn peers(&self) -> Vec<Peer> {
        match (self.peers.as_slice(), self.table) {
            ([], true) => vec![Peer::Nginx, Peer::Floor],
            ([], false) => Peer::ALL.to_vec(),
            (given, _) => given.to_vec(),
        }
    }

    /// Whether the command line does not rule it out.
    pub(crate) fn wants(&self, peer: Peer) -> bool {
        self.peers().contains(&peer)
    }

    /// What the agent of this host is to do, if this host is a proxy's.
    pub(crate) fn post(&self) -> anyhow::Result<Option<Post>> {
        let Some(Role::Proxy) = self.role else {
            return Ok(None);
        };
        Ok(Some(Post {
            agent: self.agent.context("--role proxy needs --agent")?,
            listen: self.listen.context("--role proxy needs --listen")?,
            backends: self.backends.clone(),
            peers: self.peers(),
        }))
    }

    /// The folder of this run.
    pub(crate) fn out(&self) -> PathBuf {
        self.out.clone().unwrap_or_else(|| {
            let date = said("date", &["-u", "+%Y-%m-%dT%H-%M-%S"]);
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("target/versus")
                .join(date)
        })
    }

    pub(crate) fn shape(&self) -> Shape {
        self.shape.unwrap_or(Shape::Auto)
    }

    pub(crate) fn cases(&self) -> anyhow::Result<Vec<Case>> {
        let quick = if self.levels {
            ["64x64", "64x64KiB"]
        } else {
            ["64x64", "64x16KiB"]
        };
        let all: Vec<Case> = match (self.levels, self.tls) {
            (true, _) => Case::TEXTS.to_vec(),
            (_, true) => Case::TLS.to_vec(),
            _ if self.table => Case::ALL.into_iter().filter(Case::is_tabled).collect(),
            _ if self.agent.is_some() && self.cases.is_empty() => {
                let far = |case: &Case| case.is_for_far_hosts();
                Case::ALL.into_iter().filter(far).collect()
            }
            _ => Case::ALL.to_vec(),
        };
        let names: Vec<&str> = match (self.cases.as_slice(), self.quick) {
            ([], true) => quick.to_vec(),
            ([], false) => return Ok(all),
            (given, _) => given.iter().map(String::as_str).collect(),
        };
        let mut cases = Vec::new();
        for name in names {
            let before = cases.len();
            cases.extend(all.iter().filter(|case| case.is_called(name)).cloned());
            ensure!(
                cases.len() > before,
                "--cases: {name:?} is none of {}",
                known(&all)
            );
        }
        Ok(cases)
    }
}

fn known(cases: &[Case]) -> String {
    let names: Vec<&str> = cases.iter().map(|case| case.name.as_ref()).collect();
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
