//! [`Sealer`]: seals for the commits of `events`.
//!
//! Invariant: every commit of records has one seal, in the order of their versions, in one chain. A
//! seal follows its commit and never comes before it, so a crash between the two leaves a commit
//! without a seal, which [`Sealer::catch_up`] makes up for from the stored rows. What counts is the
//! table of seals alone: after every answer that is not plainly "written" it is read again before the
//! next seal is made, and two workers that seal at once are told apart by the number of the seal: the
//! one that comes second reads what the first did and goes on from there. Who finds several commits
//! without a seal appends the seals of all of them at once, as many as the chain then grows by.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::logical_expr::{Expr, col, lit};
use futures::future::try_join_all;
use futures::{StreamExt as _, TryFutureExt as _, TryStreamExt as _, stream};
use ring::digest::{Context, SHA256};
use schemas::{Table, Timestamp};

use super::cover::{Checkpoint, Checkpoints, checkpoint_of};
use super::merkle::sha256;
use super::{COVERED, Hash, NOTHING, Seal, SealKey, SealedFile, SealedLog, Tree, hash_of};
use crate::error::Reason;
use crate::log::{READ_AT_ONCE, up_to_newest};
use crate::rows::{SealRow, decode_seals, seal_row};
use crate::{
    Advance, Cause, CommitError, EncodedFile, Lake, LakeError, Landed, LongLog, SequenceRange,
    TableHandle, Version,
};

/// How often seals are numbered anew because another worker sealed in the meantime.
const RENUMBERINGS_MAX: u32 = 10;
/// Seals that are appended at once.
const SEALS_AT_ONCE: u64 = 64;
/// Entries of each other log that come with a commit: one of ours at most, of seals the one before.
const ENTRIES_EXPECTED: usize = 1;
/// Commits whose stored rows are held at once.
const COMMITS_AT_ONCE: usize = 4;
/// Files of a commit that are read at once.
const FILES_AT_ONCE: usize = 4;

/// Makes the seals of a lake.
#[derive(Debug)]
pub struct Sealer {
    lake: Lake,
    key: Arc<SealKey>,
    /// The lake's identity: the id of its events, which never changes; `None` until it was asked for.
    lake_id: Option<String>,
    table: TableHandle,
    end: End,
    /// Whether the table of seals may hold more than `end` knows.
    is_behind: bool,
    checkpoints: Checkpoints,
}

/// What a seal is made of.
#[derive(Debug)]
pub struct Rows<'a> {
    pub landed: Landed,
    pub advance: &'a Advance,
    pub tree: Tree,
    pub files: &'a [EncodedFile],
}

/// Where the chain ends: what the newest seal in the table says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct End {
    /// The number of the next seal.
    sequence: i64,
    /// The hash of the newest seal's note.
    previous: Hash,
    /// Every version of `events` below this one has a seal or needs none.
    version: Version,
    /// For each table the first entry of its log that no seal names.
    logs: BTreeMap<Table, Version>,
}

impl End {
    const fn of_nothing() -> Self {
        Self { sequence: 0, previous: NOTHING, version: 0, logs: BTreeMap::new() }
    }

    fn of(sequence: i64, seal: &Seal, note: &str) -> Self {
        Self {
            sequence: sequence + 1,
            previous: hash_of(note),
            version: seal.version + 1,
            logs: seal.logs.iter().map(|log| (log.table, log.end)).collect(),
        }
    }
}

impl Sealer {
    /// Reads where the chain of seals ends.
    ///
    /// # Errors
    ///
    /// [`LakeError`], also if the newest seal is none.
    pub async fn open(lake: &Lake, key: Arc<SealKey>) -> Result<Self, LakeError> {
        let mut sealer = Self {
            lake: lake.clone(),
            key,
            lake_id: None,
            table: lake.table(Table::Seals).await?,
            end: End::of_nothing(),
            is_behind: true,
            checkpoints: Checkpoints::default(),
        };
        sealer.read_on().await?;
        Ok(sealer)
    }

    /// Moves to the end of the chain, if it may have moved.
    async fn read_on(&mut self) -> Result<(), LakeError> {
        if self.is_behind {
            self.table.follow().await?;
            self.is_behind = false;
        }
        // Two ends with the same number are the same: a number is given once.
        if self.table.sequence() != self.end.sequence {
            self.end = self.newest().await?;
        }
        Ok(())
    }

