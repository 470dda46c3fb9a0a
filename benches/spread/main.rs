//! How evenly long-lived tunnels lie over the workers, by each way of steering, and what that costs a handshake.
//!
//! ```text
//! cargo bench --bench spread -- --tunnels 9800 --workers 2,4,8
//! ```
//!
//! For each row Ringway and its backend are processes of their own. Tunnels are opened and kept; then worker 0 dies,
//! and as many as went with it are opened again.
#![expect(clippy::print_stdout, reason = "the table is what is asked for")]

mod child;
mod clients;

use anyhow::{Context, ensure};
use child::{Backend, Proxy};
use clap::Parser;
use clients::{Clients, Crowd};
use ringway::sys::proc::{Limit, Resource, cpu_ns};

/// What is compared.
#[derive(Debug, clap::Parser)]
struct Args {
    /// Tunnels of each row. Each costs Ringway two descriptors.
    #[arg(long, default_value_t = 9_800)]
    tunnels: usize,
    /// Numbers of workers. Over the number of cores they share them.
    #[arg(long, value_delimiter = ',', default_value = "2,4,8")]
    workers: Vec<usize>,
    /// Only these ways of steering.
    #[arg(long, value_delimiter = ',', default_value = "hash,cpu,least-loaded")]
    steering: Vec<String>,
    /// Source addresses that the clients come from.
    #[arg(long, value_delimiter = ',', default_value = "1,4096")]
    sources: Vec<u32>,
    /// The core of the threads that connect; for `cpu` both that and all cores are measured.
    #[arg(long, default_value_t = 0)]
    pin: usize,
    /// Runs of each row; the cost is that of the middle one.
    #[arg(long, default_value_t = 1)]
    runs: usize,
    /// Cargo says so to every bench.
    #[arg(long, hide = true)]
    bench: bool,
    /// Be the Ringway of this file instead.
    #[arg(long, hide = true, value_name = "FILE")]
    proxy: Option<std::path::PathBuf>,
    /// Be the backend instead.
    #[arg(long, hide = true)]
    backend: bool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if let Some(file) = &args.proxy {
        return child::be_proxy(file);
    }
    if args.backend {
        return child::be_backend();
    }
    let limit = Limit::raise_to_hard(Resource::Files).context("raising the limit of open files")?;
    let wanted = 2 * args.tunnels as u64 + 200;
    ensure!(
        limit.soft.is_none_or(|most| most >= wanted),
        "{} tunnels need {wanted} descriptors, and the limit is {:?}",
        args.tunnels,
        limit.soft
    );
    println!("{} tunnels\n\n{HEAD}", args.tunnels);
    for workers in &args.workers {
        for sources in &args.sources {
            for steering in &args.steering {
                let pins: &[Option<usize>] = match steering.as_str() {
                    "cpu" => &[Some(args.pin), None],
                    _ => &[None],
                };
                for pin in pins {
                    let crowd = Crowd {
                        sources: *sources,
                        pin: *pin,
                    };
                    row(&args, *workers, steering, crowd)?;
                }
            }
        }
    }
    Ok(())
}

const HEAD: &str = "| workers | steering | clients | max / mean | min / mean | moved | refused | µs a handshake | p50, p99 ms | after a death: max / mean | min / mean |\n\
    |---|---|---|---|---|---|---|---|---|---|---|";

/// One row: as many runs as asked for, of which that with the middle cost is shown.
fn row(args: &Args, workers: usize, steering: &str, crowd: Crowd) -> anyhow::Result<()> {
    let runs = (0..args.runs.max(1)).map(|_| run(args.tunnels, workers, steering, crowd));
    let mut runs = runs.collect::<anyhow::Result<Vec<_>>>()?;
    runs.sort_by(|one, other| one.us.total_cmp(&other.us));
    let found = &runs[runs.len() / 2];
    let from = match (crowd.sources, crowd.pin) {
        (1, None) => "one address".to_owned(),
        (many, None) => format!("{many} addresses"),
        (many, Some(core)) => format!("{many} addresses, on core {core}"),
    };
    let ([high, low], [late_high, late_low]) = (found.spread, found.after);
    println!(
        "| {workers} | {steering} | {from} | {high:.2} | {low:.2} | {} | {} | {:.0} | {:.1}, {:.1} | {late_high:.2} | {late_low:.2} |",
        found.moved, found.refused, found.us, found.p50_ms, found.p99_ms
    );
    Ok(())
}

/// What one run found.
struct Found {
    /// The most and the fewest tunnels of a worker, each over the mean.
    spread: [f64; 2],
    after: [f64; 2],
    moved: u64,
    refused: u64,
    /// Ringway's processor time for a handshake.
    us: f64,
    p50_ms: f64,
    p99_ms: f64,
}

fn run(tunnels: usize, workers: usize, steering: &str, crowd: Crowd) -> anyhow::Result<Found> {
    let backend = Backend::start()?;
    let mut proxy = Proxy::start(workers, steering, backend.address)?;
    let before = cpu_ns(&proxy.pid)?;
    let mut clients = Clients::default();
    clients.open(proxy.address, tunnels, crowd)?;
    let spent = cpu_ns(&proxy.pid)?.saturating_sub(before);
    let spread = proxy.spread()?;
    let [p50_ms, p99_ms] = clients.took_ms();
    let handoffs = proxy.handoffs()?;
    let lost = proxy.kill_worker(0)?;
    clients.drop_dead(lost)?;
    clients.open(proxy.address, lost, crowd)?;
    Ok(Found {
        spread,
        after: proxy.spread()?,
        moved: handoffs[0],
        refused: handoffs[1],
        us: float(spent) / 1e3 / float(tunnels as u64),
        p50_ms,
        p99_ms,
    })
}

/// Exact for the numbers here.
#[expect(
    clippy::cast_precision_loss,
    reason = "tunnels and nanoseconds are far under 2^52"
)]
pub(crate) fn float(number: u64) -> f64 {
    number as f64
}
