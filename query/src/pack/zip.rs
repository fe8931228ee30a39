//! [`assemble`] and [`Archive`]: a zip in one canonical form.
//!
//! Invariant: every byte outside of the members' content follows from their names, sizes and
//! checksums; [`Archive::open`] makes those bytes again and refuses a file that has others. So no byte of
//! a pack can be changed without being found, not even in a header that nobody reads.
//!
//! Source: PKWARE, APPNOTE 6.3.10: local header 4.3.7, central directory 4.3.12, its end 4.3.14 to
//! 4.3.16, ZIP64 sizes 4.5.3. All names are UTF-8 (flag bit 11) and all times 1980-01-01.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use flate2::read::DeflateDecoder;

use super::member::{Finished, Method};

/// What does not fit is written as this, and in a ZIP64 field.
const OLD_MAX: u64 = 0xFFFF_FFFF;
const UTF8: u16 = 1 << 11;
/// 1980-01-01, the first day that the format knows.
const DATE: u16 = 0x0021;
const VERSION_OLD: u16 = 20;
const VERSION_64: u16 = 45;
const EXTRA_64: u16 = 1;

const END_BYTES: u64 = 22;
const END_64_BYTES: u64 = 56;
const LOCATOR_BYTES: u64 = 20;

/// Bytes of a central directory that are read: a pack has a few dozen files.
const DIRECTORY_BYTES_MAX: u64 = 1 << 20;

/// A member as the headers name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) method: Method,
    pub(crate) crc32: u32,
    pub(crate) bytes: u64,
    pub(crate) packed_bytes: u64,
    /// Where its local header begins.
    pub(crate) offset: u64,
}

/// From which value on a number is written as ZIP64. Anything but the format's own is for tests.
#[derive(Clone, Copy, Debug)]
struct Form {
    old_max: u64,
}

const STANDARD: Form = Form { old_max: OLD_MAX };

/// Writes the members one after the other, in this order.
///
/// # Errors
///
/// Any [`io::Error`] of the members or of `out`.
pub(crate) fn assemble(members: Vec<Finished>, out: &mut impl Write) -> io::Result<()> {
    STANDARD.assemble(members, out)
}

impl Form {
    fn assemble(self, members: Vec<Finished>, out: &mut impl Write) -> io::Result<()> {
        let (mut entries, mut offset) = (Vec::new(), 0);
        for mut member in members {
            let entry = Entry {
                name: member.name,
                method: member.method,
                crc32: member.crc32,
                bytes: member.bytes,
                packed_bytes: member.packed_bytes,
                offset,
            };
            let header = self.local_header(&entry);
            out.write_all(&header)?;
            let copied = io::copy(&mut member.spill, out)?;
            if copied != entry.packed_bytes {
                return Err(io::Error::other(format!(
                    "{}: its temporary file changed",
                    entry.name
                )));
            }
            offset += header.len() as u64 + copied;
            entries.push(entry);
        }
        out.write_all(&self.directory(&entries, offset))?;
        out.flush()
    }

    fn is_large(self, entry: &Entry) -> bool {
        self.old_max <= entry.bytes || self.old_max <= entry.packed_bytes
    }

    fn local_header(self, entry: &Entry) -> Vec<u8> {
        let is_large = self.is_large(entry);
        let mut header = Vec::new();
        put_32(&mut header, 0x0403_4B50);
        put_what_it_is(&mut header, entry, is_large);
        put_16(&mut header, if is_large { 20 } else { 0 });
        header.extend(entry.name.as_bytes());
        if is_large {
            put_16(&mut header, EXTRA_64);
            put_16(&mut header, 16);
            put_64(&mut header, entry.bytes);
            put_64(&mut header, entry.packed_bytes);
        }
        header
    }

    fn central_header(self, entry: &Entry) -> Vec<u8> {
        let is_large = self.is_large(entry) || self.old_max <= entry.offset;
        let mut header = Vec::new();
        put_32(&mut header, 0x0201_4B50);
        put_16(&mut header, if is_large { VERSION_64 } else { VERSION_OLD });
        put_what_it_is(&mut header, entry, is_large);
        put_16(&mut header, if is_large { 28 } else { 0 });
        // Comment, disk, internal attributes: none.
        header.extend([0; 6]);
        // External attributes: none.
        put_32(&mut header, 0);
        put_32(&mut header, if is_large { old(OLD_MAX) } else { old(entry.offset) });
        header.extend(entry.name.as_bytes());
        if is_large {
            put_16(&mut header, EXTRA_64);
            put_16(&mut header, 24);
            put_64(&mut header, entry.bytes);
            put_64(&mut header, entry.packed_bytes);
            put_64(&mut header, entry.offset);
        }
        header
    }

