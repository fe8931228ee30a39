//! The arguments, and the help that teaches them.
//!
//! Invariant: what was typed, and nothing of what it means: defaults that depend on the
//! configuration are resolved in `commands.rs`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Watches what AI agents do with their credentials, and names the human who answers for it.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 100, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Configuration file; `surety.toml` in this folder if it is there.
    #[arg(short, long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// How much is logged to stderr: error, warn, info, debug, or a filter such as `info,ingest=debug`.
    #[arg(long, global = true, value_name = "FILTER")]
    pub(crate) log: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  surety demo                                   watch a compromised agent being caught
  surety run -c surety.toml                     ingest from Kafka, detect, deliver webhooks
  surety replay trail.jsonl.gz --format cloudtrail
  surety sql \"SELECT * FROM agents ORDER BY last_seen DESC LIMIT 10\"
  surety trace evt-7f3a91                       who answers for this event

Exit codes: 0 fine, 1 bad news (a trace with a gap), 64 wrong arguments, 65 bad data,
69 Kafka, storage or network unavailable, 70 a bug of ours, 78 wrong configuration.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(Demo),
    Run(Run),
    Replay(Replay),
    Sql(Sql),
    Trace(Trace),
    Agents(Agents),
    #[command(subcommand)]
    Registry(Registry),
    Simulate(Simulate),
    #[command(subcommand)]
    Bench(Bench),
    #[command(subcommand)]
    Config(Config),
}

/// Where the lake is.
#[derive(Clone, Debug, Args)]
pub(crate) struct LakeArg {
    /// The lake: a folder or an s3://, gs:// or az:// URL [default: the configuration's, else ./surety-data].
    #[arg(long, value_name = "PATH-OR-URL")]
    pub(crate) lake: Option<String>,
}

/// Play the whole pipe in one process: 30 days of a company's agents, then a procurement fraud.
///
/// Needs nothing else running: librdkafka's in-process broker stands in for Kafka; the rest is the
/// real thing through real sockets. Leaves a lake behind to ask questions of.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  surety demo
  surety demo --once --format json      for scripts: no terminal, one JSON object
  surety demo --seed 7 --agents 400     another company")]
pub(crate) struct Demo {
    /// Folder of the lake that is left behind. An earlier demo's lake there is replaced.
    #[arg(long, value_name = "PATH", default_value = "surety-demo")]
    pub(crate) lake: String,
    /// The company's seed: the same seed is the same company.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Agents in the company.
    #[arg(long, default_value_t = 250, value_parser = clap::value_parser!(u32).range(50..=100_000))]
    pub(crate) agents: u32,
    /// Days of history before the attack.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(8..=365))]
    pub(crate) days: u32,
    /// How much faster than real time the attack is played.
    #[arg(long, default_value_t = 120.0, value_name = "TIMES")]
    pub(crate) speed: f64,
    /// Play once without a terminal: no colours, no progress bar.
    #[arg(long)]
    pub(crate) once: bool,
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
}

/// Ingest from Kafka, detect, deliver webhooks and commit to the lake, until SIGTERM or Ctrl-C.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  surety run -c surety.toml
  SURETY__KAFKA__BOOTSTRAP_SERVERS=kafka:9092 surety run
  curl localhost:9464/metrics           Prometheus text; also /healthz and /readyz")]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) lake: LakeArg,
}

/// Read a file of records (JSON Lines, plain or gzip) into the lake, with detection.
///
/// The file's content decides its name in the lake, so replaying the same file adds nothing.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  surety replay trail.jsonl.gz --format cloudtrail
  surety replay uses.jsonl --format native --lake s3://audit/surety")]
pub(crate) struct Replay {
    pub(crate) file: PathBuf,
    /// The records' format.
    #[arg(long, value_enum, default_value_t = RecordFormat::Native)]
    pub(crate) format: RecordFormat,
    /// Print the outcome as a table or as JSON.
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) output: ReportFormat,
    #[command(flatten)]
    pub(crate) lake: LakeArg,
}

/// Ask the lake in SQL: one statement, a file of statements, or an interactive prompt.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  surety sql                                               interactive prompt; \\help there
  surety sql \"SELECT agent_id, count(*) FROM events GROUP BY 1 ORDER BY 2 DESC LIMIT 10\"
  surety sql --file weekly.sql --format parquet > weekly.parquet
  surety sql \"SELECT * FROM trace('evt-7f3a91')\"

Views: agents, agent_history, sponsors, credentials, shared_credentials, counterparties,
trace_coverage, events_traced. Tables: events, rejects, findings, deliveries, registry_changes.")]
pub(crate) struct Sql {
    /// The statement. Without it and without --file: the prompt, or standard input when it is piped.
    pub(crate) statement: Option<String>,
    /// A file of statements, separated by semicolons.
    #[arg(long, value_name = "FILE", conflicts_with = "statement")]
    pub(crate) file: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t = OutputFormat::Table)]
    pub(crate) format: OutputFormat,
    #[command(flatten)]
    pub(crate) lake: LakeArg,
}

