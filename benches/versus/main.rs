//! Ringway beside nginx, HAProxy, Envoy and a raw relay: processor time for each message, in interleaved rounds. See README.md.
#![expect(clippy::print_stdout, reason = "the table belongs on standard output")]

mod agent;
mod args;
mod behind;
mod broadcast;
mod case;
mod cases;
mod crowd;
mod death;
#[path = "../floor/mod.rs"]
mod floor;
mod folder;
mod host;
mod inbox;
mod knock;
mod matrix;
mod metric;
mod mortal;
mod page;
mod papers;
mod pin;
mod plan;
mod plot;
mod proxy;
mod readme;
mod reload;
mod remote;
mod report;
mod round;
mod run;
mod sample;
mod server;
mod station;
mod stats;
mod storm;
mod upheaval;
mod usage;

use std::fs;
use std::path::Path;

use anyhow::Context;
use clap::Parser;

use crate::args::Args;
use crate::folder::Folder;

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
    if let Some(post) = args.post()? {
        return agent::serve(&plan::ground(&args)?, &post);
    }
    let (folder, report) = if let Some(path) = &args.render {
        let folder = Folder::make(path.clone())?;
        let report = folder.read()?;
        folder.save(&report)?;
        (folder, report)
    } else {
        let folder = Folder::make(args.out())?;
        let report = run::run(&args, &folder)?;
        (folder, report)
    };
    if args.table {
        let table = readme::table(&report);
        println!("{table}");
        if args.write {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
            let text = fs::read_to_string(&path).context("reading README.md")?;
            fs::write(&path, readme::replaced(&text, &table)?).context("writing README.md")?;
        }
    } else {
        let page = page::page(&report, &[]);
        println!(
            "{}",
            page.split("\n## Configurations").next().unwrap_or_default()
        );
    }
    println!("written to {}", folder.path().display());
    Ok(())
}
