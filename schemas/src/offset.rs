//! Where a record stands in Kafka, and how far a reader has come.
//!
//! Invariant: every range is half-open, `start` read and `end` not yet read, exactly as Kafka
//! itself counts. A recorded offset is always the *next* one to read. Nothing outside this file adds
//! or subtracts one from an offset.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::EventId;

/// A Kafka topic, or the name under which a file is replayed.
///
/// Invariant: 1 to 249 letters, digits, dots, dashes and underscores, as Kafka demands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Topic(Arc<str>);

impl Topic {
    /// Longest name in bytes, by Kafka's own rule.
    pub const BYTES_MAX: usize = 249;

    /// A topic of this name; every character that Kafka does not allow becomes an underscore.
    pub fn new(name: &str) -> Self {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let name: String =
            name.chars().take(Self::BYTES_MAX).map(|c| if allowed(c) { c } else { '_' }).collect();
        Self(if name.is_empty() { "_".into() } else { name.into() })
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Topic> for String {
    fn from(topic: Topic) -> Self {
        topic.as_str().to_owned()
    }
}

impl TryFrom<String> for Topic {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let topic = Self::new(&name);
        if topic.as_str() == name {
            return Ok(topic);
        }
        Err(format!(
            "wanted a topic of 1 to {} letters, digits, dots, dashes and underscores",
            Self::BYTES_MAX
        ))
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A Kafka partition number. (The lake's partition column is called *month*, never "partition".)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KafkaPartition(pub i32);

/// A record's number within its partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Offset(pub i64);

impl Offset {
    pub const START: Self = Self(0);

    /// The offset to read after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Which of several that stand in one record, from 0. One that stands alone is the first.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Part(pub u16);

impl Part {
    pub const FIRST: Self = Self(0);

    /// Its number in a table: none for the first, so that one that stands alone is written as ever.
    pub fn number(self) -> Option<i32> {
        (!self.is_first()).then(|| i32::from(self.0))
    }

    /// The part of a [`number`](Self::number).
    ///
    /// # Errors
    ///
    /// What was wanted and found, if it is none.
    pub fn of_number(number: Option<i32>) -> Result<Self, String> {
        let Some(number) = number else { return Ok(Self::FIRST) };
        let part = u16::try_from(number).map(Self).ok().filter(|part| !part.is_first());
        part.ok_or_else(|| format!("wanted a number from 1 to {}, found {number}", u16::MAX))
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
    fn is_first(&self) -> bool {
        *self == Self::FIRST
    }
}

/// Nothing for the first, else a dot and the number: what stands behind an offset in a text.
impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_first() { Ok(()) } else { write!(f, ".{}", self.0) }
    }
}

/// The place of a record, or of one of several in a record: unique for as long as its topic lives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    pub topic: Topic,
    pub partition: KafkaPartition,
    pub offset: Offset,
    #[serde(default, skip_serializing_if = "Part::is_first")]
    pub part: Part,
}

impl Position {
    /// The id of an event whose source gave it none. Unique while the topic lives: only behind the last
    /// dash may stand a dot with a part.
    pub fn event_id(&self) -> EventId {
        let Self { topic, partition, offset, part } = self;
        EventId::try_from(format!("{topic}-{}-{}{part}", partition.0, offset.0))
            .expect("Kafka's topics are up to 249 letters, digits, dots, dashes and underscores")
    }

    /// Whether `id` is made of this place, as [`event_id`](Self::event_id) is: no other record has it then.
    pub fn is_named_by(&self, id: &EventId) -> bool {
        let rest = id.as_str().strip_prefix(self.topic.as_str());
        let numbers = rest.and_then(|rest| rest.strip_prefix('-')?.rsplit_once('-'));
        numbers.is_some_and(|(partition, offset)| {
            let (offset, part) = match offset.split_once('.') {
                Some((offset, part)) => (offset, part.parse().ok().filter(|part| *part != 0)),
                None => (offset, Some(0)),
            };
            partition.parse() == Ok(self.partition.0)
                && offset.parse() == Ok(self.offset.0)
                && part == Some(self.part.0)
        })
    }
}

/// `uses/3@40`, and `uses/3@40.2` for the third of its record.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, partition, offset, part } = self;
        write!(f, "{topic}/{}@{}{part}", partition.0, offset.0)
    }
}

/// The offsets one batch read from one partition: `start` inclusive, `end` exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetRange {
    pub start: Offset,
    pub end: Offset,
}

