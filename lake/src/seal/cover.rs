//! What of a Delta log a seal names beside its entries: the newest checkpoint.
//!
//! A checkpoint repeats what the entries say, and readers believe it in their place; so its bytes are
//! sealed, and [`verify`](super::verify()) compares what it says with the entries.

use std::collections::BTreeMap;

use bytes::Bytes;
use schemas::Table;

use super::SealedFile;
use crate::Cause;
use crate::log::{POINTER, Pointer, TableLog, in_log};

/// What the pointer says, and the checkpoint's files, the pointer first.
pub(super) type Checkpoint = (Bytes, Vec<SealedFile>);

/// The checkpoints that were looked at last.
pub(super) type Checkpoints = BTreeMap<Table, Checkpoint>;

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
