//! The command line, and which command it leads to.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::bench::BenchArgs;
use super::demo::DemoArgs;
use super::doctor::DoctorArgs;
use super::echo::EchoArgs;
use super::orders::{DrainArgs, ReloadArgs, UndrainArgs};
use super::plan::PlanArgs;
use super::run::RunArgs;
use super::tail::TailArgs;
use super::top::TopArgs;
use super::tunnels::TunnelsArgs;

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

// A command is described where its arguments are: a line here would hide the longer text there.
#[derive(Debug, Subcommand)]
enum Command {
    Run(RunArgs),
    /// Check a configuration and print every mistake in it.
    ///
    /// Each mistake is one line: file, line, setting, what was expected, what was found. Certificates, keys and what
    /// else TLS goes by are loaded too. The exit code is 1 if there is any mistake. Nothing is started, so whether
    /// addresses are free is not asked.
    #[command(after_help = "Example:\n  ringway check -c ringway.toml")]
    Check {
        /// The configuration.
        #[arg(short, long, default_value = "ringway.toml", value_name = "FILE")]
        config: PathBuf,
    },
    Top(TopArgs),
    Tunnels(TunnelsArgs),
    Tail(TailArgs),
    Drain(DrainArgs),
    Undrain(UndrainArgs),
    Reload(ReloadArgs),
    Demo(DemoArgs),
    Bench(BenchArgs),
    Doctor(DoctorArgs),
    Plan(PlanArgs),
    #[command(hide = true)]
    Echo(EchoArgs),
}

impl Cli {
    /// Does what the command line asks for.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Run(args) => super::run::run(&args),
            Command::Check { config } => super::check(&config),
            Command::Top(args) => super::top::top(&args),
            Command::Tunnels(args) => super::tunnels::tunnels(&args),
            Command::Tail(args) => super::tail::tail(&args),
            Command::Drain(args) => super::orders::drain(&args),
            Command::Undrain(args) => super::orders::undrain(&args),
            Command::Reload(args) => super::orders::reload(&args),
            Command::Demo(args) => super::demo::demo(&args),
            Command::Bench(args) => super::bench::bench(&args).map(|()| ExitCode::SUCCESS),
            Command::Doctor(args) => super::doctor::doctor(&args, super::doctor::probed_features()),
            Command::Plan(args) => super::plan::plan(&args),
            Command::Echo(args) => super::echo::echo(&args).map(|()| ExitCode::SUCCESS),
        }
    }
}
