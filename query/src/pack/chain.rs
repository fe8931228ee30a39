//! [`Chain`]: the seals of a pack, and [`Completeness`]: what they say of what was read.
//!
//! Invariant: the chain goes without a gap from the oldest seal that the pack rests on to the newest
//! that the lake had, so that one seal kept elsewhere vouches for all before it.

use std::collections::BTreeMap;

use lake::seal::{Hash, PublicKey, Seal, hash_of};
use schemas::{KafkaPartition, Offset, Timestamp, Topic};
use serde::{Deserialize, Serialize};

/// A line of `seals.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Link {
    pub(crate) sequence: i64,
    /// The signed note.
    pub(crate) note: String,
}

/// Seals, each following the one before.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    pub(crate) seals: Vec<Seal>,
    /// The hash of the newest seal's note.
    pub(crate) head: Hash,
}

impl Chain {
    /// Reads the links. What is wrong is told to `flaw` with the seal's number, and passed over.
    pub(crate) fn follow(
        links: impl Iterator<Item = Link>,
        key: &PublicKey,
        mut flaw: impl FnMut(i64, String),
    ) -> Self {
        let mut chain = Self::default();
        let mut before: Option<(i64, Hash)> = None;
        for Link { sequence, note } in links {
            let hash = hash_of(&note);
            let seal = match key.open(&note).and_then(Seal::parse) {
                Ok(seal) => seal,
                Err(error) => {
                    flaw(sequence, error.to_string());
                    before = Some((sequence, hash));
                    continue;
                }
            };
            if seal.sequence != sequence {
                flaw(sequence, format!("its note is that of seal {}", seal.sequence));
            }
            if let Some((last, last_hash)) = before {
                if sequence != last + 1 {
                    flaw(sequence, format!("wanted seal {} after seal {last}", last + 1));
                } else if seal.previous != last_hash {
                    flaw(sequence, "it does not follow the seal before it".to_owned());
                }
            }
            if chain.seals.first().is_some_and(|first| first.lake != seal.lake) {
                flaw(sequence, "it is of another lake".to_owned());
            }
            before = Some((sequence, hash));
            chain.seals.push(seal);
        }
        chain.head = before.map_or([0; 32], |(_, hash)| hash);
        chain
    }

    pub(crate) fn seal(&self, sequence: i64) -> Option<&Seal> {
        let at = self.seals.binary_search_by_key(&sequence, |seal| seal.sequence).ok()?;
        self.seals.get(at)
    }

    /// The part that a report rests on: from the seal `first`, or from the first one made in the range
    /// if that is older, to the newest; of those, at least the newest.
    pub(crate) fn used(&self, first: Option<i64>, from: Timestamp) -> Self {
        let of_rows = self.seals.iter().position(|seal| Some(seal.sequence) == first);
        let of_range = self.seals.iter().position(|seal| from <= seal.time);
        let start = of_rows.into_iter().chain(of_range).min();
        let start = start.unwrap_or(self.seals.len().saturating_sub(1));
        Self { seals: self.seals[start..].to_vec(), head: self.head }
    }

    pub(crate) fn completeness(&self) -> Completeness {
        let mut partitions: BTreeMap<(&Topic, KafkaPartition), Vec<(i64, i64)>> = BTreeMap::new();
        for seal in &self.seals {
            for (topic, partition, range) in &seal.ranges {
                let ranges = partitions.entry((topic, *partition)).or_default();
                ranges.push((range.start.0, range.end.0));
            }
        }
        let cover = |((topic, partition), mut ranges): ((&Topic, KafkaPartition), Vec<_>)| {
            ranges.sort_unstable();
            PartitionCover::of(topic, partition, &ranges)
        };
        Completeness {
            seals: self.seals.len() as u64,
            first_seal: self.seals.first().map_or(0, |seal| seal.sequence),
            last_seal: self.seals.last().map_or(0, |seal| seal.sequence),
            records: self.seals.iter().map(|seal| seal.records).sum(),
            rejects: self.seals.iter().map(|seal| seal.rejects).sum(),
            partitions: partitions.into_iter().map(cover).collect(),
        }
    }
}

/// Which records were read, by the seals of the pack.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Completeness {
    pub(crate) seals: u64,
    pub(crate) first_seal: i64,
    pub(crate) last_seal: i64,
    /// Records that were sealed, rejects counted.
    pub(crate) records: u64,
    pub(crate) rejects: u64,
    pub(crate) partitions: Vec<PartitionCover>,
}

/// What was read of one partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PartitionCover {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    /// The first offset.
    pub(crate) start: i64,
    /// The offset after the last.
    pub(crate) end: i64,
    pub(crate) seals: u64,
    /// Offsets between that are in no seal, each as first and end.
    pub(crate) missing: Vec<(i64, i64)>,
}

impl PartitionCover {
    /// `ranges` are sorted, and there is one at least.
    fn of(topic: &Topic, partition: KafkaPartition, ranges: &[(i64, i64)]) -> Self {
        let mut missing = Vec::new();
        let (start, mut end) = ranges[0];
        for (next, next_end) in &ranges[1..] {
            if end < *next {
                missing.push((end, *next));
            }
            end = end.max(*next_end);
        }
        let seals = ranges.len() as u64;
        Self { topic: topic.to_string(), partition: partition.0, start, end, seals, missing }
    }
}

/// Which seal holds the record at a place.
#[derive(Debug, Default)]
pub(crate) struct Places(BTreeMap<String, BTreeMap<KafkaPartition, Vec<Sealed>>>);

/// First offset, end, and the number of the seal.
type Sealed = (Offset, Offset, i64);

impl Places {
    pub(crate) fn of(seals: &[Seal]) -> Self {
        let mut places = Self::default();
        for seal in seals {
            for (topic, partition, range) in &seal.ranges {
                let topic = places.0.entry(topic.to_string()).or_default();
                let ranges = topic.entry(*partition).or_default();
                ranges.push((range.start, range.end, seal.sequence));
            }
        }
        for ranges in places.0.values_mut().flat_map(BTreeMap::values_mut) {
            ranges.sort_unstable();
        }
        places
    }

    pub(crate) fn seal_of(
        &self,
        topic: &str,
        partition: KafkaPartition,
        offset: Offset,
    ) -> Option<i64> {
        let ranges = self.0.get(topic)?.get(&partition)?;
        let after = ranges.partition_point(|(start, ..)| *start <= offset);
        let (_, end, seal) = ranges[..after].last()?;
        (offset < *end).then_some(*seal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_between_two_ranges_is_missing() {
        let cover = PartitionCover::of(
            &Topic::new("uses"),
            KafkaPartition(2),
            &[(5, 10), (10, 12), (15, 16), (20, 30)],
        );

        assert_eq!((cover.start, cover.end, cover.seals), (5, 30, 4));
        assert_eq!(cover.missing, [(12, 15), (16, 20)]);
    }
}
