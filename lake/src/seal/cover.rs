//! What of a Delta log a seal names beside its entries: the newest checkpoint.
//!
//! A checkpoint repeats what the entries say, and readers believe it in their place; so its bytes are
//! sealed, and [`verify`](super::verify()) compares what it says with the entries.

use std::collections::BTreeMap;

use bytes::Bytes;
use object_store::path::Path;
use schemas::Table;
use serde::Deserialize;

use super::SealedFile;
use crate::log::TableLog;
use crate::{Cause, Version};

/// The file of a log that names the newest checkpoint.
pub(super) const POINTER: &str = "_last_checkpoint";

/// What the pointer says, and the checkpoint's files, the pointer first.
pub(super) type Checkpoint = (Bytes, Vec<SealedFile>);

/// The checkpoints that were looked at last.
pub(super) type Checkpoints = BTreeMap<Table, Checkpoint>;

/// What [`POINTER`] says.
#[derive(Debug, Deserialize)]
pub(super) struct Pointer {
    pub(super) version: Version,
    parts: Option<u32>,
}

impl Pointer {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// The names of the checkpoint's files.
    pub(super) fn names(&self) -> Vec<String> {
        let version = self.version;
        match self.parts {
            None | Some(0 | 1) => vec![format!("{version:020}.checkpoint.parquet")],
            Some(parts) => {
                let name =
                    |part| format!("{version:020}.checkpoint.{part:010}.{parts:010}.parquet");
                (1..=parts.min(PARTS_MAX)).map(name).collect()
            }
        }
    }
}

/// More parts than anybody writes; a changed pointer must not make us count to four billion.
const PARTS_MAX: u32 = 10_000;

/// Where a file of a log stands in the table's folder.
pub(super) fn in_log(name: &str) -> Path {
    Path::from("_delta_log").join(name)
}

/// The newest checkpoint of a log, which may be the one that is `known`; `None` if there is none. One that
/// cannot be read as such is left to `verify`.
pub(super) async fn checkpoint_of(
    log: &TableLog,
    known: Option<&Checkpoint>,
) -> Result<Option<Checkpoint>, Cause> {
    let Some(pointer) = log.get_if_there(&in_log(POINTER)).await? else { return Ok(None) };
    if let Some(known) = known.filter(|(told, _)| *told == pointer) {
        return Ok(Some(known.clone()));
    }
    let mut files = vec![SealedFile::of(POINTER, &pointer)];
    if let Ok(told) = Pointer::parse(&pointer) {
        for name in told.names() {
            let Some(bytes) = log.get_if_there(&in_log(&name)).await? else { continue };
            files.push(SealedFile::of(&name, &bytes));
        }
    }
    Ok(Some((pointer, files)))
}
