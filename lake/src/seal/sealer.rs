//! [`Sealer`]: seals for the commits of `events`.
//!
//! Invariant: every commit of records has one seal, in the order of their versions, in one chain. A
//! seal follows its commit and never comes before it, so a crash between the two leaves a commit
//! without a seal, which [`Sealer::catch_up`] makes up for from the stored rows. What counts is the
//! table of seals alone: after every answer that is not plainly "written" it is read again before the
//! next seal is made, and two workers that seal at once are told apart by the number of the seal: the
//! one that comes second reads what the first did and goes on from there.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::logical_expr::{Expr, col, lit};
use futures::future::try_join_all;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use ring::digest::{Context, SHA256};
use schemas::{Table, Timestamp};

use super::cover::{Checkpoints, checkpoint_of};
use super::merkle::sha256;
use super::{COVERED, Hash, NOTHING, Seal, SealKey, SealedFile, SealedLog, Tree, hash_of};
use crate::error::Reason;
#[cfg(any(test, feature = "faults"))]
use crate::log::Backing;
use crate::rows::{SealRow, seal_row};
use crate::{
    Advance, Cause, CommitError, EncodedFile, Lake, LakeError, SequenceRange, TableHandle, Version,
};

/// How often a seal is numbered anew because another worker sealed in the meantime.
const RENUMBERINGS_MAX: u32 = 10;

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
    pub version: Version,
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
        let unavailable = |text| LakeError::unavailable(Table::Seals, Reason(text));
        while self.is_behind || self.table.sequence() != self.end.sequence {
            self.table.follow().await?;
            // Only the newest matters: each seal tells everything of those before it.
            let newest = self.table.sequence() - 1;
            match self.lake.read_seals_from(newest).await?.pop() {
                Some(row) if newest <= row.sequence => self.end = end_of(&row)?,
                None if newest < 0 => self.end = End::of_nothing(),
                Some(_) | None => {
                    return Err(unavailable(format!("wanted seal {newest}, found none")));
                }
            }
            self.is_behind = false;
        }
        Ok(())
    }

    /// As [`TableHandle::keep_log_short`], for the table of seals. Best called before a seal is made: it
    /// then names the checkpoint.
    ///
    /// # Errors
    ///
    /// [`LakeError::Unavailable`].
    pub async fn keep_log_short(&mut self) -> Result<(), LakeError> {
        self.table.keep_log_short().await
    }

    /// Seals a commit whose rows are at hand, and those before it that have no seal.
    ///
    /// # Errors
    ///
    /// [`CommitError`]. [`catch_up`](Self::catch_up) makes up for what was not sealed.
    pub async fn seal(&mut self, rows: Rows<'_>, now: Timestamp) -> Result<(), CommitError> {
        if !self.is_entry_of(&rows).await? {
            // The commit landed with an earlier entry, which its writer learned only later.
            return self.catch_up(now).await.map(|_| ());
        }
        self.catch_up_to(rows.version, now).await?;
        let files = rows.files.iter().map(|file| SealedFile::of(&file.path, &file.bytes));
        let made = Made {
            version: rows.version,
            ranges: rows.advance.clone(),
            tree: rows.tree,
            files: files.collect(),
        };
        self.append(made, now).await?;
        Ok(())
    }

    /// Whether these rows are what the entry of their version added.
    async fn is_entry_of(&self, rows: &Rows<'_>) -> Result<bool, CommitError> {
        let log = self.lake.reading_log(Table::Events);
        let entry = log.entry(rows.version).await;
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
            Some(newest) => self.catch_up_to(newest + 1, now).await,
            None => Ok(0),
        }
    }

    async fn catch_up_to(&mut self, end: Version, now: Timestamp) -> Result<u64, CommitError> {
        self.read_on().await?;
        let (mut seals, mut version) = (0, self.end.version);
        while version < end {
            if let Some(made) = self.stored(version).await? {
                seals += u64::from(self.append(made, now).await?);
            }
            version = self.end.version.max(version + 1);
        }
        Ok(seals)
    }

    /// What the seal of a stored commit is made of; `None` if the commit added no records.
    async fn stored(&self, version: Version) -> Result<Option<Made>, CommitError> {
        let unavailable = |cause| CommitError::unavailable(Table::Events, cause);
        let log = self.lake.reading_log(Table::Events);
        let entry = log.entry(version).await.map_err(unavailable)?;
        let Some((entry, ranges)) = entry.and_then(|entry| {
            let ranges = entry.advance.as_deref().and_then(Advance::parse)?;
            Some((entry, ranges))
        }) else {
            return Ok(None);
        };
        let paths = entry.added.iter().map(String::as_str);
        let (files, events) = read_files(&self.lake, paths).await.map_err(unavailable)?;
        let rejects = self.lake.read(Table::Rejects, is_within(&ranges)).await?;
        let advance = ranges.clone();
        let hashing = tokio::task::spawn_blocking(move || Tree::of(&events, &rejects, &advance));
        let tree = hashing.await.map_err(|stopped| unavailable(stopped.into()))?;
        let tree = tree.map_err(|cause| unavailable(cause.into()))?;
        Ok(Some(Made { version, ranges, tree, files }))
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

    /// Adds a seal to the chain; `false` if another worker has sealed the same commit.
    async fn append(&mut self, made: Made, now: Timestamp) -> Result<bool, CommitError> {
        let lake = self.lake_id().await?;
        // So that the seal names the entry that made the table, too.
        self.table.make_if_absent().await?;
        let mut renumberings = 0;
        loop {
            self.read_on().await?;
            if made.version < self.end.version {
                return Ok(false);
            }
            let seal = self.sealing(&made, &lake, now).await?;
            let note = seal.sign(&self.key);
            let start = seal.sequence;
            let advance = Advance::of_sequence(SequenceRange { start, end: start + 1 });
            let row = seal_row(&seal, &note).expect("versions and records are counted from 0");
            // Until the answer is "written", nobody knows.
            self.is_behind = true;
            match self.table.append(vec![row], &advance, now).await {
                Ok(_) => {
                    self.end = End::of(start, &seal, &note);
                    self.is_behind = false;
                    return Ok(true);
                }
                Err(CommitError::Superseded { .. }) if renumberings < RENUMBERINGS_MAX => {
                    renumberings += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The seal as the next of the chain.
    async fn sealing(
        &mut self,
        made: &Made,
        lake: &str,
        now: Timestamp,
    ) -> Result<Seal, CommitError> {
        let logs = try_join_all(COVERED.map(|table| {
            let end = (table == Table::Events).then_some(made.version + 1);
            self.new_entries(table, end)
        }));
        let logs = logs.await?;
        let mut checkpoints = Vec::new();
        for table in COVERED {
            let log = self.lake.reading_log(table);
            let files = checkpoint_of(&log, &mut self.checkpoints).await;
            let files = files.map_err(|cause| CommitError::unavailable(table, cause))?;
            checkpoints.extend(files.into_iter().map(|file| (table, file)));
        }
        let ranges = made.ranges.partitions();
        Ok(Seal {
            lake: lake.to_owned(),
            records: made.tree.records,
            root: made.tree.root,
            sequence: self.end.sequence,
            time: now,
            previous: self.end.previous,
            version: made.version,
            rejects: made.tree.rejects,
            ranges: ranges.map(|(topic, number, range)| (topic.clone(), number, range)).collect(),
            files: made.files.clone(),
            logs,
            checkpoints,
        })
    }

    /// The entries of a log that no seal names, up to `end` if it is told.
    async fn new_entries(
        &self,
        table: Table,
        end: Option<Version>,
    ) -> Result<SealedLog, CommitError> {
        let log = self.lake.reading_log(table);
        let start = self.end.logs.get(&table).copied().unwrap_or(0);
        let mut hasher = Context::new(&SHA256);
        let mut at = start;
        while end.is_none_or(|end| at < end) {
            let entry = log.entry_bytes(at).await;
            match entry.map_err(|cause| CommitError::unavailable(table, cause))? {
                Some(bytes) => hasher.update(&sha256(&[&bytes])),
                // An entry of a version that is known to be there was removed: `verify` tells.
                None if end.is_some() => {}
                None => break,
            }
            at += 1;
        }
        let hash = hasher.finish().as_ref().try_into().expect("it has 32 bytes");
        Ok(SealedLog { table, start, end: at, hash })
    }
}

fn end_of(row: &SealRow) -> Result<End, LakeError> {
    Ok(End::of(row.sequence, &super::seal_of_row(row)?, &row.note))
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
    paths: impl Iterator<Item = &str>,
) -> Result<(Vec<SealedFile>, Vec<RecordBatch>), Cause> {
    let log = lake.reading_log(Table::Events);
    let (mut files, mut rows) = (Vec::new(), Vec::new());
    #[cfg(any(test, feature = "faults"))]
    if let Backing::Modelled(model) = log.backing() {
        for path in paths {
            let (bytes, held) = model.file(Table::Events, path).await?;
            files.push(SealedFile::of(path, &bytes));
            rows.push(held);
        }
        return Ok((files, rows));
    }
    for path in paths {
        let bytes = log.stored().store.get(&Path::from(path)).await?.bytes().await?;
        files.push(SealedFile::of(path, &bytes));
        rows.extend(rows_of(bytes)?);
    }
    Ok((files, rows))
}

/// The rows of a Parquet file.
pub(super) fn rows_of(bytes: bytes::Bytes) -> Result<Vec<RecordBatch>, Cause> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)?.build()?;
    Ok(reader.collect::<Result<_, _>>()?)
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
