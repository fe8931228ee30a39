//! [`Lake`]: a location with its tables.
//!
//! Invariant: a table that this process has seen is never taken for one that was never made.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::catalog::TableProvider;
use deltalake::DeltaTable;
use deltalake::kernel::EagerSnapshot;
use object_store::ObjectStore;
use schemas::{Offsets, Table};
use tokio::sync::Mutex;
use url::Url;

#[cfg(any(test, feature = "faults"))]
use crate::faults::Model;
use crate::log::{State, TableLog, Version};
use crate::provider::{ReadOnly, WithRows};
use crate::{LakeError, Location, StoreOptions, TableHandle, rows_from, schema};

/// A location with its tables. A clone is the same lake.
#[derive(Clone)]
pub struct Lake(Arc<Shared>);

struct Shared {
    url: Url,
    root: Arc<dyn ObjectStore>,
    /// What stands for the storage in a simulation.
    #[cfg(any(test, feature = "faults"))]
    model: Option<Model>,
    readers: BTreeMap<Table, Mutex<Reader>>,
}

/// A table as it was when it was last looked at; kept, so that the next look reads only what is new
/// in the log.
#[derive(Default)]
struct Reader {
    delta: Option<DeltaTable>,
    /// The marks, at the version of `delta` or before; only where somebody asked for them.
    state: Option<State>,
}

impl Lake {
    /// Opens a lake; nothing is read or made yet. A table is made at its first commit.
    ///
    /// # Errors
    ///
    /// [`LakeError::Options`] if the storage cannot be used with these options.
    pub fn open(location: &Location, options: &StoreOptions) -> Result<Self, LakeError> {
        Ok(Self::over(location, location.store(options)?))
    }

    /// Opens a lake over a storage that the caller made: `root` is the root of the storage, that of
    /// the bucket for instance. For tests that break the storage.
    pub fn over(location: &Location, root: Arc<dyn ObjectStore>) -> Self {
        Self(Arc::new(Shared {
            url: location.url().clone(),
            root,
            #[cfg(any(test, feature = "faults"))]
            model: None,
            readers: readers(),
        }))
    }

    /// A lake in a model of a storage.
    #[cfg(any(test, feature = "faults"))]
    pub(crate) fn modelled(location: &Location, model: Model) -> Self {
        let root: Arc<dyn ObjectStore> = Arc::new(object_store::memory::InMemory::new());
        let url = location.url().clone();
        Self(Arc::new(Shared { url, root, model: Some(model), readers: readers() }))
    }

    /// The root of the storage.
    pub(crate) fn root(&self) -> &dyn ObjectStore {
        self.0.root.as_ref()
    }

    pub(crate) fn url(&self) -> &Url {
        &self.0.url
    }

    fn log(&self, table: Table) -> TableLog {
        #[cfg(any(test, feature = "faults"))]
        if let Some(model) = &self.0.model {
            return TableLog::modelled(table, model.clone());
        }
        TableLog::new(table, &self.0.root, &self.0.url)
    }

    /// A table to write to, at its newest version.
    ///
    /// # Errors
    ///
    /// [`LakeError`]; a table that is not made yet is none.
    pub async fn table(&self, table: Table) -> Result<TableHandle, LakeError> {
        TableHandle::open(self.log(table)).await
    }

    /// A table to read, at its newest version; `None` if it is not made yet (then
    /// [`empty_provider`](crate::empty_provider) stands in).
    ///
    /// # Errors
    ///
    /// [`LakeError`].
    pub async fn provider(
        &self,
        table: Table,
    ) -> Result<Option<Arc<dyn TableProvider>>, LakeError> {
        match self.newest(table).await? {
            Some(snapshot) => Ok(Some(Arc::new(self.reading(table, snapshot)?))),
            None => Ok(None),
        }
    }

    /// The events of the newest version, and those of `live` that are not in it: each event once.
    ///
    /// `live` has the columns of [`Table::Events`]: rows that a pipeline has read and, as far as it
    /// knew, not committed. They are taken first and the table is opened afterwards, here, so what was
    /// committed in between is in the table, and is left out of `live` by the offsets of that version.
    ///
    /// # Errors
    ///
    /// [`LakeError`].
    pub async fn events_with(
        &self,
        live: Vec<RecordBatch>,
    ) -> Result<Arc<dyn TableProvider>, LakeError> {
        let table = Table::Events;
        let unavailable = |cause| LakeError::unavailable(table, cause);
        let (committed, offsets) = match self.newest_with_offsets(table).await? {
            Some((snapshot, offsets)) => (Some(self.reading(table, snapshot)?), offsets),
            None => (None, Offsets::default()),
        };
        let mut rows = Vec::with_capacity(live.len());
        for batch in &live {
            let rest = rows_from(batch, &offsets);
            rows.push(rest.map_err(|cause| LakeError::unavailable(table, cause))?);
        }
        rows.retain(|batch| batch.num_rows() != 0);
        Ok(Arc::new(WithRows::new(table, committed, rows).map_err(unavailable)?))
    }

