//! The cost of each stage of the pipeline alone, per micro-batch of 4,096 native events.
//!
//! `cargo bench --bench stages`. Divide a time by 4,096 for the cost of an event. `kafka_delta_ingest` is what a peer
//! does with the same records, which detects, traces and seals nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::Schema;
use arrow::json::ReaderBuilder;
use divan::{Bencher, black_box, counter::ItemsCount};
use ingest::{Normaliser, RawBatch, RawRecord, Redactor};
use lake::{Advance, EventRows};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use schemas::{
    Format, KafkaPartition, Offset, Part, Registry, StampedEvent, Table, Timestamp, Topic, Trace,
};
use serde_json::Value;
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

/// What kafka-delta-ingest does with messages between Kafka and its commit, by the calls of its version 0.8: a tree of
/// JSON of each, the trees to columns, the columns to Parquet with Snappy.
#[divan::bench]
fn kafka_delta_ingest(bencher: Bencher<'_, '_>) {
    let batch = batch();
    let payloads: Vec<&[u8]> = batch.iter().filter_map(|record| record.payload).collect();
    let sent = |name: &str| payloads.iter().any(|json| fields(json).contains_key(name));
    let all = Table::Events.arrow_schema();
    let columns = all.fields().iter().filter(|field| sent(field.name()));
    // What is not there is sent as null, also of a column that has none.
    let columns = columns.map(|field| field.as_ref().clone().with_nullable(true));
    let schema = Arc::new(Schema::new(columns.collect::<Vec<_>>()));
    bencher.counter(ItemsCount::new(EVENTS)).bench_local(|| {
        let trees: Vec<Value> = payloads.iter().map(|json| fields(json).into()).collect();
        let reader = ReaderBuilder::new(Arc::clone(&schema));
        let mut decoder = reader.build_decoder().expect("JSON has such columns");
        decoder.serialize(&trees).expect("the trees have these columns");
        let rows = decoder.flush().expect("whole rows").expect("there are some");
        let snappy = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let mut file = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(snappy))
            .expect("Parquet has such columns");
        file.write(&rows).expect("memory takes every write");
        black_box(file.into_inner().expect("memory takes every write"))
    });
}

fn fields(json: &[u8]) -> serde_json::Map<String, Value> {
    serde_json::from_slice(json).expect("the bench's records are objects")
}
