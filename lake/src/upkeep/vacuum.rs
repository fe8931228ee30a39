//! Files that nobody reads any more: those that an entry of the log removed, and those that no entry ever
//! named because a commit did not come to its end.
//!
//! Invariant: a file is deleted only if it is part of no version that was the newest one within the
//! horizon, and is itself older than that. So whoever began to read or to verify within the horizon finds
//! everything that he was told of, and a commit that is under way keeps its files. A day is the shortest
//! horizon. Deleting is no entry of the log: what is part of the table does not change.
//!
//! Checkpoints of the log go too, a day after there is a newer one: each repeats all that the ones before it
//! say, and so do the entries, which stay. Kept, they would take more than the rows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use schemas::{Table, Timestamp};

use super::Upkeep;
use super::files::Live;
use crate::log::TableLog;
use crate::{Lake, LakeError};

/// The folder of a table's log.
const LOG: &str = "_delta_log";

/// Entries of a log that are read at once: an object store lets each wait, and a horizon holds very many.
const ENTRIES_AT_ONCE: usize = 32;

/// How long files stay that are part of the table no more.
///
/// Invariant: a day at least, which is longer than a statement or a verification takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Horizon(Duration);

/// A horizon is too short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "wanted a horizon of {} to {} hours, found {hours}: who reads or verifies an older version, or commits, would lose files",
    Horizon::HOURS_MIN,
    Horizon::HOURS_MAX
)]
pub struct HorizonTooShort {
    hours: u64,
}

impl Horizon {
    const HOURS_MIN: u64 = 24;
    const A_DAY: Self = Self(Duration::from_hours(Self::HOURS_MIN));
    /// Ten years.
    const HOURS_MAX: u64 = 87_600;

    /// # Errors
    ///
    /// [`HorizonTooShort`] under a day.
    pub const fn of_hours(hours: u64) -> Result<Self, HorizonTooShort> {
        match hours {
            Self::HOURS_MIN..=Self::HOURS_MAX => Ok(Self(Duration::from_hours(hours))),
            _ => Err(HorizonTooShort { hours }),
        }
    }

    pub(super) fn before(self, now: Timestamp) -> Timestamp {
        now.minus(self.0)
    }
}

/// Files that are part of the table no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    pub files: usize,
    pub bytes: u64,
}

impl Swept {
    pub(super) fn add(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }
}

/// A data file in the table's folder.
struct Found {
    bytes: u64,
    modified: i64,
}

/// The files in a table's folder that are not part of its newest version.
pub(super) struct Strays {
    found: BTreeMap<String, Found>,
    /// Checkpoints of the log that readers do not go by any more.
    superseded: BTreeMap<String, Found>,
    /// Those that were part of a version within the horizon.
    kept: BTreeSet<String>,
    /// What is older goes, unless it is kept.
    border: i64,
}

impl Strays {
    pub(super) async fn of(
        lake: &Lake,
        table: Table,
        (horizon, now): (Horizon, Timestamp),
    ) -> Result<Self, LakeError> {
        let (border, newer_before) = (horizon.before(now), Horizon::A_DAY.before(now).as_micros());
        let log = lake.reading_log(table);
        let unavailable = |cause| LakeError::unavailable(table, cause);
        let border = border.as_micros();
        // The folder first and the version afterwards: what is committed in between is part of it.
        let (mut found, mut entries) = (BTreeMap::new(), Vec::new());
        let mut checkpoints = BTreeMap::new();
        let mut listing = log.stored().store.list(None);
        while let Some(file) = listing.try_next().await.map_err(unavailable)? {
            let modified = file.last_modified.timestamp_micros();
            let path = file.location.as_ref();
            let version = path.strip_prefix(LOG).and_then(|name| name.strip_prefix('/'));
            match version.map(|name| name.strip_suffix(".json").and_then(|v| v.parse().ok())) {
                Some(Some(version)) if border <= modified => entries.push(version),
                None if file.location.extension() == Some("parquet") => {
                    found.insert(path.to_owned(), Found { bytes: file.size, modified });
                }
                Some(None) if path.ends_with(".checkpoint.parquet") => {
                    checkpoints.insert(path.to_owned(), Found { bytes: file.size, modified });
                }
                Some(_) | None => {}
            }
        }
        drop(listing);
        let superseded = superseded(checkpoints, newer_before);
        let Some(live) = Live::newest(lake, table).await? else {
            return Ok(Self { found: BTreeMap::new(), superseded, kept: BTreeSet::new(), border });
        };
        for file in &live.files {
            found.remove(&file.path);
        }
        let mut kept = BTreeSet::new();
        if !found.is_empty() {
            // Entries that came while the folder was listed are younger still.
            entries
                .extend(entries.iter().max().map_or(live.version, |last| last + 1)..=live.version);
            let reading = stream::iter(entries).map(|version| removed_by(&log, version));
            let mut removed = reading.buffer_unordered(ENTRIES_AT_ONCE);
            while let Some(paths) = removed.try_next().await? {
                kept.extend(paths);
            }
        }
        Ok(Self { found, superseded, kept, border })
    }

