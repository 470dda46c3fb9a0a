//! `ringway doctor`: what this machine offers, what Ringway wants of it, and the command that closes each gap.

mod checks;
mod finding;
mod scene;
mod tls;
mod tuning;

pub(super) use checks::examine;
pub(super) use finding::{Finding, Status};
pub(super) use scene::{Scene, worker_cores};
pub use tuning::Profile;
pub(super) use tuning::{Script, Tuning};

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use crate::clock::unix_millis;
use crate::config::{self, Cores};
use crate::ring::Features;
use crate::simd::Kernels;
use crate::sys::host::Host;
use checks::{feature, simd};
use finding::{fails, json, table};

/// Check this machine and say how to fix what is missing.
///
/// Looks at kernel, io_uring, limits, queues, ports, memory, processors and network cards, and prints why each gap matters and the command
/// that closes it, most often a script of tuning/, which can show what it would do and undo what it did.
/// With a configuration it judges by the cores of its workers and looks at its certificates too: what they are for and how long they are good.
/// A warning bounds or slows Ringway; a failure keeps it from running, and makes the exit code 1.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  ringway doctor --tunnels 100000 --backends 8\n  ringway doctor -c ringway.toml --profile low-latency"
)]
pub struct DoctorArgs {
    /// How many tunnels the machine shall carry at one time.
    #[arg(long, default_value_t = 10_000, value_name = "NUMBER")]
    pub tunnels: u32,
    /// How many backends (distinct addresses and ports) share them.
    #[arg(long, default_value_t = 1, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub backends: u32,
    /// How many source addresses tunnels are dialled from.
    #[arg(long, default_value_t = 1, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub source_addresses: u32,
    /// What the machine shall be good at.
    #[arg(long, value_enum, default_value_t)]
    pub profile: Profile,
    /// The configuration, to look at the cores of its workers and at its certificates.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print JSON instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// Prints the findings. `features` is what the ring found when it was probed: a name, whether it is there,
/// and a note; the one named [`RING`] says whether a ring could be made at all, and if not, why. The exit code is 1 if
/// anything fails.
pub fn doctor(
    args: &DoctorArgs,
    features: Vec<(String, bool, String)>,
) -> anyhow::Result<ExitCode> {
    let host = Host::read();
    let wish = args.config.as_deref().map(config::load);
    let cores = match &wish {
        Some(Ok(config)) => &config.workers.cores,
        // What is wrong with the file is said by the look at its certificates.
        _ => &Cores::Auto,
    };
    let scene = Scene {
        host: &host,
        tunnels: args.tunnels.into(),
        backends: args.backends.into(),
        sources: args.source_addresses.into(),
        cores: worker_cores(cores, &host.cpus_allowed),
        tuning: Tuning::found(args.profile),
    };
    let mut findings = examine(&scene);
    findings.push(simd(Kernels::best().name()));
    findings.extend(features.into_iter().map(feature));
    if let Some(file) = &args.config {
        let unix_seconds = i64::try_from(unix_millis() / 1000).unwrap_or(i64::MAX);
        findings.extend(tls::examine(file, unix_seconds));
    }
    let text = if args.json {
        json(&findings)?
    } else {
        table(&findings, &scene.tuning)
    };
    io::stdout()
        .write_all(text.as_bytes())
        .context("cannot print the findings to standard output")?;
    Ok(ExitCode::from(u8::from(fails(&findings))))
}

/// Asks the kernel what its io_uring offers, in the form that [`doctor`] takes.
pub fn probed_features() -> Vec<(String, bool, String)> {
    let row = |name: &str, there, note: &str| (name.to_owned(), there, note.to_owned());
    let features = match Features::probe() {
        Ok(features) => features,
        Err(error) => return vec![row(RING, false, &error.to_string())],
    };
    vec![
        row(RING, true, ""),
        row("incremental buffers", features.incremental, "Linux 6.12"),
        row("receive bundles", features.bundles, "Linux 6.10"),
        row("capped reads", features.capped_receive, "Linux 6.17"),
    ]
}

/// The name of the feature without which nothing works: a ring with the flags that workers ask for.
pub const RING: &str = "io_uring ring";
