//! The arguments of what measures: `surety evaluate` and `surety bench`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::unmix::BenchUnmix;
use super::{LakeArg, ReportFormat};

/// Judge labelled streams with the real detector, scoring each row before it is learned, and print how
/// well it does.
///
/// Edges and series, which agents are not, are judged by a part that only they have, unless
/// --detector-alone is given.
///
/// Each file is a stream of its own, plain or gzip; a path of /dev/stdin reads standard input. With
/// several files the figures are their means, `range` has the smallest and the largest, and `files` has
/// those of each. Nothing is written to a
/// lake, and the configuration is the default one: docs/detection.md says what the figures mean.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  surety evaluate --kind agent-stream streams/*.jsonl.gz --format json
  surety evaluate --kind agent-stream stream.jsonl --scores scores.csv
  surety evaluate --kind agent-stream streams/*.jsonl.gz --plots pictures
  surety evaluate --kind agent-stream stream.jsonl --without peers
  surety evaluate --kind agent-stream streams/*.jsonl.gz --poisoned small-sessions
  unzip -p darpa_original.zip | surety evaluate --kind edges /dev/stdin
  surety evaluate --kind company --agents 2000 --days 90 --seeds 1,2
  surety evaluate --kind series NAB/data/*/*.csv --windows NAB/labels/combined_windows.json --results NAB/results
  surety evaluate --kind series NAB/data/*/*.csv --windows NAB/labels/combined_windows.json --detector-alone

Rows of agent-stream: [seconds, agent, purpose, model, session, \"b\"|\"a\", tool, is_write,
[counterparties], amount|null, error, label]; label 1 malicious, 0 benign, else not scored.
Rows of edges: source,target,MM/DD/YYYY-HH:MM,label with - for benign; or source target weight seconds.
Rows of series: YYYY-MM-DD HH:MM:SS,value after the header timestamp,value (as in NAB).")]
pub(crate) struct Evaluate {
    /// What the rows are.
    #[arg(long, value_enum)]
    pub(crate) kind: StreamKind,
    #[arg(value_name = "FILE", required_if_eq_any = [("kind", "agent-stream"), ("kind", "edges"), ("kind", "series")])]
    pub(crate) files: Vec<PathBuf>,
    /// Agents of the simulated company.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(20..=1_000_000))]
    pub(crate) agents: u32,
    /// Days of the company: the first 30 are history, false findings count on the others.
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u32).range(31..=365))]
    pub(crate) days: u32,
    /// Seeds of the company, one run each.
    #[arg(long, default_value = "1", value_delimiter = ',', value_name = "SEED,...")]
    pub(crate) seeds: Vec<u64>,
    /// Write one score per row here, in order: higher is more unusual.
    #[arg(long, value_name = "OUT.csv")]
    pub(crate) scores: Option<PathBuf>,
    /// Draw ROC, precision-recall, calibration and findings by detector as SVG files below this folder.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) plots: Option<PathBuf>,
    /// Leave a part of the detector out, to measure what it is worth.
    #[arg(long, value_enum, value_name = "PART")]
    pub(crate) without: Option<Part>,
    /// Let the attackers of agent streams prepare the baseline before they strike.
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) poisoned: Option<Poisoning>,
    /// Judge edges and series by the detector alone, without the part that only they have.
    #[arg(long)]
    pub(crate) detector_alone: bool,
    /// Where series are anomalous: NAB's JSON of windows by folder/file. Prints NAB's score.
    #[arg(long, value_name = "WINDOWS.json")]
    pub(crate) windows: Option<PathBuf>,
    /// Write NAB's result files of series below this folder, for NAB's own scorer.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) results: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
}

/// How attackers prepare the baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Poisoning {
    /// Five small dealings with the counterparty, one a day, before the first attack.
    SmallSessions,
    /// Twelve new agents of the class deal with the counterparty for four days.
    FakePeers,
}

/// Kinds of labelled streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StreamKind {
    /// Tool calls of agents.
    AgentStream,
    /// Edges of a network.
    Edges,
    /// Values at times.
    Series,
    /// A simulated company: false findings of normal days, then each of its attacks on its own.
    Company,
}

/// Parts that an evaluation can leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// No other agent vouches for a counterparty or an action.
    Peers,
    /// What was seen once is trusted.
    Probation,
    /// Scores are taken for what they say.
    Calibration,
}

/// Measure.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// Produce N events, then measure consume to commit with everything on.
    #[command(after_help = "Examples:
  surety bench pipeline --events 1000000 --agents 100000 --format json
  surety bench pipeline --input cloudtrail
  surety bench pipeline --rate 50000 --bootstrap-servers localhost:9092     latencies below full load
  surety bench pipeline --bootstrap-servers localhost:9092     a real broker instead of the embedded one")]
    Pipeline(BenchPipeline),
    /// Give N agents a baseline, then measure the detector alone: memory, time of an event and of a
    /// score, checkpoint and restore.
    #[command(after_help = "Examples:
  surety bench detector --agents 1000000 --format json")]
    Detector(BenchDetector),
    /// Build the registry of N agents in memory, then measure it alone: memory, time of a trace.
    #[command(after_help = "Examples:
  surety bench registry --agents 1000000 --format json")]
    Registry(BenchRegistry),
    /// Split the shared service accounts of simulated companies with their agent ids hidden, and compare
    /// with who in truth made each event.
    #[command(after_help = "Examples:
  surety bench unmix
  surety bench unmix --seeds 1 --days 90 --format json")]
    Unmix(BenchUnmix),
}

#[derive(Debug, Args)]
pub(crate) struct BenchRegistry {
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1_000..=50_000_000))]
    pub(crate) agents: u32,
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
}

#[derive(Debug, Args)]
pub(crate) struct BenchDetector {
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1_000..=50_000_000))]
    pub(crate) agents: u32,
    /// Events that are timed, after 16 of each agent that are not.
    #[arg(long, default_value_t = 2_000_000, value_parser = clap::value_parser!(u64).range(10_000..))]
    pub(crate) events: u64,
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
}

/// Formats of the records of a bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BenchInput {
    Native,
    /// As AWS CloudTrail tells of assumed roles.
    #[value(name = "cloudtrail")]
    CloudTrail,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct BenchPipeline {
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..))]
    pub(crate) events: u64,
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(10..))]
    pub(crate) agents: u32,
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// What the records are.
    #[arg(long, value_enum, default_value_t = BenchInput::Native)]
    pub(crate) input: BenchInput,
    /// Let every other event be one agent's, which deals with 100,000 counterparties in turn.
    #[arg(long)]
    pub(crate) busy_agent: bool,
    /// Produce so many events a second while they are read, instead of all before: for latencies at a
    /// load that the machine can bear. The figures of CPU are then the producer's as well.
    #[arg(long, value_name = "PER_SECOND", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate: Option<u32>,
    /// A real broker; the topic is made and deleted [default: the embedded broker].
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) bootstrap_servers: Option<String>,
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
    #[command(flatten)]
    pub(crate) lake: LakeArg,
}
