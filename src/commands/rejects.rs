//! `surety rejects`: what could not become an event, why, and reading it again after a fix.
//!
//! Invariant (E1): a replay carries out plans that the lake keeps ([`lake::ReplayPlan`]): each reject
//! of a plan has its number before any of them is read, and a plan lands in one commit or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use ingest::{Normaliser, NotOne, RawRecord, Redactor, Rejected};
use lake::{Lake, OpenRejects, PlannedReject, ReplayPlan};
use schemas::{Format, Position, Reject, RejectReason};
use tokio_util::sync::CancellationToken;

use super::ask;
use super::wiring::{self, Locations};
use crate::cli::{OutputFormat, RejectsList, RejectsReplay, RejectsWhich, ReportFormat};
use crate::clock;
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::http::Health;
use crate::pipeline::{Checkpoints, Limits, Parts, Pipeline, Readers, Routes, of_lake};
use crate::terminal;

/// What one plan holds at most, so that it fits memory and one commit.
const PLAN_BYTES_MAX: usize = 64 << 20;
const PLAN_REJECTS_MAX: usize = 100_000;

/// Counts rejects by what they have in common.
///
/// # Errors
///
/// A [`Failure`] if the lake cannot be read.
pub(super) async fn list(args: &RejectsList, config: &Config) -> Result<Exit, Failure> {
    let format = ask::format_of(args.format);
    ask::check_format(format, 1)?;
    let engine = ask::engine(&args.lake, config).await?;
    let exit = ask::answer(&engine, &counted(args), format).await?;
    if args.format == OutputFormat::Table {
        terminal::remark(
            &"the records: SELECT * FROM open_rejects; after a fix: surety rejects replay",
        );
    }
    Ok(exit)
}

