//! The rows of data files, and what the log says of a file compared with what is in it.
//!
//! Invariant: a file is decoded only if its bytes are those that its seal or its name tells of.

use arrow::array::{AsArray as _, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::TimestampMicrosecondType;
use bytes::Bytes;
use futures::StreamExt as _;
use schemas::{Offset, Table, Timestamp};
use serde_json::{Map, Value};

use super::super::leaf::{self, Place};
use super::super::merkle::{self, Hash};
use super::super::sealer::rows_of;
use super::super::{Seal, SealedFile};
use super::history::{Added, History};
use super::{AHEAD, Flaw, Verified, guarded};
use crate::Cause;
use crate::encode::{name_of, statistics};

/// Rows by their places, as leaves.
type Leaves = Vec<(Place, Hash)>;

/// A data file that is what its name says.
pub(super) struct Read {
    pub(super) path: String,
    pub(super) batches: Vec<RecordBatch>,
}

/// Reads every file of a table that is not named by seals one by one, and shows it to `sees`.
pub(super) async fn read_named(
    history: &History,
    verified: &mut Verified,
    mut sees: impl FnMut(&Read) -> Result<(), Cause>,
) {
    let table = history.table();
    let mut all = futures::stream::iter(&history.files)
        .map(|(path, added)| async move { (path, read_one(history, path, added).await) })
        .buffered(AHEAD);
    while let Some((path, read)) = all.next().await {
        verified.files += 1;
        let flaw = |what: String| Flaw::of(table, what).in_file(path);
        match read {
            Ok((read, wrong)) => {
                verified.flaws.extend(wrong.into_iter().map(flaw));
                if let Err(error) = sees(&read) {
                    verified.flaws.push(flaw(format!("it cannot be read: {error}")));
                }
            }
            Err(what) => verified.flaws.push(flaw(what)),
        }
    }
}

/// The file with what the log says wrongly of it.
async fn read_one(
    history: &History,
    path: &str,
    added: &Added,
) -> Result<(Read, Vec<String>), String> {
    let bytes = history.get(path).await?;
    if !path.ends_with(&name_of(&bytes, &added.identity)) {
        return Err("its content is not what its name says".to_owned());
    }
    let size = bytes.len() as u64;
    let batches = guarded(move || rows_of(bytes)).await?;
    let batches = batches.map_err(|error| format!("it cannot be read: {error}"))?;
    let wrong = guarded({
        let (table, batches, path) = (history.table(), batches.clone(), path.to_owned());
        let told = (added.bytes, added.month.clone(), added.statistics.clone());
        move || {
            let (bytes, month, statistics) = told;
            misstated(table, &path, (bytes == size, month.as_deref(), &statistics), &batches)
        }
    });
    Ok((Read { path: path.to_owned(), batches }, wrong.await?))
}

/// What the log says of a file and is not so: readers leave files out by it.
fn misstated(
    table: Table,
    path: &str,
    (is_size, month, told): (bool, Option<&str>, &Value),
    batches: &[RecordBatch],
) -> Vec<String> {
    let mut wrong = Vec::new();
    if !is_size {
        wrong.push("its size is not what the log says".to_owned());
    }
    if let Some(what) = wrong_month(table, path, month, batches) {
        wrong.push(what);
    }
    let is_told = batches.first().and_then(|first| {
        let whole = concat_batches(&first.schema(), batches).ok()?;
        let found: Value = serde_json::from_str(&statistics::of(table, &whole)).ok()?;
        Some(is_part(told.as_object()?, found.as_object()?))
    });
    if is_told != Some(true) {
        wrong.push("its statistics in the log are not those of its rows".to_owned());
    }
    wrong
}

/// Whether everything that is `told` is `found`: a later release may tell more.
fn is_part(told: &Map<String, Value>, found: &Map<String, Value>) -> bool {
    told.iter().all(|(name, told)| match (told, found.get(name)) {
        (Value::Object(told), Some(Value::Object(found))) => is_part(told, found),
        (told, Some(found)) => told == found,
        (_, None) => false,
    })
}

fn wrong_month(
    table: Table,
    path: &str,
    month: Option<&str>,
    batches: &[RecordBatch],
) -> Option<String> {
    let month = match (table.month_column(), month) {
        (None, None) => return None,
        (Some(_), Some(month)) => month,
        (_, found) => {
            return Some(format!("wanted it in a folder by month or not, found {found:?}"));
        }
    };
    if !path.starts_with(&format!("month={month}/")) {
        return Some(format!("the log says that it is of {month}, and its folder does not"));
    }
    for batch in batches {
        let times = batch.column_by_name("time")?.as_primitive_opt::<TimestampMicrosecondType>()?;
        for time in times.iter().flatten() {
            match Timestamp::from_micros(time) {
                Ok(time) if time.month().to_string() == month => {}
                Ok(time) => return Some(format!("wanted rows of {month}, found one of {time}")),
                Err(_) => return Some("wanted times from 1970 to 2199".to_owned()),
            }
        }
    }
    None
}

/// The leaves of all rejects, by place.
pub(super) struct Rejects {
    pub(super) leaves: Leaves,
}

impl Rejects {
    pub(super) async fn read(history: &History, verified: &mut Verified) -> Self {
        let mut leaves = Vec::new();
        read_named(history, verified, |read| {
            for rows in &read.batches {
                leaves.extend(leaf::leaves(Table::Rejects, rows)?);
            }
            Ok(())
        })
        .await;
        leaves.sort_unstable();
        Self { leaves }
    }

    /// Those of the records of a seal.
    pub(super) fn of(&self, seal: &Seal) -> Leaves {
        let mut found = Vec::new();
        for (topic, partition, range) in &seal.ranges {
            let at = |offset: Offset| {
                let wanted = (topic.as_str(), *partition, offset);
                self.leaves.partition_point(|(place, _)| {
                    (place.topic.as_str(), place.partition, place.offset) < wanted
                })
            };
            found.extend_from_slice(&self.leaves[at(range.start)..at(range.end)]);
        }
        found
    }
}

/// What came of making a seal again.
#[derive(Default)]
pub(super) struct Remade {
    pub(super) records: u64,
    pub(super) files: u64,
    pub(super) flaws: Vec<Flaw>,
}

/// Reads the files of a seal and makes its tree again.
pub(super) async fn remake(events: &History, seal: &Seal, rejects: Leaves) -> Remade {
    let mut remade = Remade::default();
    let mut files = Vec::new();
    for file in &seal.files {
        let flaw =
            |what: String| Flaw::of(Table::Events, what).in_seal(seal.sequence).in_file(&file.path);
        let Some(added) = events.files.get(&file.path) else {
            remade.flaws.push(flaw("it is not part of the table any more".to_owned()));
            continue;
        };
        remade.files += 1;
        let bytes = match events.get(&file.path).await {
            Ok(bytes) => bytes,
            Err(what) => {
                remade.flaws.push(flaw(what));
                continue;
            }
        };
        if SealedFile::of(&file.path, &bytes) != *file {
            remade.flaws.push(flaw("its bytes are not those that were sealed".to_owned()));
            continue;
        }
        let told = (added.bytes, added.month.clone(), added.statistics.clone());
        let path = file.path.clone();
        match guarded(move || leaves_of(&path, bytes, &told)).await {
            Ok(Ok((leaves, wrong))) => {
                remade.flaws.extend(wrong.into_iter().map(flaw));
                files.push(leaves);
            }
            Ok(Err(what)) | Err(what) => remade.flaws.push(flaw(what)),
        }
    }
    let is_whole = files.len() == seal.files.len();
    let seal = seal.clone();
    let sequence = seal.sequence;
    match guarded(move || compare(&seal, is_whole, files, rejects)).await {
        Ok((records, flaws)) => {
            remade.records = records;
            remade.flaws.extend(flaws);
        }
        Err(what) => remade.flaws.push(Flaw::of(Table::Events, what).in_seal(sequence)),
    }
    remade
}

/// The leaves of a file of `events`, and what the log says wrongly of it.
fn leaves_of(
    path: &str,
    bytes: Bytes,
    (size, month, statistics): &(u64, Option<String>, Value),
) -> Result<(Leaves, Vec<String>), String> {
    let table = Table::Events;
    let is_size = *size == bytes.len() as u64;
    let unreadable = |error: Cause| format!("it cannot be read: {error}");
    let batches = rows_of(bytes).map_err(unreadable)?;
    let wrong = misstated(table, path, (is_size, month.as_deref(), statistics), &batches);
    let mut leaves = Vec::new();
    for rows in &batches {
        leaves.extend(leaf::leaves(table, rows).map_err(|error| unreadable(error.into()))?);
    }
    Ok((leaves, wrong))
}

/// How many records were found, and what is wrong with them. Of a seal whose files were not all
/// readable only what stands in the others is told.
fn compare(seal: &Seal, is_whole: bool, files: Vec<Leaves>, rejects: Leaves) -> (u64, Vec<Flaw>) {
    let mut flaws = Vec::new();
    let found_rejects = rejects.len() as u64;
    let mut leaves = rejects;
    leaves.extend(files.into_iter().flatten());
    leaves.sort_unstable();
    let flaw = |what: String| Flaw::of(Table::Events, what).in_seal(seal.sequence);
    for pair in leaves.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
        flaws.push(flaw("it is there twice".to_owned()).at(&pair[1].0));
    }
    let advance = seal.advance();
    for (place, _) in leaves.iter().filter(|(place, _)| !place.is_within(&advance)) {
        flaws.push(flaw("it is not of this commit".to_owned()).at(place));
    }
    let records = leaves.len() as u64;
    if found_rejects != seal.rejects {
        let what = format!("wanted {} rejects, found {found_rejects}", seal.rejects);
        flaws.push(Flaw::of(Table::Rejects, what).in_seal(seal.sequence));
    }
    if !is_whole {
        return (records, flaws);
    }
    let hashes: Vec<Hash> = leaves.into_iter().map(|(_, hash)| hash).collect();
    if records != seal.records {
        flaws.push(flaw(format!("wanted {} records, found {records}", seal.records)));
    } else if merkle::root_of(&hashes) != seal.root {
        flaws.push(flaw(
            "its records are not those that were sealed: the root is another".to_owned(),
        ));
    }
    (records, flaws)
}
