//! The loop that owns the pipeline: poll, normalise and trace, detect, hand over, commit.
//!
//! Invariant (E1 to E4, D1): the events table's offsets are the truth of how far we are. Everything
//! held in memory (rows not yet committed, the detector's state) is either on the way to a commit
//! or thrown away whole: a rebalance, another worker's commit and a start are one case,
//! [`Pipeline::restore`], which goes back to the table's offsets.
//!
//! There are no actors and no channels between stages. Work inside a stage is spread with rayon; one
//! commit at a time is encoded and written in the background. While the lake cannot be written, its cut
//! is kept and tried again; reading goes on until the buffer is full.

mod checkpoint;
mod commit;
mod gap;
mod handing;
mod micro_batch;
mod outbox;
mod patience;
mod progress;
mod questions;
mod reading;
mod registry;
mod restore;
mod settle;
mod users;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ingest::{Poll, Source, SourceError};
use lake::seal::SealKey;
use lake::{CommitError, LakeError};
use schemas::{Offsets, Registry};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) use self::checkpoint::Checkpoints;
use self::commit::Writer;
use self::commit::Written;
pub(crate) use self::gap::{Lost, accept_lost};
use self::handing::HandingOver;
pub(crate) use self::micro_batch::ROWS_PER_BATCH;
use self::micro_batch::{Buffer, Counts};
pub(crate) use self::outbox::{Route, Routes, of_outbox};
use self::patience::Patience;
pub(crate) use self::progress::Progress;
use self::questions::Questions;
pub(crate) use self::questions::{Asker, Assessed};
pub(crate) use self::reading::Readers;
use self::registry::RegistryWatch;
use self::settle::{InFlight, Stalled, committed, kept, note_kept};
use crate::exit::{Exit, Failure};
use crate::http::{Condition, Health};
use crate::telemetry::{Stage, Stages};

/// How often the source's end is reached before it is given up that another process commits the same
/// records.
const ENDS_MAX: u32 = 5;

/// What a poll takes that does not have to wait. Measured: 0.5 to 0.75 us for a record.
const TAKING: Duration = Duration::from_micros(200);
const TAKING_PER_RECORD: Duration = Duration::from_micros(1);

/// When a micro-batch and a commit are closed: whichever limit is met first.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_field_names, reason = "these are limits, and named so")]
pub(crate) struct Limits {
    pub(crate) records_max: usize,
    pub(crate) wait_max: Duration,
    pub(crate) rows_max: usize,
    pub(crate) bytes_max: usize,
    /// Age of the oldest row not committed.
    pub(crate) age_max: Duration,
    /// Time between two checkpoints of the detector's state.
    pub(crate) checkpoint_age_max: Duration,
}

impl From<&crate::config::Config> for Limits {
    fn from(config: &crate::config::Config) -> Self {
        Self {
            records_max: config.batch.records_max.get(),
            wait_max: config.batch.wait_ms_max.get(),
            rows_max: config.batch.rows_max.get(),
            bytes_max: config.batch.bytes_max.get(),
            age_max: config.batch.age_ms_max.get(),
            checkpoint_age_max: config.state.checkpoint_ms.get(),
        }
    }
}

/// What a pipeline is made of.
#[derive(Debug)]
pub(crate) struct Parts<S> {
    pub(crate) source: S,
    pub(crate) readers: Readers,
    pub(crate) lake: lake::Lake,
    pub(crate) detect: detect::Config,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) routes: Routes,
    pub(crate) limits: Limits,
    pub(crate) health: Health,
    /// Signs the seals.
    pub(crate) seal_key: Arc<SealKey>,
}

/// The loop's state.
#[derive(Debug)]
pub(crate) struct Pipeline<S> {
    parts: Parts<S>,
    registry: Registry,
    watched: RegistryWatch,
    detector: detect::Detector,
    buffer: Buffer,
    /// The writer is here while it is idle, with its task while it commits, and with the cut that
    /// waits to be tried again.
    writer: Option<Box<Writer>>,
    committing: Option<JoinHandle<Written>>,
    stalled: Option<Stalled>,
    handing_over: HandingOver,
    /// A checkpoint on its way to the disk.
    keeping: Option<JoinHandle<io::Result<()>>>,
    /// What the writer has with it.
    in_flight: InFlight,
    patience: Patience,
    shutdown: CancellationToken,
    /// Commits in a row that failed.
    tries: u32,
    /// Once the lake has events, one without is another lake or none.
    has_seen_events: bool,
    questions: Questions,
    checkpoint_due: Instant,
    attempts_due: Instant,
    partitions_due: Instant,
    /// When the source was last known to hold nothing that had arrived before.
    drained_at: Instant,
    stages: Stages,
    /// What of the records is in the lake, and by how many commits.
    landed: Counts,
    commits: u64,
    watch: watch::Sender<Progress>,
}

