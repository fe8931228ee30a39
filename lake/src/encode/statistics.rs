//! The statistics of a file that stand in the Delta log, so that a query skips the file unread.
//!
//! Invariant: a minimum is never above and a maximum never below what is in the file.
//!
//! Source: the Delta transaction log protocol, section "Per-file Statistics". Times have
//! milliseconds there, so a minimum is rounded down and a maximum up.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use arrow::array::{Array, AsArray as _, RecordBatch};
use arrow::compute::{max, max_string, min, min_string};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};
use schemas::{Table, Timestamp};
use serde_json::{Map, Value, json};

/// The columns by which queries and restarts skip files, beside those the files are sorted by.
const SKIPPED_BY: &[&str] = &["time", "topic", "kafka_partition", "kafka_offset"];

/// The columns of a table that have statistics, in the order of its columns.
pub(crate) fn columns(table: Table) -> impl Iterator<Item = &'static str> {
    let is_kept =
        move |name: &&str| table.sort_columns().contains(name) || SKIPPED_BY.contains(name);
    table.columns().iter().map(|column| column.name).filter(is_kept)
}

/// The statistics of rows that come batch by batch: those of all of them at once.
#[derive(Debug)]
pub(crate) struct Sum {
    table: Table,
    rows: usize,
    lowest: BTreeMap<&'static str, Value>,
    highest: BTreeMap<&'static str, Value>,
    nulls: BTreeMap<&'static str, usize>,
}

impl Sum {
    pub(crate) fn new(table: Table) -> Self {
        let nulls = columns(table).map(|name| (name, 0)).collect();
        Self { table, rows: 0, lowest: BTreeMap::new(), highest: BTreeMap::new(), nulls }
    }

    pub(crate) fn add(&mut self, rows: &RecordBatch) {
        for name in columns(self.table) {
            self.add_part(name, &rows[name]);
        }
        self.add_rows(rows.num_rows());
    }

    /// Adds a part of one column; most columns have no statistics.
    pub(crate) fn add_part(&mut self, name: &str, part: &dyn Array) {
        let Some(name) = columns(self.table).find(|known| *known == name) else { return };
        if let Some((low, high)) = bounds(part) {
            keep(&mut self.lowest, name, low, Ordering::Less);
            keep(&mut self.highest, name, high, Ordering::Greater);
        }
        *self.nulls.entry(name).or_default() += part.null_count();
    }

    /// Adds rows whose columns come in parts.
    pub(crate) fn add_rows(&mut self, rows: usize) {
        self.rows += rows;
    }

    pub(crate) const fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn finish(self) -> Value {
        // In the order of the columns, whatever the batches were.
        let (mut lowest, mut highest, mut nulls) = (Map::new(), Map::new(), Map::new());
        for name in columns(self.table) {
            if let (Some(low), Some(high)) = (self.lowest.get(name), self.highest.get(name)) {
                lowest.insert(name.to_owned(), low.clone());
                highest.insert(name.to_owned(), high.clone());
            }
            nulls.insert(name.to_owned(), self.nulls[name].into());
        }
        json!({
            "numRecords": self.rows,
            "minValues": lowest,
            "maxValues": highest,
            "nullCount": nulls,
        })
    }
}

/// Keeps `value` if it lies on this side of the one that is there. Texts compare as readers compare
/// them, and times are written so that their texts do.
fn keep(
    bounds: &mut BTreeMap<&'static str, Value>,
    name: &'static str,
    value: Value,
    side: Ordering,
) {
    let is_beyond = bounds.get(name).is_none_or(|known| match (&value, known) {
        (Value::String(value), Value::String(known)) => value.cmp(known) == side,
        (value, known) => value.as_i64().cmp(&known.as_i64()) == side,
    });
    if is_beyond {
        bounds.insert(name, value);
    }
}

/// Smallest and largest value; `None` where all are null or the type has no order here.
#[expect(clippy::wildcard_enum_match_arm, reason = "Arrow has forty types, the sort columns four")]
fn bounds(column: &dyn Array) -> Option<(Value, Value)> {
    match column.data_type() {
        DataType::Utf8 => {
            let texts = column.as_string::<i32>();
            Some((min_string(texts)?.into(), max_string(texts)?.into()))
        }
        DataType::Int32 => bounds_of::<Int32Type>(column).map(|(a, b)| (a.into(), b.into())),
        DataType::Int64 => bounds_of::<Int64Type>(column).map(|(a, b)| (a.into(), b.into())),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let (low, high) = bounds_of::<TimestampMicrosecondType>(column)?;
            let up = high.div_euclid(1_000) + i64::from(high.rem_euclid(1_000) != 0);
            Some((time(low.div_euclid(1_000))?, time(up)?))
        }
        _ => None,
    }
}

fn bounds_of<T: ArrowPrimitiveType>(column: &dyn Array) -> Option<(T::Native, T::Native)>
where
    T::Native: arrow::array::ArrowNativeTypeOp,
{
    let values = column.as_primitive::<T>();
    Some((min(values)?, max(values)?))
}

/// `2026-03-01T09:30:00.000Z`.
fn time(millis: i64) -> Option<Value> {
    let text = Timestamp::from_millis(millis).ok()?.to_string();
    Some(format!("{}Z", &text[..text.len() - "000Z".len()]).into())
}
