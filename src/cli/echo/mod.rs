//! Echo backends: the fleet behind `ringway demo`, the tests and the benches.
#![expect(
    clippy::print_stdout,
    reason = "the harness reads the addresses from standard output"
)]

mod answers;
mod connection;
mod fleet;
mod frames;

use std::io::{self, Read, Write};
use std::net::SocketAddr;

use anyhow::Context;
pub use fleet::EchoFleet;

/// Runs echo backends until standard input closes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  ringway echo --bind 127.0.0.1:9001 --bind 127.0.0.1:9002 --core 1"
)]
pub struct EchoArgs {
    /// Where a backend listens; repeat it for several backends. Port 0 takes any free port.
    #[arg(long, value_name = "ADDRESS:PORT", required = true)]
    pub bind: Vec<SocketAddr>,
    /// Run on this core alone.
    #[arg(long, value_name = "N")]
    pub core: Option<usize>,
}

/// Runs the backends, names each with its address on standard output, and returns when standard input closes.
pub fn echo(args: &EchoArgs) -> anyhow::Result<()> {
    let names: Vec<String> = (1..=args.bind.len()).map(|n| format!("echo-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let fleet = EchoFleet::start(&names, &args.bind, args.core).with_context(|| {
        format!(
            "starting echo backends on {:?}; are the ports free?",
            args.bind
        )
    })?;
    for (name, address) in names.iter().zip(fleet.addresses()) {
        println!("{name} {address}");
    }
    io::stdout().flush()?;
    wait_for_end_of_input()
}

fn wait_for_end_of_input() -> anyhow::Result<()> {
    let mut ignored = [0; 256];
    loop {
        match io::stdin().read(&mut ignored) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("waiting for standard input to close"),
        }
    }
}
