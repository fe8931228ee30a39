//! One micro-batch: records to events, rejects and registry changes, then to findings and rows.
//!
//! Invariant (E1): every record of a batch becomes exactly one row of `events`, `rejects` or
//! `registry_changes`, or one for each of several that stand in it, and the range of offsets that covers it
//! is noted with it: so all of a record is in one commit.

use std::time::Duration;

use arrow::array::RecordBatch;
use ingest::{RawBatch, Source};
use lake::{Advance, EventRows, FindingRows, RegistryRows, RejectRows};
use rayon::prelude::*;
use schemas::{
    Fact, Finding, Lapse, Offsets, Registry, RegistryChange, Reject, StampedEvent, Timestamp,
};
use tokio::time::Instant;

use super::Pipeline;
use super::handing::Batch;
use super::reading::{RECORDS_PER_STEP, RECORDS_PER_TASK_MIN, Readers};
use super::users::name_users;
use crate::clock;
use crate::telemetry::Stage;

/// Rows after which builders become columns, and new ones begin: builders that grow with a whole commit
/// copy and touch its bytes several times over. Tests have few rows, and go through that too.
pub(crate) const ROWS_PER_BATCH: usize = if cfg!(test) { 64 } else { 8_192 };

/// A change that was read always says when it was told: the reader fills that in.
pub(super) const SAYS_WHEN: &str = "the reader stamps recorded_at where the change has none";

/// What a micro-batch was read to, each in the order of the records.
#[derive(Default)]
struct Read {
    events: Vec<StampedEvent>,
    /// How many of the events are copies.
    copies: u64,
    rejects: Vec<Reject>,
    /// What the others teach of who had which credential issued, and of which grant is used.
    taught: Vec<RegistryChange>,
}

/// How many records were read, and what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) records: u64,
    pub(super) events: u64,
    pub(super) rejects: u64,
    pub(super) findings: u64,
    pub(super) registry_changes: u64,
}

impl std::ops::Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            records: self.records + other.records,
            events: self.events + other.events,
            rejects: self.rejects + other.rejects,
            findings: self.findings + other.findings,
            registry_changes: self.registry_changes + other.registry_changes,
        }
    }
}

/// Rows that are not yet committed, and the offsets they cover.
#[derive(Debug)]
pub(crate) struct Buffer {
    events: EventRows,
    /// Events that came before.
    done: Vec<RecordBatch>,
    done_bytes: usize,
    pub(crate) rejects: RejectRows,
    pub(crate) findings: FindingRows,
    pub(crate) changes: RegistryRows,
    /// What the events taught.
    pub(crate) learned: RegistryRows,
    /// Ranges of the topics of uses.
    pub(crate) uses: Advance,
    /// Ranges of the registry's topic.
    pub(crate) registry: Advance,
    pub(super) counts: Counts,
    began: Option<Instant>,
    /// How far the detector's state has come.
    offsets: Offsets,
}

impl Buffer {
    /// An empty buffer whose next record is the one at `offsets`.
    pub(crate) fn at(offsets: Offsets) -> Self {
        Self {
            events: EventRows::with_capacity(ROWS_PER_BATCH),
            done: Vec::new(),
            done_bytes: 0,
            rejects: RejectRows::with_capacity(0),
            findings: FindingRows::with_capacity(0),
            changes: RegistryRows::with_capacity(0),
            learned: RegistryRows::with_capacity(0),
            uses: Advance::default(),
            registry: Advance::default(),
            counts: Counts::default(),
            began: None,
            offsets,
        }
    }

    pub(crate) fn rows(&self) -> usize {
        let done: usize = self.done.iter().map(RecordBatch::num_rows).sum();
        done + self.events.len() + self.rejects.len() + self.findings.len() + self.changes.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.done_bytes
            + self.events.bytes()
            + self.rejects.bytes()
            + self.findings.bytes()
            + self.changes.bytes()
            + self.learned.bytes()
    }