/// Why reading ended.
enum Ended {
    Shutdown,
    End,
    Broken(Failure),
}

/// What a finished pipeline tells.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) progress: Progress,
    pub(crate) stages: Stages,
    pub(crate) detector: detect::Stats,
}

impl<S: Source> Pipeline<S> {
    /// Restores the state from checkpoints and lake, and points the source at the lake's offsets.
    ///
    /// # Errors
    ///
    /// A [`Failure`] if the lake or the state cannot be read.
    pub(crate) async fn start(parts: Parts<S>) -> Result<Self, Failure> {
        parts.health.set(Condition::Starting);
        let now = Instant::now();
        let mut pipeline = Self {
            registry: Registry::default(),
            watched: RegistryWatch::from(None),
            detector: detect::Detector::new(parts.detect.clone()),
            buffer: Buffer::at(Offsets::default()),
            writer: None,
            committing: None,
            stalled: None,
            handing_over: HandingOver::new(),
            keeping: None,
            in_flight: InFlight::default(),
            patience: Patience::OF_A_SERVICE,
            shutdown: CancellationToken::new(),
            tries: 0,
            has_seen_events: false,
            questions: Questions::new(),
            checkpoint_due: now + parts.limits.checkpoint_age_max,
            attempts_due: now + parts.limits.age_max,
            partitions_due: now,
            drained_at: now,
            stages: Stages::new(),
            landed: Counts::default(),
            commits: 0,
            watch: watch::Sender::new(Progress::default()),
            parts,
        };
        Box::pin(pipeline.recall()).await?;
        pipeline.seek()?;
        Ok(pipeline)
    }

