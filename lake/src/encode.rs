//! [`encode`]: rows to Parquet files, one for each month.
//!
//! Invariant: the same rows with the same [`Advance`] give the same bytes under the same name, so
//! writing them again changes nothing; and no two commits to a table share a name.
//!
//! The settings are those measured best for look-ups by agent and by id: zstd 1, rows sorted,
//! pages of 4,096 rows with a page index, bloom filters on ids, no dictionary where each value is
//! another.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray as _, RecordBatch, UInt32Array};
use arrow::compute::{concat, concat_batches, take};
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::compute_leaves;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use schemas::Table;

use crate::Advance;
use crate::rows::{EDGE_COLUMNS, edges_of};
use crate::seal::sha256;

pub(crate) mod statistics;

/// Largest row group. A month's file of 256 MiB has about six.
const ROWS_PER_GROUP_MAX: usize = 1 << 20;

/// Rows per page: with the default of 20,000 an agent's history decodes five times as much.
const ROWS_PER_PAGE_MAX: usize = 4_096;

/// Bytes of the hash that is a file's name: nobody finds a second content for one of 128 bits.
const NAME_BYTES: usize = 16;

/// Columns in which each value is another, so that a dictionary only costs.
const UNIQUE_TEXTS: &[&str] = &["event_id", "finding_id", "change_id"];

/// A Parquet file, ready to be stored.
#[derive(Clone, Debug)]
pub struct EncodedFile {
    pub(crate) path: String,
    pub(crate) month: Option<String>,
    pub(crate) bytes: Bytes,
    pub(crate) rows: usize,
    /// JSON, as the Delta log wants it.
    pub(crate) statistics: String,
    /// The rows, where they are not in the bytes.
    #[cfg(any(test, feature = "faults"))]
    pub(crate) held: Option<RecordBatch>,
}

/// What files are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Parquet,
    /// Rows in memory, for the model of a lake in simulations.
    #[cfg(any(test, feature = "faults"))]
    Rows,
}

impl EncodedFile {
    /// A stored file as it was when it was encoded; `told` are the statistics of all of its rows.
    pub(crate) fn again(path: String, bytes: Bytes, told: statistics::Sum) -> Self {
        let (month, rows) = (month_of(&path), told.rows());
        Self::of(path, month, bytes, rows, told.finish().to_string())
    }

    fn of(
        path: String,
        month: Option<String>,
        bytes: Bytes,
        rows: usize,
        statistics: String,
    ) -> Self {
        Self {
            path,
            month,
            bytes,
            rows,
            statistics,
            #[cfg(any(test, feature = "faults"))]
            held: None,
        }
    }

    /// A file of these bytes, under the name that `identity` and content give it.
    pub(crate) fn named(
        month: Option<String>,
        bytes: Bytes,
        identity: &str,
        told: statistics::Sum,
    ) -> Self {
        let path = path_of(month.as_deref(), &bytes, identity);
        let rows = told.rows();
        Self::of(path, month, bytes, rows, told.finish().to_string())
    }

    /// A file that is its rows.
    #[cfg(any(test, feature = "faults"))]
    fn held(month: Option<String>, rows: RecordBatch, identity: &str) -> Self {
        let bytes = crate::faults::bytes_of(&rows);
        let path = path_of(month.as_deref(), &bytes, identity);
        let statistics = format!("{{\"numRecords\":{}}}", rows.num_rows());
        let file = Self::of(path, month, bytes, rows.num_rows(), statistics);
        Self { held: Some(rows), ..file }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Size of the file in bytes.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }
}

