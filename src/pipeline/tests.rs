//! The loop over a source in memory and a lake in a folder: what fails, races or comes back.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use detect::webhook::{Deliverer, Message, Outbox};
use futures::future::BoxFuture;
use ingest::{Normaliser, RawBatch, RawRecord, Redactor, RegistryReader};
use lake::{Lake, Location, StoreOptions};
use schemas::{Format, KafkaPartition, Offset, Part, Position, Table, Topic};
use serde_json::Value;
use tempfile::TempDir;

use super::settle::Settled;
use super::*;
use crate::clock;
use crate::http::Health;

const P0: KafkaPartition = KafkaPartition(0);

/// A log in memory with one partition for each topic; it ends.
#[derive(Debug)]
struct Log {
    records: BTreeMap<Topic, Vec<Vec<u8>>>,
    next: BTreeMap<Topic, usize>,
}

impl Log {
    fn of(topics: &[(&str, Vec<Vec<u8>>)]) -> Self {
        let records = topics.iter().map(|(name, records)| (Topic::new(name), records.clone()));
        Self { records: records.collect(), next: BTreeMap::new() }
    }
}

impl Source for Log {
    async fn poll(&mut self, records_max: usize, _wait_max: Duration) -> Result<Poll, SourceError> {
        let mut batch = RawBatch::default();
        for (topic, records) in &self.records {
            let next = self.next.get_mut(topic).expect("sought before");
            while *next < records.len() && batch.len() < records_max {
                batch.push(&RawRecord {
                    topic,
                    partition: P0,
                    offset: Offset(i64::try_from(*next).unwrap()),
                    part: Part::FIRST,
                    record_time: None,
                    payload: Some(&records[*next]),
                });
                *next += 1;
            }
        }
        if batch.is_empty() { Ok(Poll::End) } else { Ok(Poll::Records(batch)) }
    }

    fn seek(&mut self, offsets: &Offsets) -> Result<(), SourceError> {
        for topic in self.records.keys() {
            let next = offsets.next_of(topic, P0).unwrap_or(Offset::START);
            self.next.insert(topic.clone(), usize::try_from(next.0).unwrap());
        }
        Ok(())
    }

    fn committed(&mut self, _offsets: &Offsets) {}
}

/// Uses of a credential by three agents, with two counterparties.
fn uses(count: usize) -> Vec<Vec<u8>> {
    let use_of = |n: usize| {
        let event = serde_json::json!({
            "schema": "surety.credential_event.v1", "time": "2026-03-02T10:00:00Z",
            "agent_id": format!("agent-{}", n % 3), "credential_id": "key-1",
            "credential_kind": "static_key", "action": "order.read", "outcome": "success",
            "counterparty_id": format!("vendor-{}", n % 2),
        });
        event.to_string().into_bytes()
    };
    (0..count).map(use_of).collect()
}

fn lake_in(folder: &Path) -> Lake {
    let location = Location::parse(folder.join("lake").to_str().unwrap()).unwrap();
    Lake::open(&location, &StoreOptions::default()).unwrap()
}

fn parts(folder: &Path, log: Log) -> Parts<Log> {
    let redactor = Redactor::new(&[7; 32]);
    let normaliser = Normaliser::new(Format::Native, redactor.clone());
    Parts {
        source: log,
        readers: Readers {
            uses: BTreeMap::from([(Topic::new("uses"), normaliser)]),
            registry: Some((Topic::new("registry"), RegistryReader::new(redactor))),
        },
        lake: lake_in(folder),
        detect: detect::Config::default(),
        checkpoints: Checkpoints::new(&folder.join("state")).unwrap(),
        routes: Routes::default(),
        limits: Limits {
            records_max: 10,
            wait_max: Duration::ZERO,
            rows_max: 1_000,
            bytes_max: 1 << 30,
            age_max: Duration::from_hours(1),
            checkpoint_age_max: Duration::from_hours(1),
        },
        health: Health::default(),
        seal_key: Arc::new(SealKey::new("surety", &[7; 32]).unwrap()),
    }
}

fn started(folder: &Path, log: Log) -> BoxFuture<'static, Box<Pipeline<Log>>> {
    with_parts(parts(folder, log))
}

fn with_parts(parts: Parts<Log>) -> BoxFuture<'static, Box<Pipeline<Log>>> {
    Box::pin(async { Box::new(Pipeline::start(parts).await.unwrap()) })
}

