//! [`Csv`]: rows as comma separated values.
//!
//! Invariant: a text of a row never runs as a formula in a spreadsheet: one that begins with `=`, `+`,
//! `-`, `@`, a tab or a carriage return gets an apostrophe in front. Numbers are never touched.
//! NULL is empty, an empty text is `""`.
//!
//! Source: RFC 4180; OWASP, *CSV Injection*.

use std::io::Write;

use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::cells::{Cells, plain_columns};
use super::{Destination, Format, WriteError, visible};

pub(crate) struct Csv<W> {
    is_terminal: bool,
    out: W,
}

impl<W: Write> Csv<W> {
    pub(super) fn new(
        schema: &Schema,
        destination: Destination,
        out: W,
    ) -> Result<Self, WriteError> {
        let mut csv = Self { is_terminal: destination != Destination::File, out };
        let mut line = String::new();
        for (number, field) in schema.fields().iter().enumerate() {
            csv.add(number, &unarmed(field.name()), &mut line);
        }
        line.push_str("\r\n");
        csv.out.write_all(line.as_bytes())?;
        Ok(csv)
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), WriteError> {
        let unwritable = |error: ArrowError| WriteError::Unwritable {
            format: Format::Csv,
            reason: error.to_string(),
        };
        let columns = plain_columns(batch).map_err(unwritable)?;
        let cells = columns
            .iter()
            .map(|column| Cells::new(column))
            .collect::<Result<Vec<_>, _>>()
            .map_err(unwritable)?;
        let mut lines = String::new();
        for row in 0..batch.num_rows() {
            for (number, cells) in cells.iter().enumerate() {
                if cells.is_null(row) {
                    if 0 < number {
                        lines.push(',');
                    }
                    continue;
                }
                let text = cells.text(row).map_err(unwritable)?;
                let text = if cells.is_free_text() { unarmed(&text) } else { text };
                self.add(number, &text, &mut lines);
            }
            lines.push_str("\r\n");
        }
        Ok(self.out.write_all(lines.as_bytes())?)
    }

    fn add(&self, number: usize, text: &str, line: &mut String) {
        if 0 < number {
            line.push(',');
        }
        let shown;
        let text = if self.is_terminal {
            shown = visible(text);
            &shown
        } else {
            text
        };
        let is_plain =
            !text.is_empty() && !text.contains([',', '"', '\r', '\n']) && text.trim() == text;
        if is_plain {
            line.push_str(text);
        } else {
            line.push('"');
            line.push_str(&text.replace('"', "\"\""));
            line.push('"');
        }
    }
}

/// `text` with an apostrophe in front if a spreadsheet would take it for a formula.
fn unarmed(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}
