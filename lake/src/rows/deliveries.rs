//! Rows of the table `deliveries`: every attempt to deliver a finding.

use std::time::Duration;

use arrow::array::{
    Int32Builder, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use schemas::{FindingId, Table, Timestamp};

use super::columns::{Columns, RowError, batch, finished, texts, times};

/// One attempt to deliver a finding to a webhook endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Number of the attempt, without gaps.
    pub sequence: i64,
    /// When the attempt began.
    pub time: Timestamp,
    pub finding_id: FindingId,
    /// Name of the endpoint in the configuration.
    pub endpoint: String,
    /// 1 for the first try.
    pub attempt: i32,
    /// How long it took; whole microseconds are kept.
    pub duration: Duration,
    /// `delivered`, `failed`, `dead` or `disabled`.
    pub outcome: String,
    /// HTTP status of the answer.
    pub status: Option<i32>,
    /// Class of the failure.
    pub error: Option<String>,
}

/// Rows of `deliveries` while they are collected.
#[derive(Debug)]
pub struct DeliveryRows {
    sequence: Int64Builder,
    time: TimestampMicrosecondBuilder,
    finding_id: StringBuilder,
    endpoint: StringBuilder,
    attempt: Int32Builder,
    duration_us: Int64Builder,
    outcome: StringBuilder,
    status: Int32Builder,
    error: StringBuilder,
    rows: usize,
}

impl Default for DeliveryRows {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl DeliveryRows {
    pub fn with_capacity(rows: usize) -> Self {
        Self {
            sequence: Int64Builder::with_capacity(rows),
            time: times(rows),
            finding_id: texts(rows),
            endpoint: texts(rows),
            attempt: Int32Builder::with_capacity(rows),
            duration_us: Int64Builder::with_capacity(rows),
            outcome: texts(rows),
            status: Int32Builder::with_capacity(rows),
            error: texts(rows),
            rows: 0,
        }
    }

    pub fn push(&mut self, delivery: &Delivery) {
        self.sequence.append_value(delivery.sequence);
        self.time.append_value(delivery.time.as_micros());
        self.finding_id.append_value(&delivery.finding_id);
        self.endpoint.append_value(&delivery.endpoint);
        self.attempt.append_value(delivery.attempt);
        let micros = i64::try_from(delivery.duration.as_micros()).unwrap_or(i64::MAX);
        self.duration_us.append_value(micros);
        self.outcome.append_value(&delivery.outcome);
        self.status.append_option(delivery.status);
        self.error.append_option(delivery.error.as_ref());
        self.rows += 1;
    }

    pub fn len(&self) -> usize {
        self.rows
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The rows as columns of [`Table::Deliveries`]; none are left here.
    pub fn finish(&mut self) -> RecordBatch {
        self.rows = 0;
        let columns = finished![
            self.sequence,
            self.time,
            self.finding_id,
            self.endpoint,
            self.attempt,
            self.duration_us,
            self.outcome,
            self.status,
            self.error,
        ];
        batch(Table::Deliveries, columns)
    }
}

/// The attempts of a batch with the columns of [`Table::Deliveries`].
///
/// # Errors
///
/// [`RowError`] for a value that is not one of ours.
pub fn decode_deliveries(batch: &RecordBatch) -> Result<Vec<Delivery>, RowError> {
    let columns = Columns(batch);
    let sequence = columns.numbers::<Int64Type>("sequence")?;
    let time = columns.numbers::<TimestampMicrosecondType>("time")?;
    let finding_id = columns.texts("finding_id")?;
    let endpoint = columns.texts("endpoint")?;
    let attempt = columns.numbers::<Int32Type>("attempt")?;
    let duration_us = columns.numbers::<Int64Type>("duration_us")?;
    let outcome = columns.texts("outcome")?;
    let status = columns.numbers::<Int32Type>("status")?;
    let error = columns.texts("error")?;
    let read = |row| {
        Ok(Delivery {
            sequence: sequence.plain(row)?,
            time: time.time(row)?,
            finding_id: finding_id.one(row, FindingId::try_from)?,
            endpoint: endpoint.plain(row)?,
            attempt: attempt.plain(row)?,
            duration: duration_us.one(row, u64::try_from).map(Duration::from_micros)?,
            outcome: outcome.plain(row)?,
            status: status.maybe(row, Ok::<_, String>)?,
            error: error.maybe_plain(row),
        })
    };
    (0..batch.num_rows()).map(read).collect()
}
