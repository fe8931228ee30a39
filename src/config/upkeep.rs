//! What the configuration says of the lake's upkeep.
//!
//! Invariant: each value checks itself, so that what is wrong is named by its place; no horizon is so short
//! that a reader would lose files.

use std::collections::BTreeMap;

use lake::upkeep::{Days, Horizon, Sizes};
use schemas::Table;
use serde::Deserialize;

use super::Millis;

/// How the lake is kept.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Upkeep {
    /// Whether `surety run` does it.
    pub(crate) in_run: bool,
    pub(crate) interval_ms: Millis,
    file_bytes: FileBytes,
    files_min: FilesMin,
    pub(crate) horizon_hours: HorizonHours,
}

impl Upkeep {
    /// When the files of a table are merged. One whose days are limited has files for each day.
    pub(crate) fn sizes(&self, table: Table, retention: &Retention) -> Sizes {
        Sizes {
            file_bytes: self.file_bytes.0,
            files_min: self.files_min.0,
            is_daily: retention.days().contains_key(&table),
        }
    }
}

/// How large a file of the lake should be: 1 MiB to 1 GiB.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "u64")]
struct FileBytes(u64);

impl TryFrom<u64> for FileBytes {
    type Error = String;

    fn try_from(bytes: u64) -> Result<Self, String> {
        match bytes {
            0x10_0000..=0x4000_0000 => Ok(Self(bytes)),
            _ => Err(format!("{bytes} bytes is outside 1048576..=1073741824")),
        }
    }
}

/// How many files of a size there must be to be merged: 2 to 256.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "u64")]
struct FilesMin(usize);

impl TryFrom<u64> for FilesMin {
    type Error = String;

    fn try_from(files: u64) -> Result<Self, String> {
        match usize::try_from(files) {
            Ok(files @ 2..=256) => Ok(Self(files)),
            _ => Err(format!("{files} files is outside 2..=256")),
        }
    }
}

/// How long files stay that are part of a table no more.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "u64")]
pub(crate) struct HorizonHours(pub(crate) Horizon);

impl TryFrom<u64> for HorizonHours {
    type Error = String;

    fn try_from(hours: u64) -> Result<Self, String> {
        Horizon::of_hours(hours).map(Self).map_err(|error| error.to_string())
    }
}

/// How many days of each table are kept.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[expect(clippy::struct_field_names, reason = "named as in the file, with their unit")]
pub(crate) struct Retention {
    events_days: KeptDays,
    rejects_days: KeptDays,
    findings_days: KeptDays,
    deliveries_days: KeptDays,
}

impl Retention {
    /// The tables that are not kept for ever.
    pub(crate) fn days(&self) -> BTreeMap<Table, Days> {
        let all = [
            (Table::Events, self.events_days),
            (Table::Rejects, self.rejects_days),
            (Table::Findings, self.findings_days),
            (Table::Deliveries, self.deliveries_days),
        ];
        all.into_iter().filter_map(|(table, KeptDays(days))| Some((table, days?))).collect()
    }
}

/// A number of days, or 0 for ever.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "u64")]
struct KeptDays(Option<Days>);

impl TryFrom<u64> for KeptDays {
    type Error = String;

    fn try_from(days: u64) -> Result<Self, String> {
        if days == 0 {
            return Ok(Self(None));
        }
        match u32::try_from(days).ok().and_then(Days::new) {
            Some(days) => Ok(Self(Some(days))),
            None => Err(format!("{days} days is outside 1..={}, and not 0 for ever", Days::MAX)),
        }
    }
}
