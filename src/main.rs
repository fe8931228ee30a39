//! The binary: arguments, configuration, wiring, signals. Everything else is in the crates.
//!
//! Invariant: only the binary reads the clock, the environment, files named by a person, and
//! signals. `main` turns the answer into an exit code, and that is all.

mod bench;
mod cli;
mod clock;
mod commands;
mod config;
mod demo;
mod exit;
mod http;
mod pipeline;
mod telemetry;

use std::process::ExitCode;

use clap::Parser as _;

use cli::Cli;
use exit::Failure;

/// Arrow's and the parsers' many short allocations cost half as much here as in glibc.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[expect(clippy::print_stderr, reason = "the one place that tells the terminal why we failed")]
fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit::of_usage(&error),
    };
    match commands::run(cli) {
        Ok(exit) => exit.into(),
        Err(failure) if failure.is_broken_pipe() => exit::Exit::Ok.into(),
        Err(failure) => {
            eprintln!("error: {failure:#}");
            Failure::exit(&failure).into()
        }
    }
}
