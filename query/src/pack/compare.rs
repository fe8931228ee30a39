//! [`Comparer`]: whether a file of rows says what it would say if it were written again.
//!
//! Invariant: the first row that differs is named, and nothing of the file is held in memory.

use std::io::{self, BufReader, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes read ahead.
const BUFFER_BYTES: usize = 1 << 16;

/// Takes what should be in a file, and compares it with what is.
pub(super) struct Comparer {
    found: BufReader<Box<dyn Read + Send>>,
    buffer: Vec<u8>,
    outcome: Outcome,
    /// Rows whose end was written, the line of names counted.
    lines: u64,
    /// Within quotes: a line break there ends no row of a CSV.
    is_quoted: bool,
    has_quotes: bool,
}

/// What a comparison found, for whoever waits for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome(Arc<Mutex<Option<Difference>>>);

/// Where a file differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    /// The line, from 1; of a CSV the row, where the line of names is 1.
    pub(super) line: u64,
    pub(super) what: String,
}

impl Outcome {
    pub(super) fn difference(&self) -> Option<Difference> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, line: u64, what: String) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get_or_insert(Difference { line, what });
    }
}

impl Comparer {
    /// `has_quotes`: line breaks within quotes are no ends of rows.
    pub(super) fn new(found: Box<dyn Read + Send>, has_quotes: bool) -> (Self, Outcome) {
        let outcome = Outcome::default();
        let comparer = Self {
            found: BufReader::with_capacity(BUFFER_BYTES, found),
            buffer: Vec::new(),
            outcome: outcome.clone(),
            lines: 0,
            is_quoted: false,
            has_quotes,
        };
        (comparer, outcome)
    }

    fn count_lines(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'"' if self.has_quotes => self.is_quoted = !self.is_quoted,
                b'\n' if !self.is_quoted => self.lines += 1,
                _ => {}
            }
        }
    }
}

impl Write for Comparer {
    fn write(&mut self, wanted: &[u8]) -> io::Result<usize> {
        if self.outcome.difference().is_some() {
            return Ok(wanted.len());
        }
        self.buffer.resize(wanted.len(), 0);
        let mut length = 0;
        while length < wanted.len() {
            match self.found.read(&mut self.buffer[length..]) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.outcome.note(self.lines + 1, format!("it cannot be read: {error}"));
                    return Ok(wanted.len());
                }
            }
        }
        let found = std::mem::take(&mut self.buffer);
        let same = wanted.iter().zip(&found[..length]).take_while(|(one, other)| one == other);
        let same = same.count();
        self.count_lines(&wanted[..same]);
        if same < wanted.len() {
            let what =
                if same < length { "it is not as in the Parquet file" } else { "it is missing" };
            self.outcome.note(self.lines + 1, what.to_owned());
        }
        self.buffer = found;
        Ok(wanted.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// At the end nothing may be left. The writers of rows drop what they write to when they are done.
impl Drop for Comparer {
    fn drop(&mut self) {
        match self.found.read(&mut [0]) {
            Ok(0) => {}
            Ok(_) => self.outcome.note(self.lines + 1, "it is not in the Parquet file".to_owned()),
            Err(error) => self.outcome.note(self.lines + 1, format!("it cannot be read: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(wanted: &[&str], found: &'static str, has_quotes: bool) -> Option<Difference> {
        let (mut comparer, outcome) = Comparer::new(Box::new(found.as_bytes()), has_quotes);
        for part in wanted {
            comparer.write_all(part.as_bytes()).unwrap();
        }
        drop(comparer);
        outcome.difference()
    }

    #[test]
    fn the_first_row_that_differs_is_named() {
        let differs = |line, what: &str| Some(Difference { line, what: what.to_owned() });

        assert_eq!(compare(&["a\nb", "\nc\n"], "a\nb\nc\n", false), None);
        let changed = compare(&["a\nb", "\nc\n"], "a\nX\nc\n", false);
        assert_eq!(changed, differs(2, "it is not as in the Parquet file"));
        assert_eq!(compare(&["a\nb\n", "c\n"], "a\nb\n", false), differs(3, "it is missing"));
        let more = compare(&["a\nb\n"], "a\nb\nc\n", false);
        assert_eq!(more, differs(3, "it is not in the Parquet file"));
        let quoted = compare(&["a\n\"b\nb\"\nc\n"], "a\n\"b\nb\"\nX\n", true);
        assert_eq!(quoted, differs(3, "it is not as in the Parquet file"));
    }
}
