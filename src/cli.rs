//! The arguments, and the help that teaches them.
//!
//! Invariant: what was typed, and nothing of what it means: defaults that depend on the
//! configuration are resolved in `commands.rs`.

mod evidence;
pub(crate) mod gap;
pub(crate) mod guidance;
pub(crate) mod measure;
mod records;
pub(crate) mod registry;
mod seal;
pub(crate) mod unmix;
mod upkeep;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::LogFilter;
pub(crate) use evidence::{Posture, Report, ReportArgs, ReportOf};
pub(crate) use measure::{Bench, BenchInput, BenchPipeline, Evaluate, Part, StreamKind};
pub(crate) use records::{Normalize, Rejects, RejectsList, RejectsReplay, RejectsWhich, Replay};
pub(crate) use seal::Seal;
pub(crate) use unmix::Unmix;
pub(crate) use upkeep::{Lake, LakeCompact, LakeRetain, LakeStatus, LakeVacuum};

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
    pub(crate) log: Option<LogFilter>,
}

const EXAMPLES: &str = "\
Examples:
  surety demo                                   watch a compromised agent being caught
  surety run -c surety.toml                     ingest from Kafka, detect, deliver webhooks, answer
  surety replay trail.jsonl.gz --format cloudtrail
  surety sql \"SELECT * FROM agents ORDER BY last_seen DESC LIMIT 10\"
  surety trace evt-7f3a91                       who answers for this event
  surety report sponsor s.meyer --from 2026-03-01 --to 2026-04-01
                                                an evidence pack; surety verify checks it offline

Exit codes: 0 fine, 1 bad news (a gap, a flaw), 64 wrong arguments, 65 bad data,
69 Kafka, storage or network unavailable, 70 a bug of ours, 78 wrong configuration.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(Demo),
    Run(Run),
    Replay(Replay),
    Normalize(Normalize),
    #[command(subcommand)]
    Rejects(Rejects),
    AcceptGap(gap::AcceptGap),
    Sql(Sql),
    Trace(Trace),
    Agents(Agents),
    Unmix(Unmix),
    Posture(Posture),
    #[command(subcommand)]
    Report(Report),
    Verify(Verify),
    #[command(subcommand)]
    Seal(Seal),
    #[command(subcommand)]
    Lake(Lake),
    #[command(subcommand)]
    Registry(registry::Registry),
    Disposition(guidance::Disposition),
    Expect(guidance::Expect),
    #[command(subcommand)]
    Webhooks(Webhooks),
    Simulate(Simulate),
    Evaluate(Evaluate),
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
    #[arg(long, default_value_t = 120.0, value_name = "TIMES", value_parser = speed)]
    pub(crate) speed: f64,
    /// Play once without a terminal: no colours, no progress bar.
    #[arg(long)]
    pub(crate) once: bool,
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
}

/// Ingest from Kafka, detect, deliver webhooks, commit to the lake and answer questions, until SIGTERM
/// or Ctrl-C.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  surety run -c surety.toml
  SURETY__KAFKA__BOOTSTRAP_SERVERS=kafka:9092 surety run
  curl localhost:9464/metrics           Prometheus text; also /healthz and /readyz
  curl localhost:8463/v1/sql --json '{\"sql\": \"SELECT * FROM agents\"}'")]
