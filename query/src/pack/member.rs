//! [`Member`]: one file of a pack while it is written.
//!
//! Invariant: what was written is on disk, not in memory, whatever its size: a zip wants the size and
//! the checksum of a member before the member.

use std::fs::File;
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use sha2::{Digest as _, Sha256};

/// Bytes that are gathered before they go to the disk.
const BUFFER_BYTES: usize = 1 << 18;
/// Bytes that are compressed at once. Packs of the same release have the same.
const BLOCK_BYTES: usize = 1 << 16;

/// How a member is kept in the zip. The numbers are the format's.
///
/// Source: PKWARE, APPNOTE 6.3.10, section 4.4.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// As it is: what is compressed already.
    Stored = 0,
    Deflated = 8,
}

/// Compresses content so that the same has one form, whatever pieces it comes in: the compressor, whose output
/// depends on them, gets blocks of one size.
pub(crate) struct Deflating<W: Write> {
    encoder: DeflateEncoder<W>,
    block: Vec<u8>,
}

impl<W: Write> Deflating<W> {
    pub(crate) fn new(out: W) -> Self {
        // Rows are many and alike: chosen for the time that a million of them takes.
        let encoder = DeflateEncoder::new(out, Compression::fast());
        Self { encoder, block: Vec::with_capacity(BLOCK_BYTES) }
    }

    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.encoder.write_all(&self.block)?;
        self.encoder.finish()
    }
}

impl<W: Write> Write for Deflating<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.block.len() == BLOCK_BYTES {
            self.encoder.write_all(&self.block)?;
            self.block.clear();
        }
        let taken = bytes.len().min(BLOCK_BYTES - self.block.len());
        self.block.extend(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where the bytes go.
enum Spill {
    Stored(BufWriter<File>),
    Deflated(Box<Deflating<BufWriter<File>>>),
}

/// A file of a pack while it is written.
pub(crate) struct Member {
    name: String,
    spill: Spill,
    crc: Crc,
    hash: Sha256,
    bytes: u64,
}

/// A file of a pack that is written to its end.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) name: String,
    pub(crate) method: Method,
    pub(crate) crc32: u32,
    pub(crate) bytes: u64,
    pub(crate) packed_bytes: u64,
    pub(crate) sha256: [u8; 32],
    /// At its start.
    pub(crate) spill: File,
}

impl Member {
    pub(crate) fn new(name: &str, method: Method) -> io::Result<Self> {
        let file = BufWriter::with_capacity(BUFFER_BYTES, tempfile::tempfile()?);
        let spill = match method {
            Method::Stored => Spill::Stored(file),
            Method::Deflated => Spill::Deflated(Box::new(Deflating::new(file))),
        };
        Ok(Self { name: name.to_owned(), spill, crc: Crc::new(), hash: Sha256::new(), bytes: 0 })
    }

    /// A member whose content is at hand.
    pub(crate) fn of(name: &str, content: &[u8]) -> io::Result<Finished> {
        let mut member = Self::new(name, Method::Deflated)?;
        member.write_all(content)?;
        member.finish()
    }

    pub(crate) fn finish(self) -> io::Result<Finished> {
        let (method, file) = match self.spill {
            Spill::Stored(file) => (Method::Stored, file),
            Spill::Deflated(encoder) => (Method::Deflated, encoder.finish()?),
        };
        let mut spill = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        let packed_bytes = spill.stream_position()?;
        spill.seek(SeekFrom::Start(0))?;
        Ok(Finished {
            name: self.name,
            method,
            crc32: self.crc.sum(),
            bytes: self.bytes,
            packed_bytes,
            sha256: self.hash.finalize().into(),
            spill,
        })
    }
}

impl Write for Member {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match &mut self.spill {
            Spill::Stored(file) => file.write(bytes)?,
            Spill::Deflated(encoder) => encoder.write(bytes)?,
        };
        self.crc.update(&bytes[..written]);
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A member that a writer of rows holds while somebody else waits for its end.
#[derive(Clone)]
pub(crate) struct Lent(Arc<Mutex<Option<Member>>>);

impl Lent {
    pub(crate) fn new(member: Member) -> Self {
        Self(Arc::new(Mutex::new(Some(member))))
    }

    /// The member, once its writer is done.
    pub(crate) fn take(&self) -> Member {
        let mut member = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        member.take().expect("a member is taken once")
    }
}

impl Write for Lent {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut member = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        member.as_mut().expect("nothing is written after the end").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
