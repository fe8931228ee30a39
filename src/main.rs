//! The binary: arguments, configuration, wiring, signals. Everything else is in the crates.
//!
//! Invariant: only the binary reads the clock, the environment, files named by a person, and
//! signals. `main` turns the answer into an exit code, and that is all.

mod allocator;
mod bench;
mod cli;
mod clock;
mod commands;
mod config;
mod core_dump;
mod demo;
mod exit;
mod guidance;
mod http;
mod pipeline;
mod telemetry;
mod terminal;
mod upkeep;
mod witness;
mod worker;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::Parser as _;

use cli::Cli;
use exit::Exit;

fn main() -> ExitCode {
    allocator::keep_free_memory();
    core_dump::forbid();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit::of_usage(&error),
    };
    std::panic::set_hook(Box::new(terminal::tell_panic));
    match catch_unwind(AssertUnwindSafe(|| commands::run(cli))) {
        Ok(Ok(exit)) => exit.into(),
        Ok(Err(failure)) => {
            if failure.exit() != Exit::Ok {
                terminal::remark(&format_args!("error: {failure:#}"));
            }
            failure.exit().into()
        }
        // The hook has told it.
        Err(_) => Exit::Software.into(),
    }
}
