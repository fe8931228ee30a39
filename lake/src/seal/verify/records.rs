//! The rows of data files, and what the log says of a file compared with what is in it.
//!
//! Invariant: a file is decoded only if its bytes are those that its seal or its name tells of.

use arrow::array::{AsArray as _, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use bytes::Bytes;
use futures::StreamExt as _;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use schemas::{Offset, Table, Timestamp};
use serde_json::{Map, Value};

use super::super::leaf::{self, Place};
use super::super::merkle::{self, Hash};
use super::super::{Seal, SealedFile};
use super::history::{Added, History};
use super::{AHEAD, Flaw, Verified, guarded};
use crate::Cause;
use crate::encode::name_of;
use crate::encode::statistics::Sum;
use crate::upkeep::record::Kind;

/// How many records of a seal are named that a rewrite changed.
const RECORDS_NAMED_MAX: usize = 10;

/// What is made of the rows of a file, whose path is told too.
pub(super) type See<T> = fn(&str, &RecordBatch) -> Result<Vec<T>, Cause>;

/// Rows by their places, as leaves.
pub(super) type Leaves = Vec<(Place, Hash)>;

/// Reads every file of a table that is not named by seals one by one; what `see` makes of the rows of
/// all of them. A file is read batch by batch: it may be large.
pub(super) async fn read_named<T: Send + 'static>(
    history: &History,
    verified: &mut Verified,
    see: See<T>,
) -> Vec<T> {
    let table = history.table();
    let mut all = futures::stream::iter(&history.files)
        .map(|(path, added)| async move { (path, read_one(history, path, added, see).await) })
        .buffered(AHEAD);
    let mut seen = Vec::new();
    while let Some((path, read)) = all.next().await {
        verified.files += 1;
        let flaw = |what: String| Flaw::of(table, what).in_file(path);
        match read {
            Ok((rows, wrong)) => {
                verified.flaws.extend(wrong.into_iter().map(flaw));
                seen.extend(rows);
            }
            Err(what) => verified.flaws.push(flaw(what)),
        }
    }
    seen
}

/// What `see` makes of the rows of a file that is what its name says, with what the log says wrongly of
/// it.
pub(super) async fn read_one<T: Send + 'static>(
    history: &History,
    path: &str,
    added: &Added,
    see: See<T>,
) -> Result<(Vec<T>, Vec<String>), String> {
    let bytes = history.get(path).await?;
    if !path.ends_with(&name_of(&bytes, &added.identity)) {
        return Err("its content is not what its name says".to_owned());
    }
    let (table, path, added) = (history.table(), path.to_owned(), added.clone());
    let read = guarded(move || examined(table, &path, bytes, (&added, see))).await?;
    read.map_err(|error| format!("it cannot be read: {error}"))
}

/// What `see` makes of the rows of a file, and what the log says of it and is not so: readers leave files
/// out by it.
fn examined<T>(
    table: Table,
    path: &str,
    bytes: Bytes,
    (told, see): (&Added, See<T>),
) -> Result<(Vec<T>, Vec<String>), Cause> {
    let mut wrong = Vec::new();
    if told.bytes != bytes.len() as u64 {
        wrong.push("its size is not what the log says".to_owned());
    }
    let month = told.month.as_deref();
    let mut wrong_month = wrong_folder(table, path, month);
    let (mut seen, mut found) = (Vec::new(), Sum::new(table));
    for rows in ParquetRecordBatchReaderBuilder::try_new(bytes)?.build()? {
        let rows = rows?;
        seen.extend(see(path, &rows)?);
        wrong_month = wrong_month.or_else(|| wrong_rows(month?, &rows));
        found.add(&rows);
    }
    wrong.extend(wrong_month);
    let is_told = match (told.statistics.as_object(), found.finish().as_object()) {
        (Some(told), Some(found)) => is_part(told, found),
        _ => false,
    };
    if !is_told {
        wrong.push("its statistics in the log are not those of its rows".to_owned());
    }
    Ok((seen, wrong))
}

/// Whether everything that is `told` is `found`: a later release may tell more.
fn is_part(told: &Map<String, Value>, found: &Map<String, Value>) -> bool {
    told.iter().all(|(name, told)| match (told, found.get(name)) {
        (Value::Object(told), Some(Value::Object(found))) => is_part(told, found),
        (told, Some(found)) => told == found,
        (_, None) => false,
    })
}

