//! [`commit`]: one entry of a log that replaces files or removes them.
//!
//! Invariant: the entry is written only if absent, as the version right after one at which every file that
//! it removes was part of the table. Appends that land in between do not matter and are passed over; a
//! file that somebody else has removed means that the change is not made at all. The table's marks (E2,
//! E4) are left as they are: no entry from here has a transaction.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use object_store::Error as StoreError;
use schemas::{Table, Timestamp};
use serde_json::json;

use super::record::Kind;
use crate::commit::{ENGINE, add_of, folder_of};
use crate::encode::EncodedFile;
use crate::log::{TableLog, Version};
use crate::{LakeError, schema};

/// How often an entry is tried after storage failed.
const RETRIES: u32 = 3;

/// The pause before the first retry; each further one is four times as long.
const PAUSE: Duration = Duration::from_millis(50);

/// A file that goes: its path, its size and its month.
pub(crate) type Gone<'a> = (&'a str, u64, Option<&'a str>);

/// What an entry changes.
pub(crate) struct Change<'a> {
    pub(crate) kind: Kind,
    pub(crate) removed: Vec<Gone<'a>>,
    pub(crate) added: &'a [EncodedFile],
    /// The signed note.
    pub(crate) note: &'a str,
    pub(crate) now: Timestamp,
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Landed(Version),
    /// Somebody else has removed one of the files: nothing was changed.
    Overtaken,
}

/// The entry of the log. `surety verify` writes the newest ones again, as it does those of commits.
pub(crate) fn entry_of(table: Table, change: &Change<'_>, engine: &str) -> Bytes {
    let now_ms = change.now.as_millis();
    let (operation, is_change) = match change.kind {
        Kind::Rewrite => ("OPTIMIZE", false),
        Kind::Retention => ("DELETE", true),
    };
    let removed_bytes: u64 = change.removed.iter().map(|(_, bytes, _)| bytes).sum();
    let added_bytes: usize = change.added.iter().map(EncodedFile::size).sum();
    let about = json!({"commitInfo": {
        "timestamp": now_ms,
        "operation": operation,
        "operationParameters": {},
        "operationMetrics": {
            "numRemovedFiles": change.removed.len().to_string(),
            "numRemovedBytes": removed_bytes.to_string(),
            "numAddedFiles": change.added.len().to_string(),
            "numAddedBytes": added_bytes.to_string(),
        },
        "isBlindAppend": false,
        "engineInfo": engine,
        "suretyNote": change.note,
    }});
    let removes = change.removed.iter().map(|(path, bytes, month)| {
        json!({"remove": {
            "path": path,
            "deletionTimestamp": now_ms,
            "dataChange": is_change,
            "extendedFileMetadata": true,
            "partitionValues": folder_of(table, *month),
            "size": bytes,
        }})
    });
    let adds = change.added.iter().map(|file| add_of(table, file, now_ms, is_change));
    let lines = std::iter::once(about).chain(removes).chain(adds);
    let lines: Vec<String> = lines.map(|line| line.to_string()).collect();
    lines.join("\n").into()
}

/// Writes the entry after the newest version. At `version` all files of the change were part of the
/// table; what is added is stored.
///
/// # Errors
///
/// [`LakeError`]. The entry may have landed all the same if storage does not tell.
pub(crate) async fn commit(
    log: &TableLog,
    mut version: Version,
    change: &Change<'_>,
) -> Result<Outcome, LakeError> {
    let table = log.table;
    let removed: BTreeSet<&str> = change.removed.iter().map(|(path, ..)| *path).collect();
    let bytes = entry_of(table, change, ENGINE);
    let is_there = log.has_entry(version).await;
    if !is_there.map_err(|cause| LakeError::unavailable(table, cause))? {
        return Err(LakeError::Gone { table });
    }
    let mut failures = 0;
    loop {
        while let Some(found) = entry_bytes(log, version + 1).await? {
            version += 1;
            if found == bytes {
                return Ok(Outcome::Landed(version));
            }
            let entry = log.entry(version).await;
            let entry = entry.map_err(|cause| LakeError::unavailable(table, cause))?;
            let Some(entry) = entry else { return Err(LakeError::Gone { table }) };
            if entry.removed.iter().any(|path| removed.contains(path.as_str())) {
                return Ok(Outcome::Overtaken);
            }
            if entry.changes_table {
                schema::check(log, version).await?;
            }
        }
        match log.put_entry(version + 1, bytes.clone()).await {
            Ok(()) => return Ok(Outcome::Landed(version + 1)),
            Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => {}
            Err(_) if failures < RETRIES => {
                tokio::time::sleep(PAUSE * 4_u32.pow(failures)).await;
                failures += 1;
            }
            Err(cause) => return Err(LakeError::unavailable(table, cause)),
        }
    }
}

async fn entry_bytes(log: &TableLog, version: Version) -> Result<Option<Bytes>, LakeError> {
    let found = log.entry_bytes(version).await;
    found.map_err(|cause| LakeError::unavailable(log.table, cause))
}