fn run_to_end(pipeline: Box<Pipeline<Log>>) -> BoxFuture<'static, Result<Summary, Failure>> {
    let patience = Patience::OF_A_COMMAND.without_pauses();
    Box::pin(pipeline.run_with(patience, CancellationToken::new()))
}

/// Takes one micro-batch by hand.
async fn take(pipeline: &mut Pipeline<Log>) {
    let polled = pipeline.parts.source.poll(10, Duration::ZERO).await.unwrap();
    let Poll::Records(batch) = polled else { panic!("{polled:?}") };
    pipeline.take(&batch, Instant::now());
}

async fn settled(pipeline: &mut Pipeline<Log>) -> Settled {
    let written = committed(&mut pipeline.committing).await;
    pipeline.settle(written).await.unwrap()
}

async fn rows(folder: &Path, sql: &str) -> Value {
    let engine = query::Engine::open(&lake_in(folder), query::Limits::ONE_PERSON).await.unwrap();
    crate::commands::rows_of(&engine, sql).await.unwrap()
}

async fn count(folder: &Path, table: &str) -> u64 {
    rows(folder, &format!("SELECT count(*) AS n FROM {table}")).await[0]["n"].as_u64().unwrap()
}

/// Every offset below `end` once.
async fn assert_uses_once(folder: &Path, end: u64) {
    let sql = "SELECT count(*) AS n, count(DISTINCT kafka_offset) AS d FROM events";
    let found = rows(folder, sql).await;
    assert_eq!((found[0]["n"].as_u64(), found[0]["d"].as_u64()), (Some(end), Some(end)));
}

#[tokio::test]
async fn rejects_of_the_registry_are_kept_also_where_nothing_else_came() {
    let folder = TempDir::new().unwrap();
    let changes = || Log::of(&[("registry", vec![b"not json".to_vec(); 3])]);

    let summary = run_to_end(started(folder.path(), changes()).await).await.unwrap();

    assert_eq!((summary.progress.rejects, summary.progress.committed), (3, 3));
    assert_eq!(count(folder.path(), "rejects").await, 3);
    // As after a crash between the commits of the two tables.
    fs::remove_dir_all(folder.path().join("lake/registry_changes")).unwrap();
    let again = run_to_end(started(folder.path(), changes()).await).await.unwrap();
    assert_eq!(again.progress.rejects, 3);
    assert_eq!(count(folder.path(), "rejects").await, 3);
}

#[tokio::test]
async fn edges_are_kept_in_step_with_events() {
    let folder = TempDir::new().unwrap();
    run_to_end(started(folder.path(), Log::of(&[("uses", uses(12))])).await).await.unwrap();
    // As of a lake from before there were edges.
    fs::remove_dir_all(folder.path().join("lake/counterparty_edges")).unwrap();
    run_to_end(started(folder.path(), Log::of(&[("uses", uses(30))])).await).await.unwrap();

    let sql = "SELECT agent_id, counterparty_id, events FROM counterparty_edges ORDER BY 1, 2";
    let found = rows(folder.path(), sql).await;

    let edges = found.as_array().unwrap();
    assert_eq!(edges.len(), 6);
    assert!(edges.iter().all(|edge| edge["events"] == 5), "{found}");
    let tables = lake_in(folder.path());
    let (edges, events) = (
        tables.table(Table::CounterpartyEdges).await.unwrap(),
        tables.table(Table::Events).await.unwrap(),
    );
    assert_eq!(edges.offsets(), events.offsets());
}

#[tokio::test]
async fn a_commit_that_the_lake_refuses_is_tried_again_until_it_lands() {
    let folder = TempDir::new().unwrap();
    let mut pipeline = started(folder.path(), Log::of(&[("uses", uses(20))])).await;
    let in_the_way = block(folder.path());
    take(&mut pipeline).await;
    pipeline.commit(false).unwrap();

    assert_eq!(settled(&mut pipeline).await, Settled::Stalled);
    take(&mut pipeline).await;
    assert!(!pipeline.is_due().unwrap(), "one commit at a time");
    fs::remove_file(&in_the_way).unwrap();
    pipeline.try_again();
    assert_eq!(settled(&mut pipeline).await, Settled::Landed);

    let summary = run_to_end(pipeline).await.unwrap();
    assert_eq!((summary.progress.records, summary.progress.committed), (20, 20));
    assert_uses_once(folder.path(), 20).await;
}

