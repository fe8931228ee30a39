//! The arguments of what people tell the detector: `surety disposition` and `surety expect`.

use clap::{ArgGroup, Args, ValueEnum};
use schemas::{AgentClass, AgentId, CounterpartyId, FindingId, Timestamp};

use super::{LakeArg, ReportFormat};

/// Say what a finding was, so that the detector learns it.
///
/// A running service takes it in within seconds, and judges by it what it reads from ten seconds after
/// it was said. Said again of the same finding, the last word counts. `dispositions` has every word, the
/// view `triage` each finding with the last one.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  surety disposition fnd_0a1b2c3d benign --by anna --note 'new supplier, contract 4711'
  surety disposition fnd_0a1b2c3d confirmed --by soc
  surety disposition fnd_0a1b2c3d expected --by anna --until 2026-04-01T00:00:00Z
  surety sql \"SELECT finding_id, summary FROM triage WHERE verdict IS NULL\"

benign      its counterparty, in that way, and its action are trusted by that agent at once
confirmed   they are strangers to that agent for ever, and always a finding, one level higher
expected    not told again until then, and not trusted either
Findings of volume, time, failures or networks are learned anyway: there the word is only kept.")]
pub(crate) struct Disposition {
    /// The finding's id.
    #[arg(value_parser = id::<FindingId>)]
    pub(crate) finding: FindingId,
    #[arg(value_enum)]
    pub(crate) verdict: Verdict,
    /// Who says so.
    #[arg(long, value_name = "NAME")]
    pub(crate) by: String,
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
    /// Up to when it holds, by the time of events [default: for ever; expected: a day].
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) until: Option<Timestamp>,
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
    #[command(flatten)]
    pub(crate) lake: LakeArg,
}

/// What a finding was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Verdict {
    Benign,
    Confirmed,
    Expected,
}

/// Say what will be out of the ordinary, so that it is no alarm while it lasts. It is learned as ever.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("whose").required(true).args(["agent", "class"]))]
#[command(group = ArgGroup::new("what").required(true).multiple(true).args(["counterparty", "action", "volume_times"]))]
#[command(after_help = "Examples:
  surety expect --class invoice --volume-times 5 --from 2026-12-29T00:00:00Z --to 2027-01-03T00:00:00Z \\
      --by anna --reason 'year end closing'
  surety expect --agent procurement-agent-3 --counterparty vendor:atlas --to 2026-04-01T00:00:00Z \\
      --by anna --reason 'new supplier'

With --counterparty and --action: that action with that counterparty. Amounts are judged all the same.")]
pub(crate) struct Expect {
    #[arg(long, value_name = "ID", value_parser = id::<AgentId>)]
    pub(crate) agent: Option<AgentId>,
    /// Every agent of this class.
    #[arg(long, value_name = "NAME", value_parser = id::<AgentClass>)]
    pub(crate) class: Option<AgentClass>,
    #[arg(long, value_name = "ID", value_parser = id::<CounterpartyId>)]
    pub(crate) counterparty: Option<CounterpartyId>,
    #[arg(long, value_name = "NAME")]
    pub(crate) action: Option<String>,
    /// Up to so many times the usual calls, writes, money, dealings and counterparties.
    #[arg(long, value_name = "TIMES", value_parser = clap::value_parser!(u32).range(2..=1_000))]
    pub(crate) volume_times: Option<u32>,
    /// From when, by the time of events [default: now].
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) from: Option<Timestamp>,
    /// Up to when.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) to: Timestamp,
    /// Who says so.
    #[arg(long, value_name = "NAME")]
    pub(crate) by: String,
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
    #[command(flatten)]
    pub(crate) lake: LakeArg,
}

fn id<T: TryFrom<String>>(text: &str) -> Result<T, String>
where
    T::Error: std::fmt::Display,
{
    T::try_from(text.to_owned()).map_err(|error| error.to_string())
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).map_err(|error| error.to_string())
}
