//! `ringway demo`: three backends that say who they are, and the balancer in front; nothing else needed.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use super::echo::EchoFleet;
use super::run::{farewell, start_logging};
use crate::admin;
use crate::config::{AccessLog, Config};
use crate::control::{Running, Signals};

/// Start three small backends and the balancer in front of them.
///
/// The backends echo what they get and say who they are; the balancer takes turns among them. Open the page
/// it prints in a browser, or use any WebSocket client.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  ringway demo --bind 127.0.0.1:8080")]
pub(super) struct DemoArgs {
    /// Where the balancer listens.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    pub bind: SocketAddr,
    /// Where its metrics are.
    #[arg(long, default_value = "127.0.0.1:9090", value_name = "ADDRESS")]
    pub control: SocketAddr,
    /// Print a line of JSON for each tunnel that ends.
    #[arg(long)]
    pub access_log: bool,
}

/// Runs until Ctrl-C.
#[expect(
    clippy::print_stdout,
    reason = "what to try next is what the command is asked for"
)]
pub(super) fn demo(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    start_logging();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let fleet = EchoFleet::start(&["anna", "ben", "cleo"], &[any; 3], None)
        .context("cannot start the demo's backends on 127.0.0.1")?;
    let mut config = Config::for_demo(args.bind, args.control, fleet.addresses());
    config.control.access_log = if args.access_log {
        AccessLog::Stdout
    } else {
        AccessLog::Off
    };
    config.drain.time = std::time::Duration::from_millis(200);
    config.drain.deadline = std::time::Duration::from_secs(3);
    let running = Running::start(&config, admin::service(), Signals::Heed)
        .context("cannot start the demo; another address can be given with --bind and --control")?;
    let (listening, control) = (running.listening[0], running.control);
    // As it was called: after `cargo run` there is no `ringway` on the path.
    let program = std::env::args()
        .next()
        .unwrap_or_else(|| "ringway".to_owned());
    println!(
        "\nRingway balances three echo backends (anna, ben, cleo).\n\n\
         \x20 In a browser        http://{listening}/\n\
         \x20 With any client     ws://{listening}/ws        (echoes what it gets)\n\
         \x20                     ws://{listening}/ws/hello  (says first which backend it is)\n\
         \x20                     ws://{listening}/inspected (messages are looked into, silent clients pinged)\n\
         \x20 Load                {program} bench ws://{listening}/ws --tunnels 64 --duration 5\n\
         \x20 Backends, live      {program} top --control {control}\n\
         \x20 Metrics             curl http://{control}/metrics\n\
         \x20 Your own fleet      {program} check -c examples/ringway.toml\n\n\
         Ctrl-C takes it down well.\n"
    );
    let outcome = running.wait();
    println!("{}", farewell(outcome));
    Ok(ExitCode::from(if outcome.at_once { 130 } else { 0 }))
}
