//! [`Chain`]: the seals in their order, and that nothing stands beside them.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array as _, RecordBatch};
use ring::digest::{Context, SHA256};
use schemas::{KafkaPartition, OffsetRange, Table, Topic};

use super::super::merkle::Hash;
use super::super::note::text_of;
use super::super::{NOTHING, PublicKey, Seal, SealedLog, hash_of};
use super::history::{History, path_of};
use super::records::{Rejects, read_named};
use super::rewrites::Lineage;
use super::{Flaw, Kept, Verified};
use crate::Version;
use crate::rows::{SealRow, decode_seals, seal_row};

/// A seal as it is stored.
pub(super) struct Stored {
    pub(super) row: SealRow,
    /// Its row, with all columns.
    columns: RecordBatch,
    file: String,
}

/// The stored seals by their numbers.
pub(super) async fn read_seals(history: &History, verified: &mut Verified) -> Vec<Stored> {
    let mut seals = read_named(history, verified, |path, batch| {
        let rows = decode_seals(batch)?.into_iter().enumerate();
        let stored = rows.map(|(at, row)| Stored {
            row,
            columns: batch.slice(at, 1),
            file: path.to_owned(),
        });
        Ok(stored.collect())
    })
    .await;
    seals.sort_by(|a, b| (a.row.sequence, &a.row.note).cmp(&(b.row.sequence, &b.row.note)));
    seals
}

/// The seals, as far as their signatures and their order are right.
pub(super) struct Chain {
    pub(super) seals: Vec<Seal>,
    /// The id of the events that are there; else what the first seal says.
    lake: Option<String>,
}

impl Chain {
    /// Follows the chain from its first seal. `lake` is the id of the events that are there.
    pub(super) fn follow(
        stored: &[Stored],
        key: &PublicKey,
        lake: Option<&str>,
        flaws: &mut Vec<Flaw>,
    ) -> Self {
        let (mut seals, mut previous): (Vec<Seal>, Hash) = (Vec::new(), NOTHING);
        let mut wanted = 0_i64;
        for Stored { row, columns, file } in stored {
            let flaw =
                |what: String| Flaw::of(Table::Seals, what).in_seal(row.sequence).in_file(file);
            if row.sequence < wanted {
                flaws.push(flaw("it is there twice".to_owned()));
            } else if wanted != row.sequence {
                flaws.push(flaw(format!("wanted seal {wanted} before it, found none")));
            }
            wanted = row.sequence.saturating_add(1);
            let before = std::mem::replace(&mut previous, hash_of(&row.note));
            let seal = match key.open(&row.note).and_then(Seal::parse) {
                Ok(seal) => seal,
                Err(error) => {
                    flaws.push(flaw(error.to_string()));
                    continue;
                }
            };
            if seal.sequence != row.sequence {
                flaws.push(flaw(format!("its note is that of seal {}", seal.sequence)));
            } else if seal.previous != before {
                flaws.push(flaw("it does not follow the seal before it".to_owned()));
            }
            if lake.is_some_and(|lake| lake != seal.lake) {
                flaws.push(flaw("it is of another lake".to_owned()));
            }
            if seals.last().is_some_and(|last| seal.version <= last.version) {
                let what = format!("version {} of events was sealed before", seal.version);
                flaws.push(flaw(what));
            }
            if !is_row_of(columns, &seal, &row.note) {
                flaws.push(flaw("its columns do not say what its note says".to_owned()));
            }
            seals.push(seal);
        }
        let told = lake.or_else(|| seals.first().map(|seal| seal.lake.as_str()));
        Self { lake: told.map(str::to_owned), seals }
    }

    /// The first entry of a table's log that no seal names.
    pub(super) fn log_end(&self, table: Table) -> Version {
        let logs = self.seals.iter().flat_map(|seal| &seal.logs);
        logs.filter(|log| log.table == table).map(|log| log.end).max().unwrap_or(0)
    }

    /// The chain holds what a witness keeps of this lake, and it keeps something of it.
    pub(super) fn check_witness(
        &self,
        kept: &Kept,
        stored: &[Stored],
        key: &PublicKey,
        flaws: &mut Vec<Flaw>,
    ) {
        let Kept { witness, notes } = kept;
        let mut is_known = false;
        for note in notes {
            let Ok(seal) = text_of(note).and_then(Seal::parse) else {
                let what = format!("the witness {witness} keeps a note that is no seal");
                flaws.push(Flaw::of(Table::Seals, what));
                continue;
            };
            if self.lake.as_ref().is_some_and(|lake| *lake != seal.lake) {
                continue;
            }
            is_known = true;
            let flaw = |what: String| Flaw::of(Table::Seals, what).in_seal(seal.sequence);
            if let Err(error) = key.open(note) {
                flaws.push(flaw(format!("of what the witness {witness} keeps: {error}")));
            } else if !holds(stored, note) {
                let what = format!("the chain does not hold what the witness {witness} keeps");
                flaws.push(flaw(what));
            }
        }
        if !is_known {
            let what = format!("the witness {witness} keeps no head of this lake");
            flaws.push(Flaw::of(Table::Seals, what));
        }
    }

