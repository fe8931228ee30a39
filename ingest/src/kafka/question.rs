//! Questions to a broker, and what its answers mean.
//!
//! Invariant: a question ends within the time it is given. It blocks, so whoever must not block asks
//! through [`blocking`].

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use schemas::{KafkaPartition, Offset, Topic};

use super::config::{self, KafkaConfig};
use super::context::Context;
use crate::SourceError;

/// How long a question may take that is asked while reading.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

/// The oldest offset and the end of a partition.
pub(super) async fn ends(
    consumer: &Arc<BaseConsumer<Context>>,
    topic: &Topic,
    partition: KafkaPartition,
) -> Result<(Offset, Offset), KafkaError> {
    let (consumer, topic) = (Arc::clone(consumer), topic.clone());
    let ask = move || consumer.fetch_watermarks(topic.as_str(), partition.0, TIMEOUT);
    let (low, high) = blocking(ask).await?;
    Ok((Offset(low), Offset(high)))
}

/// The oldest offset that Kafka still has of a partition, and its end. Joins no group.
///
/// # Errors
///
/// As [`KafkaSource::connect`](crate::KafkaSource::connect); [`SourceError::Unreachable`] too for a
/// partition that is not there.
pub async fn ends_of(
    config: KafkaConfig,
    topic: Topic,
    partition: KafkaPartition,
) -> Result<(Offset, Offset), SourceError> {
    let ask = move || {
        let client = config::consumer(&config)?;
        let refused = |error| config::refused(&error, &config.bootstrap_servers);
        let consumer: BaseConsumer<Context> =
            client.create_with_context(Context::default()).map_err(refused)?;
        check_topics(&consumer, &config, config.connect_timeout)?;
        let ends = consumer.fetch_watermarks(topic.as_str(), partition.0, TIMEOUT);
        let (low, high) = ends.map_err(|error| SourceError::Unreachable {
            servers: config.bootstrap_servers.clone(),
            waited: TIMEOUT,
            last_error: Some(error.to_string()),
        })?;
        Ok((Offset(low), Offset(high)))
    };
    blocking(ask).await
}

pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Whether the broker will say no again.
pub(super) fn is_refusal(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::GroupAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
    )
}

pub(super) fn is_about_offset(code: RDKafkaErrorCode) -> bool {
    matches!(code, RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange)
}

pub(super) fn is_unknown_topic(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownPartition
    )
}

/// Asks a broker for every topic.
pub(super) fn check_topics(
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
