//! Entries that replaced files or removed them: whether they may be believed, and which seals' records stand
//! in which file since.
//!
//! Invariant: a file is gone rightly only if an entry with a note says so that the seals' key signed and that
//! is about just these files. That the rows of a merged file are those of the files before is not
//! believed: each seal's root is made again from them.

use std::collections::{BTreeMap, BTreeSet};

use schemas::Table;

use super::super::leaf;
use super::super::{PublicKey, Seal};
use super::history::{History, Rewrite, path_of};
use super::records::{Elsewhere, Leaves, Rejects, of_seal, read_one};
use super::{Flaw, Verified};
use crate::upkeep::Upkeep;
use crate::upkeep::record::{Kind, Paths};

/// Checks the notes of a table's log. Returns how many there are.
pub(super) fn check(history: &History, key: &PublicKey, flaws: &mut Vec<Flaw>) -> u64 {
    for (version, rewrite) in &history.rewrites {
        if let Err(what) = check_one(history, rewrite, key) {
            flaws.push(Flaw::of(history.table(), what).in_file(&path_of(*version)));
        }
    }
    history.rewrites.len() as u64
}

fn check_one(history: &History, rewrite: &Rewrite, key: &PublicKey) -> Result<(), String> {
    let Rewrite { note, record, added_paths, removed, added, is_more } = rewrite;
    key.open(note).map_err(|error| format!("its note: {error}"))?;
    let (table, kind) = (history.table(), record.kind.name());
    if record.table != table || history.id().is_some_and(|id| id != record.table_id) {
        return Err("its note is of another table".to_owned());
    }
    if *is_more {
        return Err(format!("wanted nothing but a {kind}, found more"));
    }
    let paths = |paths: &[String]| Paths::of(paths.iter().map(String::as_str));
    if paths(removed) != record.removed || paths(added) != *added_paths {
        return Err("its note is of other files".to_owned());
    }
    let rows_of = |path: &String| {
        let known = history.removed.get(path).or_else(|| history.files.get(path));
        known.and_then(|known| known.statistics["numRecords"].as_u64()).unwrap_or_default()
    };
    let (before, after): (u64, u64) =
        (removed.iter().map(rows_of).sum(), added.iter().map(rows_of).sum());
    if before != record.rows {
        return Err(format!("its note says {} rows, found {before}", record.rows));
    }
    match record.kind {
        Kind::Rewrite if before == after => Ok(()),
        Kind::Rewrite => {
            Err(format!("wanted {before} rows in the files that it adds, found {after}"))
        }
        Kind::Retention if !Upkeep::RETAINABLE.contains(&table) => {
            Err("wanted every day of this table to be kept".to_owned())
        }
        Kind::Retention if added.is_empty() => Ok(()),
        Kind::Retention => Err("wanted no file added where days are not kept".to_owned()),
    }
}

/// Which seals' records stand in which files of events.
#[derive(Default)]
pub(super) struct Lineage {
    /// The seals of the files that a file was made of, as places in the chain.
    made_of: BTreeMap<String, BTreeSet<usize>>,
    /// The seals whose records are not all kept.
    retained: BTreeSet<usize>,
}

impl Lineage {
    pub(super) fn of(events: &History, seals: &[Seal]) -> Self {
        let mut lineage = Self::default();
        let mut of_files: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
        for (at, seal) in seals.iter().enumerate() {
            for file in &seal.files {
                of_files.entry(&file.path).or_default().insert(at);
            }
        }
        for Rewrite { record, removed, added, .. } in events.rewrites.values() {
            let mut made_of = BTreeSet::new();
            for path in removed {
                let merged = lineage.made_of.remove(path);
                made_of.extend(merged.iter().flatten());
                made_of.extend(of_files.get(path.as_str()).into_iter().flatten());
            }
            match record.kind {
                Kind::Retention => lineage.retained.extend(made_of),
                Kind::Rewrite => {
                    let made = added.iter().map(|path| (path.clone(), made_of.clone()));
                    lineage.made_of.extend(made);
                }
            }
        }
        lineage
    }

    /// Whether a file was made of others.
    pub(super) fn is_rewritten(&self, path: &str) -> bool {
        self.made_of.contains_key(path)
    }
}

/// The records of merged files, each file read when the first seal needs it and forgotten after the last:
/// those of a whole lake would not fit into memory.
pub(super) struct Merged<'a> {
    events: &'a History,
    rejects: &'a Rejects,
    seals: &'a [Seal],
    lineage: &'a Lineage,
    leaves: BTreeMap<&'a str, Leaves>,
    read: BTreeSet<&'a str>,
    flaws: Vec<Flaw>,
}

impl<'a> Merged<'a> {
    pub(super) fn new(
        (events, lineage): (&'a History, &'a Lineage),
        seals: &'a [Seal],
        rejects: &'a Rejects,
    ) -> Self {
        let (leaves, read) = (BTreeMap::new(), BTreeSet::new());
        Self { events, rejects, seals, lineage, leaves, read, flaws: Vec::new() }
    }

    /// The records of a seal that do not stand in its own files. Seals are asked for in their order.
    pub(super) async fn of(&mut self, at: usize) -> Elsewhere {
        let seal = &self.seals[at];
        let rejects = self.rejects.of(seal);
        let is_retained =
            self.lineage.retained.contains(&at) || self.rejects.may_miss(seal, &rejects);
        let mut elsewhere = Elsewhere { rejects, is_retained, ..Elsewhere::default() };
        for (path, made_of) in self.lineage.made_of.iter().filter(|(_, of)| of.contains(&at)) {
            if self.read.insert(path) {
                let leaves = self.read(path, made_of).await;
                self.leaves.insert(path, leaves);
            }
            elsewhere.files.push(path.clone());
            if let Some(leaves) = self.leaves.get(path.as_str()) {
                elsewhere.events.extend(of_seal(leaves, seal));
            }
            if made_of.last() == Some(&at) {
                self.leaves.remove(path.as_str());
            }
        }
        elsewhere
    }

    async fn read(&mut self, path: &str, made_of: &BTreeSet<usize>) -> Leaves {
        let flaw = |what: String| Flaw::of(Table::Events, what).in_file(path);
        let Some(added) = self.events.files.get(path) else { return Leaves::new() };
        let see =
            |_: &str, rows: &arrow::array::RecordBatch| Ok(leaf::leaves(Table::Events, rows)?);
        match read_one(self.events, path, added, see).await {
            Ok((mut leaves, wrong)) => {
                self.flaws.extend(wrong.into_iter().map(flaw));
                leaves.sort_unstable();
                let seals = made_of.iter().map(|at| &self.seals[*at]);
                let claimed: usize = seals.map(|seal| of_seal(&leaves, seal).len()).sum();
                if claimed != leaves.len() {
                    // Somebody who writes may have sealed and merged since the seals were read.
                    let newest = self.seals.last().map(|seal| seal.version);
                    let is_ahead = newest < Some(added.version);
                    let what = format!(
                        "wanted {} records of the seals that it was made of, found {claimed}",
                        leaves.len()
                    );
                    self.flaws.push(flaw(what).ahead(is_ahead));
                }
                leaves
            }
            Err(what) => {
                self.flaws.push(flaw(what));
                Leaves::new()
            }
        }
    }

    /// What was wrong with the files, and how many were read.
    pub(super) fn finish(self, verified: &mut Verified) {
        verified.files += self.read.len() as u64;
        verified.flaws.extend(self.flaws);
    }
}