    /// Those that a vacuum deletes.
    fn old(&self) -> impl Iterator<Item = (&String, &Found)> {
        let is_old = |(path, file): &(&String, &Found)| {
            !self.kept.contains(*path) && file.modified < self.border
        };
        self.found.iter().filter(is_old).chain(&self.superseded)
    }

    /// Removed within the horizon and kept for those who read older versions; and the others.
    pub(super) fn counted(&self) -> (Swept, Swept) {
        let (mut kept, mut orphans) = (Swept::default(), Swept::default());
        for (path, file) in &self.found {
            let side = if self.kept.contains(path) { &mut kept } else { &mut orphans };
            side.add(file.bytes);
        }
        (kept, orphans)
    }
}

/// Those of a log's checkpoints, which are named by version, that had a newer one at `border` already.
fn superseded(checkpoints: BTreeMap<String, Found>, border: i64) -> BTreeMap<String, Found> {
    let modified: Vec<i64> = checkpoints.values().map(|file| file.modified).collect();
    let is_superseded = |at: usize| modified.get(at + 1).is_some_and(|newer| *newer < border);
    let numbered = checkpoints.into_iter().enumerate();
    numbered.filter(|(at, _)| is_superseded(*at)).map(|(_, file)| file).collect()
}

async fn removed_by(log: &TableLog, version: u64) -> Result<Vec<String>, LakeError> {
    let entry = log.entry(version).await;
    let entry = entry.map_err(|cause| LakeError::unavailable(log.table, cause))?;
    Ok(entry.map(|entry| entry.removed).unwrap_or_default())
}

impl Upkeep {
    /// Deletes the files of a table that nobody reads any more; only says which they are if `is_dry`.
    ///
    /// Cancel safety: what was deleted is deleted; the rest waits for the next time.
    ///
    /// # Errors
    ///
    /// [`LakeError`].
    pub async fn vacuum(
        &self,
        table: Table,
        horizon: Horizon,
        now: Timestamp,
        is_dry: bool,
    ) -> Result<Swept, LakeError> {
        let strays = Strays::of(&self.lake, table, (horizon, now)).await?;
        let log = self.lake.reading_log(table);
        let mut swept = Swept::default();
        for (path, file) in strays.old() {
            let path = Path::from(path.as_str());
            // One that was written again in the meantime may be about to be committed.
            let is_same = match log.stored().store.head(&path).await {
                Ok(found) => found.last_modified.timestamp_micros() == file.modified,
                Err(object_store::Error::NotFound { .. }) => false,
                Err(cause) => return Err(LakeError::unavailable(table, cause)),
            };
            if !is_same {
                continue;
            }
            if !is_dry {
                let deleted = log.stored().store.delete(&path).await;
                deleted.map_err(|cause| LakeError::unavailable(table, cause))?;
            }
            swept.add(file.bytes);
        }
        Ok(swept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_horizon_is_shorter_than_a_day() {
        assert_eq!(Horizon::of_hours(23), Err(HorizonTooShort { hours: 23 }));
        assert_eq!(Horizon::of_hours(0), Err(HorizonTooShort { hours: 0 }));
        let now = Timestamp::parse("2026-03-02T00:00:00Z").unwrap();
        let before = Horizon::of_hours(24).unwrap().before(now);
        assert_eq!(before, Timestamp::parse("2026-03-01T00:00:00Z").unwrap());
    }
}