/// One row for each reason, format and topic, with an example and what to do.
fn counted(args: &RejectsList) -> String {
    let mut advice = "CASE reason".to_owned();
    for reason in RejectReason::ALL {
        write!(advice, " WHEN '{reason}' THEN {}", quoted(reason.advice()))
            .expect("writing to a string");
    }
    advice.push_str(" END AS advice");
    let RejectsWhich { reason, topic, since, until } = &args.which;
    let conditions = [
        reason.map(|reason| format!("reason = '{reason}'")),
        topic.as_deref().map(|topic| format!("topic = {}", quoted(topic))),
        since.map(|time| format!("time >= TIMESTAMP '{time}'")),
        until.map(|time| format!("time < TIMESTAMP '{time}'")),
    ];
    let conditions: Vec<String> = conditions.into_iter().flatten().collect();
    let wanted = if conditions.is_empty() { "true".to_owned() } else { conditions.join(" AND ") };
    let (table, limit) = (if args.all { "rejects" } else { "open_rejects" }, args.limit);
    let place = "concat(topic, '/', CAST(kafka_partition AS VARCHAR), '@', CAST(kafka_offset AS VARCHAR), \
         CASE WHEN record_part IS NULL THEN '' ELSE concat('.', CAST(record_part AS VARCHAR)) END)";
    format!(
        "WITH kinds AS (SELECT reason, format, topic, count(*) AS rejects, min(time) AS first_time, \
         max(time) AS last_time, min(detail) AS example, last_value({place} ORDER BY time) AS newest \
         FROM {table} WHERE {wanted} GROUP BY reason, format, topic) \
         SELECT *, {advice} FROM kinds ORDER BY rejects DESC, reason, format, topic LIMIT {limit}"
    )
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// What becomes of rejects that are read again now.
#[derive(Debug, Default)]
struct Prospect {
    events: u64,
    /// By the reason that they still have.
    refused: BTreeMap<RejectReason, u64>,
    /// The lake does not have all of these.
    cut: u64,
    /// In formats that the configuration does not have.
    unknown: BTreeSet<Format>,
}

/// What landed.
#[derive(Clone, Copy, Debug, Default)]
struct Landed {
    events: u64,
    findings: u64,
}

/// Reads rejects again, and puts into the lake those that are events now.
///
/// # Errors
///
/// A [`Failure`] if the lake cannot be read or written. What landed before stays.
pub(super) async fn replay(
    args: RejectsReplay,
    config: &Config,
    shutdown: CancellationToken,
) -> Result<Exit, Failure> {
    let locations = Locations::of(&args.lake, config)?;
    let lake = wiring::open_lake(&locations)?;
    locations.make_state_folder()?;
    let redactor = wiring::redactor(config, &locations.state)?;
    if let Some(format) = args.read_as {
        wiring::normaliser(config, format, &redactor)?;
    }
    let (mut landed, mut tried_at) = (Landed::default(), None);
    loop {
        let open = lake.open_rejects().await.map_err(of_lake)?;
        if tried_at.replace(open.start) == Some(open.start) && !shutdown.is_cancelled() {
            let text = "the rejects of a plan are not in the lake any more: remove the newest file in its folder _replays";
            return Err(Failure::told(Exit::Unavailable, text.to_owned()));
        }
        // One that stands is another process', or was left by one that did not live to carry it out.
        let standing = lake.replay_plan(open.start).await.map_err(of_lake)?;
        let plan = match standing {
            Some(plan) if !args.dry_run => plan,
            Some(_) | None => {
                let (plan, prospect) = made(&args, config, &redactor, &open);
                if plan.rejects.is_empty() || args.dry_run || shutdown.is_cancelled() {
                    print(&args, landed, &prospect)?;
                    return Ok(Exit::Ok);
                }
                lake.keep_replay_plan(open.start, &plan).await.map_err(of_lake)?
            }
        };
        let parts = parts((config, &locations, &redactor), &lake, open, &plan)?;
        let pipeline = Box::pin(Pipeline::start(parts)).await?;
        let progress = Box::pin(pipeline.run_to_end(shutdown.clone())).await?.progress;
        landed.events += progress.events;
        landed.findings += progress.findings;
    }
}

/// A plan of those that are events when they are read now, and what becomes of all. One that holds several
/// is among them if all of these are: otherwise it stays open for those that are not.
fn made(
    args: &RejectsReplay,
    config: &Config,
    redactor: &Redactor,
    open: &OpenRejects,
) -> (ReplayPlan, Prospect) {
    let (mut plan, mut prospect, mut bytes) = (ReplayPlan::default(), Prospect::default(), 0);
    let mut readers: BTreeMap<Format, Option<Normaliser>> = BTreeMap::new();
    for reject in open.rejects.iter().filter(|reject| is_wanted(&args.which, reject)) {
        if reject.is_cut() {
            prospect.cut += 1;
            continue;
        }
        let format = args.read_as.unwrap_or(reject.format);
        let reader = readers
            .entry(format)
            .or_insert_with(|| wiring::normaliser(config, format, redactor).ok());
        let Some(reader) = reader else {
            prospect.unknown.insert(format);
            continue;
        };
        match events_of(reader, reject) {
            Ok(events) => prospect.events += events,
            Err(reason) => {
                *prospect.refused.entry(reason).or_default() += 1;
                continue;
            }
        }
        bytes += reject.raw.len();
        if bytes <= PLAN_BYTES_MAX && plan.rejects.len() < PLAN_REJECTS_MAX {
            plan.rejects.push(PlannedReject { position: reject.position.clone(), format });
        }
    }
    (plan, prospect)
}

/// How many events a reject would be now, or why it still is one.
fn events_of(reader: &Normaliser, reject: &Reject) -> Result<u64, RejectReason> {
    let parts = match reader.normalise(&record_of(reject), clock::now()) {
        Ok(_) => return Ok(1),
        Err(NotOne::Reject(refused)) => return Err(refused.reason),
        Err(NotOne::Several(parts)) => parts,
    };
    match parts.iter().find_map(|part| part.as_ref().err()) {
        Some(refused) => Err(refused.reason),
        None => Ok(parts.len() as u64),
    }
}

fn is_wanted(which: &RejectsWhich, reject: &Reject) -> bool {
    let RejectsWhich { reason, topic, since, until } = which;
    reason.is_none_or(|reason| reason == reject.reason)
        && topic.as_ref().is_none_or(|topic| topic == reject.position.topic.as_str())
        && since.is_none_or(|time| time <= reject.rejected_at)
        && until.is_none_or(|time| reject.rejected_at < time)
}

fn record_of(reject: &Reject) -> RawRecord<'_> {
    RawRecord {
        topic: &reject.position.topic,
        partition: reject.position.partition,
        offset: reject.position.offset,
        part: reject.position.part,
        record_time: reject.record_time,
        payload: Some(&reject.raw),
    }
}

