//! Reading whole rows back: the events after a checkpoint, and the registry.
//!
//! Invariant: events come in the order in which they were read, each once.

use std::collections::BTreeSet;
use std::num::NonZero;
use std::panic;
use std::sync::Arc;
use std::thread;

use arrow::array::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::functions_aggregate::expr_fn::{count, max, min};
use datafusion::logical_expr::{Expr, col, lit, not};
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use schemas::{ChangeId, Offset, OffsetRange, Offsets, Registry, RegistryChange, Table, Timestamp};

use crate::log::{TableLog, Version};
use crate::rows::{
    Delivery, RegistryRows, RowError, SealRow, decode_deliveries, decode_registry, decode_seals,
};
use crate::{Advance, CommitError, EncodeError, Lake, LakeError, SequenceRange};

const SAYS_WHEN: &str = "a row of the registry says when it was told";

/// Memory for sorting; what is more goes to temporary files.
const SORT_BYTES_MAX: usize = 512 << 20;

impl Lake {
    /// The events at or past `offsets`, and all of a partition that is not in it; in the order
    /// in which they were read (`ingested_at` grows from record to record, and several of one record are
    /// in their own order). Columns as in [`Table::Events`].
    ///
    /// # Errors
    ///
    /// [`LakeError`], also in the stream.
    pub async fn scan_events_after(
        &self,
        offsets: &Offsets,
    ) -> Result<BoxStream<'static, Result<RecordBatch, LakeError>>, LakeError> {
        let table = Table::Events;
        let Some(mut reading) = self.reads(table).await? else {
            return Ok(futures::stream::empty().boxed());
        };
        let newest = reading.version;
        if let Some(paths) = files_after(&self.reading_log(table), newest, offsets).await {
            reading = reading.within(paths);
        }
        let order = ["ingested_at", "topic", "kafka_partition", "kafka_offset", "record_part"];
        reading.stream(is_after(offsets), &order).await
    }

    /// The attempts at deliveries that began at `time` or later.
    ///
    /// # Errors
    ///
    /// [`LakeError`].
    pub async fn read_deliveries_since(&self, time: Timestamp) -> Result<Vec<Delivery>, LakeError> {
        let micros = ScalarValue::TimestampMicrosecond(Some(time.as_micros()), Some("UTC".into()));
        self.read_as(Table::Deliveries, col("time").gt_eq(lit(micros)), decode_deliveries).await
    }

    /// Makes the table of edges out of the events, in a lake that has events and no such table.
    ///
    /// # Errors
    ///
    /// [`CommitError`]; `Superseded` if another worker has made it at the same time.
    pub async fn make_edges(&self, now: Timestamp) -> Result<(), CommitError> {
        let mut edges = self.table(Table::CounterpartyEdges).await?;
        if edges.version().is_some() || edges.is_modelled() {
            return Ok(());
        }
        let known = self.newest_with_offsets(Table::Events).await?;
        let Some((snapshot, offsets)) = known else { return Ok(()) };
        let mut advance = Advance::default();
        for (topic, partition, end) in offsets.iter().filter(|(.., end)| Offset::START < *end) {
            advance.extend(topic, partition, OffsetRange { start: Offset::START, end });
        }
        if advance.is_empty() {
            return Ok(());
        }
        let unavailable = |cause| LakeError::unavailable(Table::Events, cause);
        let reading = Arc::new(self.reading(Table::Events, snapshot)?);
        let frame = session().and_then(|session| session.read_table(reading));
        let frame = frame.and_then(|events| {
            let ids = vec![col("agent_id"), col("counterparty_id")];
            let uses = vec![
                min(col("time")).alias("first_time"),
                max(col("time")).alias("last_time"),
                count(lit(1)).alias("events"),
            ];
            let counts = col("counterparty_id").is_not_null().and(col("dup_of").is_null());
            events.filter(counts)?.aggregate(ids, uses)
        });
        let found = frame.map_err(unavailable)?.collect().await.map_err(unavailable)?;
        let schema = Table::CounterpartyEdges.arrow_schema();
        let rows = found
            .iter()
            .map(|batch| RecordBatch::try_new(Arc::clone(&schema), batch.columns().to_vec()))
            .collect::<Result<_, _>>()
            .map_err(EncodeError::from)?;
        edges.append(rows, &advance, now).await?;
        Ok(())
    }

    /// The seals from number `start` on, in their order.
    ///
    /// # Errors
    ///
    /// [`LakeError`].
    pub async fn read_seals_from(&self, start: i64) -> Result<Vec<SealRow>, LakeError> {
        let wanted = col("sequence").gt_eq(lit(start));
        let mut seals = self.read_as(Table::Seals, wanted, decode_seals).await?;
        seals.sort_by_key(|seal| seal.sequence);
        Ok(seals)
    }

    /// The newest seal; `None` if there is none yet.
    ///
    /// # Errors
    ///
    /// [`LakeError`].
    pub async fn newest_seal(&self) -> Result<Option<SealRow>, LakeError> {
        let next = self.table(Table::Seals).await?.sequence();
        Ok(self.read_seals_from(next - 1).await?.pop())
    }

    /// Every change of the registry once, in the order in which they were first told.
    ///
    /// # Errors
    ///
    /// [`LakeError`].
    pub async fn read_registry(&self) -> Result<Vec<RegistryChange>, LakeError> {
        let (_, changes) = self.read_registry_after(None).await?;
        Ok(changes.into_iter().map(|(_, change)| change).collect())
    }

    /// The changes that came after version `known` of the table with their ids, in the order of
    /// [`read_registry`](Self::read_registry), and the newest version. All of them without `known`, and when the log does not
    /// reach back to it: taking a change in again changes nothing.
    ///
    /// # Errors
    ///
    /// [`LakeError`].
    pub async fn read_registry_after(
        &self,
        known: Option<Version>,
    ) -> Result<(Option<Version>, Vec<(ChangeId, RegistryChange)>), LakeError> {
        let table = Table::RegistryChanges;
        let Some(mut reading) = self.reads(table).await? else { return Ok((None, Vec::new())) };
        let newest = reading.version;
        if known == Some(newest) {
            return Ok((known, Vec::new()));
        }
        if let Some(known) = known
            && let Some(paths) = files_between(&self.reading_log(table), known, newest).await
        {
            reading = reading.within(paths);
        }
        let batches = reading.collect(lit(true)).await?;
        let changes = named(&batches).map_err(|cause| LakeError::unavailable(table, cause))?;
        Ok((Some(newest), in_order_told(changes)))
    }

    /// Adds those changes that the registry does not have yet, and says how many they were. Doing it
    /// again changes nothing.
    ///
    /// # Errors
    ///
    /// [`CommitError`]; `Superseded` if another import went on at the same time: do it again.
    pub async fn import_registry(
        &self,
        changes: &[RegistryChange],
        now: Timestamp,
    ) -> Result<usize, CommitError> {
        let table = Table::RegistryChanges;
        // The handle's number is taken before the rows are read: if somebody adds rows in between,
        // the commit is refused.
        let mut handle = self.table(table).await?;
        let mut known = Registry::default();
        for (change_id, change) in self.read_registry_after(None).await?.1 {
            known.apply_as(change_id, &change).expect(SAYS_WHEN);
        }
        let mut rows = RegistryRows::with_capacity(changes.len());
        for change in changes {
            let told = change.recorded_at.or(Some(now));
            let told = RegistryChange { recorded_at: told, ..change.clone() };
            if known.apply(&told).expect(SAYS_WHEN) {
                rows.push(&told, now);
            }
        }
        let count = rows.len();
        if count == 0 {
            return Ok(0);
        }
        let start = handle.sequence();
        let end = start + i64::try_from(count).expect("rows in memory are fewer than 2^63");
        let advance = Advance::of_sequence(SequenceRange { start, end });
        handle.append(vec![rows.finish()], &advance, now).await?;
        Ok(count)
    }

    /// As [`read`](Self::read), as values of ours.
    pub(crate) async fn read_as<T>(
        &self,
        table: Table,
        wanted: Expr,
        decode: impl Fn(&RecordBatch) -> Result<Vec<T>, RowError>,
    ) -> Result<Vec<T>, LakeError> {
        let mut values = Vec::new();
        for batch in self.read(table, wanted).await? {
            let decoded = decode(&batch);
            values.extend(decoded.map_err(|cause| LakeError::unavailable(table, cause))?);
        }
        Ok(values)
    }

    /// The rows of a small table, or those of a large one that are `wanted`.
    pub(crate) async fn read(
        &self,
        table: Table,
        wanted: Expr,
    ) -> Result<Vec<RecordBatch>, LakeError> {
        match self.reads(table).await? {
            Some(reading) => reading.collect(wanted).await,
            None => Ok(Vec::new()),
        }
    }
}

