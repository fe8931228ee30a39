//! [`LiveFile`]: the files that are part of a table, and which of them may be touched.
//!
//! Invariant: what no seal names yet is left alone. A seal that is made up for reads the files of its
//! commit, and an entry that is not sealed is proven by the files that it adds.

use std::collections::BTreeSet;

use schemas::{Table, Timestamp};
use serde_json::Value;

use crate::encode::month_of;
use crate::error::Reason;
use crate::log::Version;
use crate::seal::{COVERED, seal_of_row};
use crate::{Lake, LakeError};

/// A file that is part of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LiveFile {
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) rows: u64,
    pub(crate) month: Option<String>,
    /// When it was written.
    pub(crate) written: Timestamp,
    /// The column `time` of its rows: the earliest and the latest.
    pub(crate) times: Option<(Timestamp, Timestamp)>,
    /// The topics of its rows: the first and the last.
    pub(crate) topics: Option<(String, String)>,
}

/// A version of a table.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) version: Version,
    /// The table's id, in its metadata.
    pub(crate) id: String,
    /// In the order in which they were written, then by path.
    pub(crate) files: Vec<LiveFile>,
}

impl Live {
    /// The newest version; `None` if the table is not made yet.
    pub(crate) async fn newest(lake: &Lake, table: Table) -> Result<Option<Self>, LakeError> {
        let Some(snapshot) = lake.newest(table).await? else { return Ok(None) };
        let log = snapshot.try_log_data().map_err(|cause| LakeError::unavailable(table, cause))?;
        let mut files = Vec::with_capacity(log.num_files());
        for view in log.iter() {
            let told = view.stats().unwrap_or_default();
            let statistics: Value = serde_json::from_str(&told).unwrap_or(Value::Null);
            let path = view.path().into_owned();
            let unreadable = |what: &str| {
                let text = format!("{path}: wanted {what} in the log, found none");
                LakeError::unavailable(table, Reason(text))
            };
            let rows = statistics["numRecords"].as_u64();
            files.push(LiveFile {
                bytes: u64::try_from(view.size()).map_err(|_| unreadable("its size"))?,
                rows: rows.ok_or_else(|| unreadable("its number of rows"))?,
                month: month_of(&path),
                written: Timestamp::from_millis(view.modification_time())
                    .map_err(|_| unreadable("its time"))?,
                times: bounds(&statistics, "time").and_then(|(low, high)| {
                    Some((Timestamp::parse(&low).ok()?, Timestamp::parse(&high).ok()?))
                }),
                topics: bounds(&statistics, "topic"),
                path,
            });
        }
        files.sort_by(|a, b| (a.written, &a.path).cmp(&(b.written, &b.path)));
        let id = snapshot.metadata().id().to_owned();
        Ok(Some(Self { version: snapshot.version(), id, files }))
    }

    /// Without the files that no seal names yet.
    pub(crate) async fn sealed(mut self, lake: &Lake, table: Table) -> Result<Self, LakeError> {
        if !COVERED.contains(&table) {
            return Ok(self);
        }
        let unsealed = unsealed(lake, table, self.version).await?;
        self.files
            .retain(|file| unsealed.as_ref().is_some_and(|paths| !paths.contains(&file.path)));
        Ok(self)
    }
}

fn bounds(statistics: &Value, column: &str) -> Option<(String, String)> {
    let text = |side: &str| statistics[side][column].as_str().map(str::to_owned);
    Some((text("minValues")?, text("maxValues")?))
}

/// The files of entries up to `newest` that no seal names; `None` if there is no seal at all.
async fn unsealed(
    lake: &Lake,
    table: Table,
    newest: Version,
) -> Result<Option<BTreeSet<String>>, LakeError> {
    let Some(row) = lake.newest_seal().await? else { return Ok(None) };
    let seal = seal_of_row(&row)?;
    let end = seal.logs.iter().find(|log| log.table == table).map_or(0, |log| log.end);
    let log = lake.reading_log(table);
    let mut paths = BTreeSet::new();
    for version in end..=newest {
        let entry = log.entry(version).await;
        let entry = entry.map_err(|cause| LakeError::unavailable(table, cause))?;
        paths.extend(entry.into_iter().flat_map(|entry| entry.added));
    }
    Ok(Some(paths))
}

/// Whether a file can hold rows of `topic`.
pub(crate) fn may_hold(file: &LiveFile, topic: &str) -> bool {
    file.topics
        .as_ref()
        .is_some_and(|(first, last)| (first.as_str()..=last.as_str()).contains(&topic))
}