fn wrong_folder(table: Table, path: &str, month: Option<&str>) -> Option<String> {
    match (table.month_column(), month) {
        (None, None) => None,
        (Some(_), Some(month)) if path.starts_with(&format!("month={month}/")) => None,
        (Some(_), Some(month)) => {
            Some(format!("the log says that it is of {month}, and its folder does not"))
        }
        (_, found) => Some(format!("wanted it in a folder by month or not, found {found:?}")),
    }
}

fn wrong_rows(month: &str, rows: &RecordBatch) -> Option<String> {
    let times = rows.column_by_name("time")?.as_primitive_opt::<TimestampMicrosecondType>()?;
    times.iter().flatten().find_map(|time| match Timestamp::from_micros(time) {
        Ok(time) if time.month().to_string() == month => None,
        Ok(time) => Some(format!("wanted rows of {month}, found one of {time}")),
        Err(_) => Some("wanted times from 1970 to 2199".to_owned()),
    })
}

/// The leaves of all rejects, by place.
pub(super) struct Rejects {
    pub(super) leaves: Leaves,
    /// Whether days of them are not kept: then some of a seal may be missing.
    are_limited: bool,
}

impl Rejects {
    pub(super) async fn read(history: &History, verified: &mut Verified) -> Self {
        let mut leaves =
            read_named(history, verified, |_, rows| Ok(leaf::leaves(Table::Rejects, rows)?)).await;
        leaves.sort_unstable();
        let mut records = history.rewrites.values().map(|rewrite| rewrite.record.kind);
        Self { leaves, are_limited: records.any(|kind| kind == Kind::Retention) }
    }

    /// Those of the records of a seal.
    pub(super) fn of(&self, seal: &Seal) -> Leaves {
        of_seal(&self.leaves, seal)
    }

    /// Whether it may be that so few of a seal are there.
    pub(super) fn may_miss(&self, seal: &Seal, found: &Leaves) -> bool {
        self.are_limited && (found.len() as u64) < seal.rejects
    }
}

/// Those of sorted leaves that are records of a seal.
pub(super) fn of_seal(leaves: &Leaves, seal: &Seal) -> Leaves {
    let mut found = Vec::new();
    for (topic, partition, range) in &seal.ranges {
        let at = |offset: Offset| {
            let wanted = (topic.as_str(), *partition, offset);
            leaves.partition_point(|(place, _)| {
                (place.topic.as_str(), place.partition, place.offset) < wanted
            })
        };
        found.extend_from_slice(&leaves[at(range.start)..at(range.end)]);
    }
    found
}

/// Records of a seal that do not stand in the files that it names.
#[derive(Default)]
pub(super) struct Elsewhere {
    pub(super) rejects: Leaves,
    /// Events in files that others were merged into, and the paths of those.
    pub(super) events: Leaves,
    pub(super) files: Vec<String>,
    /// Whether some are not there because their days are not kept.
    pub(super) is_retained: bool,
}

/// What came of making a seal again.
#[derive(Default)]
pub(super) struct Remade {
    /// Records that are not there because their days are not kept.
    pub(super) retained: u64,
    pub(super) records: u64,
    pub(super) files: u64,
    pub(super) flaws: Vec<Flaw>,
}

/// Reads the files of a seal and makes its tree again.
pub(super) async fn remake(events: &History, seal: &Seal, elsewhere: Elsewhere) -> Remade {
    let mut remade = Remade::default();
    let mut files = Vec::new();
    let mut merged = Vec::new();
    for file in &seal.files {
        let flaw =
            |what: String| Flaw::of(Table::Events, what).in_seal(seal.sequence).in_file(&file.path);
        let Some(added) = events.files.get(&file.path) else {
            if events.removed.contains_key(&file.path) {
                merged.push(file);
            } else {
                remade.flaws.push(flaw("it is not part of the table any more".to_owned()));
            }
            continue;
        };
        remade.files += 1;
        match sealed_leaves(events, file, added).await {
            Ok((leaves, wrong)) => {
                remade.flaws.extend(wrong.into_iter().map(flaw));
                files.push(leaves);
            }
            Err(what) => remade.flaws.push(flaw(what)),
        }
    }
    let is_whole = files.len() + merged.len() == seal.files.len() && remade.flaws.is_empty();
    let (told, sequence) = (seal.clone(), seal.sequence);
    let Elsewhere { rejects, events: rewritten, files: paths, is_retained } = elsewhere;
    let moved = if is_whole && !paths.is_empty() { rewritten.clone() } else { Vec::new() };
    files.push(rewritten);
    match guarded(move || compare(&told, (is_whole, is_retained), files, rejects)).await {
        Ok((records, flaws)) => {
            remade.records = records;
            if is_retained {
                remade.retained = seal.records.saturating_sub(records);
            }
            let is_changed = !flaws.is_empty();
            remade.flaws.extend(flaws);
            if is_changed && !paths.is_empty() {
                remade
                    .flaws
                    .extend(changed_by_rewrite(events, seal, (merged, &paths), moved).await);
            }
        }
        Err(what) => remade.flaws.push(Flaw::of(Table::Events, what).in_seal(sequence)),
    }
    remade
}

