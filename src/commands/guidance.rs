//! `surety disposition` and `surety expect`: what people tell the detector, as changes of the registry.
//!
//! Invariant: as in `guidance.rs`; the commands only read what is told, and answer.

use schemas::{DispositionVerdict, RegistryChange, Timestamp};
use serde_json::{Value, json};

use super::ask;
use super::wiring::{self, Locations};
use crate::cli::guidance::{Disposition, Expect, Verdict};
use crate::cli::{LakeArg, ReportFormat};
use crate::clock;
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::guidance::{self, Opinion, Plan};
use crate::pipeline::of_commit;
use crate::terminal;

/// Keeps what a person says of a finding.
///
/// # Errors
///
/// [`Exit::Data`] if there is no such finding.
pub(super) async fn dispose(args: Disposition, config: &Config) -> Result<Exit, Failure> {
    let Disposition { finding: finding_id, verdict, by, note, until, format, lake } = args;
    let verdict = match verdict {
        Verdict::Benign => DispositionVerdict::Benign,
        Verdict::Confirmed => DispositionVerdict::Confirmed,
        Verdict::Expected => DispositionVerdict::Expected,
    };
    let opinion = Opinion { finding_id, verdict, by, note, until };
    let engine = ask::engine(&lake, config).await?;
    let rows = ask::rows_of(&engine, &opinion.statement()).await?;
    let finding = rows.get(0).ok_or_else(|| Failure::told(Exit::Data, opinion.unknown()))?;
    let now = clock::now();
    let change = opinion.of_finding(finding, now).map_err(|error| {
        Failure::new(Exit::Usage, error).while_doing("read what was said".to_owned())
    })?;
    keep(change, now, &lake, config).await?;
    let Opinion { finding_id, verdict, .. } = &opinion;
    let agent = &finding["agent_id"];
    answer(format, &json!({"finding_id": finding_id, "verdict": verdict, "agent_id": agent}))
}

/// Keeps what a person expects.
///
/// # Errors
///
/// [`Exit::Usage`] for a time that ends before it begins.
pub(super) async fn expect(args: Expect, config: &Config) -> Result<Exit, Failure> {
    let now = clock::now();
    let Expect { agent, class, counterparty, action, volume_times, from, to, by, reason, .. } =
        args;
    let plan = Plan {
        agent_id: agent,
        agent_class: class,
        counterparty_id: counterparty,
        action,
        volume_times,
        from,
        to,
        by,
        reason,
    };
    let change =
        plan.change(now).map_err(|text| Failure::told(Exit::Usage, format!("--{text}")))?;
    let from = change.valid_from;
    keep(change, now, &args.lake, config).await?;
    answer(args.format, &json!({"expected_of": plan.whose(), "from": from, "to": to}))
}

/// Adds a change to the registry of the lake, where running services find it.
async fn keep(
    change: RegistryChange,
    now: Timestamp,
    lake: &LakeArg,
    config: &Config,
) -> Result<(), Failure> {
    let locations = Locations::of(lake, config)?;
    locations.make_state_folder()?;
    let redactor = wiring::redactor(config, &locations.state)?;
    let lake = wiring::open_lake(&locations)?;
    guidance::keep(change, now, &redactor, &lake).await.map_err(of_commit)
}

fn answer(format: ReportFormat, kept: &Value) -> Result<Exit, Failure> {
    let text = match format {
        ReportFormat::Json => format!("{kept}\n"),
        ReportFormat::Table => {
            let shown =
                |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let fields = kept.as_object().into_iter().flatten();
            let fields: Vec<String> =
                fields.map(|(name, value)| format!("{name} {}", shown(value))).collect();
            format!("kept: {}\n", fields.join(", "))
        }
    };
    terminal::answer(&text)?;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn an_expectation_is_of_somebody_and_of_something() {
        let rest = "--to 2026-04-01T00:00:00Z --by anna --reason closing";
        for wrong in ["--agent a", "--volume-times 5", "--agent a --class c --action pay"] {
            assert!(parse(&format!("surety expect {wrong} {rest}")).is_err(), "{wrong}");
        }
        for right in ["--agent a --volume-times 5", "--class c --action pay --counterparty v"] {
            assert!(parse(&format!("surety expect {right} {rest}")).is_ok(), "{right}");
        }
    }

    #[tokio::test]
    async fn what_is_said_is_kept_in_the_registry_and_a_finding_that_is_not_there_is_named() {
        let folder = tempfile::TempDir::new().unwrap();
        let (at, config) = (folder.path().display(), Config::load(None).unwrap());
        let line = format!(
            "surety expect --class invoice --volume-times 5 --to 2036-04-01T00:00:00Z --by anna --reason closing --lake {at}/lake"
        );
        let Command::Expect(args) = parse(&line).unwrap().command else { panic!("{line}") };
        expect(args, &config).await.unwrap();
        let locations =
            Locations::of(&LakeArg { lake: Some(format!("{at}/lake")) }, &config).unwrap();
        let kept = wiring::open_lake(&locations).unwrap().read_registry().await.unwrap();
        assert_eq!((kept.len(), kept[0].fact.kind()), (1, "expectation"));
        assert_eq!(kept[0].fact.subject(), "invoice");

        let line = format!("surety disposition fnd_none benign --by anna --lake {at}/lake");
        let Command::Disposition(args) = parse(&line).unwrap().command else { panic!("{line}") };
        let failure = dispose(args, &config).await.unwrap_err();
        assert_eq!(failure.exit(), Exit::Data);
        assert!(format!("{failure:#}").contains("fnd_none"));
    }
}
