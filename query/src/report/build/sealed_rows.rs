//! [`SealedRows`]: the rows of a report with their proofs, seal by seal.
//!
//! Invariant: the rows of the pack are in the order of their seals, and within a seal in that of its
//! tree; after them come those that are in no seal yet.

use std::collections::BTreeMap;
use std::io::Write as _;

use arrow::array::{AsArray as _, RecordBatch, UInt32Array};
use arrow::compute::{interleave_record_batch, take_record_batch};
use arrow::datatypes::{Int32Type, Int64Type};
use futures::TryStreamExt as _;
use lake::Lake;
use lake::seal::{Hash, Place, Seal, leaves, root_of};
use schemas::{KafkaPartition, Offset, OffsetRange, Table, Topic};

use super::{Ranges, ReportError, Request};
use crate::format::{Format, WriteError};
use crate::pack::chain::{Chain, Places};
use crate::pack::manifest::Subject;
use crate::pack::member::{Finished, Member, Method};
use crate::pack::name;
use crate::pack::proof::SealProof;
use crate::report::rows::RowFiles;
use crate::report::statements::quoted;
use crate::report::tally::Tally;
use crate::{Engine, QueryError};

/// Records that are read at once. A seal with more is read alone.
const RECORDS_AT_ONCE: u64 = 100_000;
/// Rows that are written at once.
const ROWS_AT_ONCE: usize = 8_192;

/// How many rows of the report each seal has.
#[derive(Debug, Default)]
pub(super) struct Counted {
    by_seal: BTreeMap<i64, u64>,
    unsealed: Ranges,
    unsealed_rows: u64,
}

impl Counted {
    pub(super) async fn of(
        engine: &Engine,
        request: &Request,
        chain: &Chain,
    ) -> Result<Self, ReportError> {
        let Request { subject, from, to, .. } = request;
        let whose = match subject {
            Subject::Sponsor { id } => format!("sponsor_id = {}", quoted(id)),
            Subject::Agent { id } => format!("agent_id = {}", quoted(id)),
            Subject::Coverage => return Ok(Self::default()),
        };
        let sql = format!(
            "SELECT topic, kafka_partition, kafka_offset FROM events \
             WHERE {whose} AND time >= '{from}' AND time < '{to}'"
        );
        let places = Places::of(&chain.seals);
        let mut counted = Self::default();
        let mut answer = engine.sql(&sql).await?;
        while let Some(batch) = answer.next().await? {
            for (topic, partition, offset) in offsets_of(&batch) {
                match places.seal_of(topic, partition, offset) {
                    Some(seal) => *counted.by_seal.entry(seal).or_default() += 1,
                    None => counted.note_unsealed(topic, partition, offset),
                }
            }
        }
        Ok(counted)
    }

    fn note_unsealed(&mut self, topic: &str, partition: KafkaPartition, offset: Offset) {
        self.unsealed_rows += 1;
        let Offset(offset) = offset;
        let range =
            self.unsealed.entry((Topic::new(topic), partition)).or_insert((offset, offset + 1));
        *range = (range.0.min(offset), range.1.max(offset + 1));
    }

    pub(super) fn first_seal(&self) -> Option<i64> {
        self.by_seal.keys().next().copied()
    }

    pub(super) const fn unsealed(&self) -> u64 {
        self.unsealed_rows
    }

    fn rows(&self) -> u64 {
        self.by_seal.values().sum::<u64>() + self.unsealed_rows
    }
}

/// Where the records of the rows stand.
fn offsets_of(batch: &RecordBatch) -> impl Iterator<Item = (&str, KafkaPartition, Offset)> {
    let topics = batch["topic"].as_string::<i32>();
    let partitions = batch["kafka_partition"].as_primitive::<Int32Type>();
    let offsets = batch["kafka_offset"].as_primitive::<Int64Type>();
    (0..batch.num_rows()).map(|row| {
        (topics.value(row), KafkaPartition(partitions.value(row)), Offset(offsets.value(row)))
    })
}

