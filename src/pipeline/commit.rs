//! [`Writer`]: the rows of a cut to the lake.
//!
//! Invariant (E4): the entry of `events` comes last, with the offsets of every partition that was read. The
//! other tables may thus be ahead of it after a crash, never behind: what they have is passed over when
//! the records are read again, and when a cut is written again after a failure. `registry_changes`, whose
//! offsets say how far the registry's topic was read, comes after the rejects of that topic likewise.
//!
//! The other tables are written beside each other: each carries its own offsets, and none of them is read to
//! decide what becomes of another. So a crash may leave any of them ahead of any other, which is no more than
//! that each may be ahead of `events`.
//!
//! Invariant (V1): a commit is sealed right after it landed. A seal that could not be written is made
//! up for with the next commit or at the next start, from the stored rows.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use detect::webhook::Attempt;
use lake::seal::{Rows, SealKey, Sealer, Tree};
use lake::{
    Advance, CommitError, Delivery, DeliveryRows, EncodeError, EncodedFile, Form, Lake, LakeError,
    LongLog, SequenceRange, TableHandle,
};
use schemas::{FindingId, Offsets, Table, Timestamp};
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio::time::Instant;

use super::checkpoint::Image;
use super::handing::Promise;
use super::micro_batch::{Buffer, Counts};
use crate::clock;
use crate::telemetry::Busy;

/// How often the attempts of one cut are numbered anew because another process added some of its own.
const RENUMBERINGS_MAX: u32 = 5;

/// How long the end of the loop waits for checkpoints of logs.
const SHORTENING_WAIT_MAX: Duration = Duration::from_secs(3);

/// The tables that the loop writes.
#[derive(Debug)]
pub(crate) struct Writer {
    events: TableHandle,
    others: Others,
    sealer: Sealer,
    /// Logs that are being shortened, beside the commits: a slow storage takes longer for one than for many of
    /// those.
    shortening: JoinSet<(Table, Result<(), LakeError>)>,
}

/// What comes before events.
#[derive(Debug)]
struct Others {
    rejects: TableHandle,
    findings: TableHandle,
    edges: TableHandle,
    changes: TableHandle,
    deliveries: TableHandle,
}

/// Events as files, what they add to the edges, and the tree of their seal.
#[derive(Clone, Debug)]
struct Encoded {
    files: Vec<EncodedFile>,
    edges: RecordBatch,
    tree: Tree,
}

/// What is committed at once.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) events: Vec<RecordBatch>,
    /// `events`, once they were encoded.
    encoded: Option<Encoded>,
    rejects: RecordBatch,
    findings: RecordBatch,
    changes: RecordBatch,
    /// What the events taught and the lake does not have yet.
    learned: RecordBatch,
    uses: Advance,
    registry: Advance,
    /// Attempts that are not in the lake yet.
    attempts: Vec<Attempt>,
    /// The lake has the attempts below this number of the outbox.
    attempts_below: u64,
    pub(super) counts: Counts,
    offsets: Offsets,
    pub(super) checkpoint: Option<Image>,
}

/// A commit's end: writer and cut come back with it.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) writer: Box<Writer>,
    pub(super) cut: Box<Cut>,
    pub(super) outcome: Result<Done, CommitError>,
}

/// What a commit did.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) encoding: Duration,
    pub(super) hashing: Duration,
    pub(super) committing: Duration,
    pub(super) sealing: Duration,
    /// How far the lake is now.
    pub(super) offsets: Offsets,
    /// The lake has the attempts below this number of the outbox.
    pub(super) attempts_below: u64,
}

impl Cut {
    /// Everything in the buffer, which is empty afterwards.
    pub(super) fn of(buffer: &mut Buffer, attempts: Vec<Attempt>) -> Self {
        let mut taken = buffer.take();
        Self {
            events: taken.events(),
            encoded: None,
            rejects: taken.rejects.finish(),
            findings: taken.findings.finish(),
            changes: taken.changes.finish(),
            learned: taken.learned.finish(),
            uses: taken.uses,
            registry: taken.registry,
            attempts,
            attempts_below: 0,
            counts: taken.counts,
            offsets: buffer.offsets().clone(),
            checkpoint: None,
        }
    }
}

