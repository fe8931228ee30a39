//! [`Reading`]: one version of a table, and the rows of it that are wanted.
//!
//! Invariant: all rows are of the version that was the newest when it was opened.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::logical_expr::{Expr, col};
use datafusion::prelude::DataFrame;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use schemas::Table;

use crate::log::Version;
use crate::provider::ReadOnly;
use crate::scan::session;
use crate::{Lake, LakeError};

/// A version of a table.
pub(crate) struct Reading {
    table: Table,
    pub(crate) version: Version,
    rows: Rows,
}

enum Rows {
    Stored(Box<ReadOnly>),
    /// Those of each file, with its path.
    #[cfg(any(test, feature = "faults"))]
    Modelled(Vec<(String, RecordBatch)>),
}

impl Lake {
    /// The newest version of a table; `None` if it is not made yet.
    pub(crate) async fn reads(&self, table: Table) -> Result<Option<Reading>, LakeError> {
        #[cfg(any(test, feature = "faults"))]
        if let crate::log::Backing::Modelled(model) = self.reading_log(table).backing() {
            let found = model.rows(table).await;
            let found = found.map_err(|cause| LakeError::unavailable(table, cause))?;
            let of = |(version, rows)| Reading { table, version, rows: Rows::Modelled(rows) };
            return Ok(found.map(of));
        }
        let Some(snapshot) = self.newest(table).await? else { return Ok(None) };
        let version = snapshot.version();
        let rows = Rows::Stored(Box::new(self.reading(table, snapshot)?));
        Ok(Some(Reading { table, version, rows }))
    }
}

impl Reading {
    /// Only the rows in these files, where they are still part of the table.
    pub(crate) fn within(self, paths: Vec<String>) -> Self {
        let rows = match self.rows {
            Rows::Stored(reading) => Rows::Stored(Box::new(reading.within(paths))),
            #[cfg(any(test, feature = "faults"))]
            Rows::Modelled(mut rows) => {
                rows.retain(|(path, _)| paths.contains(path));
                Rows::Modelled(rows)
            }
        };
        Self { rows, ..self }
    }

    /// The rows that are `wanted`, in no order.
    pub(crate) async fn collect(self, wanted: Expr) -> Result<Vec<RecordBatch>, LakeError> {
        let table = self.table;
        let found = match self.rows {
            Rows::Stored(reading) => match frame(*reading, wanted) {
                Ok(frame) => frame.collect().await,
                Err(error) => Err(error),
            },
            #[cfg(any(test, feature = "faults"))]
            Rows::Modelled(rows) => {
                let rows: Vec<_> = rows.into_iter().map(|(_, rows)| rows).collect();
                let found = crate::faults::filtered(table, rows, &wanted);
                return found.map_err(|cause| LakeError::Unavailable { table, cause });
            }
        };
        found.map_err(|cause| LakeError::unavailable(table, cause))
    }

    /// The rows that are `wanted`, sorted by these columns, rows that have none of it before others: the
    /// first of a record has no number.
    pub(crate) async fn stream(
        self,
        wanted: Expr,
        order: &[&str],
    ) -> Result<BoxStream<'static, Result<RecordBatch, LakeError>>, LakeError> {
        let table = self.table;
        let unavailable = move |cause| LakeError::unavailable(table, cause);
        match self.rows {
            Rows::Stored(reading) => {
                let frame = frame(*reading, wanted).and_then(|frame| {
                    frame.sort(order.iter().map(|name| col(*name).sort(true, true)).collect())
                });
                let stream = frame.map_err(unavailable)?.execute_stream().await;
                Ok(stream.map_err(unavailable)?.map_err(unavailable).boxed())
            }
            #[cfg(any(test, feature = "faults"))]
            Rows::Modelled(_) => {
                let found = self.collect(wanted).await?;
                let sorted = crate::faults::sorted(table, &found, order);
                let sorted = sorted.map_err(|cause| LakeError::unavailable(table, cause));
                Ok(futures::stream::iter([sorted]).boxed())
            }
        }
    }
}

fn frame(reading: ReadOnly, wanted: Expr) -> datafusion::error::Result<DataFrame> {
    session()?.read_table(Arc::new(reading))?.filter(wanted)
}
