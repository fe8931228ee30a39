//! [`TableLog`]: our part of a table's Delta log: what it has recorded, and one more entry.
//!
//! Invariant: an entry is written only if absent, as the version after the one whose marks were
//! read; so the marks that were checked are the marks of the version it lands on.
//!
//! The marks are read here and not with the library, because the library answers for one
//! application id at a time and reads the whole log each time; a test compares the two.
//!
//! Source: the Delta transaction log protocol, <https://github.com/delta-io/delta/blob/master/PROTOCOL.md>.

mod pointer;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use deltalake::logstore::{LogStoreRef, StorageConfig, default_logstore};
use futures::future::{join_all, try_join_all};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use schemas::Table;
use serde::Deserialize;
use serde::de::IgnoredAny;
use url::Url;

pub(crate) use self::pointer::{POINTER, Pointer, in_log};
use crate::advance::Recorded;
use crate::error::Reason;
#[cfg(any(test, feature = "faults"))]
use crate::faults::Model;
use crate::{Cause, EncodedFile, LakeError};

/// Entries that are fetched at once when a table is opened: on an object store each takes a while.
pub(crate) const READ_AT_ONCE: usize = 16;

/// The number of a table's version, from 0.
pub type Version = u64;

/// A version of a table, and what it has recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) version: Version,
    pub(crate) recorded: Recorded,
    /// Entries that were read one by one, because no checkpoint that we know of holds them.
    pub(crate) entries: u64,
}

impl State {
    /// That of a table that was just made.
    pub(crate) fn of_new() -> Self {
        Self { version: 0, recorded: Recorded::default(), entries: 1 }
    }

    /// Moves on to `version`, whose entry has these transactions.
    pub(crate) fn note(&mut self, version: Version, transactions: Vec<(String, i64)>) {
        for (app_id, at) in transactions {
            self.recorded.note(&app_id, at);
        }
        self.version = version;
        self.entries += 1;
    }
}

/// What one entry of the log tells us.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    pub(crate) transactions: Vec<(String, i64)>,
    /// Paths of the files that it adds.
    pub(crate) added: Vec<String>,
    /// Paths of the files that it removes.
    pub(crate) removed: Vec<String>,
    /// [`Advance::identity`](crate::Advance::identity) of the commit, if it was one of ours.
    pub(crate) advance: Option<String>,
    /// Whether it changes the table's schema, properties or protocol.
    pub(crate) changes_table: bool,
}

impl Entry {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let mut entry = Self::default();
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let line: Line = serde_json::from_slice(line)?;
            entry.transactions.extend(line.txn.map(|txn| (txn.app_id, txn.version)));
            entry.added.extend(line.add.map(|file| file.path));
            entry.removed.extend(line.remove.map(|file| file.path));
            entry.advance = entry.advance.or(line.about.and_then(|about| about.surety_advance));
            entry.changes_table |= line.metadata.is_some() || line.protocol.is_some();
        }
        Ok(entry)
    }
}

#[derive(Deserialize)]
struct Line {
    txn: Option<TransactionLine>,
    add: Option<FileLine>,
    remove: Option<FileLine>,
    #[serde(rename = "commitInfo")]
    about: Option<AboutLine>,
    #[serde(rename = "metaData")]
    metadata: Option<IgnoredAny>,
    protocol: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TransactionLine {
    app_id: String,
    version: i64,
}

#[derive(Deserialize)]
struct FileLine {
    path: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AboutLine {
    surety_advance: Option<String>,
}

/// The log of one table.
#[derive(Clone, Debug)]
pub(crate) struct TableLog {
    pub(crate) table: Table,
    backing: Backing,
}

/// Where entries and files are.
#[derive(Clone, Debug)]
pub(crate) enum Backing {
    Stored(Stored),
    #[cfg(any(test, feature = "faults"))]
    Modelled(Model),
}

/// A folder of a storage, in the form of Delta Lake.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    /// The table's folder.
    pub(crate) store: Arc<dyn ObjectStore>,
    /// The same for the library.
    pub(crate) delta: LogStoreRef,
}

impl TableLog {
    pub(crate) fn new(table: Table, root: &Arc<dyn ObjectStore>, lake: &Url) -> Self {
        let url = lake.join(&format!("{}/", table.name())).expect("a table's name is a word");
        let path = Path::from_url_path(url.path()).expect("made of a location's path and a word");
        let store: Arc<dyn ObjectStore> = Arc::new(PrefixStore::new(Arc::clone(root), path));
        let config = StorageConfig::default();
        let delta = default_logstore(Arc::clone(&store), Arc::clone(root), &url, &config);
        Self { table, backing: Backing::Stored(Stored { store, delta }) }
    }

