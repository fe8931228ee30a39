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
use datafusion::common::ScalarValue;
use datafusion::datasource::MemTable;
use datafusion::datasource::empty::EmptyTable;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::ProjectionExec;
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
    /// With the columns that the table has.
    scan: DeltaScanNext,
    schema: SchemaRef,
    /// Where each column of ours is among those; `None` for one that a table of an earlier release lacks,
    /// which is null.
    places: Vec<Option<usize>>,
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
        let (schema, found) = (table.arrow_schema(), snapshot.arrow_schema());
        let is_there = |at: &usize| found.index_of(schema.field(*at).name()).is_ok();
        let known: Vec<usize> = (0..schema.fields().len()).filter(is_there).collect();
        let place = |at: usize| known.iter().position(|one| *one == at);
        let places = (0..schema.fields().len()).map(place).collect();
        let config = DeltaScanConfig {
            file_column_name: None,
            wrap_partition_values: false,
            enable_parquet_pushdown: true,
            schema_force_view_types: false,
            schema: Some(Arc::new(schema.project(&known)?)),
        };
        Ok(Self { scan: DeltaScanNext::new(snapshot, config)?, schema, places, lake, root })
    }

    fn is_narrow(&self) -> bool {
        self.places.contains(&None)
    }

    /// Whether a filter asks only for columns that the table has.
    fn can_tell(&self, filter: &Expr) -> bool {
        filter.column_refs().iter().all(|column| {
            let at = self.schema.index_of(column.name());
            at.is_ok_and(|at| self.places[at].is_some())
        })
    }

    /// As [`scan`](TableProvider::scan), of a table that lacks columns.
    async fn scan_narrow(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all = (0..self.places.len()).collect();
        let wanted = projection.unwrap_or(&all);
        let known: Vec<usize> = wanted.iter().filter_map(|at| self.places[*at]).collect();
        let rows = self.scan.scan(session, Some(&known), filters, limit).await?;
        let mut next = 0;
        let mut columns: Vec<(Arc<dyn PhysicalExpr>, String)> = Vec::new();
        for at in wanted {
            let field = self.schema.field(*at);
            let value: Arc<dyn PhysicalExpr> = if self.places[*at].is_some() {
                next += 1;
                Arc::new(Column::new(field.name(), next - 1))
            } else {
                Arc::new(Literal::new(ScalarValue::try_from(field.data_type())?))
            };
            columns.push((value, field.name().clone()));
        }
        Ok(Arc::new(ProjectionExec::try_new(columns, rows)?))
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
        SchemaRef::clone(&self.schema)
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
        if self.is_narrow() {
            return self.scan_narrow(session, projection, filters, limit).await;
        }
        self.scan.scan(session, projection, filters, limit).await
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let mut supported = self.scan.supports_filters_pushdown(filters)?;
        for (filter, supported) in filters.iter().zip(&mut supported) {
            if !self.can_tell(filter) {
                *supported = TableProviderFilterPushDown::Unsupported;
            }
        }
        Ok(supported)
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
