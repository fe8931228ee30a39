//! [`Context`]: what librdkafka's callbacks tell, kept until the source asks.
//!
//! Invariant: a callback decides nothing and never blocks. A partition that is given to us is not read
//! before the source assigns it with an offset; a partition that is taken from us is given up at once.

use std::sync::{Mutex, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;
use schemas::{KafkaPartition, Topic};

/// Partitions, in the order of topic and number.
pub(super) type Partitions = Vec<(Topic, KafkaPartition)>;

/// A change of hands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// These are ours from now on, and no others.
    Assigned(Partitions),
    /// These are ours no longer.
    Revoked(Partitions),
}

/// What the callbacks told since the source last asked.
#[derive(Debug, Default)]
pub(super) struct Context {
    changes: Mutex<Vec<Change>>,
    last_error: Mutex<Option<String>>,
}

impl Context {
    /// The changes since the last call, oldest first.
    pub(super) fn take_changes(&self) -> Vec<Change> {
        std::mem::take(&mut *self.changes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The last thing that went wrong with a broker, in librdkafka's words.
    pub(super) fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note_error(&self, text: &str) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.to_owned());
    }

    fn note(&self, change: Change) {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).push(change);
    }
}

impl ClientContext for Context {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
        self.note_error(reason);
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        // librdkafka tries again by itself; what it cannot cure comes as an error.
        tracing::debug!(?level, facility, text, "librdkafka");
        // Only the log has the system's own words, such as "connection refused".
        if facility == "FAIL" {
            self.note_error(text);
        }
    }
}

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        kind: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        if kind == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.note(Change::Assigned(list(partitions)));
            return;
        }
        self.note(Change::Revoked(list(partitions)));
        if let Err(error) = consumer.unassign() {
            tracing::warn!(%error, "librdkafka did not give up its partitions");
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        if let Err(error) = result {
            tracing::debug!(%error, "the group's offsets, which only show the lag, were not stored");
        }
    }
}

fn list(partitions: &TopicPartitionList) -> Partitions {
    let elements = partitions.elements();
    let named =
        elements.iter().map(|one| (Topic::new(one.topic()), KafkaPartition(one.partition())));
    let mut partitions: Partitions = named.collect();
    partitions.sort();
    partitions
}