    /// Every entry of the logs is as it was sealed, and none is left out.
    pub(super) fn check_logs(&self, histories: &BTreeMap<Table, History>, flaws: &mut Vec<Flaw>) {
        let mut ends: BTreeMap<Table, Version> = BTreeMap::new();
        for seal in &self.seals {
            for log in &seal.logs {
                let end = ends.entry(log.table).or_insert(0);
                if log.start != *end {
                    let what =
                        format!("wanted entries of the log from {end}, found from {}", log.start);
                    flaws.push(Flaw::of(log.table, what).in_seal(seal.sequence));
                }
                *end = log.end;
                if let Some(flaw) = wrong_entries(&histories[&log.table], log) {
                    flaws.push(flaw.in_seal(seal.sequence));
                }
            }
        }
    }

    /// Every commit has a seal, every file is in one, and no offset is left out or sealed twice.
    pub(super) fn check_cover(
        &self,
        (events, lineage): (&History, &Lineage),
        rejects: &Rejects,
        flaws: &mut Vec<Flaw>,
    ) {
        let sealed: BTreeSet<Version> = self.seals.iter().map(|seal| seal.version).collect();
        let is_ahead = |version| sealed.last().is_none_or(|newest| *newest < version);
        for version in events.commits.keys().filter(|version| !sealed.contains(version)) {
            let what = format!(
                "version {version} has no seal: run `surety seal catch-up`, or one was removed"
            );
            let flaw = Flaw::of(Table::Events, what).in_file(&path_of(*version));
            flaws.push(flaw.ahead(is_ahead(*version)));
        }
        let named: BTreeSet<&str> =
            self.seals.iter().flat_map(|seal| &seal.files).map(|file| file.path.as_str()).collect();
        let is_known = |path: &str| named.contains(path) || lineage.is_rewritten(path);
        for (path, added) in events.files.iter().filter(|(path, _)| !is_known(path.as_str())) {
            let flaw = Flaw::of(Table::Events, "it is part of the table and in no seal");
            flaws.push(flaw.in_file(path).ahead(is_ahead(added.version)));
        }
        let mut ends: BTreeMap<(&Topic, KafkaPartition), OffsetRange> = BTreeMap::new();
        for seal in &self.seals {
            for (topic, partition, range) in &seal.ranges {
                let sealed = ends
                    .entry((topic, *partition))
                    .or_insert(OffsetRange { start: range.start, end: range.start });
                if sealed.end != range.start {
                    let what = format!(
                        "{topic}/{}: wanted offsets from {}, found from {}",
                        partition.0, sealed.end.0, range.start.0
                    );
                    flaws.push(Flaw::of(Table::Seals, what).in_seal(seal.sequence));
                }
                sealed.end = range.end;
            }
        }
        for (place, _) in &rejects.leaves {
            let Ok(topic) = Topic::try_from(place.topic.clone()) else { continue };
            // Those past the last seal of a partition came to the lake before a crash; their commit
            // follows.
            if let Some(sealed) = ends.get(&(&topic, place.partition))
                && place.offset < sealed.start
            {
                flaws.push(Flaw::of(Table::Rejects, "it is in no seal").at(place));
            }
        }
    }
}

/// The chain holds what was kept elsewhere.
pub(super) fn check_heads(stored: &[Stored], heads: &[String], flaws: &mut Vec<Flaw>) {
    for head in heads.iter().filter(|head| !holds(stored, head)) {
        let flaw = Flaw::of(Table::Seals, "the chain does not hold the head that was kept");
        flaws.push(match text_of(head).and_then(Seal::parse) {
            Ok(kept) => flaw.in_seal(kept.sequence),
            Err(_) => flaw,
        });
    }
}

fn holds(stored: &[Stored], note: &str) -> bool {
    stored.iter().any(|stored| stored.row.note.trim_end() == note.trim_end())
}

/// What is wrong with the entries that a seal names.
fn wrong_entries(history: &History, log: &SealedLog) -> Option<Flaw> {
    let table = log.table;
    if log.end < log.start {
        return Some(Flaw::of(table, "it names entries of the log that run backwards"));
    }
    if history.end < log.end {
        let what =
            format!("wanted entries up to {} of the log, found up to {}", log.end, history.end);
        let flaw = Flaw::of(table, what);
        return Some(flaw.in_file(&path_of(log.end - 1)));
    }
    let mut context = Context::new(&SHA256);
    for (_, entry) in history.entries.range(log.start..log.end) {
        context.update(&entry.hash);
    }
    if context.finish().as_ref() == log.hash {
        return None;
    }
    if log.end == log.start {
        return Some(Flaw::of(table, "wanted the hash of no entries, found another"));
    }
    let what = if log.end == log.start + 1 {
        "its bytes are not those that were sealed".to_owned()
    } else {
        format!(
            "the bytes of entries {} to {} are not those that were sealed",
            log.start,
            log.end - 1
        )
    };
    Some(Flaw::of(table, what).in_file(&path_of(log.end - 1)))
}

/// Whether the columns of a stored seal repeat its note.
fn is_row_of(columns: &RecordBatch, seal: &Seal, note: &str) -> bool {
    let Ok(wanted) = seal_row(seal, note) else { return false };
    wanted.schema().fields().iter().all(|field| {
        columns
            .column_by_name(field.name())
            .is_some_and(|found| found.to_data() == wanted[field.name()].to_data())
    })
}
