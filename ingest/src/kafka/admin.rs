//! Topics of a real broker: made, removed, counted, filled in a transaction.
//!
//! Invariant: every call ends within [`PATIENCE`], and may block as long; none needs a runtime, so each
//! can be called from anywhere.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::topic_partition_list::Offset as Place;
use schemas::{KafkaPartition, Offset, Topic};

use super::config;
use crate::SourceError;

const PATIENCE: Duration = Duration::from_secs(15);

/// Makes a topic with one replica. One that is there is left as it is.
///
/// # Errors
///
/// [`SourceError::Unreachable`] or [`SourceError::Fatal`]. The embedded broker does not answer: it has
/// [`EmbeddedBroker::create_topic`](crate::EmbeddedBroker::create_topic).
pub fn create_topic(servers: &str, topic: &Topic, partitions: i32) -> Result<(), SourceError> {
    let admin = admin(servers)?;
    let wanted = NewTopic::new(topic.as_str(), partitions, TopicReplication::Fixed(1));
    let done = block_on(admin.create_topics([&wanted], &options()));
    of_topics(done, servers, RDKafkaErrorCode::TopicAlreadyExists)
}

/// Removes a topic. One that is not there is no error.
///
/// # Errors
///
/// [`SourceError::Unreachable`] or [`SourceError::Fatal`].
pub fn delete_topic(servers: &str, topic: &Topic) -> Result<(), SourceError> {
    let admin = admin(servers)?;
    let done = block_on(admin.delete_topics(&[topic.as_str()], &options()));
    of_topics(done, servers, RDKafkaErrorCode::UnknownTopicOrPartition)
}

/// Deletes the records of a partition below `offset`, as retention does.
///
/// # Errors
///
/// [`SourceError::Unreachable`].
pub fn delete_before(
    servers: &str,
    topic: &Topic,
    partition: KafkaPartition,
    offset: Offset,
) -> Result<(), SourceError> {
    let admin = admin(servers)?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic.as_str(), partition.0, Place::Offset(offset.0))
        .map_err(|error| unreachable(servers, &error))?;
    let done = block_on(admin.delete_records(&list, &options()));
    let done = done.map_err(|error| unreachable(servers, &error))?;
    for one in done.elements() {
        one.error().map_err(|error| unreachable(servers, &error))?;
    }
    Ok(())
}

/// How many offsets of all partitions a topic holds: its records, and markers of transactions.
///
/// # Errors
///
/// [`SourceError::Unreachable`].
pub fn record_count(servers: &str, topic: &Topic) -> Result<u64, SourceError> {
    let consumer = consumer(servers, "surety-count")?;
    let mut count = 0;
    for partition in partitions(&consumer, servers, topic)? {
        let ends = consumer.fetch_watermarks(topic.as_str(), partition, PATIENCE);
        let (low, high) = ends.map_err(|error| unreachable(servers, &error))?;
        count += u64::try_from(high - low).unwrap_or(0);
    }
    Ok(count)
}

/// Writes `next` as the group's offset of every partition, as another program or a person might.
///
/// # Errors
///
/// [`SourceError::Unreachable`].
pub fn commit_group_offset(
    servers: &str,
    group: &str,
    topic: &Topic,
    next: i64,
) -> Result<(), SourceError> {
    let consumer = consumer(servers, group)?;
    let mut list = TopicPartitionList::new();
    for partition in partitions(&consumer, servers, topic)? {
        list.add_partition_offset(topic.as_str(), partition, Place::Offset(next))
            .map_err(|error| unreachable(servers, &error))?;
    }
    consumer.commit(&list, CommitMode::Sync).map_err(|error| unreachable(servers, &error))
}

/// Sends records of one partition in a transaction of its own, which is committed or aborted, as other
/// people's producers do.
///
/// # Errors
///
/// [`SourceError::Unreachable`] or [`SourceError::Fatal`].
pub fn send_in_transaction(
    servers: &str,
    topic: &Topic,
    partition: KafkaPartition,
    payloads: &[&[u8]],
    is_committed: bool,
) -> Result<(), SourceError> {
    let mut client = config::client(servers, &BTreeMap::new());
    client.set("transactional.id", format!("{topic}-{}", partition.0));
    let producer: BaseProducer =
        client.create().map_err(|error| config::refused(&error, servers))?;
    let failed = |error: KafkaError| unreachable(servers, &error);
    producer.init_transactions(PATIENCE).map_err(failed)?;
    producer.begin_transaction().map_err(failed)?;
    for payload in payloads {
        let record: BaseRecord<'_, [u8], [u8]> =
            BaseRecord::to(topic.as_str()).partition(partition.0).payload(payload);
        producer.send(record).map_err(|(error, _)| failed(error))?;
    }
    producer.flush(PATIENCE).map_err(failed)?;
    let ended = if is_committed {
        producer.commit_transaction(PATIENCE)
    } else {
        producer.abort_transaction(PATIENCE)
    };
    ended.map_err(failed)
}

fn admin(servers: &str) -> Result<AdminClient<DefaultClientContext>, SourceError> {
    let client = config::client(servers, &BTreeMap::new());
    client.create().map_err(|error| config::refused(&error, servers))
}

fn consumer(servers: &str, group: &str) -> Result<BaseConsumer, SourceError> {
    let mut client = config::client(servers, &BTreeMap::new());
    client.set("group.id", group).set("enable.auto.commit", "false");
    client.create().map_err(|error| config::refused(&error, servers))
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE))
}

fn partitions(
    consumer: &BaseConsumer,
    servers: &str,
    topic: &Topic,
) -> Result<Vec<i32>, SourceError> {
    let answer = consumer.fetch_metadata(Some(topic.as_str()), PATIENCE);
    let answer = answer.map_err(|error| unreachable(servers, &error))?;
    let found = answer.topics().iter().find(|found| found.name() == topic.as_str());
    match found {
        Some(found) if found.error().is_none() => {
            Ok(found.partitions().iter().map(rdkafka::metadata::MetadataPartition::id).collect())
        }
        Some(_) | None => {
            Err(SourceError::UnknownTopic { topic: topic.clone(), servers: servers.to_owned() })
        }
    }
}

/// Runs one request on a thread of its own: the caller may be inside a runtime.
fn block_on<T: Send>(request: impl Future<Output = T> + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            runtime.expect("a runtime without IO needs nothing of the system").block_on(request)
        });
        match thread.join() {
            Ok(answer) => answer,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

type TopicResults = Vec<Result<String, (String, RDKafkaErrorCode)>>;

fn of_topics(
    done: Result<TopicResults, KafkaError>,
    servers: &str,
    fine: RDKafkaErrorCode,
) -> Result<(), SourceError> {
    for one in done.map_err(|error| unreachable(servers, &error))? {
        match one {
            Ok(_) => {}
            Err((_, code)) if code == fine => {}
            Err((topic, code)) => {
                let reason = format!("topic `{topic}`: {code}");
                return Err(SourceError::Fatal { servers: servers.to_owned(), reason });
            }
        }
    }
    Ok(())
}

fn unreachable(servers: &str, error: &KafkaError) -> SourceError {
    SourceError::Unreachable {
        servers: servers.to_owned(),
        waited: PATIENCE,
        last_error: Some(error.to_string()),
    }
}
