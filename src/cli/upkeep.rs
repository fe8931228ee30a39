//! Arguments of `surety lake`.

use clap::{Args, Subcommand};

use super::{LakeArg, ReportFormat};

/// How the lake stands, and what keeps it quick and small: merging files, deleting old ones, days that
/// are not kept.
///
/// `surety run` does all of it by itself, in the background. Nothing of it changes a row, an offset or
/// a seal: `surety verify` holds before and after. Ctrl-C is safe at any time.
#[derive(Debug, Subcommand)]
pub(crate) enum Lake {
    /// Each table: version, files, rows, bytes, log, files that are part of it no more, what was done last.
    #[command(after_help = "Examples:
  surety lake status
  surety lake status --lake s3://audit/surety --format json")]
    Status(LakeStatus),
    /// Merge small files into files of about 128 MiB, sorted for look-ups.
    ///
    /// By hand every small file is merged that a seal names; `surety run` waits until there are several
    /// of a size. The files before stay until a vacuum, for those who read an older version.
    #[command(after_help = "Examples:
  surety lake compact --dry-run
  surety lake compact --table events")]
    Compact(LakeCompact),
    /// Delete the files that no version within the horizon has, and what crashed commits left behind.
    #[command(after_help = "Examples:
  surety lake vacuum --dry-run
  surety lake vacuum --horizon-hours 24      a day is the shortest: readers need their files")]
    Vacuum(LakeVacuum),
    /// Remove the days that [lake.retention] of the configuration does not keep.
    #[command(after_help = "Examples:
  SURETY__LAKE__RETENTION__EVENTS_DAYS=400 surety lake retain --dry-run")]
    Retain(LakeRetain),
}

#[derive(Debug, Args)]
pub(crate) struct LakeStatus {
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
    #[command(flatten)]
    pub(crate) lake: LakeArg,
}

#[derive(Debug, Args)]
pub(crate) struct LakeCompact {
    /// Only this table, such as events; may be given several times [default: all].
    #[arg(long, value_name = "TABLE", value_parser = table)]
    pub(crate) table: Vec<schemas::Table>,
    /// Only say what would be merged.
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
    #[command(flatten)]
    pub(crate) lake: LakeArg,
}

#[derive(Debug, Args)]
pub(crate) struct LakeVacuum {
    /// How long a file stays after it was removed or left behind [default: the configuration's].
    #[arg(long, value_name = "HOURS")]
    pub(crate) horizon_hours: Option<u64>,
    /// Only say what would be deleted.
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
    #[command(flatten)]
    pub(crate) lake: LakeArg,
}

#[derive(Debug, Args)]
pub(crate) struct LakeRetain {
    /// Only say what would be removed.
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
    #[command(flatten)]
    pub(crate) lake: LakeArg,
}

fn table(text: &str) -> Result<schemas::Table, String> {
    let all = schemas::Table::ALL;
    let names = || all.iter().map(|table| table.name()).collect::<Vec<_>>().join(", ");
    let found = all.iter().copied().find(|table| table.name() == text);
    found.ok_or_else(|| format!("wanted one of {}", names()))
}
