//! Plays a simulated company through the detector and tells how it fares: false findings per
//! agent-day over benign days by severity and detector, and for each attack what was found first.
//!
//! `cargo run -p detect --release --example company [SEED [AGENTS [CONFIG]]]`, where CONFIG is the
//! part `[detect]` as JSON, e.g. `{"detectors": {"fan-out": 0}}`.

#![expect(clippy::print_stdout, reason = "an example talks to a terminal")]
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    reason = "counts of a small company"
)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use detect::{Config, Detector};
use schemas::{
    Finding, KafkaPartition, NativeEvent, Offset, Position, Severity, StampedEvent, Timestamp,
    Topic, TraceStatus,
};
use simulate::{Company, ScenarioKind, Settings, SimulatedEvent, Truth};

const HISTORY_DAYS: u64 = 30;
const BENIGN_DAYS: u64 = 7;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: u64| {
        args.get(at).map_or(default, |arg| arg.parse::<u64>().expect("a number"))
    };
    let seed = number(0, 1);
    let agents = usize::try_from(number(1, 250)).expect("a count");
    let config: Config = args
        .get(2)
        .map_or_else(Config::default, |json| serde_json::from_str(json).expect("a configuration"));
    let start = Timestamp::parse("2026-03-02T00:00:00Z").expect("a time");
    let company = Company::new(&Settings::new(seed, agents, start));
    let day = |n: u64| start.plus(Duration::from_hours(24 * n));

    let history = stamped(company.events(day(0), day(HISTORY_DAYS)), 0);
    let mut detector = Detector::new(config.clone());
    let began = Instant::now();
    let early = fold(&mut detector, &history);
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "history: {} events, {:.0} events/s, {} findings, {:?}",
        history.len(),
        history.len() as f64 / seconds,
        early.len(),
        detector.stats()
    );
    let mut checkpoint = Vec::new();
    detector.snapshot().write(&schemas::Offsets::default(), &mut checkpoint).expect("memory");
    println!("checkpoint: {} bytes", checkpoint.len());

    let base = history.len() as i64;
    let benign = stamped(company.events(day(HISTORY_DAYS), day(HISTORY_DAYS + BENIGN_DAYS)), base);
    let agent_days = agent_days(&benign);
    let findings = fold(&mut detector, &benign);
    println!("benign: {} events, {agent_days} agent-days", benign.len());
    tell(&findings, agent_days as f64);
    for finding in findings.iter().step_by(1 + findings.len() / 12) {
        println!("  {:?} {:?} {}", finding.severity, finding.detector, finding.summary);
    }

    let mut nanoseconds: Vec<u128> = Vec::new();
    for stamped in benign.iter().rev().take(50_000) {
        let began = Instant::now();
        std::hint::black_box(detector.score(stamped));
        nanoseconds.push(began.elapsed().as_nanos());
    }
    nanoseconds.sort_unstable();
    let at = |share: usize| nanoseconds[nanoseconds.len() * share / 100];
    println!("score: p50 {} ns, p99 {} ns", at(50), at(99));

    for kind in ScenarioKind::ALL {
        attack(&company, kind, day(HISTORY_DAYS), &checkpoint, &config);
    }
}

fn attack(
    company: &Company,
    kind: ScenarioKind,
    from: Timestamp,
    checkpoint: &[u8],
    config: &Config,
) {
    let (mut detector, _) =
        Detector::read_checkpoint(config.clone(), checkpoint).expect("just written");
    let start = from.plus(Duration::from_hours(24 + 10));
    let malicious = company.attack(kind, start);
    let to = malicious.last().expect("an attack has events").event.time;
    let mut all: Vec<SimulatedEvent> =
        company.events(from, to.plus(Duration::from_hours(2))).collect();
    all.extend(malicious);
    all.sort_by_key(|one| one.event.time);
    let truths: Vec<Truth> = all.iter().map(|one| one.truth.clone()).collect();
    let base = 10_000_000;
    let events = stamped(all, base);
    let findings = fold(&mut detector, &events);
    let is_true = |finding: &&Finding| {
        truths[usize::try_from(finding.position.offset.0 - base).expect("an index")].is_malicious
    };
    let number = |finding: &Finding| {
        let at = usize::try_from(finding.position.offset.0 - base).expect("an index");
        truths[..at].iter().filter(|truth| truth.is_malicious).count() + 1
    };
    let total = truths.iter().filter(|truth| truth.is_malicious).count();
    let found: Vec<&Finding> = findings.iter().filter(is_true).collect();
    let victim = victim_of(&events, &truths);
    println!("\n{kind:?} of {victim}: {total} malicious events, {} findings on them", found.len());
    for severity in [Severity::Review, Severity::Page, Severity::Block] {
        let Some(first) = found.iter().find(|finding| severity <= finding.severity) else {
            println!("  no {severity}");
            continue;
        };
        println!(
            "  first {severity} at event {}: {:?} {}",
            number(first),
            first.detector,
            first.summary
        );
    }
}

/// The agent that is attacked.
fn victim_of(events: &[StampedEvent], truths: &[Truth]) -> String {
    let at = truths.iter().position(|truth| truth.is_malicious).expect("an attack has events");
    events[at].event.agent_id.as_str().to_owned()
}

fn fold(detector: &mut Detector, events: &[StampedEvent]) -> Vec<Finding> {
    events.chunks(8_192).flat_map(|batch| detector.fold(batch)).collect()
}

fn stamped(events: impl IntoIterator<Item = SimulatedEvent>, base: i64) -> Vec<StampedEvent> {
    let topic = Topic::new("events");
    let stamp = |(n, one): (usize, SimulatedEvent)| {
        let position = Position {
            topic: topic.clone(),
            partition: KafkaPartition(0),
            offset: Offset(base + n as i64),
        };
        let native: NativeEvent = one.event;
        let event = native.into_event(&position).expect("a simulated event is sound");
        StampedEvent {
            ingested_at: event.time,
            event,
            position,
            sponsor_id: None,
            trace_status: TraceStatus::Orphaned,
            trace_confidence: 0.0,
        }
    };
    events.into_iter().enumerate().map(stamp).collect()
}

fn agent_days(events: &[StampedEvent]) -> usize {
    let mut pairs: Vec<(&str, i64)> =
        events.iter().map(|one| (one.event.agent_id.as_str(), one.event.time.day())).collect();
    pairs.sort_unstable();
    pairs.dedup();
    pairs.len()
}

fn tell(findings: &[Finding], agent_days: f64) {
    for severity in [Severity::Review, Severity::Page, Severity::Block] {
        let count = findings.iter().filter(|finding| severity <= finding.severity).count();
        println!("  {severity} or more: {count}, {:.4} per agent-day", count as f64 / agent_days);
    }
    let mut by: BTreeMap<(String, String), usize> = BTreeMap::new();
    for finding in findings {
        let class = finding.agent_class.as_ref().map_or("", |class| class.as_str()).to_owned();
        *by.entry((finding.detector.to_string(), class)).or_default() += 1;
    }
    for ((detector, class), count) in by {
        println!("    {detector} {class}: {count}");
    }
}