/// Commits the cut on the runtime's other threads, once its findings are in the outbox.
pub(super) fn in_background(
    writer: Box<Writer>,
    cut: Box<Cut>,
    handed_over: Promise,
) -> JoinHandle<Written> {
    #[expect(clippy::disallowed_methods, reason = "the loop holds the one handle and waits for it")]
    tokio::spawn(write(writer, cut, handed_over))
}

async fn write(mut writer: Box<Writer>, mut cut: Box<Cut>, handed_over: Promise) -> Written {
    handed_over.kept().await;
    let outcome = Box::pin(writer.commit(&mut cut)).await;
    Written { writer, cut, outcome }
}

impl Writer {
    /// Opens the tables at their newest versions. Changes nothing, but for a lake that has events and
    /// no edges yet, which gets them, and for commits before a crash, which are sealed.
    pub(crate) async fn open(lake: &Lake, key: Arc<SealKey>) -> Result<Self, LakeError> {
        match lake.make_edges(clock::now()).await {
            Ok(()) | Err(CommitError::Superseded { .. }) => {}
            Err(CommitError::Table(error)) => return Err(error),
            Err(CommitError::Unavailable { table, cause }) => {
                return Err(LakeError::Unavailable { table, cause });
            }
            Err(CommitError::Rows(cause)) => {
                let table = Table::CounterpartyEdges;
                return Err(LakeError::Unavailable { table, cause: Box::new(cause) });
            }
        }
        let mut sealer = Sealer::open(lake, key).await?;
        if let Err(error) = sealer.catch_up(clock::now()).await {
            tell_unsealed(&error);
        }
        let (events, rejects, findings, edges, changes, deliveries) = tokio::try_join!(
            lake.table(Table::Events),
            lake.table(Table::Rejects),
            lake.table(Table::Findings),
            lake.table(Table::CounterpartyEdges),
            lake.table(Table::RegistryChanges),
            lake.table(Table::Deliveries),
        )?;
        let others = Others { rejects, findings, edges, changes, deliveries };
        Ok(Self { events, others, sealer, shortening: JoinSet::new() })
    }

    /// Where to read the topics of uses on: the truth.
    pub(super) fn uses(&self) -> &Offsets {
        self.events.offsets()
    }

    /// Where to read the registry's topic on.
    pub(super) fn registry(&self) -> &Offsets {
        self.others.changes.offsets()
    }

    /// The lake's identity: that of its events; `None` until there are any.
    pub(super) fn lake_id(&self) -> Option<&str> {
        self.events.id()
    }

    /// May be called again with the same cut after it failed: what has landed is passed over.
    pub(super) async fn commit(&mut self, cut: &mut Cut) -> Result<Done, CommitError> {
        let now = clock::now();
        let Timed { encoded, encoding, hashing } = encoded(cut, self.events.form()).await;
        let Encoded { files, edges, tree } = cut.encoded.insert(encoded?).clone();
        let uses = cut.uses.clone();
        let all = uses.with(&cut.registry);
        // Rejects that came to the lake before a crash are not those that are in memory now.
        let has_new_rejects = all.after(self.others.rejects.offsets()) == all;
        let committing = Instant::now();
        let mut sealing = Duration::ZERO;
        let others = Box::pin(self.others.append(cut, &edges, now));
        if uses.is_empty() {
            others.await?;
            self.keep_logs_short().await;
            if let Err(error) = self.sealer.catch_up(now).await {
                tell_unsealed(&error);
            }
        } else {
            let landed = self.events.commit_after(others, &files, &uses, now).await?;
            let began = Instant::now();
            let rows = Rows { landed, advance: &uses, tree, files: &files };
            seal(&mut self.sealer, rows, has_new_rejects, now).await;
            sealing = began.elapsed();
            self.keep_logs_short().await;
        }
        let done = Done {
            encoding,
            hashing,
            committing: committing.elapsed().saturating_sub(sealing),
            sealing,
            offsets: cut.offsets.clone(),
            attempts_below: cut.attempts_below,
        };
        Ok(done)
    }

