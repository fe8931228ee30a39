//! The arguments of `surety registry`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use ingest::RegistryFormat;

use super::{LakeArg, ReportFormat};

/// What is known of agents, sponsors and credentials.
#[derive(Debug, Subcommand)]
pub(crate) enum Registry {
    /// Import a file of registry changes (CSV, JSON, JSON Lines, YAML) or of an agent directory (SCIM): all
    /// of it or nothing, and every line that is wrong is named.
    #[command(after_help = "Examples:
  surety registry import agents.csv
  surety registry import people.yaml
  surety registry import changes.jsonl --lake ./surety-data --format json
  curl -s \"$SCIM/Users?count=1000\" > directory.json && curl -s \"$SCIM/Agents?count=1000\" >> directory.json
  surety registry import directory.json     users and agents in one go, so that owners have their names

A list in YAML:
  - {schema: surety.registry_change.v1, kind: sponsor, sponsor_id: anna, active: true,
     valid_from: 2026-01-01T00:00:00Z}
  - schema: surety.registry_change.v1
    kind: agent
    agent_id: buyer-1
    sponsor_id: anna
    valid_from: 2026-01-01T00:00:00Z

The name and the first characters tell the format; --file-format overrides both.")]
    Import(Import),
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    pub(crate) file: PathBuf,
    /// How the file tells its changes [default: by its name and its first characters].
    #[arg(long, value_enum)]
    pub(crate) file_format: Option<FileFormat>,
    /// Print the outcome as a table or as JSON.
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
    #[command(flatten)]
    pub(crate) lake: LakeArg,
}

/// [`RegistryFormat`], as it is spelled on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FileFormat {
    /// A header that names the fields, one change a line.
    Csv,
    /// Changes as JSON: a list, or one a line.
    Json,
    /// Changes as YAML: a list, or a stream of documents.
    Yaml,
    /// Users and agents of a directory (RFC 7643): list responses, lists, or resources.
    Scim,
}

impl From<FileFormat> for RegistryFormat {
    fn from(format: FileFormat) -> Self {
        match format {
            FileFormat::Csv => Self::Csv,
            FileFormat::Json => Self::Json,
            FileFormat::Yaml => Self::Yaml,
            FileFormat::Scim => Self::Scim,
        }
    }
}