    /// The events, which stay here. No row is copied: the builders become columns, and new ones begin.
    pub(super) fn events(&mut self) -> Vec<RecordBatch> {
        self.close_batch();
        self.done.clone()
    }

    /// Makes columns of the builders, if there are rows.
    fn close_batch(&mut self) {
        if !self.events.is_empty() {
            self.done_bytes += self.events.bytes();
            self.done.push(self.events.finish());
        }
    }

    /// When the oldest row came in.
    pub(crate) fn began(&self) -> Option<Instant> {
        self.began
    }

    pub(crate) fn offsets(&self) -> &Offsets {
        &self.offsets
    }

    /// Notes the offsets that a batch covers.
    fn cover(&mut self, batch: &RawBatch, readers: &Readers) {
        self.began.get_or_insert_with(Instant::now);
        for ((topic, partition), range) in batch.advance() {
            if readers.is_registry(&topic) {
                self.registry.extend(&topic, partition, range);
            } else {
                self.uses.extend(&topic, partition, range);
                self.offsets.raise(&topic, partition, range.end);
            }
        }
    }

    /// Everything but the offsets, which stay.
    pub(crate) fn take(&mut self) -> Self {
        let offsets = self.offsets.clone();
        std::mem::replace(self, Self::at(offsets))
    }
}

impl<S: Source> Pipeline<S> {
    /// Takes a micro-batch through all stages up to the outbox and the buffered rows.
    ///
    /// Its records had all arrived at `arrived`.
    pub(super) fn take(&mut self, batch: &RawBatch, arrived: Instant) {
        let (now, started) = (clock::reserve(batch.len()), Instant::now());
        let (changes, mut rejects) = self.take_registry_changes(batch, now);
        let Read { mut events, copies, rejects: rejected, taught } = self.read(batch, now);
        rejects.extend(rejected);
        self.learn_from(&mut events, taught);
        metrics::counter!("surety_copies_total").increment(copies);
        let originals = if copies == 0 { events.len() } else { copies_last(&mut events) };
        self.stages.record(Stage::Normalise, started.elapsed(), batch.len());

        let (detector, rows) = (&mut self.detector, &mut self.buffer.events);
        let mut detect = || {
            let started = Instant::now();
            let before = detector.agent_days();
            let findings = detector.fold(&events[..originals]);
            let agent_days = detector.agent_days() - before;
            metrics::counter!("surety_agent_days_total").increment(agent_days);
            (findings, started.elapsed())
        };
        let mut build = || {
            let started = Instant::now();
            for event in &events {
                rows.push(event);
            }
            started.elapsed()
        };
        let is_small = events.len() < RECORDS_PER_TASK_MIN;
        let (found, built) =
            if is_small { (detect(), build()) } else { rayon::join(detect, build) };
        let (mut findings, detecting) = found;
        name_users(&mut findings, &self.registry);
        self.stages.record(Stage::Detect, detecting, batch.len());
        self.stages.record(Stage::Rows, built, batch.len());

        lake::crash_point!("found", "findings");
        self.hand_over(&findings, Batch { arrived, records: batch.len() }, now);

        for finding in &findings {
            self.buffer.findings.push(finding, now);
        }
        for reject in &rejects {
            self.buffer.rejects.push(reject);
        }
        if ROWS_PER_BATCH <= self.buffer.events.len() {
            self.buffer.close_batch();
            let like = self.buffer.done.last().expect("it was just made");
            self.buffer.events = EventRows::like(like);
        }
        self.buffer.cover(batch, &self.parts.readers);
        let counts = Counts {
            records: batch.len() as u64,
            events: events.len() as u64,
            rejects: rejects.len() as u64,
            findings: findings.len() as u64,
            registry_changes: changes,
        };
        self.buffer.counts = self.buffer.counts + counts;
        self.tell(counts, &rejects, &findings);
        if !is_small {
            // Some twenty texts for each event, given back while the next batch is polled.
            rayon::spawn(move || drop(events));
        }
    }