pub(crate) struct Run {
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
trace_coverage, events_traced, open_rejects, triage, registry_facts, grants_use, unowned, hygiene.
Tables: events, rejects, findings, deliveries, registry_changes.")]
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
  surety trace evt-7f3a91 --as-known-at 2026-03-01T00:00:00Z --format json

table and json show the event, the hops and the sponsor; the other formats have one row for each hop.")]
pub(crate) struct Trace {
    pub(crate) event_id: String,
    /// Answer as we would have at that time [default: with all that is known now].
    #[arg(long, value_name = "TIME")]
    pub(crate) as_known_at: Option<String>,
    #[arg(long, value_enum, default_value_t = OutputFormat::Table)]
    pub(crate) format: OutputFormat,
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

/// Make the seals of a lake again from its rows, or check an evidence pack offline, and name what is not
/// as it was sealed.
///
/// Each commit has a seal: a signed Merkle root over its records, chained to the seal before it. Exits
/// with 1 when a record, a file or a seal was changed, removed, inserted or moved, and says which.
/// The public key is that of this machine's state unless --key says another: an outsider has it from
/// `surety seal key`, asked of the operator long before.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  surety verify ./surety-data
  surety verify s3://audit/surety --key 'surety+1f2e3d4c+AZ...'
  surety verify ./surety-data --head kept-elsewhere.txt    the chain must hold this seal
  surety verify pack.zip --key 'surety+1f2e3d4c+AZ...'     needs no lake and no network
  surety verify ./surety-data --seals 1200..=1300 --format json")]
pub(crate) struct Verify {
    /// The lake [default: as for --lake of other commands], or the file of an evidence pack.
    #[arg(value_name = "LAKE-OR-PACK")]
    pub(crate) lake: Option<String>,
    /// The public key, as `surety seal key` prints it.
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// A seal that was kept elsewhere, as `surety seal head` prints it: it must be in the chain.
    #[arg(long, value_name = "FILE")]
    pub(crate) head: Option<PathBuf>,
    /// A witness, by its name in the configuration or its folder, URL or kafka://HOST:PORT/TOPIC: all it keeps must be in the chain.
    #[arg(long, value_name = "NAME-OR-URL")]
    pub(crate) witness: Vec<String>,
    /// Hash only the records of these seals again; the chain is always verified whole.
    #[arg(long, value_name = "FIRST..=LAST", value_parser = seal_range)]
    pub(crate) seals: Option<std::ops::RangeInclusive<i64>>,
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
}

/// What waits for each webhook endpoint, what did not reach it, and sending that again.
///
/// One process at a time has the webhooks: while `surety run` runs on the same state, these commands
/// say so and exit with 69.
#[derive(Debug, Subcommand)]
pub(crate) enum Webhooks {
    /// Each endpoint: what is pending and since when, what is dead, whether it is disabled.
    #[command(after_help = "Examples:
  surety webhooks list
  surety webhooks list --format json -c surety.toml")]
    List(StateArgs),
    /// Messages that will not be tried again, with the reason; as JSON with every attempt.
    #[command(after_help = "Examples:
  surety webhooks dead
  surety webhooks dead --endpoint soc --format json

The webhook id is the finding's: SELECT * FROM findings WHERE finding_id = '...'")]
    Dead(WebhooksDead),
    /// Make dead letters pending again, with all their tries and the same webhook id.
    #[command(after_help = "Examples:
  surety webhooks replay --endpoint soc
  surety webhooks replay 0b6f3c52-5a8e-8d1f-9a37-1f0c2d4e6a88
  surety webhooks replay --all

The next `surety run` delivers them.")]
    Replay(WebhooksReplay),
    /// Let an endpoint that was disabled by its answer 410 have webhooks again.
    #[command(after_help = "Examples:
  surety webhooks enable soc && surety webhooks replay --endpoint soc")]
    Enable {
        endpoint: String,
        #[command(flatten)]
        state: StateArgs,
    },
}

/// Whose state is asked, and how it answers.
#[derive(Debug, Args)]
pub(crate) struct StateArgs {
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
    #[command(flatten)]
    pub(crate) lake: LakeArg,
}

#[derive(Debug, Args)]
pub(crate) struct WebhooksDead {
    /// Only those of this endpoint.
    #[arg(long, value_name = "NAME")]
    pub(crate) endpoint: Option<String>,
    /// Show at most this many.
    #[arg(long, default_value_t = 1_000, value_name = "COUNT")]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) state: StateArgs,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true).args(["ids", "endpoint", "all"]))]
pub(crate) struct WebhooksReplay {
    /// Webhook ids of dead letters.
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<String>,
    /// Only those of this endpoint.
    #[arg(long, value_name = "NAME")]
    pub(crate) endpoint: Option<String>,
    /// All dead letters of all endpoints.
    #[arg(long, conflicts_with_all = ["ids", "endpoint"])]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) state: StateArgs,
}

/// Write the events of a simulated company, with or without an attack.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  surety simulate --days 2 > uses.jsonl
  surety simulate --days 30 --attack procurement-fraud --registry-out registry.jsonl --out uses.jsonl
  surety simulate --days 42 --attack slow-poisoning --truth-out truth.jsonl --out uses.jsonl
  surety simulate --to-kafka localhost:9092 --topic credential-uses --registry-topic registry --speed 60")]
pub(crate) struct Simulate {
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    #[arg(long, default_value_t = 250, value_parser = clap::value_parser!(u32).range(20..=1_000_000))]
    pub(crate) agents: u32,
    /// First day, UTC [default: --days before now].
    #[arg(long, value_name = "TIME")]
    pub(crate) start: Option<String>,
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=3_660))]
    pub(crate) days: u32,
    /// Attacks to weave in, each at the end of the days: within the last hours, but slow-poisoning takes
    /// the last 42 days and night-burst the last 25 hours, and --days must hold them.
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
    /// Produce the registry's changes to this topic first.
    #[arg(long, value_name = "TOPIC", requires = "to_kafka")]
    pub(crate) registry_topic: Option<String>,
    /// Times real time, up to 1000000; 0 is as fast as possible.
    #[arg(long, default_value_t = 0.0, value_name = "TIMES", value_parser = speed_or_zero)]
    pub(crate) speed: f64,
}

