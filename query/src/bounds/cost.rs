//! [`Cost`]: how much a function can make out of its arguments, told before it does.
//!
//! Invariant: never too low; too high by a small factor at most for arguments that people write.

use arrow::array::{Array, ArrayRef, AsArray as _};
use arrow::compute::cast;
use arrow::compute::kernels::length::length;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{DataFusionError, ScalarValue};
use datafusion::logical_expr::ColumnarValue;

use super::bytes_of;
use super::concat::Concat;

/// Most steps of a call of `levenshtein`: about a second.
const STEPS_MAX: u64 = 1_000_000_000;
/// Most letters that one sign of a time's format makes (`%c`, `%+`), for each of its two characters.
const LETTERS_PER_SIGN: u64 = 24;
/// Most bytes of a character in UTF-8.
const BYTES_PER_LETTER: u64 = 4;
/// Most letters of a number as text.
const LETTERS_PER_NUMBER: u64 = 40;

/// The shape of a function's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Cost {
    /// All arguments, one after the other.
    Inputs,
    /// The first argument, as often as the second says.
    Repeat,
    /// As many letters as the second argument says.
    Pad,
    /// The third argument wherever the second stands in the first.
    Replace,
    /// The same with a pattern; the third argument may name parts of what was found.
    ReplacePattern,
    /// The first argument between all others.
    JoinArguments,
    /// The second argument between the elements of the first.
    JoinList,
    /// A time in the second argument's format.
    Time,
    /// Not bytes but steps: the product of the lengths.
    Product,
}

impl Cost {
    /// The cost of the function of this name, if its result can be much larger than its arguments.
    pub(super) fn of(name: &str) -> Option<Self> {
        Some(match name {
            Concat::NAME
            | "array_append"
            | "array_concat"
            | "array_prepend"
            | "concat"
            | "make_array"
            | "overlay" => Self::Inputs,
            "repeat" => Self::Repeat,
            "lpad" | "rpad" => Self::Pad,
            "replace" => Self::Replace,
            "regexp_replace" => Self::ReplacePattern,
            "concat_ws" => Self::JoinArguments,
            "array_to_string" => Self::JoinList,
            "to_char" => Self::Time,
            "levenshtein" => Self::Product,
            _ => return None,
        })
    }

    /// Whether the call could make more than `bytes_max`.
    pub(super) fn may_exceed(
        self,
        args: &[ColumnarValue],
        rows: usize,
        bytes_max: u64,
    ) -> Result<bool, DataFusionError> {
        let is_constant = args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { rows };
        let mut inputs = 0_u64;
        for arg in args {
            inputs = inputs.saturating_add(written_out(arg, rows));
        }
        let (made, max) = match (self, args) {
            (Self::Repeat, [text, count]) => {
                let (bytes, counts) = (Lengths::of(text)?, Numbers::of(count)?);
                (sum(rows, |row| bytes.at(row).saturating_mul(counts.at(row))), bytes_max)
            }
            (Self::Pad, [_, width, ..]) => {
                let widths = Numbers::of(width)?;
                (sum(rows, |row| widths.at(row).saturating_mul(BYTES_PER_LETTER)), bytes_max)
            }
            (Self::Replace, [text, from, to]) => {
                let [text, from, to] = [Lengths::of(text)?, Lengths::of(from)?, Lengths::of(to)?];
                let made = sum(rows, |row| {
                    let places = text.at(row) / from.at(row).max(1) + 1;
                    text.at(row).saturating_add(places.saturating_mul(to.at(row)))
                });
                (made, bytes_max)
            }
            (Self::ReplacePattern, [text, _, by, flags @ ..]) => {
                let (parts, is_everywhere) = (parts_named(by)?, !flags.is_empty());
                let (text, by) = (Lengths::of(text)?, Lengths::of(by)?);
                let made = sum(rows, |row| {
                    let places = if is_everywhere { text.at(row) + 1 } else { 1 };
                    let named = text.at(row).saturating_mul(1 + parts);
                    named.saturating_add(places.saturating_mul(by.at(row)))
                });
                (made, bytes_max)
            }
            (Self::JoinArguments, [between, others @ ..]) => {
                let betweens = written_out(between, rows).saturating_mul(others.len() as u64);
                (inputs.saturating_add(betweens), bytes_max)
            }
            (Self::JoinList, [list, rest @ ..]) => {
                let mut each = LETTERS_PER_NUMBER;
                for arg in rest {
                    each = each.saturating_add(Lengths::of(arg)?.longest());
                }
                let elements = elements(list, rows)?;
                (inputs.saturating_add(elements.saturating_mul(each)), bytes_max)
            }
            (Self::Time, [_, format, ..]) => {
                let formats = Lengths::of(format)?;
                (sum(rows, |row| formats.at(row).saturating_mul(LETTERS_PER_SIGN)), bytes_max)
            }
            (Self::Product, [a, b]) => {
                let (a, b) = (Lengths::of(a)?, Lengths::of(b)?);
                (sum(rows, |row| a.at(row).saturating_mul(b.at(row))), STEPS_MAX)
            }
            // Inputs; and too few arguments, of which the function itself tells.
            _ => (inputs, bytes_max),
        };
        Ok(max < made)
    }
}

