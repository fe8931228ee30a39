//! [`Producer`]: records into Kafka, many at a time.
//!
//! Invariant: memory is bounded (a full queue makes `send` wait), and after [`Producer::flush`] every
//! record sent was acknowledged, or an error tells how many were not.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use schemas::{KafkaPartition, Timestamp, Topic};

use super::config;

/// How long a full queue, a flush or a question may take before the broker counts as gone.
const PATIENCE: Duration = Duration::from_secs(30);
/// Acknowledgements are taken in after so many records.
const RECORDS_PER_SERVE: u64 = 1_000;

/// Large batches, compressed: a producer here fills topics, it does not hurry single records.
const DEFAULTS: &[(&str, &str)] = &[
    ("batch.num.messages", "20000"),
    ("batch.size", "1000000"),
    ("client.id", "surety"),
    ("compression.codec", "lz4"),
    ("linger.ms", "5"),
    ("message.timeout.ms", "30000"),
    ("queue.buffering.max.kbytes", "131072"),
    ("queue.buffering.max.messages", "200000"),
];

/// Why records did not reach Kafka.
#[derive(Debug, thiserror::Error)]
pub enum ProduceError {
    /// No broker answered in time: wait, or check the address.
    #[error("no Kafka broker at {servers} took records within {waited:?}")]
    Unreachable { servers: String, waited: Duration },

    /// The broker or the configuration refuses: correct it.
    #[error("cannot produce to Kafka at {servers}: {reason}")]
    Refused { servers: String, reason: String },

    /// Some records were not acknowledged: they may or may not be in the topic.
    #[error("{failed} records were not acknowledged by Kafka at {servers}: {reason}")]
    Lost { servers: String, failed: u64, reason: String },
}

/// Counts acknowledgements.
#[derive(Debug, Default)]
struct Deliveries {
    acknowledged: AtomicU64,
    reason: Mutex<Option<String>>,
}

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        tracing::debug!(?level, facility, text, "librdkafka");
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => {
                self.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            Err((error, _)) => {
                *self.reason.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some(error.to_string());
            }
        }
    }
}

/// Sends records. One value may send from one thread at a time.
pub struct Producer {
    client: BaseProducer<Deliveries>,
    servers: String,
    sent: u64,
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("servers", &self.servers)
            .field("sent", &self.sent)
            .finish_non_exhaustive()
    }
}

impl Producer {
    /// A producer for the brokers at `servers`. `properties` are librdkafka's, e.g. for TLS and SASL
    /// or `enable.idempotence`. Nothing is sent yet, so a wrong address shows later.
    ///
    /// # Errors
    ///
    /// [`ProduceError::Refused`] for a property that librdkafka does not take.
    pub fn connect(
        servers: &str,
        properties: &BTreeMap<String, String>,
    ) -> Result<Self, ProduceError> {
        let mut client = config::client(servers, &BTreeMap::new());
        for (property, value) in DEFAULTS {
            client.set(*property, *value);
        }
        for (property, value) in properties {
            client.set(property, value);
        }
        let client = client.create_with_context(Deliveries::default()).map_err(|error| {
            // The text of `refused` holds no value of a property.
            let reason = config::refused(&error, servers).to_string();
            ProduceError::Refused { servers: servers.to_owned(), reason }
        })?;
        Ok(Self { client, servers: servers.to_owned(), sent: 0 })
    }

    /// How many partitions the topic has.
    ///
    /// # Errors
    ///
    /// [`ProduceError`] if no broker answers, or the topic is not there.
    pub fn partitions(&self, topic: &Topic) -> Result<i32, ProduceError> {
        // All topics are asked for: asking for one by name may make it.
        let answer = self.client.client().fetch_metadata(None, PATIENCE);
        let answer = answer.map_err(|_| self.unreachable())?;
        let found = answer.topics().iter().find(|found| found.name() == topic.as_str());
        match found {
            Some(found) if found.error().is_none() && !found.partitions().is_empty() => {
                Ok(i32::try_from(found.partitions().len())
                    .expect("a topic has fewer than 2^31 partitions"))
            }
            Some(_) | None => Err(self.refused(format!("there is no topic `{topic}`"))),
        }
    }

    /// Queues a record; waits while the queue is full.
    ///
    /// # Errors
    ///
    /// [`ProduceError::Unreachable`] if the queue stays full, [`ProduceError::Refused`] if the record
    /// cannot be sent at all.
    pub fn send(
        &mut self,
        topic: &Topic,
        partition: KafkaPartition,
        time: Timestamp,
        payload: &[u8],
    ) -> Result<(), ProduceError> {
        let mut record: BaseRecord<'_, (), [u8]> = BaseRecord::to(topic.as_str())
            .partition(partition.0)
            .timestamp(time.as_millis())
            .payload(payload);
        let began = Instant::now();
        loop {
            match self.client.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    if PATIENCE < began.elapsed() {
                        return Err(self.unreachable());
                    }
                    record = back;
                    self.client.poll(Duration::from_millis(10));
                }
                Err((error, _)) => return Err(self.refused(error.to_string())),
            }
        }
        self.sent += 1;
        if self.sent.is_multiple_of(RECORDS_PER_SERVE) {
            self.client.poll(Duration::ZERO);
        }
        Ok(())
    }

    /// Waits until every record sent is acknowledged.
    ///
    /// # Errors
    ///
    /// [`ProduceError::Lost`] if some were not.
    pub fn flush(&mut self) -> Result<(), ProduceError> {
        let deadline = Instant::now() + PATIENCE;
        while 0 < self.client.in_flight_count() && Instant::now() < deadline {
            // The error tells that time is up, which the loop sees.
            match self.client.flush(Duration::from_millis(500)) {
                Ok(()) | Err(_) => {}
            }
        }
        self.client.poll(Duration::ZERO);
        let deliveries = self.client.context();
        let failed = self.sent - deliveries.acknowledged.load(Ordering::Relaxed);
        if failed == 0 {
            return Ok(());
        }
        let reason = deliveries.reason.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let reason = reason.unwrap_or_else(|| "no answer in time".to_owned());
        Err(ProduceError::Lost { servers: self.servers.clone(), failed, reason })
    }

    fn unreachable(&self) -> ProduceError {
        ProduceError::Unreachable { servers: self.servers.clone(), waited: PATIENCE }
    }

    fn refused(&self, reason: String) -> ProduceError {
        ProduceError::Refused { servers: self.servers.clone(), reason }
    }
}
