//! The loop that owns the pipeline: poll, normalise and trace, detect, hand over, commit.
//!
//! Invariant (E1 to E4, D1): the events table's offsets are the truth of how far we are. Everything
//! held in memory (rows not yet committed, the detector's state) is either on the way to a commit
//! or thrown away whole: a rebalance, another worker's commit and a start are one case,
//! [`Pipeline::restore`], which goes back to the table's offsets.
//!
//! There are no actors and no channels between stages. Work inside a stage is spread with rayon; one
//! commit at a time is encoded and written in the background.

mod checkpoint;
mod commit;
mod micro_batch;
mod outbox;
mod restore;

use std::time::Duration;

use ingest::{Poll, Source, SourceError};
use lake::{CommitError, LakeError};
use schemas::{Offsets, Registry};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) use self::checkpoint::Checkpoints;
use self::checkpoint::Image;
pub(crate) use self::commit::Writer;
use self::commit::{Cut, Written};
use self::micro_batch::Buffer;
pub(crate) use self::micro_batch::Readers;
pub(crate) use self::outbox::{Route, Routes, of_outbox};
use crate::exit::{Exit, Failure};
use crate::http::{Condition, Health};
use crate::telemetry::{Stage, Stages};

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

/// How far the pipeline is: what a progress bar and a bench look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Records read since the start, of every topic.
    pub(crate) records: u64,
    pub(crate) events: u64,
    pub(crate) rejects: u64,
    pub(crate) findings: u64,
    pub(crate) registry_changes: u64,
    /// Records whose rows are in the lake.
    pub(crate) committed: u64,
    pub(crate) commits: u64,
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
}

