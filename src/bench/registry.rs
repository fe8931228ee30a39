//! `surety bench registry`: what the registry in memory costs: bytes of an agent, time of a trace.
//!
//! Invariant: memory is what the process takes more once the registry is built, while everything that it
//! was built from is still there. A trace is timed by itself, with the clock's own time in it.

use std::time::{Duration, Instant};

use ingest::{Normaliser, RawRecord};
use schemas::{CredentialEvent, Format, KafkaPartition, Offset, Part, Topic, Trace};
use serde_json::json;
use simulate::{Company, Settings, output};

use super::load::resident_bytes;
use crate::cli::measure::BenchRegistry;
use crate::clock;
use crate::exit::{Exit, Failure};

/// Events that are traced.
const EVENTS: u64 = 200_000;

/// Measures the registry and prints the figures.
///
/// # Errors
///
/// [`Exit::Unavailable`] where the system does not tell what memory is in use.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(crate) fn run(args: &BenchRegistry) -> Result<Exit, Failure> {
    let now = clock::now();
    let events = events(args);
    let first = events.first().map_or(now, |event| event.time);
    let settings = Settings::new(args.seed, args.agents as usize, first);
    let mut changes = Company::new(&settings).registry_changes();
    for change in &mut changes {
        change.recorded_at = change.recorded_at.or(Some(now));
    }
    let before = resident_bytes()?;
    let began = Instant::now();
    let registry = super::registry_of(&changes);
    let applying = began.elapsed();
    let bytes = resident_bytes()?.saturating_sub(before) as f64;

    let mut spent = Vec::with_capacity(events.len());
    let mut traced = 0_u64;
    for event in &events {
        let began = Instant::now();
        let trace = Trace::of(event, &registry, now);
        spent.push(began.elapsed());
        traced += u64::from(trace.sponsor_id.is_some());
    }
    spent.sort_unstable();
    let nanos = |share: f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place")]
        let at = ((spent.len() - 1) as f64 * share) as usize;
        spent.get(at).map_or(0, Duration::as_nanos)
    };
    let figures = json!({
        "agents": args.agents,
        "changes": changes.len(),
        "bytes_per_agent": bytes / f64::from(args.agents),
        "apply_seconds": applying.as_secs_f64(),
        "traces": spent.len(),
        "traced": traced as f64 / spent.len().max(1) as f64,
        "trace_ns": {"p50": nanos(0.5), "p99": nanos(0.99)},
    });
    super::print(args.format, &figures)?;
    Ok(Exit::Ok)
}

fn events(args: &BenchRegistry) -> Vec<CredentialEvent> {
    let normaliser = Normaliser::new(Format::Native, ingest::Redactor::new(b"bench"));
    let (topic, mut json) = (Topic::new("bench"), Vec::new());
    let events = simulate::bench_events(args.agents as usize, EVENTS, args.seed);
    let normalised = events.enumerate().map(|(at, event)| {
        json.clear();
        output::write_json(&event, &mut json);
        let record = RawRecord {
            topic: &topic,
            partition: KafkaPartition(0),
            offset: Offset(i64::try_from(at).expect("few events")),
            part: Part::FIRST,
            record_time: Some(event.time),
            payload: Some(&json),
        };
        normaliser.normalise_one(&record, event.time).expect("a native event")
    });
    normalised.collect()
}
