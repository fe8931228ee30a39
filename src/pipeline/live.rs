//! [`LiveRows`]: the events that were read and, as far as the loop knows, not committed.
//!
//! Invariant: a row is told from the moment it is buffered until its commit is known to have landed.
//! So whoever asks first and opens the lake afterwards ([`lake::Lake::events_with`]) misses none, and
//! the offsets of the version that was opened say which of them are in it already.

use arrow::array::RecordBatch;
use tokio::sync::{mpsc, oneshot};

/// Questions that wait at once; one more waits to be asked.
const QUESTIONS_MAX: usize = 16;

/// Asks a running pipeline for its live rows. A clone asks the same one.
#[derive(Clone, Debug)]
pub(crate) struct LiveRows(mpsc::Sender<Question>);

impl LiveRows {
    /// Events with the columns of [`schemas::Table::Events`]; none once the pipeline has ended.
    ///
    /// The answer copies no row. It comes between two micro-batches.
    pub(crate) async fn events(&self) -> Vec<RecordBatch> {
        let (answer, answered) = oneshot::channel();
        match self.0.send(Question(answer)).await {
            Ok(()) => answered.await.unwrap_or_default(),
            Err(_ended) => Vec::new(),
        }
    }
}

/// Somebody waits for the live rows.
#[derive(Debug)]
pub(super) struct Question(oneshot::Sender<Vec<RecordBatch>>);

impl Question {
    pub(super) fn answer(self, events: Vec<RecordBatch>) {
        if self.0.send(events).is_err() {
            tracing::debug!("whoever asked for the live rows has gone");
        }
    }
}

/// The loop's end of it.
#[derive(Debug)]
pub(super) struct Questions {
    asked: mpsc::Receiver<Question>,
    /// Kept, so that waiting for a question never ends for want of somebody who could ask.
    door: LiveRows,
}

impl Questions {
    pub(super) fn new() -> Self {
        let (door, asked) = mpsc::channel(QUESTIONS_MAX);
        Self { asked, door: LiveRows(door) }
    }

    pub(super) fn door(&self) -> LiveRows {
        self.door.clone()
    }

    /// The next question. Cancel safe.
    pub(super) async fn next(&mut self) -> Question {
        self.asked.recv().await.expect("a sender is kept beside the receiver")
    }
}
