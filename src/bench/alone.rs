//! [`measure`]: what each stage costs by itself, in the process that has just measured the pipeline.
//!
//! Invariant: one thread does one stage at a time, over the pipeline's own records and by its own calls, and that
//! thread's processor time counts; reading from Kafka is done by threads of librdkafka as well, so there it is
//! the process's. The sum is what an event would cost if no stage disturbed another: the limit that
//! the pipeline's cost is compared with.

use std::time::Duration;

use arrow::array::RecordBatch;
use detect::{Detector, Fingerprint};
use ingest::{Normaliser, Poll, RawBatch, RawRecord, Source};
use lake::seal::Tree;
use lake::{Advance, EventRows, Form, RejectRows};
use schemas::{
    KafkaPartition, Offset, Offsets, Part, Registry, RegistryChange, StampedEvent, Topic,
};

use super::Usage;
use super::load::BATCH;
use super::one_thread;
use super::supply::Records;
use crate::cli::BenchPipeline;
use crate::clock;
use crate::exit::Failure;
use crate::pipeline::{Limits, ROWS_PER_BATCH, of_source};
use crate::telemetry::Busy;

/// Events that go through the stages before any is timed, since a detector that has seen nobody makes room for
/// everybody, and then those that are timed: half of all there are, and at most so many.
const EVENTS_MAX: u64 = 131_072;

/// What was used of a processor in each stage.
#[derive(Debug, Default)]
struct Spent {
    normalise: Duration,
    stamp: Duration,
    /// Whether it is a copy of an earlier one.
    compare: Duration,
    detect: Duration,
    rows: Duration,
    encode: Duration,
    hash: Duration,
    /// Giving back what an event is made of.
    free: Duration,
}

/// Nanoseconds of an event, by stage, in the order of the pipeline.
pub(super) type Alone = Vec<(&'static str, f64)>;

/// What an event costs in each stage; see the [module](self).
///
/// # Errors
///
/// [`Exit::Unavailable`](crate::exit::Exit::Unavailable) if there is no thread to be had.
pub(super) fn measure(
    args: &BenchPipeline,
    limits: Limits,
    detector: Detector,
    normaliser: &Normaliser,
    registry: Registry,
) -> Result<Alone, Failure> {
    let untimed = EVENTS_MAX.min(args.events / 2);
    let timed = EVENTS_MAX.min(args.events - untimed);
    let mut stages = Stages::new(args, limits.rows_max, detector, normaliser, registry);
    let spent = one_thread()?.install(|| {
        stages.pass(untimed);
        stages.spent = Spent::default();
        stages.pass(timed);
        std::mem::take(&mut stages.spent)
    });
    let Spent { normalise, stamp, compare, detect, rows, encode, hash, free } = spent;
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let ns = |spent: Duration| spent.as_secs_f64() * 1e9 / timed as f64;
    let named = [
        ("normalise", normalise),
        ("stamp", stamp),
        ("compare", compare),
        ("detect", detect),
        ("rows", rows),
        ("encode", encode),
        ("hash", hash),
        ("free", free),
    ];
    Ok(named.into_iter().map(|(name, spent)| (name, ns(spent))).collect())
}

/// Consumes the topic and does nothing with it. Returns what that took of the processor.
pub(super) async fn consume(
    mut source: impl Source,
    events: u64,
    limits: Limits,
) -> Result<Duration, Failure> {
    let (before, mut read) = (Usage::now()?, 0);
    while read < events {
        match source.poll(limits.records_max, limits.wait_max).await.map_err(of_source)? {
            Poll::Records(batch) => {
                read += batch.len() as u64;
                source.give_back(batch);
            }
            Poll::Reassigned { .. } => source.seek(&Offsets::default()).map_err(of_source)?,
            Poll::Idle => {}
            Poll::End => break,
        }
    }
    Ok(Usage::now()?.since(&before).cpu)
}

/// The stages, and what goes from one to the next.
struct Stages<'a> {
    records: Records,
    topic: Topic,
    next: Offset,
    normaliser: &'a Normaliser,
    registry: Registry,
    detector: Detector,
    rows: EventRows,
    columns: Vec<RecordBatch>,
    /// The records of `rows` and `columns`.
    advance: Advance,
    rows_max: usize,
    spent: Spent,
}

