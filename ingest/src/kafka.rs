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
mod broker;
mod config;
mod context;
mod lane;
mod producer;
mod queue;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::Offset as Place;
use schemas::{KafkaPartition, Offset, Offsets, Topic};
use tokio::sync::Notify;
use tokio::time::Instant;

pub use self::admin::{commit_group_offset, create_topic, delete_topic, record_count};
use self::align::{Lane, Next};
pub use self::broker::EmbeddedBroker;
pub use self::config::{KafkaConfig, StartAt};
use self::context::{Change, Context, Partitions};
use self::lane::Partition;
pub use self::producer::{ProduceError, Producer};
use crate::{Poll, RawBatch, Source, SourceError};

/// A micro-batch is cut here too, so that memory stays bounded whatever the records' size.
const BATCH_BYTES_MAX: usize = 32 * 1024 * 1024;

/// How long a question to a broker may take that is asked when something went wrong.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the talk about partitions stands.
#[derive(Debug)]
enum Standing {
    /// Nothing was ever ours. The offsets to begin with, once the caller gave them.
    Joining(Option<Offsets>),
    /// The group gave us these; whether the caller knows, who must seek now.
    Offered { assigned: Partitions, is_told: bool },
    /// These are ours, and read.
    Reading(Partitions),
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
    /// The group's offsets, as far as we wrote them.
    shown: Offsets,
    is_cut_off: bool,
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
        match tokio::task::spawn_blocking(move || Self::connect_blocking(config)).await {
            Ok(connected) => connected,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    fn connect_blocking(config: KafkaConfig) -> Result<Self, SourceError> {
        let client = config::consumer(&config)?;
        let refused = |error| config::refused(&error, &config.bootstrap_servers);
        let mut consumer: BaseConsumer<Context> =
            client.create_with_context(Context::default()).map_err(refused)?;
        let wake = Arc::new(Notify::new());
        let waker = Arc::clone(&wake);
        consumer.set_nonempty_callback(move || waker.notify_one());
        check_topics(&consumer, &config, config.connect_timeout)?;
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
            shown: Offsets::default(),
            is_cut_off: false,
        })
    }

    /// How many records of each assigned partition are not yet read, as far as known.
    pub fn lag(&self) -> BTreeMap<(Topic, KafkaPartition), u64> {
        let mut lags = BTreeMap::new();
        for one in &self.partitions {
            let end = queue::cached_end(&self.consumer, one.topic.as_str(), one.number.0);
            if let (Some(end), Some(next)) = (end, one.next) {
                let lag = u64::try_from(end.0 - next.0).unwrap_or(0);
                lags.insert((one.topic.clone(), one.number), lag);
            }
        }
        lags
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

    /// Reads `assigned` from `offsets`, and nothing else.
    fn start(&mut self, assigned: Partitions, offsets: &Offsets) -> Result<(), SourceError> {
        // The readers go first: what they hold was read from other offsets.
        self.partitions.clear();
        let mut list = TopicPartitionList::with_capacity(assigned.len());
        for (topic, partition) in &assigned {
            let next = offsets.next_of(topic, *partition);
            let place = match (next, self.config.start) {
                (Some(next), _) => Place::Offset(next.0),
                (None, StartAt::Earliest) => Place::Beginning,
                (None, StartAt::Latest) => Place::End,
            };
            list.add_partition_offset(topic.as_str(), partition.0, place)
                .expect("an offset of a record or an end of the log");
            let id = (topic.clone(), *partition);
            self.partitions.push(Partition::new(&self.consumer, id, next, &self.wake));
        }
        // When this returns, librdkafka has outdated every message fetched before.
        self.consumer.assign(&list).map_err(|error| self.fatal(&error))?;
        self.standing = Standing::Reading(assigned);
        Ok(())
    }

    /// Whether an error of the client as a whole ends the source.
    fn weigh(&mut self, error: &KafkaError) -> Result<(), SourceError> {
        let code = error.rdkafka_error_code();
        if matches!(error, KafkaError::MessageConsumptionFatal(_)) || code.is_some_and(is_refusal) {
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
        let mut batch = RawBatch::default();
        let has_room =
            move |batch: &RawBatch| batch.len() < records_max && batch.bytes() < BATCH_BYTES_MAX;
        self.lanes.clear();
        self.lanes.extend(self.partitions.iter_mut().map(Partition::refill));
        while has_room(&batch) {
            match align::next(&self.lanes, self.config.skew_max) {
                Next::Take { lane, until } => {
                    self.lanes[lane] = self.partitions[lane].take(until, &mut batch, has_room);
                }
                Next::Wait => {
                    if !self.look_again() {
                        break;
                    }
                }
            }
        }
        batch
    }

    /// Looks at the partitions that have nothing. Returns whether one of them has changed.
    fn look_again(&mut self) -> bool {
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
            let before = std::mem::replace(lane, one.refill());
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
        if is_about_offset(code) {
            self.compare_with_ends(at).await?;
            // The offset is there again, e.g. after a change of leader: go on from where we are.
            return self.go_on();
        }
        if is_refusal(code) {
            return Err(self.fatal(&KafkaError::MessageConsumption(code)));
        }
        if is_unknown_topic(code) {
            let (consumer, config) = (Arc::clone(&self.consumer), self.config.clone());
            blocking(move || check_topics(&consumer, &config, QUESTION_TIMEOUT)).await?;
        }
        // librdkafka tries again.
        self.partitions[at].forgive();
        Ok(())
    }

    /// Asks the broker for the ends of a partition whose offset it does not have.
    async fn compare_with_ends(&self, at: usize) -> Result<(), SourceError> {
        let one = &self.partitions[at];
        let (topic, partition, next) = (one.topic.clone(), one.number, one.next);
        let (consumer, name) = (Arc::clone(&self.consumer), topic.clone());
        let ends = blocking(move || {
            consumer.fetch_watermarks(name.as_str(), partition.0, QUESTION_TIMEOUT)
        });
        let (low, high) = ends.await.map_err(|error| SourceError::Unreachable {
            servers: self.config.bootstrap_servers.clone(),
            waited: QUESTION_TIMEOUT,
            last_error: Some(error.to_string()),
        })?;
        let wanted = next.unwrap_or(Offset(low));
        if wanted.0 < low {
            return Err(SourceError::OffsetGap { topic, partition, wanted, oldest: Offset(low) });
        }
        if high < wanted.0 {
            return Err(SourceError::Recreated { topic, partition, wanted, end: Offset(high) });
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
            Standing::Joining(_) | Standing::Offered { .. } | Standing::Between => Ok(()),
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Whether the broker will say no again.
fn is_refusal(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::GroupAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
    )
}

fn is_about_offset(code: RDKafkaErrorCode) -> bool {
    matches!(code, RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange)
}

fn is_unknown_topic(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownPartition
    )
}

/// Asks a broker for every topic.
fn check_topics(
    consumer: &BaseConsumer<Context>,
    config: &KafkaConfig,
    timeout: Duration,
) -> Result<(), SourceError> {
    for topic in &config.topics {
        let unknown = || SourceError::UnknownTopic {
            topic: topic.clone(),
            servers: config.bootstrap_servers.clone(),
        };
        let answer = consumer.fetch_metadata(Some(topic.as_str()), timeout).map_err(|error| {
            let told =
                std::iter::from_fn(|| consumer.poll(Duration::ZERO)).filter_map(Result::err).last();
            let last_error = consumer.context().last_error();
            SourceError::Unreachable {
                servers: config.bootstrap_servers.clone(),
                waited: timeout,
                last_error: last_error.or(Some(told.unwrap_or(error).to_string())),
            }
        })?;
        let found = answer.topics().iter().find(|found| found.name() == topic.as_str());
        let Some(found) = found else { return Err(unknown()) };
        if let Some(error) = found.error() {
            let code = RDKafkaErrorCode::from(error);
            if is_unknown_topic(code) {
                return Err(unknown());
            }
            let reason = format!("topic `{topic}`: {code}");
            return Err(SourceError::Fatal { servers: config.bootstrap_servers.clone(), reason });
        }
        if found.partitions().is_empty() {
            return Err(unknown());
        }
    }
    Ok(())
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
            let mut partitions = self.partitions.iter().enumerate();
            let failed = partitions.find_map(|(at, one)| Some((at, one.failure()?)));
            if let Some((at, code)) = failed {
                self.diagnose(at, code).await?;
                continue;
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
            Standing::Offered { assigned, .. } | Standing::Reading(assigned) => {
                self.start(assigned.clone(), offsets)
            }
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