    /// Begins a Delta checkpoint now and then. It only saves readers time: a failure is no failure of ours, and one
    /// that is not written when the process ends is written by who comes next.
    async fn keep_logs_short(&mut self) {
        while let Some(done) = self.shortening.try_join_next() {
            tell_shortened(done);
        }
        let Others { rejects, findings, edges, changes, deliveries } = &mut self.others;
        for handle in [&mut self.events, rejects, findings, edges, changes, deliveries] {
            shorten(&mut self.shortening, handle.table(), handle.long_log().await);
        }
        shorten(&mut self.shortening, Table::Seals, self.sealer.long_log().await);
    }

    /// Waits for the checkpoints that were begun, for a while.
    pub(super) async fn settle_logs(&mut self) {
        let settled = async {
            while let Some(done) = self.shortening.join_next().await {
                tell_shortened(done);
            }
        };
        // Whoever comes next begins them anew.
        tokio::time::timeout(SHORTENING_WAIT_MAX, settled).await.ok();
    }
}

fn tell_shortened(done: Result<(Table, Result<(), LakeError>), JoinError>) {
    let (table, kept) = done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
    tell_long(table, kept);
}

/// Begins a checkpoint if the log is long.
fn shorten(
    shortening: &mut JoinSet<(Table, Result<(), LakeError>)>,
    table: Table,
    long: Result<Option<LongLog>, LakeError>,
) {
    match long {
        Ok(Some(log)) => {
            shortening.spawn(async move { (table, log.shorten().await) });
        }
        Ok(None) => {}
        Err(error) => tell_long(table, Err(error)),
    }
}

impl Others {
    /// Appends what of the cut goes to other tables than events, to all of them at once, and notes in the cut
    /// what must not be appended again: rows that are numbered by their table do not say that it has them.
    async fn append(
        &mut self,
        cut: &mut Cut,
        edges: &RecordBatch,
        now: Timestamp,
    ) -> Result<(), CommitError> {
        let all = cut.uses.with(&cut.registry);
        let read = async {
            append(&mut self.rejects, &cut.rejects, &all, now).await?;
            append_changes(&mut self.changes, cut, now).await
        };
        let counted = async {
            if !cut.uses.is_empty() {
                self.edges.append_edges(edges, &cut.events, &cut.uses, now).await?;
            }
            Ok(())
        };
        let (read, findings, attempts_below, counted) = tokio::join!(
            read,
            append(&mut self.findings, &cut.findings, &cut.uses, now),
            append_attempts(&mut self.deliveries, &cut.attempts, now),
            counted,
        );
        if let Some(below) = attempts_below {
            cut.attempts.clear();
            cut.attempts_below = below;
        }
        if read.is_ok() {
            cut.learned = cut.learned.slice(0, 0);
        }
        read?;
        findings?;
        counted
    }
}

fn tell_long(table: Table, kept: Result<(), LakeError>) {
    if let Err(error) = kept {
        metrics::counter!("surety_log_checkpoint_failures_total", "table" => table.name())
            .increment(1);
        tracing::warn!(
            table = table.name(),
            error = &error as &dyn std::error::Error,
            "the Delta log was not checkpointed, trying again later"
        );
    }
}

/// Seals a commit. It has landed whatever becomes of the seal, so a failure is no failure of the
/// commit.
async fn seal(sealer: &mut Sealer, rows: Rows<'_>, has_new_rejects: bool, now: Timestamp) {
    let sealed = if has_new_rejects || rows.tree.rejects == 0 {
        sealer.seal(rows, now).await
    } else {
        sealer.catch_up(now).await.map(|_| ())
    };
    if let Err(error) = sealed {
        tell_unsealed(&error);
    }
}

fn tell_unsealed(error: &CommitError) {
    metrics::counter!("surety_seal_failures_total").increment(1);
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "a commit was not sealed, trying again with the next"
    );
}

/// A cut's events encoded, and how long that took.
struct Timed {
    encoded: Result<Encoded, EncodeError>,
    encoding: Duration,
    hashing: Duration,
}

