//! Rows of the table `rejects`.

use arrow::array::{
    Array as _, AsArray as _, BinaryBuilder, Int64Builder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use schemas::{Format, Reject, RejectReason, Table, Timestamp};

use super::columns::{
    Columns, MonthText, PositionColumns, Positions, RowError, batch, finished, mistyped,
    text_bytes, texts, times,
};

/// Bytes that a row has beside its texts.
const FIXED_BYTES: usize = 64;

/// Rows of `rejects` while they are collected.
#[derive(Debug)]
pub struct RejectRows {
    position: PositionColumns,
    record_time: TimestampMicrosecondBuilder,
    time: TimestampMicrosecondBuilder,
    format: StringBuilder,
    reason: StringBuilder,
    detail: StringBuilder,
    raw: BinaryBuilder,
    raw_bytes: Int64Builder,
    month: StringBuilder,
    month_text: MonthText,
    rows: usize,
}

impl Default for RejectRows {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl RejectRows {
    pub fn with_capacity(rows: usize) -> Self {
        Self {
            position: PositionColumns::with_capacity(rows),
            record_time: times(rows),
            time: times(rows),
            format: texts(rows),
            reason: texts(rows),
            detail: texts(rows),
            raw: BinaryBuilder::new(),
            raw_bytes: Int64Builder::with_capacity(rows),
            month: texts(rows),
            month_text: MonthText::default(),
            rows: 0,
        }
    }

    pub fn push(&mut self, reject: &Reject) {
        self.position.push(&reject.position);
        self.record_time.append_option(reject.record_time.map(Timestamp::as_micros));
        self.time.append_value(reject.rejected_at.as_micros());
        self.format.append_value(reject.format.as_str());
        self.reason.append_value(reject.reason.as_str());
        self.detail.append_value(&reject.detail);
        self.raw.append_value(&reject.raw);
        self.raw_bytes.append_value(i64::try_from(reject.raw_bytes).unwrap_or(i64::MAX));
        self.month.append_value(self.month_text.of(reject.rejected_at));
        self.rows += 1;
    }

    pub fn len(&self) -> usize {
        self.rows
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// About how much memory the rows take, in bytes.
    pub fn bytes(&self) -> usize {
        let texts = [&self.position.topic, &self.format, &self.reason, &self.detail, &self.month];
        self.rows * FIXED_BYTES + text_bytes(texts) + self.raw.values_slice().len()
    }

    /// The rows as columns of [`Table::Rejects`]; none are left here.
    pub fn finish(&mut self) -> RecordBatch {
        self.rows = 0;
        let columns = finished![
            self.position.topic,
            self.position.partition,
            self.position.offset,
            self.record_time,
            self.time,
            self.format,
            self.reason,
            self.detail,
            self.raw,
            self.raw_bytes,
            self.month,
            self.position.part,
        ];
        batch(Table::Rejects, columns)
    }
}

/// The rejects of a batch with the columns of [`Table::Rejects`].
///
/// # Errors
///
/// [`RowError`] for a value that is not one of ours.
pub fn decode_rejects(batch: &RecordBatch) -> Result<Vec<Reject>, RowError> {
    let columns = Columns(batch);
    let mut position = Positions::of(columns)?;
    let record_time = columns.numbers::<TimestampMicrosecondType>("record_time")?;
    let time = columns.numbers::<TimestampMicrosecondType>("time")?;
    let format = columns.texts("format")?;
    let reason = columns.texts("reason")?;
    let detail = columns.texts("detail")?;
    let raw = columns.array("raw")?;
    let raw = raw.as_binary_opt::<i32>().ok_or_else(|| mistyped("raw", "bytes", raw))?;
    let raw_bytes = columns.numbers::<Int64Type>("raw_bytes")?;
    let read = |row| {
        Ok(Reject {
            position: position.get(row)?,
            record_time: record_time.maybe_time(row)?,
            rejected_at: time.time(row)?,
            format: format.word(row, Format::parse)?,
            reason: reason.word(row, RejectReason::parse)?,
            detail: detail.plain(row)?,
            raw: raw.value(row).to_vec(),
            raw_bytes: raw_bytes.one(row, u64::try_from)?,
        })
    };
    (0..raw.len()).map(read).collect()
}
