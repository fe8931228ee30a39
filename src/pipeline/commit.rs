//! [`Writer`]: the rows of a cut to the lake.
//!
//! Invariant (E4): `events` comes last, with the offsets of every partition that was read. The other
//! tables may thus be ahead of it after a crash, never behind: what they have is passed over when
//! the records are read again.

use std::time::Duration;

use arrow::array::RecordBatch;
use detect::webhook::Attempt;
use lake::{
    Advance, CommitError, Delivery, DeliveryRows, Lake, LakeError, SequenceRange, TableHandle,
};
use schemas::{FindingId, Offsets, Table, Timestamp};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::checkpoint::Image;
use super::micro_batch::Buffer;
use crate::clock;

/// Commits to `events` between two checkpoints of the Delta log, so that opening the table reads at
/// most so many log entries.
const COMMITS_PER_LOG_CHECKPOINT: u64 = 50;

/// The tables that the loop writes.
#[derive(Debug)]
pub(crate) struct Writer {
    events: TableHandle,
    rejects: TableHandle,
    findings: TableHandle,
    changes: TableHandle,
    deliveries: TableHandle,
    commits: u64,
}

/// What is committed at once.
#[derive(Debug)]
pub(super) struct Cut {
    events: RecordBatch,
    rejects: RecordBatch,
    findings: RecordBatch,
    changes: RecordBatch,
    uses: Advance,
    registry: Advance,
    attempts: Vec<Attempt>,
    records: u64,
    offsets: Offsets,
    pub(super) checkpoint: Option<Image>,
}

/// A commit's end: the writer comes back with it.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) writer: Box<Writer>,
    pub(super) outcome: Result<Done, CommitError>,
}

/// What a commit did.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) records: u64,
    pub(super) encoding: Duration,
    pub(super) committing: Duration,
    /// How far the lake is now.
    pub(super) offsets: Offsets,
    /// The lake has the attempts below this sequence.
    pub(super) attempts_below: u64,
    pub(super) checkpoint: Option<Image>,
}

impl Cut {
    /// Everything in the buffer, which is empty afterwards.
    pub(super) fn of(buffer: &mut Buffer, attempts: Vec<Attempt>) -> Self {
        let mut taken = buffer.take();
        Self {
            events: taken.events.finish(),
            rejects: taken.rejects.finish(),
            findings: taken.findings.finish(),
            changes: taken.changes.finish(),
            uses: taken.uses,
            registry: taken.registry,
            attempts,
            records: taken.records,
            offsets: buffer.offsets().clone(),
            checkpoint: None,
        }
    }
}

/// Commits the cut on the runtime's other threads.
pub(super) fn in_background(writer: Box<Writer>, cut: Cut) -> JoinHandle<Written> {
    #[expect(clippy::disallowed_methods, reason = "the loop holds the one handle and waits for it")]
    tokio::spawn(write(writer, cut))
}

/// Commits the cut.
pub(super) async fn write(mut writer: Box<Writer>, cut: Cut) -> Written {
    let outcome = writer.commit(cut).await;
    Written { writer, outcome }
}

impl Writer {
    pub(crate) async fn open(lake: &Lake) -> Result<Self, LakeError> {
        Ok(Self {
            events: lake.table(Table::Events).await?,
            rejects: lake.table(Table::Rejects).await?,
            findings: lake.table(Table::Findings).await?,
            changes: lake.table(Table::RegistryChanges).await?,
            deliveries: lake.table(Table::Deliveries).await?,
            commits: 0,
        })
    }

    /// Where to read the topics of uses on: the truth.
    pub(super) fn uses(&self) -> &Offsets {
        self.events.offsets()
    }

    /// Where to read the registry's topic on.
    pub(super) fn registry(&self) -> &Offsets {
        self.changes.offsets()
    }

    /// The attempts below this sequence are in the lake.
    pub(super) fn attempts_below(&self) -> u64 {
        u64::try_from(self.deliveries.sequence()).unwrap_or(0)
    }

    async fn commit(&mut self, cut: Cut) -> Result<Done, CommitError> {
        let (now, started) = (clock::now(), Instant::now());
        let events = cut.events;
        let uses = cut.uses.clone();
        let encoding = tokio::task::spawn_blocking(move || {
            let files = lake::encode(Table::Events, &[events], &uses);
            (files, started.elapsed())
        });
        for (handle, rows, advance) in [
            (&mut self.rejects, cut.rejects, &cut.uses),
            (&mut self.findings, cut.findings, &cut.uses),
        ] {
            if rows.num_rows() != 0 {
                handle.append_rest(vec![rows], advance, now).await?;
            }
        }
        if !cut.registry.is_empty() {
            self.changes.append_rest(vec![cut.changes], &cut.registry, now).await?;
        }
        self.log_attempts(&cut.attempts, now).await?;
        let (files, encoding) = encoding.await.expect("encoding does not panic");
        let committing = Instant::now();
        if !cut.uses.is_empty() {
            self.events.commit(&files?, &cut.uses, now).await?;
            self.commits += 1;
            self.keep_log_short().await;
        }
        Ok(Done {
            records: cut.records,
            encoding,
            committing: committing.elapsed(),
            offsets: cut.offsets,
            attempts_below: self.attempts_below(),
            checkpoint: cut.checkpoint,
        })
    }

    async fn log_attempts(
        &mut self,
        attempts: &[Attempt],
        now: Timestamp,
    ) -> Result<(), CommitError> {
        let (Some(first), Some(last)) = (attempts.first(), attempts.last()) else { return Ok(()) };
        let number = |sequence: u64| i64::try_from(sequence).expect("fewer than 2^63 attempts");
        let range = SequenceRange { start: number(first.sequence), end: number(last.sequence + 1) };
        let mut rows = DeliveryRows::with_capacity(attempts.len());
        for attempt in attempts {
            rows.push(&delivery(attempt));
        }
        self.deliveries.append(vec![rows.finish()], &Advance::of_sequence(range), now).await?;
        Ok(())
    }

    /// A Delta checkpoint now and then. It only saves readers time: a failure is no failure of ours.
    async fn keep_log_short(&mut self) {
        if self.commits.is_multiple_of(COMMITS_PER_LOG_CHECKPOINT)
            && let Err(error) = self.events.checkpoint().await
        {
            tracing::warn!(%error, "the Delta log was not checkpointed, trying again later");
        }
    }
}

fn delivery(attempt: &Attempt) -> Delivery {
    Delivery {
        sequence: i64::try_from(attempt.sequence).expect("fewer than 2^63 attempts"),
        time: attempt.at,
        finding_id: FindingId::try_from(attempt.webhook_id.as_str())
            .expect("webhooks are sent under their finding's id"),
        endpoint: attempt.endpoint.clone(),
        attempt: i32::from(attempt.attempt_number),
        duration: attempt.duration,
        outcome: attempt.outcome.as_str().to_owned(),
        status: attempt.status.map(i32::from),
        error: attempt.failure.map(|failure| failure.as_str().to_owned()),
    }
}