/// A file where the events' folder of a month must be.
fn block(folder: &Path) -> std::path::PathBuf {
    let events = folder.join("lake/events");
    fs::create_dir_all(&events).unwrap();
    let in_the_way = events.join("month=2026-03");
    fs::write(&in_the_way, "").unwrap();
    in_the_way
}

#[tokio::test]
async fn a_command_gives_up_with_69_and_what_it_did_not_commit_is_read_again() {
    let folder = TempDir::new().unwrap();
    let in_the_way = block(folder.path());

    let pipeline = started(folder.path(), Log::of(&[("uses", uses(20))])).await;
    let failure = run_to_end(pipeline).await.unwrap_err();

    assert_eq!(failure.exit(), Exit::Unavailable, "{failure:#}");
    fs::remove_file(&in_the_way).unwrap();
    let pipeline = started(folder.path(), Log::of(&[("uses", uses(20))])).await;
    assert_eq!(run_to_end(pipeline).await.unwrap().progress.committed, 20);
    assert_uses_once(folder.path(), 20).await;
}

#[tokio::test]
async fn a_replay_that_was_overtaken_goes_on_to_its_end_and_counts_each_record_once() {
    let folder = TempDir::new().unwrap();
    let mut slow = started(folder.path(), Log::of(&[("uses", uses(20))])).await;
    take(&mut slow).await;
    let quick = started(folder.path(), Log::of(&[("uses", uses(13))])).await;
    run_to_end(quick).await.unwrap();
    let progress = slow.progress();

    let summary = run_to_end(slow).await.unwrap();

    assert_eq!((summary.progress.records, summary.progress.committed), (7, 7));
    assert_eq!(*progress.borrow(), summary.progress);
    assert_uses_once(folder.path(), 20).await;
}

#[tokio::test]
async fn a_start_after_a_stop_goes_on_from_checkpoint_and_lake() {
    let folder = TempDir::new().unwrap();
    run_to_end(started(folder.path(), Log::of(&[("uses", uses(12))])).await).await.unwrap();

    let pipeline = started(folder.path(), Log::of(&[("uses", uses(20))])).await;
    assert_eq!(pipeline.detector.stats().agents, 3);
    let summary = run_to_end(pipeline).await.unwrap();

    assert_eq!(summary.progress.records, 8);
    assert_uses_once(folder.path(), 20).await;
}

#[tokio::test]
async fn a_lake_that_vanishes_is_not_made_anew() {
    let folder = TempDir::new().unwrap();
    let mut pipeline = started(folder.path(), Log::of(&[("uses", uses(20))])).await;
    take(&mut pipeline).await;
    pipeline.commit(false).unwrap();
    assert_eq!(settled(&mut pipeline).await, Settled::Landed);
    fs::remove_dir_all(folder.path().join("lake")).unwrap();

    let failure = pipeline.abandon().await.unwrap_err();

    assert!(format!("{failure:#}").contains("disappeared"), "{failure:#}");
    assert!(!folder.path().join("lake/events").exists());
}

#[tokio::test]
async fn live_events_are_those_in_flight_and_those_buffered_until_they_have_landed() {
    let folder = TempDir::new().unwrap();
    let mut pipeline = started(folder.path(), Log::of(&[("uses", uses(30))])).await;
    let asker = pipeline.asker();
    take(&mut pipeline).await;
    pipeline.commit(false).unwrap();
    take(&mut pipeline).await;
    let before = asked(&mut pipeline, &asker).await;
    take(&mut pipeline).await;
    let (rows, bytes) = (pipeline.buffer.rows(), pipeline.buffer.bytes());

    assert_eq!(settled(&mut pipeline).await, Settled::Landed);
    let after = asked(&mut pipeline, &asker).await;

    assert_eq!((rows_in(&before), rows_in(&after), rows), (20, 20, 20));
    assert_eq!((pipeline.buffer.rows(), pipeline.buffer.bytes()), (rows, bytes));
    run_to_end(pipeline).await.unwrap();
    assert_uses_once(folder.path(), 30).await;
    assert_eq!(rows_in(&asker.events().await), 0);
}

