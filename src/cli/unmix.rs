//! The arguments of `surety unmix` and of its measurement, `surety bench unmix`.

use clap::Args;
use schemas::{CredentialId, Timestamp};

use super::{LakeArg, OutputFormat, ReportFormat};

/// Split the uses of a shared credential into its users, by what the uses have in common.
///
/// Looks at address, user agent, actions, pace, hour and session, never at the agent ids; these and the
/// registry only give the users their names and sponsors. docs/sql.md says how well that works. Exits
/// with 1 when there is more than one user.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  surety unmix svc-erp-purchasing
  surety unmix svc-erp-purchasing --from 2026-03-01T00:00:00Z --format json
  surety unmix svc-erp-purchasing --format csv > who-made-each-event.csv

table and json show the users and who may use the credential by the registry; the other formats have one
row for each event with its likeliest user. SELECT * FROM shared_credentials lists what to ask about.")]
pub(crate) struct Unmix {
    #[arg(value_name = "CREDENTIAL", value_parser = credential)]
    pub(crate) credential: CredentialId,
    /// Only events from then on.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) from: Option<Timestamp>,
    /// Only events before then.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) to: Option<Timestamp>,
    #[arg(long, value_enum, default_value_t = OutputFormat::Table)]
    pub(crate) format: OutputFormat,
    #[command(flatten)]
    pub(crate) lake: LakeArg,
}

#[derive(Debug, Args)]
pub(crate) struct BenchUnmix {
    /// Companies, with the seeds from 1.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) seeds: u32,
    #[arg(long, default_value_t = 250, value_parser = clap::value_parser!(u32).range(20..=10_000))]
    pub(crate) agents: u32,
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=366))]
    pub(crate) days: u32,
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
}

fn credential(text: &str) -> Result<CredentialId, String> {
    CredentialId::try_from(text).map_err(|error| error.to_string())
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).map_err(|error| error.to_string())
}