/// The configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Read the configuration and say what is wrong with it, as path:line:column.
    #[command(after_help = "Examples:
  surety config check -c surety.toml
  surety config check --format json     {\"is_fine\": false, \"error\": \"surety.toml:3:1: ...\"}")]
    Check(Check),
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
}

/// How much faster than real time: so slow that a second takes a quarter of an hour, to so fast that
/// a year takes half a minute.
fn speed(text: &str) -> Result<f64, String> {
    let range = 0.001..=1_000_000.0;
    match text.parse() {
        Ok(speed) if range.contains(&speed) => Ok(speed),
        Ok(_) | Err(_) => Err("wanted a number from 0.001 to 1000000".to_owned()),
    }
}

/// `12..=40`: both ends, since a range says what was verified.
fn seal_range(text: &str) -> Result<std::ops::RangeInclusive<i64>, String> {
    let wanted = || "wanted two numbers of seals, as in 12..=40".to_owned();
    let (first, last) = text.split_once("..=").ok_or_else(wanted)?;
    let [first, last] = [first, last].map(|number| number.parse::<u32>().map(i64::from));
    match (first, last) {
        (Ok(first), Ok(last)) if first <= last => Ok(first..=last),
        _ => Err(wanted()),
    }
}

fn speed_or_zero(text: &str) -> Result<f64, String> {
    if text.parse() == Ok(0.0) { Ok(0.0) } else { speed(text).map_err(|text| text + ", or 0") }
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

/// The simulator's attacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Attack {
    ProcurementFraud,
    StolenKey,
    SkillExfiltration,
    SlowPoisoning,
    NightBurst,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn a_speed_is_a_number_that_time_can_be_divided_by() {
        for speed in ["NaN", "-1", "inf", "1e300", "1e-300", "1000001", "fast", ""] {
            assert!(parse(&format!("surety simulate --speed={speed}")).is_err(), "{speed}");
            assert!(parse(&format!("surety demo --speed={speed}")).is_err(), "{speed}");
        }
        for speed in ["0.001", "1", "60", "1e6"] {
            assert!(parse(&format!("surety simulate --speed={speed}")).is_ok(), "{speed}");
            assert!(parse(&format!("surety demo --speed={speed}")).is_ok(), "{speed}");
        }
        assert!(parse("surety simulate --speed=0").is_ok());
        assert!(parse("surety demo --speed=0").is_err());
    }

    #[test]
    fn the_help_names_every_format_of_records() {
        let help = Cli::command().find_subcommand_mut("replay").unwrap().render_long_help();
        let help = help.to_string().replace([',', '\n'], " ");
        let words: Vec<&str> = help.split_whitespace().collect();

        for format in schemas::Format::ALL {
            assert!(words.contains(&format.as_str()), "{format}");
            assert!(parse(&format!("surety normalize - --format {format}")).is_ok(), "{format}");
        }
        assert!(parse("surety replay a.jsonl --format acme").is_ok());
        assert!(parse("surety replay a.jsonl --format Acme!").is_err());
    }

    #[test]
    fn a_replay_of_webhooks_says_which() {
        assert!(parse("surety webhooks replay").is_err());
        assert!(parse("surety webhooks replay --all a").is_err());
        for which in ["--all", "a b", "--endpoint soc", "--endpoint soc a"] {
            assert!(parse(&format!("surety webhooks replay {which}")).is_ok(), "{which}");
        }
    }
}
