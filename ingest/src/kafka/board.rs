//! [`NoticeBoard`]: a topic of few records that are read whole, such as the heads of a lake.
//!
//! Invariant: reading needs no consumer group and moves no offset, and ends at the ends that the
//! partitions had when it began. Both wait for [`PATIENCE`] at most while nothing comes, on a thread that
//! may block.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::Offset as Place;
use schemas::{KafkaPartition, Timestamp, Topic};

use super::config;
use super::context::Context;
use super::producer::{ProduceError, Producer};
use super::question;

/// How long the broker may say nothing.
const PATIENCE: Duration = Duration::from_secs(15);

/// A topic of few records.
#[derive(Clone)]
pub struct NoticeBoard {
    servers: String,
    topic: Topic,
    properties: BTreeMap<String, String>,
}

/// Properties are left out: any may hold a password.
impl fmt::Debug for NoticeBoard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NoticeBoard")
            .field("servers", &self.servers)
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

/// Why a text is no address of a notice board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("wanted kafka://HOST:PORT[,HOST:PORT]/TOPIC")]
pub struct InvalidBoard;

impl NoticeBoard {
    /// How its address begins.
    pub const SCHEME: &str = "kafka://";

    /// The topic at `kafka://HOST:PORT,HOST:PORT/TOPIC`. `properties` are librdkafka's, e.g. for TLS and
    /// SASL. Nobody is asked yet.
    ///
    /// # Errors
    ///
    /// [`InvalidBoard`].
    pub fn parse(url: &str, properties: BTreeMap<String, String>) -> Result<Self, InvalidBoard> {
        let rest = url.strip_prefix(Self::SCHEME).ok_or(InvalidBoard)?;
        let (servers, topic) = rest.split_once('/').ok_or(InvalidBoard)?;
        let is_server = |one: &str| {
            one.rsplit_once(':').is_some_and(|(host, port)| {
                !host.is_empty() && !host.contains('@') && port.parse::<u16>().is_ok()
            })
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if !servers.split(',').all(is_server) || topic.is_empty() || !topic.chars().all(is_name) {
            return Err(InvalidBoard);
        }
        Ok(Self { servers: servers.to_owned(), topic: Topic::new(topic), properties })
    }

    /// Appends a record, and returns once the topic has it.
    ///
    /// # Errors
    ///
    /// [`ProduceError`]; the record may be in the topic all the same after [`ProduceError::Lost`].
    pub async fn append(&self, time: Timestamp, record: Vec<u8>) -> Result<(), ProduceError> {
        let board = self.clone();
        question::blocking(move || board.append_now(time, &record)).await
    }

    /// All records of the topic, each partition's in their order. One without a value is left out.
    ///
    /// # Errors
    ///
    /// [`ProduceError::Unreachable`] or [`ProduceError::Refused`].
    pub async fn read(&self) -> Result<Vec<Vec<u8>>, ProduceError> {
        let board = self.clone();
        question::blocking(move || board.read_now()).await
    }

    fn append_now(&self, time: Timestamp, record: &[u8]) -> Result<(), ProduceError> {
        let mut producer = Producer::connect(&self.servers, &self.properties)?;
        // Asks first, so that a missing topic is told as such.
        producer.partitions(&self.topic)?;
        producer.send(&self.topic, KafkaPartition(0), time, record)?;
        producer.flush()
    }

    fn read_now(&self) -> Result<Vec<Vec<u8>>, ProduceError> {
        let consumer = self.consumer()?;
        let partitions =
            Producer::connect(&self.servers, &self.properties)?.partitions(&self.topic)?;
        let mut list = TopicPartitionList::new();
        let mut left = BTreeMap::new();
        for partition in 0..partitions {
            let ends = consumer.fetch_watermarks(self.topic.as_str(), partition, PATIENCE);
            let (low, high) = ends.map_err(|_| self.unreachable())?;
            if low < high {
                left.insert(partition, high);
                list.add_partition_offset(self.topic.as_str(), partition, Place::Offset(low))
                    .expect("an offset of the topic");
            }
        }
        consumer.assign(&list).map_err(|error| self.refused(error.to_string()))?;
        let (mut records, mut heard) = (Vec::new(), Instant::now());
        while !left.is_empty() {
            if PATIENCE < heard.elapsed() {
                return Err(self.unreachable());
            }
            match consumer.poll(Duration::from_millis(200)) {
                Some(Ok(message)) => {
                    heard = Instant::now();
                    let (partition, next) = (message.partition(), message.offset() + 1);
                    if left.get(&partition).is_some_and(|high| message.offset() < *high) {
                        records.extend(message.payload().map(<[u8]>::to_vec));
                    }
                    left.retain(|one, high| *one != partition || next < *high);
                }
                // What stands before the end may be a transaction's mark, which is no record.
                Some(Err(rdkafka::error::KafkaError::PartitionEOF(partition))) => {
                    left.remove(&partition);
                }
                // librdkafka tries again.
                Some(Err(error)) => tracing::debug!(%error, "librdkafka"),
                None => {}
            }
        }
        Ok(records)
    }

    fn consumer(&self) -> Result<BaseConsumer<Context>, ProduceError> {
        let mut client = config::client(&self.servers, &self.properties);
        // librdkafka assigns nothing without a group; nobody joins it.
        client
            .set("group.id", "surety-notices")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "error");
        client
            .create_with_context(Context::default())
            .map_err(|error| self.refused(config::refused(&error, &self.servers).to_string()))
    }

