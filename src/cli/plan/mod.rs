//! `ringway plan`: what a load needs of a host, where this one falls short, and the settings for it.

mod args;
mod costs;
mod files;
mod merge;
mod reckon;
mod report;
mod shortfall;
mod sum;
#[cfg(test)]
mod tests;
mod wish;

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use serde::Serialize;

pub use args::PlanArgs;
pub(super) use costs::{broadcast_bytes, idle_bytes};
pub use wish::TlsSides;

use crate::cli::doctor::{Script, Tuning};
use crate::config;
use crate::sys::host::Host;
use files::{Written, files, write};
use reckon::{Need, reckon};
use shortfall::{Shortfall, shortfalls};
use wish::Wish;

/// All that is printed with `--json`.
#[derive(Debug, Serialize)]
struct Plan {
    wish: Wish,
    need: Need,
    shortfalls: Vec<Shortfall>,
    /// The commands that tune a host for it.
    tuning: Vec<String>,
    settings: Vec<Written>,
}

/// Prints the plan, and writes its settings if that is asked for. Falling short is no failure: the plan may be for another
/// host.
pub fn plan(args: &PlanArgs) -> anyhow::Result<ExitCode> {
    let config = args.configuration()?;
    let wish = args.wish(config.as_ref());
    let need = reckon(&wish);
    let tuning = Tuning::found(args.profile);
    let plan = Plan {
        shortfalls: shortfalls(&Host::read(), &wish, &need, &tuning),
        tuning: commands(&tuning, wish.tunnels),
        settings: settings(args, &wish, &need)?,
        wish,
        need,
    };
    let mut text = if args.json {
        serde_json::to_string_pretty(&plan)? + "\n"
    } else {
        in_words(&plan)
    };
    if let Some(folder) = &args.output {
        if folder.as_os_str() != "-" {
            write(folder, &plan.settings, args.force)?;
        }
        if !args.json {
            text += &of_settings(folder, &plan.settings);
        }
    }
    io::stdout()
        .write_all(text.as_bytes())
        .context("cannot print the plan to standard output")?;
    Ok(ExitCode::SUCCESS)
}

/// The files, once what Ringway reads of them has been read as `ringway check` does.
fn settings(args: &PlanArgs, wish: &Wish, need: &Need) -> anyhow::Result<Vec<Written>> {
    let given = match &args.config {
        None => None,
        Some(file) => {
            Some(std::fs::read_to_string(file).context("reading the configuration again")?)
        }
    };
    let ports = format!("{} {}", args.ports.start(), args.ports.end());
    let files = files(wish, need, &ports, given.as_deref());
    // Files that a configuration names are looked for where it stands.
    let folder = args.config.as_deref().and_then(Path::parent);
    let [configuration, ..] = &files[..] else {
        return Ok(files);
    };
    config::parse_beside(folder.unwrap_or(Path::new("")), "the planned configuration", &configuration.text)
        .map_err(|mistakes| anyhow::anyhow!("{mistakes}"))
        .context("the plan's workers cannot be put into it: write [workers] as a section with `cores` on one line")?;
    Ok(files)
}

/// First what would be done, then to do it.
fn commands(tuning: &Tuning, tunnels: u64) -> Vec<String> {
    let apply = tuning.apply_for(Script::All, tunnels);
    vec![format!("{apply} --dry-run"), apply]
}

fn in_words(plan: &Plan) -> String {
    let mut text = report::report(&plan.wish, &plan.need);
    text += &report::shortfalls_text(&plan.shortfalls);
    text += "\nTo tune the host:\n";
    for command in &plan.tuning {
        // Writing to a String never fails.
        let _ = writeln!(text, "  {command}");
    }
    text
}

/// What was written, or the files themselves.
fn of_settings(folder: &Path, settings: &[Written]) -> String {
    let mut text = String::new();
    if folder.as_os_str() == "-" {
        for file in settings {
            let _ = write!(text, "\n# --- {}\n{}", file.name, file.text);
        }
    } else {
        text += "\nWritten; each says in its first line where it belongs:\n";
        for file in settings {
            let _ = writeln!(text, "  {}", folder.join(file.name).display());
        }
    }
    text
}