    /// The log as a simulation's model of it has it.
    #[cfg(any(test, feature = "faults"))]
    pub(crate) fn modelled(table: Table, model: Model) -> Self {
        Self { table, backing: Backing::Modelled(model) }
    }

    pub(crate) fn backing(&self) -> &Backing {
        &self.backing
    }

    /// The folder, for what is done with files and with the library. A simulation's model has none, and
    /// does nothing of the kind.
    pub(crate) fn stored(&self) -> &Stored {
        match &self.backing {
            Backing::Stored(stored) => stored,
            #[cfg(any(test, feature = "faults"))]
            Backing::Modelled(_) => panic!("{}: a model has no folder", self.table.name()),
        }
    }

    /// The newest version and its marks; `None` if there is no table.
    pub(crate) async fn newest(&self) -> Result<Option<State>, LakeError> {
        let unreadable = |cause| LakeError::Unavailable { table: self.table, cause };
        #[cfg(any(test, feature = "faults"))]
        if let Backing::Modelled(model) = &self.backing {
            return model.newest(self.table).await.map_err(|cause| unreadable(cause.into()));
        }
        let listing = self.list().await.map_err(unreadable)?;
        let Some(version) = listing.newest() else {
            return Ok(None);
        };
        let mut recorded = Recorded::default();
        for path in listing.checkpoint_files() {
            let bytes = self.get(path).await.map_err(unreadable)?;
            note_checkpoint(bytes, &mut recorded).map_err(unreadable)?;
        }
        let tail = listing.tail().map_err(unreadable)?;
        let entries = tail.end - tail.start;
        let read = async |version| (version, self.entry(version).await);
        let mut read = stream::iter(tail).map(read).buffered(READ_AT_ONCE);
        while let Some((version, entry)) = read.next().await {
            let entry = entry.map_err(unreadable)?.ok_or_else(|| {
                unreadable(Reason(format!("wanted log entry {version}, found none")).into())
            })?;
            for (app_id, version) in entry.transactions {
                recorded.note(&app_id, version);
            }
        }
        Ok(Some(State { version, recorded, entries }))
    }

    /// The bytes of the entry that makes `version`; `None` if there is none.
    pub(crate) async fn entry_bytes(
        &self,
        version: Version,
    ) -> object_store::Result<Option<Bytes>> {
        #[cfg(any(test, feature = "faults"))]
        if let Backing::Modelled(model) = &self.backing {
            return model.entry_bytes(self.table, version).await;
        }
        self.get_if_there(&entry_path(version)).await
    }

