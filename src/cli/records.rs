//! The arguments of what reads records: `surety replay`, `surety normalize`, `surety rejects`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use schemas::{Format, RejectReason, Timestamp};

use super::{LakeArg, OutputFormat, ReportFormat};

/// Read a file of records (JSON Lines, plain or gzip) into the lake, with detection.
///
/// The file's content and format decide its name in the lake, so replaying the same file adds nothing,
/// under whatever name. Findings go to the lake, and to the configured webhooks only with --webhooks:
/// most files tell of days that are over. Exits with 65 when the file ends in the middle of a record;
/// what could be read is in the lake then.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  surety replay trail.jsonl.gz --format cloudtrail
  surety replay uses.jsonl --format native --lake s3://audit/surety
  surety replay today.jsonl --webhooks -c surety.toml")]
pub(crate) struct Replay {
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) format: FormatArg,
    /// Print the outcome as a table or as JSON.
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) output: ReportFormat,
    /// Deliver the findings to the configured webhooks, and wait up to a minute for them. What is not
    /// delivered by then stays in the outbox for the next `surety run` on this lake.
    #[arg(long)]
    pub(crate) webhooks: bool,
    #[command(flatten)]
    pub(crate) lake: LakeArg,
}

/// How records are read.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct FormatArg {
    /// The records' format: native, cloudtrail, kubernetes, gcp, okta, entra, github, vault, teleport,
    /// anthropic, openai, ocsf, otel, mcp, cloudevents, or the name of a [[formats]] in the
    /// configuration.
    #[arg(long, value_name = "NAME", default_value = "native", value_parser = record_format)]
    pub(crate) format: Format,
}

/// Show what becomes of each record of a file: its event, or why it is a reject and where; and of each
/// of several that stand in one record.
///
/// Writes nothing to any lake. For trying a format, and for writing a [[formats]] of one's own. Secrets
/// are replaced in the input that is shown as they are in the event. Exits with 1 if any record is a
/// reject, so that a test of a mapping can be a line in a script.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  surety normalize trail.jsonl.gz --format cloudtrail --limit 3
  kcat -C -t gateway -c 10 -e | surety normalize - --format acme -c surety.toml
  surety normalize sample.jsonl --format acme --output json | jq .event.action
  surety normalize sample.jsonl --format acme --rejects-only")]
pub(crate) struct Normalize {
    /// JSON Lines, a JSON array or CloudTrail's object around one, plain or gzip; - is standard input.
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) format: FormatArg,
    /// Text for people, or one JSON object a record.
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) output: ReportFormat,
    /// Stop after so many records.
    #[arg(long, value_name = "COUNT")]
    pub(crate) limit: Option<u64>,
    /// Show only what is a reject.
    #[arg(long)]
    pub(crate) rejects_only: bool,
    /// The time that each record is taken to have in Kafka; a file has none.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) kafka_time: Option<Timestamp>,
}

/// Records that could not become events: which, why, and what to do about it.
#[derive(Debug, Subcommand)]
pub(crate) enum Rejects {
    /// Count them by reason, format and topic, with an example of each and what to do.
    #[command(after_help = "Examples:
  surety rejects list
  surety rejects list --reason bad_field --since 2026-03-01T00:00:00Z
  surety rejects list --all --format json

The rows themselves: surety sql \"SELECT * FROM open_rejects LIMIT 10\"")]
    List(RejectsList),
    /// Read them again, after a fix, and put those that are events now into the lake, each once.
    ///
    /// What is read is what the lake has kept: up to 16 KiB of each record, secrets replaced. A record
    /// that was longer stays a reject. A reject whose event is in the lake is not open any more; doing
    /// this again adds nothing, nor do two at once, nor does it matter whether `surety run` is running.
    #[command(after_help = "Examples:
  surety rejects replay
  surety rejects replay --reason bad_field --topic gateway
  surety rejects replay --topic gateway --as acme -c surety.toml      they were read in a wrong format
  surety rejects replay --dry-run")]
    Replay(RejectsReplay),
}

/// Which rejects.
#[derive(Clone, Debug, Args)]
pub(crate) struct RejectsWhich {
    /// Only of this reason, such as `bad_field` or `not_json`.
    #[arg(long, value_name = "REASON", value_parser = reason)]
    pub(crate) reason: Option<RejectReason>,
    /// Only of this topic.
    #[arg(long, value_name = "TOPIC")]
    pub(crate) topic: Option<String>,
    /// Only those rejected at this time or later.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) since: Option<Timestamp>,
    /// Only those rejected before this time.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) until: Option<Timestamp>,
}

#[derive(Debug, Args)]
pub(crate) struct RejectsList {
    #[command(flatten)]
    pub(crate) which: RejectsWhich,
    /// Also those that were read again and are events now.
    #[arg(long)]
    pub(crate) all: bool,
    /// Show at most so many kinds of rejects, the most frequent first.
    #[arg(long, default_value_t = 50, value_name = "COUNT")]
    pub(crate) limit: u32,
    #[arg(long, value_enum, default_value_t = OutputFormat::Table)]
    pub(crate) format: OutputFormat,
    #[command(flatten)]
    pub(crate) lake: LakeArg,
}

#[derive(Debug, Args)]
pub(crate) struct RejectsReplay {
    #[command(flatten)]
    pub(crate) which: RejectsWhich,
    /// Read them in this format instead of the one they were read in.
    #[arg(long = "as", value_name = "FORMAT", value_parser = record_format)]
    pub(crate) read_as: Option<Format>,
    /// Only say what would become of them.
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
    #[command(flatten)]
    pub(crate) lake: LakeArg,
}

fn record_format(text: &str) -> Result<Format, String> {
    let wanted = "wanted a format of docs/formats.md or the name of a [[formats]]";
    Format::parse(text).ok_or_else(|| wanted.to_owned())
}

fn reason(text: &str) -> Result<RejectReason, String> {
    let names = || RejectReason::ALL.iter().map(|one| one.as_str()).collect::<Vec<_>>().join(", ");
    RejectReason::parse(text).ok_or_else(|| format!("wanted one of {}", names()))
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).map_err(|error| error.to_string())
}
