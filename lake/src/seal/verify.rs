//! [`verify`]: the seals of a lake, made again from its stored rows and compared.
//!
//! Invariant: nothing is believed but the public key. Every byte of a file in the log is covered: by
//! the hash in its seal, or by its name, which is a hash of its content (`encode.rs`). Whatever cannot
//! be read is a flaw that is told, not an end of the verification.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;

use bytes::Bytes;
use futures::StreamExt as _;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use schemas::{KafkaPartition, Offset, OffsetRange, Table, Topic};

use super::leaf::{self, Place};
use super::merkle::{self, Hash};
use super::sealer::rows_of;
use super::{NOTHING, PublicKey, Seal, SealedFile, hash_of};
use crate::encode::name_of;
use crate::log::TableLog;
use crate::rows::decode_seals;
use crate::{Advance, Lake, LakeError, Version};

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
}

/// What a verification found.
#[derive(Clone, Debug, Default)]
pub struct Verified {
    pub seals: u64,
    /// Records whose seal was made again.
    pub records: u64,
    pub files: u64,
    pub flaws: Vec<Flaw>,
    /// The newest seal's note: keep it where the operator cannot reach it.
    pub head: Option<String>,
}

/// What is to be verified.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// The seals whose records are hashed again; all by default. The chain is always verified whole.
    pub seals: Option<RangeInclusive<i64>>,
    /// A note that was kept elsewhere, and must be in the chain.
    pub head: Option<String>,
}

impl Flaw {
    fn of(table: Table, what: impl Into<String>) -> Self {
        Self { seal: None, table, file: None, record: None, what: what.into() }
    }

    fn in_seal(mut self, sequence: i64) -> Self {
        self.seal = Some(sequence);
        self
    }

    fn in_file(mut self, path: &str) -> Self {
        self.file = Some(path.to_owned());
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
    let events = History::read(lake.reading_log(Table::Events), &mut verified.flaws).await?;
    let seals = read_seals(lake, &mut verified).await?;
    let chain = Chain::follow(&seals, key, &mut verified.flaws);
    verified.seals = seals.len() as u64;
    verified.head = seals.last().map(|(_, note)| note.clone());
    if let Some(head) = &scope.head
        && !seals.iter().any(|(_, note)| note.trim_end() == head.trim_end())
    {
        verified
            .flaws
            .push(Flaw::of(Table::Seals, "the chain does not hold the head that was kept"));
    }
    let rejects = Rejects::read(lake, &mut verified).await?;
    chain.check_cover(&events, &rejects, &mut verified.flaws);
    let wanted =
        |seal: &&Seal| scope.seals.as_ref().is_none_or(|range| range.contains(&seal.sequence));
    let wanted: Vec<&Seal> = chain.seals.iter().filter(wanted).collect();
    let total = wanted.len() as u64;
    let mut remade = futures::stream::iter(&wanted)
        .map(|seal| remake(&events, seal, rejects.of(seal)))
        .buffered(AHEAD);
    let mut done = 0;
    while let Some(remade) = remade.next().await {
        done += 1;
        verified.records += remade.records;
        verified.files += remade.files;
        verified.flaws.extend(remade.flaws);
        progress(done, total);
    }
    drop(remade);
    verified.flaws.sort();
    verified.flaws.dedup();
    Ok(verified)
}

/// What the log of a table tells of its files.
struct History {
    log: TableLog,
    /// The files that are part of the table, with the identity of their commit.
    files: BTreeMap<String, String>,
    /// The commits of records.
    commits: BTreeMap<Version, Advance>,
}

impl History {
    async fn read(log: TableLog, flaws: &mut Vec<Flaw>) -> Result<Self, LakeError> {
        let mut history = Self { log, files: BTreeMap::new(), commits: BTreeMap::new() };
        let table = history.log.table;
        let versions = history.log.versions().await?;
        let mut entries = futures::stream::iter(versions.into_iter().flatten())
            .map(|version| {
                let log = history.log.clone();
                async move { (version, log.entry(version).await) }
            })
            .buffered(16);
        while let Some((version, entry)) = entries.next().await {
            let entry = match entry {
                Ok(Some(entry)) => entry,
                Ok(None) => {
                    flaws.push(Flaw::of(
                        table,
                        format!("wanted entry {version} of the log, found none"),
                    ));
                    continue;
                }
                Err(error) => {
                    flaws.push(Flaw::of(
                        table,
                        format!("entry {version} of the log cannot be read: {error}"),
                    ));
                    continue;
                }
            };
            for path in &entry.removed {
                history.files.remove(path);
            }
            let identity = entry.advance.unwrap_or_default();
            if let Some(advance) = Advance::parse(&identity) {
                history.commits.insert(version, advance);
            }
            history.files.extend(entry.added.into_iter().map(|path| (path, identity.clone())));
        }
        drop(entries);
        Ok(history)
    }

    async fn get(&self, path: &str) -> Result<Bytes, String> {
        let found = async { self.log.store.get(&Path::from(path)).await?.bytes().await };
        found.await.map_err(|error| {
            if matches!(error, object_store::Error::NotFound { .. }) {
                "wanted this file, found none".to_owned()
            } else {
                format!("it cannot be read: {error}")
            }
        })
    }

