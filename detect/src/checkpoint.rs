//! Checkpoints: the detector's state as bytes, tagged with the offsets it stands for.
//!
//! ```text
//! "surety.detector\n" | version u32 | section (offsets) | section (head)
//! | section (copies) | section (deltas) | 64 sections (shards) | "end\n"
//! section: bytes unpacked u64 | bytes packed u64 | crc32 of these two and of what follows u32 | zstd
//! ```
//!
//! Invariant: what is read is what was written, or an error: a flipped bit, a missing end and bytes
//! too many are all found before any of the state is used. Nothing in a file can make reading panic
//! or take memory beyond its own size times [`RATIO_MAX`].
//!
//! Numbers are little-endian. Another version is not read: the caller then folds the events of the
//! lake again, which gives the same state (D1).

use std::io::{self, Read, Write};

use rayon::prelude::*;
use schemas::{Offsets, SHARDS};
use zstd::bulk::{Compressor, Decompressor};

use crate::config::Config;
use crate::copies::Copies;
use crate::detector::{Detector, Head, LANES, State};
use crate::pack::{Pack, Unpacker};
use crate::shard::{Deltas, Shard, ShardImage};

const MAGIC: &[u8; 16] = b"surety.detector\n";
const END: &[u8; 4] = b"end\n";
const VERSION: u32 = 11;
/// Level 1 packs sparse records as well as level 3 and at twice the pace.
const ZSTD_LEVEL: i32 = 1;
/// No section is packed tighter than this: a record of zeros takes 1/200 of its size.
const RATIO_MAX: u64 = 20_000;

/// Why a checkpoint was not read. Take an older one, or fold the lake's events anew.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The storage failed: the checkpoint itself may be sound.
    #[error("checkpoint could not be read")]
    Io(#[source] io::Error),
    #[error("checkpoint has version {found}, this build reads {VERSION}")]
    Version { found: u32 },
    /// It was cut off, changed, or is no checkpoint.
    #[error("checkpoint is damaged: {what}")]
    Damaged { what: &'static str },
}

/// The detector's state as it was when [`Detector::snapshot`] was called.
///
/// While it is held, each agent that changes is kept once more: write it or drop it.
#[derive(Debug)]
pub struct Snapshot {
    head: Head,
    /// Packed: they change with every event.
    copies: Vec<u8>,
    open: Vec<Deltas>,
    shards: Vec<ShardImage>,
}

impl Snapshot {
    /// Writes the state, tagged with the `offsets` up to which records were folded.
    ///
    /// Shard by shard in the calling thread: the threads that fold stay free, and the packed copy is a
    /// 64th of the state.
    ///
    /// # Errors
    ///
    /// What writing to `out` fails with.
    pub fn write(self, offsets: &Offsets, mut out: impl Write) -> io::Result<()> {
        out.write_all(MAGIC)?;
        out.write_all(&VERSION.to_le_bytes())?;
        let offsets = serde_json::to_vec(offsets).map_err(io::Error::other)?;
        // One for all sections: making one asks the processor what it can, which a virtual one says slowly.
        let mut packer = Compressor::new(ZSTD_LEVEL)?;
        write_section(&mut out, &mut packer, &offsets)?;
        let mut bytes = Vec::new();
        self.head.pack(&mut bytes);
        write_section(&mut out, &mut packer, &bytes)?;
        write_section(&mut out, &mut packer, &self.copies)?;
        bytes.clear();
        self.open.pack(&mut bytes);
        write_section(&mut out, &mut packer, &bytes)?;
        for shard in self.shards {
            bytes.clear();
            shard.pack(&mut bytes);
            write_section(&mut out, &mut packer, &bytes)?;
        }
        out.write_all(END)?;
        out.flush()
    }
}

impl Detector {
    /// The state as it is now, to be written while folding goes on.
    ///
    /// Costs a visit to each chunk of 199 agents, a copy of what classes learned in these hours, and one of
    /// the windows of copies: 1.5 MiB for each partition.
    pub fn snapshot(&mut self) -> Snapshot {
        let State { head, copies, open, shards } = &mut self.state;
        let mut packed = Vec::new();
        copies.pack(&mut packed);
        let shards = shards.par_iter_mut().map(Shard::image).collect();
        Snapshot { head: head.clone(), copies: packed, open: open.clone(), shards }
    }

    /// Reads a state and the offsets it stands for. `config` is that of the process that goes on.
    ///
    /// # Errors
    ///
    /// [`CheckpointError`]; nothing of the state is used then.
    pub fn read_checkpoint(
        config: Config,
        mut input: impl Read,
    ) -> Result<(Self, Offsets), CheckpointError> {
        let mut start = [0; 20];
        read_exact(&mut input, &mut start)?;
        if &start[..16] != MAGIC {
            return Err(CheckpointError::Damaged { what: "it does not start as one" });
        }
        let found = u32::from_le_bytes(start[16..].try_into().expect("four bytes"));
        if found != VERSION {
            return Err(CheckpointError::Version { found });
        }
        let mut own = Decompressor::new().map_err(CheckpointError::Io)?;
        let offsets = Section::read(&mut input)?.open(&mut own)?;
        let offsets = serde_json::from_slice(&offsets)
            .map_err(|_| CheckpointError::Damaged { what: "its offsets are none" })?;
        let head = unpacked(&Section::read(&mut input)?.open(&mut own)?, Head::unpack)?;
        let copies = unpacked(&Section::read(&mut input)?.open(&mut own)?, Copies::unpack)?;
        let deltas = |input: &mut Unpacker<'_>| {
            Vec::<Deltas>::unpack(input).filter(|open| open.len() == LANES)
        };
        let open = unpacked(&Section::read(&mut input)?.open(&mut own)?, deltas)?;
        let mut shards = Vec::with_capacity(SHARDS);
        while shards.len() < SHARDS {
            let some: Vec<Section> =
                (0..8).map(|_| Section::read(&mut input)).collect::<Result<_, _>>()?;
            let some =
                some.par_iter().map_init(Decompressor::new, |unpacker, section| match unpacker {
                    Ok(unpacker) => unpacked(&section.open(unpacker)?, Shard::unpack),
                    Err(error) => Err(CheckpointError::Io(io::Error::other(error.to_string()))),
                });
            for shard in some.collect::<Vec<Result<_, CheckpointError>>>() {
                shards.push(shard?);
            }
        }
        let mut end = Vec::new();
        input.take(5).read_to_end(&mut end).map_err(CheckpointError::Io)?;
        if end != END {
            return Err(CheckpointError::Damaged { what: "it does not end where it should" });
        }
        Ok((Self::of(config, State { head, copies, open, shards }), offsets))
    }
}