/// Show who answers for an event, hop by hop, as of the event's time.
///
/// Exits with 1 when the trace ends in a gap.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  surety trace evt-7f3a91
  surety trace evt-7f3a91 --as-known-at 2026-03-01T00:00:00Z --format json")]
pub(crate) struct Trace {
    pub(crate) event_id: String,
    /// Answer as we would have at that time [default: with all that is known now].
    #[arg(long, value_name = "TIME")]
    pub(crate) as_known_at: Option<String>,
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
    #[command(flatten)]
    pub(crate) lake: LakeArg,
}

/// The live inventory: agents by last use, with class, sponsor, credentials, counterparties, findings.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  surety agents
  surety agents --active-within 24h --format csv")]
pub(crate) struct Agents {
    /// Only agents active within this time before the newest event, e.g. 30m, 24h, 7d.
    #[arg(long, value_name = "DURATION")]
    pub(crate) active_within: Option<String>,
    #[arg(long, value_enum, default_value_t = OutputFormat::Table)]
    pub(crate) format: OutputFormat,
    #[command(flatten)]
    pub(crate) lake: LakeArg,
}

/// What is known of agents, sponsors and credentials.
#[derive(Debug, Subcommand)]
pub(crate) enum Registry {
    /// Import registry changes from a file (JSON, JSON Lines, CSV): all lines or none.
    #[command(after_help = "Examples:
  surety registry import agents.csv
  surety registry import changes.jsonl --lake ./surety-data")]
    Import {
        file: PathBuf,
        #[command(flatten)]
        lake: LakeArg,
    },
}

/// Write the events of a simulated company, with or without an attack.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  surety simulate --days 2 > uses.jsonl
  surety simulate --days 30 --attack procurement-fraud --registry-out registry.jsonl --out uses.jsonl
  surety simulate --to-kafka localhost:9092 --topic credential-uses --speed 60")]
pub(crate) struct Simulate {
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    #[arg(long, default_value_t = 250, value_parser = clap::value_parser!(u32).range(20..=1_000_000))]
    pub(crate) agents: u32,
    /// First day, UTC [default: --days before now].
    #[arg(long, value_name = "TIME")]
    pub(crate) start: Option<String>,
    #[arg(long, default_value_t = 1)]
    pub(crate) days: u32,
    /// Attacks to weave in, each in the last day.
    #[arg(long, value_enum)]
    pub(crate) attack: Vec<Attack>,
    /// Write events here instead of to stdout.
    #[arg(long, value_name = "FILE", conflicts_with = "to_kafka")]
    pub(crate) out: Option<PathBuf>,
    /// Write the registry's changes here.
    #[arg(long, value_name = "FILE")]
    pub(crate) registry_out: Option<PathBuf>,
    /// Write the ground truth of each event here, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    pub(crate) truth_out: Option<PathBuf>,
    /// Produce to Kafka at these bootstrap servers instead of writing text.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) to_kafka: Option<String>,
    #[arg(long, default_value = "credential-uses", requires = "to_kafka")]
    pub(crate) topic: String,
    /// Times real time; 0 is as fast as possible.
    #[arg(long, default_value_t = 0.0, value_name = "TIMES")]
    pub(crate) speed: f64,
}

/// Measure.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// Produce N native events, then measure consume to commit with everything on.
    #[command(after_help = "Examples:
  surety bench pipeline --events 1000000 --agents 100000 --format json
  surety bench pipeline --bootstrap-servers localhost:9092     a real broker instead of the embedded one")]
    Pipeline(BenchPipeline),
}

#[derive(Debug, Args)]
pub(crate) struct BenchPipeline {
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..))]
    pub(crate) events: u64,
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(10..))]
    pub(crate) agents: u32,
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// A real broker; the topic is made and deleted [default: the embedded broker].
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) bootstrap_servers: Option<String>,
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
    #[command(flatten)]
    pub(crate) lake: LakeArg,
}

/// The configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Read the configuration and say what is wrong with it, as path:line:column.
    #[command(after_help = "Examples:
  surety config check -c surety.toml")]
    Check,
}

/// Formats of a report for people or programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    Table,
    Json,
}

/// Formats of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    Table,
    Json,
    Jsonl,
    Csv,
    Parquet,
    Arrow,
}

/// Formats of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RecordFormat {
    Native,
    Cloudtrail,
}

impl From<RecordFormat> for schemas::Format {
    fn from(format: RecordFormat) -> Self {
        match format {
            RecordFormat::Native => Self::Native,
            RecordFormat::Cloudtrail => Self::CloudTrail,
        }
    }
}

/// The simulator's attacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Attack {
    ProcurementFraud,
    StolenKey,
    SkillExfiltration,
    SlowPoisoning,
    NightBurst,
}