/// One row of a seal: its place and leaf, and where the row is if it is one of the report's.
struct Record {
    seal: i64,
    place: Place,
    leaf: Hash,
    row: Option<(usize, usize)>,
}

/// The rows of a report while they are written.
pub(super) struct SealedRows<'a> {
    lake: &'a Lake,
    request: &'a Request,
    chain: &'a Chain,
    counted: &'a Counted,
    places: Places,
    files: RowFiles,
    proofs: Member,
    done: u64,
}

impl<'a> SealedRows<'a> {
    pub(super) fn new(
        lake: &'a Lake,
        request: &'a Request,
        chain: &'a Chain,
        counted: &'a Counted,
    ) -> Result<Self, ReportError> {
        let files = RowFiles::new(name::EVENTS, &Table::Events.arrow_schema())?;
        let proofs = Member::new(name::PROOFS, Method::Deflated)?;
        let places = Places::of(&chain.seals);
        Ok(Self { lake, request, chain, counted, places, files, proofs, done: 0 })
    }

    /// Writes all rows and counts them in.
    pub(super) async fn write(
        &mut self,
        tally: &mut Tally,
        progress: impl Fn(u64, u64),
    ) -> Result<(), ReportError> {
        let total = self.counted.rows();
        let is_used = |seal: &&Seal| self.counted.by_seal.contains_key(&seal.sequence);
        let seals: Vec<&Seal> = self.chain.seals.iter().filter(is_used).collect();
        let mut rest = seals.as_slice();
        while !rest.is_empty() {
            let mut records = 0;
            let fits = |seal: &&&Seal| {
                records += seal.records;
                records <= RECORDS_AT_ONCE
            };
            let count = rest.iter().take_while(fits).count().max(1);
            let (group, after) = rest.split_at(count);
            self.write_group(group, tally).await?;
            progress(self.done, total);
            rest = after;
        }
        self.write_unsealed(tally).await?;
        if self.done != total {
            let message = format!("wanted {total} rows, found {}", self.done);
            return Err(QueryError::Bug { message }.into());
        }
        Ok(())
    }

    /// The rows of these seals, each of which is made again first.
    async fn write_group(&mut self, group: &[&Seal], tally: &mut Tally) -> Result<(), ReportError> {
        let ranges = ranges_of(group);
        let (mut records, batches) = self.read(&ranges).await?;
        // Between the ranges of a partition may be those of seals that have no row of the report.
        records.retain(|record| group.iter().any(|seal| seal.sequence == record.seal));
        records.sort_unstable_by(|one, next| (one.seal, &one.place).cmp(&(next.seal, &next.place)));
        let mut mine = Vec::new();
        let mut rest = records.as_slice();
        for seal in group {
            let end = rest.partition_point(|record| record.seal <= seal.sequence);
            let (of_seal, after) = rest.split_at(end);
            rest = after;
            let leaves: Vec<Hash> = of_seal.iter().map(|record| record.leaf).collect();
            if leaves.len() as u64 != seal.records || root_of(&leaves) != seal.root {
                let what = format!(
                    "its {} records do not give its root, found {} records",
                    seal.records,
                    leaves.len()
                );
                return Err(ReportError::Broken { seal: seal.sequence, what });
            }
            let is_mine = |at: &usize| of_seal[*at].row.is_some();
            let wanted: Vec<usize> = (0..of_seal.len()).filter(is_mine).collect();
            let proof = SealProof::of(seal.sequence, &leaves, &wanted);
            serde_json::to_writer(&mut self.proofs, &proof).map_err(std::io::Error::from)?;
            self.proofs.write_all(b"\n")?;
            mine.extend(of_seal.iter().filter_map(|record| record.row));
        }
        self.write_rows(&batches, &mine, tally)
    }

