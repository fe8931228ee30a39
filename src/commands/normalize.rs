//! `surety normalize FILE`: each record beside what becomes of it, or of each that stands in it.
//!
//! Invariant: nothing is written anywhere but to stdout, and no secret of a record is in that.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use ingest::{Normaliser, NotOne, Poll, RawRecord, Replay as ReplaySource, Source as _};
use schemas::{CredentialEvent, Offsets, Reject, Topic};
use serde_json::{Value, json};

use super::wiring::{self, Locations};
use crate::cli::{LakeArg, Normalize, ReportFormat};
use crate::clock;
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::pipeline::of_source;
use crate::terminal;

const RECORDS_PER_BATCH: usize = 256;
/// Of an input that is shown to a person.
const SHOWN_CHARS_MAX: usize = 2_000;

#[derive(Debug, Default)]
struct Counts {
    records: u64,
    events: u64,
    rejects: u64,
}

/// Shows the records of a file.
///
/// # Errors
///
/// A [`Failure`] if the file cannot be read or the format is not there.
pub(super) async fn run(args: Normalize, config: &Config) -> Result<Exit, Failure> {
    let locations = Locations::of(&LakeArg { lake: None }, config)?;
    let redactor = wiring::passing_redactor(config, &locations.state)?;
    let normaliser = wiring::normaliser(config, args.format.format, &redactor)?;
    let is_stdin = args.file.as_os_str() == "-";
    let path = if is_stdin { PathBuf::from("/dev/stdin") } else { args.file.clone() };
    let mut source = ReplaySource::open(&path, Topic::new("normalize")).map_err(of_source)?;
    source.seek(&Offsets::default()).map_err(of_source)?;
    let (mut counts, mut left) = (Counts::default(), args.limit.unwrap_or(u64::MAX));
    while 0 < left {
        let records_max = usize::try_from(left).unwrap_or(usize::MAX).min(RECORDS_PER_BATCH);
        let batch = match source.poll(records_max, Duration::ZERO).await.map_err(of_source)? {
            Poll::Records(batch) => batch,
            Poll::End | Poll::Idle | Poll::Reassigned { .. } => break,
        };
        left -= batch.len() as u64;
        let mut shown = String::new();
        for record in batch.iter() {
            let record = RawRecord { record_time: args.kafka_time, ..record };
            show(&args, &normaliser, &record, (&mut counts, &mut shown));
        }
        terminal::answer(&shown)?;
    }
    let Counts { records, events, rejects } = counts;
    if args.output == ReportFormat::Table {
        terminal::answer(&format!("{records} records: {events} events, {rejects} rejects\n"))?;
    }
    Ok(if rejects == 0 { Exit::Ok } else { Exit::Found })
}

/// Adds what is shown of one record.
fn show(
    args: &Normalize,
    normaliser: &Normaliser,
    record: &RawRecord<'_>,
    (counts, shown): (&mut Counts, &mut String),
) {
    let read = normaliser.normalise(record, clock::now());
    let is_one = !matches!(read, Err(NotOne::Several(_)));
    let parts = read.map_or_else(NotOne::parts, |event| vec![Ok(event)]);
    let rejects = parts.iter().filter(|part| part.is_err()).count();
    counts.records += 1;
    counts.rejects += rejects as u64;
    counts.events += (parts.len() - rejects) as u64;
    if args.rejects_only && rejects == 0 {
        return;
    }
    let input = normaliser.shown(record.payload.unwrap_or_default());
    match args.output {
        ReportFormat::Json => {
            let mut line = json!({"record": record.offset.0, "input": input_of(&input)});
            let mut told = parts.iter().map(outcome);
            if is_one && let Some((name, outcome)) = told.next() {
                line[name] = outcome;
            } else {
                line["parts"] = told.map(|(name, outcome)| json!({ name: outcome })).collect();
            }
            writeln!(shown, "{line}").expect("writing to a string");
        }
        ReportFormat::Table => {
            let cut = input.char_indices().nth(SHOWN_CHARS_MAX).map_or(input.len(), |(at, _)| at);
            let more = if cut < input.len() { " ..." } else { "" };
            let (input, number) = (terminal::visible(&input[..cut]), record.offset.0);
            let what = match &parts[..] {
                [Ok(_)] if is_one => "event".to_owned(),
                [Err(_)] if is_one => "reject".to_owned(),
                several => format!("{} in one", several.len()),
            };
            writeln!(shown, "record {number}: {what}\n{input}{more}").expect("writing to a string");
            for (part, outcome) in parts.iter().enumerate() {
                if args.rejects_only && outcome.is_ok() {
                    continue;
                }
                let part = if is_one { String::new() } else { format!("{part}: ") };
                writeln!(shown, "=> {part}{}\n", visible(outcome)).expect("writing to a string");
            }
        }
    }
}

type Outcome = Result<CredentialEvent, Reject>;

fn outcome(outcome: &Outcome) -> (&'static str, Value) {
    match outcome {
        Ok(event) => ("event", told(event)),
        Err(reject) => ("reject", told_reject(reject)),
    }
}

/// An outcome as a person sees it.
fn visible(outcome: &Outcome) -> String {
    match outcome {
        Ok(event) => {
            let event = serde_json::to_string_pretty(&told(event)).unwrap_or_default();
            terminal::visible(&event)
        }
        Err(Reject { reason, detail, .. }) => {
            format!("{reason}: {}\n   {}", terminal::visible(detail), reason.advice())
        }
    }
}

/// The input as JSON, where it is any.
fn input_of(input: &str) -> Value {
    serde_json::from_str(input).unwrap_or_else(|_| Value::from(input))
}

fn told_reject(reject: &Reject) -> Value {
    json!({"reason": reject.reason, "detail": reject.detail, "advice": reject.reason.advice()})
}

/// What an event says, without what is empty.
pub(super) fn told(event: &CredentialEvent) -> Value {
    let mut told = json!({
        "event_id": event.event_id,
        "time": event.time,
        "agent_id": event.agent_id,
        "agent_class": event.agent_class,
        "agent_instance": event.agent_instance,
        "model": event.model,
        "session_id": event.session_id,
        "task_id": event.task_id,
        "grant_id": event.grant_id,
        "credential_id": event.credential_id,
        "credential_kind": event.credential_kind,
        "action": event.action,
        "resource": event.resource,
        "resource_kind": event.resource_kind,
        "counterparty_id": event.counterparty_id,
        "counterparty_kind": event.counterparty_kind,
        "amount": event.amount,
        "currency": event.currency,
        "outcome": event.outcome,
        "outcome_reason": event.outcome_reason,
        "source_ip": event.source_ip,
        "user_agent": event.user_agent,
        "delegation": event.delegation,
        "labels": event.labels,
        "attributes": event.attributes,
        "format": event.format,
    });
    if let Some(fields) = told.as_object_mut() {
        fields.retain(|_, value| match value {
            Value::Null => false,
            Value::Array(elements) => !elements.is_empty(),
            Value::Object(fields) => !fields.is_empty(),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        });
    }
    told
}
