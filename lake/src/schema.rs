//! Makes a table with our columns, and compares a table that is there with them.
//!
//! Invariant: nothing is written to a table that this build does not know completely: its columns,
//! its folders by month, its protocol, and that it never forgets its marks. A table of an earlier release,
//! which lacks columns that came later, is read as it is and gets them before the first row is written.

use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;
use bytes::Bytes;
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel as _;
use deltalake::kernel::transaction::CommitProperties;
use deltalake::kernel::{Snapshot, StructField};
use deltalake::operations::create::CreateBuilder;
use schemas::{Table, Timestamp};
use serde_json::{Value, json};

use crate::commit::ENGINE;
use crate::encode::statistics;
use crate::error::Reason;
#[cfg(any(test, feature = "faults"))]
use crate::log::Backing;
use crate::log::{TableLog, Version};
use crate::{Cause, LakeError};

/// The protocol of a table without any of the later features. What we write needs none.
const WRITER_VERSION_MAX: i32 = 2;

/// Would make the table forget marks, and rows would be written twice.
const EXPIRY: &str = "delta.setTransactionRetentionDuration";

/// Which columns have statistics. Without it readers look at the first 32 columns only.
const SKIPPED_BY: &str = "delta.dataSkippingStatsColumns";

/// Properties for those who maintain the table with other programs.
const PROPERTIES: [(&str, &str); 3] = [
    // Every commit of ours is an entry; ours are checkpointed from outside the commit.
    ("delta.checkpointInterval", "100"),
    // What a person may travel back to, and how long an idle worker can follow the log.
    ("delta.logRetentionDuration", "interval 30 days"),
    // Entries of the log are evidence: seals name them.
    ("delta.enableExpiredLogCleanup", "false"),
];

/// Makes the table as version 0, which nobody else has made, and returns its id.
pub(crate) async fn make(log: &TableLog) -> Result<String, LakeError> {
    let table = log.table;
    let unavailable = |cause| LakeError::Unavailable { table, cause };
    #[cfg(any(test, feature = "faults"))]
    if let Backing::Modelled(model) = log.backing() {
        model.make(table).await.map_err(|cause| unavailable(cause.into()))?;
        return Ok(crate::faults::Model::id(table));
    }
    let fields = fields_of(&table.arrow_schema()).map_err(|cause| unavailable(cause.into()))?;
    let skipped_by = statistics::columns(table).collect::<Vec<_>>().join(",");
    let properties = CommitProperties::default()
        .with_max_retries(0)
        .with_create_checkpoint(false)
        .with_cleanup_expired_logs(Some(false));
    let made = CreateBuilder::new()
        .with_log_store(std::sync::Arc::clone(&log.stored().delta))
        .with_table_name(table.name())
        .with_comment(table.doc())
        .with_columns(fields)
        .with_partition_columns(table.month_column())
        .with_configuration(PROPERTIES.map(|(name, value)| (name, Some(value))))
        .with_configuration([(SKIPPED_BY, Some(skipped_by))])
        .with_commit_properties(properties)
        .await
        .map_err(|cause| unavailable(cause.into()))?;
    let made = made.snapshot().map_err(|cause| unavailable(cause.into()))?;
    Ok(made.metadata().id().to_owned())
}

fn fields_of(schema: &Schema) -> Result<Vec<StructField>, ArrowError> {
    schema.fields().iter().map(|field| field.as_ref().try_into_kernel()).collect()
}

/// What a table is found to be.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) id: String,
    /// Whether an earlier release made it, which did not know all columns.
    pub(crate) is_narrow: bool,
}

