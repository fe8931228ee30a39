//! [`RawBatch`]: the records of one micro-batch, in one piece of memory.
//!
//! Invariant: adding a record allocates nothing of its own (the payload goes into one shared arena),
//! and each partition's range starts where reading continued and ends after its last record, so that
//! the ranges of consecutive batches have no gap although Kafka's offsets may.

use std::collections::BTreeMap;

use schemas::{KafkaPartition, Offset, OffsetRange, Part, Position, Timestamp, Topic};

/// One record as it came: bytes and place, not yet read.
#[derive(Clone, Copy, Debug)]
pub struct RawRecord<'a> {
    pub topic: &'a Topic,
    pub partition: KafkaPartition,
    pub offset: Offset,
    /// Of several in one record, which one these bytes are.
    pub part: Part,
    /// The record's own time in Kafka, if it has one.
    pub record_time: Option<Timestamp>,
    /// `None` for a tombstone.
    pub payload: Option<&'a [u8]>,
}

impl RawRecord<'_> {
    pub fn position(&self) -> Position {
        Position {
            topic: self.topic.clone(),
            partition: self.partition,
            offset: self.offset,
            part: self.part,
        }
    }
}

/// A partition that has records in the batch.
#[derive(Clone, Debug)]
struct Stretch {
    topic: Topic,
    partition: KafkaPartition,
    range: OffsetRange,
}

/// Everything of a record but its payload, which lies in the arena up to `payload_end`.
#[derive(Clone, Copy, Debug)]
struct Head {
    stretch: u32,
    is_tombstone: bool,
    offset: Offset,
    record_time: Option<Timestamp>,
    payload_end: usize,
}

/// The records of one micro-batch, in the order in which they are to be folded.
#[derive(Clone, Debug, Default)]
pub struct RawBatch {
    arena: Vec<u8>,
    heads: Vec<Head>,
    stretches: Vec<Stretch>,
}

impl RawBatch {
    /// Holds nothing any more, and keeps its memory.
    pub(crate) fn clear(&mut self) {
        self.arena.clear();
        self.heads.clear();
        self.stretches.clear();
    }

    /// Adds a record whose partition's reading continued at its own offset.
    pub fn push(&mut self, record: &RawRecord<'_>) {
        self.push_from(record.offset, record);
    }

    /// Adds a record; reading of its partition continued at `from`.
    ///
    /// What lies between `from` and the record (compacted records, transaction markers) is covered
    /// by the batch too. `from` counts for the first record of a partition only.
    pub(crate) fn push_from(&mut self, from: Offset, record: &RawRecord<'_>) {
        let stretch = self.stretch_of(from, record);
        let range = &mut self.stretches[stretch].range;
        assert!(
            range.end <= record.offset && from <= record.offset,
            "a partition's offsets only grow"
        );
        range.end = record.offset.next();
        self.arena.extend_from_slice(record.payload.unwrap_or_default());
        self.heads.push(Head {
            stretch: u32::try_from(stretch).expect("a topic has fewer than 2^32 partitions"),
            is_tombstone: record.payload.is_none(),
            offset: record.offset,
            record_time: record.record_time,
            payload_end: self.arena.len(),
        });
    }

    /// The record's partition in the table; records come in runs, so the last one is tried first.
    fn stretch_of(&mut self, from: Offset, record: &RawRecord<'_>) -> usize {
        let is_it = |stretch: &Stretch| {
            stretch.partition == record.partition && stretch.topic == *record.topic
        };
        if let Some(head) = self.heads.last()
            && is_it(&self.stretches[head.stretch as usize])
        {
            return head.stretch as usize;
        }
        if let Some(at) = self.stretches.iter().position(is_it) {
            return at;
        }
        self.stretches.push(Stretch {
            topic: record.topic.clone(),
            partition: record.partition,
            range: OffsetRange { start: from, end: from },
        });
        self.stretches.len() - 1
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// Bytes of all payloads together.
    pub fn bytes(&self) -> usize {
        self.arena.len()
    }

    /// The record at `at`, which is below [`len`](Self::len).
    pub fn get(&self, at: usize) -> RawRecord<'_> {
        let head = &self.heads[at];
        let stretch = &self.stretches[head.stretch as usize];
        let payload_start = at.checked_sub(1).map_or(0, |before| self.heads[before].payload_end);
        RawRecord {
            topic: &stretch.topic,
            partition: stretch.partition,
            offset: head.offset,
            part: Part::FIRST,
            record_time: head.record_time,
            payload: (!head.is_tombstone).then(|| &self.arena[payload_start..head.payload_end]),
        }
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = RawRecord<'_>> {
        (0..self.len()).map(|at| self.get(at))
    }

    /// Gives each topic the name that `of` says.
    pub(crate) fn rename(&mut self, of: impl Fn(&Topic) -> Topic) {
        for stretch in &mut self.stretches {
            stretch.topic = of(&stretch.topic);
        }
    }

    /// The offsets that the batch covers: from where reading continued to after the last record.
    pub fn advance(&self) -> BTreeMap<(Topic, KafkaPartition), OffsetRange> {
        let ranges = self.stretches.iter();
        ranges.map(|one| ((one.topic.clone(), one.partition), one.range)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record<'a>(
        topic: &'a Topic,
        partition: i32,
        offset: i64,
        payload: Option<&'a [u8]>,
    ) -> RawRecord<'a> {
        RawRecord {
            topic,
            partition: KafkaPartition(partition),
            offset: Offset(offset),
            part: Part::FIRST,
            record_time: Timestamp::from_millis(offset).ok(),
            payload,
        }
    }

    #[test]
    fn a_batch_gives_back_what_was_put_in() {
        let (uses, registry) = (Topic::new("uses"), Topic::new("registry"));
        let wanted = [
            record(&uses, 0, 5, Some(b"first")),
            record(&uses, 1, 0, None),
            record(&registry, 0, 9, Some(b"")),
            record(&uses, 0, 8, Some(b"second")),
        ];
        let mut batch = RawBatch::default();

        for record in &wanted {
            batch.push(record);
        }

        assert_eq!((batch.len(), batch.bytes()), (4, 11));
        for (found, wanted) in batch.iter().zip(&wanted) {
            assert_eq!(found.position(), wanted.position());
            assert_eq!(found.payload, wanted.payload);
            assert_eq!(found.record_time, wanted.record_time);
        }
    }

    #[test]
    fn the_ranges_cover_gaps_from_where_reading_continued() {
        let uses = Topic::new("uses");
        let mut batch = RawBatch::default();

        batch.push_from(Offset(3), &record(&uses, 0, 5, Some(b"x")));
        batch.push_from(Offset(6), &record(&uses, 0, 9, Some(b"x")));

        let ranges = batch.advance();
        assert_eq!(
            ranges[&(uses, KafkaPartition(0))],
            OffsetRange { start: Offset(3), end: Offset(10) }
        );
    }
}
