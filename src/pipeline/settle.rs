//! From a full buffer to what became of it: landed, to be tried again, or superseded.
//!
//! Invariant: a cut is either with the writer's task, or stalled, or noted as landed, or thrown away
//! together with everything that was read after it.

use std::io;
use std::time::Duration;

use arrow::array::RecordBatch;
use detect::webhook::OutboxError;
use ingest::Source;
use lake::{CommitError, LakeError};
use schemas::{Finding, Offsets, Timestamp};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::checkpoint::Image;
use super::commit::{self, Cut, Done, Writer, Written};
use super::handing::{Batch, Handed};
use super::micro_batch::{Buffer, Counts};
use super::restore::RecallError;
use super::{Pipeline, of_commit, of_lake, of_outbox};
use crate::clock;
use crate::exit::Failure;
use crate::http::Condition;
use crate::telemetry::Stage;

/// A cut that the lake did not take, and when to try again.
#[derive(Debug)]
pub(super) struct Stalled {
    writer: Box<Writer>,
    cut: Box<Cut>,
    pub(super) at: Instant,
}

/// What of a cut is told while it is being committed.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    pub(super) events: Vec<RecordBatch>,
    pub(super) counts: Counts,
}

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    Landed,
    /// It will be tried again.
    Stalled,
    /// Another worker has moved the table on; we went back to its offsets.
    Superseded,
}

impl<S: Source> Pipeline<S> {
    /// Starts a commit of everything that is buffered, in the background; with a checkpoint of the
    /// state that it led to when one is due.
    pub(super) fn commit(&mut self, is_last: bool) -> Result<(), Failure> {
        let now = Instant::now();
        let mut cut = Box::new(Cut::of(&mut self.buffer, self.parts.routes.attempts()?));
        self.attempts_due = now + self.parts.limits.age_max;
        if is_last || (self.checkpoint_due <= now && self.keeping.is_none()) {
            self.checkpoint_due = now + self.parts.limits.checkpoint_age_max;
            cut.checkpoint = Some(Image::of(&mut self.detector, self.buffer.offsets()));
        }
        self.in_flight = InFlight { events: cut.events.clone(), counts: cut.counts };
        let writer = self.writer.take().expect("a commit begins when the writer is idle");
        self.committing = Some(commit::in_background(writer, cut, self.handing_over.promise()));
        Ok(())
    }

    /// Tries the stalled commit again.
    pub(super) fn try_again(&mut self) {
        if let Some(Stalled { writer, cut, .. }) = self.stalled.take() {
            self.committing = Some(commit::in_background(writer, cut, self.handing_over.promise()));
        }
    }

    /// Deals with the end of a commit.
    pub(super) async fn settle(&mut self, written: Written) -> Result<Settled, Failure> {
        let Written { writer, mut cut, outcome } = written;
        match outcome {
            Ok(done) => {
                self.writer = Some(writer);
                self.note(&mut cut, &done)?;
                Ok(Settled::Landed)
            }
            Err(CommitError::Superseded { .. }) => {
                tracing::warn!(
                    "another worker has moved the events table on, going back to its offsets"
                );
                self.writer = Some(writer);
                self.abandon().await?;
                Ok(Settled::Superseded)
            }
            Err(CommitError::Unavailable { table, cause }) => {
                let error = CommitError::Unavailable { table, cause };
                let Some(pause) = self.pause_for(&error) else { return Err(of_commit(error)) };
                self.stalled = Some(Stalled { writer, cut, at: Instant::now() + pause });
                Ok(Settled::Stalled)
            }
            Err(error @ (CommitError::Table(_) | CommitError::Rows(_))) => Err(of_commit(error)),
        }
    }

    /// Notes what a commit did that landed.
    fn note(&mut self, cut: &mut Cut, done: &Done) -> Result<(), Failure> {
        self.stages.record(Stage::Encode, done.encoding, 1);
        self.stages.record(Stage::Hash, done.hashing, 1);
        self.stages.record(Stage::Commit, done.committing, 1);
        self.stages.record(Stage::Seal, done.sealing, 1);
        (self.tries, self.in_flight) = (0, InFlight::default());
        self.landed = self.landed + cut.counts;
        self.commits += 1;
        metrics::counter!("surety_commits_total").increment(1);
        tracing::debug!(
            commits = self.commits,
            commit_us = done.committing.as_micros(),
            seal_us = done.sealing.as_micros(),
            "committed"
        );
        let lake_id = self.writer.as_ref().and_then(|writer| writer.lake_id());
        self.has_seen_events |= lake_id.is_some();
        if let (Some(image), Some(lake_id)) = (cut.checkpoint.take(), lake_id) {
            self.keeping = Some(self.parts.checkpoints.keep_in_background(lake_id, image));
        }
        lake::crash_point!("landed", "cut");
        self.parts.routes.forget_attempts(done.attempts_below)?;
        self.parts.source.committed(&done.offsets);
        self.parts.health.set(Condition::Ready);
        self.stages.publish();
        self.watch.send_replace(self.progress_now());
        Ok(())
    }