    fn unreachable(&self) -> ProduceError {
        ProduceError::Unreachable { servers: self.servers.clone(), waited: PATIENCE }
    }

    fn refused(&self, reason: String) -> ProduceError {
        ProduceError::Refused { servers: self.servers.clone(), reason }
    }
}

impl fmt::Display for NoticeBoard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}/{}", Self::SCHEME, self.servers, self.topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EmbeddedBroker;

    #[test]
    fn an_address_names_brokers_and_topic_and_nothing_else() {
        let parse = |text: &str| NoticeBoard::parse(text, BTreeMap::new());

        let board = parse("kafka://a.example.com:9092,b:9093/surety.heads").unwrap();
        assert_eq!(board.to_string(), "kafka://a.example.com:9092,b:9093/surety.heads");
        for wrong in [
            "kafka://a:9092",
            "kafka://a:9092/",
            "kafka://a/heads",
            "kafka://:9092/heads",
            "kafka://user:secret@a:9092/heads",
            "kafka://a:9092,/heads",
            "kafka://a:9092/he/ads",
            "https://a:9092/heads",
        ] {
            assert_eq!(parse(wrong).map(|_| ()), Err(InvalidBoard), "{wrong}");
        }
    }

    #[tokio::test]
    async fn what_was_appended_is_read_and_a_missing_topic_is_told() {
        let broker = EmbeddedBroker::start().unwrap();
        let topic = Topic::new("heads");
        broker.create_topic(&topic, 2).unwrap();
        let address = format!("kafka://{}/heads", broker.bootstrap_servers());
        let board = NoticeBoard::parse(&address, BTreeMap::new()).unwrap();

        assert_eq!(board.read().await.unwrap(), Vec::<Vec<u8>>::new());
        for head in ["one", "two"] {
            board.append(Timestamp::EPOCH, head.into()).await.unwrap();
        }
        assert_eq!(board.read().await.unwrap(), [b"one", b"two"]);
        assert_eq!(board.read().await.unwrap().len(), 2, "reading takes nothing");
        let absent = NoticeBoard::parse(&address.replace("heads", "absent"), BTreeMap::new());
        let error = absent.unwrap().append(Timestamp::EPOCH, b"one".to_vec()).await.unwrap_err();
        assert!(error.to_string().contains("no topic `absent`"), "{error}");
    }
}
