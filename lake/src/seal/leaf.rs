//! [`leaves`]: stored rows as the leaves of a seal.
//!
//! Invariant: two rows have the same leaf only if they are of one table and equal in every column. A
//! row's form does not depend on the file or the batch that it stands in.
//!
//! The canonical form of a row is the name of its table, a zero byte, and then each column of
//! `docs/tables.md` but `month` (which follows from `time`), in that order: a byte 0 for null; else a byte 1 and the value: texts and
//! bytes with their length before them (4 bytes), numbers and timestamps (microseconds) as they are,
//! money as 16 bytes of hundredths, lists and maps with their count before them (4 bytes). All
//! numbers are little-endian. Of a column that the table did not always have nothing is written for null,
//! and its name as a text before the byte 1: so the rows that were sealed before have the form that they
//! had. docs/evidence.md has the same for those who verify with other programs.

use arrow::array::{
    Array, ArrayRef, AsArray as _, BinaryArray, Decimal128Array, ListArray, MapArray,
    PrimitiveArray, RecordBatch, StringArray,
};
use arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};
use schemas::{KafkaPartition, Offset, Part, Table};

use super::merkle::{self, Hash};
use crate::{Advance, RowError};

/// Where a record stood, and which one it was in it: by this the leaves of a commit are sorted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub topic: String,
    pub partition: KafkaPartition,
    pub offset: Offset,
    pub part: Part,
}

impl Place {
    /// Whether a commit with this advance read the record.
    pub(crate) fn is_within(&self, advance: &Advance) -> bool {
        advance.partitions().any(|(topic, partition, range)| {
            topic.as_str() == self.topic
                && partition == self.partition
                && range.start <= self.offset
                && self.offset < range.end
        })
    }
}