    pub(crate) fn reading(
        &self,
        table: Table,
        snapshot: EagerSnapshot,
    ) -> Result<ReadOnly, LakeError> {
        let root = Arc::clone(&self.0.root);
        ReadOnly::new(table, snapshot, self.0.url.clone(), root)
            .map_err(|cause| LakeError::unavailable(table, cause))
    }

    pub(crate) fn reading_log(&self, table: Table) -> TableLog {
        self.log(table)
    }

    /// The newest version; `None` if the table is not made yet.
    pub(crate) async fn newest(&self, table: Table) -> Result<Option<EagerSnapshot>, LakeError> {
        let mut reader = self.0.readers[&table].lock().await;
        newest(&self.log(table), &mut reader.delta).await
    }

    /// The newest version and the offsets that it has recorded.
    pub(crate) async fn newest_with_offsets(
        &self,
        table: Table,
    ) -> Result<Option<(EagerSnapshot, Offsets)>, LakeError> {
        let log = self.log(table);
        let mut reader = self.0.readers[&table].lock().await;
        loop {
            let Some(snapshot) = newest(&log, &mut reader.delta).await? else { return Ok(None) };
            let state = state_at(&log, snapshot.version(), reader.state.take()).await?;
            let is_same = state.version == snapshot.version();
            let offsets = state.recorded.offsets.clone();
            reader.state = Some(state);
            if is_same {
                return Ok(Some((snapshot, offsets)));
            }
        }
    }
}

fn readers() -> BTreeMap<Table, Mutex<Reader>> {
    Table::ALL.iter().map(|table| (*table, Mutex::default())).collect()
}

/// What the table had recorded at `version`; what it has now, if the log does not tell any more.
async fn state_at(
    log: &TableLog,
    version: Version,
    known: Option<State>,
) -> Result<State, LakeError> {
    let table = log.table;
    let anew = async || log.newest().await?.ok_or(LakeError::Gone { table });
    let mut state = match known {
        Some(state) if state.version <= version => state,
        Some(_) | None => anew().await?,
    };
    while state.version < version {
        let next = state.version + 1;
        let entry = log.entry(next).await.map_err(|cause| LakeError::unavailable(table, cause))?;
        match entry {
            Some(entry) => state.note(next, entry.transactions),
            None => state = anew().await?,
        }
    }
    Ok(state)
}

/// The newest version, read on from `reader`.
async fn newest(
    log: &TableLog,
    reader: &mut Option<DeltaTable>,
) -> Result<Option<EagerSnapshot>, LakeError> {
    let table = log.table;
    let unavailable = |cause| LakeError::unavailable(table, cause);
    let known = reader.as_ref().and_then(DeltaTable::version);
    let (is_known, is_newest) = match known {
        Some(version) => stands(log, version).await?,
        None => (false, false),
    };
    if !is_known {
        match log.newest().await? {
            Some(newest) if known <= Some(newest.version) => {
                schema::check(log, newest.version).await?;
            }
            Some(_) | None if known.is_some() => return Err(LakeError::Gone { table }),
            Some(_) | None => return Ok(None),
        }
        *reader = None;
    }
    let delta = reader.get_or_insert_with(|| DeltaTable::new(Arc::clone(&log.stored().delta)));
    if !is_newest {
        delta.update_incremental(None).await.map_err(unavailable)?;
    }
    let state = delta.snapshot().map_err(unavailable)?;
    Ok(Some(state.snapshot().clone()))
}

/// Whether `version` is still in the log, and whether nothing comes after it: two look-ups, where
/// asking the library lists and reads the log since its last checkpoint.
async fn stands(log: &TableLog, version: Version) -> Result<(bool, bool), LakeError> {
    let has_entry = async |version| {
        let found = log.has_entry(version).await;
        found.map_err(|cause| LakeError::unavailable(log.table, cause))
    };
    let (is_known, has_next) = tokio::join!(has_entry(version), has_entry(version + 1));
    let (is_known, has_next) = (is_known?, has_next?);
    Ok((is_known, is_known && !has_next))
}

impl fmt::Debug for Lake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lake").field("url", &self.0.url.as_str()).finish_non_exhaustive()
    }
}