    /// The central directory at `start`, with its end.
    fn directory(self, entries: &[Entry], start: u64) -> Vec<u8> {
        let mut directory: Vec<u8> =
            entries.iter().flat_map(|entry| self.central_header(entry)).collect();
        let bytes = directory.len() as u64;
        let count = entries.len() as u64;
        let is_large = self.old_max <= start || self.old_max <= bytes || 0xFFFF <= count;
        if is_large {
            put_32(&mut directory, 0x0606_4B50);
            put_64(&mut directory, END_64_BYTES - 12);
            put_16(&mut directory, VERSION_64);
            put_16(&mut directory, VERSION_64);
            put_64(&mut directory, 0);
            put_64(&mut directory, count);
            put_64(&mut directory, count);
            put_64(&mut directory, bytes);
            put_64(&mut directory, start);
            put_32(&mut directory, 0x0706_4B50);
            put_32(&mut directory, 0);
            put_64(&mut directory, start + bytes);
            put_32(&mut directory, 1);
        }
        let count = if is_large { 0xFFFF } else { old_16(count) };
        put_32(&mut directory, 0x0605_4B50);
        put_32(&mut directory, 0);
        put_16(&mut directory, count);
        put_16(&mut directory, count);
        put_32(&mut directory, if is_large { old(OLD_MAX) } else { old(bytes) });
        put_32(&mut directory, if is_large { old(OLD_MAX) } else { old(start) });
        put_16(&mut directory, 0);
        directory
    }
}

/// The part that local and central headers share: version, flags, method, time, checksum, sizes,
/// length of the name.
fn put_what_it_is(header: &mut Vec<u8>, entry: &Entry, is_large: bool) {
    put_16(header, if is_large { VERSION_64 } else { VERSION_OLD });
    put_16(header, UTF8);
    put_16(header, entry.method as u16);
    put_16(header, 0);
    put_16(header, DATE);
    put_32(header, entry.crc32);
    put_32(header, if is_large { old(OLD_MAX) } else { old(entry.packed_bytes) });
    put_32(header, if is_large { old(OLD_MAX) } else { old(entry.bytes) });
    put_16(header, old_16(entry.name.len() as u64));
}

fn old(number: u64) -> u32 {
    u32::try_from(number).expect("larger numbers are written as ZIP64")
}

fn old_16(number: u64) -> u16 {
    u16::try_from(number).expect("a pack has few files with short names")
}

fn put_16(bytes: &mut Vec<u8>, number: u16) {
    bytes.extend(number.to_le_bytes());
}

fn put_32(bytes: &mut Vec<u8>, number: u32) {
    bytes.extend(number.to_le_bytes());
}

fn put_64(bytes: &mut Vec<u8>, number: u64) {
    bytes.extend(number.to_le_bytes());
}

/// A zip of ours, opened to be read.
#[derive(Debug)]
pub(crate) struct Archive {
    file: Arc<File>,
    pub(crate) entries: Vec<Entry>,
}

impl Archive {
    /// Reads the directory, and compares all headers with those that [`assemble`] writes.
    ///
    /// # Errors
    ///
    /// What was wanted and what was found, for people.
    pub(crate) fn open(file: File) -> Result<Self, String> {
        STANDARD.open(file)
    }

    pub(crate) fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// The content of a member; an error where it does not end at the size that its header names.
    pub(crate) fn read(&self, entry: &Entry) -> impl Read + Send + use<> {
        let section = self.packed(entry);
        let content: Box<dyn Read + Send> = match entry.method {
            Method::Stored => Box::new(section),
            Method::Deflated => Box::new(DeflateDecoder::new(section)),
        };
        Bounded { content, left: entry.bytes }
    }

    /// A member as it stands in the zip.
    pub(crate) fn packed(&self, entry: &Entry) -> Section {
        let at = entry.offset + STANDARD.local_header(entry).len() as u64;
        Section { file: Arc::clone(&self.file), at, end: at + entry.packed_bytes }
    }
}