fn unpacked<T>(
    bytes: &[u8],
    unpack: impl Fn(&mut Unpacker<'_>) -> Option<T>,
) -> Result<T, CheckpointError> {
    let mut input = Unpacker::new(bytes);
    match unpack(&mut input) {
        Some(value) if input.is_empty() => Ok(value),
        Some(_) | None => {
            Err(CheckpointError::Damaged { what: "a section does not hold its part" })
        }
    }
}

fn write_section(
    out: &mut impl Write,
    packer: &mut Compressor<'_>,
    bytes: &[u8],
) -> io::Result<()> {
    let body = packer.compress(bytes)?;
    let mut lengths = [0; 16];
    lengths[..8].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
    lengths[8..].copy_from_slice(&(body.len() as u64).to_le_bytes());
    out.write_all(&lengths)?;
    out.write_all(&crc_of(&lengths, &body).to_le_bytes())?;
    out.write_all(&body)
}

fn crc_of(lengths: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(lengths);
    hasher.update(body);
    hasher.finalize()
}

/// A section as read; its checksum is right.
struct Section {
    bytes: usize,
    body: Vec<u8>,
}

impl Section {
    fn read(input: &mut impl Read) -> Result<Self, CheckpointError> {
        let mut start = [0; 20];
        read_exact(input, &mut start)?;
        let number = |at: usize| u64::from_le_bytes(start[at..at + 8].try_into().expect("eight"));
        let (bytes, packed) = (number(0), number(8));
        let mut body = Vec::new();
        // Grows with what is there, not with what the length claims.
        input.take(packed).read_to_end(&mut body).map_err(CheckpointError::Io)?;
        if body.len() as u64 != packed {
            return Err(CheckpointError::Damaged { what: "it was cut off" });
        }
        if crc_of(&start[..16], &body).to_le_bytes() != start[16..] {
            return Err(CheckpointError::Damaged { what: "a checksum is wrong" });
        }
        if packed.saturating_mul(RATIO_MAX) < bytes {
            return Err(CheckpointError::Damaged { what: "a length is out of proportion" });
        }
        let bytes = usize::try_from(bytes)
            .map_err(|_| CheckpointError::Damaged { what: "a length is out of proportion" })?;
        Ok(Self { bytes, body })
    }

    fn open(&self, unpacker: &mut Decompressor<'_>) -> Result<Vec<u8>, CheckpointError> {
        match unpacker.decompress(&self.body, self.bytes) {
            Ok(bytes) if bytes.len() == self.bytes => Ok(bytes),
            Ok(_) | Err(_) => Err(CheckpointError::Damaged { what: "a section does not unpack" }),
        }
    }
}

fn read_exact(input: &mut impl Read, bytes: &mut [u8]) -> Result<(), CheckpointError> {
    input.read_exact(bytes).map_err(|error| {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            CheckpointError::Damaged { what: "it was cut off" }
        } else {
            CheckpointError::Io(error)
        }
    })
}

#[cfg(test)]
mod tests;
