//! [`EmbeddedBroker`]: librdkafka's own broker, in this process, for the demo, tests and benches.
//!
//! Invariant: it lives as long as the value, on a loopback port of its own. It keeps at most 5 MiB or
//! 100,000 batches of a partition and then drops the oldest; it keeps nothing when it ends.

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::producer::{BaseProducer, Producer as _};
use schemas::Topic;

use super::{config, queue};
use crate::SourceError;

/// A Kafka broker inside this process.
pub struct EmbeddedBroker {
    /// librdkafka ties a broker to a client; this one produces nothing.
    host: BaseProducer,
}

impl fmt::Debug for EmbeddedBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EmbeddedBroker").field(&self.bootstrap_servers()).finish()
    }
}

impl EmbeddedBroker {
    /// # Errors
    ///
    /// [`SourceError::Fatal`] if no loopback port can be had.
    pub fn start() -> Result<Self, SourceError> {
        let mut client = config::client("", &BTreeMap::new());
        client.set("test.mock.num.brokers", "1");
        let host: BaseProducer =
            client.create().map_err(|error| config::refused(&error, "the embedded broker"))?;
        queue::begin_groups_at_once(&host);
        Ok(Self { host })
    }

    /// Where clients connect.
    pub fn bootstrap_servers(&self) -> String {
        let cluster = self.host.client().mock_cluster();
        cluster.expect("the client was made with an embedded broker").bootstrap_servers()
    }

    /// # Errors
    ///
    /// [`SourceError::Fatal`] if the topic exists.
    pub fn create_topic(&self, topic: &Topic, partitions: i32) -> Result<(), SourceError> {
        let cluster = self.host.client().mock_cluster();
        let cluster = cluster.expect("the client was made with an embedded broker");
        cluster
            .create_topic(topic.as_str(), partitions, 1)
            .map_err(|error| config::refused(&error, "the embedded broker"))
    }

    /// Answers the next requests of a kind with these errors.
    #[cfg(test)]
    pub(crate) fn refuse(
        &self,
        requests: rdkafka::types::RDKafkaApiKey,
        errors: &[rdkafka::types::RDKafkaRespErr],
    ) {
        let cluster = self.host.client().mock_cluster();
        let cluster = cluster.expect("the client was made with an embedded broker");
        cluster.request_errors(requests, errors);
    }

    /// Takes the broker off the network, or puts it back.
    #[cfg(test)]
    pub(crate) fn set_reachable(&self, is_reachable: bool) -> Result<(), SourceError> {
        let cluster = self.host.client().mock_cluster();
        let cluster = cluster.expect("the client was made with an embedded broker");
        let done = if is_reachable { cluster.broker_up(1) } else { cluster.broker_down(1) };
        done.map_err(|error| config::refused(&error, "the embedded broker"))
    }
}
