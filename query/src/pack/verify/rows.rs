//! The rows of a pack: as they were sealed, and the same in all their formats.
//!
//! Invariant: a row that was removed or added shifts no other: what comes after it is still told apart.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufReader, Read, Seek as _, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchReader as _};
use arrow::datatypes::Fields;
use lake::seal::{Hash, Place, leaves};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use schemas::Table;

use super::super::chain::{Chain, Places};
use super::super::compare::{Comparer, Outcome};
use super::super::manifest::{Manifest, Subject};
use super::super::name;
use super::super::proof::{SealProof, hex};
use super::{Pack, PackFlaw};
use crate::format::{Destination, Format, Sink};
use crate::report::tally::Tally;

/// What was counted from the rows of events.
#[derive(Default)]
pub(super) struct Counted {
    pub(super) tally: Tally,
    pub(super) proven: u64,
    /// As announced, and once they were read: as they were found.
    pub(super) unsealed: u64,
}

impl Pack {
    /// Compares the rows with their proofs, and every set of rows in its formats.
    pub(super) fn check_rows(
        &mut self,
        manifest: &Manifest,
        chain: &Chain,
        unsealed: u64,
        progress: impl Fn(u64, u64),
    ) -> Counted {
        let mut counted = Counted { unsealed, ..Counted::default() };
        let entries = self.archive.entries.iter();
        let sets: Vec<String> = entries
            .filter_map(|entry| entry.name.strip_suffix(".parquet"))
            .map(str::to_owned)
            .collect();
        let has_events = sets.iter().any(|set| set == name::EVENTS);
        if has_events != (manifest.subject != Subject::Coverage) {
            let file = format!("{}.parquet", name::EVENTS);
            let what = "such a report has these rows, or the manifest is of another";
            self.tell(PackFlaw::in_file(&file, what));
        }
        for set in sets {
            // A file that is not what was written can hold anything: whatever reads it may stumble.
            let checked = catch_unwind(AssertUnwindSafe(|| {
                if set == name::EVENTS {
                    self.check_events(manifest, chain, &progress, &mut counted)
                } else {
                    self.check_set(&set, |_, _| ())
                }
            }));
            let what = match checked {
                Ok(Ok(())) => continue,
                Ok(Err(what)) => what,
                Err(_) => "it cannot be read".to_owned(),
            };
            self.tell(PackFlaw::in_file(&format!("{set}.parquet"), what));
        }
        counted
    }

    fn check_events(
        &mut self,
        manifest: &Manifest,
        chain: &Chain,
        progress: &impl Fn(u64, u64),
        counted: &mut Counted,
    ) -> Result<(), String> {
        let entry = self.archive.entry(name::PROOFS);
        let entry = entry.ok_or_else(|| format!("there is no {} for it", name::PROOFS))?;
        let proofs = Proofs::new(Box::new(self.archive.read(entry)), chain);
        let file = format!("{}.parquet", name::EVENTS);
        let announced = std::mem::take(&mut counted.unsealed);
        let mut follow =
            Follow { proofs, unsealed: announced, is_held: false, row: 0, flaws: Vec::new() };
        let places = Places::of(&chain.seals);
        let mut is_ours = true;
        self.check_set(name::EVENTS, |rows, (done, total)| {
            let leaves = leaves(Table::Events, rows);
            is_ours &= is_of_events(rows.schema().fields());
            let Some(leaves) = leaves.ok().filter(|_| is_ours) else { return };
            let mine = manifest.subject.rows_of(rows, manifest.from, manifest.to);
            let mut mine = mine.iter().peekable();
            for (row, (place, leaf)) in leaves.into_iter().enumerate() {
                follow.take(&place, &leaf, &places);
                if mine.next_if(|mine| **mine as usize == row).is_none() {
                    follow.tell(&place, None, "it is not of this report");
                }
            }
            counted.tally.fold(rows);
            progress(done, total);
        })?;
        follow.finish();
        counted.proven = follow.proofs.matched;
        counted.unsealed = announced.min(counted.tally.events - counted.proven);
        for flaw in std::mem::take(&mut follow.flaws) {
            self.tell(PackFlaw { file: flaw.file.or_else(|| Some(file.clone())), ..flaw });
        }
        if is_ours {
            Ok(())
        } else {
            Err("its columns are not those of the table `events`".to_owned())
        }
    }

