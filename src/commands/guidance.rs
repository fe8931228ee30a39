//! `surety disposition` and `surety expect`: what people tell the detector, as changes of the registry.
//!
//! Invariant: what is told is in the lake, signed with a name, before it counts; it is never changed
//! there, only told anew. A disposition says what its finding was about, as the lake has it.

use std::time::Duration;

use schemas::{RegistryChange, Timestamp};
use serde_json::{Value, json};

use super::ask;
use super::typed;
use super::wiring::{self, Locations};
use crate::cli::guidance::{Disposition, Expect, Verdict};
use crate::cli::{LakeArg, ReportFormat};
use crate::clock;
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::pipeline::of_commit;
use crate::terminal;

/// A finding that was expected is so for a day, if nobody says until when.
const EXPECTED: Duration = Duration::from_hours(24);

/// Keeps what a person says of a finding.
///
/// # Errors
///
/// [`Exit::Data`] if there is no such finding.
pub(super) async fn dispose(args: Disposition, config: &Config) -> Result<Exit, Failure> {
    let finding = finding(&args, config).await?;
    let now = clock::now();
    let until = match (args.until, args.verdict) {
        (None, Verdict::Expected) => Some(now.plus(EXPECTED)),
        (until, Verdict::Expected | Verdict::Benign | Verdict::Confirmed) => until,
    };
    let mut said = json!({
        "schema": "surety.registry_change.v1", "kind": "disposition", "verdict": typed(&args.verdict),
        "finding_id": args.finding, "by": args.by, "note": args.note, "valid_to": until,
    });
    for (field, column) in [
        ("detector", "detector"),
        ("agent_id", "agent_id"),
        ("action", "action"),
        ("counterparty_id", "counterparty_id"),
        ("valid_from", "time"),
    ] {
        said[field] = finding[column].clone();
    }
    keep(said, now, &args.lake, config).await?;
    let (verdict, agent) = (typed(&args.verdict), finding["agent_id"].clone());
    answer(args.format, &json!({"finding_id": args.finding, "verdict": verdict, "agent_id": agent}))
}

/// The finding as the lake has it.
async fn finding(args: &Disposition, config: &Config) -> Result<Value, Failure> {
    let engine = ask::engine(&args.lake, config).await?;
    let id = args.finding.as_str().replace('\'', "''");
    let columns = "detector, agent_id, action, counterparty_id, time";
    let statement = format!("SELECT {columns} FROM findings WHERE finding_id = '{id}' LIMIT 1");
    let rows = ask::rows_of(&engine, &statement).await?;
    rows.get(0).cloned().ok_or_else(|| {
        Failure::told(
            Exit::Data,
            format!("wanted a finding of the lake, found none with the id {id}"),
        )
    })
}

/// Keeps what a person expects.
///
/// # Errors
///
/// [`Exit::Usage`] for a time that ends before it begins.
pub(super) async fn expect(args: Expect, config: &Config) -> Result<Exit, Failure> {
    let now = clock::now();
    let from = args.from.unwrap_or(now);
    if args.to <= from {
        let text = format!("--to: wanted a time after {from}, found {}", args.to);
        return Err(Failure::told(Exit::Usage, text));
    }
    let said = json!({
        "schema": "surety.registry_change.v1", "kind": "expectation",
        "agent_id": args.agent, "agent_class": args.class, "counterparty_id": args.counterparty,
        "action": args.action, "volume_times": args.volume_times, "by": args.by,
        "reason": args.reason, "valid_from": from, "valid_to": args.to,
    });
    keep(said, now, &args.lake, config).await?;
    let whose = args.agent.as_ref().map(schemas::AgentId::as_str);
    let whose = whose.or(args.class.as_ref().map(schemas::AgentClass::as_str));
    answer(args.format, &json!({"expected_of": whose, "from": from, "to": args.to}))
}

/// Adds a change to the registry of the lake, where running services find it.
async fn keep(said: Value, now: Timestamp, lake: &LakeArg, config: &Config) -> Result<(), Failure> {
    let mut change: RegistryChange = serde_json::from_value(said).map_err(|error| {
        Failure::new(Exit::Usage, error).while_doing("read what was said".to_owned())
    })?;
    change.recorded_at = Some(now);
    let locations = Locations::of(lake, config)?;
    locations.make_state_folder()?;
    wiring::redactor(config, &locations.state)?.change(&mut change);
    let lake = wiring::open_lake(&locations)?;
    lake.import_registry(&[change], now).await.map_err(of_commit)?;
    Ok(())
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