    /// Tells that the lake cannot be used, and how long to wait before the next try; `None` to give
    /// up.
    fn pause_for(&mut self, error: &(dyn std::error::Error + 'static)) -> Option<Duration> {
        self.tries = self.tries.saturating_add(1);
        let pause = self.patience.pause_after(self.tries)?;
        self.parts.health.set(Condition::Stalled);
        metrics::counter!("surety_lake_failures_total").increment(1);
        tracing::warn!(
            error,
            tries = self.tries,
            pause_ms = pause.as_millis(),
            "the lake cannot be used, trying again"
        );
        Some(pause)
    }

    /// Throws away what is in memory and goes back to the lake's offsets.
    pub(super) async fn abandon(&mut self) -> Result<(), Failure> {
        self.stalled = None;
        self.settle_handing_over().await?;
        if self.committing.is_some() {
            // Whether it landed or not, the table is read anew below.
            committed(&mut self.committing).await;
        }
        self.in_flight = InFlight::default();
        self.buffer = Buffer::at(Offsets::default());
        loop {
            match self.recall().await {
                Ok(()) => break,
                Err(RecallError::Lake(error @ LakeError::Unavailable { .. })) => {
                    let Some(pause) = self.pause_for(&error) else { return Err(of_lake(error)) };
                    tokio::select! {
                        () = self.shutdown.cancelled() => return Err(of_lake(error)),
                        () = tokio::time::sleep(pause) => {}
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.tries = 0;
        self.parts.health.set(Condition::Ready);
        self.watch.send_replace(self.progress_now());
        self.seek()
    }

    /// The last commits, and a checkpoint. `false` if another worker has moved the table on: then
    /// nothing is buffered any more and the source stands at the table's offsets.
    pub(super) async fn finish(&mut self) -> Result<bool, Failure> {
        self.patience = self.patience.of_an_end();
        self.tries = 0;
        self.settle_handing_over().await?;
        if !self.settle_all().await? {
            return Ok(false);
        }
        // The last checkpoint comes after the one before, or that one would be the newest.
        self.settle_keeping().await;
        self.commit(true)?;
        let has_landed = self.settle_all().await?;
        self.settle_keeping().await;
        if let Some(writer) = &mut self.writer {
            writer.settle_logs().await;
        }
        Ok(has_landed)
    }

    /// Puts what was found in a micro-batch in the outbox, while the loop reads on.
    pub(super) fn hand_over(&mut self, findings: &[Finding], batch: Batch, now: Timestamp) {
        let messages = self.parts.routes.messages(findings, now);
        match self.parts.routes.outbox() {
            Some(outbox) if !messages.is_empty() => {
                self.handing_over.add(outbox, messages, batch, now);
            }
            Some(_) | None => {
                let Batch { arrived, records } = batch;
                self.stages.record(Stage::ArrivalToOutbox, arrived.elapsed(), records);
            }
        }
    }

    /// Notes what is in the outbox now, and goes on with what was found since.
    pub(super) fn note_handed(
        &mut self,
        handed: Result<Handed, OutboxError>,
    ) -> Result<(), Failure> {
        let Handed { batches, at, took } = handed.map_err(of_outbox)?;
        let records = batches.iter().map(|batch| batch.records).sum();
        self.stages.record(Stage::Outbox, took, records);
        for Batch { arrived, records } in batches {
            self.stages.record(Stage::ArrivalToOutbox, at - arrived, records);
        }
        if let Some(outbox) = self.parts.routes.outbox() {
            self.handing_over.begin(outbox, clock::now());
        }
        Ok(())
    }

    /// Waits until everything that was found is in the outbox.
    async fn settle_handing_over(&mut self) -> Result<(), Failure> {
        while self.handing_over.is_under_way() {
            let handed = self.handing_over.ended().await;
            self.note_handed(handed)?;
        }
        Ok(())
    }

    /// Waits until no checkpoint is being written.
    async fn settle_keeping(&mut self) {
        if self.keeping.is_some() {
            note_kept(kept(&mut self.keeping).await);
        }
    }

    /// Waits until nothing is being committed. `false` if another worker has moved the table on.
    async fn settle_all(&mut self) -> Result<bool, Failure> {
        loop {
            if let Some(stalled) = &self.stalled {
                tokio::time::sleep_until(stalled.at).await;
                self.try_again();
            }
            if self.committing.is_none() {
                return Ok(true);
            }
            let written = committed(&mut self.committing).await;
            if self.settle(written).await? == Settled::Superseded {
                return Ok(false);
            }
        }
    }
}

/// The running commit's end; never, while there is none.
pub(super) async fn committed(committing: &mut Option<JoinHandle<Written>>) -> Written {
    let Some(task) = committing else { return std::future::pending().await };
    let joined = task.await;
    *committing = None;
    match joined {
        Ok(written) => written,
        // A panic in the writer is a bug of ours: the process stops with it.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// The end of writing a checkpoint; never, while none is being written.
pub(super) async fn kept(keeping: &mut Option<JoinHandle<io::Result<()>>>) -> io::Result<()> {
    let Some(task) = keeping else { return std::future::pending().await };
    let joined = task.await;
    *keeping = None;
    joined.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// Notes the end of writing a checkpoint.
pub(super) fn note_kept(kept: io::Result<()>) {
    if let Err(error) = kept {
        tracing::warn!(%error, "a checkpoint was not written: a start now would fold more events");
    }
}