    /// The bytes of a file in the table's folder; `None` if there is none.
    pub(crate) async fn get_if_there(&self, path: &Path) -> object_store::Result<Option<Bytes>> {
        #[cfg(any(test, feature = "faults"))]
        if let Backing::Modelled(model) = &self.backing {
            return model.get_if_there(self.table, path).await;
        }
        match self.stored().store.get(path).await {
            Ok(found) => Ok(Some(found.bytes().await?)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A file of the table with its rows.
    pub(crate) async fn file(&self, path: &str) -> Result<(Bytes, Vec<RecordBatch>), Cause> {
        #[cfg(any(test, feature = "faults"))]
        if let Backing::Modelled(model) = &self.backing {
            let (bytes, rows) = model.file(self.table, path).await?;
            return Ok((bytes, vec![rows]));
        }
        let bytes = self.get(&Path::from(path)).await?;
        let rows = rows_of(bytes.clone())?;
        Ok((bytes, rows))
    }

    /// The entry that makes `version`; `None` if there is none.
    pub(crate) async fn entry(&self, version: Version) -> Result<Option<Entry>, Cause> {
        #[cfg(any(test, feature = "faults"))]
        if let Backing::Modelled(model) = &self.backing {
            return Ok(model.entry(self.table, version).await?);
        }
        match self.entry_bytes(version).await? {
            Some(bytes) => Ok(Some(Entry::parse(&bytes)?)),
            None => Ok(None),
        }
    }

    /// Whether the entry that makes `version` is still there.
    pub(crate) async fn has_entry(&self, version: Version) -> object_store::Result<bool> {
        #[cfg(any(test, feature = "faults"))]
        if let Backing::Modelled(model) = &self.backing {
            return model.has_entry(self.table, version).await;
        }
        match self.stored().store.head(&entry_path(version)).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Writes the entry that makes `version`, if there is none.
    pub(crate) async fn put_entry(
        &self,
        version: Version,
        bytes: Bytes,
    ) -> object_store::Result<()> {
        #[cfg(any(test, feature = "faults"))]
        if let Backing::Modelled(model) = &self.backing {
            return model.put_entry(self.table, version, bytes).await;
        }
        let store = &self.stored().store;
        store.put_opts(&entry_path(version), bytes.into(), PutMode::Create.into()).await?;
        Ok(())
    }

    /// Stores data files. Storing one again changes nothing: its name says what is in it.
    pub(crate) async fn put_files(&self, files: &[EncodedFile]) -> object_store::Result<()> {
        #[cfg(any(test, feature = "faults"))]
        if let Backing::Modelled(model) = &self.backing {
            return model.put_files(self.table, files).await;
        }
        let store = &self.stored().store;
        let puts = files.iter().map(async |file| {
            store.put(&Path::from(file.path.as_str()), file.bytes.clone().into()).await
        });
        try_join_all(puts).await?;
        Ok(())
    }

    async fn get(&self, path: &Path) -> Result<Bytes, Cause> {
        Ok(self.stored().store.get(path).await?.bytes().await?)
    }

    /// The version of the newest checkpoint; 0 if there is none.
    pub(crate) async fn newest_checkpoint(&self) -> object_store::Result<Version> {
        let pointer = self.get_if_there(&in_log(POINTER)).await?;
        let told = pointer.and_then(|bytes| Pointer::parse(&bytes).ok());
        Ok(told.map_or(0, |told| told.version))
    }

    async fn list(&self) -> Result<Listing, Cause> {
        let folder = Path::from("_delta_log");
        // It saves reading, and no more: without it the whole log is listed.
        let from = self.newest_checkpoint().await.unwrap_or(0);
        // Names sort by version; this one sorts before all of its version.
        let before = folder.clone().join(format!("{from:020}"));
        let mut listing = Listing::default();
        let mut files = self.stored().store.list_with_offset(Some(&folder), &before);
        while let Some(file) = files.try_next().await? {
            listing.note(file.location);
        }
        Ok(listing)
    }
}

/// The rows of a Parquet file.
pub(crate) fn rows_of(bytes: Bytes) -> Result<Vec<RecordBatch>, Cause> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)?.build()?;
    Ok(reader.collect::<Result<_, _>>()?)
}

/// What `read` finds of the versions from `first` on, up to the newest. So many as are `expected`, and the one
/// after them, are asked for at once, then two, and twice as many each time: workers that commit next to each
/// other would wait for a storage as often as they are.
///
/// # Errors
///
/// The first of `read`.
pub(crate) async fn up_to_newest<T, E, F>(
    first: Version,
    expected: usize,
    read: impl Fn(Version) -> F,
) -> Result<Vec<T>, E>
where
    F: Future<Output = Result<Option<T>, E>>,
{
    let (mut found, mut at, mut windows) = (Vec::new(), first, [expected + 1, 2]);
    loop {
        let next = at + windows[0].min(READ_AT_ONCE) as Version;
        for one in join_all((at..next).map(&read)).await {
            match one? {
                Some(one) => found.push(one),
                None => return Ok(found),
            }
        }
        at = next;
        windows = [windows[1], (2 * windows[1]).min(READ_AT_ONCE)];
    }
}

/// Where the entry that makes `version` stands in the table's folder.
fn entry_path(version: Version) -> Path {
    in_log(&format!("{version:020}.json"))
}

fn note_checkpoint(bytes: Bytes, recorded: &mut Recorded) -> Result<(), Cause> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)?;
    let wanted = ProjectionMask::columns(reader.parquet_schema(), ["txn.appId", "txn.version"]);
    for batch in reader.with_projection(wanted).build()? {
        let batch = batch?;
        let Some(transactions) = batch.column_by_name("txn").and_then(|txn| txn.as_struct_opt())
        else {
            continue;
        };
        let (Some(ids), Some(versions)) =
            (transactions.column_by_name("appId"), transactions.column_by_name("version"))
        else {
            return Err(Reason("wanted appId and version in a checkpoint's txn".into()).into());
        };
        let (ids, versions) = (ids.as_string::<i32>(), versions.as_primitive::<Int64Type>());
        for row in (0..transactions.len()).filter(|row| transactions.is_valid(*row)) {
            recorded.note(ids.value(row), versions.value(row));
        }
    }
    Ok(())
}

/// The files of a log, from its last checkpoint on.
#[derive(Default)]
struct Listing {
    entries: Vec<Version>,
    /// The files of each checkpoint, and of how many files it consists.
    checkpoints: BTreeMap<Version, (Vec<Path>, usize)>,
}

impl Listing {
    fn note(&mut self, path: Path) {
        let Some(name) = path.filename() else { return };
        let parts: Vec<&str> = name.split('.').collect();
        let Some(Ok(version)) = parts.first().map(|part| part.parse::<Version>()) else { return };
        let files = match parts[1..] {
            ["json"] => {
                self.entries.push(version);
                return;
            }
            ["checkpoint", "parquet"] => 1,
            ["checkpoint", _, files, "parquet"] => match files.parse() {
                Ok(files) => files,
                Err(_) => return,
            },
            _ => return,
        };
        let checkpoint = self.checkpoints.entry(version).or_default();
        checkpoint.1 = files;
        checkpoint.0.push(path);
    }

