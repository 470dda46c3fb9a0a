//! A WebSocket load generator, fit for anyone's echo server.
#![expect(clippy::print_stdout, reason = "the report belongs on standard output")]

mod args;
mod churn;
mod crew;
mod dial;
mod driver;
mod failure;
mod frames;
mod inbound;
mod line;
mod options;
mod processor;
mod progress;
mod report;
mod schedule;
mod signals;
mod stamp;
mod subject;
mod tally;
mod target;
mod tls;
mod tunnel;

pub use args::BenchArgs;
pub use crew::run;
pub use failure::Errors;
pub use options::{Mode, Options, Text, Trust};
pub use report::{Latency, Processor, Report, Watched};
pub use subject::{Subject, Usage};
pub use tally::Shaken;

/// Runs `ringway bench`: loads the server and prints the report.
pub fn bench(args: &BenchArgs) -> anyhow::Result<()> {
    let report = run(&args.options())?;
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        println!("{report}");
    }
    Ok(())
}