    /// The end of the chain: only the newest seal matters, each tells everything of those before it. Mostly it
    /// stands in the files that were added last.
    async fn newest(&self) -> Result<End, LakeError> {
        let newest = self.table.sequence() - 1;
        if newest < 0 {
            return Ok(End::of_nothing());
        }
        let log = self.lake.reading_log(Table::Seals);
        for path in self.table.newest_files() {
            // Whatever is wrong with the file: what the table says is asked below.
            let Ok((_, rows)) = log.file(path).await else { continue };
            let seals = rows.iter().filter_map(|rows| decode_seals(rows).ok()).flatten();
            if let Some(row) = seals.into_iter().find(|row| row.sequence == newest) {
                return end_of(&row);
            }
        }
        let found = self.lake.read_seals_from(newest).await?.pop();
        let missing = || Reason(format!("wanted seal {newest}, found none"));
        end_of(&found.ok_or_else(|| LakeError::unavailable(Table::Seals, missing()))?)
    }

    /// As [`TableHandle::long_log`], for the table of seals.
    ///
    /// # Errors
    ///
    /// [`LakeError::Unavailable`].
    pub async fn long_log(&mut self) -> Result<Option<LongLog>, LakeError> {
        self.table.long_log().await
    }

    /// Seals a commit whose rows are at hand, and those before it that have no seal.
    ///
    /// # Errors
    ///
    /// [`CommitError`]. [`catch_up`](Self::catch_up) makes up for what was not sealed.
    pub async fn seal(&mut self, rows: Rows<'_>, now: Timestamp) -> Result<(), CommitError> {
        // What the storage was told to write as this entry, and said that it wrote, is that entry.
        if !rows.landed.is_told && !self.is_entry_of(&rows).await? {
            // The commit landed with an earlier entry, which its writer learned only later.
            return self.catch_up(now).await.map(|_| ());
        }
        let version = rows.landed.version;
        let files = rows.files.iter().map(|file| SealedFile::of(&file.path, &file.bytes));
        let made =
            Made { version, ranges: rows.advance.clone(), tree: rows.tree, files: files.collect() };
        self.catch_up_to(version + 1, Some(made), now).await?;
        Ok(())
    }

    /// Whether these rows are what the entry of their version added.
    async fn is_entry_of(&self, rows: &Rows<'_>) -> Result<bool, CommitError> {
        let log = self.lake.reading_log(Table::Events);
        let entry = log.entry(rows.landed.version).await;
        let entry = entry.map_err(|cause| CommitError::unavailable(Table::Events, cause))?;
        Ok(entry.is_some_and(|entry| {
            entry.advance == Some(rows.advance.identity())
                && entry.added.iter().eq(rows.files.iter().map(|file| &file.path))
        }))
    }

    /// Seals what has no seal, up to the newest commit. Returns how many seals were made.
    ///
    /// # Errors
    ///
    /// [`CommitError`].
    pub async fn catch_up(&mut self, now: Timestamp) -> Result<u64, CommitError> {
        let newest = self.lake.table(Table::Events).await?.version();
        match newest {
            Some(newest) => self.catch_up_to(newest + 1, None, now).await,
            None => Ok(0),
        }
    }

    /// Seals the commits below `end`; what is `known` of one of them need not be read.
    async fn catch_up_to(
        &mut self,
        end: Version,
        mut known: Option<Made>,
        now: Timestamp,
    ) -> Result<u64, CommitError> {
        self.read_on().await?;
        if self.end.version < known.as_ref().map_or(end, |made| made.version) {
            // Whoever wrote these seals them too, and to ask whether that is done takes less than to read them.
            self.is_behind = true;
            self.read_on().await?;
        }
        let (mut seals, mut version) = (0, self.end.version);
        while version < end {
            let until = end.min(version + SEALS_AT_ONCE);
            let known = known.take_if(|made| made.version < until);
            let until_known = known.as_ref().map_or(until, |made| made.version);
            let stored = self.stored(version..until_known).await?;
            let made = stored.into_iter().chain(known).collect();
            seals += self.append(made, now).await?;
            version = self.end.version.max(until);
        }
        Ok(seals)
    }

    /// What the seals of stored commits are made of. One that added no records has none.
    async fn stored(&self, versions: Range<Version>) -> Result<Vec<Made>, CommitError> {
        let unavailable = |cause| CommitError::unavailable(Table::Events, cause);
        let (versions, mut made) = (versions.collect::<Vec<_>>(), Vec::new());
        for versions in versions.chunks(COMMITS_AT_ONCE) {
            let commits = try_join_all(versions.iter().map(|version| self.stored_commit(*version)));
            let commits: Vec<_> = commits.await?.into_iter().flatten().collect();
            let ranges = commits.iter().map(|commit| is_within(&commit.ranges));
            let Some(wanted) = ranges.reduce(Expr::or) else { continue };
            let files = commits.iter().map(|commit| read_files(&self.lake, commit.added.clone()));
            // Together those of all, of which each tree takes its own.
            let (read, rejects) =
                tokio::join!(try_join_all(files), self.lake.read(Table::Rejects, wanted));
            let (read, rejects) = (read.map_err(unavailable)?, rejects?);
            for (StoredCommit { version, ranges, .. }, (files, events)) in
                commits.into_iter().zip(read)
            {
                let tree = self.tree_of(events, rejects.clone(), ranges.clone()).await?;
                made.push(Made { version, ranges, tree, files });
            }
        }
        Ok(made)
    }

