//! [`Replay`]: a file of records as a source.
//!
//! Invariant: the file is one partition, 0, whose offsets are the numbers of its lines (or of the
//! array's elements), so that reading the same file again gives the same places. Memory is bounded by
//! the batch and one record, whatever the file's size. What cannot be read further is told after
//! everything before it was handed over.

mod split;

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::bufread::MultiGzDecoder;
use schemas::{KafkaPartition, Offset, Offsets, Part, Topic};

use self::split::Splitter;
use crate::{Poll, RawBatch, RawRecord, Source, SourceError};

const BUFFER_BYTES: usize = 256 * 1024;
/// Source: RFC 1952, section 2.3.1.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// A micro-batch is cut here too, so that memory stays bounded whatever the records' size.
const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Reads JSON Lines, a JSON array or CloudTrail's `{"Records":[...]}`, plain or gzip.
pub struct Replay {
    topic: Topic,
    path: PathBuf,
    splitter: Splitter<Box<dyn BufRead + Send>>,
    /// The place after which nothing can be read, kept until all before it was handed over.
    broken: Option<io::Error>,
    /// Where reading continued when the last batch ended.
    from: Offset,
    is_sought: bool,
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay")
            .field("topic", &self.topic)
            .field("path", &self.path)
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

impl Replay {
    /// Opens a file. Its records stand under `topic`.
    ///
    /// # Errors
    ///
    /// [`SourceError::Io`] if the file cannot be opened.
    pub fn open(path: &Path, topic: Topic) -> Result<Self, SourceError> {
        Ok(Self {
            topic,
            path: path.to_path_buf(),
            splitter: splitter(path)?,
            broken: None,
            from: Offset::START,
            is_sought: false,
        })
    }

    const PARTITION: KafkaPartition = KafkaPartition(0);

    /// Fills `batch` up to `records_max` records or [`BATCH_BYTES_MAX`].
    fn fill(&mut self, batch: &mut RawBatch, records_max: usize) {
        let mut bytes = Vec::new();
        while batch.len() < records_max && batch.bytes() < BATCH_BYTES_MAX {
            let number = match self.splitter.next(&mut bytes) {
                Ok(Some(number)) => number,
                Ok(None) => return,
                Err(error) => {
                    self.broken = Some(error);
                    return;
                }
            };
            let offset = Offset(i64::try_from(number).expect("a file has fewer than 2^63 records"));
            if offset < self.from {
                continue;
            }
            let record = RawRecord {
                topic: &self.topic,
                partition: Self::PARTITION,
                offset,
                part: Part::FIRST,
                record_time: None,
                payload: Some(&bytes),
            };
            batch.push_from(self.from, &record);
            self.from = offset.next();
        }
    }
}

fn splitter(path: &Path) -> Result<Splitter<Box<dyn BufRead + Send>>, SourceError> {
    open_plain_or_gzip(path).map(Splitter::new).map_err(|cause| unreadable(path, 0, cause))
}

fn unreadable(path: &Path, records: u64, cause: io::Error) -> SourceError {
    SourceError::Io { path: path.to_path_buf(), records, cause }
}

/// Opens a plain file or, by its first two bytes, a gzip file of one or more members.
///
/// # Errors
///
/// That of the system, if the file cannot be opened or read.
pub fn open_plain_or_gzip(path: &Path) -> io::Result<Box<dyn BufRead + Send>> {
    let mut file = BufReader::with_capacity(BUFFER_BYTES, File::open(path)?);
    let is_gzip = file.fill_buf()?.starts_with(&GZIP_MAGIC);
    if is_gzip {
        return Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(file))));
    }
    Ok(Box::new(file))
}

impl Source for Replay {
    /// Reads the file in place: a local disk is quick, and nothing else runs beside a replay.
    async fn poll(&mut self, records_max: usize, _wait_max: Duration) -> Result<Poll, SourceError> {
        if !self.is_sought {
            return Ok(Poll::Idle);
        }
        let mut batch = RawBatch::default();
        if self.broken.is_none() {
            self.fill(&mut batch, records_max);
        }
        if !batch.is_empty() {
            return Ok(Poll::Records(batch));
        }
        match self.broken.take() {
            Some(cause) => {
                Err(unreadable(&self.path, u64::try_from(self.from.0).unwrap_or(0), cause))
            }
            None => Ok(Poll::End),
        }
    }

    fn seek(&mut self, offsets: &Offsets) -> Result<(), SourceError> {
        let wanted = offsets.next_of(&self.topic, Self::PARTITION).unwrap_or(Offset::START);
        if wanted < self.from {
            self.splitter = splitter(&self.path)?;
            self.broken = None;
        }
        self.from = wanted;
        self.is_sought = true;
        Ok(())
    }

    fn committed(&mut self, _offsets: &Offsets) {}
}

/// BLAKE3 of a file's bytes, in hexadecimal digits: a name for its content.
///
/// # Errors
///
/// [`SourceError::Io`] if the file cannot be read.
pub fn content_hash(path: &Path) -> Result<String, SourceError> {
    let hash = || -> io::Result<String> {
        let (mut file, mut hasher) = (File::open(path)?, blake3::Hasher::new());
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(hasher.finalize().to_hex().to_string()),
                bytes => hasher.update(&buffer[..bytes]),
            };
        }
    };
    hash().map_err(|cause| unreadable(path, 0, cause))
}

#[cfg(test)]
mod tests;