    /// Where the progress can be watched. It goes back when records have to be read again.
    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.watch.subscribe()
    }

    /// Where the loop can be asked for what it alone knows.
    pub(crate) fn asker(&self) -> Asker {
        self.questions.asker()
    }

    /// Runs until `shutdown`, the source's end or its failure, then commits what is buffered. While
    /// the lake cannot be written it tries on, for ever: records wait in the source.
    ///
    /// Cancel safety: dropping this future loses only uncommitted rows, and the source still has
    /// them.
    ///
    /// # Errors
    ///
    /// Only what the loop cannot repair itself.
    pub(crate) async fn run(self, shutdown: CancellationToken) -> Result<Summary, Failure> {
        Box::pin(self.run_with(Patience::OF_A_SERVICE, shutdown)).await
    }

    /// As [`run`](Self::run), for a command that somebody waits for: it fails after a few tries in
    /// vain to write the lake, and ends well only if everything up to the source's end is committed.
    ///
    /// # Errors
    ///
    /// Only what the loop cannot repair itself.
    pub(crate) async fn run_to_end(self, shutdown: CancellationToken) -> Result<Summary, Failure> {
        Box::pin(self.run_with(Patience::OF_A_COMMAND, shutdown)).await
    }

    async fn run_with(
        mut self,
        patience: Patience,
        shutdown: CancellationToken,
    ) -> Result<Summary, Failure> {
        self.parts.health.set(Condition::Ready);
        self.shutdown = shutdown;
        for _ in 0..ENDS_MAX {
            self.patience = patience;
            let ended = self.read_on().await?;
            let has_landed = self.finish().await?;
            match ended {
                Ended::Broken(failure) => return Err(failure),
                Ended::End if !has_landed => {
                    tracing::warn!("reading again what another worker has not committed");
                }
                Ended::End | Ended::Shutdown => {
                    let (progress, detector) = (self.progress_now(), self.detector.stats());
                    return Ok(Summary { progress, stages: self.stages, detector });
                }
            }
        }
        let text = format!(
            "another process commits the same records: gave up after reaching the end {ENDS_MAX} times"
        );
        Err(Failure::told(Exit::Unavailable, text))
    }

    /// The loop.
    async fn read_on(&mut self) -> Result<Ended, Failure> {
        let limits = self.parts.limits;
        loop {
            let polled = Instant::now();
            let (has_room, retry_at) = (self.has_room(), self.stalled.as_ref().map(|one| one.at));
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return Ok(Ended::Shutdown),
                question = self.questions.next() => self.answer(question),
                written = committed(&mut self.committing) => {
                    self.settle(written).await?;
                }
                handed = self.handing_over.ended() => self.note_handed(handed)?,
                kept = kept(&mut self.keeping) => note_kept(kept),
                () = reached(retry_at) => self.try_again(),
                found = self.watched.next(&self.parts.lake) => self.learn(found),
                poll = self.parts.source.poll(limits.records_max, limits.wait_max), if has_room => {
                    match poll {
                        Err(error) => return Ok(Ended::Broken(of_source(error))),
                        Ok(Poll::Records(batch)) => {
                            lake::crash_point!("polled", "batch");
                            let arrived = self.arrived(polled, batch.len());
                            self.stages.record(Stage::Poll, polled.elapsed(), batch.len());
                            self.take(&batch, arrived);
                            self.parts.source.give_back(batch);
                        }
                        Ok(Poll::Idle) => self.drained_at = Instant::now(),
                        Ok(Poll::End) => return Ok(Ended::End),
                        Ok(Poll::Reassigned { .. }) => {
                            tracing::info!("partitions were reassigned, going back to the lake's offsets");
                            self.abandon().await?;
                        }
                    }
                }
            }
            self.publish_partitions();
            if self.is_due()? {
                self.commit(false)?;
            }
        }
    }

    /// When the records of a batch had arrived here that was asked for at `polled` and is there now.
    ///
    /// If the source had to be waited for, now. Otherwise they may have waited for us since the batch
    /// before them was taken: the longest they can have waited is told.
    fn arrived(&mut self, polled: Instant, records: usize) -> Instant {
        let now = Instant::now();
        let before = std::mem::replace(&mut self.drained_at, now);
        let taking = TAKING_PER_RECORD.saturating_mul(u32::try_from(records).unwrap_or(u32::MAX));
        if taking + TAKING < now - polled { now } else { before }
    }

    /// Memory stays bounded while the lake is slow or cannot be written: the records wait in the
    /// source. (A Kafka group takes the partitions of a member that does not poll for five minutes;
    /// that is then a reassignment like any other.)
    fn has_room(&self) -> bool {
        self.buffer.rows() < 2 * self.parts.limits.rows_max
            && self.buffer.bytes() < 2 * self.parts.limits.bytes_max
    }

    /// Whether a commit should begin, and can: the buffered rows have reached a limit, or webhook
    /// attempts have waited as long as rows may.
    fn is_due(&mut self) -> Result<bool, Failure> {
        let limits = &self.parts.limits;
        if self.writer.is_none() {
            return Ok(false);
        }
        if limits.rows_max <= self.buffer.rows()
            || limits.bytes_max <= self.buffer.bytes()
            || self.buffer.began().is_some_and(|began| limits.age_max <= began.elapsed())
        {
            return Ok(true);
        }
        let now = Instant::now();
        if now < self.attempts_due {
            return Ok(false);
        }
        self.attempts_due = now + limits.age_max;
        self.parts.routes.has_attempts()
    }
}

/// `at`; never, while there is none.
async fn reached(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Which exit a source's error ends in.
pub(crate) fn of_source(error: SourceError) -> Failure {
    let exit = match &error {
        SourceError::Io { .. } => Exit::Data,
        SourceError::Property { .. } => Exit::Config,
        SourceError::Unreachable { .. }
        | SourceError::UnknownTopic { .. }
        | SourceError::OffsetGap { .. }
        | SourceError::Recreated { .. }
        | SourceError::Outrun { .. }
        | SourceError::Fatal { .. } => Exit::Unavailable,
    };
    Failure::new(exit, error)
}

/// Which exit an error of the lake ends in.
pub(crate) fn of_lake(error: LakeError) -> Failure {
    let exit = match &error {
        LakeError::Unavailable { .. } | LakeError::Gone { .. } | LakeError::Unsynced { .. } => {
            Exit::Unavailable
        }
        LakeError::Schema { .. } | LakeError::OffsetsExpire { .. } => Exit::Data,
        LakeError::Options { .. } => Exit::Config,
    };
    Failure::new(exit, error)
}

/// Which exit a failed commit ends in.
pub(crate) fn of_commit(error: CommitError) -> Failure {
    let exit = match &error {
        CommitError::Superseded { .. }
        | CommitError::Unavailable { .. }
        | CommitError::Table(LakeError::Unsynced { .. }) => Exit::Unavailable,
        CommitError::Rows(_) => Exit::Software,
        CommitError::Table(_) => Exit::Data,
    };
    Failure::new(exit, error).while_doing("commit to the lake".to_owned())
}

#[cfg(test)]
mod tests;
