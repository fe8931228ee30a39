//! [`Cells`]: the values of one column as text and as JSON.
//!
//! Invariant: one spelling for each value in all text formats.

use std::fmt::Write as _;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, StructArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::is_obeyed;

/// RFC 3339; the offset of UTC is written as `Z` afterwards.
const OPTIONS: FormatOptions<'static> = FormatOptions::new()
    .with_timestamp_format(Some("%Y-%m-%dT%H:%M:%S%.6f"))
    .with_timestamp_tz_format(Some("%Y-%m-%dT%H:%M:%S%.6f%:z"));

/// The values of one column.
pub(super) enum Cells<'a> {
    /// Numbers and truth values: as they are, in JSON too.
    Bare(&'a dyn Array, ArrayFormatter<'a>),
    /// Everything else that has no parts.
    Text(&'a dyn Array, ArrayFormatter<'a>),
    Time(&'a dyn Array, ArrayFormatter<'a>),
    List(&'a ListArray, Box<Self>),
    Map(&'a MapArray, Box<Self>, Box<Self>),
    Struct(&'a StructArray, Vec<Self>),
}

/// The columns of `batch`, with dictionaries written out.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other type is as it is")]
pub(super) fn plain_columns(batch: &RecordBatch) -> Result<Vec<ArrayRef>, ArrowError> {
    let plain = |column: &ArrayRef| match column.data_type() {
        DataType::Dictionary(_, value) => cast(column, value),
        DataType::LargeList(field)
        | DataType::FixedSizeList(field, _)
        | DataType::ListView(field) => cast(column, &DataType::List(Field::clone(field).into())),
        _ => Ok(ArrayRef::clone(column)),
    };
    batch.columns().iter().map(plain).collect()
}

/// Whether values of the type are numbers for the eye: right aligned, never cut.
pub(super) fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric()
}

impl<'a> Cells<'a> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "every other type is shown as Arrow shows it"
    )]
    pub(super) fn new(array: &'a dyn Array) -> Result<Self, ArrowError> {
        let formatter = || ArrayFormatter::try_new(array, &OPTIONS);
        Ok(match array.data_type() {
            DataType::Boolean => Self::Bare(array, formatter()?),
            number if number.is_integer() || number.is_floating() => {
                Self::Bare(array, formatter()?)
            }
            DataType::Timestamp(..) => Self::Time(array, formatter()?),
            DataType::List(_) => {
                let list = array.as_list();
                Self::List(list, Box::new(Self::new(list.values())?))
            }
            DataType::Map(..) => {
                let map = array.as_map();
                Self::Map(map, Box::new(Self::new(map.keys())?), Box::new(Self::new(map.values())?))
            }
            DataType::Struct(_) => {
                let parts = array.as_struct();
                Self::Struct(
                    parts,
                    parts.columns().iter().map(|part| Self::new(part)).collect::<Result<_, _>>()?,
                )
            }
            _ => Self::Text(array, formatter()?),
        })
    }

    fn array(&self) -> &dyn Array {
        match self {
            Self::Bare(array, _) | Self::Text(array, _) | Self::Time(array, _) => *array,
            Self::List(array, _) => *array,
            Self::Map(array, ..) => *array,
            Self::Struct(array, _) => *array,
        }
    }

    pub(super) fn is_null(&self, row: usize) -> bool {
        self.array().is_null(row) || matches!(self.array().data_type(), DataType::Null)
    }

    /// Whether the value may hold any text that somebody wrote, at its very beginning.
    pub(super) fn is_free_text(&self) -> bool {
        matches!(
            self.array().data_type(),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
        )
    }

    /// The value without quotes; what has parts as JSON. Empty for NULL.
    pub(super) fn text(&self, row: usize) -> Result<String, ArrowError> {
        if self.is_null(row) {
            return Ok(String::new());
        }
        match self {
            Self::Bare(_, formatter) | Self::Text(_, formatter) => {
                formatter.value(row).try_to_string()
            }
            Self::Time(_, formatter) => time(formatter, row),
            Self::List(..) | Self::Map(..) | Self::Struct(..) => {
                let mut json = String::new();
                self.json(row, &mut json)?;
                Ok(json)
            }
        }
    }

    /// Adds the value as JSON.
    pub(super) fn json(&self, row: usize, json: &mut String) -> Result<(), ArrowError> {
        if self.is_null(row) {
            json.push_str("null");
            return Ok(());
        }
        match self {
            Self::Bare(_, formatter) => {
                let text = formatter.value(row).try_to_string()?;
                // JSON has neither infinity nor "not a number".
                let is_json = !text.contains(['N', 'i', 'I']);
                json.push_str(if is_json { &text } else { "null" });
            }
            Self::Text(_, formatter) => quote(&formatter.value(row).try_to_string()?, json),
            Self::Time(_, formatter) => quote(&time(formatter, row)?, json),
            Self::List(list, values) => {
                let (start, end) = bounds(list.value_offsets(), row);
                enclose('[', ']', start..end, json, |at, json| values.json(at, json))?;
            }
            Self::Map(map, keys, values) => {
                let (start, end) = bounds(map.value_offsets(), row);
                enclose('{', '}', start..end, json, |at, json| {
                    quote(&keys.text(at)?, json);
                    json.push(':');
                    values.json(at, json)
                })?;
            }
            Self::Struct(parts, cells) => {
                enclose('{', '}', 0..cells.len(), json, |at, json| {
                    quote(parts.column_names()[at], json);
                    json.push(':');
                    cells[at].json(row, json)
                })?;
            }
        }
        Ok(())
    }
}

fn time(formatter: &ArrayFormatter<'_>, row: usize) -> Result<String, ArrowError> {
    let text = formatter.value(row).try_to_string()?;
    Ok(match text.strip_suffix("+00:00") {
        Some(utc) => format!("{utc}Z"),
        None => text,
    })
}

fn bounds(offsets: &[i32], row: usize) -> (usize, usize) {
    let at =
        |index: usize| usize::try_from(offsets[index]).expect("Arrow's offsets are not negative");
    (at(row), at(row + 1))
}

fn enclose(
    open: char,
    close: char,
    range: std::ops::Range<usize>,
    json: &mut String,
    mut write: impl FnMut(usize, &mut String) -> Result<(), ArrowError>,
) -> Result<(), ArrowError> {
    json.push(open);
    for (number, at) in range.enumerate() {
        if 0 < number {
            json.push(',');
        }
        write(at, json)?;
    }
    json.push(close);
    Ok(())
}

/// Adds `text` as a JSON text. What a terminal would obey is escaped: to JSON it is the same text.
pub(super) fn quote(text: &str, json: &mut String) {
    json.push('"');
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            _ if is_obeyed(character) => {
                // All of them lie in the basic plane: four digits are enough.
                write!(json, "\\u{:04x}", u32::from(character)).expect("writing to a string");
            }
            _ => json.push(character),
        }
    }
    json.push('"');
}