/// Compares the table at `version` with what this build writes.
///
/// # Errors
///
/// [`LakeError::Schema`] or [`LakeError::OffsetsExpire`] if they differ.
pub(crate) async fn check(log: &TableLog, version: Version) -> Result<Found, LakeError> {
    let table = log.table;
    #[cfg(any(test, feature = "faults"))]
    if let Backing::Modelled(_) = log.backing() {
        return Ok(Found { id: crate::faults::Model::id(table), is_narrow: false });
    }
    let snapshot = Snapshot::try_new(&log.stored().delta, Some(version))
        .await
        .map_err(|cause| LakeError::unavailable(table, cause))?;
    if snapshot.metadata().configuration().contains_key(EXPIRY) {
        return Err(LakeError::OffsetsExpire { table });
    }
    let differs = |column: &str, wanted: String, found: String| {
        Err(LakeError::Schema { table, column: column.to_owned(), wanted, found })
    };
    let writer = snapshot.protocol().min_writer_version();
    if WRITER_VERSION_MAX < writer {
        let wanted = format!("a table of writer version {WRITER_VERSION_MAX} at most");
        return differs("of the log", wanted, writer.to_string());
    }
    let folders = snapshot.metadata().partition_columns();
    if !folders.iter().map(String::as_str).eq(table.month_column()) {
        let wanted = format!("folders by {:?}", table.month_column());
        return differs("of the folders", wanted, format!("{folders:?}"));
    }
    let found = snapshot.arrow_schema();
    let mut is_narrow = false;
    for (wanted, column) in table.arrow_schema().fields().iter().zip(table.columns()) {
        match found.field_with_name(wanted.name()) {
            Ok(found) if is_same(wanted, found) => {}
            Ok(found) => return differs(wanted.name(), typed(wanted), typed(found)),
            Err(_) if column.is_later => is_narrow = true,
            Err(_) => return differs(wanted.name(), typed(wanted), "no such column".to_owned()),
        }
    }
    // A later release adds columns at the end; ours are read as null there.
    for found in found.fields().iter().filter(|field| !field.is_nullable()) {
        if table.arrow_schema().field_with_name(found.name()).is_err() {
            return differs(found.name(), "no such column".to_owned(), typed(found));
        }
    }
    Ok(Found { id: snapshot.metadata().id().to_owned(), is_narrow })
}

/// The entry of the log that gives the table of an earlier release, at `version`, the columns that it
/// lacks. They may be null, and in the rows that are there they are.
pub(crate) async fn widening(
    log: &TableLog,
    version: Version,
    now: Timestamp,
) -> Result<Bytes, LakeError> {
    let table = log.table;
    let unavailable = |cause: Cause| LakeError::Unavailable { table, cause };
    let snapshot = Snapshot::try_new(&log.stored().delta, Some(version));
    let snapshot = snapshot.await.map_err(|cause| unavailable(cause.into()))?;
    let metadata = serde_json::to_value(snapshot.metadata());
    let mut metadata = metadata.map_err(|cause| unavailable(cause.into()))?;
    let widened = widened(table, &metadata["schemaString"]).map_err(unavailable)?;
    if let Some(whole) = widened.into_iter().next_back() {
        metadata["schemaString"] = whole.into();
    }
    let about = json!({"commitInfo": {
        "timestamp": now.as_millis(),
        "operation": "ADD COLUMN",
        "operationParameters": {},
        "isBlindAppend": false,
        "engineInfo": ENGINE,
    }});
    Ok(format!("{about}\n{}", json!({"metaData": metadata})).into())
}

/// A table's schema as its log tells it, with columns that it lacks at the end: with one, with two, and at
/// last with all of them. A release added those that it knew.
pub(crate) fn widened(table: Table, told: &Value) -> Result<Vec<String>, Cause> {
    let text = told.as_str().ok_or(Reason("wanted a schema in the metadata".to_owned()))?;
    let mut schema: Value = serde_json::from_str(text)?;
    let wanted = fields_of(&table.arrow_schema())?;
    let mut schemas = Vec::new();
    for (wanted, column) in wanted.iter().zip(table.columns()).filter(|(_, one)| one.is_later) {
        let fields = schema.get_mut("fields").and_then(Value::as_array_mut);
        let fields = fields.ok_or(Reason("wanted the fields of a schema".to_owned()))?;
        if fields.iter().all(|field| field["name"] != column.name) {
            fields.push(serde_json::to_value(wanted)?);
            schemas.push(schema.to_string());
        }
    }
    Ok(schemas)
}

fn is_same(wanted: &Field, found: &Field) -> bool {
    wanted.data_type() == found.data_type() && wanted.is_nullable() == found.is_nullable()
}

fn typed(field: &Field) -> String {
    let null = if field.is_nullable() { "" } else { ", never null" };
    format!("{}{null}", field.data_type())
}
