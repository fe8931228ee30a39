//! [`Partition`]: one assigned partition, where its reading stands and what it waits for.
//!
//! Invariant: `next` is where reading continues. It moves past a record when the record is in a batch,
//! and never back.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::BaseConsumer;
use rdkafka::error::RDKafkaErrorCode;
use schemas::{KafkaPartition, Offset, Part, Timestamp, Topic};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::align::Lane;
use super::context::Context;
use super::queue::{Head, PartitionReader};
use crate::{RawBatch, RawRecord};

/// Whether anything is known to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    /// More is to come, and has been waited for since then.
    Expected(Instant),
    /// Everything there was has been read.
    Ended,
    /// Waited for in vain: the others go on without.
    Silent,
}

/// One assigned partition.
pub(super) struct Partition {
    pub(super) topic: Topic,
    pub(super) number: KafkaPartition,
    /// `None` until the first record of a partition that the lake does not know.
    pub(super) next: Option<Offset>,
    reader: PartitionReader,
    /// Whether a record may be an event in binary mode, of which headers are a part.
    has_headers: bool,
    last_time: Option<Timestamp>,
    rest: Rest,
}

impl Partition {
    pub(super) fn new(
        consumer: &Arc<BaseConsumer<Context>>,
        (topic, number): (Topic, KafkaPartition),
        next: Option<Offset>,
        has_headers: bool,
        wake: &Arc<Notify>,
    ) -> Self {
        let reader = PartitionReader::new(consumer, topic.as_str(), number.0, wake);
        let rest = Rest::Expected(Instant::now());
        Self { topic, number, next, reader, has_headers, last_time: None, rest }
    }

    /// Fetches if nothing is held. Returns what it is for the alignment at `now`.
    pub(super) fn refill(&mut self, now: Timestamp) -> Lane {
        loop {
            self.reader.refill();
            match self.reader.head() {
                Some(Head::Record { offset, time, .. }) => {
                    if self.next.is_some_and(|next| offset < next) {
                        // librdkafka promises not to give these; an exactly-once reader checks.
                        self.reader.pop();
                        continue;
                    }
                    self.rest = Rest::Expected(Instant::now());
                    return Lane::Ready(self.time_of(time, now));
                }
                Some(Head::End) => {
                    self.reader.pop();
                    self.rest = Rest::Ended;
                }
                Some(Head::Failed(_)) => return Lane::Waiting(self.last_time),
                None => {
                    return match self.rest {
                        Rest::Expected(_) => Lane::Waiting(self.last_time),
                        Rest::Ended | Rest::Silent => Lane::Idle,
                    };
                }
            }
        }
    }

    /// A record without a time, or with one after `now`, counts as being of the time of the one before.
    fn time_of(&self, time: Option<Timestamp>, now: Timestamp) -> Timestamp {
        time.filter(|time| *time <= now).or(self.last_time).unwrap_or(Timestamp::EPOCH)
    }

    /// The error that stands first, if one does.
    pub(super) fn failure(&self) -> Option<RDKafkaErrorCode> {
        match self.reader.head()? {
            Head::Failed(error) => Some(error),
            Head::Record { .. } | Head::End => None,
        }
    }

    /// Drops the error that stands first.
    pub(super) fn forgive(&mut self) {
        if self.failure().is_some() {
            self.reader.pop();
        }
    }

    /// Takes records up to and including `until` while `batch` has room, and says what it is then.
    pub(super) fn take(
        &mut self,
        until: Timestamp,
        now: Timestamp,
        batch: &mut RawBatch,
        has_room: impl Fn(&RawBatch) -> bool,
    ) -> Lane {
        loop {
            let lane = self.refill(now);
            match lane {
                Lane::Ready(time) if time <= until && has_room(batch) => {}
                Lane::Ready(_) | Lane::Waiting(_) | Lane::Idle => return lane,
            }
            // The records at hand are taken in one go: between them nothing is asked anew.
            while let Some(Head::Record { offset, time, .. }) = self.reader.head() {
                let record_time = self.time_of(time, now);
                let from = self.next.unwrap_or(offset);
                if until < record_time || offset < from || !has_room(batch) {
                    break;
                }
                let event = if self.has_headers { self.reader.event() } else { None };
                let Some(Head::Record { payload, .. }) = self.reader.head() else { break };
                batch.push_from(
                    from,
                    &RawRecord {
                        topic: &self.topic,
                        partition: self.number,
                        offset,
                        part: Part::FIRST,
                        record_time: time,
                        payload: event.as_deref().or(payload),
                    },
                );
                self.next = Some(offset.next());
                self.last_time = Some(record_time);
                self.reader.pop();
            }
        }
    }

    /// Stops waiting if nothing came for `silence_max`. Returns whether that is new.
    pub(super) fn give_up_after(&mut self, silence_max: Duration) -> bool {
        match self.rest {
            Rest::Expected(since) if silence_max <= since.elapsed() => {
                self.rest = Rest::Silent;
                true
            }
            Rest::Expected(_) | Rest::Ended | Rest::Silent => false,
        }
    }
}