    /// The bytes of each file, once its name was compared with its content.
    async fn read_named(&self, flaws: &mut Vec<Flaw>) -> Vec<(String, Bytes)> {
        let mut read = Vec::new();
        let mut all = futures::stream::iter(&self.files)
            .map(|(path, identity)| async move { (path, identity, self.get(path).await) })
            .buffered(AHEAD);
        while let Some((path, identity, bytes)) = all.next().await {
            let flaw = |what: String| Flaw::of(self.log.table, what).in_file(path);
            match bytes {
                Ok(bytes) => {
                    if !path.ends_with(&name_of(&bytes, identity)) {
                        flaws.push(flaw("its content is not what its name says".to_owned()));
                    }
                    read.push((path.clone(), bytes));
                }
                Err(what) => flaws.push(flaw(what)),
            }
        }
        read
    }
}

/// The seals with their notes, in their order.
async fn read_seals(lake: &Lake, verified: &mut Verified) -> Result<Vec<(i64, String)>, LakeError> {
    let table = Table::Seals;
    let history = History::read(lake.reading_log(table), &mut verified.flaws).await?;
    let mut seals = Vec::new();
    for (path, bytes) in history.read_named(&mut verified.flaws).await {
        let rows = rows_of(bytes).and_then(|batches| {
            let decoded = batches.iter().map(decode_seals).collect::<Result<Vec<_>, _>>();
            decoded.map_err(Into::into)
        });
        match rows {
            Ok(rows) => seals.extend(rows.concat().into_iter().map(|row| (row.sequence, row.note))),
            Err(error) => {
                verified
                    .flaws
                    .push(Flaw::of(table, format!("it cannot be read: {error}")).in_file(&path));
            }
        }
    }
    seals.sort();
    Ok(seals)
}

/// The seals, as far as their signatures and their order are right.
struct Chain {
    seals: Vec<Seal>,
}

impl Chain {
    fn follow(notes: &[(i64, String)], key: &PublicKey, flaws: &mut Vec<Flaw>) -> Self {
        let (mut seals, mut previous): (Vec<Seal>, Hash) = (Vec::new(), NOTHING);
        for (wanted, (sequence, note)) in (0_i64..).zip(notes) {
            let flaw = |what: String| Flaw::of(Table::Seals, what).in_seal(*sequence);
            if wanted != *sequence && seals.last().is_none_or(|last| last.sequence + 1 != *sequence)
            {
                let last = seals.last().map_or(-1, |last| last.sequence);
                flaws.push(flaw(format!("wanted seal {} before it, found {last}", sequence - 1)));
            }
            let before = std::mem::replace(&mut previous, hash_of(note));
            let seal = match key.open(note).and_then(Seal::parse) {
                Ok(seal) => seal,
                Err(error) => {
                    flaws.push(flaw(error.to_string()));
                    continue;
                }
            };
            if seal.sequence != *sequence {
                flaws.push(flaw(format!("its note is that of seal {}", seal.sequence)));
            }
            if seal.previous != before {
                flaws.push(flaw("it does not follow the seal before it".to_owned()));
            }
            if let Some(first) = seals.first()
                && first.lake != seal.lake
            {
                flaws.push(flaw("it is of another lake".to_owned()));
            }
            seals.push(seal);
        }
        Self { seals }
    }

    /// Every commit has a seal, every file is in one, and no offset is left out or sealed twice.
    fn check_cover(&self, events: &History, rejects: &Rejects, flaws: &mut Vec<Flaw>) {
        let sealed: BTreeSet<Version> = self.seals.iter().map(|seal| seal.version).collect();
        for version in events.commits.keys().filter(|version| !sealed.contains(version)) {
            let what = format!(
                "version {version} has no seal: run `surety seal catch-up`, or one was removed"
            );
            flaws.push(Flaw::of(Table::Events, what));
        }
        let named: BTreeSet<&str> =
            self.seals.iter().flat_map(|seal| &seal.files).map(|file| file.path.as_str()).collect();
        for path in events.files.keys().filter(|path| !named.contains(path.as_str())) {
            let flaw = Flaw::of(Table::Events, "it is part of the table and in no seal");
            flaws.push(flaw.in_file(path));
        }
        let mut ranges: BTreeMap<(&Topic, KafkaPartition), Vec<(OffsetRange, i64)>> =
            BTreeMap::new();
        for seal in &self.seals {
            for (topic, partition, range) in &seal.ranges {
                ranges.entry((topic, *partition)).or_default().push((*range, seal.sequence));
            }
        }
        for ((topic, partition), of_partition) in &mut ranges {
            of_partition.sort_by_key(|(range, _)| range.start);
            for pair in of_partition.windows(2) {
                let [(one, _), (next, sequence)] = pair else { continue };
                if one.end != next.start {
                    let what = format!(
                        "{topic}/{}: wanted offsets from {}, found from {}",
                        partition.0, one.end.0, next.start.0
                    );
                    flaws.push(Flaw::of(Table::Seals, what).in_seal(*sequence));
                }
            }
        }
        for (place, _) in &rejects.leaves {
            let Ok(topic) = Topic::try_from(place.topic.clone()) else { continue };
            let Some(known) = ranges.get(&(&topic, place.partition)) else { continue };
            let is_known = |(range, _): &(OffsetRange, i64)| {
                range.start <= place.offset && place.offset < range.end
            };
            if !known.iter().any(is_known) {
                flaws.push(Flaw::of(Table::Rejects, "it is in no seal").at(place));
            }
        }
    }
}

/// The leaves of all rejects, by place.
struct Rejects {
    leaves: Vec<(Place, Hash)>,
}

impl Rejects {
    async fn read(lake: &Lake, verified: &mut Verified) -> Result<Self, LakeError> {
        let table = Table::Rejects;
        let history = History::read(lake.reading_log(table), &mut verified.flaws).await?;
        let mut leaves = Vec::new();
        for (path, bytes) in history.read_named(&mut verified.flaws).await {
            verified.files += 1;
            match rows_of(bytes) {
                Ok(batches) => {
                    leaves.extend(batches.iter().flat_map(|rows| leaf::leaves(table, rows)));
                }
                Err(error) => {
                    let flaw = Flaw::of(table, format!("it cannot be read: {error}"));
                    verified.flaws.push(flaw.in_file(&path));
                }
            }
        }
        leaves.sort_unstable();
        Ok(Self { leaves })
    }