pub(crate) fn session() -> datafusion::error::Result<SessionContext> {
    let runtime = RuntimeEnvBuilder::new().with_memory_limit(SORT_BYTES_MAX, 1.0).build_arc()?;
    Ok(SessionContext::new_with_config_rt(SessionConfig::new(), runtime))
}

/// Not below any of `offsets`.
fn is_after(offsets: &Offsets) -> Expr {
    let is_below =
        |(topic, partition, next): (&schemas::Topic, schemas::KafkaPartition, Offset)| {
            col("topic")
                .eq(lit(topic.as_str()))
                .and(col("kafka_partition").eq(lit(partition.0)))
                .and(col("kafka_offset").lt(lit(next.0)))
        };
    offsets.iter().map(is_below).fold(lit(true), |all, below| all.and(not(below)))
}

/// The files of the commits that went past `offsets`; `None` if the log does not reach back that
/// far, so that every file must be looked at.
///
/// From the newest commit backwards, until each partition was seen at or below its offset: since
/// marks only grow, no older commit holds a row past them.
async fn files_after(log: &TableLog, newest: Version, offsets: &Offsets) -> Option<Vec<String>> {
    let state = log.newest().await.ok()??;
    let wanted =
        |topic: &_, partition, at| offsets.next_of(topic, partition).is_some_and(|next| at <= next);
    let mut ahead: BTreeSet<_> = state
        .recorded
        .offsets
        .iter()
        .filter(|(topic, partition, at)| !wanted(topic, *partition, *at))
        .map(|(topic, partition, _)| (topic.clone(), partition))
        .collect();
    let mut paths = Vec::new();
    let mut version = newest;
    while !ahead.is_empty() {
        let entry = log.entry(version).await.ok()??;
        let mut marks = crate::advance::Recorded::default();
        for (app_id, at) in &entry.transactions {
            marks.note(app_id, *at);
        }
        // A commit without marks rewrote older files: what it wrote may hold any row.
        let mut is_past = marks.offsets.is_empty();
        for (topic, partition, at) in marks.offsets.iter() {
            if wanted(topic, partition, at) {
                ahead.remove(&(topic.clone(), partition));
            } else {
                is_past = true;
            }
        }
        if is_past {
            paths.extend(entry.added);
        }
        version = version.checked_sub(1)?;
    }
    Some(paths)
}