    /// Reads the Parquet file of a set, compares the other formats with it, and shows its rows to
    /// `visit`, with how many rows are done and of how many.
    fn check_set(
        &mut self,
        set: &str,
        mut visit: impl FnMut(&RecordBatch, (u64, u64)),
    ) -> Result<(), String> {
        let (reader, total) = self.parquet(&format!("{set}.parquet"))?;
        let schema = reader.schema();
        let mut outcomes: Vec<(String, Format, Outcome)> = Vec::new();
        let mut sinks = Vec::new();
        for (format, end) in [(Format::Csv, "csv"), (Format::JsonLines, "jsonl")] {
            let file = format!("{set}.{end}");
            let Some(entry) = self.archive.entry(&file) else {
                self.tell(PackFlaw::in_file(&file, "wanted this file, found none"));
                continue;
            };
            let content = Box::new(self.archive.read(entry));
            let (comparer, outcome) = Comparer::new(content, format == Format::Csv);
            outcomes.push((file, format, outcome));
            let sink = Sink::new(Arc::clone(&schema), format, Destination::File, comparer);
            sinks.push(sink.map_err(|error| error.to_string())?);
        }
        let mut done = 0;
        for rows in reader {
            let rows = rows.map_err(|error| format!("it cannot be read: {error}"))?;
            done += rows.num_rows() as u64;
            std::thread::scope(|scope| {
                let writers: Vec<_> = sinks
                    .iter_mut()
                    .map(|sink| scope.spawn(|| sink.write(&rows).map_err(|e| e.to_string())))
                    .collect();
                visit(&rows, (done, total));
                let mut writers = writers.into_iter();
                writers.try_for_each(|writer| {
                    writer.join().unwrap_or_else(|_| Err("it cannot be written again".to_owned()))
                })
            })?;
        }
        for sink in sinks {
            sink.finish().map_err(|error| error.to_string())?;
        }
        for (file, format, outcome) in outcomes {
            if let Some(difference) = outcome.difference() {
                // The first line of a CSV has the names of the columns.
                let names = u64::from(format == Format::Csv);
                let flaw = PackFlaw::in_file(&file, difference.what);
                self.tell(match difference.line - names {
                    0 => flaw,
                    row => flaw.in_row(row),
                });
            }
        }
        Ok(())
    }

    /// The rows of a Parquet file, and how many they are. It is read from a file of its own: what is
    /// in a zip has no place where it begins.
    fn parquet(&self, file: &str) -> Result<(ParquetRecordBatchReader, u64), String> {
        let unreadable = |error: std::io::Error| format!("it cannot be read: {error}");
        let entry = self.archive.entry(file).ok_or("wanted this file, found none")?;
        let mut copy: File = tempfile::tempfile().map_err(unreadable)?;
        std::io::copy(&mut self.archive.read(entry), &mut copy).map_err(unreadable)?;
        copy.seek(SeekFrom::Start(0)).map_err(unreadable)?;
        let open = || {
            let builder = ParquetRecordBatchReaderBuilder::try_new(copy)?;
            let rows = builder.metadata().file_metadata().num_rows();
            Ok((builder.with_batch_size(8_192).build()?, rows.unsigned_abs()))
        };
        open().map_err(|error: parquet::errors::ParquetError| format!("it cannot be read: {error}"))
    }
}

/// A row as its proof names it.
#[derive(Clone, Debug)]
struct Expected {
    seal: i64,
    leaf: String,
}

/// The proofs, one seal after the other. Each is led to the root of its seal when it is read.
struct Proofs<'a> {
    lines: Box<dyn Iterator<Item = Result<SealProof, serde_json::Error>> + 'a>,
    chain: &'a Chain,
    last_seal: Option<i64>,
    ahead: VecDeque<Expected>,
    /// Rows that were found as a proof names them, in seals whose root was reached.
    matched: u64,
    /// Seals whose root was not reached.
    broken: Vec<i64>,
    flaws: Vec<PackFlaw>,
}

impl<'a> Proofs<'a> {
    fn new(content: Box<dyn Read + 'a>, chain: &'a Chain) -> Self {
        let content = BufReader::new(content);
        let lines = serde_json::Deserializer::from_reader(content).into_iter::<SealProof>();
        Self {
            lines: Box::new(lines),
            chain,
            last_seal: None,
            ahead: VecDeque::new(),
            matched: 0,
            broken: Vec::new(),
            flaws: Vec::new(),
        }
    }

