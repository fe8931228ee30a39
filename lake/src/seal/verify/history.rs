//! [`History`]: what the log of a table says, entry by entry.
//!
//! Invariant: an entry is taken as it stands and its hash is kept; an action that could change a
//! reader's answer in a way that we never write (a removal without a note, a deletion vector) is a flaw.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use schemas::Table;
use serde_json::{Map, Value};

use super::super::merkle::{Hash, sha256};
use super::super::note::text_of;
use super::Flaw;
use crate::log::{POINTER, TableLog};
use crate::upkeep::record::{Paths, Record};
use crate::{Advance, LakeError, Version};

/// Entries read ahead.
const AHEAD: usize = 16;

/// What the log of a table says.
pub(super) struct History {
    pub(super) log: TableLog,
    /// In the order of their versions; those that are missing or cannot be read are left out.
    pub(super) entries: BTreeMap<Version, LogEntry>,
    /// One after the newest version.
    pub(super) end: Version,
    /// The files that are part of the table.
    pub(super) files: BTreeMap<String, Added>,
    /// The files that were part of it, until an entry with a note removed them.
    pub(super) removed: BTreeMap<String, Added>,
    /// The entries with a note; `rewrites.rs` asks whether they may be believed.
    pub(super) rewrites: BTreeMap<Version, Rewrite>,
    /// The commits of records.
    pub(super) commits: BTreeMap<Version, Advance>,
    /// The names of checkpoints and of their pointer.
    pub(super) checkpoints: BTreeSet<String>,
}

/// One entry of a log.
pub(super) struct LogEntry {
    pub(super) hash: Hash,
    /// `None` if it cannot be read.
    pub(super) actions: Option<Actions>,
}

/// What an entry says.
#[derive(Default)]
pub(super) struct Actions {
    pub(super) adds: Vec<Map<String, Value>>,
    pub(super) removed: Vec<String>,
    pub(super) transactions: Vec<Map<String, Value>>,
    pub(super) metadata: Option<Map<String, Value>>,
    pub(super) protocol: Option<Map<String, Value>>,
    pub(super) about: Map<String, Value>,
}

/// Files that were replaced or removed in one entry.
pub(super) struct Rewrite {
    pub(super) note: String,
    /// What the note says.
    pub(super) record: Record,
    pub(super) added_paths: Paths,
    pub(super) removed: Vec<String>,
    pub(super) added: Vec<String>,
    /// Whether the entry is of a commit of rows, too, or moves the table's marks.
    pub(super) is_more: bool,
}

/// A file that is part of a table, and what the log says of it.
#[derive(Clone)]
pub(super) struct Added {
    /// The entry that added it, and the identity of its commit.
    pub(super) version: Version,
    pub(super) identity: String,
    pub(super) bytes: u64,
    pub(super) month: Option<String>,
    pub(super) statistics: Value,
}

/// The name of an entry in the table's folder.
pub(super) fn path_of(version: Version) -> String {
    format!("_delta_log/{version:020}.json")
}

impl History {
    pub(super) async fn read(log: TableLog, flaws: &mut Vec<Flaw>) -> Result<Self, LakeError> {
        let (versions, checkpoints) = list(&log, flaws).await?;
        let mut history = Self {
            log,
            entries: BTreeMap::new(),
            end: versions.last().map_or(0, |newest| newest.saturating_add(1)),
            files: BTreeMap::new(),
            removed: BTreeMap::new(),
            rewrites: BTreeMap::new(),
            commits: BTreeMap::new(),
            checkpoints,
        };
        let table = history.log.table;
        let mut wanted = 0;
        for version in &versions {
            if wanted < *version {
                let what =
                    format!("wanted entries {wanted} to {} of the log, found none", version - 1);
                flaws.push(Flaw::of(table, what).in_file(&path_of(wanted)));
            }
            wanted = version.saturating_add(1);
        }
        let log = history.log.clone();
        let mut entries = futures::stream::iter(versions)
            .map(|version| {
                let log = log.clone();
                async move { (version, log.entry_bytes(version).await) }
            })
            .buffered(AHEAD);
        while let Some((version, bytes)) = entries.next().await {
            let flaw = |what: String| Flaw::of(table, what).in_file(&path_of(version));
            let bytes = match bytes {
                Ok(Some(bytes)) => bytes,
                Ok(None) => {
                    flaws.push(flaw("wanted this entry of the log, found none".to_owned()));
                    continue;
                }
                Err(error) => {
                    flaws.push(flaw(format!("it cannot be read: {error}")));
                    continue;
                }
            };
            let actions = match Actions::parse(&bytes) {
                Ok(actions) => Some(actions),
                Err(what) => {
                    flaws.push(flaw(what));
                    None
                }
            };
            let hash = sha256(&[&bytes]);
            history.note(version, LogEntry { hash, actions }, flaws);
        }
        drop(entries);
        Ok(history)
    }

