//! [`Asker`]: what others ask the loop, which alone knows it: the events that are not committed yet,
//! and what it would think of an event that has not happened.
//!
//! Invariant: a question changes nothing. A row is told from the moment it is buffered until its
//! commit is known to have landed. So whoever asks first and opens the lake afterwards
//! ([`lake::Lake::events_with`]) misses none, and the offsets of the version that was opened say which
//! of them are in it already.

use arrow::array::RecordBatch;
use detect::Assessment;
use ingest::Source;
use schemas::{CredentialEvent, Position, StampedEvent, Trace};
use tokio::sync::{mpsc, oneshot};

use super::Pipeline;
use super::users::name_users;
use crate::clock;

/// Questions that wait at once; one more waits to be asked.
const QUESTIONS_MAX: usize = 16;

/// Asks a running pipeline. A clone asks the same one.
///
/// The answer comes between two micro-batches.
#[derive(Clone, Debug)]
pub(crate) struct Asker(mpsc::Sender<Question>);

impl Asker {
    /// The rows that are not committed, with the columns of [`schemas::Table::Events`], none copied;
    /// none at all once the pipeline has ended.
    pub(crate) async fn events(&self) -> Vec<RecordBatch> {
        self.ask(Question::Events).await.unwrap_or_default()
    }

    /// What is thought of `event`, if it happened now at `position`, and who would answer for it.
    /// `None` once the pipeline has ended.
    pub(crate) async fn assess(
        &self,
        event: CredentialEvent,
        position: Position,
    ) -> Option<Assessed> {
        self.ask(|answer| Question::Assess(Box::new((event, position)), answer)).await
    }

    async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Question) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.0.send(question(answer)).await.ok()?;
        answered.await.ok()
    }
}

/// What the loop thinks of an event that has not happened.
#[derive(Debug)]
pub(crate) struct Assessed {
    pub(crate) assessment: Assessment,
    pub(crate) trace: Trace,
}

/// Somebody waits for an answer.
#[derive(Debug)]
pub(super) enum Question {
    Events(oneshot::Sender<Vec<RecordBatch>>),
    Assess(Box<(CredentialEvent, Position)>, oneshot::Sender<Assessed>),
}

/// The loop's end of it.
#[derive(Debug)]
pub(super) struct Questions {
    asked: mpsc::Receiver<Question>,
    /// Kept, so that waiting for a question never ends for want of somebody who could ask.
    asker: Asker,
}

impl Questions {
    pub(super) fn new() -> Self {
        let (asker, asked) = mpsc::channel(QUESTIONS_MAX);
        Self { asked, asker: Asker(asker) }
    }

    pub(super) fn asker(&self) -> Asker {
        self.asker.clone()
    }

    /// The next question. Cancel safe.
    pub(super) async fn next(&mut self) -> Question {
        self.asked.recv().await.expect("a sender is kept beside the receiver")
    }
}

impl<S: Source> Pipeline<S> {
    pub(super) fn answer(&mut self, question: Question) {
        let is_heard = match question {
            Question::Events(answer) => {
                let mut events = self.in_flight.events.clone();
                events.extend(self.buffer.events());
                answer.send(events).is_ok()
            }
            Question::Assess(asked, answer) => answer.send(self.assess(*asked)).is_ok(),
        };
        if !is_heard {
            tracing::debug!("whoever asked has gone");
        }
    }

    fn assess(&self, (event, position): (CredentialEvent, Position)) -> Assessed {
        let now = clock::now();
        let trace = Trace::of(&event, &self.registry, now);
        let stamped = StampedEvent::stamp(event, position, now, &self.registry);
        let mut assessment = self.detector.score(&stamped);
        name_users(assessment.finding.as_mut_slice(), &self.registry);
        Assessed { assessment, trace }
    }
}
