//! [`Replay`]: a file of records, or a list of them, as a source.
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
use schemas::{KafkaPartition, Offset, Offsets, Topic};

use self::split::Splitter;
use crate::{Poll, RawBatch, RawRecord, Source, SourceError};

const BUFFER_BYTES: usize = 256 * 1024;
/// Source: RFC 1952, section 2.3.1.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// A micro-batch is cut here too, so that memory stays bounded whatever the records' size.
const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Reads JSON Lines, a JSON array or CloudTrail's `{"Records":[...]}`, plain or gzip.
#[derive(Debug)]
pub struct Replay {
    topic: Topic,
    origin: Origin,
    reader: Reader,
    /// The place after which nothing can be read, kept until all before it was handed over.
    broken: Option<io::Error>,
    /// Where reading continued when the last batch ended.
    from: Offset,
    is_sought: bool,
}

#[derive(Debug)]
enum Origin {
    File(PathBuf),
    Memory(Vec<Vec<u8>>),
}

/// Where the next record comes from.
enum Reader {
    File(Box<Splitter<Box<dyn BufRead + Send>>>),
    Memory { next: usize },
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(splitter) => write!(f, "File(record {})", splitter.next_number()),
            Self::Memory { next } => write!(f, "Memory(record {next})"),
        }
    }
}

impl Replay {
    /// Opens a file. Its records stand under `topic`.
    ///
    /// # Errors
    ///
    /// [`SourceError::Io`] if the file cannot be opened.
    pub fn open(path: &Path, topic: Topic) -> Result<Self, SourceError> {
        let origin = Origin::File(path.to_path_buf());
        Ok(Self {
            topic,
            reader: origin.reader()?,
            origin,
            broken: None,
            from: Offset::START,
            is_sought: false,
        })
    }

    /// A source of these records, in this order.
    pub fn from_records(topic: Topic, records: Vec<Vec<u8>>) -> Self {
        Self {
            topic,
            origin: Origin::Memory(records),
            reader: Reader::Memory { next: 0 },
            broken: None,
            from: Offset::START,
            is_sought: false,
        }
    }

    const PARTITION: KafkaPartition = KafkaPartition(0);

    /// Fills `batch` up to `records_max` records or [`BATCH_BYTES_MAX`].
    fn fill(&mut self, batch: &mut RawBatch, records_max: usize) {
        let mut bytes = Vec::new();
        while batch.len() < records_max && batch.bytes() < BATCH_BYTES_MAX {
            let (number, payload) = match (&mut self.reader, &self.origin) {
                (Reader::Memory { next }, Origin::Memory(records)) => {
                    let Some(record) = records.get(*next) else { return };
                    *next += 1;
                    (*next as u64 - 1, record.as_slice())
                }
                (Reader::File(splitter), _) => match splitter.next(&mut bytes) {
                    Ok(Some(number)) => (number, bytes.as_slice()),
                    Ok(None) => return,
                    Err(error) => {
                        self.broken = Some(error);
                        return;
                    }
                },
                (Reader::Memory { .. }, Origin::File(_)) => {
                    unreachable!("files have a file's reader")
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
                record_time: None,
                payload: Some(payload),
            };
            batch.push_from(self.from, &record);
            self.from = offset.next();
        }
    }
}

impl Origin {
    fn reader(&self) -> Result<Reader, SourceError> {
        let path = match self {
            Self::Memory(_) => return Ok(Reader::Memory { next: 0 }),
            Self::File(path) => path,
        };
        let reader = open(path).map_err(|cause| self.error(0, cause))?;
        Ok(Reader::File(Box::new(Splitter::new(reader))))
    }

    fn error(&self, records: u64, cause: io::Error) -> SourceError {
        let path = match self {
            Self::File(path) => path.clone(),
            Self::Memory(_) => PathBuf::new(),
        };
        SourceError::Io { path, records, cause }
    }
}

/// Opens a plain file or, by its first two bytes, a gzip file of one or more members.
fn open(path: &Path) -> io::Result<Box<dyn BufRead + Send>> {
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
            Some(cause) => Err(self.origin.error(u64::try_from(self.from.0).unwrap_or(0), cause)),
            None => Ok(Poll::End),
        }
    }

    fn seek(&mut self, offsets: &Offsets) -> Result<(), SourceError> {
        let wanted = offsets.next_of(&self.topic, Self::PARTITION).unwrap_or(Offset::START);
        if wanted < self.from {
            self.reader = self.origin.reader()?;
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
    hash().map_err(|cause| SourceError::Io { path: path.to_path_buf(), records: 0, cause })
}

#[cfg(test)]
mod tests;
