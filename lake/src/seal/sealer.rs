//! [`Sealer`]: seals for the commits of `events`.
//!
//! Invariant: a seal follows its commit and never comes before it, so a crash between the two leaves
//! a commit without a seal, which [`Sealer::catch_up`] makes up for from the stored rows. Two workers
//! that seal at once are told apart by the number of the seal: the one that comes second reads what
//! the first did and goes on from there.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::logical_expr::{Expr, col, lit};
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use schemas::{Table, Timestamp};

use super::{NOTHING, Seal, SealKey, SealedFile, Tree, hash_of};
use crate::rows::seal_row;
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
    /// The hash of the newest seal's note.
    previous: super::Hash,
    /// Versions of `events` that have a seal, those below [`below`](Self::below) left out.
    sealed: BTreeSet<Version>,
    /// Every version below this one has a seal or needs none.
    below: Version,
}

/// What a seal is made of.
#[derive(Debug)]
pub struct Rows<'a> {
    pub version: Version,
    pub advance: &'a Advance,
    pub tree: Tree,
    pub files: &'a [EncodedFile],
}

impl Sealer {
    /// Reads which commits have seals.
    ///
    /// # Errors
    ///
    /// [`LakeError`].
    pub async fn open(lake: &Lake, key: Arc<SealKey>) -> Result<Self, LakeError> {
        let mut sealer = Self {
            lake: lake.clone(),
            key,
            lake_id: None,
            // The number is taken before the rows are read, so that none is missed.
            table: lake.table(Table::Seals).await?,
            previous: NOTHING,
            sealed: BTreeSet::new(),
            below: 0,
        };
        sealer.read_from(0).await?;
        Ok(sealer)
    }

    /// Reads the seals from number `start` on.
    async fn read_from(&mut self, start: i64) -> Result<(), LakeError> {
        for row in self.lake.read_seals_from(start).await? {
            self.note(row.version, &row.note);
        }
        Ok(())
    }

    fn note(&mut self, version: Version, note: &str) {
        self.previous = hash_of(note);
        self.sealed.insert(version);
        self.forget_known();
    }

    fn forget_known(&mut self) {
        while self.sealed.remove(&self.below) {
            self.below += 1;
        }
    }

    /// Seals a commit whose rows are at hand, and those before it that have no seal.
    ///
    /// # Errors
    ///
    /// [`CommitError`]. [`catch_up`](Self::catch_up) makes up for what was not sealed.
    pub async fn seal(&mut self, rows: Rows<'_>, now: Timestamp) -> Result<(), CommitError> {
        self.catch_up_to(rows.version, now).await?;
        let files = rows.files.iter().map(|file| SealedFile::of(&file.path, &file.bytes));
        let made = Made {
            version: rows.version,
            ranges: rows.advance.clone(),
            tree: rows.tree,
            files: files.collect(),
        };
        self.append(made, now).await
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
        let (mut seals, mut version) = (0, self.below);
        while version < end {
            if !self.sealed.contains(&version) {
                if let Some(made) = self.stored(version).await? {
                    self.append(made, now).await?;
                    seals += 1;
                } else {
                    self.sealed.insert(version);
                    self.forget_known();
                }
            }
            version = self.below.max(version + 1);
        }
        Ok(seals)
    }

    /// What the seal of a stored commit is made of; `None` if the commit added no records.
    async fn stored(&self, version: Version) -> Result<Option<Made>, CommitError> {
        let table = Table::Events;
        let log = self.lake.reading_log(table);
        let unavailable = |cause| CommitError::unavailable(table, cause);
        let Some(entry) = log.entry(version).await.map_err(|cause: Cause| unavailable(cause))?
        else {
            return Ok(None);
        };
        let Some(ranges) = entry.advance.as_deref().and_then(Advance::parse) else {
            return Ok(None);
        };
        let (mut files, mut events) = (Vec::new(), Vec::new());
        for path in entry.added {
            let bytes = log.store.get(&Path::from(path.as_str())).await;
            let bytes =
                async { bytes?.bytes().await }.await.map_err(|cause| unavailable(cause.into()))?;
            files.push(SealedFile::of(&path, &bytes));
            events.extend(rows_of(bytes).map_err(unavailable)?);
        }
        let rejects = self.lake.read(Table::Rejects, is_within(&ranges)).await?;
        let advance = ranges.clone();
        let hashing = tokio::task::spawn_blocking(move || Tree::of(&events, &rejects, &advance));
        let tree = hashing.await.map_err(|stopped| unavailable(stopped.into()))?;
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

    /// Adds a seal to the chain, unless another worker has sealed the same commit.
    async fn append(&mut self, made: Made, now: Timestamp) -> Result<(), CommitError> {
        let lake = self.lake_id().await?;
        let mut renumberings = 0;
        while made.version >= self.below && !self.sealed.contains(&made.version) {
            let start = self.table.sequence();
            let seal = made.seal(&lake, start, self.previous, now);
            let note = seal.sign(&self.key);
            let rows = seal_row(&seal, &note);
            let advance = Advance::of_sequence(SequenceRange { start, end: start + 1 });
            match self.table.append(vec![rows], &advance, now).await {
                Ok(_) => self.note(made.version, &note),
                Err(CommitError::Superseded { .. }) if renumberings < RENUMBERINGS_MAX => {
                    renumberings += 1;
                    self.read_from(start).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// A seal but for its place in the chain.
struct Made {
    version: Version,
    ranges: Advance,
    tree: Tree,
    files: Vec<SealedFile>,
}

impl Made {
    fn seal(&self, lake: &str, sequence: i64, previous: super::Hash, now: Timestamp) -> Seal {
        let ranges = self.ranges.partitions();
        Seal {
            lake: lake.to_owned(),
            records: self.tree.records,
            root: self.tree.root,
            sequence,
            time: now,
            previous,
            version: self.version,
            rejects: self.tree.rejects,
            ranges: ranges
                .map(|(topic, partition, range)| (topic.clone(), partition, range))
                .collect(),
            files: self.files.clone(),
        }
    }
}

/// The rows of a Parquet file.
pub(super) fn rows_of(bytes: bytes::Bytes) -> Result<Vec<RecordBatch>, Cause> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)?.build()?;
    Ok(reader.collect::<Result<_, _>>()?)
}

/// Of the records of a commit.
fn is_within(advance: &Advance) -> Expr {
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
