//! [`Epochs`]: topics that were deleted and made anew, which the lake knows under another name.
//!
//! Invariant: a topic of an epoch has one name in Kafka and one in the lake, and no offset of one is ever
//! taken for an offset of the other. So the records of before and after, whose offsets are the same, stay
//! different records.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::{KafkaPartition, Offsets, Topic};

use crate::{Poll, RawBatch, Source, SourceError};

/// A source of which some topics have another name in the lake.
#[derive(Debug)]
pub struct Epochs<S> {
    source: S,
    /// The lake's name by Kafka's, of those that differ.
    names: BTreeMap<Topic, Topic>,
}

impl<S> Epochs<S> {
    /// `names` are those of the lake by those of Kafka. Topics that are not among them have one name.
    pub fn new(source: S, names: BTreeMap<Topic, Topic>) -> Self {
        Self { source, names }
    }

    fn in_lake(&self, topic: &Topic) -> Topic {
        self.names.get(topic).unwrap_or(topic).clone()
    }

    /// The lake's offsets as Kafka's. Those of an epoch that is over are left out.
    fn in_kafka(&self, offsets: &Offsets) -> Offsets {
        let mut named = Offsets::default();
        for (topic, partition, next) in offsets.iter() {
            let epoch = self.names.iter().find(|(_, in_lake)| *in_lake == topic);
            match epoch {
                Some((in_kafka, _)) => named.raise(in_kafka, partition, next),
                None if self.names.contains_key(topic) => {}
                None => named.raise(topic, partition, next),
            }
        }
        named
    }
}

impl<S: Source> Source for Epochs<S> {
    async fn poll(&mut self, records_max: usize, wait_max: Duration) -> Result<Poll, SourceError> {
        let mut poll = self.source.poll(records_max, wait_max).await?;
        match &mut poll {
            Poll::Records(batch) if !self.names.is_empty() => {
                batch.rename(|topic| self.in_lake(topic));
            }
            Poll::Reassigned { assigned, revoked } => {
                for (topic, _) in assigned.iter_mut().chain(revoked) {
                    *topic = self.in_lake(topic);
                }
            }
            Poll::Records(_) | Poll::Idle | Poll::End => {}
        }
        Ok(poll)
    }

    fn seek(&mut self, offsets: &Offsets) -> Result<(), SourceError> {
        let offsets = self.in_kafka(offsets);
        self.source.seek(&offsets)
    }

    fn committed(&mut self, offsets: &Offsets) {
        let offsets = self.in_kafka(offsets);
        self.source.committed(&offsets);
    }

    fn give_back(&mut self, batch: RawBatch) {
        self.source.give_back(batch);
    }

    fn lag(&self) -> Vec<(Topic, KafkaPartition, u64)> {
        let lags = self.source.lag().into_iter();
        lags.map(|(topic, partition, lag)| (self.in_lake(&topic), partition, lag)).collect()
    }
}

#[cfg(test)]
mod tests {
    use schemas::Offset;

    use super::*;

    #[test]
    fn offsets_of_an_epoch_that_is_over_are_no_offsets_of_the_topic_that_is_there() {
        let [old, new, other] = ["uses", "uses.epoch-2", "logins"].map(Topic::new);
        let epochs = Epochs::new((), BTreeMap::from([(old.clone(), new.clone())]));
        let mut lake = Offsets::default();
        lake.raise(&old, KafkaPartition(0), Offset(900));
        lake.raise(&other, KafkaPartition(0), Offset(5));

        let first = epochs.in_kafka(&lake);
        lake.raise(&new, KafkaPartition(0), Offset(7));
        let later = epochs.in_kafka(&lake);

        assert_eq!(first.next_of(&old, KafkaPartition(0)), None);
        assert_eq!(first.next_of(&other, KafkaPartition(0)), Some(Offset(5)));
        assert_eq!(later.next_of(&old, KafkaPartition(0)), Some(Offset(7)));
        assert_eq!(epochs.in_lake(&old), new);
        assert_eq!(epochs.in_lake(&other), other);
    }
}
