//! Makes a table with our columns, and compares a table that is there with them.
//!
//! Invariant: nothing is written to a table that this build does not know completely: its columns,
//! its folders by month, its protocol, and that it never forgets its marks.

use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel as _;
use deltalake::kernel::transaction::CommitProperties;
use deltalake::kernel::{Snapshot, StructField};
use deltalake::operations::create::CreateBuilder;

use crate::LakeError;
use crate::encode::statistics;
use crate::log::{TableLog, Version};

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

/// Makes the table as version 0.
pub(crate) async fn make(log: &TableLog) -> Result<(), LakeError> {
    let table = log.table;
    let unavailable = |cause| LakeError::Unavailable { table, cause };
    let fields = fields_of(&table.arrow_schema()).map_err(|cause| unavailable(cause.into()))?;
    let skipped_by = statistics::columns(table).collect::<Vec<_>>().join(",");
    let properties = CommitProperties::default()
        .with_max_retries(0)
        .with_create_checkpoint(false)
        .with_cleanup_expired_logs(Some(false));
    CreateBuilder::new()
        .with_log_store(std::sync::Arc::clone(&log.delta))
        .with_table_name(table.name())
        .with_comment(table.doc())
        .with_columns(fields)
        .with_partition_columns(table.month_column())
        .with_configuration(PROPERTIES.map(|(name, value)| (name, Some(value))))
        .with_configuration([(SKIPPED_BY, Some(skipped_by))])
        .with_commit_properties(properties)
        .await
        .map_err(|cause| unavailable(cause.into()))?;
    Ok(())
}

fn fields_of(schema: &Schema) -> Result<Vec<StructField>, ArrowError> {
    schema.fields().iter().map(|field| field.as_ref().try_into_kernel()).collect()
}

/// Compares the table at `version` with what this build writes, and tells the table's id.
///
/// # Errors
///
/// [`LakeError::Schema`] or [`LakeError::OffsetsExpire`] if they differ.
pub(crate) async fn check(log: &TableLog, version: Version) -> Result<String, LakeError> {
    let table = log.table;
    let snapshot = Snapshot::try_new(&log.delta, Some(version))
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
    for wanted in table.arrow_schema().fields() {
        match found.field_with_name(wanted.name()) {
            Ok(found) if is_same(wanted, found) => {}
            Ok(found) => return differs(wanted.name(), typed(wanted), typed(found)),
            Err(_) => return differs(wanted.name(), typed(wanted), "no such column".to_owned()),
        }
    }
    // A later release adds columns at the end; ours are read as null there.
    for found in found.fields().iter().filter(|field| !field.is_nullable()) {
        if table.arrow_schema().field_with_name(found.name()).is_err() {
            return differs(found.name(), "no such column".to_owned(), typed(found));
        }
    }
    Ok(snapshot.metadata().id().to_owned())
}

fn is_same(wanted: &Field, found: &Field) -> bool {
    wanted.data_type() == found.data_type() && wanted.is_nullable() == found.is_nullable()
}

fn typed(field: &Field) -> String {
    let null = if field.is_nullable() { "" } else { ", never null" };
    format!("{}{null}", field.data_type())
}