    /// The commit of records that made this version; `None` if it is none.
    async fn stored_commit(&self, version: Version) -> Result<Option<StoredCommit>, CommitError> {
        let log = self.lake.reading_log(Table::Events);
        let entry = log.entry(version).await;
        let entry = entry.map_err(|cause| CommitError::unavailable(Table::Events, cause))?;
        Ok(entry.and_then(|entry| {
            let ranges = entry.advance.as_deref().and_then(Advance::parse)?;
            Some(StoredCommit { version, ranges, added: entry.added })
        }))
    }

    async fn tree_of(
        &self,
        events: Vec<RecordBatch>,
        rejects: Vec<RecordBatch>,
        advance: Advance,
    ) -> Result<Tree, CommitError> {
        let unavailable = |cause: Cause| CommitError::unavailable(Table::Events, cause);
        let hashing = move || Tree::of(&events, &rejects, &advance);
        let tree = if self.table.is_modelled() {
            // In a simulation nothing may depend on when another thread is done.
            hashing()
        } else {
            let hashed = tokio::task::spawn_blocking(hashing).await;
            hashed.map_err(|stopped| unavailable(stopped.into()))?
        };
        tree.map_err(|cause| unavailable(cause.into()))
    }

    /// Opening the table lists its log: once is enough.
    async fn lake_id(&mut self) -> Result<String, LakeError> {
        if let Some(id) = &self.lake_id {
            return Ok(id.clone());
        }
        let events = self.lake.table(Table::Events).await?;
        let id = events.id().expect("a table with commits has an id").to_owned();
        self.lake_id = Some(id.clone());
        Ok(id)
    }

