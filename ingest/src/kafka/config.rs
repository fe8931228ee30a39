//! [`KafkaConfig`]: how to reach Kafka and what to read, as librdkafka is told.
//!
//! Invariant: the properties that exactly-once rests on cannot be overridden, and no property's value
//! is ever printed, since any may hold a password.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;
use schemas::{Timestamp, Topic};

use crate::SourceError;

/// Where a partition is begun that the lake does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    Earliest,
    Latest,
}

/// What to read, and from where.
#[derive(Clone)]
pub struct KafkaConfig {
    pub bootstrap_servers: String,
    /// The consumer group. It spreads partitions over workers and decides nothing else.
    pub group: String,
    /// The member's name in the group, which a process keeps over restarts: it is then given the
    /// partitions of its predecessor at once (KIP-345). Without one it is a new member each time.
    pub member: Option<String>,
    pub topics: Vec<Topic>,
    pub start: StartAt,
    /// Those of `topics` that are read from their first record whatever `start` says.
    pub topics_from_earliest: Vec<Topic>,
    /// Those of `topics` that hold `CloudEvents`: a record in binary mode, whose headers have the event's
    /// attributes, is given as the same event in structured mode.
    pub topics_of_events: Vec<Topic>,
    /// Properties of librdkafka, e.g. for TLS and SASL.
    pub properties: BTreeMap<String, String>,
    /// Whether the broker is [`EmbeddedBroker`](crate::EmbeddedBroker), which knows no transactions
    /// and does not wake a fetch that waits.
    pub is_embedded: bool,
    /// How long to try before no broker counts as reachable.
    pub connect_timeout: Duration,
    /// How far apart in records' time partitions may be read while catching up.
    pub skew_max: Duration,
    /// How long a partition that sends nothing holds the others back.
    pub silence_max: Duration,
    /// The clock. Partitions are read in step by their records' times; a time that is yet to come is
    /// not believed, or its partition would be left behind by the others.
    pub now: fn() -> Timestamp,
}

impl Default for KafkaConfig {
    fn default() -> Self {
        Self {
            bootstrap_servers: "localhost:9092".to_owned(),
            group: "surety".to_owned(),
            member: None,
            topics: Vec::new(),
            start: StartAt::Earliest,
            topics_from_earliest: Vec::new(),
            topics_of_events: Vec::new(),
            properties: BTreeMap::new(),
            is_embedded: false,
            connect_timeout: Duration::from_secs(10),
            skew_max: Duration::from_mins(30),
            silence_max: Duration::from_secs(5),
            now: || Timestamp::MAX,
        }
    }
}

impl KafkaConfig {
    /// Whether librdkafka takes these settings. Asks no broker.
    ///
    /// # Errors
    ///
    /// [`SourceError::Property`].
    pub fn check(&self) -> Result<(), SourceError> {
        let native = consumer(self)?.create_native_config();
        native.map(drop).map_err(|error| refused(&error, &self.bootstrap_servers))
    }
}

impl fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaConfig")
            .field("bootstrap_servers", &self.bootstrap_servers)
            .field("group", &self.group)
            .field("topics", &self.topics)
            .field("properties", &self.properties.keys())
            .finish_non_exhaustive()
    }
}

/// What nobody may change: exactly-once rests on it, or this crate's own code does.
///
/// `range` and not `cooperative-sticky`: under an eager protocol one call replaces the whole assignment
/// together with all start offsets. The incremental protocol refuses that call, and seeking the kept
/// partitions one by one can fail half way.
const FIXED: &[(&str, &str)] = &[
    ("auto.offset.reset", "error"),
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("enable.partition.eof", "true"),
    ("group.protocol", "classic"),
    ("partition.assignment.strategy", "range"),
];

/// What a person may change.
///
/// - A partition's queue is bounded by bytes, and looked at again after 5 ms when it was full: the
///   default of 1 s would leave a quick reader idle.
/// - The partitions of a worker that ends and is not started again are free after 6 s, the least that
///   Kafka allows by default.
const DEFAULTS: &[(&str, &str)] = &[
    ("allow.auto.create.topics", "false"),
    ("client.id", "surety"),
    ("fetch.message.max.bytes", "1048576"),
    ("fetch.queue.backoff.ms", "5"),
    ("heartbeat.interval.ms", "2000"),
    ("isolation.level", "read_committed"),
    ("queued.max.messages.kbytes", "8192"),
    ("session.timeout.ms", "6000"),
    ("socket.keepalive.enable", "true"),
];

const OWN_FIELDS: &[&str] = &["bootstrap.servers", "metadata.broker.list", "group.id"];

/// The properties of a consumer.
pub(super) fn consumer(config: &KafkaConfig) -> Result<ClientConfig, SourceError> {
    let mut client = client(&config.bootstrap_servers, &BTreeMap::new());
    for (property, value) in DEFAULTS {
        client.set(*property, *value);
    }
    if config.is_embedded {
        client.set("isolation.level", "read_uncommitted").set("fetch.wait.max.ms", "10");
    }
    if let Some(member) = &config.member {
        client.set("group.instance.id", member);
    }
    for (property, value) in &config.properties {
        let is_fixed = FIXED.iter().any(|(fixed, _)| fixed == property);
        if is_fixed || OWN_FIELDS.contains(&property.as_str()) {
            let reason = "is set by Surety and cannot be changed here";
            return Err(SourceError::Property { property: property.clone(), reason });
        }
        client.set(property, value);
    }
    for (property, value) in FIXED {
        client.set(*property, *value);
    }
    client.set("group.id", &config.group);
    Ok(client)
}

/// The properties of any client.
pub(super) fn client(servers: &str, properties: &BTreeMap<String, String>) -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", servers);
    for (property, value) in properties {
        client.set(property, value);
    }
    client.set_log_level(RDKafkaLogLevel::Warning);
    client
}

/// Why a client could not be made, without the value of any property.
pub(super) fn refused(error: &KafkaError, servers: &str) -> SourceError {
    if let KafkaError::ClientConfig(kind, _, property, _) = error {
        let reason = match kind {
            RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN => {
                "is not known to librdkafka, or not in a build without the feature kafka-tls"
            }
            RDKafkaConfRes::RD_KAFKA_CONF_INVALID | RDKafkaConfRes::RD_KAFKA_CONF_OK => {
                "has a value that librdkafka does not take"
            }
        };
        return SourceError::Property { property: property.clone(), reason };
    }
    SourceError::Fatal { servers: servers.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(property: &str, value: &str) -> KafkaConfig {
        let properties = BTreeMap::from([(property.to_owned(), value.to_owned())]);
        KafkaConfig { properties, ..KafkaConfig::default() }
    }

    #[test]
    fn what_exactly_once_rests_on_cannot_be_changed() {
        for property in ["enable.auto.commit", "auto.offset.reset", "group.id", "bootstrap.servers"]
        {
            let error = consumer(&with(property, "x")).unwrap_err();
            assert!(matches!(error, SourceError::Property { .. }), "{error}");
        }
        let client = consumer(&with("session.timeout.ms", "9000")).unwrap();
        assert_eq!(client.get("session.timeout.ms"), Some("9000"));
        assert_eq!(client.get("enable.auto.commit"), Some("false"));
    }

    #[test]
    fn a_wrong_property_is_named_and_its_value_is_not() {
        for property in ["sasl.pasword", "session.timeout.ms"] {
            let config = with(property, "hunter2");
            let error = config.check().unwrap_err().to_string();
            assert!(error.contains(property) && !error.contains("hunter2"), "{error}");
            assert!(!format!("{config:?}").contains("hunter2"));
        }
    }
}