impl Form {
    fn open(self, file: File) -> Result<Archive, String> {
        let unreadable = |error: io::Error| format!("it cannot be read: {error}");
        let length = file.metadata().map_err(unreadable)?.len();
        let no_zip = || "wanted a zip, found no end of a central directory".to_owned();
        let end_at = length.checked_sub(END_BYTES).ok_or_else(no_zip)?;
        let end = bytes_at(&file, end_at, END_BYTES).map_err(unreadable)?;
        if number(&end, 0, 4) != 0x0605_4B50 {
            return Err(no_zip());
        }
        let (mut start, mut tail) = (number(&end, 16, 4), END_BYTES);
        if start == OLD_MAX {
            tail += END_64_BYTES + LOCATOR_BYTES;
            let at = length.checked_sub(tail).ok_or_else(no_zip)?;
            let large = bytes_at(&file, at, END_64_BYTES).map_err(unreadable)?;
            start = number(&large, 48, 8);
        }
        let bytes = (length - tail).checked_sub(start).ok_or_else(no_zip)?;
        if DIRECTORY_BYTES_MAX < bytes {
            return Err(format!("wanted a directory of {DIRECTORY_BYTES_MAX} bytes at most"));
        }
        let directory = bytes_at(&file, start, bytes + tail).map_err(unreadable)?;
        let entries = entries_of(&directory[..usize::try_from(bytes).expect("at most a MiB")])
            .ok_or_else(|| "its central directory is not one of ours".to_owned())?;
        let mut at = 0;
        for entry in &entries {
            let header = self.local_header(entry);
            let found = bytes_at(&file, at, header.len() as u64).map_err(unreadable)?;
            if entry.offset != at || found != header {
                return Err(format!("the header of {} is not as it was written", entry.name));
            }
            at = (at + header.len() as u64).saturating_add(entry.packed_bytes);
        }
        if at != start || directory != self.directory(&entries, start) {
            return Err("its central directory is not as it was written".to_owned());
        }
        Ok(Archive { file: Arc::new(file), entries })
    }
}

/// The entries of a central directory; `None` if it is none of ours.
fn entries_of(mut directory: &[u8]) -> Option<Vec<Entry>> {
    let mut entries: Vec<Entry> = Vec::new();
    while !directory.is_empty() {
        let fixed = directory.get(..46)?;
        if number(fixed, 0, 4) != 0x0201_4B50 {
            return None;
        }
        let length = |at| usize::try_from(number(fixed, at, 2)).ok();
        let (name_length, extra_length) = (length(28)?, length(30)?);
        let name = directory.get(46..46 + name_length)?;
        let extra = directory.get(46 + name_length..46 + name_length + extra_length)?;
        let name = std::str::from_utf8(name).ok()?.to_owned();
        let (bytes, packed_bytes, offset) = if extra.len() == 28 {
            (number(extra, 4, 8), number(extra, 12, 8), number(extra, 20, 8))
        } else {
            (number(fixed, 24, 4), number(fixed, 20, 4), number(fixed, 42, 4))
        };
        let method = match number(fixed, 10, 2) {
            0 => Method::Stored,
            8 => Method::Deflated,
            _ => return None,
        };
        let is_known = entries.iter().any(|entry| entry.name == name);
        if is_known || !is_plain(&name) {
            return None;
        }
        let crc32 = old(number(fixed, 16, 4));
        entries.push(Entry { name, method, crc32, bytes, packed_bytes, offset });
        directory = &directory[46 + name_length + extra_length..];
    }
    Some(entries)
}

/// A name that leads out of no folder and looks like no other.
fn is_plain(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    name.chars().all(is_plain)
        && name.split('/').all(|part| !part.is_empty() && !part.trim_matches('.').is_empty())
}

/// A little-endian number of so many bytes.
fn number(bytes: &[u8], at: usize, length: usize) -> u64 {
    bytes[at..at + length].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn bytes_at(file: &File, at: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, at)?;
    Ok(bytes)
}

/// A part of a file. Several can be read at once.
pub(crate) struct Section {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.file.read_at(&mut buffer[..left], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// Content that must have the size which was announced: one that has more could have any.
struct Bounded<R> {
    content: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(buffer)?;
        let wrong = |what| Err(io::Error::new(io::ErrorKind::InvalidData, what));
        match self.left.checked_sub(read as u64) {
            None => wrong("it is longer than its header says"),
            Some(left) if read == 0 && 0 < left && !buffer.is_empty() => {
                wrong("it is shorter than its header says")
            }
            Some(left) => {
                self.left = left;
                Ok(read)
            }
        }
    }
}

#[cfg(test)]
mod tests;
