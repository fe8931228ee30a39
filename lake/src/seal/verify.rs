//! [`verify`]: the seals of a lake, made again from what is stored and compared.
//!
//! Invariant: nothing is believed but the public key. Every byte of a file of the tables of
//! [`COVERED`] counts: entries of the logs and checkpoints by their hashes in a seal, data files by
//! their hash in a seal or by their name, which is a hash of their content and stands in a sealed
//! entry. Bytes that are not what they should be are told and never decoded. Whatever cannot be read
//! is a flaw, not an end of the verification.
//!
//! - `history.rs`: what a log says; `chain.rs`: notes, their order, and that nothing is left out;
//! - `rewrites.rs`: files that were merged, and days that are not kept;
//! - `records.rs`: rows, and what the log says of files; `checkpoint.rs`: what repeats the log;
//! - `unsealed.rs`: entries that no seal names yet.

mod chain;
mod checkpoint;
mod history;
mod records;
mod rewrites;
mod unsealed;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use futures::StreamExt as _;
use schemas::Table;
use tokio::sync::Mutex;

use self::chain::{Chain, read_seals};
use self::history::History;
use self::records::{Rejects, remake};
use self::rewrites::{Lineage, Merged};
use super::leaf::Place;
use super::{COVERED, PublicKey};
use crate::{Lake, LakeError};

/// Files read ahead; also how many seals are made again at once.
const AHEAD: usize = 4;

/// Something that is not as it was sealed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flaw {
    /// Number of the seal that is broken, or that misses what was found.
    pub seal: Option<i64>,
    pub table: Table,
    /// In the table's folder.
    pub file: Option<String>,
    /// The record, as `topic/partition@offset`.
    pub record: Option<String>,
    /// What was wanted and what was found.
    pub what: String,
    /// It is of a commit that is newer than the newest seal: where somebody writes to the lake, its seal
    /// may be on the way.
    pub is_ahead: bool,
}

/// What a verification found.
#[derive(Clone, Debug, Default)]
pub struct Verified {
    pub seals: u64,
    /// Records whose seal was made again.
    pub records: u64,
    /// Data files whose bytes were compared.
    pub files: u64,
    pub flaws: Vec<Flaw>,
    /// Entries of logs that no seal names yet, but for the one that holds the newest seal: what was
    /// written after the newest commit, or before a crash. The next seal names them.
    pub unsealed: u64,
    /// Entries that merged files or removed days, each with a note that the key signed.
    pub rewrites: u64,
    /// Records that are not there because their days are not kept, as such entries say.
    pub retained: u64,
    /// The newest seal's note: keep it where the operator cannot reach it.
    pub head: Option<String>,
}

/// What is to be verified.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// The seals whose records are hashed again; all by default. The chain is always verified whole.
    pub seals: Option<RangeInclusive<i64>>,
    /// Notes that were kept elsewhere, and must be in the chain.
    pub heads: Vec<String>,
    /// What witnesses keep.
    pub witnesses: Vec<Kept>,
}

/// What a witness keeps, of this lake and maybe of others.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    pub witness: String,
    pub notes: Vec<String>,
}

impl Flaw {
    pub(super) fn of(table: Table, what: impl Into<String>) -> Self {
        let what = what.into();
        Self { seal: None, table, file: None, record: None, what, is_ahead: false }
    }

    pub(super) fn in_seal(mut self, sequence: i64) -> Self {
        self.seal = Some(sequence);
        self
    }

    pub(super) fn in_file(mut self, path: &str) -> Self {
        self.file = Some(path.to_owned());
        self
    }

    fn ahead(mut self, is_ahead: bool) -> Self {
        self.is_ahead = is_ahead;
        self
    }

    fn at(mut self, place: &Place) -> Self {
        self.record = Some(format!("{}/{}@{}", place.topic, place.partition.0, place.offset.0));
        self
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(seal) = self.seal {
            write!(f, "seal {seal}: ")?;
        }
        write!(f, "{}", self.table.name())?;
        if let Some(file) = &self.file {
            write!(f, "/{file}")?;
        }
        if let Some(record) = &self.record {
            write!(f, ": record {record}")?;
        }
        write!(f, ": {}", self.what)
    }
}

/// Verifies the seals of `lake`. `progress` is told how many seals are done, and of how many.
///
/// # Errors
///
/// [`LakeError`] only if the storage does not answer at all.
pub async fn verify(
    lake: &Lake,
    key: &PublicKey,
    scope: &Scope,
    progress: impl Fn(u64, u64),
) -> Result<Verified, LakeError> {
    let mut verified = Verified::default();
    let mut histories = BTreeMap::new();
    // Seals first: what is written in the meantime is then past the newest seal, and not missing.
    for table in COVERED.into_iter().rev() {
        let history = History::read(lake.reading_log(table), &mut verified.flaws).await?;
        histories.insert(table, history);
    }
    let seals = read_seals(&histories[&Table::Seals], &mut verified).await;
    let events = &histories[&Table::Events];
    let chain = Chain::follow(&seals, key, events.id(), &mut verified.flaws);
    verified.seals = seals.len() as u64;
    verified.head = seals.last().map(|stored| stored.row.note.clone());
    chain::check_heads(&seals, &scope.heads, &mut verified.flaws);
    for kept in &scope.witnesses {
        chain.check_witness(kept, &seals, key, &mut verified.flaws);
    }
    chain.check_logs(&histories, &mut verified.flaws);
    for history in histories.values() {
        checkpoint::check(history, &chain.seals, &mut verified.flaws).await;
        verified.rewrites += rewrites::check(history, key, &mut verified.flaws);
        verified.unsealed += unsealed::check(history, &chain, &mut verified.flaws).await;
    }
    for table in [Table::Findings, Table::RegistryChanges] {
        records::read_named(&histories[&table], &mut verified, |_, _| Ok(Vec::<()>::new())).await;
    }
    let rejects = Rejects::read(&histories[&Table::Rejects], &mut verified).await;
    let lineage = Lineage::of(events, &chain.seals);
    chain.check_cover((events, &lineage), &rejects, &mut verified.flaws);
    let wanted = |at: &usize| {
        let sequence = chain.seals[*at].sequence;
        scope.seals.as_ref().is_none_or(|range| range.contains(&sequence))
    };
    let wanted: Vec<usize> = (0..chain.seals.len()).filter(wanted).collect();
    let total = wanted.len() as u64;
    let merged = Mutex::new(Merged::new((events, &lineage), &chain.seals, &rejects));
    let remade = futures::stream::iter(wanted)
        .then(|at| {
            let (merged, seal) = (&merged, &chain.seals[at]);
            async move { (seal, merged.lock().await.of(at).await) }
        })
        .map(|(seal, elsewhere)| remake(events, seal, elsewhere))
        .buffered(AHEAD);
    let mut remade = Box::pin(remade);
    let mut done = 0;
    while let Some(remade) = remade.next().await {
        done += 1;
        verified.records += remade.records;
        verified.retained += remade.retained;
        verified.files += remade.files;
        verified.flaws.extend(remade.flaws);
        progress(done, total);
    }
    drop(remade);
    merged.into_inner().finish(&mut verified);
    verified.flaws.sort();
    verified.flaws.dedup();
    Ok(verified)
}

/// Runs `work` where it may take its time, and where a panic of a library is an answer.
async fn guarded<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| "its content makes the decoder panic".to_owned())
}
