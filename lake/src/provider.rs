//! Tables as DataFusion sees them.
//!
//! Invariant (Q1): what is handed out can be read and not written; and its columns have exactly
//! the names, order and types of [`Table::arrow_schema`], whether the table is there or not.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::MemTable;
use datafusion::datasource::empty::EmptyTable;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::union::UnionExec;
use deltalake::delta_datafusion::{DeltaScanConfig, DeltaScanNext};
use deltalake::kernel::EagerSnapshot;
use object_store::ObjectStore;
use schemas::Table;
use url::Url;

/// A table without rows, for one that is not made yet.
pub fn empty_provider(table: Table) -> Arc<dyn TableProvider> {
    Arc::new(EmptyTable::new(table.arrow_schema()))
}

/// One version of a table.
pub(crate) struct ReadOnly {
    scan: DeltaScanNext,
    /// The lake, and its storage from the root on: what a session must know to read the files.
    lake: Url,
    root: Arc<dyn ObjectStore>,
}

impl ReadOnly {
    pub(crate) fn new(
        table: Table,
        snapshot: EagerSnapshot,
        lake: Url,
        root: Arc<dyn ObjectStore>,
    ) -> Result<Self> {
        let config = DeltaScanConfig {
            file_column_name: None,
            wrap_partition_values: false,
            enable_parquet_pushdown: true,
            schema_force_view_types: false,
            schema: Some(table.arrow_schema()),
        };
        Ok(Self { scan: DeltaScanNext::new(snapshot, config)?, lake, root })
    }

    /// Only the rows in these files, where they are still part of the table.
    pub(crate) fn within(self, paths: Vec<String>) -> Self {
        use deltalake::delta_datafusion::{FileSelection, MissingSelectedFilePolicy};
        let files = FileSelection::from_file_paths(paths)
            .with_missing_file_policy(MissingSelectedFilePolicy::Ignore);
        Self { scan: self.scan.with_file_selection(files), ..self }
    }
}

impl fmt::Debug for ReadOnly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadOnly").field("scan", &self.scan).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for ReadOnly {
    fn schema(&self) -> SchemaRef {
        self.scan.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let runtime = session.runtime_env();
        if runtime.object_store_registry.get_store(&self.lake).is_err() {
            runtime.register_object_store(&self.lake, Arc::clone(&self.root));
        }
        self.scan.scan(session, projection, filters, limit).await
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        self.scan.supports_filters_pushdown(filters)
    }
}

/// One version of a table, if it is made, and rows that are not in it.
#[derive(Debug)]
pub(crate) struct WithRows {
    committed: Option<ReadOnly>,
    rows: MemTable,
}

impl WithRows {
    pub(crate) fn new(
        table: Table,
        committed: Option<ReadOnly>,
        rows: Vec<RecordBatch>,
    ) -> Result<Self> {
        Ok(Self { committed, rows: MemTable::try_new(table.arrow_schema(), vec![rows])? })
    }
}

#[async_trait]
impl TableProvider for WithRows {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let rows = self.rows.scan(session, projection, filters, limit).await?;
        let Some(committed) = &self.committed else { return Ok(rows) };
        let committed = committed.scan(session, projection, filters, limit).await?;
        UnionExec::try_new(vec![committed, rows])
    }

    /// No filter is exact: the rows in memory are not filtered here.
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        use TableProviderFilterPushDown::{Exact, Inexact, Unsupported};
        let Some(committed) = &self.committed else {
            return Ok(vec![Unsupported; filters.len()]);
        };
        let supported = committed.supports_filters_pushdown(filters)?;
        let with_rows = |one| match one {
            Exact | Inexact => Inexact,
            Unsupported => Unsupported,
        };
        Ok(supported.into_iter().map(with_rows).collect())
    }
}

#[cfg(test)]
mod tests;