/// A pipeline from the rejects of a plan.
fn parts(
    (config, locations, redactor): (&Config, &Locations, &Redactor),
    lake: &Lake,
    open: OpenRejects,
    plan: &ReplayPlan,
) -> Result<Parts<Rejected>, Failure> {
    let mut readers = BTreeMap::new();
    for PlannedReject { format, .. } in &plan.rejects {
        if !readers.contains_key(format) {
            readers.insert(*format, wiring::normaliser(config, *format, redactor)?);
        }
    }
    let start = open.start;
    let mut known: BTreeMap<Position, Reject> =
        open.rejects.into_iter().map(|reject| (reject.position.clone(), reject)).collect();
    let planned = plan.rejects.iter();
    let source = Rejected::new(
        start,
        planned.map(|one| known.remove(&one.position).map(|reject| (reject, one.format))),
    );
    let normaliser = Normaliser::again(readers, redactor.clone());
    let uses = BTreeMap::from([(source.topic().clone(), normaliser)]);
    Ok(Parts {
        readers: Readers { uses, registry: None },
        source,
        lake: lake.clone(),
        detect: config.detect.clone(),
        checkpoints: Checkpoints::new(&locations.state)?,
        routes: Routes::default(),
        limits: of_one_commit(config),
        health: Health::default(),
        seal_key: wiring::seal_key(config, &locations.state)?,
    })
}

/// A plan lands whole, so nothing but its end may begin a commit.
fn of_one_commit(config: &Config) -> Limits {
    Limits {
        rows_max: usize::MAX / 4,
        bytes_max: usize::MAX / 4,
        age_max: Duration::from_hours(24),
        ..Limits::from(config)
    }
}

fn print(args: &RejectsReplay, landed: Landed, prospect: &Prospect) -> Result<(), Failure> {
    let Prospect { refused, cut, unknown, .. } = prospect;
    let Landed { mut events, findings } = landed;
    if args.dry_run {
        events = prospect.events;
    }
    if args.format == ReportFormat::Json {
        let refused: BTreeMap<&str, u64> =
            refused.iter().map(|(reason, count)| (reason.as_str(), *count)).collect();
        let answer = serde_json::json!({
            "dry_run": args.dry_run, "events": events, "findings": findings, "refused": refused,
            "cut": cut, "unknown_formats": unknown,
        });
        return terminal::answer(&format!("{answer}\n"));
    }
    let mut text = if args.dry_run {
        format!("{events} events could be made of rejects now\n")
    } else {
        format!("{events} events were made of rejects, with {findings} findings\n")
    };
    for (reason, count) in refused {
        writeln!(text, "{count} are still rejects: {reason}: {}", reason.advice())
            .expect("writing to a string");
    }
    if 0 < *cut {
        let most = Reject::RAW_BYTES_MAX;
        writeln!(text, "{cut} are longer than the {most} bytes that the lake keeps: read them from their source")
            .expect("writing to a string");
    }
    for format in unknown {
        writeln!(text, "some are of the format `{format}`, which the configuration does not have: name it with -c, or --as")
            .expect("writing to a string");
    }
    terminal::answer(&text)
}

#[cfg(test)]
mod tests;
