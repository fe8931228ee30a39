//! [`Manifest`]: what a pack is about, and the hash of each of its files.
//!
//! Invariant: every file of the pack but the manifest itself is in it.

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use schemas::Timestamp;
use serde::{Deserialize, Serialize};

/// The only value of [`Manifest::format`] that this build writes and reads.
pub(crate) const FORMAT: &str = "surety.evidence_pack.v1";

/// What a report is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Subject {
    /// What was done in the name of a sponsor, as stamped when it was read.
    Sponsor { id: String },
    /// What one agent did.
    Agent { id: String },
    /// How much of what all agents did leads to a sponsor.
    Coverage,
}

impl Subject {
    /// Which rows of `events` such a report is made of, those of the range alone.
    pub(crate) fn rows_of(&self, rows: &RecordBatch, from: Timestamp, to: Timestamp) -> Vec<u32> {
        let (column, id) = match self {
            Self::Sponsor { id } => ("sponsor_id", id),
            Self::Agent { id } => ("agent_id", id),
            Self::Coverage => return Vec::new(),
        };
        let ids = rows[column].as_string::<i32>();
        let times = rows["time"].as_primitive::<TimestampMicrosecondType>();
        let range = from.as_micros()..to.as_micros();
        let count = u32::try_from(rows.num_rows()).expect("a batch has a few thousand rows");
        let is_one = |row: &u32| {
            let row = *row as usize;
            ids.is_valid(row) && ids.value(row) == id && range.contains(&times.value(row))
        };
        (0..count).filter(is_one).collect()
    }
}

/// `manifest.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    pub(crate) format: String,
    /// The release of Surety that made the pack.
    pub(crate) made_by: String,
    pub(crate) subject: Subject,
    /// The first moment of the range.
    pub(crate) from: Timestamp,
    /// The end of the range: not in it.
    pub(crate) to: Timestamp,
    /// The lake's identity, as its seals name it.
    pub(crate) lake: String,
    pub(crate) head: Head,
    /// In the order of the zip.
    pub(crate) files: Vec<FileHash>,
}

/// The newest seal of the lake when the pack was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Head {
    pub(crate) sequence: i64,
    pub(crate) time: Timestamp,
    /// SHA-256 of its signed note, in hexadecimal digits.
    pub(crate) sha256: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileHash {
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}