/// The loop's state.
#[derive(Debug)]
pub(crate) struct Pipeline<S> {
    parts: Parts<S>,
    registry: Registry,
    detector: detect::Detector,
    buffer: Buffer,
    /// The writer is here while it is idle, and with its task while it commits.
    writer: Option<Box<Writer>>,
    committing: Option<JoinHandle<Written>>,
    checkpoint_due: Instant,
    stages: Stages,
    progress: Progress,
    watch: watch::Sender<Progress>,
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
        let writer = Writer::open(&parts.lake).await.map_err(of_lake)?;
        let mut pipeline = Self {
            registry: Registry::default(),
            detector: detect::Detector::new(parts.detect.clone()),
            buffer: Buffer::at(Offsets::default()),
            writer: Some(Box::new(writer)),
            committing: None,
            checkpoint_due: Instant::now() + parts.limits.checkpoint_age_max,
            stages: Stages::new(),
            progress: Progress::default(),
            watch: watch::Sender::new(Progress::default()),
            parts,
        };
        pipeline.restore().await?;
        Ok(pipeline)
    }

    /// Where the progress can be watched.
    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.watch.subscribe()
    }

    /// Runs until `shutdown`, the source's end or its failure, then commits what is buffered.
    ///
    /// Cancel safety: dropping this future loses only uncommitted rows, and the source still has
    /// them.
    ///
    /// # Errors
    ///
    /// Only what the loop cannot repair itself.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) -> Result<Summary, Failure> {
        self.parts.health.set(Condition::Ready);
        let limits = self.parts.limits;
        let ended = loop {
            let polled = Instant::now();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break Ok(()),
                written = committed(&mut self.committing) => self.settle(written).await?,
                poll = self.parts.source.poll(limits.records_max, limits.wait_max) => {
                    match poll {
                        Err(error) => break Err(of_source(error)),
                        Ok(Poll::Records(batch)) => {
                            self.stages.record(Stage::Poll, polled.elapsed(), batch.len());
                            self.take(&batch)?;
                        }
                        Ok(Poll::Idle) => {}
                        Ok(Poll::End) => break Ok(()),
                        Ok(Poll::Reassigned { .. }) => {
                            tracing::info!("partitions were reassigned, going back to the lake's offsets");
                            self.abandon().await?;
                        }
                    }
                }
            }
            if self.is_due() {
                self.commit_or_wait().await?;
            }
        };
        let summary = self.finish().await?;
        ended.map(|()| summary)
    }

    /// Whether the buffered rows have reached a commit limit.
    fn is_due(&self) -> bool {
        let limits = &self.parts.limits;
        limits.rows_max <= self.buffer.rows()
            || limits.bytes_max <= self.buffer.bytes()
            || self.buffer.began().is_some_and(|began| limits.age_max <= began.elapsed())
    }

    /// Starts a commit in the background; waits for the one before it if that is not done yet and
    /// the buffer is twice full, so that memory stays bounded while the lake is slow.
    async fn commit_or_wait(&mut self) -> Result<(), Failure> {
        let is_overfull = 2 * self.parts.limits.rows_max <= self.buffer.rows()
            || 2 * self.parts.limits.bytes_max <= self.buffer.bytes();
        if self.writer.is_none() && is_overfull {
            let written = committed(&mut self.committing).await;
            self.settle(written).await?;
        }
        if let Some(writer) = self.writer.take() {
            let cut = self.cut(false)?;
            self.committing = Some(commit::in_background(writer, cut));
        }
        Ok(())
    }

    /// Takes the buffered rows, and a checkpoint of the state they led to when one is due.
    fn cut(&mut self, is_last: bool) -> Result<Cut, Failure> {
        let mut cut = Cut::of(&mut self.buffer, self.parts.routes.attempts()?);
        if is_last || self.checkpoint_due <= Instant::now() {
            self.checkpoint_due = Instant::now() + self.parts.limits.checkpoint_age_max;
            cut.checkpoint = Some(Image::of(&self.detector, self.buffer.offsets())?);
        }
        Ok(cut)
    }

    /// Takes the writer back after a commit and notes what it did.
    async fn settle(&mut self, written: Written) -> Result<(), Failure> {
        self.writer = Some(written.writer);
        match written.outcome {
            Ok(done) => {
                self.stages.record(Stage::Encode, done.encoding, 1);
                self.stages.record(Stage::Commit, done.committing, 1);
                self.progress.committed += done.records;
                self.progress.commits += 1;
                metrics::counter!("surety_commits_total").increment(1);
                if let Some(image) = done.checkpoint {
                    self.parts.checkpoints.keep(&image)?;
                }
                self.parts.routes.forget_attempts(done.attempts_below)?;
                self.parts.source.committed(&done.offsets);
                self.parts.health.set(Condition::Ready);
                self.stages.publish();
                self.watch.send_replace(self.progress);
                Ok(())
            }
            Err(CommitError::Superseded { .. }) => {
                tracing::warn!(
                    "another worker has moved the events table on, going back to its offsets"
                );
                self.abandon().await
            }
            Err(error) => {
                self.parts.health.set(Condition::Stalled);
                Err(of_commit(error))
            }
        }
    }

    /// Throws away what is in memory and goes back to the lake's offsets.
    async fn abandon(&mut self) -> Result<(), Failure> {
        if self.committing.is_some() {
            let written = committed(&mut self.committing).await;
            // Whether it landed or not, the table is read anew below.
            self.writer = Some(written.writer);
        }
        self.restore().await
    }

    /// The last commits, and a checkpoint.
    async fn finish(mut self) -> Result<Summary, Failure> {
        if self.committing.is_some() {
            let written = committed(&mut self.committing).await;
            self.settle(written).await?;
        }
        if let Some(writer) = self.writer.take() {
            let cut = self.cut(true)?;
            let written = commit::write(writer, cut).await;
            self.settle(written).await?;
        }
        let detector = self.detector.stats();
        Ok(Summary { progress: self.progress, stages: self.stages, detector })
    }

    /// How far each partition was read, for those who watch.
    fn publish_offsets(&self) {
        for (topic, partition, next) in self.buffer.offsets().iter() {
            let labels = [("topic", topic.to_string()), ("partition", partition.0.to_string())];
            #[expect(clippy::cast_precision_loss, reason = "offsets below 2^53")]
            metrics::gauge!("surety_next_offset", &labels).set(next.0 as f64);
        }
    }
}

/// The running commit's end; never, while there is none.
async fn committed(committing: &mut Option<JoinHandle<Written>>) -> Written {
    let Some(task) = committing else { return std::future::pending().await };
    let joined = task.await;
    *committing = None;
    match joined {
        Ok(written) => written,
        // A panic in the writer is a bug of ours: the process stops with it.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
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
        | SourceError::Fatal { .. } => Exit::Unavailable,
    };
    Failure::new(exit, error)
}

/// Which exit an error of the lake ends in.
pub(crate) fn of_lake(error: LakeError) -> Failure {
    let exit = match &error {
        LakeError::Unavailable { .. } | LakeError::Gone { .. } => Exit::Unavailable,
        LakeError::Schema { .. } | LakeError::OffsetsExpire { .. } => Exit::Data,
        LakeError::Options { .. } => Exit::Config,
    };
    Failure::new(exit, error)
}

/// Which exit a failed commit ends in.
pub(crate) fn of_commit(error: CommitError) -> Failure {
    let exit = match &error {
        CommitError::Superseded { .. } | CommitError::Unavailable { .. } => Exit::Unavailable,
        CommitError::Rows(_) => Exit::Software,
        CommitError::Table(_) => Exit::Data,
    };
    Failure::new(exit, error).while_doing("commit to the lake".to_owned())
}
