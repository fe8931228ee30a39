//! [`KafkaSource`]: the records of Kafka topics, read from the lake's offsets.
//!
//! Invariant (E3): the consumer group only tells which partitions are ours. No partition is read
//! before [`seek`](crate::Source::seek) told from where; what the group has as its offsets is written
//! for people who watch the lag, and never read.
//!
//! Partitions are read in step by their records' times (see `kafka/align.rs`). There is no thread of
//! ours and nothing blocks: librdkafka's threads fetch and wake the source, which takes what is there.

mod admin;
mod align;
mod board;
mod broker;
mod config;
mod context;
mod lane;
mod producer;
mod question;
mod queue;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::Offset as Place;
use schemas::{KafkaPartition, Offsets, Timestamp, Topic};
use tokio::sync::Notify;
use tokio::time::Instant;

pub use self::admin::{
    commit_group_offset, create_topic, delete_before, delete_topic, record_count,
    send_in_transaction,
};
use self::align::{Lane, Next};
pub use self::board::{InvalidBoard, NoticeBoard};
pub use self::broker::EmbeddedBroker;
pub use self::config::{KafkaConfig, StartAt};
use self::context::{Change, Context, Partitions};
use self::lane::Partition;
pub use self::producer::{ProduceError, Producer};
pub use self::question::ends_of;
use crate::{Poll, RawBatch, Source, SourceError};

/// A micro-batch is cut here too, so that memory stays bounded whatever the records' size.
const BATCH_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Where the talk about partitions stands.
#[derive(Debug)]
enum Standing {
    /// Nothing was ever ours. The offsets to begin with, once the caller gave them.
    Joining(Option<Offsets>),
    /// The group gave us these; whether the caller knows, who must seek now.
    Offered { assigned: Partitions, is_told: bool },
    /// These are ours, and read.
    Reading(Partitions),
    /// These are ours, and are read from these offsets once the ends are known where the others
    /// begin.
    Asking { assigned: Partitions, offsets: Offsets },
    /// Ours were taken from us; new ones will come.
    Between,
}

/// Reads Kafka topics as a member of a consumer group.
pub struct KafkaSource {
    config: KafkaConfig,
    consumer: Arc<BaseConsumer<Context>>,
    wake: Arc<Notify>,
    standing: Standing,
    /// What was taken from us since the caller last heard.
    revoked: Partitions,
    partitions: Vec<Partition>,
    /// What each partition was when last looked at, in the same order.
    lanes: Vec<Lane>,
    /// Where partitions began that were to begin at their ends. Kept, so that what came since is read
    /// even if the caller has to go back before any of it is in the lake.
    begun: Offsets,
    /// The group's offsets, as far as we wrote them.
    shown: Offsets,
    is_cut_off: bool,
    /// An empty batch with the memory of one that was given back: one is mostly like the next, and
    /// some megabytes that the system gives anew cost as much as filling them.
    spare: RawBatch,
}

impl fmt::Debug for KafkaSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSource")
            .field("config", &self.config)
            .field("standing", &self.standing)
            .finish_non_exhaustive()
    }
}

impl KafkaSource {
    /// Connects, checks that every topic is there, and joins the group.
    ///
    /// # Errors
    ///
    /// [`SourceError::Unreachable`] after `connect_timeout`, [`SourceError::UnknownTopic`], or
    /// [`SourceError::Property`] for a wrong configuration.
    pub async fn connect(config: KafkaConfig) -> Result<Self, SourceError> {
        question::blocking(move || Self::connect_blocking(config)).await
    }

    fn connect_blocking(config: KafkaConfig) -> Result<Self, SourceError> {
        let client = config::consumer(&config)?;
        let refused = |error| config::refused(&error, &config.bootstrap_servers);
        let mut consumer: BaseConsumer<Context> =
            client.create_with_context(Context::default()).map_err(refused)?;
        let wake = Arc::new(Notify::new());
        let waker = Arc::clone(&wake);
        consumer.set_nonempty_callback(move || waker.notify_one());
        question::check_topics(&consumer, &config, config.connect_timeout)?;
        let topics: Vec<&str> = config.topics.iter().map(Topic::as_str).collect();
        consumer.subscribe(&topics).map_err(refused)?;
        Ok(Self {
            config,
            consumer: Arc::new(consumer),
            wake,
            standing: Standing::Joining(None),
            revoked: Vec::new(),
            partitions: Vec::new(),
            lanes: Vec::new(),
            begun: Offsets::default(),
            shown: Offsets::default(),
            is_cut_off: false,
            spare: RawBatch::default(),
        })
    }

