//! The cost of each stage of the pipeline alone, per micro-batch of 4,096 native events.
//!
//! `cargo bench --bench stages`. Divide a time by 4,096 for the cost of an event.

use std::collections::BTreeMap;

use divan::{Bencher, black_box, counter::ItemsCount};
use ingest::{Normaliser, RawBatch, RawRecord, Redactor};
use lake::{Advance, EventRows};
use schemas::{
    Format, KafkaPartition, Offset, Part, Registry, StampedEvent, Table, Timestamp, Topic, Trace,
};
use simulate::{Company, Settings, bench_events, output};

const EVENTS: usize = 4_096;
const AGENTS: usize = 10_000;

fn main() {
    divan::main();
}

fn now() -> Timestamp {
    Timestamp::parse("2026-03-02T12:00:00Z").expect("a valid time")
}

/// A micro-batch as it comes from Kafka.
fn batch() -> RawBatch {
    let topic = Topic::new("uses");
    let mut batch = RawBatch::default();
    let mut json = Vec::new();
    for (number, event) in bench_events(AGENTS, EVENTS as u64, 1).enumerate() {
        json.clear();
        output::write_json(&event, &mut json);
        let record = RawRecord {
            topic: &topic,
            partition: KafkaPartition(0),
            offset: Offset(i64::try_from(number).expect("a batch is small")),
            part: Part::FIRST,
            record_time: Some(event.time),
            payload: Some(&json),
        };
        batch.push(&record);
    }
    batch
}

fn normaliser() -> Normaliser {
    Normaliser::new(Format::Native, Redactor::new(&[7; 32]))
}

fn registry() -> Registry {
    let mut registry = Registry::default();
    for mut change in Company::new(&Settings::new(1, AGENTS, now())).registry_changes() {
        change.recorded_at = change.recorded_at.or(Some(now()));
        registry.apply(&change).expect("recorded_at is set");
    }
    registry
}

/// The batch's events, traced.
fn events() -> Vec<StampedEvent> {
    let (batch, normaliser, registry) = (batch(), normaliser(), registry());
    let stamped = batch.iter().map(|record| {
        let event = normaliser.normalise_one(&record, now()).expect("a native event");
        StampedEvent::stamp(event, record.position(), now(), &registry)
    });
    stamped.collect()
}

#[divan::bench]
fn normalise(bencher: Bencher<'_, '_>) {
    let (batch, normaliser) = (batch(), normaliser());
    bencher.counter(ItemsCount::new(EVENTS)).bench_local(|| {
        batch
            .iter()
            .filter(|record| black_box(normaliser.normalise_one(record, now())).is_ok())
            .count()
    });
}

#[divan::bench]
fn trace(bencher: Bencher<'_, '_>) {
    let (events, registry) = (events(), registry());
    bencher.counter(ItemsCount::new(EVENTS)).bench_local(|| {
        for event in &events {
            black_box(Trace::of(&event.event, &registry, now()));
        }
    });
}

/// A clone of the event is in it.
#[divan::bench]
fn stamp(bencher: Bencher<'_, '_>) {
    let (events, registry) = (events(), registry());
    bencher.counter(ItemsCount::new(EVENTS)).bench_local(|| {
        for event in &events {
            let (event, position) = (event.event.clone(), event.position.clone());
            black_box(StampedEvent::stamp(event, position, now(), &registry));
        }
    });
}

#[divan::bench]
fn detect(bencher: Bencher<'_, '_>) {
    let events = events();
    let mut detector = detect::Detector::new(detect::Config::default());
    bencher
        .counter(ItemsCount::new(EVENTS))
        .bench_local(|| black_box(detector.fold(&events)).len());
}

#[divan::bench]
fn rows(bencher: Bencher<'_, '_>) {
    let events = events();
    bencher.counter(ItemsCount::new(EVENTS)).bench_local(|| {
        let mut rows = EventRows::default();
        for event in &events {
            rows.push(event);
        }
        black_box(rows.finish())
    });
}

#[divan::bench]
fn encode(bencher: Bencher<'_, '_>) {
    let mut rows = EventRows::default();
    for event in &events() {
        rows.push(event);
    }
    let rows = rows.finish();
    let mut advance = Advance::default();
    for ((topic, partition), range) in BTreeMap::from_iter(batch().advance()) {
        advance.extend(&topic, partition, range);
    }
    bencher.counter(ItemsCount::new(EVENTS)).bench_local(|| {
        let files = lake::encode(Table::Events, std::slice::from_ref(&rows), &advance);
        black_box(files.expect("the rows fit the table"))
    });
}