impl<'a> Stages<'a> {
    fn new(
        args: &BenchPipeline,
        rows_max: usize,
        detector: Detector,
        normaliser: &'a Normaliser,
        registry: Registry,
    ) -> Self {
        Self {
            records: Records::new(args),
            topic: Topic::new("alone"),
            next: Offset(0),
            normaliser,
            registry,
            detector,
            rows: EventRows::with_capacity(ROWS_PER_BATCH),
            columns: Vec::new(),
            advance: Advance::default(),
            rows_max,
            spent: Spent::default(),
        }
    }

    /// Takes so many records through all stages.
    fn pass(&mut self, records: u64) {
        let mut left = records;
        while 0 < left {
            let size = (BATCH as u64).min(left);
            let batch = self.batch(size);
            self.take(&batch);
            left -= size;
            if left == 0 || self.rows_max <= self.columns.len() * ROWS_PER_BATCH {
                self.commit();
            }
        }
    }

    fn batch(&mut self, size: u64) -> RawBatch {
        let mut batch = RawBatch::default();
        for _ in 0..size {
            let (time, json) = self.records.next();
            batch.push(&RawRecord {
                topic: &self.topic,
                partition: KafkaPartition(0),
                offset: self.next,
                part: Part::FIRST,
                record_time: Some(time),
                payload: Some(json),
            });
            self.next = self.next.next();
        }
        batch
    }

    /// A micro-batch, up to its rows.
    fn take(&mut self, batch: &RawBatch) {
        let Self { normaliser, registry, detector, rows, columns, spent, .. } = self;
        let now = clock::now();
        let read = || {
            let events = batch.iter().map(|record| normaliser.normalise_one(&record, now));
            events.collect::<Result<Vec<_>, _>>().expect("the bench's records are events")
        };
        let events = timed(&mut spent.normalise, read);
        let mut stamped = timed(&mut spent.stamp, || {
            let unstamped = events.into_iter().zip(batch.iter());
            let mut stamped: Vec<_> = unstamped
                .map(|(event, record)| StampedEvent::unstamped(event, record.position(), now))
                .collect();
            StampedEvent::ask_all(&mut stamped, registry);
            let known = &*registry;
            let taught = |one: &StampedEvent| {
                RegistryChange::learned(&one.event, known, now).collect::<Vec<_>>()
            };
            for change in stamped.iter().flat_map(taught).collect::<Vec<_>>() {
                registry.apply(&change).expect("it says when it was learned");
            }
            stamped
        });
        timed(&mut spent.compare, || {
            for one in &mut stamped {
                let fingerprint = Fingerprint::of(one);
                detector.mark(one, fingerprint);
            }
        });
        timed(&mut spent.detect, || detector.fold(&stamped));
        timed(&mut spent.rows, || {
            for one in &stamped {
                rows.push(one);
                if ROWS_PER_BATCH <= rows.len() {
                    let finished = rows.finish();
                    *rows = EventRows::like(&finished);
                    columns.push(finished);
                }
            }
        });
        timed(&mut spent.free, || drop(stamped));
        for ((topic, partition), range) in batch.advance() {
            self.advance.extend(&topic, partition, range);
        }
    }

    /// Encodes and hashes what there is.
    fn commit(&mut self) {
        let Self { rows, columns, advance, spent, .. } = self;
        if !rows.is_empty() {
            columns.push(rows.finish());
        }
        let fits = "the rows have the columns of their table";
        timed(&mut spent.encode, || Form::Parquet.encode_events(columns, advance)).expect(fits);
        let rejects = [RejectRows::with_capacity(0).finish()];
        timed(&mut spent.hash, || Tree::of(columns, &rejects, advance)).expect(fits);
        columns.clear();
        *advance = Advance::default();
    }
}

fn timed<T>(spent: &mut Duration, work: impl FnOnce() -> T) -> T {
    let busy = Busy::now();
    let done = work();
    *spent += busy.elapsed();
    done
}