    /// Those of the records of a seal.
    fn of(&self, seal: &Seal) -> Vec<(Place, Hash)> {
        let mut found = Vec::new();
        for (topic, partition, range) in &seal.ranges {
            let at = |offset: Offset| {
                let wanted = (topic.as_str(), *partition, offset);
                self.leaves.partition_point(|(place, _)| {
                    (place.topic.as_str(), place.partition, place.offset) < wanted
                })
            };
            found.extend_from_slice(&self.leaves[at(range.start)..at(range.end)]);
        }
        found
    }
}

/// What came of making a seal again.
#[derive(Default)]
struct Remade {
    records: u64,
    files: u64,
    flaws: Vec<Flaw>,
}

async fn remake(events: &History, seal: &Seal, rejects: Vec<(Place, Hash)>) -> Remade {
    let mut remade = Remade::default();
    let mut files = Vec::new();
    for file in &seal.files {
        let flaw =
            |what: String| Flaw::of(Table::Events, what).in_seal(seal.sequence).in_file(&file.path);
        if !events.files.contains_key(&file.path) {
            remade.flaws.push(flaw("it is not part of the table any more".to_owned()));
        }
        match events.get(&file.path).await {
            Ok(bytes) => {
                remade.files += 1;
                files.push((file.clone(), bytes));
            }
            Err(what) => remade.flaws.push(flaw(what)),
        }
    }
    let seal = seal.clone();
    let hashing = tokio::task::spawn_blocking(move || compare(&seal, files, rejects));
    let (records, flaws) = hashing.await.expect("hashing does not panic");
    remade.records = records;
    remade.flaws.extend(flaws);
    remade
}

/// How many records were found, and what is wrong with them.
fn compare(
    seal: &Seal,
    files: Vec<(SealedFile, Bytes)>,
    rejects: Vec<(Place, Hash)>,
) -> (u64, Vec<Flaw>) {
    let mut flaws = Vec::new();
    let mut leaves = rejects;
    for (file, bytes) in files {
        let flaw =
            |what: String| Flaw::of(Table::Events, what).in_seal(seal.sequence).in_file(&file.path);
        if SealedFile::of(&file.path, &bytes) != file {
            flaws.push(flaw("its bytes are not those that were sealed".to_owned()));
        }
        match rows_of(bytes) {
            Ok(batches) => {
                for rows in &batches {
                    leaves.extend(leaf::leaves(Table::Events, rows));
                }
            }
            Err(error) => flaws.push(flaw(format!("it cannot be read: {error}"))),
        }
    }
    leaves.sort_unstable();
    let flaw = |what: String| Flaw::of(Table::Events, what).in_seal(seal.sequence);
    for pair in leaves.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
        flaws.push(flaw("it is there twice".to_owned()).at(&pair[1].0));
    }
    let is_sealed = |place: &Place| {
        seal.ranges.iter().any(|(topic, partition, range)| {
            topic.as_str() == place.topic
                && *partition == place.partition
                && range.start <= place.offset
                && place.offset < range.end
        })
    };
    for (place, _) in leaves.iter().filter(|(place, _)| !is_sealed(place)) {
        flaws.push(flaw("it is not of this commit".to_owned()).at(place));
    }
    let records = leaves.len() as u64;
    let hashes: Vec<Hash> = leaves.into_iter().map(|(_, hash)| hash).collect();
    if records != seal.records {
        flaws.push(flaw(format!("wanted {} records, found {records}", seal.records)));
    } else if merkle::root_of(&hashes) != seal.root {
        flaws.push(flaw(
            "its records are not those that were sealed: the root is another".to_owned(),
        ));
    }
    (records, flaws)
}
