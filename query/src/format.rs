//! [`Format`]: an answer as bytes for people and for programs.
//!
//! Invariant: nothing from a row reaches a terminal as a control character (C0, C1, bidirectional or
//! zero width). Decimals keep every digit: in JSON they are texts, as in the events themselves.
//! Times are RFC 3339 in UTC with six digits.

mod cells;
mod csv;
mod encoded;
mod grid;
mod json;

use std::fmt::Write as _;
use std::io::{self, Write};

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

pub use encoded::Encoded;

use crate::{Answer, QueryError};

/// Bytes of rows that a Parquet file gathers before it writes them as a row group. They are no part
/// of the statement's memory, so they are few: a quarter of the usual row group.
const ROW_GROUP_BYTES: usize = 32 << 20;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people: a grid, or one line for each value where the grid is too wide.
    Table,
    /// A list of objects, one row a line.
    Json,
    /// One object a line.
    JsonLines,
    /// RFC 4180. A text that a spreadsheet would run as a formula gets an apostrophe in front.
    Csv,
    Parquet,
    /// Arrow's IPC stream.
    Arrow,
}

impl Format {
    pub const ALL: &'static [Self] =
        &[Self::Table, Self::Json, Self::JsonLines, Self::Csv, Self::Parquet, Self::Arrow];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Json => "json",
            Self::JsonLines => "jsonl",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
            Self::Arrow => "arrow",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.as_str() == text)
    }

    /// Whether it is text: what is not has no place on a terminal.
    pub const fn is_text(self) -> bool {
        match self {
            Self::Table | Self::Json | Self::JsonLines | Self::Csv => true,
            Self::Parquet | Self::Arrow => false,
        }
    }
}

/// Where the bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A terminal, so many columns wide: values are cut to fit, control characters shown escaped.
    Terminal { width: u16 },
    /// A file or a pipe: whole values.
    File,
}

/// Why an answer was not written to its end.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The statement failed while its rows were read.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// Nobody takes the bytes.
    #[error("the answer cannot be written")]
    Io(#[from] io::Error),
    /// The format cannot hold a column's type.
    #[error("{} cannot hold the answer: {reason}", format.as_str())]
    Unwritable { format: Format, reason: String },
}

/// Writes rows that are no answer of a statement.
///
/// # Errors
///
/// [`WriteError`].
pub fn write_rows<W: Write + Send>(
    rows: &RecordBatch,
    format: Format,
    out: W,
) -> Result<(), WriteError> {
    let mut sink = Sink::new(rows.schema(), format, Destination::File, out)?;
    sink.write(rows)?;
    sink.finish()
}

/// Writes an answer to `out` and returns the number of its rows.
///
/// # Errors
///
/// [`WriteError`]; what was written before stands.
pub async fn write_answer<W: Write + Send>(
    answer: &mut Answer,
    format: Format,
    destination: Destination,
    out: &mut W,
) -> Result<u64, WriteError> {
    let mut sink = Sink::new(answer.schema(), format, destination, out)?;
    let mut rows = 0;
    while let Some(batch) = answer.next().await? {
        rows += batch.num_rows() as u64;
        sink.write(&batch)?;
    }
    sink.finish()?;
    Ok(rows)
}

/// One writer for each format.
pub(crate) enum Sink<W: Write + Send> {
    Grid(grid::Grid<W>),
    Json(json::Json<W>),
    Csv(csv::Csv<W>),
    Parquet(Box<ArrowWriter<W>>),
    Arrow(Box<StreamWriter<W>>),
}

impl<W: Write + Send> Sink<W> {
    pub(crate) fn new(
        schema: SchemaRef,
        format: Format,
        destination: Destination,
        out: W,
    ) -> Result<Self, WriteError> {
        Ok(match format {
            Format::Table => Self::Grid(grid::Grid::new(schema, destination, out)),
            Format::Json => Self::Json(json::Json::new(&schema, true, out)),
            Format::JsonLines => Self::Json(json::Json::new(&schema, false, out)),
            Format::Csv => Self::Csv(csv::Csv::new(&schema, destination, out)?),
            Format::Parquet => {
                let level = ZstdLevel::try_new(3).expect("3 is one of 1 to 22");
                let properties =
                    WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
                Self::Parquet(Box::new(
                    ArrowWriter::try_new(out, schema, Some(properties)).map_err(parquet)?,
                ))
            }
            Format::Arrow => {
                Self::Arrow(Box::new(StreamWriter::try_new(out, &schema).map_err(arrow)?))
            }
        })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), WriteError> {
        match self {
            Self::Grid(grid) => grid.write(batch),
            Self::Json(json) => json.write(batch),
            Self::Csv(csv) => csv.write(batch),
            Self::Parquet(writer) => {
                writer.write(batch).map_err(parquet)?;
                if ROW_GROUP_BYTES <= writer.in_progress_size() {
                    writer.flush().map_err(parquet)?;
                }
                Ok(())
            }
            Self::Arrow(writer) => writer.write(batch).map_err(arrow),
        }
    }

    pub(crate) fn finish(self) -> Result<(), WriteError> {
        match self {
            Self::Grid(grid) => grid.finish(),
            Self::Json(json) => json.finish(),
            Self::Csv(_) => Ok(()),
            Self::Parquet(writer) => writer.close().map(drop).map_err(parquet),
            Self::Arrow(mut writer) => writer.finish().map_err(arrow),
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "Parquet's enum grows with its versions")]
fn parquet(error: ParquetError) -> WriteError {
    match error {
        ParquetError::External(cause) if cause.is::<io::Error>() => {
            WriteError::Io(*cause.downcast().expect("checked in the line before"))
        }
        other => WriteError::Unwritable { format: Format::Parquet, reason: other.to_string() },
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "Arrow's enum grows with its versions")]
fn arrow(error: ArrowError) -> WriteError {
    match error {
        ArrowError::IoError(_, cause) => WriteError::Io(cause),
        other => WriteError::Unwritable { format: Format::Arrow, reason: other.to_string() },
    }
}

/// `text` with every character that a terminal would obey, or that would hide another, spelled out.
pub(crate) fn visible(text: &str) -> String {
    if text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        return text.to_owned();
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            _ if is_obeyed(character) => {
                write!(shown, "\\u{{{:x}}}", u32::from(character)).expect("writing to a string");
            }
            _ => shown.push(character),
        }
    }
    shown
}

/// Whether a terminal does something else with the character than showing it.
///
/// Source: ISO 6429 for C0 and C1; Unicode Technical Report 36, section 2, for the invisible ones.
pub(crate) fn is_obeyed(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}