/// Why rows are not a file. All of these are bugs of ours.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    #[error("table {}: wanted its columns with their types, found others", table.name())]
    Columns { table: Table },
    #[error("rows cannot be sorted or taken apart")]
    Arrow(#[from] ArrowError),
    #[error("rows cannot be written as Parquet")]
    Parquet(#[from] ParquetError),
}

/// Sorts the rows and writes them as Parquet, one file for each month.
///
/// Takes about 1.4 us of CPU per event: call it where no other task waits.
///
/// # Errors
///
/// [`EncodeError`] if the batches do not have the table's columns.
pub fn encode(
    table: Table,
    batches: &[RecordBatch],
    advance: &Advance,
) -> Result<Vec<EncodedFile>, EncodeError> {
    Form::Parquet.encode(table, batches, advance)
}

impl Form {
    /// As [`encode`], in this form.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] if the batches do not have the table's columns.
    pub fn encode(
        self,
        table: Table,
        batches: &[RecordBatch],
        advance: &Advance,
    ) -> Result<Vec<EncodedFile>, EncodeError> {
        Ok(encode_each(self, table, batches, advance, &[])?.0)
    }

    /// As [`encode`] for [`Table::Events`], in this form; and what the events add to the edges between
    /// agents and counterparties, which costs little while they are sorted.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] if the batches do not have the table's columns.
    pub fn encode_events(
        self,
        batches: &[RecordBatch],
        advance: &Advance,
    ) -> Result<(Vec<EncodedFile>, RecordBatch), EncodeError> {
        let (files, sorted) = encode_each(self, Table::Events, batches, advance, EDGE_COLUMNS)?;
        Ok((files, edges_of(&sorted)))
    }
}

/// The files, and of their rows in the stored order the columns that are to be kept.
fn encode_each(
    form: Form,
    table: Table,
    batches: &[RecordBatch],
    advance: &Advance,
    kept: &[&str],
) -> Result<(Vec<EncodedFile>, Vec<RecordBatch>), EncodeError> {
    let schema = table.arrow_schema();
    if batches.iter().any(|batch| batch.schema().fields() != schema.fields()) {
        return Err(EncodeError::Columns { table });
    }
    let (mut files, mut seen, identity) = (Vec::new(), Vec::new(), advance.identity());
    if batches.iter().all(|batch| batch.num_rows() == 0) {
        return Ok((files, seen));
    }
    let months = by_month(table, batches, sorted(table, batches)?)?;
    // Columns are joined one by one for each month: of several months, once for all.
    let joined;
    let batches = if months.len() == 1 {
        batches
    } else {
        joined = concat_batches(&schema, batches)?;
        std::slice::from_ref(&joined)
    };
    for (month, order) in months {
        let rows = Ordered { batches, order: UInt32Array::from(order) };
        files.push(match form {
            Form::Parquet => {
                let mut kept = Kept::new(kept);
                let file = as_parquet(table, month, &rows, &identity, &mut kept)?;
                seen.extend(kept.pages()?);
                file
            }
            #[cfg(any(test, feature = "faults"))]
            Form::Rows => {
                let whole = concat_batches(&schema, batches)?;
                let rows = arrow::compute::take_record_batch(&whole, &rows.order)?;
                seen.push(rows.clone());
                EncodedFile::held(month, rows, &identity)
            }
        });
    }
    Ok((files, seen))
}

/// Rows, and the order in which those of one file are stored.
struct Ordered<'a> {
    batches: &'a [RecordBatch],
    order: UInt32Array,
}

/// The order cut into ranges of so many rows at most.
fn parts(order: &UInt32Array, rows_max: usize) -> impl Iterator<Item = UInt32Array> {
    let starts = (0..order.len()).step_by(rows_max);
    starts.map(move |start| order.slice(start, rows_max.min(order.len() - start)))
}

/// Some columns of rows that are encoded, page by page.
struct Kept<'a>(Vec<(&'a str, Vec<ArrayRef>)>);

