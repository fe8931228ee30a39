//! [`Answer`]: the rows of a statement, batch by batch, and how far it has come.
//!
//! Invariant (Q1): an answer ends at its deadline, its rows and its bytes, also while it is read.
//! Dropping it stops the statement.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::ExecutionPlan;
use futures::StreamExt as _;
use tokio::time::Instant;

use crate::Limits;
use crate::bounds::bytes_of;
use crate::error::{Names, QueryError, explain};
use crate::statement::Source;

/// The rows of a statement.
pub struct Answer {
    pub(crate) stream: SendableRecordBatchStream,
    pub(crate) watch: Watch,
    pub(crate) source: Arc<Source>,
    pub(crate) names: Arc<Names>,
    pub(crate) deadline: Instant,
    pub(crate) limits: Limits,
    pub(crate) bytes: u64,
}

impl Answer {
    pub fn schema(&self) -> SchemaRef {
        self.stream.schema()
    }

    /// A handle that tells how far the statement is while somebody else reads the rows.
    pub fn watch(&self) -> Watch {
        self.watch.clone()
    }

    /// The next rows; `None` at the end. Cancel safe.
    ///
    /// # Errors
    ///
    /// Any [`QueryError`] but those of the text alone.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, QueryError> {
        let next = tokio::time::timeout_at(self.deadline, self.stream.next());
        let next = next.await.map_err(|_| self.limits.late())?;
        let batch = match next {
            None => return Ok(None),
            Some(Err(error)) => return Err(explain(&error, &self.source, &self.names)),
            Some(Ok(batch)) => batch,
        };
        let rows = batch.num_rows() as u64;
        if self.limits.rows_max < self.watch.rows.fetch_add(rows, Ordering::Relaxed) + rows {
            let message = format!("more than {} rows", self.limits.rows_max);
            return Err(QueryError::Resources { message });
        }
        self.bytes += batch.columns().iter().map(bytes_of).sum::<usize>() as u64;
        if self.limits.bytes_max < self.bytes {
            let message = format!("more than {} bytes", self.limits.bytes_max);
            return Err(QueryError::Resources { message });
        }
        Ok(Some(batch))
    }

    /// All rows at once, for answers known to be small.
    ///
    /// # Errors
    ///
    /// As [`Answer::next`].
    pub async fn collect(mut self) -> Result<Vec<RecordBatch>, QueryError> {
        let mut batches = Vec::new();
        while let Some(batch) = self.next().await? {
            batches.push(batch);
        }
        Ok(batches)
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("progress", &self.watch.progress()).finish_non_exhaustive()
    }
}

/// How far a statement has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Rows answered.
    pub rows: u64,
    /// Rows read from the tables, after what the files' statistics ruled out.
    pub rows_scanned: u64,
    /// Bytes read from files.
    pub bytes_scanned: u64,
}

/// Tells the progress of a running statement.
#[derive(Clone, Debug)]
pub struct Watch {
    pub(crate) plan: Arc<dyn ExecutionPlan>,
    pub(crate) rows: Arc<AtomicU64>,
}

impl Watch {
    pub fn progress(&self) -> Progress {
        let mut progress =
            Progress { rows: self.rows.load(Ordering::Relaxed), ..Progress::default() };
        scanned(self.plan.as_ref(), &mut progress);
        progress
    }
}

fn scanned(plan: &dyn ExecutionPlan, progress: &mut Progress) {
    let children = plan.children();
    if children.is_empty()
        && let Some(metrics) = plan.metrics()
    {
        progress.rows_scanned += metrics.output_rows().unwrap_or(0) as u64;
        progress.bytes_scanned +=
            metrics.sum_by_name("bytes_scanned").map_or(0, |bytes| bytes.as_usize()) as u64;
    }
    for child in children {
        scanned(child.as_ref(), progress);
    }
}