    /// Handles what librdkafka tells. Returns whether the caller must be told of new partitions.
    fn serve(&mut self) -> Result<bool, SourceError> {
        while let Some(message) = self.consumer.poll(Duration::ZERO) {
            // Messages come through the partitions' own queues, so this is an error.
            if let Err(error) = message {
                self.weigh(&error)?;
            }
        }
        for change in self.consumer.context().take_changes() {
            match change {
                Change::Revoked(revoked) => {
                    self.partitions.clear();
                    self.revoked.extend(revoked);
                    self.standing = Standing::Between;
                }
                Change::Assigned(assigned) => self.offered(assigned)?,
            }
        }
        match &mut self.standing {
            Standing::Offered { is_told, .. } if !*is_told => {
                *is_told = true;
                Ok(true)
            }
            Standing::Joining(_)
            | Standing::Offered { .. }
            | Standing::Reading(_)
            | Standing::Asking { .. }
            | Standing::Between => Ok(false),
        }
    }

    /// The first partitions begin at the offsets the caller gave; later ones, the caller must look.
    fn offered(&mut self, assigned: Partitions) -> Result<(), SourceError> {
        tracing::info!(partitions = assigned.len(), "partitions were assigned");
        if let Standing::Joining(Some(offsets)) = &self.standing {
            let offsets = offsets.clone();
            return self.start(assigned, &offsets);
        }
        self.standing = Standing::Offered { assigned, is_told: false };
        Ok(())
    }

    /// Reads `assigned` from `offsets`, and nothing else; first asks for the ends that are missing.
    fn start(&mut self, assigned: Partitions, offsets: &Offsets) -> Result<(), SourceError> {
        // The readers go first: what they hold was read from other offsets.
        self.partitions.clear();
        if assigned.iter().any(|one| self.is_begun_at_end(one, offsets)) {
            self.standing = Standing::Asking { assigned, offsets: offsets.clone() };
            return Ok(());
        }
        let mut list = TopicPartitionList::with_capacity(assigned.len());
        for (topic, partition) in &assigned {
            let known = offsets.next_of(topic, *partition);
            let next = known.or_else(|| self.begun.next_of(topic, *partition));
            let place = next.map_or(Place::Beginning, |next| Place::Offset(next.0));
            list.add_partition_offset(topic.as_str(), partition.0, place)
                .expect("an offset of a record or an end of the log");
            let id = (topic.clone(), *partition);
            let has_headers = self.config.topics_of_events.contains(topic);
            self.partitions.push(Partition::new(&self.consumer, id, next, has_headers, &self.wake));
        }
        // When this returns, librdkafka has outdated every message fetched before.
        self.consumer.assign(&list).map_err(|error| self.fatal(&error))?;
        self.standing = Standing::Reading(assigned);
        Ok(())
    }

    /// Whether a partition is to begin at its end, and where that is has still to be asked.
    fn is_begun_at_end(&self, one: &(Topic, KafkaPartition), offsets: &Offsets) -> bool {
        let (topic, partition) = one;
        self.config.start == StartAt::Latest
            && !self.config.topics_from_earliest.contains(topic)
            && offsets.next_of(topic, *partition).is_none()
            && self.begun.next_of(topic, *partition).is_none()
    }

    /// Asks for the ends that are missing, and reads once all are known. Cancel safe: nothing is read
    /// before.
    async fn ask(&mut self) -> Result<(), SourceError> {
        let Standing::Asking { assigned, offsets } = &self.standing else { return Ok(()) };
        let (assigned, offsets) = (assigned.clone(), offsets.clone());
        for (topic, partition) in &assigned {
            if !self.is_begun_at_end(&(topic.clone(), *partition), &offsets) {
                continue;
            }
            match question::ends(&self.consumer, topic, *partition).await {
                Ok((_, end)) => self.begun.raise(topic, *partition, end),
                // Asked again at the next poll, if it is not for good.
                Err(error) => return self.weigh(&error),
            }
        }
        self.start(assigned, &offsets)
    }