/// How far a reader has come: for each partition the next offset to read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    from = "Vec<(Topic, KafkaPartition, Offset)>",
    into = "Vec<(Topic, KafkaPartition, Offset)>"
)]
pub struct Offsets(BTreeMap<(Topic, KafkaPartition), Offset>);

impl Offsets {
    /// The next offset to read of a partition; `None` if nothing of it was ever read.
    pub fn next_of(&self, topic: &Topic, partition: KafkaPartition) -> Option<Offset> {
        self.0.get(&(topic.clone(), partition)).copied()
    }

    /// Whether the record at `position` was read already.
    pub fn covers(&self, position: &Position) -> bool {
        self.next_of(&position.topic, position.partition).is_some_and(|next| position.offset < next)
    }

    /// Notes that the record at `position` was read. Never moves backwards.
    pub fn advance(&mut self, position: &Position) {
        self.raise(&position.topic, position.partition, position.offset.next());
    }

    /// Moves the partition forward to `next`. Never moves backwards.
    pub fn raise(&mut self, topic: &Topic, partition: KafkaPartition, next: Offset) {
        let recorded = self.0.entry((topic.clone(), partition)).or_insert(next);
        *recorded = next.max(*recorded);
    }

    /// Sorted by topic and partition.
    pub fn iter(&self) -> impl Iterator<Item = (&Topic, KafkaPartition, Offset)> {
        self.0.iter().map(|((topic, partition), offset)| (topic, *partition, *offset))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Vec<(Topic, KafkaPartition, Offset)>> for Offsets {
    fn from(entries: Vec<(Topic, KafkaPartition, Offset)>) -> Self {
        Self(
            entries
                .into_iter()
                .map(|(topic, partition, next)| ((topic, partition), next))
                .collect(),
        )
    }
}

impl From<Offsets> for Vec<(Topic, KafkaPartition, Offset)> {
    fn from(offsets: Offsets) -> Self {
        offsets.0.into_iter().map(|((topic, partition), next)| (topic, partition, next)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_was_made_of_a_place_names_it_and_no_other() {
        let place = |partition, offset, part| Position {
            topic: Topic::new("uses-1"),
            partition: KafkaPartition(partition),
            offset: Offset(offset),
            part: Part(part),
        };
        for (part, id) in [(0, "uses-1-3-40"), (2, "uses-1-3-40.2")] {
            assert_eq!(place(3, 40, part).event_id().as_str(), id);
            let id = id.try_into().unwrap();
            assert!(place(3, 40, part).is_named_by(&id));
            for (partition, offset, part) in
                [(3, 41, part), (4, 40, part), (0, 40, part), (3, 40, part + 1), (3, 40, 2 - part)]
            {
                assert!(!place(partition, offset, part).is_named_by(&id));
            }
        }
        for other in ["uses-1", "uses-1-40", "uses-3-40", "40", "use-40", "uses-1-3-40.0"] {
            assert!(!place(3, 40, 0).is_named_by(&other.try_into().unwrap()), "{other}");
        }
    }

    #[test]
    fn the_first_of_a_record_is_written_as_one_that_stands_alone() {
        let place = |part| Position {
            topic: Topic::new("uses"),
            partition: KafkaPartition(3),
            offset: Offset(40),
            part: Part(part),
        };
        for (part, shown, json) in [
            (0, "uses/3@40", r#"{"topic":"uses","partition":3,"offset":40}"#),
            (2, "uses/3@40.2", r#"{"topic":"uses","partition":3,"offset":40,"part":2}"#),
        ] {
            assert_eq!(place(part).to_string(), shown);
            assert_eq!(serde_json::to_string(&place(part)).unwrap(), json);
            assert_eq!(serde_json::from_str::<Position>(json).unwrap(), place(part));
        }
        assert!(place(0) < place(1));
    }

    #[test]
    fn offsets_move_forward_only() {
        let at = |offset| Position {
            topic: Topic::new("events"),
            partition: KafkaPartition(3),
            offset: Offset(offset),
            part: Part::FIRST,
        };
        let mut offsets = Offsets::default();
        assert!(!offsets.covers(&at(0)));

        offsets.advance(&at(7));
        offsets.advance(&at(2));

        assert_eq!(offsets.next_of(&at(0).topic, KafkaPartition(3)), Some(Offset(8)));
        assert!(offsets.covers(&at(7)));
        assert!(!offsets.covers(&at(8)));
    }
}
