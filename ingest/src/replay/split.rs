//! [`Splitter`]: a stream of bytes cut into records, in whichever of three layouts it comes.
//!
//! Invariant: every byte of the stream is part of a record, or is layout (line ends, blanks, the
//! commas and brackets of an array, the object around CloudTrail's `Records`). What is broken is part
//! of a record, which will then be rejected where a person sees it.

use std::io::{self, BufRead};

/// Bytes kept of a record. The rest of a longer one is dropped: it is rejected for its length.
pub(super) const RECORD_BYTES_MAX: usize = 2 * crate::format::BATCH_BYTES_MAX;

/// How far the start is looked at to tell the layout.
const START_BYTES: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// Not yet known: at the start, and after the end of an array.
    Unknown,
    Lines,
    /// Inside an array.
    Array,
    /// After the array of `{"Records":[...]}`, before the object's end.
    Rest,
}

/// Cuts a stream into records.
pub(super) struct Splitter<R> {
    input: R,
    layout: Layout,
    /// Whether the array is inside CloudTrail's object.
    is_wrapped: bool,
    /// Number of the next line or element.
    next: u64,
    /// An error that came after the last record.
    error: Option<io::Error>,
}

impl<R: BufRead> Splitter<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, layout: Layout::Unknown, is_wrapped: false, next: 0, error: None }
    }

    /// Puts the next record into `record` and returns its number; `None` at the end.
    ///
    /// # Errors
    ///
    /// What the reader says, once everything readable before it was returned.
    pub(super) fn next(&mut self, record: &mut Vec<u8>) -> io::Result<Option<u64>> {
        loop {
            if let Some(error) = self.error.take() {
                return Err(error);
            }
            record.clear();
            let is_record = match self.layout {
                Layout::Unknown => {
                    if !self.recognise()? {
                        return Ok(None);
                    }
                    false
                }
                Layout::Rest => {
                    self.skip_rest()?;
                    false
                }
                Layout::Array => self.element(record),
                Layout::Lines => {
                    if !self.line(record) {
                        return self.error.take().map_or(Ok(None), Err);
                    }
                    // A blank line has a number and no record.
                    let is_blank = record.iter().all(u8::is_ascii_whitespace);
                    self.next += u64::from(is_blank);
                    !is_blank
                }
            };
            if is_record {
                self.next += 1;
                return Ok(Some(self.next - 1));
            }
        }
    }

    /// Tells the layout by the first bytes. Returns whether there are any.
    fn recognise(&mut self) -> io::Result<bool> {
        self.skip_blanks()?;
        let start = self.input.fill_buf()?;
        let Some(first) = start.first() else { return Ok(false) };
        if *first == b'[' {
            self.input.consume(1);
            (self.layout, self.is_wrapped) = (Layout::Array, false);
            return Ok(true);
        }
        if let Some(length) = wrapper(&start[..start.len().min(START_BYTES)]) {
            self.input.consume(length);
            (self.layout, self.is_wrapped) = (Layout::Array, true);
            return Ok(true);
        }
        self.layout = Layout::Lines;
        Ok(true)
    }

    fn skip_blanks(&mut self) -> io::Result<()> {
        loop {
            let bytes = self.input.fill_buf()?;
            let blanks = bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            if blanks == 0 {
                return Ok(());
            }
            self.input.consume(blanks);
        }
    }

    /// Reads one line. Returns whether there was one.
    fn line(&mut self, record: &mut Vec<u8>) -> bool {
        let mut is_any = false;
        loop {
            let bytes = match self.input.fill_buf() {
                Ok([]) => return is_any,
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.error = Some(error);
                    return is_any;
                }
            };
            is_any = true;
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let length = end.unwrap_or(bytes.len());
            let room = RECORD_BYTES_MAX.saturating_sub(record.len());
            record.extend_from_slice(&bytes[..length.min(room)]);
            self.input.consume(length + usize::from(end.is_some()));
            if end.is_some() {
                record.pop_if(|last| *last == b'\r');
                return true;
            }
        }
    }

    /// Reads one element of an array. Returns whether there was one; the array's end, or the
    /// stream's, changes the layout.
    fn element(&mut self, record: &mut Vec<u8>) -> bool {
        let (mut depth, mut is_in_text, mut is_escaped) = (0_usize, false, false);
        loop {
            let bytes = match self.input.fill_buf() {
                Ok([]) => {
                    self.layout = Layout::Unknown;
                    return !record.is_empty();
                }
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.error = Some(error);
                    return !record.is_empty();
                }
            };
            let mut end = None;
            for (at, byte) in bytes.iter().enumerate() {
                match byte {
                    _ if is_escaped => is_escaped = false,
                    b'\\' if is_in_text => is_escaped = true,
                    b'"' => is_in_text = !is_in_text,
                    _ if is_in_text => {}
                    b'[' | b'{' => depth += 1,
                    b',' | b']' if depth == 0 => {
                        end = Some(at);
                        break;
                    }
                    b']' | b'}' => depth = depth.saturating_sub(1),
                    _ => {}
                }
            }
            let length = end.unwrap_or(bytes.len());
            let is_last = end.is_some_and(|at| bytes[at] == b']');
            let mut element = &bytes[..length];
            if record.is_empty() {
                element = element.trim_ascii_start();
            }
            let room = RECORD_BYTES_MAX.saturating_sub(record.len());
            record.extend_from_slice(&element[..element.len().min(room)]);
            self.input.consume(length + usize::from(end.is_some()));
            if is_last {
                self.layout = if self.is_wrapped { Layout::Rest } else { Layout::Unknown };
            }
            if end.is_some() {
                record.truncate(record.trim_ascii_end().len());
                return !record.is_empty();
            }
        }
    }

    /// Skips what follows the array in CloudTrail's object.
    fn skip_rest(&mut self) -> io::Result<()> {
        let (mut depth, mut is_in_text, mut is_escaped) = (1_usize, false, false);
        loop {
            let bytes = self.input.fill_buf()?;
            let (length, mut end) = (bytes.len(), None);
            for (at, byte) in bytes.iter().enumerate() {
                match byte {
                    _ if is_escaped => is_escaped = false,
                    b'\\' if is_in_text => is_escaped = true,
                    b'"' => is_in_text = !is_in_text,
                    _ if is_in_text => {}
                    b'[' | b'{' => depth += 1,
                    b']' | b'}' => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    end = Some(at + 1);
                    break;
                }
            }
            self.input.consume(end.unwrap_or(length));
            if end.is_some() || length == 0 {
                self.layout = Layout::Unknown;
                return Ok(());
            }
        }
    }
}

/// The length of `{"Records":[` with any blanks, if `start` begins so.
fn wrapper(start: &[u8]) -> Option<usize> {
    let mut rest = start;
    for part in [&b"{"[..], b"\"Records\"", b":", b"["] {
        rest = rest.trim_ascii_start().strip_prefix(part)?;
    }
    Some(start.len() - rest.len())
}
