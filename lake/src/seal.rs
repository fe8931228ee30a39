//! [`Seal`]: a signed Merkle root over the records of one commit, chained to the seal before it (V1).
//!
//! Invariant: a seal is made of what is stored and of nothing else, so that whoever has the lake and
//! the public key can make it again. The root is over the rows of `events` and `rejects` that came of
//! the records of the commit, in the order of topic, partition and offset: leaves are rows, not files,
//! so that a rewrite of files changes no root. Beside the rows a seal names every entry of the Delta
//! logs of [`COVERED`] since the seal before it, and through them every file: what readers believe
//! of a file (that it is part of the table, its statistics, its month) is sealed too.
//!
//! - `merkle.rs`: the tree; `leaf.rs`: the canonical form of a row; `note.rs`: signatures;
//! - [`SealChain`], [`SealedRecords`] (`proof.rs`): what proves a row to an outsider;
//! - [`Sealer`] (`sealer.rs`): makes seals, of a commit's rows while they are in memory, or of the lake;
//! - [`Witness`] (`witness.rs`): keeps heads outside the lake;
//! - [`verify`](verify()) (`verify.rs`): makes them again and compares.
//!
//! What it does not prove: who has the key and every copy can write another history. That is what
//! witnesses are for, and `surety verify --head`. docs/evidence.md has the format and the limits.

mod cover;
mod leaf;
mod merkle;
mod note;
mod proof;
mod sealer;
mod verify;
mod witness;

use std::fmt::Write as _;
use std::str::FromStr;

use arrow::array::RecordBatch;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemas::{KafkaPartition, Offset, OffsetRange, Table, Timestamp, Topic};

pub use self::leaf::{Place, leaves};
pub(crate) use self::merkle::sha256;
pub use self::merkle::{Hash, inclusion_proof, is_included, node, root_of};
pub use self::note::{InvalidKey, NoteError, PublicKey, SealKey};
pub use self::proof::{Inclusion, Link, SealChain, SealedRecords};
#[cfg(any(test, feature = "faults"))]
pub(crate) use self::sealer::read_files;
pub use self::sealer::{Rows, Sealer};
pub use self::verify::{Flaw, Kept, Scope, Verified, verify};
pub use self::witness::{Witness, WitnessError};
use crate::error::Reason;
use crate::{Advance, LakeError, RowError, SealRow, Version};

/// The tables whose logs are sealed: those that answers about people rest on. Seals come last.
pub const COVERED: [Table; 5] =
    [Table::Events, Table::Rejects, Table::Findings, Table::RegistryChanges, Table::Seals];

/// What stands where the first seal of a lake names the one before it.
pub(crate) const NOTHING: Hash = [0; 32];

/// What a seal says, without its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// The id of the table of events: of which lake it is.
    pub lake: String,
    /// Records sealed, which is the size of the tree.
    pub records: u64,
    pub root: Hash,
    /// Number of the seal, from 0 without gaps.
    pub sequence: i64,
    pub time: Timestamp,
    /// SHA-256 of the signed note before it; zeros for the first.
    pub previous: Hash,
    /// The version of `events` that the commit made.
    pub version: Version,
    /// How many of the records are rejects.
    pub rejects: u64,
    pub ranges: Vec<(Topic, KafkaPartition, OffsetRange)>,
    /// The files of `events` that the commit added.
    pub files: Vec<SealedFile>,
    /// One for each table of [`COVERED`], in that order.
    pub logs: Vec<SealedLog>,
    /// The newest checkpoint of each log, as it was when the seal was made.
    pub checkpoints: Vec<(Table, SealedFile)>,
}

/// The entries of a table's Delta log that are new since the seal before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedLog {
    pub table: Table,
    /// Versions: `start` inclusive, `end` exclusive.
    pub start: Version,
    pub end: Version,
    /// SHA-256 over the SHA-256 of each entry's bytes, one after the other.
    pub hash: Hash,
}

/// A file as it was when it was sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedFile {
    /// In the table's folder; of a checkpoint, in the log's.
    pub path: String,
    pub bytes: u64,
    pub hash: Hash,
}

impl SealedFile {
    pub(crate) fn of(path: &str, bytes: &[u8]) -> Self {
        Self { path: path.to_owned(), bytes: bytes.len() as u64, hash: sha256(&[bytes]) }
    }
}

impl Seal {
    /// The note's text. Its first three lines are a C2SP checkpoint's: origin, size, root.
    fn text(&self) -> String {
        let mut text = format!(
            "surety/{}\n{}\n{}\nseal {}\ntime {}\nprevious {}\nversion {}\nrejects {}\n",
            self.lake,
            self.records,
            STANDARD.encode(self.root),
            self.sequence,
            self.time.as_micros(),
            STANDARD.encode(self.previous),
            self.version,
            self.rejects,
        );
        for (topic, partition, OffsetRange { start, end }) in &self.ranges {
            writeln!(text, "range {topic} {} {} {}", partition.0, start.0, end.0)
                .expect("writing to a string");
        }
        for SealedFile { path, bytes, hash } in &self.files {
            writeln!(text, "file {path} {bytes} {}", STANDARD.encode(hash))
                .expect("writing to a string");
        }
        for SealedLog { table, start, end, hash } in &self.logs {
            writeln!(text, "log {} {start} {end} {}", table.name(), STANDARD.encode(hash))
                .expect("writing to a string");
        }
        for (table, SealedFile { path, bytes, hash }) in &self.checkpoints {
            let (table, hash) = (table.name(), STANDARD.encode(hash));
            writeln!(text, "checkpoint {table} {path} {bytes} {hash}")
                .expect("writing to a string");
        }
        text
    }

