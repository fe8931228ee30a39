//! [`TableStatus`]: how a table stands.

use schemas::{Table, Timestamp};

use super::files::Live;
use super::vacuum::{Horizon, Strays, Swept};
use super::{Sizes, Upkeep};
use crate::log::Version;
use crate::seal::seal_of_row;
use crate::{Advance, Lake, LakeError};

/// How a table stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableStatus {
    pub table: Table,
    pub version: Version,
    pub files: usize,
    /// Files of less than half the wanted size.
    pub small_files: usize,
    pub rows: u64,
    pub bytes: u64,
    /// Folders by month; 0 for a table without.
    pub months: usize,
    /// By the column `time` of its rows.
    pub oldest: Option<Timestamp>,
    pub newest: Option<Timestamp>,
    /// Entries of the log after its last checkpoint.
    pub log_entries: u64,
    /// Part of the table no more, and kept for those who read an older version.
    pub kept: Swept,
    /// Part of no version within the horizon: the next vacuum deletes what is old enough.
    pub orphans: Swept,
    /// Commits of events that have no seal.
    pub unsealed_commits: u64,
}

impl Upkeep {
    /// How the tables stand that are there. Without a horizon their folders are not listed, and the files
    /// that are part of them no more not counted.
    ///
    /// # Errors
    ///
    /// [`LakeError`].
    pub async fn status(
        lake: &Lake,
        sizes: Sizes,
        horizon: Option<(Horizon, Timestamp)>,
    ) -> Result<Vec<TableStatus>, LakeError> {
        let mut all = Vec::new();
        for table in Table::ALL {
            if let Some(live) = Live::newest(lake, *table).await? {
                all.push(status_of(lake, *table, live, (sizes, horizon)).await?);
            }
        }
        Ok(all)
    }
}

async fn status_of(
    lake: &Lake,
    table: Table,
    live: Live,
    (sizes, horizon): (Sizes, Option<(Horizon, Timestamp)>),
) -> Result<TableStatus, LakeError> {
    let state = lake.reading_log(table).newest().await?;
    let (kept, orphans) = match horizon {
        Some(horizon) => Strays::of(lake, table, horizon).await?.counted(),
        None => (Swept::default(), Swept::default()),
    };
    let files = &live.files;
    let months: std::collections::BTreeSet<&String> =
        files.iter().filter_map(|file| file.month.as_ref()).collect();
    let times = || files.iter().filter_map(|file| file.times);
    Ok(TableStatus {
        table,
        version: live.version,
        files: files.len(),
        small_files: files.iter().filter(|file| sizes.is_small(file.bytes)).count(),
        rows: files.iter().map(|file| file.rows).sum(),
        bytes: files.iter().map(|file| file.bytes).sum(),
        months: months.len(),
        oldest: times().map(|(first, _)| first).min(),
        newest: times().map(|(_, last)| last).max(),
        log_entries: state.map_or(0, |state| state.entries),
        kept,
        orphans,
        unsealed_commits: if table == Table::Events {
            unsealed_commits(lake, live.version).await?
        } else {
            0
        },
    })
}

async fn unsealed_commits(lake: &Lake, newest: Version) -> Result<u64, LakeError> {
    let table = Table::Events;
    let sealed = match lake.newest_seal().await? {
        Some(row) => seal_of_row(&row)?.version + 1,
        None => 0,
    };
    let log = lake.reading_log(table);
    let mut unsealed = 0;
    for version in sealed..=newest {
        let entry = log.entry(version).await;
        let entry = entry.map_err(|cause| LakeError::unavailable(table, cause))?;
        let identity = entry.and_then(|entry| entry.advance);
        unsealed += u64::from(identity.as_deref().and_then(Advance::parse).is_some());
    }
    Ok(unsealed)
}