    /// Whether an error of the client as a whole ends the source.
    fn weigh(&mut self, error: &KafkaError) -> Result<(), SourceError> {
        let code = error.rdkafka_error_code();
        if matches!(error, KafkaError::MessageConsumptionFatal(_))
            || code.is_some_and(question::is_refusal)
        {
            return Err(self.fatal(error));
        }
        if code != Some(RDKafkaErrorCode::AllBrokersDown) {
            tracing::debug!(%error, "librdkafka tries again");
        } else if !self.is_cut_off {
            let servers = self.config.bootstrap_servers.as_str();
            tracing::warn!(servers, "no Kafka broker is reachable, trying on");
            self.is_cut_off = true;
        }
        Ok(())
    }

    fn fatal(&self, error: &KafkaError) -> SourceError {
        SourceError::Fatal {
            servers: self.config.bootstrap_servers.clone(),
            reason: error.to_string(),
        }
    }

    /// Takes what can be taken in step.
    fn take(&mut self, records_max: usize) -> RawBatch {
        let mut batch = std::mem::take(&mut self.spare);
        let now = (self.config.now)();
        let has_room =
            move |batch: &RawBatch| batch.len() < records_max && batch.bytes() < BATCH_BYTES_MAX;
        self.lanes.clear();
        self.lanes.extend(self.partitions.iter_mut().map(|one| one.refill(now)));
        while has_room(&batch) {
            match align::next(&self.lanes, self.config.skew_max) {
                Next::Take { lane, until } => {
                    self.lanes[lane] = self.partitions[lane].take(until, now, &mut batch, has_room);
                }
                Next::Wait => {
                    if !self.look_again(now) {
                        break;
                    }
                }
            }
        }
        batch
    }

    /// Looks at the partitions that have nothing. Returns whether one of them has changed.
    fn look_again(&mut self, now: Timestamp) -> bool {
        let has_more = self.lanes.iter().any(|lane| matches!(lane, Lane::Ready(_)));
        let mut has_changed = false;
        for (one, lane) in self.partitions.iter_mut().zip(&mut self.lanes) {
            if matches!(lane, Lane::Ready(_)) {
                continue;
            }
            if has_more
                && matches!(lane, Lane::Waiting(_))
                && one.give_up_after(self.config.silence_max)
            {
                tracing::warn!(
                    topic = one.topic.as_str(),
                    partition = one.number.0,
                    "a partition is silent before its end, the others go on without it"
                );
            }
            let before = std::mem::replace(lane, one.refill(now));
            has_changed |= before != *lane;
        }
        has_changed
    }

    /// Finds out what an error of a partition means. Drops the error if reading can go on.
    async fn diagnose(&mut self, at: usize, code: RDKafkaErrorCode) -> Result<(), SourceError> {
        tracing::debug!(
            topic = self.partitions[at].topic.as_str(),
            ?code,
            "a partition cannot be read"
        );
        if question::is_about_offset(code) {
            self.compare_with_ends(at).await?;
            // The offset is there again, e.g. after a change of leader: go on from where we are.
            return self.go_on();
        }
        if question::is_refusal(code) {
            return Err(self.fatal(&KafkaError::MessageConsumption(code)));
        }
        if question::is_unknown_topic(code) {
            let (consumer, config) = (Arc::clone(&self.consumer), self.config.clone());
            let check = move || question::check_topics(&consumer, &config, question::TIMEOUT);
            question::blocking(check).await?;
        }
        // librdkafka tries again.
        self.partitions[at].forgive();
        Ok(())
    }

    /// Asks the broker for the ends of a partition whose offset it does not have.
    async fn compare_with_ends(&self, at: usize) -> Result<(), SourceError> {
        let one = &self.partitions[at];
        let (topic, partition, next) = (one.topic.clone(), one.number, one.next);
        let ends = question::ends(&self.consumer, &topic, partition).await;
        let (oldest, end) = ends.map_err(|error| SourceError::Unreachable {
            servers: self.config.bootstrap_servers.clone(),
            waited: question::TIMEOUT,
            last_error: Some(error.to_string()),
        })?;
        let wanted = next.unwrap_or(oldest);
        if wanted < oldest {
            return Err(SourceError::OffsetGap { topic, partition, wanted, oldest });
        }
        if end < wanted {
            return Err(SourceError::Recreated { topic, partition, wanted, end });
        }
        Ok(())
    }