    /// The newest checkpoint of which all files are there.
    fn checkpoint(&self) -> Option<(Version, &[Path])> {
        let complete = |(version, (paths, files)): (&Version, &(Vec<Path>, usize))| {
            (*files == paths.len()).then_some(*version)
        };
        let version = self.checkpoints.iter().rev().find_map(complete)?;
        Some((version, &self.checkpoints[&version].0))
    }

    fn checkpoint_files(&self) -> &[Path] {
        self.checkpoint().map_or(&[], |(_, paths)| paths)
    }

    fn newest(&self) -> Option<Version> {
        let checkpoint = self.checkpoint().map(|(version, _)| version);
        self.entries.iter().copied().max().max(checkpoint)
    }

    /// The versions after the checkpoint.
    fn tail(&self) -> Result<std::ops::Range<Version>, Cause> {
        let start = self.checkpoint().map_or(0, |(version, _)| version + 1);
        let tail = start..self.newest().map_or(start, |newest| newest + 1).max(start);
        let found = self.entries.iter().filter(|version| tail.contains(version)).count();
        let wanted = tail.clone().count();
        if found != wanted {
            return Err(
                Reason(format!("wanted {wanted} log entries from {start}, found {found}")).into()
            );
        }
        Ok(tail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(names: &[&str]) -> Listing {
        let mut listing = Listing::default();
        for name in names {
            listing.note(Path::from(format!("_delta_log/{name}")));
        }
        listing
    }

    #[test]
    fn a_log_is_read_from_its_newest_complete_checkpoint() {
        let log = listing(&[
            "00000000000000000001.checkpoint.parquet",
            "00000000000000000001.json",
            "00000000000000000002.json",
            "00000000000000000003.checkpoint.0000000001.0000000002.parquet",
            "00000000000000000003.json",
            "00000000000000000004.json.tmp",
            "_last_checkpoint",
        ]);

        assert_eq!(log.newest(), Some(3));
        assert_eq!(log.tail().unwrap(), 2..4);
        assert_eq!(log.checkpoint_files().len(), 1);
    }

    #[test]
    fn a_log_with_a_hole_is_an_error() {
        assert!(
            listing(&["00000000000000000000.json", "00000000000000000002.json"]).tail().is_err()
        );
        assert!(listing(&["00000000000000000007.json"]).tail().is_err());
        assert_eq!(listing(&[]).newest(), None);
    }
}
