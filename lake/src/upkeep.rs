//! [`Upkeep`]: what keeps a lake quick to read and no larger than it must be.
//!
//! Invariant: nothing here changes a row, a mark (E2, E4) or what a reader sees who reads now. Files are
//! merged in one entry of the log that says so in a signed note ([`Record`]), and the files before stay
//! until nobody reads them any more. Seals are over rows, so they hold as before (V1): `surety verify`
//! makes each root again from wherever its rows are now. Two who do the same at once do no harm: each
//! change lands on files that are still there, or not at all; the [`Lease`] only saves them the work.
//!
//! - `plan.rs`: which files are merged; `merge.rs`: how; `record.rs`: the note; `commit.rs`: the entry;
//! - `files.rs`: the files of a table; `vacuum.rs`: files that nobody reads any more;
//! - `retention.rs`: days that are not kept; `status.rs`: how a table stands; `lease.rs`: one at a time.

pub(crate) mod commit;
mod files;
mod lease;
mod merge;
mod plan;
pub(crate) mod record;
mod retention;
mod status;
mod vacuum;

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use schemas::{Table, Timestamp};

use self::commit::{Change, Outcome, commit};
use self::files::{Live, LiveFile};
use self::merge::merge;
use self::record::{Kind, Paths, Record};
use crate::encode::EncodedFile;
use crate::log::TableLog;
use crate::seal::SealKey;
use crate::{Cause, Lake, LakeError};

pub use self::lease::{Done, Lease, LeaseError, Taken};
pub use self::merge::Pace;
pub use self::plan::Sizes;
pub use self::retention::{Days, Retained};
pub use self::status::TableStatus;
pub use self::vacuum::{Horizon, HorizonTooShort, Swept};

/// Files that are read at once.
const READ_AT_ONCE: usize = 8;

/// Whoever keeps a lake.
#[derive(Clone, Debug)]
pub struct Upkeep {
    lake: Lake,
    key: Arc<SealKey>,
}

/// Files of one table that are merged into one.
#[derive(Clone, Debug)]
pub struct Group {
    table: Table,
    files: Vec<LiveFile>,
    /// The version at which they were all there.
    version: crate::Version,
    table_id: String,
}

/// What merging a group did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    pub files_before: usize,
    pub files_after: usize,
    pub rows: u64,
    pub bytes_before: u64,
    pub bytes_after: u64,
}

impl Group {
    pub fn table(&self) -> Table {
        self.table
    }

    pub fn files(&self) -> usize {
        self.files.len()
    }

    pub fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }

    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

impl Upkeep {
    /// With the key of the seals: what removes files is signed by it.
    pub fn new(lake: &Lake, key: Arc<SealKey>) -> Self {
        Self { lake: lake.clone(), key }
    }

    /// The files of a table that should be merged. What no seal names yet is left out.
    ///
    /// # Errors
    ///
    /// [`LakeError`].
    pub async fn plan(&self, table: Table, sizes: Sizes) -> Result<Vec<Group>, LakeError> {
        let Some(live) = Live::newest(&self.lake, table).await? else { return Ok(Vec::new()) };
        if plan::groups(&live.files, &sizes).is_empty() {
            return Ok(Vec::new());
        }
        let Live { version, id, files } = live.sealed(&self.lake, table).await?;
        let groups = plan::groups(&files, &sizes).into_iter();
        Ok(groups.map(|files| Group { table, files, version, table_id: id.clone() }).collect())
    }

    /// Merges the files of a group, and replaces them by the one that comes of it. `None` if `pace` says to
    /// stop, or somebody else has replaced some of them: nothing was changed then.
    ///
    /// Cancel safety: dropping this future may leave a file that no version names, which a vacuum finds,
    /// or a change that lands.
    ///
    /// # Errors
    ///
    /// [`LakeError`].
    pub async fn compact(
        &self,
        group: &Group,
        now: Timestamp,
        pace: Arc<Pace>,
    ) -> Result<Option<Compacted>, LakeError> {
        let table = group.table;
        let unavailable = |cause| LakeError::unavailable(table, cause);
        let log = self.lake.reading_log(table);
        let inputs = read_all(&log, &group.files).await.map_err(unavailable)?;
        let merging = tokio::task::spawn_blocking(move || merge(table, inputs, &*pace));
        let merged = merging.await.map_err(|stopped| unavailable(stopped.into()))?;
        let Some((bytes, told)) = merged.map_err(unavailable)? else { return Ok(None) };
        let record = group.record(Kind::Rewrite, now);
        let month = group.files[0].month.clone();
        let file = EncodedFile::named(month, bytes, &record.identity(), told);
        if file.rows() as u64 != record.rows {
            let text = format!("wanted {} rows in the files, found {}", record.rows, file.rows());
            return Err(unavailable(crate::error::Reason(text).into()));
        }
        let stored = log.put_files(std::slice::from_ref(&file)).await;
        stored.map_err(|cause| LakeError::unavailable(table, cause))?;
        let outcome = self.change(&log, group, &record, std::slice::from_ref(&file)).await?;
        if outcome == Outcome::Overtaken {
            // No entry can name it any more. One that stays is found by a vacuum.
            drop(log.stored().store.delete(&Path::from(file.path.as_str())).await);
            return Ok(None);
        }
        Ok(Some(Compacted {
            files_before: group.files(),
            files_after: 1,
            rows: record.rows,
            bytes_before: group.bytes(),
            bytes_after: file.size() as u64,
        }))
    }

    /// Signs and writes the entry that removes the files of a group.
    async fn change(
        &self,
        log: &TableLog,
        group: &Group,
        record: &Record,
        added: &[EncodedFile],
    ) -> Result<Outcome, LakeError> {
        let paths = Paths::of(added.iter().map(|file| file.path.as_str()));
        let note = self.key.sign(&record.text(&paths));
        let removed = group.files.iter();
        let removed =
            removed.map(|file| (file.path.as_str(), file.bytes, file.month.as_deref())).collect();
        let change = Change { kind: record.kind, removed, added, note: &note, now: record.time };
        commit(log, group.version, &change).await
    }

    /// Writes a checkpoint of the table's log if there are many entries after the last one, as commits do.
    ///
    /// # Errors
    ///
    /// [`LakeError`].
    pub async fn keep_log_short(&self, table: Table) -> Result<(), LakeError> {
        self.lake.table(table).await?.keep_log_short().await
    }
}

impl Group {
    fn record(&self, kind: Kind, time: Timestamp) -> Record {
        Record {
            table_id: self.table_id.clone(),
            table: self.table,
            kind,
            time,
            rows: self.rows(),
            removed: Paths::of(self.files.iter().map(|file| file.path.as_str())),
        }
    }
}

async fn read_all(log: &TableLog, files: &[LiveFile]) -> Result<Vec<Bytes>, Cause> {
    let paths: Vec<Path> = files.iter().map(|file| Path::from(file.path.as_str())).collect();
    let store = Arc::clone(&log.stored().store);
    let reading = futures::stream::iter(paths).map(move |path| {
        let store = Arc::clone(&store);
        async move { Ok::<Bytes, Cause>(store.get(&path).await?.bytes().await?) }
    });
    let read: Vec<Result<Bytes, Cause>> = reading.buffered(READ_AT_ONCE).collect().await;
    read.into_iter().collect()
}