    /// Reads a note's text, which must be just as it is written here: there are no two texts of one
    /// seal.
    ///
    /// # Errors
    ///
    /// [`NoteError::Form`].
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        read(text).filter(|seal| seal.text() == text).ok_or(NoteError::Form)
    }

    /// The seal as a signed note.
    fn sign(&self, key: &SealKey) -> String {
        key.sign(&self.text())
    }
}

/// The seal in a stored row, whoever signed it.
pub(crate) fn seal_of_row(row: &SealRow) -> Result<Seal, LakeError> {
    note::text_of(&row.note).and_then(Seal::parse).map_err(|error| {
        let text = format!("seal {}: {error}: run `surety verify`", row.sequence);
        LakeError::unavailable(Table::Seals, Reason(text))
    })
}

/// The hash by which the next seal names a note: SHA-256 of its bytes, signature and all.
pub fn hash_of(note: &str) -> Hash {
    sha256(&[note.as_bytes()])
}

fn read(text: &str) -> Option<Seal> {
    let mut lines = text.strip_suffix('\n')?.split('\n');
    let mut seal = Seal {
        lake: lines.next()?.strip_prefix("surety/")?.to_owned(),
        records: lines.next()?.parse().ok()?,
        root: hash(lines.next()?)?,
        sequence: value(lines.next()?, "seal ")?,
        time: Timestamp::from_micros(value(lines.next()?, "time ")?).ok()?,
        previous: hash(lines.next()?.strip_prefix("previous ")?)?,
        version: value(lines.next()?, "version ")?,
        rejects: value(lines.next()?, "rejects ")?,
        ranges: Vec::new(),
        files: Vec::new(),
        logs: Vec::new(),
        checkpoints: Vec::new(),
    };
    for line in lines {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["range", topic, partition, start, end] => {
                let topic = Topic::try_from(topic.to_owned()).ok()?;
                let range = OffsetRange {
                    start: Offset(start.parse().ok()?),
                    end: Offset(end.parse().ok()?),
                };
                seal.ranges.push((topic, KafkaPartition(partition.parse().ok()?), range));
            }
            ["file", path, bytes, encoded] => seal.files.push(file(path, bytes, encoded)?),
            ["log", table, start, end, encoded] => seal.logs.push(SealedLog {
                table: covered(table)?,
                start: start.parse().ok()?,
                end: end.parse().ok()?,
                hash: hash(encoded)?,
            }),
            ["checkpoint", table, path, bytes, encoded] => {
                seal.checkpoints.push((covered(table)?, file(path, bytes, encoded)?));
            }
            _ => return None,
        }
    }
    let is_ordered =
        seal.ranges.windows(2).all(|pair| (&pair[0].0, pair[0].1) < (&pair[1].0, pair[1].1))
            && seal.ranges.iter().all(|(.., range)| range.start < range.end)
            && seal.logs.iter().map(|log| log.table).eq(COVERED);
    is_ordered.then_some(seal)
}

fn file(path: &str, bytes: &str, encoded: &str) -> Option<SealedFile> {
    Some(SealedFile { path: path.to_owned(), bytes: bytes.parse().ok()?, hash: hash(encoded)? })
}

fn covered(name: &str) -> Option<Table> {
    COVERED.into_iter().find(|table| table.name() == name)
}

fn value<T: FromStr>(line: &str, name: &str) -> Option<T> {
    line.strip_prefix(name)?.parse().ok()
}

fn hash(text: &str) -> Option<Hash> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// The Merkle tree of a commit's records, as far as a seal needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tree {
    pub root: Hash,
    pub records: u64,
    pub rejects: u64,
}

impl Tree {
    /// The tree over the rows that came of the records of `advance`; rejects of other topics are left
    /// out. Takes about half a microsecond of CPU a row: call it where no other task waits.
    ///
    /// # Errors
    ///
    /// [`RowError`] if the batches do not have the columns of their tables.
    pub fn of(
        events: &[RecordBatch],
        rejects: &[RecordBatch],
        advance: &Advance,
    ) -> Result<Self, RowError> {
        let (leaves, rejects) = sorted_leaves(events, rejects, advance)?;
        let hashes: Vec<Hash> = leaves.into_iter().map(|(_, hash)| hash).collect();
        Ok(Self { root: root_of(&hashes), records: hashes.len() as u64, rejects })
    }
}

/// The leaves of a commit in their order, and how many of them are rejects.
fn sorted_leaves(
    events: &[RecordBatch],
    rejects: &[RecordBatch],
    advance: &Advance,
) -> Result<(Vec<(Place, Hash)>, u64), RowError> {
    let mut leaves = Vec::new();
    for rows in events {
        leaves.extend(leaf::leaves(Table::Events, rows)?);
    }
    let events = leaves.len();
    for rows in rejects {
        let all = leaf::leaves(Table::Rejects, rows)?;
        leaves.extend(all.into_iter().filter(|(place, _)| place.is_within(advance)));
    }
    let rejects = (leaves.len() - events) as u64;
    leaves.sort_unstable();
    Ok((leaves, rejects))
}