/// The changes of the batches, each with its id. A large registry is read by all cores: a change takes some
/// microseconds, and a process that starts waits for them.
fn named(batches: &[RecordBatch]) -> Result<Vec<(ChangeId, RegistryChange)>, RowError> {
    let read = |batches: &[RecordBatch]| {
        let mut changes = Vec::with_capacity(batches.iter().map(RecordBatch::num_rows).sum());
        for batch in batches {
            let decoded = decode_registry(batch)?.into_iter();
            changes.extend(decoded.map(|change| (change.change_id(), change)));
        }
        Ok(changes)
    };
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let share = batches.len().div_ceil(cores).max(1);
    thread::scope(|scope| {
        let others: Vec<_> =
            batches.chunks(share).skip(1).map(|share| scope.spawn(move || read(share))).collect();
        let mut changes = read(&batches[..share.min(batches.len())])?;
        for other in others {
            let read = other.join().unwrap_or_else(|panic| panic::resume_unwind(panic));
            changes.extend(read?);
        }
        Ok(changes)
    })
}

fn in_order_told(mut changes: Vec<(ChangeId, RegistryChange)>) -> Vec<(ChangeId, RegistryChange)> {
    changes.sort_by_cached_key(|(change_id, change)| (change.recorded_at, change_id.clone()));
    changes
}

/// The files that the versions after `known` added; `None` if the log does not tell any more.
async fn files_between(log: &TableLog, known: Version, newest: Version) -> Option<Vec<String>> {
    let mut paths = Vec::new();
    for version in known + 1..=newest {
        paths.extend(log.entry(version).await.ok()??.added);
    }
    Some(paths)
}

#[cfg(test)]
mod tests;
