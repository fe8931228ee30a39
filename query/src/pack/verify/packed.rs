//! [`is_as_packed`]: whether a member is compressed as this release compresses it.
//!
//! Invariant: a compressed text has many spellings, and about one bit in 2,000 turns one into another; only
//! that of the writer is accepted, so no bit of a pack can be changed without being found. It is made again
//! from the content, which is possible for packs of this release alone.

use std::io::{self, BufReader, Read, Write};

use super::super::member::Deflating;
use super::super::zip::{Archive, Entry};

/// Compresses the content of a member again and compares.
pub(super) fn is_as_packed(archive: &Archive, entry: &Entry) -> io::Result<bool> {
    let found = BufReader::new(archive.packed(entry));
    let mut again = Deflating::new(Compared { found, is_same: true });
    io::copy(&mut archive.read(entry), &mut again)?;
    let Compared { mut found, is_same } = again.finish()?;
    Ok(is_same && found.read(&mut [0])? == 0)
}

/// Takes bytes, and compares them with those that were found.
struct Compared<R> {
    found: R,
    is_same: bool,
}

impl<R: Read> Write for Compared<R> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut found = Vec::with_capacity(bytes.len());
        (&mut self.found).take(bytes.len() as u64).read_to_end(&mut found)?;
        self.is_same &= found == bytes;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compressed_does_not_show_how_it_was_handed_over() {
        let line =
            |n: u32| format!("{n},agent-{},order.read,{}\n", n % 17, n.wrapping_mul(2_654_435_761));
        let content: String = (0..60_000).map(line).collect();
        let packed = |step: usize| {
            let mut packing = Deflating::new(Vec::new());
            content.as_bytes().chunks(step).for_each(|part| packing.write_all(part).unwrap());
            packing.finish().unwrap()
        };
        let whole = packed(usize::MAX);

        for step in [1, 7, 1_000, 8_192, 32_768, 65_537, 1 << 20] {
            assert!(packed(step) == whole, "in steps of {step} bytes");
        }
    }
}