    /// The row at so many after the next; `None` behind the last.
    fn peek(&mut self, at: usize) -> Option<Expected> {
        while self.ahead.len() <= at {
            match self.lines.next()? {
                Ok(proof) => self.open(proof),
                Err(error) => {
                    let what = format!("it is not as wanted: {error}");
                    self.flaws.push(PackFlaw::in_file(name::PROOFS, what));
                    // What comes after it cannot be read either.
                    self.lines = Box::new(std::iter::empty());
                }
            }
        }
        self.ahead.get(at).cloned()
    }

    fn open(&mut self, proof: SealProof) {
        let seal = proof.seal;
        if let Err(what) = self.check(&proof) {
            self.broken.push(seal);
            self.flaws.push(PackFlaw::in_file(name::PROOFS, what).in_seal(seal));
        }
        self.last_seal = Some(seal);
        self.ahead.extend(proof.rows.into_iter().map(|(_, leaf)| Expected { seal, leaf }));
    }

    fn check(&self, proof: &SealProof) -> Result<(), String> {
        let Some(seal) = self.chain.seal(proof.seal) else {
            return Err(format!("there is no such seal in {}", name::CHAIN));
        };
        if self.last_seal.is_some_and(|last| proof.seal <= last) {
            return Err("the proofs are not in the order of the seals".to_owned());
        }
        if proof.records != seal.records {
            return Err(format!("wanted {} records, found {}", seal.records, proof.records));
        }
        if proof.root()? != seal.root {
            return Err("its rows and hashes do not lead to its signed root".to_owned());
        }
        Ok(())
    }

    fn pass(&mut self, is_match: bool) {
        if let Some(expected) = self.ahead.pop_front()
            && is_match
            && !self.broken.contains(&expected.seal)
        {
            self.matched += 1;
        }
    }
}

/// Compares row after row with what the proofs name.
struct Follow<'a> {
    proofs: Proofs<'a>,
    /// Rows that may come behind the proven ones.
    unsealed: u64,
    /// The row before was another than the next one of the proofs: whether it stands in its place or
    /// was put before it, the next row tells.
    is_held: bool,
    row: u64,
    flaws: Vec<PackFlaw>,
}

impl Follow<'_> {
    fn take(&mut self, place: &Place, leaf: &Hash, places: &Places) {
        self.row += 1;
        let leaf = hex(leaf);
        let is = |expected: &Option<Expected>| {
            expected.as_ref().is_some_and(|expected| expected.leaf == leaf)
        };
        if std::mem::take(&mut self.is_held) {
            if is(&self.proofs.peek(0)) {
                self.proofs.pass(true);
                return;
            }
            self.proofs.pass(false);
        }
        let next = self.proofs.peek(0);
        if is(&next) {
            self.proofs.pass(true);
        } else if is(&self.proofs.peek(1)) {
            let seal = next.map(|expected| expected.seal);
            self.tell(place, seal, "the row before it is missing");
            self.proofs.pass(false);
            self.proofs.pass(true);
        } else if let Some(expected) = next {
            self.tell(place, Some(expected.seal), "it is not the row that was sealed");
            self.is_held = true;
        } else if 0 < self.unsealed {
            self.unsealed -= 1;
            if places.seal_of(&place.topic, place.partition, place.offset).is_some() {
                self.tell(place, None, "its record is in a seal, and it is not proven");
            }
        } else {
            self.tell(place, None, "it is in no proof");
        }
    }

    fn tell(&mut self, place: &Place, seal: Option<i64>, what: &str) {
        let record = format!("{}/{}@{}", place.topic, place.partition.0, place.offset.0);
        let flaw = PackFlaw { record: Some(record), seal, ..PackFlaw::of(what) };
        self.flaws.push(flaw.in_row(self.row));
    }

    fn finish(&mut self) {
        if self.is_held {
            self.proofs.pass(false);
        }
        while let Some(expected) = self.proofs.peek(0) {
            let flaw = PackFlaw::of("a row is missing at the end").in_seal(expected.seal);
            self.flaws.push(flaw);
            self.proofs.pass(false);
        }
        if 0 < self.unsealed {
            let what = format!("wanted {} more rows that are in no seal", self.unsealed);
            self.flaws.push(PackFlaw::of(what));
        }
        self.flaws.append(&mut self.proofs.flaws);
    }
}

/// Whether the columns are those of the table `events`. A pack of an earlier release lacks what came later.
fn is_of_events(found: &Fields) -> bool {
    let schema = Table::Events.arrow_schema();
    let always = Table::Events.columns().iter().filter(|one| !one.is_later).count();
    let wanted = schema.fields();
    (always..=wanted.len()).contains(&found.len()) && wanted[..found.len()] == found[..]
}
