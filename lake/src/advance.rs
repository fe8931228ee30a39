//! [`Advance`]: how far one commit moves a table, and whether it may.
//!
//! Invariant: what a table has recorded only grows, and a commit moves each of its marks from
//! exactly where the table stands. No clock and no IO here.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use arrow::array::{AsArray as _, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Int32Type, Int64Type};
use arrow::error::ArrowError;
use schemas::{KafkaPartition, Offset, OffsetRange, Offsets, Topic};

/// The application id under which a table's own sequence is recorded. Topics have no slash before
/// them here, so none can take it.
const SEQUENCE_APP_ID: &str = "surety";

/// Numbers of a table without Kafka offsets: `start` inclusive, `end` exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceRange {
    pub start: i64,
    pub end: i64,
}

/// How far one commit moves a table: for each partition the offsets it read, and for a table that
/// numbers its own rows the numbers.
///
/// Invariant: no range is empty or runs backwards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advance {
    partitions: BTreeMap<(Topic, KafkaPartition), OffsetRange>,
    sequence: Option<SequenceRange>,
}

/// What a table has recorded of how far it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recorded {
    pub(crate) offsets: Offsets,
    /// The next number of the table's own sequence.
    pub(crate) sequence: Option<i64>,
}

/// What to do with a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Next,
    Duplicate,
    Superseded,
}

impl Advance {
    /// A commit that moves only the table's own sequence.
    pub fn of_sequence(range: SequenceRange) -> Self {
        assert!(range.start < range.end, "an empty range is never committed");
        Self { partitions: BTreeMap::new(), sequence: Some(range) }
    }

    /// Adds what was read of a partition after what was added before.
    pub fn extend(&mut self, topic: &Topic, partition: KafkaPartition, range: OffsetRange) {
        assert!(range.start < range.end, "an empty range is never committed");
        match self.partitions.entry((topic.clone(), partition)) {
            Entry::Vacant(place) => {
                place.insert(range);
            }
            Entry::Occupied(mut known) => {
                assert!(known.get().end == range.start, "a partition is read without going back");
                known.get_mut().end = range.end;
            }
        }
    }

    /// The part of it that `recorded` does not have yet (E4): for a table that is not committed
    /// with every batch. It may be ahead of the offsets the worker started from, or behind them where
    /// the batches between had no rows for it; either way the rest begins where it stands.
    #[must_use]
    pub fn after(&self, recorded: &Offsets) -> Self {
        let mut rest = self.clone();
        rest.partitions.retain(|(topic, partition), range| {
            let next = recorded.next_of(topic, *partition).unwrap_or(range.start);
            range.start = next;
            range.start < range.end
        });
        rest
    }