    fn note(&mut self, version: Version, entry: LogEntry, flaws: &mut Vec<Flaw>) {
        if let Some(actions) = &entry.actions {
            let rewrite = actions.rewrite();
            for path in &actions.removed {
                let known = self.files.remove(path);
                if let (Some(known), Some(_)) = (known, &rewrite) {
                    self.removed.insert(path.clone(), known);
                    continue;
                }
                let what = format!("entry {version} of the log removed it");
                flaws.push(Flaw::of(self.log.table, what).in_file(path));
            }
            let of_rewrite = rewrite.as_ref().map(|rewrite| rewrite.record.identity());
            let identity = actions.identity().or(of_rewrite.as_deref()).unwrap_or_default();
            if let Some(advance) = Advance::parse(identity) {
                self.commits.insert(version, advance);
            }
            for add in &actions.adds {
                match Added::of(add, version, identity) {
                    Ok((path, added)) => {
                        self.files.insert(path, added);
                    }
                    Err(what) => {
                        flaws.push(Flaw::of(self.log.table, what).in_file(&path_of(version)));
                    }
                }
            }
        }
        let rewrite = entry.actions.as_ref().and_then(Actions::rewrite);
        self.rewrites.extend(rewrite.map(|rewrite| (version, rewrite)));
        self.entries.insert(version, entry);
    }

    pub(super) fn table(&self) -> Table {
        self.log.table
    }

    /// The id of the table: `None` if there is no table, or no entry to tell.
    pub(super) fn id(&self) -> Option<&str> {
        let mut told = self.entries.values().filter_map(|entry| entry.actions.as_ref());
        told.find_map(|actions| actions.metadata.as_ref())?.get("id")?.as_str()
    }

    /// The bytes of a file in the table's folder, or what is wrong with it.
    pub(super) async fn get(&self, path: &str) -> Result<Bytes, String> {
        let found = self.get_if_there(path).await?;
        found.ok_or_else(|| "wanted this file, found none".to_owned())
    }

    pub(super) async fn get_if_there(&self, path: &str) -> Result<Option<Bytes>, String> {
        let path = Path::parse(path).map_err(|_| "wanted the path of a file".to_owned())?;
        let found = self.log.get_if_there(&path).await;
        found.map_err(|error| format!("it cannot be read: {error}"))
    }
}

/// The versions that have entries, and the names of checkpoints. What else is in the folder of the log
/// is a flaw: readers know kinds of files that we do not write.
async fn list(
    log: &TableLog,
    flaws: &mut Vec<Flaw>,
) -> Result<(BTreeSet<Version>, BTreeSet<String>), LakeError> {
    let (mut versions, mut checkpoints) = (BTreeSet::new(), BTreeSet::new());
    let folder = Path::from("_delta_log");
    let mut files = log.stored().store.list(Some(&folder));
    let unavailable = |cause| LakeError::unavailable(log.table, cause);
    while let Some(file) = files.try_next().await.map_err(unavailable)? {
        let path = file.location.as_ref();
        let name = path.strip_prefix("_delta_log/").unwrap_or(path);
        // What a writer left behind when it was killed; no reader looks at it.
        if file.location.extension() == Some("tmp") {
            continue;
        }
        match kind_of(name) {
            Some(Kind::Entry(version)) => {
                versions.insert(version);
                continue;
            }
            Some(Kind::Checkpoint) => {
                checkpoints.insert(name.to_owned());
                continue;
            }
            None => {}
        }
        let what = "wanted entries and checkpoints only in the folder of the log, found this";
        flaws.push(Flaw::of(log.table, what).in_file(path));
    }
    Ok((versions, checkpoints))
}