fn sum(rows: usize, of_row: impl Fn(usize) -> u64) -> u64 {
    (0..rows).fold(0, |sum: u64, row| sum.saturating_add(of_row(row)))
}

/// Bytes of the argument with a constant written out for each row.
fn written_out(arg: &ColumnarValue, rows: usize) -> u64 {
    match arg {
        ColumnarValue::Array(array) => bytes_of(array) as u64,
        ColumnarValue::Scalar(constant) => {
            (super::constant_bytes(constant) as u64).saturating_mul(rows as u64)
        }
    }
}

/// The values of an argument; one value where it is a constant.
fn values(arg: &ColumnarValue) -> Result<ArrayRef, DataFusionError> {
    match arg {
        ColumnarValue::Array(array) => Ok(ArrayRef::clone(array)),
        ColumnarValue::Scalar(constant) => constant.to_array(),
    }
}

/// The numbers of an argument: 0 for NULL and below 0.
struct Numbers(ArrayRef);

impl Numbers {
    fn of(arg: &ColumnarValue) -> Result<Self, DataFusionError> {
        Ok(Self(cast(&values(arg)?, &DataType::Int64)?))
    }

    fn at(&self, row: usize) -> u64 {
        let numbers = self.0.as_primitive::<Int64Type>();
        let row = if numbers.len() == 1 { 0 } else { row };
        if numbers.is_null(row) { 0 } else { u64::try_from(numbers.value(row)).unwrap_or(0) }
    }
}

/// The lengths of texts in bytes.
struct Lengths(Numbers);

impl Lengths {
    fn of(arg: &ColumnarValue) -> Result<Self, DataFusionError> {
        let values = values(arg)?;
        let is_plain = !matches!(values.data_type(), DataType::Dictionary(..) | DataType::Null);
        let values = if is_plain { values } else { cast(&values, &DataType::Utf8)? };
        Ok(Self(Numbers(cast(&length(&values)?, &DataType::Int64)?)))
    }

    fn at(&self, row: usize) -> u64 {
        self.0.at(row)
    }

    fn longest(&self) -> u64 {
        (0..self.0.0.len()).map(|row| self.at(row)).max().unwrap_or(0)
    }
}

/// How many parts of what was found a replacement can name, at most.
fn parts_named(by: &ColumnarValue) -> Result<u64, DataFusionError> {
    if let ColumnarValue::Scalar(constant) = by {
        let text = constant.try_as_str().flatten().unwrap_or_default();
        return Ok(text.bytes().filter(|byte| matches!(byte, b'$' | b'\\')).count() as u64);
    }
    // A replacement for each row: each of its bytes could name one.
    Ok(Lengths::of(by)?.longest())
}

/// Elements of all lists of an argument.
fn elements(list: &ColumnarValue, rows: usize) -> Result<u64, DataFusionError> {
    // Each takes a byte at least, but for those of no width, which no column has.
    let of_one = |array: &ArrayRef| bytes_of(array) as u64;
    Ok(match list {
        ColumnarValue::Array(array) => of_one(array),
        ColumnarValue::Scalar(ScalarValue::List(list)) => {
            let array: ArrayRef = std::sync::Arc::clone(list) as ArrayRef;
            of_one(&array).saturating_mul(rows as u64)
        }
        ColumnarValue::Scalar(other) => of_one(&other.to_array()?).saturating_mul(rows as u64),
    })
}
