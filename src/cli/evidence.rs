//! The arguments of what is evidence for others: `surety report` and `surety posture`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use schemas::Timestamp;

use super::{LakeArg, ReportFormat};

/// Write an evidence pack: a zip with a report for people, the rows, the SQL, and the proof that no row
/// was changed.
///
/// The same range of the same lake gives the same bytes on any machine. A pack is verified without the
/// lake by `surety verify PACK.zip`; docs/report.md says what is in it. The report is HTML that prints
/// to PDF.
#[derive(Debug, Subcommand)]
pub(crate) enum Report {
    /// What was done in the name of one sponsor.
    #[command(after_help = "Examples:
  surety report sponsor s.meyer --from 2026-03-01 --to 2026-04-01
  surety report sponsor s.meyer --from 2026-03-01 --to 2026-04-01 --out meyer.zip --lake s3://audit/surety")]
    Sponsor(ReportOf),
    /// What one agent did, and who answered for it.
    #[command(after_help = "Examples:
  surety report agent procurement-agent-3 --from 2026-03-01 --to 2026-03-08T12:00:00Z")]
    Agent(ReportOf),
    /// How much of what all agents did leads to a sponsor.
    #[command(after_help = "Examples:
  surety report coverage --from 2026-01-01 --to 2026-04-01 --out q1.zip")]
    Coverage(ReportArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ReportOf {
    /// The sponsor's or agent's id.
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// The first moment: a day (its begin, UTC) or an RFC 3339 time.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) from: Timestamp,
    /// The end, which is not in the report any more.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) to: Timestamp,
    /// Where the pack is written [default: named after what it is about, in this folder].
    #[arg(long, value_name = "FILE.zip")]
    pub(crate) out: Option<PathBuf>,
    /// The public key of the lake's seals [default: that of this machine's state].
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// Print what was written as a table or as JSON.
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
    #[command(flatten)]
    pub(crate) lake: LakeArg,
}

/// How well this company's agents are owned: the seven figures of the surveys, live from the lake.
///
/// Traceable share, inventory, static keys, passwords, shared accounts, confidence of traces, agents
/// without a removal policy. docs/report.md says how each is counted.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  surety posture
  surety posture --format json          each figure with numerator, denominator and its SQL")]
pub(crate) struct Posture {
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
    #[command(flatten)]
    pub(crate) lake: LakeArg,
}

/// A day or a time.
fn moment(text: &str) -> Result<Timestamp, String> {
    let time = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    Timestamp::parse(&time).map_err(|error| format!("{error}, or a day such as 2026-03-01"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_its_begin_in_utc() {
        let day = moment("2026-03-01").unwrap();

        assert_eq!(day, moment("2026-03-01T02:00:00+02:00").unwrap());
        for wrong in ["", "march", "2026-3-1", "2026-02-30"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }
}
