//! [`RowFiles`]: rows as CSV, JSON Lines and Parquet at once.
//!
//! Invariant: the three files say the same, row for row, in the same order.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::format::{Destination, Format, Sink, WriteError};
use crate::pack::member::{Finished, Lent, Member, Method};

/// The formats of rows in a pack, with what their files are called.
pub(crate) const FORMATS: [(Format, &str); 3] =
    [(Format::Csv, "csv"), (Format::JsonLines, "jsonl"), (Format::Parquet, "parquet")];

/// The files of one set of rows.
pub(super) struct RowFiles {
    files: Vec<(Sink<Lent>, Lent)>,
}

impl RowFiles {
    /// `name` is that of the files, without what they end in.
    pub(super) fn new(name: &str, schema: &SchemaRef) -> Result<Self, WriteError> {
        let file = |(format, end): (Format, &str)| {
            let method = if format.is_text() { Method::Deflated } else { Method::Stored };
            let lent = Lent::new(Member::new(&format!("{name}.{end}"), method)?);
            let schema = SchemaRef::clone(schema);
            let sink = Sink::new(schema, format, Destination::File, lent.clone())?;
            Ok((sink, lent))
        };
        let files = FORMATS.into_iter().map(file).collect::<Result<_, WriteError>>()?;
        Ok(Self { files })
    }

    /// Writes the rows, each format on a thread of its own: to compress text takes the most time of all.
    pub(super) fn write(&mut self, rows: &RecordBatch) -> Result<(), WriteError> {
        std::thread::scope(|scope| {
            let writers: Vec<_> = self
                .files
                .iter_mut()
                .map(|(sink, _)| scope.spawn(move || sink.write(rows)))
                .collect();
            writers
                .into_iter()
                .try_for_each(|writer| writer.join().expect("a writer of rows does not panic"))
        })
    }

    pub(super) fn finish(self) -> Result<Vec<Finished>, WriteError> {
        let finish = |(sink, lent): (Sink<Lent>, Lent)| {
            sink.finish()?;
            Ok(lent.take().finish()?)
        };
        self.files.into_iter().map(finish).collect()
    }
}
