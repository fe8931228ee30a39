//! [`Supply`]: the topic of a bench, and the records that are brought to it.
//!
//! Invariant: the same arguments give the same records, wherever they are asked for. At a rate it is the
//! schedule that starts, when the first record was read: what waits for a consumer to join its group is no load.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use ingest::{EmbeddedBroker, KafkaConfig, KafkaSource, Producer};
use schemas::{Format, KafkaPartition, NativeEvent, Timestamp, Topic};
use simulate::{cloudtrail, output};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cli::{BenchInput, BenchPipeline};
use crate::clock;
use crate::commands;
use crate::exit::{Exit, Failure};
use crate::pipeline::of_source;

/// The embedded broker keeps 5 MiB a partition; an event is about 650 bytes, and less than a third of
/// that once compressed.
const EVENTS_PER_PARTITION: u64 = 10_000;
/// How long records wait for others of their partition, in ms. The embedded broker walks along a
/// partition's batches at each fetch: with small ones it takes a fifth of all CPU time.
const LINGER_MS: &str = "500";
const REAL_PARTITIONS: i32 = 16;

/// The broker of a bench. A topic on a real one is removed with it, however the bench ends.
pub(super) enum Broker {
    Embedded(EmbeddedBroker),
    Real { servers: String, topic: Topic },
}

impl Broker {
    /// A broker with the topic, and the number of its partitions.
    fn with_topic(args: &BenchPipeline, topic: &Topic) -> Result<(Self, i32), Failure> {
        if let Some(servers) = &args.bootstrap_servers {
            ingest::create_topic(servers, topic, REAL_PARTITIONS).map_err(of_source)?;
            let real = Self::Real { servers: servers.clone(), topic: topic.clone() };
            return Ok((real, REAL_PARTITIONS));
        }
        let partitions = i32::try_from(args.events / EVENTS_PER_PARTITION + 1).unwrap_or(i32::MAX);
        let broker = EmbeddedBroker::start().map_err(of_source)?;
        broker.create_topic(topic, partitions).map_err(of_source)?;
        Ok((Self::Embedded(broker), partitions))
    }

    fn servers(&self) -> String {
        match self {
            Self::Embedded(broker) => broker.bootstrap_servers(),
            Self::Real { servers, .. } => servers.clone(),
        }
    }

    pub(super) fn is_embedded(&self) -> bool {
        matches!(self, Self::Embedded(_))
    }

    /// A consumer of the topic, in a group of its own.
    pub(super) async fn consumer(&self, topic: &Topic) -> Result<KafkaSource, Failure> {
        let source = KafkaSource::connect(KafkaConfig {
            bootstrap_servers: self.servers(),
            group: format!("surety-bench-{}", clock::now().as_micros()),
            topics: vec![topic.clone()],
            is_embedded: self.is_embedded(),
            ..KafkaConfig::default()
        });
        source.await.map_err(of_source)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Self::Real { servers, topic } = self
            && let Err(error) = ingest::delete_topic(servers, topic)
        {
            tracing::warn!(%error, %topic, "the bench's topic was not removed");
        }
    }
}

/// A topic that waits for its events, and who brings them.
pub(super) struct Supply {
    pub(super) broker: Broker,
    pub(super) topic: Topic,
    pub(super) partitions: i32,
    pub(super) producer: Producer,
}

impl Supply {
    pub(super) fn new(args: &BenchPipeline) -> Result<Self, Failure> {
        let topic = Topic::new(&format!("surety-bench-{}", clock::now().as_micros()));
        let (broker, partitions) = Broker::with_topic(args, &topic)?;
        let linger = [("linger.ms".to_owned(), LINGER_MS.to_owned())];
        // At a rate, records are not kept waiting for others.
        let properties = linger.into_iter().filter(|_| args.rate.is_none()).collect();
        let producer =
            Producer::connect(&broker.servers(), &properties).map_err(commands::of_producer)?;
        Ok(Self { broker, topic, partitions, producer })
    }

    /// Produces all events, as fast as can be, or at the wanted rate once the first was read. Returns their
    /// bytes.
    pub(super) fn produce(
        producer: &mut Producer,
        (topic, partitions): (&Topic, i32),
        args: &BenchPipeline,
        is_read: oneshot::Receiver<()>,
        shutdown: &CancellationToken,
    ) -> Result<u64, Failure> {
        let style = ProgressStyle::with_template("producing: {wide_bar} {human_pos}/{human_len}")
            .expect("a valid template");
        let bar = ProgressBar::new(args.events).with_style(style);
        let (mut bytes, mut began) = (0, Instant::now());
        let mut is_read = args.rate.is_some().then_some(is_read);
        let mut records = Records::new(args);
        for number in 0..args.events {
            let (time, json) = records.next();
            bytes += json.len() as u64;
            // In turn: keyed by agent, the busiest agent alone would fill what the broker keeps.
            let turn = i32::try_from(number % u64::from(partitions.unsigned_abs()));
            let partition = KafkaPartition(turn.expect("fewer than 2^31 partitions"));
            if let Some(rate) = args.rate {
                // By the schedule, whatever came before: a late record makes no other one late.
                let due = Duration::from_secs(number) / rate;
                let early = due.saturating_sub(began.elapsed());
                if Duration::from_millis(1) < early {
                    std::thread::sleep(early);
                }
            }
            producer.send(topic, partition, time, json).map_err(commands::of_producer)?;
            if let Some(is_read) = is_read.take() {
                // Whoever reads may have failed: then the rest is in nobody's way.
                let _failed = is_read.blocking_recv();
                began = Instant::now();
            }
            if number.is_multiple_of(10_000) {
                check_running(shutdown)?;
                bar.set_position(number);
            }
        }
        producer.flush().map_err(commands::of_producer)?;
        bar.finish_and_clear();
        Ok(bytes)
    }
}

/// The records, one after the other.
pub(super) struct Records {
    events: Box<dyn Iterator<Item = NativeEvent> + Send>,
    input: BenchInput,
    number: u64,
    json: Vec<u8>,
}

impl Records {
    pub(super) fn new(args: &BenchPipeline) -> Self {
        let events = simulate::bench_events(args.agents as usize, args.events, args.seed);
        let events: Box<dyn Iterator<Item = NativeEvent> + Send> = if args.busy_agent {
            Box::new(simulate::half_of_one_agent(events))
        } else {
            Box::new(events)
        };
        Self { events, input: args.input, number: 0, json: Vec::new() }
    }

    /// The next one's time and text. There are as many as the arguments ask for.
    pub(super) fn next(&mut self) -> (Timestamp, &[u8]) {
        let event = self.events.next().expect("no more are taken than there are");
        self.json.clear();
        match self.input {
            BenchInput::Native => output::write_json(&event, &mut self.json),
            BenchInput::CloudTrail => {
                cloudtrail::write_cloudtrail(&event, self.number, &mut self.json);
            }
        }
        self.number += 1;
        (event.time, &self.json)
    }
}

pub(super) fn format(args: &BenchPipeline) -> Format {
    match args.input {
        BenchInput::Native => Format::Native,
        BenchInput::CloudTrail => Format::CloudTrail,
    }
}

/// # Errors
///
/// [`Exit::Unavailable`] when the person does not want to wait for the end.
pub(super) fn check_running(shutdown: &CancellationToken) -> Result<(), Failure> {
    if shutdown.is_cancelled() {
        let text = "stopped before the end: nothing was measured".to_owned();
        return Err(Failure::told(Exit::Unavailable, text));
    }
    Ok(())
}
