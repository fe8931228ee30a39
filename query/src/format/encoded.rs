//! [`Encoded`]: an answer as bytes, piece by piece, for a reader who takes them when it is ready.
//!
//! Invariant: nothing is read ahead of the reader: a piece is made when it is asked for.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Destination, Format, Sink, WriteError};
use crate::Answer;

/// An answer in a format, as bytes. Dropping it stops the statement.
pub struct Encoded {
    answer: Answer,
    /// `None` once the end was written.
    sink: Option<Sink<Piece>>,
    piece: Piece,
}

impl Encoded {
    /// # Errors
    ///
    /// [`WriteError::Unwritable`] if the format cannot hold a column.
    pub fn new(answer: Answer, format: Format) -> Result<Self, WriteError> {
        let piece = Piece::default();
        let sink = Sink::new(answer.schema(), format, Destination::File, piece.clone())?;
        Ok(Self { answer, sink: Some(sink), piece })
    }

    /// The next bytes, never empty; `None` at the end. After an error the bytes so far are no whole
    /// answer.
    ///
    /// # Errors
    ///
    /// [`WriteError`].
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, WriteError> {
        while let Some(sink) = &mut self.sink {
            match self.answer.next().await? {
                Some(batch) => sink.write(&batch)?,
                None => self.sink.take().map_or(Ok(()), Sink::finish)?,
            }
            let bytes = self.piece.take();
            if !bytes.is_empty() {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }
}

impl std::fmt::Debug for Encoded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoded").field("answer", &self.answer).finish_non_exhaustive()
    }
}

/// What was written and not yet taken. Shared by the sink that writes and the reader that takes.
#[derive(Clone, Debug, Default)]
struct Piece(Arc<Mutex<Vec<u8>>>);

impl Piece {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Piece {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