    /// This and `other` as one, for a table with rows of the records of both. They share no partition.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        assert!(self.sequence.is_none() && other.sequence.is_none(), "both count Kafka's offsets");
        let mut both = self.clone();
        for (topic, partition, range) in other.partitions() {
            both.extend(topic, partition, range);
        }
        both
    }

    pub fn is_empty(&self) -> bool {
        self.partitions.is_empty() && self.sequence.is_none()
    }

    /// Sorted by topic and partition.
    pub fn partitions(&self) -> impl Iterator<Item = (&Topic, KafkaPartition, OffsetRange)> {
        self.partitions.iter().map(|((topic, partition), range)| (topic, *partition, *range))
    }

    /// Whether a table that stands at `recorded` may be moved.
    ///
    /// Each mark (a partition, the sequence) by itself:
    ///
    /// | recorded           | meaning                              | verdict      |
    /// |--------------------|--------------------------------------|--------------|
    /// | nothing            | the first commit of this mark        | `Next`       |
    /// | `== range.start`   | the range is the next one            | `Next`       |
    /// | `== range.end`     | this very range is already committed | `Duplicate`  |
    /// | anything else      | another worker moved the mark        | `Superseded` |
    ///
    /// Offsets that Kafka left out inside the range (compaction, transaction markers) do not
    /// matter: the range says what was read, not what was found.
    ///
    /// All marks together, since they are committed together:
    ///
    /// | marks                 | verdict      |
    /// |-----------------------|--------------|
    /// | all `Next`            | `Next`       |
    /// | all `Duplicate`       | `Duplicate`  |
    /// | mixed                 | `Superseded` |
    ///
    /// A `Duplicate` that another worker's entry made while a commit was under way is `Superseded`
    /// to the one that lost; only the log can tell, so it is decided in `commit.rs`.
    pub(crate) fn verdict(&self, recorded: &Recorded) -> Verdict {
        assert!(!self.is_empty(), "a commit without a mark could not be told from another");
        let partitions = self.partitions().map(|(topic, partition, range)| {
            let next = recorded.offsets.next_of(topic, partition);
            verdict_of(next, range.start, range.end)
        });
        let sequence =
            self.sequence.map(|range| verdict_of(recorded.sequence, range.start, range.end));
        partitions
            .chain(sequence)
            .reduce(|all, one| if all == one { all } else { Verdict::Superseded })
            .expect("not empty, asserted above")
    }

    /// The marks after the commit, as Delta's application transactions.
    pub(crate) fn transactions(&self) -> Vec<(String, i64)> {
        let partitions = self.partitions().map(|(topic, partition, range)| {
            (format!("{SEQUENCE_APP_ID}/{topic}/{}", partition.0), range.end.0)
        });
        let sequence = self.sequence.map(|range| (SEQUENCE_APP_ID.to_owned(), range.end));
        partitions.chain(sequence).collect()
    }

    /// Reads an [`identity`](Self::identity), of offsets or of a table's own sequence.
    pub(crate) fn of_identity(identity: &str) -> Option<Self> {
        let (offsets, sequence) = identity.rsplit_once(';').unwrap_or(("", identity));
        let mut advance = if offsets.is_empty() { Self::default() } else { Self::parse(offsets)? };
        if !sequence.is_empty() {
            let (start, end) = sequence.split_once('-')?;
            let range = SequenceRange { start: start.parse().ok()?, end: end.parse().ok()? };
            if range.end <= range.start {
                return None;
            }
            advance.sequence = Some(range);
        }
        (!advance.is_empty()).then_some(advance)
    }

    /// Reads an [`identity`](Self::identity); `None` if it is none of offsets.
    pub(crate) fn parse(identity: &str) -> Option<Self> {
        let mut advance = Self::default();
        for part in identity.split_terminator(';') {
            let (place, range) = part.split_once('@')?;
            let (topic, partition) = place.split_once('/')?;
            let (start, end) = range.split_once('-')?;
            let range =
                OffsetRange { start: Offset(start.parse().ok()?), end: Offset(end.parse().ok()?) };
            if range.end <= range.start {
                return None;
            }
            let place =
                (topic.to_owned().try_into().ok()?, KafkaPartition(partition.parse().ok()?));
            if advance.partitions.insert(place, range).is_some() {
                return None;
            }
        }
        (!advance.is_empty()).then_some(advance)
    }

    /// A text that no other commit to the same table has.
    pub(crate) fn identity(&self) -> String {
        use std::fmt::Write as _;
        let mut text = String::new();
        for (topic, partition, range) in self.partitions() {
            write!(text, "{topic}/{}@{}-{};", partition.0, range.start.0, range.end.0)
                .expect("writing to a string");
        }
        if let Some(range) = self.sequence {
            write!(text, "{}-{}", range.start, range.end).expect("writing to a string");
        }
        text
    }
}

fn verdict_of<T: PartialEq + Copy>(recorded: Option<T>, start: T, end: T) -> Verdict {
    match recorded {
        None => Verdict::Next,
        Some(at) if at == start => Verdict::Next,
        Some(at) if at == end => Verdict::Duplicate,
        Some(_) => Verdict::Superseded,
    }
}

