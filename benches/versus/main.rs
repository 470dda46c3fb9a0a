//! Ringway beside nginx, HAProxy, Envoy and a raw relay: processor time for each message, in interleaved pairs. See README.md.
#![expect(clippy::print_stdout, reason = "the table belongs on standard output")]

mod args;
mod case;
mod duel;
#[path = "../floor/mod.rs"]
mod floor;
mod host;
mod markdown;
mod papers;
mod proxy;
mod report;
mod sample;
mod server;
mod storm;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Parser;
use ringway::clock::Now;
use ringway::sys::proc::{Limit, Resource};

use crate::args::Args;
use crate::duel::Ground;
use crate::host::Host;
use crate::papers::Papers;
use crate::proxy::{Level, Proxy, Shape};
use crate::report::Report;

fn main() -> anyhow::Result<()> {
    if proxy::floor::ran()? {
        return Ok(());
    }
    let args = Args::parse();
    if !args.is_wanted() {
        println!(
            "versus: nothing to do here; run it with `cargo versus`, see benches/versus/README.md"
        );
        return Ok(());
    }
    let ground = ground(&args)?;
    let duels = duels(&args)?;
    let versions = duels.iter().flatten().map(Proxy::described);
    let mut report = Report::new(Host::read(), versions.collect());
    if args.tls {
        let settings = duels.iter().flatten().map(Proxy::tls_settings);
        report.tls_settings = settings.collect();
    }
    let (json, markdown) = outputs(&args);
    let mut reference_rate = None;
    for case in args.cases()? {
        for [ours, peer] in &duels {
            if ground.is_over() {
                report.notes.push(format!(
                    "{}, {} against {}: no time left",
                    case.name, ours.name, peer.name
                ));
                continue;
            }
            let rate = match case.percent() {
                None => None,
                // The first peer's limit sets the rate for all, so that their latencies stand beside each other.
                Some(percent) => {
                    if reference_rate.is_none() {
                        reference_rate = Some(ground.saturation(&duels[0][1])?);
                        report
                            .notes
                            .extend(reference_rate.map(|rate| said(&duels[0][1], rate)));
                    }
                    reference_rate.map(|rate| rate / 100.0 * f64::from(percent))
                }
            };
            let outcome = ground.fight(&case, (ours, peer), rate);
            report.take(outcome);
            // Written after every row, so that a run which is cut short has not been for nothing.
            save(&json, &serde_json::to_string_pretty(&report)?)?;
            save(&markdown, &markdown::page(&report))?;
        }
    }
    report.host.load_after = host::load();
    save(&json, &serde_json::to_string_pretty(&report)?)?;
    println!("{}", markdown::page(&report));
    println!("written to {} and {}", json.display(), markdown.display());
    Ok(())
}

fn said(peer: &Proxy, rate: f64) -> String {
    format!(
        "The latency rates are shares of {rate:.0} messages/s, the most that 64 tunnels got through {}.",
        peer.name
    )
}

/// The cores and limits that hold for every fight.
fn ground(args: &Args) -> anyhow::Result<Ground> {
    let files = Limit::raise_to_hard(Resource::Files).context("raising the limit of open files")?;
    ensure!(
        args.proxy_core != args.load_core,
        "--proxy-core and --load-core must differ: the proxy would be measured against its own load"
    );
    Ok(Ground {
        proxy_core: args.proxy_core,
        load_core: args.load_core,
        files: files
            .soft
            .unwrap_or(FILES_WITHOUT_LIMIT)
            .min(FILES_WITHOUT_LIMIT),
        pairs: args.pairs(),
        measured: args.seconds(),
        warmup: args.warmup(),
        papers: if args.tls {
            Some(Papers::make()?)
        } else {
            None
        },
        until: Now::read().after(Duration::from_secs(60 * args.minutes_max)),
    })
}

/// Who stands against whom: Ringway against its peers, one shape of its receive buffers against the others, or each
/// level that looks into frames against the one that does not.
fn duels(args: &Args) -> anyhow::Result<Vec<[Proxy; 2]>> {
    if args.shapes {
        let [first, others @ ..] = Shape::FIXED.map(|shape| Proxy::ringway(shape, Level::Headers));
        return Ok(others.map(|peer| [first.clone(), peer]).to_vec());
    }
    let ours = Proxy::ringway(args.shape(), Level::Headers);
    if args.levels {
        let looking = Level::LOOKING.map(|level| Proxy::ringway(args.shape(), level));
        return Ok(looking.map(|level| [level, ours.clone()]).to_vec());
    }
    let mut duels = Vec::new();
    for kind in args.peers() {
        if args.tls && !kind.speaks_tls() {
            println!("skipped: {kind:?} has no TLS here");
            continue;
        }
        match Proxy::find(kind) {
            Ok(peer) => duels.push([ours.clone(), peer]),
            Err(why) => println!("skipped: {why}"),
        }
    }
    ensure!(
        !duels.is_empty(),
        "no peer is installed; try `apt-get install nginx-light haproxy`"
    );
    Ok(duels)
}

fn outputs(args: &Args) -> (PathBuf, PathBuf) {
    let stem = match (args.shapes, args.levels, args.tls) {
        (true, ..) => "shapes",
        (_, true, _) => "levels",
        (_, _, true) => "tls",
        _ => "versus",
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/versus/out");
    let or_default = |given: &Option<PathBuf>, ending: &str| {
        given
            .clone()
            .unwrap_or_else(|| folder.join(format!("{stem}.{ending}")))
    };
    (
        or_default(&args.json, "json"),
        or_default(&args.markdown, "md"),
    )
}

fn save(path: &Path, text: &str) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    }
    fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

/// More files than any case needs, for machines that set no limit.
const FILES_WITHOUT_LIMIT: u64 = 1 << 20;