/// A file in the folder of a log.
enum Kind {
    Entry(Version),
    /// Or the pointer to one.
    Checkpoint,
}

fn kind_of(name: &str) -> Option<Kind> {
    if name == POINTER {
        return Some(Kind::Checkpoint);
    }
    let (version, rest) = name.split_once('.')?;
    let number = version.parse().ok().filter(|_| version.len() == 20)?;
    match rest.split('.').collect::<Vec<_>>()[..] {
        ["json"] => Some(Kind::Entry(number)),
        ["checkpoint", "parquet"] | ["checkpoint", _, _, "parquet"] => Some(Kind::Checkpoint),
        _ => None,
    }
}

impl Actions {
    /// Reads an entry.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let mut actions = Self::default();
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let line: Map<String, Value> = serde_json::from_slice(line)
                .map_err(|error| format!("wanted a line of JSON, found something else: {error}"))?;
            for (name, action) in line {
                let Value::Object(action) = action else {
                    return Err(format!("wanted an object as {name}"));
                };
                match name.as_str() {
                    "add" => actions.adds.push(action),
                    "remove" => {
                        let path = action.get("path").and_then(Value::as_str);
                        actions.removed.push(path.unwrap_or_default().to_owned());
                    }
                    "txn" => actions.transactions.push(action),
                    "metaData" => actions.metadata = Some(action),
                    "protocol" => actions.protocol = Some(action),
                    "commitInfo" => actions.about = action,
                    _ => return Err(format!("wanted actions that we write, found {name:?}")),
                }
            }
        }
        Ok(actions)
    }

    /// What its note says, if it has one that can be read.
    fn rewrite(&self) -> Option<Rewrite> {
        let note = self.about.get("suretyNote")?.as_str()?;
        let (record, added_paths) = Record::parse(text_of(note).ok()?)?;
        let path = |add: &Map<String, Value>| Some(add.get("path")?.as_str()?.to_owned());
        Some(Rewrite {
            note: note.to_owned(),
            record,
            added_paths,
            removed: self.removed.clone(),
            added: self.adds.iter().filter_map(path).collect(),
            is_more: self.identity().is_some()
                || !self.transactions.is_empty()
                || self.metadata.is_some()
                || self.protocol.is_some(),
        })
    }

    /// The identity of the commit, if it is one of ours.
    pub(super) fn identity(&self) -> Option<&str> {
        self.about.get("suretyAdvance").and_then(Value::as_str)
    }
}

impl Added {
    fn of(
        add: &Map<String, Value>,
        version: Version,
        identity: &str,
    ) -> Result<(String, Self), String> {
        let (identity, statistics) = (identity.to_owned(), Value::Null);
        let mut added = Self { version, identity, bytes: 0, month: None, statistics };
        let mut path = None;
        for (name, value) in add {
            match (name.as_str(), value) {
                ("path", Value::String(text)) => path = Some(text.clone()),
                ("size", value) => {
                    added.bytes = value.as_u64().ok_or("wanted a file's size in bytes")?;
                }
                ("partitionValues", Value::Object(values)) => {
                    for (column, value) in values {
                        match (column.as_str(), value) {
                            ("month", Value::String(month)) => added.month = Some(month.clone()),
                            _ => return Err("wanted folders by month only".to_owned()),
                        }
                    }
                }
                ("stats", Value::String(text)) => {
                    added.statistics = serde_json::from_str(text)
                        .map_err(|error| format!("wanted statistics as JSON: {error}"))?;
                }
                ("modificationTime" | "dataChange", _) | (_, Value::Null) => {}
                _ => return Err(format!("wanted what we say of a file, found {name:?} too")),
            }
        }
        Ok((path.ok_or("wanted the path of a file")?, added))
    }
}
