//! [`entry_of`]: what a commit writes into the Delta log.
//!
//! Invariant: an entry follows from what it tells and from nothing else, byte for byte.

use std::collections::BTreeMap;

use bytes::Bytes;
use schemas::{Table, Timestamp};
use serde_json::{Value, json};

use crate::advance::Advance;
use crate::encode::EncodedFile;

/// Who writes, as entries and files say it.
pub(crate) const ENGINE: &str = concat!("surety ", env!("CARGO_PKG_VERSION"));

/// What an entry of the log tells.
pub(crate) struct Told<'a> {
    pub(crate) files: &'a [EncodedFile],
    pub(crate) advance: &'a Advance,
    pub(crate) now: Timestamp,
    pub(crate) engine: &'a str,
}

/// The entry of the log that adds the files and moves the table. `surety verify` writes the newest
/// ones again: a release that changes their form must still know this one.
pub(crate) fn entry_of(table: Table, told: &Told<'_>) -> Bytes {
    let now_ms = told.now.as_millis();
    let rows: usize = told.files.iter().map(EncodedFile::rows).sum();
    let bytes: usize = told.files.iter().map(EncodedFile::size).sum();
    let month: Vec<&str> = table.month_column().into_iter().collect();
    let about = json!({"commitInfo": {
        "timestamp": now_ms,
        "operation": "WRITE",
        "operationParameters": {"mode": "Append", "partitionBy": json!(month).to_string()},
        "operationMetrics": {
            "numFiles": told.files.len().to_string(),
            "numOutputRows": rows.to_string(),
            "numOutputBytes": bytes.to_string(),
        },
        "isBlindAppend": true,
        "engineInfo": told.engine,
        "suretyAdvance": told.advance.identity(),
    }});
    let adds = told.files.iter().map(|file| add_of(table, file, now_ms, true));
    let marks = told.advance.transactions().into_iter().map(|(app_id, version)| {
        json!({"txn": {"appId": app_id, "version": version, "lastUpdated": now_ms}})
    });
    let lines = std::iter::once(about).chain(adds).chain(marks);
    let lines: Vec<String> = lines.map(|line| line.to_string()).collect();
    lines.join("\n").into()
}

/// The action that makes a file part of the table.
pub(crate) fn add_of(table: Table, file: &EncodedFile, now_ms: i64, is_change: bool) -> Value {
    json!({"add": {
        "path": file.path,
        "partitionValues": folder_of(table, file.month.as_deref()),
        "size": file.size(),
        "modificationTime": now_ms,
        "dataChange": is_change,
        "stats": file.statistics,
    }})
}

/// The values of the table's folder for a file of this month.
pub(crate) fn folder_of(table: Table, month: Option<&str>) -> BTreeMap<&'static str, String> {
    table.month_column().zip(month.map(str::to_owned)).into_iter().collect()
}