    /// The records of uses. What is a copy teaches nothing: what was told first and contradicted since stays
    /// contradicted.
    fn read(&mut self, batch: &RawBatch, now: Timestamp) -> Read {
        let readings = self.parts.readers.read(batch, &self.registry, now);
        let mut read = Read { events: Vec::with_capacity(batch.len()), ..Read::default() };
        // One after the other: the order of the records decides which is the copy.
        for mut reading in readings {
            for (event, (fingerprint, taught)) in reading.events.iter_mut().zip(reading.told) {
                if self.detector.mark(event, fingerprint) {
                    read.copies += 1;
                } else {
                    read.taught.extend(taught);
                }
            }
            read.events.append(&mut reading.events);
            read.rejects.append(&mut reading.rejects);
        }
        read
    }

    /// Takes in what the events taught, and stamps those again that it may concern: whether a
    /// credential is used in the batch in which it was issued or in a later one must not show. Each
    /// event sees what was told before it was read.
    fn learn_from(&mut self, events: &mut [StampedEvent], taught: Vec<RegistryChange>) {
        let (mut issues, mut uses) = (0, 0);
        for change in taught {
            if apply(&mut self.registry, &change) {
                let told = change.recorded_at.expect("it says when the event was read");
                self.buffer.learned.push(&change, told);
                let is_use = matches!(change.fact, Fact::GrantUse { .. });
                *(if is_use { &mut uses } else { &mut issues }) += 1;
            }
        }
        metrics::counter!("surety_learned_total").increment(issues + uses);
        let is_concerned = |one: &&mut StampedEvent| {
            (0 < issues && one.may_rest_on_issues()) || (0 < uses && Lapse::UnusedGrant.is_of(one))
        };
        if 0 < issues + uses {
            let registry = &self.registry;
            let mut concerned: Vec<_> = events.iter_mut().filter(is_concerned).collect();
            let some = concerned.par_chunks_mut(RECORDS_PER_STEP);
            some.for_each(|some| StampedEvent::ask_all(some, registry));
        }
    }

    /// Applies the registry changes of a batch, before its events are traced. Returns how many they
    /// were, and what could not be read.
    fn take_registry_changes(&mut self, batch: &RawBatch, now: Timestamp) -> (u64, Vec<Reject>) {
        let (mut changes, mut rejects) = (0, Vec::new());
        let Some((topic, reader)) = &self.parts.readers.registry else { return (changes, rejects) };
        let ours = batch.iter().enumerate().filter(|(_, record)| record.topic == topic);
        for (at, record) in ours {
            // A microsecond after the one before: of two that contradict, the later one holds.
            let read_at = now.plus(Duration::from_micros(at as u64));
            match reader.read(&record, read_at) {
                Ok(change) => {
                    apply(&mut self.registry, &change);
                    self.detector.hear(&change);
                    self.buffer.changes.push(&change, read_at);
                    changes += 1;
                }
                Err(reject) => rejects.push(reject),
            }
        }
        (changes, rejects)
    }

    /// Tells those who watch. The counters count a record again that is read again.
    fn tell(&self, counts: Counts, rejects: &[Reject], findings: &[Finding]) {
        self.watch.send_replace(self.progress_now());
        metrics::counter!("surety_events_total").increment(counts.events);
        for reject in rejects {
            metrics::counter!("surety_rejects_total", "reason" => reject.reason.as_str())
                .increment(1);
        }
        for finding in findings {
            let basis = if finding.is_of_registry() { "registry" } else { "baseline" };
            let severity = finding.severity.as_str();
            metrics::counter!("surety_findings_total", "severity" => severity, "basis" => basis)
                .increment(1);
        }
    }
}

/// Moves copies behind the other events, each in their order; returns how many others there are.
pub(super) fn copies_last(events: &mut [StampedEvent]) -> usize {
    events.sort_by_key(|one| one.dup_of.is_some());
    events.partition_point(|one| one.dup_of.is_none())
}

/// Returns whether it is news.
fn apply(registry: &mut Registry, change: &RegistryChange) -> bool {
    registry.apply(change).expect(SAYS_WHEN)
}
