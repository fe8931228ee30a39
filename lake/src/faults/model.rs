//! [`Model`]: a lake as its logs define it, without their form: entries that are put if absent, and rows
//! under the names of files.
//!
//! Invariant: what is asked of a [`TableLog`](crate::log::TableLog) is answered as a Delta log over a
//! storage answers it: an entry lands only as the version after the newest one, marks are those of the
//! entries, a file that is stored twice is one file. An operation is one of the storage in kind and path,
//! so the same test decides what becomes of it; where the storage needs many (a log that is listed and
//! read), the model has one.
//!
//! What writes and seals over it is the code that does so over a storage. In its place: Parquet (a file is
//! its rows, and its bytes are a hash of them), the Delta library and DataFusion, who read here what the
//! model knows. `src/pipeline/tests/simulation/differential.rs` holds the two against each other.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use arrow::array::{Array as _, ArrayData, AsArray as _, RecordBatch, UInt32Array};
use arrow::compute::{
    SortColumn, SortOptions, concat_batches, filter_record_batch, lexsort_to_indices,
    take_record_batch,
};
use arrow::error::ArrowError;
use bytes::Bytes;
use datafusion::common::DFSchema;
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, lit};
use datafusion::physical_expr::create_physical_expr;
use object_store::path::Path;
use object_store::{Error, Result};
use ring::digest::{Context, SHA256};
use schemas::Table;

use super::{Fates, Kind};
use crate::advance::Recorded;
use crate::log::{Entry, State, Version};
use crate::{Cause, EncodedFile};

/// A model as one process sees it.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    tables: Tables,
    fates: Fates,
}

/// What is stored. A clone is the same storage.
#[derive(Clone, Debug, Default)]
pub(super) struct Tables(Arc<Mutex<BTreeMap<Table, Stored>>>);

#[derive(Debug, Default)]
struct Stored {
    entries: Vec<Arc<Written>>,
    recorded: Recorded,
    /// Whether part of the table or not.
    files: BTreeMap<String, (Bytes, RecordBatch)>,
}

#[derive(Debug)]
struct Written {
    bytes: Bytes,
    entry: Entry,
}

impl Tables {
    fn with<T>(&self, table: Table, work: impl FnOnce(&mut Stored) -> T) -> T {
        let mut tables = self.0.lock().expect("nobody panics with it");
        work(tables.entry(table).or_default())
    }
}

impl Stored {
    fn put(&mut self, path: &str, version: Version, bytes: Bytes) -> Result<()> {
        let next = self.entries.len() as u64;
        if version < next {
            return Err(Error::AlreadyExists {
                path: path.to_owned(),
                source: "it is there".into(),
            });
        }
        assert_eq!(version, next, "{path}: an entry comes right after the newest one");
        let entry = Entry::parse(&bytes).expect("whoever writes an entry can read it");
        for (app_id, at) in &entry.transactions {
            self.recorded.note(app_id, *at);
        }
        self.entries.push(Arc::new(Written { bytes, entry }));
        Ok(())
    }

    fn entry(&self, version: Version) -> Option<&Arc<Written>> {
        self.entries.get(usize::try_from(version).ok()?)
    }

    /// The files of the newest version, in the order in which they were added.
    fn live(&self) -> Result<Vec<(String, RecordBatch)>> {
        let mut live = Vec::new();
        for Written { entry, .. } in self.entries.iter().map(AsRef::as_ref) {
            assert!(entry.removed.is_empty(), "nobody merges files of a model");
            for path in &entry.added {
                live.push((path.clone(), self.file(path)?.1.clone()));
            }
        }
        Ok(live)
    }

    fn file(&self, path: &str) -> Result<&(Bytes, RecordBatch)> {
        let missing = || Error::NotFound { path: path.to_owned(), source: "no such file".into() };
        self.files.get(path).ok_or_else(missing)
    }
}

fn log_path(table: Table) -> String {
    format!("lake/{}/_delta_log", table.name())
}

fn entry_path(table: Table, version: Version) -> String {
    format!("lake/{}/_delta_log/{version:020}.json", table.name())
}

impl Model {
    pub(super) fn new(tables: Tables, fates: Fates) -> Self {
        Self { tables, fates }
    }

    /// The table's own id. It is the same in every model, and each lake has checkpoints of its own.
    pub(crate) fn id(table: Table) -> String {
        format!("{}-of-a-model", table.name().replace('_', "-"))
    }

    pub(crate) async fn make(&self, table: Table) -> Result<()> {
        let metadata = format!("{{\"metaData\":{{\"id\":\"{}\"}}}}", Self::id(table));
        self.put_entry(table, 0, metadata.into()).await
    }

    pub(crate) async fn newest(&self, table: Table) -> Result<Option<State>> {
        self.fates.turn_to_read(Kind::List, &log_path(table)).await?;
        Ok(self.tables.with(table, |stored| {
            let version = stored.entries.len().checked_sub(1)?;
            let (recorded, entries) = (stored.recorded.clone(), stored.entries.len() as u64);
            Some(State { version: version as u64, recorded, entries })
        }))
    }