impl<'a> Kept<'a> {
    fn new(names: &[&'a str]) -> Self {
        Self(names.iter().map(|name| (*name, Vec::new())).collect())
    }

    fn see(&mut self, name: &str, page: &ArrayRef) {
        if let Some((_, pages)) = self.0.iter_mut().find(|(kept, _)| *kept == name) {
            pages.push(ArrayRef::clone(page));
        }
    }

    fn pages(self) -> Result<Vec<RecordBatch>, ArrowError> {
        let count = self.0.first().map_or(0, |(_, pages)| pages.len());
        let column = |(name, pages): &(&'a str, Vec<ArrayRef>), page: usize| {
            (*name, ArrayRef::clone(&pages[page]))
        };
        (0..count)
            .map(|page| RecordBatch::try_from_iter(self.0.iter().map(|one| column(one, page))))
            .collect()
    }
}

/// Column by column, and each page by page: what is encoded was just put in order, the dictionary of one
/// column stays in the core's cache, and no second copy of all rows is ever there.
fn as_parquet(
    table: Table,
    month: Option<String>,
    rows: &Ordered<'_>,
    identity: &str,
    kept: &mut Kept<'_>,
) -> Result<EncodedFile, EncodeError> {
    let (count, schema) = (rows.order.len(), stored_schema(table));
    let properties = properties(table, &schema, count)?;
    let bytes = Vec::with_capacity(count * 64);
    let writer = ArrowWriter::try_new(bytes, SchemaRef::clone(&schema), Some(properties))?;
    let (mut file, writers) = writer.into_serialized_writer()?;
    let mut told = statistics::Sum::new(table);
    told.add_rows(count);
    for (number, order) in parts(&rows.order, ROWS_PER_GROUP_MAX).enumerate() {
        let mut writers = writers.create_column_writers(number)?.into_iter();
        let mut group = file.next_row_group()?;
        for field in schema.fields() {
            let column = whole(rows.batches, field.name())?;
            let mut of_field = Vec::new();
            for order in parts(&order, ROWS_PER_PAGE_MAX) {
                let page = take(&column, &order, None)?;
                told.add_part(field.name(), &page);
                kept.see(field.name(), &page);
                let leaves = compute_leaves(field, &page)?;
                let missing = leaves.len() - of_field.len();
                of_field.extend(writers.by_ref().take(missing));
                for (writer, leaf) in of_field.iter_mut().zip(&leaves) {
                    writer.write(leaf)?;
                }
            }
            for writer in of_field {
                writer.close()?.append_to_row_group(&mut group)?;
            }
        }
        group.close()?;
    }
    Ok(EncodedFile::named(month, file.into_inner()?.into(), identity, told))
}

fn path_of(month: Option<&str>, bytes: &Bytes, identity: &str) -> String {
    let name = name_of(bytes, identity);
    match month {
        Some(month) => format!("month={month}/{name}"),
        None => name,
    }
}

/// The month in whose folder a file stands.
pub(crate) fn month_of(path: &str) -> Option<String> {
    let (folder, _) = path.split_once('/')?;
    folder.strip_prefix("month=").map(str::to_owned)
}

/// The columns of a table as they stand in its files: the month is in the folder's name.
pub(crate) fn stored_schema(table: Table) -> SchemaRef {
    let whole = table.arrow_schema();
    let is_stored = |field: &&FieldRef| Some(field.name().as_str()) != table.month_column();
    let fields: Vec<FieldRef> = whole.fields().iter().filter(is_stored).cloned().collect();
    Arc::new(Schema::new(fields))
}

/// A column of all batches as one.
fn whole(batches: &[RecordBatch], name: &str) -> Result<ArrayRef, ArrowError> {
    let parts: Vec<&dyn Array> = batches.iter().map(|batch| batch[name].as_ref()).collect();
    concat(&parts)
}

/// The order in which the rows stand in the file; equal ones stay as they came.
///
/// Most comparisons are decided by the first bytes in which keys differ at all, which stand beside the
/// rows' numbers: comparing the keys where they lie costs two cache misses each.
fn sorted(table: Table, batches: &[RecordBatch]) -> Result<Vec<u32>, ArrowError> {
    let columns: Vec<ArrayRef> =
        table.sort_columns().iter().map(|name| whole(batches, name)).collect::<Result<_, _>>()?;
    let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
    let keys = RowConverter::new(fields)?.convert_columns(&columns)?;
    let keys: Vec<&[u8]> = keys.iter().map(|key| key.data()).collect();
    let count = u32::try_from(keys.len())
        .map_err(|_| ArrowError::ComputeError("wanted at most 2^32 rows".to_owned()))?;
    let shared = keys.first().map_or(0, |first| {
        keys.iter().fold(first.len(), |shared, key| common_prefix(&first[..shared], key))
    });
    let heads = keys.iter().map(|key| head(&key[shared..]));
    let mut order: Vec<(u128, u32)> = heads.zip(0..count).collect();
    let key = |row: u32| keys[row as usize];
    order.sort_by(|(a, m), (b, n)| a.cmp(b).then_with(|| key(*m).cmp(key(*n))));
    Ok(order.into_iter().map(|(_, row)| row).collect())
}

/// How many bytes both begin with.
fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// The first 16 bytes as a number that compares as they do, but for zeros at the end.
fn head(bytes: &[u8]) -> u128 {
    let mut head = [0; 16];
    let len = bytes.len().min(head.len());
    head[..len].copy_from_slice(&bytes[..len]);
    u128::from_be_bytes(head)
}

/// The order cut by month, in each month as it was.
fn by_month(
    table: Table,
    batches: &[RecordBatch],
    order: Vec<u32>,
) -> Result<BTreeMap<Option<String>, Vec<u32>>, ArrowError> {
    let Some(column) = table.month_column() else {
        return Ok(BTreeMap::from([(None, order)]));
    };
    let months = whole(batches, column)?;
    let months = months.as_string::<i32>();
    let mut cut: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for row in order {
        cut.entry(months.value(row as usize)).or_default().push(row);
    }
    Ok(cut.into_iter().map(|(month, rows)| (Some(month.to_owned()), rows)).collect())
}

/// How a table's files are written: as it was measured best for look-ups, see above.
pub(crate) fn properties(
    table: Table,
    schema: &SchemaRef,
    rows: usize,
) -> Result<WriterProperties, ParquetError> {
    let sorting = table.sort_columns().iter().map(|name| {
        let at = schema.index_of(name).ok().and_then(|at| i32::try_from(at).ok());
        SortingColumn {
            column_idx: at.expect("a test holds each table to its sort columns"),
            descending: false,
            nulls_first: false,
        }
    });
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("surety ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_max_row_group_row_count(Some(ROWS_PER_GROUP_MAX))
        .set_data_page_row_count_limit(ROWS_PER_PAGE_MAX)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_sorting_columns(Some(sorting.collect()));
    for field in schema.fields() {
        let path = ColumnPath::from(field.name().as_str());
        let is_unique = UNIQUE_TEXTS.contains(&field.name().as_str());
        let encoding = if is_unique {
            Encoding::DELTA_BYTE_ARRAY
        } else if matches!(field.data_type(), DataType::Int64 | DataType::Timestamp(..)) {
            Encoding::DELTA_BINARY_PACKED
        } else {
            continue;
        };
        properties = properties
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path, encoding);
    }
    for name in table.bloom_columns() {
        let distinct_max = rows.min(ROWS_PER_GROUP_MAX) as u64;
        properties = properties
            .set_column_bloom_filter_enabled(ColumnPath::from(*name), true)
            .set_column_bloom_filter_max_ndv(ColumnPath::from(*name), distinct_max);
    }
    Ok(properties.build())
}

/// A name made of what is in the file and of which commit it belongs to: two commits may hold the
/// same rows (edges do), and adding one path twice would lose one of them. It is a SHA-256, so that
/// whoever verifies a lake knows the file by the entry that names it.
pub(crate) fn name_of(bytes: &Bytes, identity: &str) -> String {
    let mut name = "part-".to_owned();
    for byte in &sha256(&[identity.as_bytes(), bytes])[..NAME_BYTES] {
        write!(name, "{byte:02x}").expect("writing to a string");
    }
    name + ".zstd.parquet"
}

#[cfg(test)]
mod tests;