/// The leaves of a file that a seal names, and what the log says wrongly of it.
async fn sealed_leaves(
    events: &History,
    file: &SealedFile,
    added: &Added,
) -> Result<(Leaves, Vec<String>), String> {
    let bytes = events.get(&file.path).await?;
    if SealedFile::of(&file.path, &bytes) != *file {
        return Err("its bytes are not those that were sealed".to_owned());
    }
    let (path, added) = (file.path.clone(), added.clone());
    let see = |_: &str, rows: &RecordBatch| Ok(leaf::leaves(Table::Events, rows)?);
    let read = guarded(move || examined(Table::Events, &path, bytes, (&added, see))).await?;
    read.map_err(|error| format!("it cannot be read: {error}"))
}

/// Names the files in which the records of a seal are not what they were, and, as far as the files before
/// are still there, the records.
async fn changed_by_rewrite(
    events: &History,
    seal: &Seal,
    (merged, paths): (Vec<&SealedFile>, &[String]),
    mut found: Leaves,
) -> Vec<Flaw> {
    let flaw = |what: &str| Flaw::of(Table::Events, what).in_seal(seal.sequence);
    let mut flaws: Vec<Flaw> = paths
        .iter()
        .map(|path| flaw("what it was made of is not what was sealed").in_file(path))
        .collect();
    let mut before = Vec::new();
    for file in merged {
        let Some(added) = events.removed.get(&file.path) else { continue };
        // It may have been deleted since, as it should be.
        match sealed_leaves(events, file, added).await {
            Ok((leaves, _)) => before.extend(leaves),
            Err(_) => return flaws,
        }
    }
    before.sort_unstable();
    found.sort_unstable();
    let is_in = |leaves: &Leaves, leaf: &(Place, Hash)| leaves.binary_search(leaf).is_ok();
    let changed = before.iter().filter(|leaf| !is_in(&found, leaf));
    let inserted =
        found.iter().filter(|(place, _)| !before.iter().any(|(known, _)| known == place));
    let changed = changed.map(|(place, _)| flaw("a rewrite changed or dropped it").at(place));
    let inserted = inserted.map(|(place, _)| flaw("a rewrite inserted it").at(place));
    flaws.extend(changed.chain(inserted).take(RECORDS_NAMED_MAX));
    flaws
}

/// How many records and what is wrong with them. Of a seal whose files were not all readable only what
/// stands in the others is told; of one whose records are not all kept, whether there are more.
fn compare(
    seal: &Seal,
    (is_whole, is_retained): (bool, bool),
    files: Vec<Leaves>,
    rejects: Leaves,
) -> (u64, Vec<Flaw>) {
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
    let is_right = |found: u64, wanted: u64| found == wanted || (is_retained && found < wanted);
    if !is_right(found_rejects, seal.rejects) {
        let what = format!("wanted {} rejects, found {found_rejects}", seal.rejects);
        flaws.push(Flaw::of(Table::Rejects, what).in_seal(seal.sequence));
    }
    if !is_whole {
        return (records, flaws);
    }
    let hashes: Vec<Hash> = leaves.into_iter().map(|(_, hash)| hash).collect();
    if !is_right(records, seal.records) {
        flaws.push(flaw(format!("wanted {} records, found {records}", seal.records)));
    } else if records == seal.records && merkle::root_of(&hashes) != seal.root {
        flaws.push(flaw(
            "its records are not those that were sealed: the root is another".to_owned(),
        ));
    }
    (records, flaws)
}
