//! [`merge`]: sorted files to one sorted file.
//!
//! Invariant: each row of the inputs is in the output once and unchanged, in the order of the table;
//! equal ones in the order of the inputs. The inputs are read batch by batch, so that memory is that of the
//! files themselves, one batch of each, and one row group of the output.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::ControlFlow;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use schemas::Table;

use crate::Cause;
use crate::encode::statistics::Sum;
use crate::encode::{properties, stored_schema};
use crate::error::Reason;

/// Rows that are written at once, between two looks at whether to go on.
const ROWS_AT_ONCE: usize = 8_192;

/// Rows of all inputs that are decoded at once.
const ROWS_DECODED: usize = 1 << 16;

/// What is asked between two steps of a long piece of work: whether to go on. It may take its time, to
/// leave the processor to others.
pub type Pace = dyn Fn() -> ControlFlow<()> + Send + Sync;

/// The rows of `inputs` as one file's bytes, with their statistics; `None` if `pace` says to stop. Runs
/// for seconds: call it where no other task waits.
///
/// # Errors
///
/// If an input cannot be read, or has other columns than the table's.
pub(crate) fn merge(
    table: Table,
    inputs: Vec<Bytes>,
    pace: &Pace,
) -> Result<Option<(Bytes, Sum)>, Cause> {
    let mut merging = Merging::open(table, inputs)?;
    let wanted = merging.rows;
    let properties = properties(table, &merging.schema, wanted)?;
    let schema = SchemaRef::clone(&merging.schema);
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties))?;
    let mut told = Sum::new(table);
    while let Some(rows) = merging.next()? {
        if pace().is_break() {
            return Ok(None);
        }
        told.add(&rows);
        writer.write(&rows)?;
    }
    if told.rows() != wanted {
        let text = format!("wanted {wanted} rows in the files, found {}", told.rows());
        return Err(Reason(text).into());
    }
    Ok(Some((writer.into_inner()?.into(), told)))
}

/// Inputs while they are merged.
struct Merging {
    schema: SchemaRef,
    keys: RowConverter,
    sorted_by: &'static [&'static str],
    inputs: Vec<Input>,
    /// The inputs that have rows left, by the key of their next one, then by their number.
    next: BinaryHeap<Reverse<(Vec<u8>, usize)>>,
    rows: usize,
}

struct Input {
    /// Absent once all rows are decoded: a reader holds a decompressor for each column, and a hundred
    /// small files would hold a gigabyte of them.
    reader: Option<ParquetRecordBatchReader>,
    /// Rows that are not decoded yet.
    left: usize,
    /// The batch that is taken from, its keys, and its next row.
    rows: RecordBatch,
    keys: Rows,
    at: usize,
}

impl Merging {
    fn open(table: Table, files: Vec<Bytes>) -> Result<Self, Cause> {
        let schema = stored_schema(table);
        let sorted_by = table.sort_columns();
        let field = |name: &&str| {
            let field = schema.field_with_name(name)?;
            Ok(SortField::new(field.data_type().clone()))
        };
        let fields: Result<Vec<SortField>, Cause> = sorted_by.iter().map(field).collect();
        let keys = RowConverter::new(fields?)?;
        let batch = (ROWS_DECODED / files.len().max(1)).clamp(64, 4_096);
        let (mut inputs, mut rows) = (Vec::new(), 0);
        for bytes in files {
            let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)?;
            let left = usize::try_from(reader.metadata().file_metadata().num_rows())?;
            rows += left;
            if !is_same(table, reader.schema(), &schema) {
                return Err(
                    Reason("wanted the table's columns in a file, found others".into()).into()
                );
            }
            let reader = Some(reader.with_batch_size(batch).build()?);
            let none = RecordBatch::new_empty(SchemaRef::clone(&schema));
            inputs.push(Input { reader, left, rows: none, keys: keys.empty_rows(0, 0), at: 0 });
        }
        let mut merging = Self { schema, keys, sorted_by, inputs, next: BinaryHeap::new(), rows };
        for number in 0..merging.inputs.len() {
            merging.refill(number)?;
        }
        Ok(merging)
    }

    /// Decodes the next batch of an input, and puts it in its place. `false` if there is none.
    fn refill(&mut self, number: usize) -> Result<bool, Cause> {
        let input = &mut self.inputs[number];
        loop {
            let Some(reader) = &mut input.reader else { return Ok(false) };
            let Some(rows) = reader.next().transpose()? else { return Ok(false) };
            input.left = input.left.saturating_sub(rows.num_rows());
            if input.left == 0 {
                input.reader = None;
            }
            if rows.num_rows() == 0 {
                continue;
            }
            let schema = SchemaRef::clone(&self.schema);
            let rows = widened(&rows, schema)?;
            let columns: Vec<ArrayRef> =
                self.sorted_by.iter().map(|name| ArrayRef::clone(&rows[*name])).collect();
            input.keys = self.keys.convert_columns(&columns)?;
            (input.rows, input.at) = (rows, 0);
            self.next.push(Reverse((input.keys.row(0).as_ref().to_vec(), number)));
            return Ok(true);
        }
    }

    /// The next rows; `None` at the end.
    fn next(&mut self) -> Result<Option<RecordBatch>, Cause> {
        // The batches that rows are taken from, and for each input which of them it is at.
        let mut batches: Vec<RecordBatch> =
            self.inputs.iter().map(|input| input.rows.clone()).collect();
        let mut current: Vec<usize> = (0..batches.len()).collect();
        let mut places = Vec::with_capacity(ROWS_AT_ONCE);
        while places.len() < ROWS_AT_ONCE
            && let Some(Reverse((mut key, number))) = self.next.pop()
        {
            let input = &mut self.inputs[number];
            places.push((current[number], input.at));
            input.at += 1;
            if input.at < input.keys.num_rows() {
                key.clear();
                key.extend(input.keys.row(input.at).as_ref());
                self.next.push(Reverse((key, number)));
            } else if self.refill(number)? {
                current[number] = batches.len();
                batches.push(self.inputs[number].rows.clone());
            }
        }
        if places.is_empty() {
            return Ok(None);
        }
        let batches: Vec<&RecordBatch> = batches.iter().collect();
        Ok(Some(interleave_record_batch(&batches, &places)?))
    }
}

/// Whether a file has the table's columns; those that the table did not always have, it may lack.
fn is_same(table: Table, found: &SchemaRef, wanted: &SchemaRef) -> bool {
    let always = table.columns().iter().filter(|one| !one.is_later).count()
        - table.month_column().iter().count();
    (always..=wanted.fields().len()).contains(&found.fields().len())
        && found.fields().iter().zip(wanted.fields()).all(|(found, wanted)| {
            found.name() == wanted.name()
                && found.data_type() == wanted.data_type()
                && found.is_nullable() == wanted.is_nullable()
        })
}

/// The rows of a file with all columns of the table: those that it lacks are null.
fn widened(rows: &RecordBatch, schema: SchemaRef) -> Result<RecordBatch, ArrowError> {
    let mut columns = rows.columns().to_vec();
    let lacking = schema.fields().iter().skip(columns.len());
    columns.extend(lacking.map(|field| new_null_array(field.data_type(), rows.num_rows())));
    RecordBatch::try_new(schema, columns)
}