    /// Assigns anew what is ours, from where we are.
    fn go_on(&mut self) -> Result<(), SourceError> {
        let mut offsets = Offsets::default();
        for one in &self.partitions {
            if let Some(next) = one.next {
                offsets.raise(&one.topic, one.number, next);
            }
        }
        match &self.standing {
            Standing::Reading(assigned) => self.start(assigned.clone(), &offsets),
            Standing::Joining(_)
            | Standing::Offered { .. }
            | Standing::Asking { .. }
            | Standing::Between => Ok(()),
        }
    }
}

impl Source for KafkaSource {
    async fn poll(&mut self, records_max: usize, wait_max: Duration) -> Result<Poll, SourceError> {
        let deadline = Instant::now() + wait_max;
        loop {
            if self.serve()?
                && let Standing::Offered { assigned, .. } = &self.standing
            {
                let assigned = assigned.clone();
                return Ok(Poll::Reassigned {
                    assigned,
                    revoked: std::mem::take(&mut self.revoked),
                });
            }
            let batch = self.take(records_max);
            if !batch.is_empty() {
                self.is_cut_off = false;
                return Ok(Poll::Records(batch));
            }
            self.spare = batch;
            let mut partitions = self.partitions.iter().enumerate();
            let failed = partitions.find_map(|(at, one)| Some((at, one.failure()?)));
            if let Some((at, code)) = failed {
                self.diagnose(at, code).await?;
                continue;
            }
            if matches!(self.standing, Standing::Asking { .. }) {
                self.ask().await?;
                if !self.partitions.is_empty() {
                    continue;
                }
            }
            // Cancel safety: everything taken has been returned above.
            if tokio::time::timeout_at(deadline, self.wake.notified()).await.is_err() {
                return Ok(Poll::Idle);
            }
        }
    }

    fn seek(&mut self, offsets: &Offsets) -> Result<(), SourceError> {
        match &self.standing {
            Standing::Joining(_) => {
                self.standing = Standing::Joining(Some(offsets.clone()));
                Ok(())
            }
            Standing::Offered { assigned, .. }
            | Standing::Asking { assigned, .. }
            | Standing::Reading(assigned) => self.start(assigned.clone(), offsets),
            // The next assignment will be told, and the caller looks again.
            Standing::Between => Ok(()),
        }
    }

    fn committed(&mut self, offsets: &Offsets) {
        let Standing::Reading(assigned) = &self.standing else { return };
        let mut list = TopicPartitionList::new();
        for (topic, partition) in assigned {
            let Some(next) = offsets.next_of(topic, *partition) else { continue };
            if self.shown.next_of(topic, *partition).is_some_and(|shown| next <= shown) {
                continue;
            }
            self.shown.raise(topic, *partition, next);
            list.add_partition_offset(topic.as_str(), partition.0, Place::Offset(next.0))
                .expect("an offset of a record");
        }
        if list.count() == 0 {
            return;
        }
        if let Err(error) = self.consumer.commit(&list, CommitMode::Async) {
            tracing::debug!(%error, "the group's offsets, which only show the lag, were not stored");
        }
    }

    fn give_back(&mut self, mut batch: RawBatch) {
        batch.clear();
        self.spare = batch;
    }

    fn lag(&self) -> Vec<(Topic, KafkaPartition, u64)> {
        let mut lags = Vec::with_capacity(self.partitions.len());
        for one in &self.partitions {
            let ends = queue::cached_ends(&self.consumer, one.topic.as_str(), one.number.0);
            if let Some((oldest, end)) = ends {
                let next = one.next.unwrap_or(oldest);
                let lag = u64::try_from(end.0 - next.0).unwrap_or(0);
                lags.push((one.topic.clone(), one.number, lag));
            }
        }
        lags
    }
}

impl Drop for KafkaSource {
    fn drop(&mut self) {
        // An assignment that was never answered would keep the client from closing.
        self.partitions.clear();
        if let Err(error) = self.consumer.unassign() {
            tracing::debug!(%error, "librdkafka did not give up its partitions");
        }
    }
}

#[cfg(test)]
mod tests;
