//! [`Grid`]: rows for people.
//!
//! Invariant: on a terminal no line is longer than the terminal is wide, as far as the columns' own
//! borders allow; what is cut ends in `…`. Numbers are never cut.

use std::io::Write;

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use comfy_table::{Cell, CellAlignment, Table};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::cells::{Cells, is_number, plain_columns};
use super::{Destination, Format, WriteError, visible};

/// Rows of one grid; longer answers are several grids, so that the first rows show at once.
const ROWS_PER_GRID: usize = 1_000;
/// Narrowest column of text before a row becomes one line for each value.
const WIDTH_MIN: usize = 12;
/// Signs between two columns: ` | `.
const BORDER: usize = 3;

pub(crate) struct Grid<W> {
    schema: SchemaRef,
    destination: Destination,
    waiting: Vec<Vec<String>>,
    rows: u64,
    is_written: bool,
    out: W,
}

impl<W: Write> Grid<W> {
    pub(super) fn new(schema: SchemaRef, destination: Destination, out: W) -> Self {
        Self { schema, destination, waiting: Vec::new(), rows: 0, is_written: false, out }
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), WriteError> {
        let unwritable = |error: ArrowError| WriteError::Unwritable {
            format: Format::Table,
            reason: error.to_string(),
        };
        let columns = plain_columns(batch).map_err(unwritable)?;
        let cells = columns
            .iter()
            .map(|column| Cells::new(column))
            .collect::<Result<Vec<_>, _>>()
            .map_err(unwritable)?;
        for row in 0..batch.num_rows() {
            let texts = cells.iter().map(|cells| cells.text(row).map(|text| visible(&text)));
            self.waiting.push(texts.collect::<Result<_, _>>().map_err(unwritable)?);
            self.rows += 1;
            if self.waiting.len() == ROWS_PER_GRID {
                self.flush()?;
            }
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<(), WriteError> {
        if !self.waiting.is_empty() || !self.is_written {
            self.flush()?;
        }
        let rows = if self.rows == 1 { "row" } else { "rows" };
        Ok(writeln!(self.out, "({} {rows})", self.rows)?)
    }

    fn flush(&mut self) -> Result<(), WriteError> {
        self.is_written = true;
        let waiting = std::mem::take(&mut self.waiting);
        let names: Vec<String> =
            self.schema.fields().iter().map(|field| visible(field.name())).collect();
        if names.is_empty() {
            return Ok(());
        }
        let widest =
            |column: usize| waiting.iter().map(|row| row[column].width()).max().unwrap_or(0);
        let widths: Vec<usize> =
            (0..names.len()).map(|column| widest(column).max(names[column].width())).collect();
        let limits = match self.destination {
            Destination::File => Some(widths),
            Destination::Terminal { width } => self.fit(&widths, usize::from(width)),
        };
        match limits {
            Some(limits) => self.write_grid(&names, &waiting, &limits),
            None => self.write_records(&names, &waiting),
        }
    }

    /// The width of each column so that a row fits into `width`; `None` if it cannot.
    fn fit(&self, widths: &[usize], width: usize) -> Option<Vec<usize>> {
        let room = width.checked_sub(widths.len() * BORDER + 1)?;
        let is_fixed = |column: usize| is_number(self.schema.field(column).data_type());
        let within = |cap: usize| -> Vec<usize> {
            let limit = |(column, width): (usize, &usize)| {
                if is_fixed(column) { *width } else { cap.min(*width) }
            };
            widths.iter().enumerate().map(limit).collect()
        };
        let widest = widths.iter().copied().max().unwrap_or(0);
        let caps = (WIDTH_MIN.min(widest)..=widest).rev();
        caps.map(within).find(|limits| limits.iter().sum::<usize>() <= room)
    }

    fn write_grid(
        &mut self,
        names: &[String],
        rows: &[Vec<String>],
        limits: &[usize],
    ) -> Result<(), WriteError> {
        let mut table = Table::new();
        table.force_no_tty().load_style(comfy_table::presets::ASCII_MARKDOWN);
        let cut_all = |texts: &[String]| -> Vec<Cell> {
            let align = |(column, text): (usize, &String)| {
                let cell = Cell::new_owned(cut(text, limits[column]));
                let is_right = is_number(self.schema.field(column).data_type());
                if is_right { cell.set_alignment(CellAlignment::Right) } else { cell }
            };
            texts.iter().enumerate().map(align).collect()
        };
        table.set_header(cut_all(names));
        for row in rows {
            table.add_row(cut_all(row));
        }
        for line in table.lines() {
            writeln!(self.out, "{line}")?;
        }
        Ok(())
    }

    /// One line for each value, a line between the rows.
    fn write_records(&mut self, names: &[String], rows: &[Vec<String>]) -> Result<(), WriteError> {
        let longest = names.iter().map(|name| name.width()).max().unwrap_or(0);
        let room = match self.destination {
            Destination::Terminal { width } => {
                usize::from(width).saturating_sub(longest + BORDER).max(WIDTH_MIN)
            }
            Destination::File => usize::MAX,
        };
        let before = self.rows - rows.len() as u64;
        for (number, row) in rows.iter().enumerate() {
            writeln!(self.out, "-- row {}", before + number as u64 + 1)?;
            for (name, text) in names.iter().zip(row).filter(|(_, text)| !text.is_empty()) {
                let blank = " ".repeat(longest - name.width());
                writeln!(self.out, "{name}{blank} | {}", cut(text, room))?;
            }
        }
        Ok(())
    }
}

/// `text` in at most `width` columns of a terminal.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut used = 1;
    let mut kept = String::new();
    for character in text.chars() {
        used += character.width().unwrap_or(0);
        if width < used {
            break;
        }
        kept.push(character);
    }
    kept.push('…');
    kept
}