async fn asked(pipeline: &mut Pipeline<Log>, asker: &Asker) -> Vec<arrow::array::RecordBatch> {
    let (events, ()) = tokio::join!(asker.events(), async {
        let question = pipeline.questions.next().await;
        pipeline.answer(question);
    });
    events
}

#[tokio::test]
async fn an_event_that_has_not_happened_is_assessed_and_leaves_no_mark() {
    let folder = TempDir::new().unwrap();
    let mut pipeline = started(folder.path(), Log::of(&[("uses", uses(30))])).await;
    take(&mut pipeline).await;
    let position = Position {
        topic: Topic::new("score"),
        partition: KafkaPartition(0),
        offset: Offset::START,
        part: Part::FIRST,
    };
    let native: schemas::NativeEvent = serde_json::from_slice(&uses(1)[0]).unwrap();
    let event = native.into_event(&position).unwrap();
    let (stats, rows) = (pipeline.detector.stats(), pipeline.buffer.rows());
    let asker = pipeline.asker();

    let mut assessed = Vec::new();
    for _ in 0..2 {
        let (answer, ()) = tokio::join!(asker.assess(event.clone(), position.clone()), async {
            let question = pipeline.questions.next().await;
            pipeline.answer(question);
        });
        assessed.push(answer.unwrap());
    }

    assert_eq!(assessed[0].assessment, assessed[1].assessment);
    assert_eq!(assessed[0].trace.status, schemas::TraceStatus::Unregistered);
    assert_eq!((pipeline.detector.stats(), pipeline.buffer.rows()), (stats, rows));
    drop(pipeline);
    assert!(asker.assess(event, position).await.is_none(), "nobody answers any more");
}

fn rows_in(batches: &[arrow::array::RecordBatch]) -> usize {
    batches.iter().map(arrow::array::RecordBatch::num_rows).sum()
}

/// An outbox with `attempts` at an endpoint that nobody knows.
async fn outbox(path: &Path, finding: &str, attempts: usize) -> Routes {
    let outbox = Arc::new(Outbox::open(path).unwrap());
    let message = |n: usize| {
        Message::new(&format!("{finding}-{n}"), "gone", clock::now(), b"{}".to_vec()).unwrap()
    };
    outbox.enqueue(&(0..attempts).map(message).collect::<Vec<_>>(), clock::now()).unwrap();
    let stop = CancellationToken::new();
    stop.cancel();
    let deliverer = Deliverer::new(Arc::clone(&outbox), BTreeMap::new(), Arc::new(clock::now));
    deliverer.unwrap().run(|_| {}, stop).await.unwrap();
    Routes::new(outbox, Vec::new())
}

async fn delivered(folder: &Path) -> Vec<(String, i64)> {
    let sql = "SELECT finding_id, sequence FROM deliveries ORDER BY sequence";
    let found = rows(folder, sql).await;
    let one = |row: &Value| {
        (row["finding_id"].as_str().unwrap().to_owned(), row["sequence"].as_i64().unwrap())
    };
    found.as_array().unwrap().iter().map(one).collect()
}

#[tokio::test]
async fn attempts_reach_the_lake_once_whatever_outbox_they_come_from() {
    let folder = TempDir::new().unwrap();
    let (first, copy) = (folder.path().join("first.redb"), folder.path().join("copy.redb"));
    let start = async |routes: Routes| {
        let parts = parts(folder.path(), Log::of(&[("uses", uses(5))]));
        with_parts(Parts { routes, ..parts }).await
    };
    let routes = outbox(&first, "a", 2).await;
    fs::copy(&first, &copy).unwrap();
    run_to_end(start(routes.clone()).await).await.unwrap();
    assert!(!routes.has_attempts().unwrap());

    // As after a crash between the commit and forgetting.
    let crashed = Routes::new(Arc::new(Outbox::open(&copy).unwrap()), Vec::new());
    run_to_end(start(crashed).await).await.unwrap();
    // As with a new state folder: its numbers begin anew.
    let other = outbox(&folder.path().join("other.redb"), "b", 3).await;
    run_to_end(start(other.clone()).await).await.unwrap();

    let wanted = [("a-0", 0), ("a-1", 1), ("b-0", 2), ("b-1", 3), ("b-2", 4)];
    assert_eq!(delivered(folder.path()).await, wanted.map(|(id, n)| (id.to_owned(), n)));
    assert!(!other.has_attempts().unwrap());
}

