//! [`Json`]: rows as JSON objects, one a line.
//!
//! Invariant: every line but the brackets is one whole object, so that line tools can work on it.

use std::io::Write;

use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;

use super::cells::{Cells, plain_columns, quote};
use super::{Format, WriteError};

pub(crate) struct Json<W> {
    names: Vec<String>,
    is_list: bool,
    is_first: bool,
    out: W,
}

impl<W: Write> Json<W> {
    pub(super) fn new(schema: &Schema, is_list: bool, out: W) -> Self {
        let quoted = schema.fields().iter().map(|field| {
            let mut name = String::new();
            quote(field.name(), &mut name);
            name
        });
        Self { names: quoted.collect(), is_list, is_first: true, out }
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), WriteError> {
        let unwritable = |error: arrow::error::ArrowError| WriteError::Unwritable {
            format: Format::Json,
            reason: error.to_string(),
        };
        let columns = plain_columns(batch).map_err(unwritable)?;
        let cells = columns
            .iter()
            .map(|column| Cells::new(column))
            .collect::<Result<Vec<_>, _>>()
            .map_err(unwritable)?;
        let mut text = String::new();
        for row in 0..batch.num_rows() {
            if self.is_list {
                text.push_str(if self.is_first { "[\n" } else { ",\n" });
            }
            self.is_first = false;
            text.push('{');
            for (number, (name, cells)) in self.names.iter().zip(&cells).enumerate() {
                if 0 < number {
                    text.push(',');
                }
                text.push_str(name);
                text.push(':');
                cells.json(row, &mut text).map_err(unwritable)?;
            }
            text.push('}');
            if !self.is_list {
                text.push('\n');
            }
            if text.len() >= 1 << 16 {
                self.out.write_all(text.as_bytes())?;
                text.clear();
            }
        }
        Ok(self.out.write_all(text.as_bytes())?)
    }

    pub(super) fn finish(mut self) -> Result<(), WriteError> {
        if self.is_list {
            self.out.write_all(if self.is_first { b"[]\n" } else { b"\n]\n" })?;
        }
        Ok(())
    }
}
