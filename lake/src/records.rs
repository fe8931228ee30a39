//! [`Lake::read_records`]: the rows that came of given records.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::logical_expr::{Expr, col, lit};
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use schemas::{KafkaPartition, OffsetRange, Table, Topic};

use crate::scan::session;
use crate::{Lake, LakeError};

impl Lake {
    /// The rows of `events` or `rejects` that came of the records in `ranges`, in no order, with the
    /// columns of the table.
    ///
    /// # Errors
    ///
    /// [`LakeError`], also in the stream.
    pub async fn read_records(
        &self,
        table: Table,
        ranges: &[(Topic, KafkaPartition, OffsetRange)],
    ) -> Result<BoxStream<'static, Result<RecordBatch, LakeError>>, LakeError> {
        let unavailable = move |cause| LakeError::unavailable(table, cause);
        let Some(snapshot) = self.newest(table).await? else {
            return Ok(futures::stream::empty().boxed());
        };
        let reading = Arc::new(self.reading(table, snapshot)?);
        let wanted = ranges.iter().map(is_within).reduce(Expr::or).unwrap_or_else(|| lit(false));
        let frame = session().and_then(|session| session.read_table(reading));
        let frame = frame.and_then(|frame| frame.filter(wanted)).map_err(unavailable)?;
        let stream = frame.execute_stream().await.map_err(unavailable)?;
        let schema = table.arrow_schema();
        let ours = move |batch: RecordBatch| {
            let ours = RecordBatch::try_new(Arc::clone(&schema), batch.columns().to_vec());
            std::future::ready(ours.map_err(|cause| LakeError::unavailable(table, cause)))
        };
        Ok(stream.map_err(unavailable).and_then(ours).boxed())
    }
}

fn is_within((topic, partition, range): &(Topic, KafkaPartition, OffsetRange)) -> Expr {
    col("topic")
        .eq(lit(topic.as_str()))
        .and(col("kafka_partition").eq(lit(partition.0)))
        .and(col("kafka_offset").gt_eq(lit(range.start.0)))
        .and(col("kafka_offset").lt(lit(range.end.0)))
}