#[tokio::test]
async fn attempts_are_committed_where_no_record_comes() {
    let folder = TempDir::new().unwrap();
    let routes = outbox(&folder.path().join("outbox.redb"), "a", 1).await;
    let parts = parts(folder.path(), Log::of(&[("uses", Vec::new())]));
    let mut pipeline = with_parts(Parts { routes, ..parts }).await;
    assert!(!pipeline.is_due().unwrap());
    pipeline.attempts_due = Instant::now();

    assert!(pipeline.is_due().unwrap());
    pipeline.commit(false).unwrap();
    assert_eq!(settled(&mut pipeline).await, Settled::Landed);

    assert_eq!(delivered(folder.path()).await, [("a-0".to_owned(), 0)]);
    pipeline.attempts_due = Instant::now();
    assert!(!pipeline.is_due().unwrap());
}

#[tokio::test]
async fn events_do_not_wait_for_a_broken_table_of_deliveries() {
    let folder = TempDir::new().unwrap();
    let routes = outbox(&folder.path().join("outbox.redb"), "a", 1).await;
    let parts = parts(folder.path(), Log::of(&[("uses", uses(5))]));
    let pipeline = with_parts(Parts { routes: routes.clone(), ..parts }).await;
    fs::create_dir(folder.path().join("lake")).unwrap();
    let in_the_way = folder.path().join("lake/deliveries");
    fs::write(&in_the_way, "not a folder").unwrap();

    run_to_end(pipeline).await.unwrap();

    fs::remove_file(&in_the_way).unwrap();
    assert_uses_once(folder.path(), 5).await;
    assert!(routes.has_attempts().unwrap());
}

#[tokio::test]
async fn records_that_waited_for_the_loop_have_arrived_before_it_asked() {
    let folder = TempDir::new().unwrap();
    let mut pipeline = started(folder.path(), Log::of(&[])).await;
    let before = pipeline.drained_at;
    let now = Instant::now();

    let waited_for_us = pipeline.arrived(now, 10_000);
    let we_waited = pipeline.arrived(now.checked_sub(Duration::from_secs(1)).unwrap(), 10_000);

    assert_eq!(waited_for_us, before);
    assert!(now <= we_waited);
}

async fn flaws(folder: &Path) -> Vec<String> {
    let key = SealKey::new("surety", &[7; 32]).unwrap();
    let (lake, scope) = (lake_in(folder), lake::seal::Scope::default());
    let verified = lake::seal::verify(&lake, key.public(), &scope, |_, _| {}).await.unwrap();
    verified.flaws.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn a_commit_that_a_crash_left_without_a_seal_is_sealed_at_the_next_start() {
    let folder = TempDir::new().unwrap();
    let mut records = uses(5);
    records.push(b"not json".to_vec());
    let log = || Log::of(&[("uses", records.clone()), ("registry", Vec::new())]);
    run_to_end(started(folder.path(), log()).await).await.unwrap();
    assert_eq!(flaws(folder.path()).await, [""; 0]);
    let seal = folder.path().join("lake/seals/_delta_log/00000000000000000001.json");
    fs::remove_file(&seal).unwrap();
    assert_ne!(flaws(folder.path()).await, [""; 0]);

    run_to_end(started(folder.path(), log()).await).await.unwrap();

    assert!(seal.exists());
    assert_eq!(flaws(folder.path()).await, [""; 0]);
}

#[tokio::test]
async fn a_lake_whose_logs_became_long_is_as_it_was_sealed() {
    let folder = TempDir::new().unwrap();
    let log = Log::of(&[("uses", uses(550)), ("registry", Vec::new())]);
    let mut pipeline = started(folder.path(), log).await;
    for _ in 0..52 {
        take(&mut pipeline).await;
        pipeline.commit(false).unwrap();
        assert_eq!(settled(&mut pipeline).await, Settled::Landed);
    }
    pipeline.writer.as_mut().unwrap().settle_logs().await;

    for table in ["events", "seals"] {
        let last = format!("lake/{table}/_delta_log/_last_checkpoint");
        assert!(folder.path().join(last).exists(), "{table}");
    }
    assert_eq!(flaws(folder.path()).await, [""; 0]);
}

mod moves;
mod registry;
mod rounds;
mod several;
mod simulation;
