//! `ringway run`: the balancer, until a signal takes it down.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use crate::admin;
use crate::config;
use crate::control::{Outcome, Running, Signals};
use crate::sys;

/// Run the balancer.
///
/// SIGTERM or SIGINT takes it down well: it stops accepting, tells both sides of every tunnel goodbye (Close
/// 1001) over the drain time, and exits 0. A second signal exits at once, with 130. SIGHUP reopens the access log and
/// reads the configuration again.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  ringway run -c ringway.toml")]
pub(super) struct RunArgs {
    /// The configuration.
    #[arg(short, long, default_value = "ringway.toml", value_name = "FILE")]
    pub config: PathBuf,
}

/// Runs until it is taken down.
#[expect(
    clippy::print_stderr,
    reason = "an operator reads where it listens and how it went down"
)]
pub(super) fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    start_logging();
    let config = match config::load(&args.config) {
        Ok(config) => config,
        Err(mistakes) => {
            eprintln!("{mistakes}");
            return Ok(ExitCode::FAILURE);
        }
    };
    let running = Running::start_from(
        &config,
        Some(args.config.clone()),
        admin::service(),
        Signals::Heed,
    )
    .with_context(|| format!("cannot start with {}", args.config.display()))?;
    for address in &running.listening {
        eprintln!("listening on {address}");
    }
    eprintln!(
        "workers on cores {:?}, {} receive buffers",
        running.cores,
        running.shape.label()
    );
    if sys::dumps_are_off() {
        eprintln!("core dumps are off: keys of TLS are in memory");
    }
    eprintln!("metrics on http://{}/metrics", running.control);
    let outcome = running.wait();
    eprintln!("{}", farewell(outcome));
    Ok(ExitCode::from(if outcome.at_once { 130 } else { 0 }))
}

/// The one line that says how it went down.
pub(super) fn farewell(outcome: Outcome) -> String {
    if outcome.at_once {
        return "stopped at once by a second signal".to_owned();
    }
    let total = outcome.clean + outcome.cut;
    format!(
        "drained: {} of {total} tunnels closed cleanly, {} cut off",
        outcome.clean, outcome.cut
    )
}

/// Our own words about what goes wrong, on standard error; `RUST_LOG` sets how much of it.
pub(super) fn start_logging() {
    use tracing_subscriber::EnvFilter;
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("ringway=info,warn"));
    // A second logger in one process is a test's doing, and harmless.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .try_init();
}
