//! The broker of a test: a real Apache Kafka, or librdkafka's embedded one where there is no Java.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::BaseProducer;
use schemas::Topic;

use crate::broker::{Broker, NoBroker};
use crate::process::not_run;

static TOPICS: AtomicU32 = AtomicU32::new(0);

/// A broker for one test.
#[derive(Debug)]
pub(crate) enum Kafka {
    Real(Arc<Broker>),
    /// One that a test may kill.
    Own(Broker),
    Embedded(ingest::EmbeddedBroker),
}

impl Kafka {
    /// The real one where it can be had; a broker that is there and does not work fails the test.
    pub(crate) fn start() -> Self {
        match Broker::shared() {
            Ok(broker) => Self::Real(broker),
            Err(missing @ (NoBroker::Missing { .. } | NoBroker::Unfetched { .. })) => {
                not_run(&format!("a real Kafka broker, the embedded one stands in: {missing}"));
                Self::Embedded(ingest::EmbeddedBroker::start().unwrap())
            }
            Err(broken) => panic!("{broken}"),
        }
    }

    /// The broker if it is a real one; says which test was not run otherwise.
    pub(crate) fn real(self, test: &str) -> Option<Self> {
        match self {
            Self::Real(_) | Self::Own(_) => Some(self),
            Self::Embedded(_) => {
                not_run(&format!("{test}, for want of a real Kafka broker"));
                None
            }
        }
    }

    /// A producer as other people have it, which sends keys and headers too; it takes as much as is sent at once.
    pub(crate) fn producer(&self) -> BaseProducer {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", self.bootstrap()).set("queue.buffering.max.messages", "0");
        client.create().unwrap()
    }

    pub(crate) fn bootstrap(&self) -> String {
        match self {
            Self::Real(broker) => broker.bootstrap(),
            Self::Own(broker) => broker.bootstrap(),
            Self::Embedded(broker) => broker.bootstrap_servers(),
        }
    }

    /// Makes a topic with a name that no other test has.
    pub(crate) fn topic(&self, stem: &str, partitions: i32) -> String {
        let number = TOPICS.fetch_add(1, Ordering::Relaxed);
        let name = format!("{stem}-{}-{number}", std::process::id());
        let topic = Topic::new(&name);
        match self {
            Self::Real(_) | Self::Own(_) => {
                ingest::create_topic(&self.bootstrap(), &topic, partitions).unwrap();
            }
            Self::Embedded(broker) => broker.create_topic(&topic, partitions).unwrap(),
        }
        name
    }

    /// As a power cut would do it, on the same data and port, with `meanwhile` before the start.
    pub(crate) fn killed_and_started_again(self, meanwhile: impl FnOnce()) -> Self {
        let Self::Own(mut broker) = self else { panic!("only a test's own broker is killed") };
        broker.kill();
        meanwhile();
        broker.start_again().unwrap();
        Self::Own(broker)
    }

    /// How many records a topic holds.
    pub(crate) fn records(&self, topic: &str) -> u64 {
        ingest::record_count(&self.bootstrap(), &Topic::new(topic)).unwrap()
    }
}

/// A port of the loopback interface on which nothing listens.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The value of a metric at `address`; 0 while nobody answers there.
pub(crate) fn metric(address: &str, name: &str) -> u64 {
    let page = get(address, "/metrics").unwrap_or_default();
    let values = page
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.rsplit(' ').next()?.parse::<f64>().ok());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    let sum = values.sum::<f64>() as u64;
    sum
}

/// The answer to `GET path`, headers included.
pub(crate) fn get(address: &str, path: &str) -> std::io::Result<String> {
    ask(address, &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"))
}

/// The answer to a JSON body, head and body in one text.
pub(crate) fn post(address: &str, path: &str, json: &str) -> std::io::Result<String> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        json.len()
    );
    ask(address, &(head + json))
}

fn ask(address: &str, request: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
