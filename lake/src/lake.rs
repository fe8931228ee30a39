//! [`Lake`]: a location with its tables.
//!
//! Invariant: a table that this process has seen is never taken for one that was never made.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use deltalake::DeltaTable;
use deltalake::kernel::EagerSnapshot;
use object_store::ObjectStore;
use schemas::Table;
use tokio::sync::Mutex;
use url::Url;

use crate::log::{TableLog, Version};
use crate::provider::ReadOnly;
use crate::{LakeError, Location, StoreOptions, TableHandle, schema};

/// A location with its tables. A clone is the same lake.
#[derive(Clone)]
pub struct Lake(Arc<Shared>);

struct Shared {
    url: Url,
    root: Arc<dyn ObjectStore>,
    /// Each table at the newest version that was read; kept, so that the next look reads only what
    /// is new in the log.
    readers: BTreeMap<Table, Mutex<Option<DeltaTable>>>,
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
        let readers = Table::ALL.iter().map(|table| (*table, Mutex::new(None))).collect();
        Self(Arc::new(Shared { url: location.url().clone(), root, readers }))
    }

    fn log(&self, table: Table) -> TableLog {
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
        let unavailable = |cause| LakeError::unavailable(table, cause);
        let log = self.log(table);
        let mut reader = self.0.readers[&table].lock().await;
        let known = reader.as_ref().and_then(DeltaTable::version);
        let (is_known, is_newest) = match known {
            Some(version) => stands(&log, version).await?,
            None => (false, false),
        };
        if !is_known {
            match log.newest().await? {
                Some(newest) if known <= Some(newest.version) => {
                    schema::check(&log, newest.version).await?;
                }
                Some(_) | None if known.is_some() => return Err(LakeError::Gone { table }),
                Some(_) | None => return Ok(None),
            }
            *reader = None;
        }
        let delta = reader.get_or_insert_with(|| DeltaTable::new(Arc::clone(&log.delta)));
        if !is_newest {
            delta.update_incremental(None).await.map_err(unavailable)?;
        }
        let state = delta.snapshot().map_err(unavailable)?;
        Ok(Some(state.snapshot().clone()))
    }
}

/// Whether `version` is still in the log, and whether nothing comes after it: two look-ups, where
/// asking the library lists and reads the log since its last checkpoint.
async fn stands(log: &TableLog, version: Version) -> Result<(bool, bool), LakeError> {
    let has_entry = async |version| {
        let found = log.has_entry(version).await;
        found.map_err(|cause| LakeError::unavailable(log.table, cause))
    };
    let is_known = has_entry(version).await?;
    Ok((is_known, is_known && !has_entry(version + 1).await?))
}

impl fmt::Debug for Lake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lake").field("url", &self.0.url.as_str()).finish_non_exhaustive()
    }
}
