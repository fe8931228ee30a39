//! Rows of the table `seals`.

use std::num::TryFromIntError;

use arrow::array::{BinaryArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::Int64Type;
use schemas::Table;

use super::columns::{Columns, RowError, batch};
use crate::Version;
use crate::seal::Seal;

/// A seal as it is stored: what of it is asked for often, and the signed note, which is the truth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealRow {
    pub sequence: i64,
    pub version: Version,
    pub note: String,
}

/// The one row of a seal with its signed note, with the columns of [`Table::Seals`].
///
/// # Errors
///
/// If a number of the seal is 2^63 or more.
pub(crate) fn seal_row(seal: &Seal, note: &str) -> Result<RecordBatch, TryFromIntError> {
    let count = |n: u64| i64::try_from(n).map(|n| Int64Array::from(vec![n]));
    let time = TimestampMicrosecondArray::from(vec![seal.time.as_micros()]).with_timezone("UTC");
    Ok(batch(
        Table::Seals,
        vec![
            std::sync::Arc::new(Int64Array::from(vec![seal.sequence])),
            std::sync::Arc::new(time),
            std::sync::Arc::new(BinaryArray::from_vec(vec![&seal.root])),
            std::sync::Arc::new(BinaryArray::from_vec(vec![&seal.previous])),
            std::sync::Arc::new(StringArray::from(vec![note])),
            std::sync::Arc::new(count(seal.version)?),
            std::sync::Arc::new(count(seal.records)?),
            std::sync::Arc::new(count(seal.rejects)?),
        ],
    ))
}

/// The seals of a batch with the columns of [`Table::Seals`].
///
/// # Errors
///
/// [`RowError`] for a value that is not one of ours.
pub fn decode_seals(batch: &RecordBatch) -> Result<Vec<SealRow>, RowError> {
    let columns = Columns(batch);
    let sequence = columns.numbers::<Int64Type>("sequence")?;
    let version = columns.numbers::<Int64Type>("version")?;
    let note = columns.texts("note")?;
    let read = |row| {
        Ok(SealRow {
            sequence: sequence.plain(row)?,
            version: version.one(row, Version::try_from)?,
            note: note.plain(row)?,
        })
    };
    (0..batch.num_rows()).map(read).collect()
}
