//! The `ringway` binary: the allocator, and the exit code.
#![expect(
    clippy::print_stderr,
    reason = "an error is told where a person looks for it"
)]

use std::process::ExitCode;

use clap::Parser as _;
use ringway::cli::Cli;

// Workers allocate on one core and free on the same one; mimalloc keeps such pages local and returns
// what an emptied slab held sooner than the system allocator does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("ringway: {error:#}");
            ExitCode::FAILURE
        }
    }
}