fn encoded(cut: &Cut, form: Form) -> impl Future<Output = Timed> + use<> {
    let known = cut.encoded.clone();
    let (events, uses, rejects) = (cut.events.clone(), cut.uses.clone(), cut.rejects.clone());
    async move {
        if let Some(known) = known {
            let encoded = Ok(known);
            return Timed { encoded, encoding: Duration::ZERO, hashing: Duration::ZERO };
        }
        let encode = move || {
            // One after the other, here: rayon's threads are those of the micro-batches, which must
            // not wait for a commit.
            let busy = Busy::now();
            let encoded = form.encode_events(&events, &uses);
            let (encoding, busy) = (busy.elapsed(), Busy::now());
            let encoded = encoded.map(|(files, edges)| {
                let tree = Tree::of(&events, std::slice::from_ref(&rejects), &uses)
                    .expect("built with the columns of their tables");
                Encoded { files, edges, tree }
            });
            Timed { encoded, encoding, hashing: busy.elapsed() }
        };
        if form != Form::Parquet {
            // In a simulation nothing may depend on when another thread is done.
            return encode();
        }
        tokio::task::spawn_blocking(encode).await.expect("encoding does not panic")
    }
}

async fn append(
    table: &mut TableHandle,
    rows: &RecordBatch,
    advance: &Advance,
    now: Timestamp,
) -> Result<(), CommitError> {
    if rows.num_rows() != 0 {
        table.append_rest(vec![rows.clone()], advance, now).await?;
    }
    Ok(())
}

/// The registry's offsets are recorded here and nowhere else, so they move without rows too. What was
/// learned follows under the table's own numbers.
async fn append_changes(
    table: &mut TableHandle,
    cut: &Cut,
    now: Timestamp,
) -> Result<(), CommitError> {
    // These rows do not say their place, so they are added whole: if the table has them already, as when
    // a cut is written again, there is nothing to do; if it has a part, another worker was quicker.
    if !cut.registry.after(table.offsets()).is_empty() {
        table.append(vec![cut.changes.clone()], &cut.registry, now).await?;
    }
    let rows = i64::try_from(cut.learned.num_rows()).expect("rows in memory are fewer than 2^63");
    if rows == 0 {
        return Ok(());
    }
    let mut renumberings = 0;
    loop {
        let start = table.sequence();
        let advance = Advance::of_sequence(SequenceRange { start, end: start + rows });
        match table.append(vec![cut.learned.clone()], &advance, now).await {
            Ok(_) => return Ok(()),
            // Another process has added changes; the table stands behind them now.
            Err(CommitError::Superseded { .. }) if renumberings < RENUMBERINGS_MAX => {
                renumberings += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Adds attempts under the table's own numbers. If that fails they stay in the outbox, for a later
/// commit: events do not wait for them. Returns below which of the outbox's numbers all have landed.
async fn append_attempts(
    table: &mut TableHandle,
    attempts: &[Attempt],
    now: Timestamp,
) -> Option<u64> {
    let below = attempts.last()?.sequence + 1;
    let mut renumberings = 0;
    loop {
        let (rows, advance) = numbered(attempts, table.sequence());
        match table.append(vec![rows], &advance, now).await {
            Ok(_) => return Some(below),
            // Another process has added attempts; the table stands behind them now.
            Err(CommitError::Superseded { .. }) if renumberings < RENUMBERINGS_MAX => {
                renumberings += 1;
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    attempts = attempts.len(),
                    "webhook attempts did not reach the lake, trying again with the next commit"
                );
                return None;
            }
        }
    }
}

/// Rows of attempts, the first of which gets the number `start`.
fn numbered(attempts: &[Attempt], start: i64) -> (RecordBatch, Advance) {
    let mut rows = DeliveryRows::with_capacity(attempts.len());
    let mut end = start;
    for attempt in attempts {
        rows.push(&delivery(attempt, end));
        end += 1;
    }
    (rows.finish(), Advance::of_sequence(SequenceRange { start, end }))
}

fn delivery(attempt: &Attempt, sequence: i64) -> Delivery {
    Delivery {
        sequence,
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