    async fn write_unsealed(&mut self, tally: &mut Tally) -> Result<(), ReportError> {
        if self.counted.unsealed_rows == 0 {
            return Ok(());
        }
        let (mut records, batches) = self.read(&self.counted.unsealed).await?;
        records.retain(|record| record.row.is_some() && record.seal == UNSEALED);
        records.sort_unstable_by(|one, next| one.place.cmp(&next.place));
        let mine: Vec<_> = records.iter().filter_map(|record| record.row).collect();
        self.write_rows(&batches, &mine, tally)
    }

    /// All records in the ranges, and the rows of the report among them.
    async fn read(&self, ranges: &Ranges) -> Result<(Vec<Record>, Vec<RecordBatch>), ReportError> {
        let range =
            |((topic, partition), (start, end)): (&(Topic, KafkaPartition), &(i64, i64))| {
                let range = OffsetRange { start: Offset(*start), end: Offset(*end) };
                (topic.clone(), *partition, range)
            };
        let ranges: Vec<_> = ranges.iter().map(range).collect();
        let Request { subject, from, to, .. } = self.request;
        let (mut records, mut batches) = (Vec::new(), Vec::new());
        for table in [Table::Events, Table::Rejects] {
            let mut stream = self.lake.read_records(table, &ranges).await?;
            while let Some(batch) = stream.try_next().await? {
                let is_event = table == Table::Events;
                let mine = if is_event { subject.rows_of(&batch, *from, *to) } else { Vec::new() };
                let found = leaves(table, &batch).map_err(|error| QueryError::Bug {
                    message: format!("rows of {}: {error}", table.name()),
                })?;
                let mut next = mine.iter().enumerate().peekable();
                for (row, (place, leaf)) in found.into_iter().enumerate() {
                    let at = next.next_if(|(_, mine)| **mine as usize == row);
                    let seal = self.places.seal_of(&place.topic, place.partition, place.offset);
                    let row = at.map(|(number, _)| (batches.len(), number));
                    records.push(Record { seal: seal.unwrap_or(UNSEALED), place, leaf, row });
                }
                if !mine.is_empty() {
                    batches.push(
                        take_record_batch(&batch, &UInt32Array::from(mine))
                            .map_err(|error| bug(&error))?,
                    );
                }
            }
        }
        Ok((records, batches))
    }

    /// Writes rows, each named by its batch and its number in it.
    fn write_rows(
        &mut self,
        batches: &[RecordBatch],
        rows: &[(usize, usize)],
        tally: &mut Tally,
    ) -> Result<(), ReportError> {
        let batches: Vec<&RecordBatch> = batches.iter().collect();
        for chunk in rows.chunks(ROWS_AT_ONCE) {
            let batch = interleave_record_batch(&batches, chunk).map_err(|error| bug(&error))?;
            let batch =
                RecordBatch::try_new(Table::Events.arrow_schema(), batch.columns().to_vec());
            let batch = batch.map_err(|error| bug(&error))?;
            tally.fold(&batch);
            self.files.write(&batch)?;
            self.done += batch.num_rows() as u64;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Vec<Finished>, ReportError> {
        let mut members = self.files.finish()?;
        members.push(self.proofs.finish()?);
        Ok(members)
    }
}

/// Stands for the seal of a record that is in none.
const UNSEALED: i64 = i64::MAX;

/// From the first to the last offset of these seals in each partition.
fn ranges_of(seals: &[&Seal]) -> Ranges {
    let mut ranges = Ranges::new();
    for (topic, partition, range) in seals.iter().flat_map(|seal| &seal.ranges) {
        let (start, end) = (range.start.0, range.end.0);
        let whole = ranges.entry((topic.clone(), *partition)).or_insert((start, end));
        *whole = (whole.0.min(start), whole.1.max(end));
    }
    ranges
}

fn bug(error: &arrow::error::ArrowError) -> ReportError {
    let format = Format::Parquet;
    WriteError::Unwritable { format, reason: error.to_string() }.into()
}
