//! The command line, and which command it leads to.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::bench::BenchArgs;
use super::demo::DemoArgs;
use super::doctor::DoctorArgs;
use super::echo::EchoArgs;
use super::run::RunArgs;

/// A WebSocket-first load balancer for bare-metal Linux.
#[derive(Debug, Parser)]
#[command(
    name = "ringway",
    version,
    max_term_width = 100,
    after_help = "Start with: ringway demo"
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the balancer.
    Run(RunArgs),
    /// Check a configuration and print every mistake in it.
    #[command(after_help = "Example:\n  ringway check -c ringway.toml")]
    Check {
        /// The file.
        #[arg(short, long, default_value = "ringway.toml", value_name = "FILE")]
        config: PathBuf,
    },
    /// Start three small backends and the balancer in front of them.
    Demo(DemoArgs),
    /// Load a WebSocket server, this one or another, and report honestly.
    Bench(BenchArgs),
    /// Check this machine and say how to fix what is missing.
    Doctor(DoctorArgs),
    /// Run echo backends until standard input ends; for benchmarks.
    #[command(hide = true)]
    Echo(EchoArgs),
}

impl Cli {
    /// Does what the command line asks for.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Run(args) => super::run::run(&args),
            Command::Check { config } => super::check(&config),
            Command::Demo(args) => super::demo::demo(&args),
            Command::Bench(args) => super::bench::bench(&args).map(|()| ExitCode::SUCCESS),
            Command::Doctor(args) => super::doctor::doctor(&args, super::doctor::probed_features()),
            Command::Echo(args) => super::echo::echo(&args).map(|()| ExitCode::SUCCESS),
        }
    }
}