impl Recorded {
    /// Takes in an application transaction; those of others are left out.
    pub(crate) fn note(&mut self, app_id: &str, version: i64) {
        if app_id == SEQUENCE_APP_ID {
            self.sequence = self.sequence.max(Some(version));
            return;
        }
        let mut parts = app_id.split('/');
        let (Some(SEQUENCE_APP_ID), Some(topic), Some(partition), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return;
        };
        if let (Ok(topic), Ok(partition)) = (Topic::try_from(topic.to_owned()), partition.parse()) {
            self.offsets.raise(&topic, KafkaPartition(partition), Offset(version));
        }
    }
}

/// The rows of `batch` at or past `offsets` (E4), by its columns `topic`, `kafka_partition` and
/// `kafka_offset`.
///
/// # Errors
///
/// If the batch has no such columns.
pub fn rows_from(batch: &RecordBatch, offsets: &Offsets) -> Result<RecordBatch, ArrowError> {
    let column = |name: &str| {
        batch
            .column_by_name(name)
            .ok_or_else(|| ArrowError::SchemaError(format!("wanted a column {name}, found none")))
    };
    if offsets.is_empty() {
        return Ok(batch.clone());
    }
    let topics = column("topic")?.as_string::<i32>();
    let partitions = column("kafka_partition")?.as_primitive::<Int32Type>();
    let numbers = column("kafka_offset")?.as_primitive::<Int64Type>();

    // Rows of one partition mostly stand together; its next offset is looked up once.
    let mut at: Option<(&str, i32, Offset)> = None;
    let mut keep = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let (topic, partition) = (topics.value(row), partitions.value(row));
        let next = match at {
            Some((t, p, next)) if p == partition && t == topic => next,
            Some(_) | None => {
                let next = offsets.next_of(&Topic::new(topic), KafkaPartition(partition));
                next.unwrap_or(Offset(i64::MIN))
            }
        };
        at = Some((topic, partition, next));
        keep.push(next <= Offset(numbers.value(row)));
    }
    if keep.iter().all(|keep| *keep) {
        return Ok(batch.clone());
    }
    filter_record_batch(batch, &BooleanArray::from(keep))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int32Array, Int64Array, StringArray};

    const P0: KafkaPartition = KafkaPartition(0);
    const P1: KafkaPartition = KafkaPartition(1);

    fn topic() -> Topic {
        Topic::new("events")
    }

    fn range(start: i64, end: i64) -> OffsetRange {
        OffsetRange { start: Offset(start), end: Offset(end) }
    }

    fn advance(ranges: &[(KafkaPartition, i64, i64)]) -> Advance {
        let mut advance = Advance::default();
        for (partition, start, end) in ranges {
            advance.extend(&topic(), *partition, range(*start, *end));
        }
        advance
    }

    fn recorded(marks: &[(KafkaPartition, i64)]) -> Recorded {
        let mut recorded = Recorded::default();
        for (partition, next) in marks {
            recorded.offsets.raise(&topic(), *partition, Offset(*next));
        }
        recorded
    }

    #[test]
    fn a_commit_lands_only_where_the_table_stands() {
        use Verdict::{Duplicate, Next, Superseded};
        let one = advance(&[(P0, 10, 20)]);
        let two = advance(&[(P0, 10, 20), (P1, 5, 6)]);
        for (marks, of_one, of_two) in [
            (vec![], Next, Next),
            (vec![(P0, 10)], Next, Next),
            (vec![(P0, 20)], Duplicate, Superseded),
            (vec![(P0, 9)], Superseded, Superseded),
            (vec![(P0, 15)], Superseded, Superseded),
            (vec![(P0, 21)], Superseded, Superseded),
            (vec![(P0, 10), (P1, 5)], Next, Next),
            (vec![(P0, 20), (P1, 6)], Duplicate, Duplicate),
            (vec![(P0, 10), (P1, 6)], Next, Superseded),
            (vec![(P0, 20), (P1, 5)], Duplicate, Superseded),
        ] {
            assert_eq!(one.verdict(&recorded(&marks)), of_one, "one partition, {marks:?}");
            assert_eq!(two.verdict(&recorded(&marks)), of_two, "two partitions, {marks:?}");
        }
    }

    #[test]
    fn a_sequence_is_a_mark_like_any_other() {
        let advance = Advance::of_sequence(SequenceRange { start: 3, end: 5 });
        let at = |sequence| Recorded { sequence, ..Recorded::default() };

        assert_eq!(advance.verdict(&at(None)), Verdict::Next);
        assert_eq!(advance.verdict(&at(Some(3))), Verdict::Next);
        assert_eq!(advance.verdict(&at(Some(5))), Verdict::Duplicate);
        assert_eq!(advance.verdict(&at(Some(4))), Verdict::Superseded);
    }

    #[test]
    fn marks_survive_being_written_as_transactions() {
        let mut both = advance(&[(P0, 0, 7), (P1, 3, 9)]);
        both.sequence = Some(SequenceRange { start: 0, end: 2 });
        let mut found = Recorded::default();
        for (app_id, version) in both.transactions() {
            found.note(&app_id, version);
        }
        for (app_id, version) in [("spark", 1), ("surety/a/b/c", 2), ("surety/a/x", 3)] {
            found.note(app_id, version);
        }

        assert_eq!(found, Recorded { sequence: Some(2), ..recorded(&[(P0, 7), (P1, 9)]) });
    }

    #[test]
    fn an_identity_is_read_back() {
        let mut all = advance(&[(P0, 0, 7), (P1, 3, 9)]);
        assert_eq!(Advance::of_identity(&all.identity()), Some(all.clone()));
        all.sequence = Some(SequenceRange { start: 4, end: 5 });
        assert_eq!(Advance::of_identity(&all.identity()), Some(all));
        let sequence = Advance::of_sequence(SequenceRange { start: 0, end: 1 });
        assert_eq!(Advance::of_identity(&sequence.identity()), Some(sequence));
        for text in ["", ";", "5-5", "x", "a/0@1-0;", "a/0@0-1;1-0", "-1", "a/0@0-1"] {
            assert_eq!(Advance::of_identity(text), None, "{text}");
        }
    }

    #[test]
    fn what_a_table_has_is_cut_off() {
        let batch = advance(&[(P0, 10, 20), (P1, 5, 6)]);

        assert_eq!(batch.after(&Offsets::default()), batch);
        assert_eq!(batch.after(&recorded(&[(P0, 15), (P1, 9)]).offsets), advance(&[(P0, 15, 20)]));
        assert!(batch.after(&recorded(&[(P0, 20), (P1, 6)]).offsets).is_empty());
    }

    #[test]
    fn records_of_two_topics_are_covered_by_one_advance() {
        let mut registry = Advance::default();
        registry.extend(&Topic::new("registry"), P0, range(7, 9));

        let both = advance(&[(P0, 10, 20)]).with(&registry);

        let ranges: Vec<_> = both.partitions().map(|(topic, _, range)| (topic, range)).collect();
        assert_eq!(ranges, [(&topic(), range(10, 20)), (&Topic::new("registry"), range(7, 9))]);
        assert_eq!(Advance::default().with(&registry), registry);
    }

    #[test]
    fn micro_batches_of_a_partition_join() {
        assert_eq!(
            advance(&[(P0, 1, 4), (P1, 0, 1), (P0, 4, 9)]),
            advance(&[(P1, 0, 1), (P0, 1, 9)])
        );
    }

    #[test]
    fn rows_below_the_recorded_offset_are_left_out() {
        let columns: [(&str, ArrayRef); 3] = [
            ("topic", Arc::new(StringArray::from(vec!["events"; 5]))),
            ("kafka_partition", Arc::new(Int32Array::from(vec![0, 1, 0, 1, 2]))),
            ("kafka_offset", Arc::new(Int64Array::from(vec![9, 9, 10, 10, 0]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();

        let rest = rows_from(&batch, &recorded(&[(P0, 10), (P1, 9)]).offsets).unwrap();

        let offsets = rest["kafka_offset"].as_primitive::<Int64Type>();
        assert_eq!(offsets.values().as_ref(), [9, 10, 10, 0]);
    }
}