/// One column, as what it holds.
enum Values<'a> {
    Texts(&'a StringArray),
    Bytes(&'a BinaryArray),
    Int32(&'a PrimitiveArray<Int32Type>),
    Int64(&'a PrimitiveArray<Int64Type>),
    Times(&'a PrimitiveArray<TimestampMicrosecondType>),
    Float32(&'a PrimitiveArray<Float32Type>),
    Float64(&'a PrimitiveArray<Float64Type>),
    Money(&'a Decimal128Array),
    List(&'a ListArray, &'a StringArray),
    Map(&'a MapArray, &'a StringArray, &'a StringArray),
}

impl<'a> Values<'a> {
    /// `None` for a type that no column of ours has.
    #[expect(clippy::wildcard_enum_match_arm, reason = "Arrow has many types, our tables ten")]
    fn of(column: &'a ArrayRef) -> Option<Self> {
        Some(match column.data_type() {
            DataType::Utf8 => Self::Texts(column.as_string()),
            DataType::Binary => Self::Bytes(column.as_binary()),
            DataType::Int32 => Self::Int32(column.as_primitive()),
            DataType::Int64 => Self::Int64(column.as_primitive()),
            DataType::Timestamp(TimeUnit::Microsecond, _) => Self::Times(column.as_primitive()),
            DataType::Float32 => Self::Float32(column.as_primitive()),
            DataType::Float64 => Self::Float64(column.as_primitive()),
            DataType::Decimal128(..) => Self::Money(column.as_primitive()),
            DataType::List(_) => {
                let list = column.as_list();
                Self::List(list, list.values().as_string_opt()?)
            }
            DataType::Map(..) => {
                let map = column.as_map();
                Self::Map(map, map.keys().as_string_opt()?, map.values().as_string_opt()?)
            }
            _ => return None,
        })
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Texts(column) => column.is_null(row),
            Self::Bytes(column) => column.is_null(row),
            Self::Int32(column) => column.is_null(row),
            Self::Int64(column) => column.is_null(row),
            Self::Times(column) => column.is_null(row),
            Self::Float32(column) => column.is_null(row),
            Self::Float64(column) => column.is_null(row),
            Self::Money(column) => column.is_null(row),
            Self::List(column, _) => column.is_null(row),
            Self::Map(column, ..) => column.is_null(row),
        }
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) {
        let is_null = self.is_null(row);
        out.push(u8::from(!is_null));
        if is_null {
            return;
        }
        match self {
            Self::Texts(column) => write_bytes(column.value(row).as_bytes(), out),
            Self::Bytes(column) => write_bytes(column.value(row), out),
            Self::Int32(column) => out.extend(column.value(row).to_le_bytes()),
            Self::Int64(column) => out.extend(column.value(row).to_le_bytes()),
            Self::Times(column) => out.extend(column.value(row).to_le_bytes()),
            Self::Float32(column) => out.extend(column.value(row).to_le_bytes()),
            Self::Float64(column) => out.extend(column.value(row).to_le_bytes()),
            Self::Money(column) => out.extend(column.value(row).to_le_bytes()),
            Self::List(column, texts) => {
                let places = places_of(column.value_offsets(), row);
                write_count(places.len(), out);
                for at in places {
                    write_bytes(texts.value(at).as_bytes(), out);
                }
            }
            Self::Map(column, keys, texts) => {
                let places = places_of(column.value_offsets(), row);
                write_count(places.len(), out);
                for at in places {
                    write_bytes(keys.value(at).as_bytes(), out);
                    write_bytes(texts.value(at).as_bytes(), out);
                }
            }
        }
    }
}

/// Where the elements of a row lie.
fn places_of(offsets: &[i32], row: usize) -> std::ops::Range<usize> {
    let at = |row: usize| usize::try_from(offsets[row]).expect("offsets only grow from 0");
    at(row)..at(row + 1)
}

fn write_count(count: usize, out: &mut Vec<u8>) {
    let count = u32::try_from(count).expect("a record is 256 KiB at most");
    out.extend(count.to_le_bytes());
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    write_count(bytes.len(), out);
    out.extend(bytes);
}

/// Each row's place with its leaf, in the order of the rows. `rows` has the columns of `table` (events
/// or rejects), with or without `month`.
///
/// Runs on the caller's thread: the threads that micro-batches are spread over must stay free.
///
/// # Errors
///
/// [`RowError::Column`] if a column is missing or has another type.
pub fn leaves(table: Table, rows: &RecordBatch) -> Result<Vec<(Place, Hash)>, RowError> {
    let mut columns = Vec::new();
    for column in table.columns() {
        if Some(column.name) == table.month_column() {
            continue;
        }
        let found = rows.column_by_name(column.name);
        if column.is_later && found.is_none() {
            continue;
        }
        let values = found.and_then(Values::of).ok_or_else(|| wrong(column.name, found))?;
        columns.push((column.is_later.then_some(column.name), values));
    }
    let found = |name| rows.column_by_name(name);
    let topics = found("topic").and_then(|column| column.as_string_opt::<i32>());
    let partitions =
        found("kafka_partition").and_then(|column| column.as_primitive_opt::<Int32Type>());
    let offsets = found("kafka_offset").and_then(|column| column.as_primitive_opt::<Int64Type>());
    let topics = topics.ok_or_else(|| wrong("topic", found("topic")))?;
    let partitions =
        partitions.ok_or_else(|| wrong("kafka_partition", found("kafka_partition")))?;
    let offsets = offsets.ok_or_else(|| wrong("kafka_offset", found("kafka_offset")))?;
    // Rows of before there were parts are the first of their records.
    let parts = found("record_part").map(|column| {
        column.as_primitive_opt::<Int32Type>().ok_or_else(|| wrong("record_part", Some(column)))
    });
    let parts = parts.transpose()?;
    let mut form = Vec::new();
    let leaf_of = |row: usize| {
        form.clear();
        form.extend(table.name().as_bytes());
        form.push(0);
        for (later, values) in &columns {
            match later {
                None => values.write(row, &mut form),
                Some(_) if values.is_null(row) => {}
                Some(name) => {
                    write_bytes(name.as_bytes(), &mut form);
                    values.write(row, &mut form);
                }
            }
        }
        let place = Place {
            topic: topics.value(row).to_owned(),
            partition: KafkaPartition(partitions.value(row)),
            offset: Offset(offsets.value(row)),
            part: parts.map_or(Ok(Part::FIRST), |parts| part_of(parts, row))?,
        };
        Ok((place, merkle::leaf(&form)))
    };
    (0..rows.num_rows()).map(leaf_of).collect()
}

fn part_of(parts: &PrimitiveArray<Int32Type>, row: usize) -> Result<Part, RowError> {
    let number = parts.is_valid(row).then(|| parts.value(row));
    Part::of_number(number).map_err(|reason| RowError::Value { column: "record_part", row, reason })
}

fn wrong(column: &'static str, found: Option<&ArrayRef>) -> RowError {
    let found = found.map_or("no such column".to_owned(), |found| found.data_type().to_string());
    RowError::Column { column, wanted: "the column's type in docs/tables.md", found }
}
