//! Rows of the table `registry_changes`.

use arrow::array::{RecordBatch, StringBuilder, TimestampMicrosecondBuilder};
use schemas::{RegistryChange, Table, Timestamp};

use super::columns::{Columns, RowError, batch, finished, text_bytes, texts, times};

/// Bytes that a row has beside its texts.
const FIXED_BYTES: usize = 48;

/// Rows of `registry_changes` while they are collected.
#[derive(Debug)]
pub struct RegistryRows {
    change_id: StringBuilder,
    kind: StringBuilder,
    subject: StringBuilder,
    valid_from: TimestampMicrosecondBuilder,
    valid_to: TimestampMicrosecondBuilder,
    recorded_at: TimestampMicrosecondBuilder,
    evidence: StringBuilder,
    change: StringBuilder,
    rows: usize,
}

impl Default for RegistryRows {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl RegistryRows {
    pub fn with_capacity(rows: usize) -> Self {
        Self {
            change_id: texts(rows),
            kind: texts(rows),
            subject: texts(rows),
            valid_from: times(rows),
            valid_to: times(rows),
            recorded_at: times(rows),
            evidence: texts(rows),
            change: texts(rows),
            rows: 0,
        }
    }

    /// A change that does not say when it was told was told `now`.
    pub fn push(&mut self, change: &RegistryChange, now: Timestamp) {
        let recorded_at = change.recorded_at.unwrap_or(now);
        let told = RegistryChange { recorded_at: Some(recorded_at), ..change.clone() };
        self.change_id.append_value(change.change_id());
        self.kind.append_value(change.fact.kind());
        self.subject.append_value(change.fact.subject());
        self.valid_from.append_value(change.valid_from.as_micros());
        self.valid_to.append_option(change.valid_to.map(Timestamp::as_micros));
        self.recorded_at.append_value(recorded_at.as_micros());
        self.evidence.append_option(change.evidence.as_ref());
        let text = serde_json::to_string(&told);
        self.change.append_value(text.expect("a change holds nothing that JSON cannot"));
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
        let texts = [&self.change_id, &self.kind, &self.subject, &self.evidence, &self.change];
        self.rows * FIXED_BYTES + text_bytes(texts)
    }

    /// The rows as columns of [`Table::RegistryChanges`]; none are left here.
    pub fn finish(&mut self) -> RecordBatch {
        self.rows = 0;
        let columns = finished![
            self.change_id,
            self.kind,
            self.subject,
            self.valid_from,
            self.valid_to,
            self.recorded_at,
            self.evidence,
            self.change,
        ];
        batch(Table::RegistryChanges, columns)
    }
}

/// The changes of a batch with the columns of [`Table::RegistryChanges`].
///
/// # Errors
///
/// [`RowError`] for a value that is not one of ours.
pub fn decode_registry(batch: &RecordBatch) -> Result<Vec<RegistryChange>, RowError> {
    let change = Columns(batch).texts("change")?;
    let read = |row| change.one(row, serde_json::from_str);
    (0..batch.num_rows()).map(read).collect()
}
