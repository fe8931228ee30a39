//! Whether a file of records ends too early.
//!
//! A file of lines does if its last line has no end and breaks off in the middle of a value; an array
//! of records, if its bracket is never closed. A compressed file tells by itself, when it is read.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use serde::de::IgnoredAny;

use crate::exit::{Exit, Failure};

/// How far the start is looked at to tell an array from lines.
const START_BYTES: u64 = 256;
/// How far back the last line may begin. Longer ones are rejected for their length anyway.
const LAST_LINE_BYTES_MAX: u64 = 4 << 20;
/// Source: RFC 1952, section 2.3.1.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Whether the file ends in the middle of a record.
///
/// # Errors
///
/// [`Exit::Data`] if it cannot be read.
pub(super) fn is_cut_short(path: &Path) -> Result<bool, Failure> {
    let looked = || -> io::Result<bool> {
        let mut file = File::open(path)?;
        let mut start = Vec::new();
        Read::by_ref(&mut file).take(START_BYTES).read_to_end(&mut start)?;
        if start.starts_with(&GZIP_MAGIC) {
            return Ok(false);
        }
        if is_array(&start) { array_is_cut(file) } else { last_line_is_cut(file) }
    };
    looked().map_err(|error| {
        Failure::new(Exit::Data, error).while_doing(format!("read {}", path.display()))
    })
}

/// Whether the file is one JSON array, or CloudTrail's `{"Records": [...]}`.
fn is_array(start: &[u8]) -> bool {
    let start = start.trim_ascii_start();
    if start.first() == Some(&b'[') {
        return true;
    }
    let mut rest = start;
    for part in [&b"{"[..], b"\"Records\"", b":", b"["] {
        match rest.trim_ascii_start().strip_prefix(part) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    true
}

fn array_is_cut(mut file: File) -> io::Result<bool> {
    file.seek(SeekFrom::Start(0))?;
    // Several arrays may follow each other.
    let values = serde_json::Deserializer::from_reader(BufReader::new(file));
    let broken = values.into_iter::<IgnoredAny>().find_map(Result::err);
    Ok(broken.is_some_and(|error| error.is_eof()))
}

fn last_line_is_cut(mut file: File) -> io::Result<bool> {
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(LAST_LINE_BYTES_MAX)))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    if end.last().is_none_or(|last| *last == b'\n') {
        return Ok(false);
    }
    let line = end.rsplit(|byte| *byte == b'\n').next().unwrap_or(&end);
    let read = serde_json::from_slice::<IgnoredAny>(line);
    Ok(read.is_err_and(|error| error.is_eof()) && !line.trim_ascii().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_cut_short_where_a_value_breaks_off() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("file");
        for (text, is_cut) in [
            ("", false),
            ("{\"a\": 1}\n{\"a\": 2}\n", false),
            ("{\"a\": 1}\n{\"a\": 2}", false),
            ("{\"a\": 1}\n{\"a\": ", true),
            ("{\"a\": 1}\n{\"a\": {\"b\": 2}", true),
            // A whole line that is broken is a reject, and no end of the file.
            ("{\"a\": 1}\n{\"a\": \n", false),
            ("{\"a\": 1}\nnot json", false),
            ("[{\"a\": 1}, {\"a\": 2}]", false),
            ("[{\"a\": 1}]\n[{\"a\": 2}]\n", false),
            ("[{\"a\": 1}, {\"a\": 2}", true),
            ("[{\"a\": 1}, {\"a\"", true),
            ("{\"Records\": [{\"a\": 1}]}", false),
            ("{\"Records\": [{\"a\": 1}", true),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(is_cut_short(&path).unwrap(), is_cut, "{text}");
        }
    }
}