    /// Adds the seals of commits, in the order of their versions, to the chain. Returns how many were not
    /// sealed by another worker.
    async fn append(&mut self, mut made: Vec<Made>, now: Timestamp) -> Result<u64, CommitError> {
        let mut renumberings = 0;
        loop {
            self.read_on().await?;
            made.retain(|made| self.end.version <= made.version);
            if made.is_empty() {
                return Ok(0);
            }
            // So that the first seal names the entry that made the table, too.
            self.table.make_if_absent().await?;
            let (rows, end) = self.sealing(&made, now).await?;
            let range = SequenceRange { start: self.end.sequence, end: end.sequence };
            // Until the answer is "written", nobody knows.
            self.is_behind = true;
            match self.table.append(rows, &Advance::of_sequence(range), now).await {
                Ok(_) => {
                    self.end = end;
                    self.is_behind = false;
                    return Ok(made.len() as u64);
                }
                Err(CommitError::Superseded { .. }) if renumberings < RENUMBERINGS_MAX => {
                    // The log was read to its end to find that out.
                    self.is_behind = false;
                    renumberings += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The seals of commits as the next of the chain, and where it ends then.
    async fn sealing(
        &mut self,
        made: &[Made],
        now: Timestamp,
    ) -> Result<(Vec<RecordBatch>, End), CommitError> {
        let lake = self.lake_id().await?;
        let newest = made.last().map_or(0, |made| made.version);
        let (entries, checkpoints) =
            tokio::try_join!(self.new_entries(newest), self.new_checkpoints())?;
        let files = COVERED.iter().filter_map(|table| checkpoints.get_key_value(table));
        let of_table = |(table, (_, files)): (&Table, &Checkpoint)| {
            files.iter().map(|file| (*table, file.clone())).collect::<Vec<_>>()
        };
        let of_checkpoints: Vec<_> = files.flat_map(of_table).collect();
        self.checkpoints = checkpoints;
        let (mut rows, mut end) = (Vec::with_capacity(made.len()), self.end.clone());
        for made in made {
            // The first names the entries of the other tables: they are there already.
            let until =
                |table, newest| if table == Table::Events { made.version + 1 } else { newest };
            let logs = entries.iter().map(|(table, start, hashes)| {
                let from = end.logs.get(table).copied().unwrap_or(0);
                let until = until(*table, start + hashes.len() as Version);
                sealed_log(*table, from..until, *start, hashes)
            });
            let ranges = made.ranges.partitions();
            let seal = Seal {
                lake: lake.clone(),
                records: made.tree.records,
                root: made.tree.root,
                sequence: end.sequence,
                time: now,
                previous: end.previous,
                version: made.version,
                rejects: made.tree.rejects,
                ranges: ranges.map(|(topic, of, range)| (topic.clone(), of, range)).collect(),
                files: made.files.clone(),
                logs: logs.collect(),
                checkpoints: of_checkpoints.clone(),
            };
            let note = seal.sign(&self.key);
            rows.push(seal_row(&seal, &note).expect("versions and records are counted from 0"));
            end = End::of(seal.sequence, &seal, &note);
        }
        Ok((rows, end))
    }

    /// For each table the first entry that no seal names, and the hashes of the entries from there on; of
    /// events up to `newest`. An entry that is known to be there and was removed has none: `verify` tells.
    async fn new_entries(&self, newest: Version) -> Result<Vec<NewEntries>, CommitError> {
        let of_table = async |table| {
            let log = self.lake.reading_log(table);
            let start = self.end.logs.get(&table).copied().unwrap_or(0);
            let hash = |version| {
                let found = log.entry_bytes(version);
                found.map_ok(|found| found.map(|bytes| sha256(&[&bytes])))
            };
            let hashes: object_store::Result<Vec<Option<Hash>>> = if table == Table::Events {
                let known = stream::iter(start..=newest).map(&hash);
                known.buffered(READ_AT_ONCE).try_collect().await
            } else {
                let found = up_to_newest(start, ENTRIES_EXPECTED, &hash).await;
                found.map(|found| found.into_iter().map(Some).collect())
            };
            let hashes = hashes.map_err(|cause| CommitError::unavailable(table, cause))?;
            Ok((table, start, hashes))
        };
        try_join_all(COVERED.map(of_table)).await
    }

    /// The files of the newest checkpoint of each log.
    async fn new_checkpoints(&self) -> Result<Checkpoints, CommitError> {
        let of_table = async |table| {
            let log = self.lake.reading_log(table);
            let found = checkpoint_of(&log, self.checkpoints.get(&table)).await;
            let found = found.map_err(|cause| CommitError::unavailable(table, cause))?;
            Ok::<_, CommitError>(found.map(|found| (table, found)))
        };
        Ok(try_join_all(COVERED.map(of_table)).await?.into_iter().flatten().collect())
    }
}

/// A table, the first entry of its log that no seal names, and the hashes of those from there on.
type NewEntries = (Table, Version, Vec<Option<Hash>>);

/// The entries of `range` as a seal names them; the first of `hashes` is of the entry `start`.
fn sealed_log(
    table: Table,
    range: Range<Version>,
    start: Version,
    hashes: &[Option<Hash>],
) -> SealedLog {
    let mut hasher = Context::new(&SHA256);
    for hash in hashes.iter().zip(start..).filter(|(_, at)| range.contains(at)) {
        hash.0.iter().for_each(|hash| hasher.update(hash));
    }
    let hash = hasher.finish().as_ref().try_into().expect("it has 32 bytes");
    SealedLog { table, start: range.start, end: range.end, hash }
}

fn end_of(row: &SealRow) -> Result<End, LakeError> {
    Ok(End::of(row.sequence, &super::seal_of_row(row)?, &row.note))
}

/// A commit of records as its entry tells it.
struct StoredCommit {
    version: Version,
    ranges: Advance,
    /// The paths of its files.
    added: Vec<String>,
}

/// A seal but for its place in the chain.
struct Made {
    version: Version,
    ranges: Advance,
    tree: Tree,
    files: Vec<SealedFile>,
}

/// Files of `events` and their rows.
pub(crate) async fn read_files(
    lake: &Lake,
    paths: Vec<String>,
) -> Result<(Vec<SealedFile>, Vec<RecordBatch>), Cause> {
    let log = lake.reading_log(Table::Events);
    let read = async |path: String| {
        let (bytes, rows) = log.file(&path).await?;
        Ok::<_, Cause>((SealedFile::of(&path, &bytes), rows))
    };
    let mut read = stream::iter(paths).map(read).buffered(FILES_AT_ONCE);
    let (mut files, mut rows) = (Vec::new(), Vec::new());
    while let Some((file, held)) = read.try_next().await? {
        files.push(file);
        rows.extend(held);
    }
    Ok((files, rows))
}

/// Of the records of a commit.
pub(super) fn is_within(advance: &Advance) -> Expr {
    let of = |(topic, partition, range): (
        &schemas::Topic,
        schemas::KafkaPartition,
        schemas::OffsetRange,
    )| {
        col("topic")
            .eq(lit(topic.as_str()))
            .and(col("kafka_partition").eq(lit(partition.0)))
            .and(col("kafka_offset").gt_eq(lit(range.start.0)))
            .and(col("kafka_offset").lt(lit(range.end.0)))
    };
    advance.partitions().map(of).reduce(Expr::or).unwrap_or_else(|| lit(false))
}
