//! The arguments of `surety registry`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{LakeArg, ReportFormat};

/// What is known of agents, sponsors and credentials.
#[derive(Debug, Subcommand)]
pub(crate) enum Registry {
    /// Import registry changes from a file (JSON, JSON Lines, CSV): all lines or none.
    #[command(after_help = "Examples:
  surety registry import agents.csv
  surety registry import changes.jsonl --lake ./surety-data --format json")]
    Import(Import),
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    pub(crate) file: PathBuf,
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
    #[command(flatten)]
    pub(crate) lake: LakeArg,
}