    pub(crate) async fn has_entry(&self, table: Table, version: Version) -> Result<bool> {
        self.fates.turn_to_read(Kind::Look, &entry_path(table, version)).await?;
        Ok(self.tables.with(table, |stored| stored.entry(version).is_some()))
    }

    async fn written(&self, table: Table, version: Version) -> Result<Option<Arc<Written>>> {
        self.fates.turn_to_read(Kind::Read, &entry_path(table, version)).await?;
        Ok(self.tables.with(table, |stored| stored.entry(version).cloned()))
    }

    pub(crate) async fn entry(&self, table: Table, version: Version) -> Result<Option<Entry>> {
        let written = self.written(table, version).await?;
        Ok(written.map(|written| written.entry.clone()))
    }

    pub(crate) async fn entry_bytes(
        &self,
        table: Table,
        version: Version,
    ) -> Result<Option<Bytes>> {
        let written = self.written(table, version).await?;
        Ok(written.map(|written| written.bytes.clone()))
    }

    /// There are files of a log beside its entries only where it was checkpointed, which no model is.
    pub(crate) async fn get_if_there(&self, table: Table, path: &Path) -> Result<Option<Bytes>> {
        let whole = format!("lake/{}/{path}", table.name());
        self.fates.turn_to_read(Kind::Read, &whole).await?;
        Ok(None)
    }

    pub(crate) async fn put_entry(
        &self,
        table: Table,
        version: Version,
        bytes: Bytes,
    ) -> Result<()> {
        let path = entry_path(table, version);
        let fate = self.fates.turn(Kind::Create, &path).await?;
        self.tables.with(table, |stored| stored.put(&path, version, bytes))?;
        self.fates.answer(fate, Kind::Create, &path, ()).await
    }

    pub(crate) async fn put_files(&self, table: Table, files: &[EncodedFile]) -> Result<()> {
        for file in files {
            let path = format!("lake/{}/{}", table.name(), file.path);
            let fate = self.fates.turn(Kind::Write, &path).await?;
            let rows = file.held.clone().expect("a model's files hold their rows");
            let content = (file.bytes.clone(), rows);
            self.tables.with(table, |stored| stored.files.insert(file.path.clone(), content));
            self.fates.answer(fate, Kind::Write, &path, ()).await?;
        }
        Ok(())
    }

    /// Bytes and rows of a file.
    pub(crate) async fn file(&self, table: Table, path: &str) -> Result<(Bytes, RecordBatch)> {
        let whole = format!("lake/{}/{path}", table.name());
        self.fates.turn_to_read(Kind::Read, &whole).await?;
        self.tables.with(table, |stored| stored.file(path).cloned())
    }

    /// The newest version, with the rows of each of its files.
    pub(crate) async fn rows(
        &self,
        table: Table,
    ) -> Result<Option<(Version, Vec<(String, RecordBatch)>)>> {
        let Some(State { version, .. }) = self.newest(table).await? else { return Ok(None) };
        self.fates.turn_to_read(Kind::Read, &entry_path(table, version)).await?;
        let live = self.tables.with(table, |stored| stored.live())?;
        Ok(Some((version, live)))
    }
}

/// The rows that are wanted.
pub(crate) fn filtered(
    table: Table,
    rows: Vec<RecordBatch>,
    wanted: &Expr,
) -> Result<Vec<RecordBatch>, Cause> {
    if *wanted == lit(true) || rows.is_empty() {
        return Ok(rows);
    }
    let rows = concat_batches(&table.arrow_schema(), &rows)?;
    let schema = DFSchema::try_from(rows.schema())?;
    let wanted = create_physical_expr(
        wanted,
        &schema,
        &ExecutionProps::new(),
        &PhysicalPlanningContext::default(),
    )?;
    let wanted = wanted.evaluate(&rows)?.into_array(rows.num_rows())?;
    Ok(vec![filter_record_batch(&rows, wanted.as_boolean())?])
}

/// The rows sorted by these columns, rows that have none of it before others.
pub(crate) fn sorted(
    table: Table,
    rows: &[RecordBatch],
    order: &[&str],
) -> Result<RecordBatch, ArrowError> {
    let rows = concat_batches(&table.arrow_schema(), rows)?;
    let options = Some(SortOptions { descending: false, nulls_first: true });
    let column = |name: &&str| SortColumn { values: Arc::clone(&rows[*name]), options };
    let order: UInt32Array =
        lexsort_to_indices(&order.iter().map(column).collect::<Vec<_>>(), None)?;
    take_record_batch(&rows, &order)
}

/// What stands for the bytes of a file with these rows: equal for equal ones.
pub(crate) fn bytes_of(rows: &RecordBatch) -> Bytes {
    let mut hasher = Context::new(&SHA256);
    for column in rows.columns() {
        note(&column.to_data(), &mut hasher);
    }
    Bytes::copy_from_slice(hasher.finish().as_ref())
}

fn note(column: &ArrayData, hasher: &mut Context) {
    hasher.update(&(column.len() as u64).to_le_bytes());
    if let Some(nulls) = column.nulls() {
        for row in 0..column.len() {
            hasher.update(&[u8::from(nulls.is_null(row))]);
        }
    }
    for buffer in column.buffers() {
        hasher.update(buffer.as_slice());
    }
    for child in column.child_data() {
        note(child, hasher);
    }
}
