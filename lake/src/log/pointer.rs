//! [`Pointer`]: the file of a log that names its newest checkpoint.
//!
//! Invariant: what it says saves reading and is no proof of anything: a checkpoint that it names may be gone, and
//! one that it does not name is as good.

use object_store::path::Path;
use serde::Deserialize;

use super::Version;

/// The name of the file.
pub(crate) const POINTER: &str = "_last_checkpoint";

/// More parts than anybody writes; a changed pointer must not make us count to four billion.
const PARTS_MAX: u32 = 10_000;

/// What [`POINTER`] says.
#[derive(Debug, Deserialize)]
pub(crate) struct Pointer {
    pub(crate) version: Version,
    parts: Option<u32>,
}

impl Pointer {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// The names of the checkpoint's files.
    pub(crate) fn names(&self) -> Vec<String> {
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

/// Where a file of a log stands in the table's folder.
pub(crate) fn in_log(name: &str) -> Path {
    Path::from("_delta_log").join(name)
}
