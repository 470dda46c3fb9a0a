//! `ringway drain`, `undrain` and `reload`: an order to a running Ringway, and what came of it in one line.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde::Deserialize;

use super::remote::{Remote, RemoteArgs, escaped};
use crate::control::BackendRow;

/// Send no new tunnels to one backend of a running Ringway.
///
/// Its open tunnels end as the pool's `on_drain` says; with `keep` they live on until they end by themselves. The order
/// holds until it is taken back with `ringway undrain`, over reloads too, and ends with the process. The exit code
/// is 0 if it was carried out.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  ringway drain chat 10.0.0.11:9000")]
pub(super) struct DrainArgs {
    #[command(flatten)]
    backend: BackendArgs,
}

/// Let a drained backend of a running Ringway have new tunnels again.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  ringway undrain chat 10.0.0.11:9000")]
pub(super) struct UndrainArgs {
    #[command(flatten)]
    backend: BackendArgs,
}

/// Let a running Ringway read its configuration again.
///
/// A file with mistakes changes nothing: they are printed and the exit code is 1. Settings that hold only after a
/// restart are named.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  ringway reload --control 127.0.0.1:9090")]
pub(super) struct ReloadArgs {
    #[command(flatten)]
    remote: RemoteArgs,
}

/// Which backend is meant.
#[derive(Debug, Clone, Args)]
struct BackendArgs {
    /// Its pool.
    pool: String,
    /// Its name, as `ringway top` shows it.
    backend: String,
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(super) fn drain(args: &DrainArgs) -> anyhow::Result<ExitCode> {
    order(&args.backend, "drain")
}

pub(super) fn undrain(args: &UndrainArgs) -> anyhow::Result<ExitCode> {
    order(&args.backend, "undrain")
}

#[expect(
    clippy::print_stdout,
    reason = "what came of the order is what the command is asked for"
)]
fn order(args: &BackendArgs, order: &str) -> anyhow::Result<ExitCode> {
    let remote = Remote::new(&args.remote)?;
    let (pool, backend) = (escaped(&args.pool), escaped(&args.backend));
    let body = remote
        .post(&format!("/backends/{pool}/{backend}/{order}"))?
        .good()?;
    let row: BackendRow =
        serde_json::from_str(&body).context("it answered something else than a backend")?;
    println!("{}", said(&row));
    Ok(ExitCode::SUCCESS)
}

fn said(row: &BackendRow) -> String {
    let plural = if row.established == 1 { "" } else { "s" };
    format!(
        "{} {}: {}, {} tunnel{plural} open",
        row.pool, row.backend, row.state, row.established
    )
}

/// The answer to a reload.
#[derive(Deserialize)]
struct Reloaded {
    needs_restart: Vec<String>,
}

#[expect(
    clippy::print_stdout,
    reason = "what came of the order is what the command is asked for"
)]
pub(super) fn reload(args: &ReloadArgs) -> anyhow::Result<ExitCode> {
    let remote = Remote::new(&args.remote)?;
    let body = remote.post("/reload")?.good()?;
    let Reloaded { needs_restart } =
        serde_json::from_str(&body).context("it answered something else than a reload")?;
    if needs_restart.is_empty() {
        println!("reloaded");
    } else {
        let which = needs_restart.join(", ");
        println!("reloaded, but changes of {which} hold only after a restart");
    }
    Ok(ExitCode::SUCCESS)
}
