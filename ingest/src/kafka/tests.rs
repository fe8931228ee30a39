//! The Kafka source and producer against the embedded broker.

use std::collections::{BTreeMap, BTreeSet};

use schemas::{Offset, Timestamp};
use tokio::runtime::Runtime;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);
const WAIT: Duration = Duration::from_millis(20);

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap()
}

fn broker(topic: &Topic, partitions: i32) -> EmbeddedBroker {
    let broker = EmbeddedBroker::start().unwrap();
    broker.create_topic(topic, partitions).unwrap();
    broker
}

fn config(broker: &EmbeddedBroker, topic: &Topic) -> KafkaConfig {
    KafkaConfig {
        bootstrap_servers: broker.bootstrap_servers(),
        topics: vec![topic.clone()],
        is_embedded: true,
        ..KafkaConfig::default()
    }
}

fn producer(broker: &EmbeddedBroker) -> Producer {
    Producer::connect(&broker.bootstrap_servers(), &BTreeMap::new()).unwrap()
}

fn time(seconds: u64) -> Timestamp {
    Timestamp::parse("2026-03-01T00:00:00Z").unwrap().plus(Duration::from_secs(seconds))
}

/// Sends records `numbers` to the partitions in turn; record n is n seconds after the start.
fn produce(broker: &EmbeddedBroker, topic: &Topic, partitions: i32, numbers: std::ops::Range<u64>) {
    let mut producer = producer(broker);
    for number in numbers {
        let partition = KafkaPartition(i32::try_from(number).unwrap() % partitions);
        producer.send(topic, partition, time(number), number.to_string().as_bytes()).unwrap();
    }
    producer.flush().unwrap();
}

/// What was read: place, time and payload.
type Read = Vec<(KafkaPartition, Offset, Timestamp, String)>;

fn keep(read: &mut Read, batch: &RawBatch) {
    read.extend(batch.iter().map(|record| {
        let text = String::from_utf8(record.payload.unwrap().to_vec()).unwrap();
        (record.partition, record.offset, record.record_time.unwrap(), text)
    }));
}

/// Polls until `wanted` records were read. Partitions that change hands are a failure.
async fn read(source: &mut KafkaSource, wanted: usize) -> Read {
    let mut read = Read::new();
    let deadline = Instant::now() + PATIENCE;
    while read.len() < wanted {
        assert!(Instant::now() < deadline, "only {} of {wanted} records came", read.len());
        match source.poll(1_000, WAIT).await.unwrap() {
            Poll::Records(batch) => {
                keep(&mut read, &batch);
                source.give_back(batch);
            }
            Poll::Idle => {}
            other @ (Poll::End | Poll::Reassigned { .. }) => panic!("{other:?}"),
        }
    }
    read
}

/// Polls until the source says why it cannot go on.
async fn error(source: &mut KafkaSource) -> SourceError {
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "no error came");
        if let Err(error) = source.poll(1_000, WAIT).await {
            return error;
        }
    }
}

fn at(topic: &Topic, partitions: i32, next: i64) -> Offsets {
    let mut offsets = Offsets::default();
    for partition in 0..partitions {
        offsets.raise(topic, KafkaPartition(partition), Offset(next));
    }
    offsets
}

fn assert_each_once_in_order(read: &Read, per_partition: &std::ops::Range<i64>) {
    let mut next: BTreeMap<KafkaPartition, i64> = BTreeMap::new();
    for (partition, offset, _, _) in read {
        let next = next.entry(*partition).or_insert(per_partition.start);
        assert_eq!(offset.0, *next, "{partition:?}");
        *next += 1;
    }
    assert!(next.values().all(|next| *next == per_partition.end), "{next:?}");
}

#[test]
fn every_record_is_read_once_in_order_and_again_after_seeking_back() {
    let topic = Topic::new("uses");
    let broker = broker(&topic, 8);
    produce(&broker, &topic, 8, 0..20_000);
    runtime().block_on(async {
        let mut source = KafkaSource::connect(config(&broker, &topic)).await.unwrap();
        assert!(matches!(
            source.poll(10, WAIT).await.unwrap(),
            Poll::Idle | Poll::Reassigned { .. }
        ));
        source.seek(&Offsets::default()).unwrap();

        let first = read(&mut source, 20_000).await;
        assert_each_once_in_order(&first, &(0..2_500));

        for start in [1_000, 0, 2_499, 17] {
            source.seek(&at(&topic, 8, start)).unwrap();
            let again = read(&mut source, 8 * usize::try_from(2_500 - start).unwrap()).await;
            assert_each_once_in_order(&again, &(start..2_500));
        }
        // Seeking in the middle of reading drops what was fetched ahead.
        for start in [5, 2_000, 100] {
            source.seek(&at(&topic, 8, start)).unwrap();
            let some = read(&mut source, 1).await;
            assert!(some.iter().all(|(_, offset, _, _)| start <= offset.0));
            assert_eq!(some[0].1, Offset(start));
        }
    });
}

#[test]
fn a_batch_covers_everything_from_where_reading_continued() {
    let topic = Topic::new("uses");
    let broker = broker(&topic, 2);
    produce(&broker, &topic, 2, 0..100);
    runtime().block_on(async {
        let mut source = KafkaSource::connect(config(&broker, &topic)).await.unwrap();
        source.seek(&at(&topic, 2, 10)).unwrap();
        let mut next =
            BTreeMap::from([(KafkaPartition(0), Offset(10)), (KafkaPartition(1), Offset(10))]);
        while next.values().any(|next| next.0 < 50) {
            let Poll::Records(batch) = source.poll(7, WAIT).await.unwrap() else { continue };
            assert!(batch.len() <= 7);
            for ((_, partition), range) in batch.advance() {
                assert_eq!(range.start, next[&partition]);
                next.insert(partition, range.end);
            }
        }
        assert_eq!(source.lag().iter().map(|(_, _, lag)| lag).sum::<u64>(), 0);
    });
}

#[test]
fn partitions_are_read_in_step_by_their_times() {
    let topic = Topic::new("uses");
    let broker = broker(&topic, 3);
    let mut producer = producer(&broker);
    // 10 days of records, every 10 minutes; the partitions are 0, 3 and 4 days apart and the last one
    // ends early.
    let spread = [(0, 1_440), (3, 1_440), (4, 100)];
    for (partition, (days, records)) in (0..).zip(spread) {
        for number in 0..records {
            let time = time(days * 86_400 + number * 600);
            producer.send(&topic, KafkaPartition(partition), time, b"x").unwrap();
        }
    }
    producer.flush().unwrap();
    runtime().block_on(async {
        let mut source = KafkaSource::connect(config(&broker, &topic)).await.unwrap();
        source.seek(&Offsets::default()).unwrap();

        let read = read(&mut source, 2_980).await;

        let skew_max = KafkaConfig::default().skew_max;
        let mut left: Vec<BTreeSet<Timestamp>> = vec![BTreeSet::new(); 3];
        for (partition, _, time, _) in &read {
            left[usize::try_from(partition.0).unwrap()].insert(*time);
        }
        for (partition, _, time, _) in &read {
            left[usize::try_from(partition.0).unwrap()].remove(time);
            for first in left.iter().filter_map(BTreeSet::first) {
                assert!(*time <= first.plus(skew_max), "{time} was read before {first}");
            }
        }
    });
}

#[test]
fn a_poll_that_is_dropped_loses_no_record() {
    let topic = Topic::new("uses");
    let broker = broker(&topic, 4);
    produce(&broker, &topic, 4, 0..4_000);
    runtime().block_on(async {
        let mut source = KafkaSource::connect(config(&broker, &topic)).await.unwrap();
        source.seek(&Offsets::default()).unwrap();
        let mut found = Read::new();
        let deadline = Instant::now() + PATIENCE;
        while found.len() < 4_000 {
            assert!(Instant::now() < deadline);
            let dropped =
                tokio::time::timeout(Duration::from_micros(200), source.poll(50, PATIENCE));
            if let Ok(Ok(Poll::Records(batch))) = dropped.await {
                keep(&mut found, &batch);
            }
        }
        assert_each_once_in_order(&found, &(0..1_000));
    });
}

#[test]
fn a_new_member_takes_partitions_only_after_both_have_looked_at_the_lake() {
    let topic = Topic::new("uses");
    let broker = broker(&topic, 4);
    produce(&broker, &topic, 4, 0..400);
    runtime().block_on(async {
        let mut first = KafkaSource::connect(config(&broker, &topic)).await.unwrap();
        first.seek(&Offsets::default()).unwrap();
        read(&mut first, 400).await;
        let mut second = KafkaSource::connect(config(&broker, &topic)).await.unwrap();
        second.seek(&at(&topic, 4, 100)).unwrap();

        // The lake has half of what the first one read: from there both go on.
        let lake = at(&topic, 4, 50);
        // Each time that Kafka deals anew costs about five seconds.
        let deadline = Instant::now() + 3 * PATIENCE;
        let mut told = None;
        while told.is_none() {
            assert!(Instant::now() < deadline);
            assert!(matches!(second.poll(100, WAIT).await.unwrap(), Poll::Idle));
            if let Poll::Reassigned { assigned, revoked } = first.poll(100, WAIT).await.unwrap() {
                told = Some((assigned, revoked));
            }
        }
        let (assigned, revoked) = told.unwrap();
        assert_eq!((assigned.len(), revoked.len()), (2, 4));
        assert!(matches!(first.poll(100, WAIT).await.unwrap(), Poll::Idle), "not before it seeks");
        first.seek(&lake).unwrap();
        second.seek(&lake).unwrap();

        // On a busy machine Kafka may give a member up and take it back: then all go back to the lake.
        let (mut found, mut again) = (Read::new(), false);
        let mut readers = BTreeSet::new();
        while found.len() < 200 {
            assert!(Instant::now() < deadline, "{}", found.len());
            for (name, source) in [("first", &mut first), ("second", &mut second)] {
                match source.poll(100, WAIT).await.unwrap() {
                    Poll::Records(batch) => {
                        readers.insert(name);
                        let mut news = Read::new();
                        keep(&mut news, &batch);
                        news.retain(|one| !(again && found.contains(one)));
                        found.extend(news);
                    }
                    Poll::Idle => {}
                    Poll::Reassigned { .. } => {
                        again = true;
                        source.seek(&lake).unwrap();
                    }
                    Poll::End => panic!("Kafka has no end"),
                }
            }
        }
        assert_each_once_in_order(&found, &(50..100));
        assert_eq!(readers.len(), 2);
    });
}

#[test]
fn what_the_broker_has_deleted_is_never_skipped_silently() {
    let topic = Topic::new("uses");
    let broker = broker(&topic, 1);
    let properties = BTreeMap::from([
        ("compression.codec".to_owned(), "none".to_owned()),
        ("batch.size".to_owned(), "100000".to_owned()),
    ]);
    let mut producer = Producer::connect(&broker.bootstrap_servers(), &properties).unwrap();
    // The embedded broker keeps 5 MiB.
    for number in 0..800 {
        producer.send(&topic, KafkaPartition(0), time(number), &[b'x'; 10_000]).unwrap();
    }
    producer.flush().unwrap();
    runtime().block_on(async {
        let mut source = KafkaSource::connect(config(&broker, &topic)).await.unwrap();
        source.seek(&at(&topic, 1, 3)).unwrap();
        let error = error(&mut source).await;
        let SourceError::OffsetGap { wanted, oldest, .. } = error else { panic!("{error}") };
        assert_eq!(wanted, Offset(3));
        assert!(100 < oldest.0, "{oldest:?}");
    });
}

#[test]
fn an_offset_beyond_the_end_means_another_topic_of_the_same_name() {
    let topic = Topic::new("uses");
    let broker = broker(&topic, 1);
    produce(&broker, &topic, 1, 0..10);
    runtime().block_on(async {
        let mut source = KafkaSource::connect(config(&broker, &topic)).await.unwrap();
        source.seek(&at(&topic, 1, 11)).unwrap();
        let error = error(&mut source).await;
        let SourceError::Recreated { wanted, end, .. } = error else { panic!("{error}") };
        assert_eq!((wanted, end), (Offset(11), Offset(10)));
    });
}

#[test]
fn an_unknown_topic_and_an_unreachable_broker_are_told_at_once() {
    let topic = Topic::new("uses");
    let broker = broker(&topic, 1);
    runtime().block_on(async {
        let unknown = KafkaSource::connect(config(&broker, &Topic::new("typo"))).await.unwrap_err();
        assert!(matches!(unknown, SourceError::UnknownTopic { .. }), "{unknown}");

        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let nobody = KafkaConfig {
            bootstrap_servers: format!("127.0.0.1:{port}"),
            connect_timeout: Duration::from_millis(500),
            ..config(&broker, &topic)
        };
        let began = Instant::now();
        let error = KafkaSource::connect(nobody).await.unwrap_err();
        assert!(matches!(error, SourceError::Unreachable { .. }), "{error}");
        assert!(
            error.to_string().contains(&port.to_string()) && error.to_string().contains("refused"),
            "{error}"
        );
        assert!(began.elapsed() < Duration::from_secs(5));
    });
}

#[test]
fn a_broker_that_goes_away_and_comes_back_is_waited_for() {
    let topic = Topic::new("uses");
    let broker = broker(&topic, 2);
    produce(&broker, &topic, 2, 0..100);
    runtime().block_on(async {
        let mut source = KafkaSource::connect(config(&broker, &topic)).await.unwrap();
        source.seek(&Offsets::default()).unwrap();
        let mut found = read(&mut source, 100).await;
        broker.set_reachable(false).unwrap();
        for _ in 0..20 {
            assert!(matches!(source.poll(100, WAIT).await.unwrap(), Poll::Idle));
        }
        broker.set_reachable(true).unwrap();
        produce(&broker, &topic, 2, 100..200);
        found.extend(read(&mut source, 100).await);
        assert_each_once_in_order(&found, &(0..100));
    });
}

#[test]
fn only_records_after_the_start_are_read_where_the_lake_knows_nothing_and_latest_is_wanted() {
    let topic = Topic::new("uses");
    let broker = broker(&topic, 1);
    produce(&broker, &topic, 1, 0..100);
    runtime().block_on(async {
        let latest = KafkaConfig { start: StartAt::Latest, ..config(&broker, &topic) };
        let mut source = KafkaSource::connect(latest).await.unwrap();
        source.seek(&Offsets::default()).unwrap();
        for _ in 0..25 {
            assert!(matches!(source.poll(100, WAIT).await.unwrap(), Poll::Idle));
        }
        produce(&broker, &topic, 1, 100..110);
        let found = read(&mut source, 10).await;
        assert_eq!(found[0].1, Offset(100));
    });
}

#[test]
fn a_partition_begun_at_its_end_is_read_from_there_again_if_nothing_is_in_the_lake_yet() {
    let (topic, registry) = (Topic::new("uses"), Topic::new("registry"));
    let broker = broker(&topic, 1);
    broker.create_topic(&registry, 1).unwrap();
    produce(&broker, &topic, 1, 0..100);
    produce(&broker, &registry, 1, 0..5);
    runtime().block_on(async {
        let latest = KafkaConfig {
            start: StartAt::Latest,
            topics: vec![topic.clone(), registry.clone()],
            topics_from_earliest: vec![registry.clone()],
            ..config(&broker, &topic)
        };
        let mut source = KafkaSource::connect(latest).await.unwrap();
        source.seek(&Offsets::default()).unwrap();
        let told = read(&mut source, 5).await;
        assert_eq!(
            told.last().unwrap().1,
            Offset(4),
            "the registry's topic is read from its start"
        );

        produce(&broker, &topic, 1, 100..110);
        assert_eq!(read(&mut source, 10).await[0].1, Offset(100));
        produce(&broker, &topic, 1, 110..120);
        source.seek(&at(&registry, 1, 5)).unwrap();

        let again = read(&mut source, 20).await;
        assert_eq!((again[0].1, again[19].1), (Offset(100), Offset(119)));
    });
}

#[test]
fn a_record_from_the_future_does_not_hold_its_partition_back() {
    let topic = Topic::new("uses");
    let broker = broker(&topic, 2);
    let mut producer = producer(&broker);
    for number in 0..20 {
        let claimed = if number == 5 { Timestamp::MAX } else { time(number) };
        producer.send(&topic, KafkaPartition(0), claimed, b"claims").unwrap();
        producer.send(&topic, KafkaPartition(1), time(number), b"honest").unwrap();
    }
    producer.flush().unwrap();
    runtime().block_on(async {
        let config = KafkaConfig {
            now: || time(20),
            skew_max: Duration::from_mins(30),
            ..config(&broker, &topic)
        };
        let mut source = KafkaSource::connect(config).await.unwrap();
        source.seek(&Offsets::default()).unwrap();
        let mut found = Read::new();
        let deadline = Instant::now() + PATIENCE;
        while found.iter().filter(|one| one.0 == KafkaPartition(0)).count() < 20 {
            assert!(Instant::now() < deadline, "{}", found.len());
            // The honest partition never comes to its end.
            producer.send(&topic, KafkaPartition(1), time(19), b"honest").unwrap();
            producer.flush().unwrap();
            if let Poll::Records(batch) = source.poll(1, WAIT).await.unwrap() {
                keep(&mut found, &batch);
            }
        }
        let claims = found.iter().filter(|one| one.0 == KafkaPartition(0));
        assert_eq!(
            claims.map(|one| one.2).max(),
            Timestamp::from_millis(Timestamp::MAX.as_millis()).ok()
        );
    });
}

#[test]
fn the_lag_is_what_is_not_yet_read() {
    let topic = Topic::new("uses");
    let broker = broker(&topic, 2);
    produce(&broker, &topic, 2, 0..100);
    runtime().block_on(async {
        let mut source = KafkaSource::connect(config(&broker, &topic)).await.unwrap();
        source.seek(&at(&topic, 2, 20)).unwrap();
        read(&mut source, 60).await;
        assert_eq!(
            source.lag(),
            [(topic.clone(), KafkaPartition(0), 0), (topic.clone(), KafkaPartition(1), 0)]
        );

        source.seek(&at(&topic, 2, 20)).unwrap();
        let deadline = Instant::now() + PATIENCE;
        while !matches!(source.poll(1, WAIT).await.unwrap(), Poll::Records(_)) {
            assert!(Instant::now() < deadline);
        }
        assert_eq!(source.lag().iter().map(|one| one.2).sum::<u64>(), 59);
    });
}

#[test]
fn the_groups_offsets_are_written_forward_only_and_never_read() {
    let topic = Topic::new("uses");
    let broker = broker(&topic, 1);
    produce(&broker, &topic, 1, 0..100);
    commit_group_offset(&broker.bootstrap_servers(), "surety", &topic, 77).unwrap();
    assert_eq!(record_count(&broker.bootstrap_servers(), &topic).unwrap(), 100);
    runtime().block_on(async {
        let mut source = KafkaSource::connect(config(&broker, &topic)).await.unwrap();
        source.seek(&Offsets::default()).unwrap();
        let found = read(&mut source, 100).await;
        assert_each_once_in_order(&found, &(0..100));

        source.committed(&at(&topic, 1, 90));
        source.committed(&at(&topic, 1, 40));
        assert_eq!(source.shown, at(&topic, 1, 90));
        let deadline = Instant::now() + PATIENCE;
        loop {
            let consumer = Arc::clone(&source.consumer);
            let stored = question::blocking(move || consumer.committed(PATIENCE)).await.unwrap();
            if stored.elements()[0].offset() == Place::Offset(90) {
                break;
            }
            assert!(Instant::now() < deadline, "{stored:?}");
        }
    });
}

#[test]
fn errors_of_the_groups_protocol_are_never_fatal_and_cost_no_record() {
    use rdkafka::types::RDKafkaApiKey as Request;
    use rdkafka::types::RDKafkaRespErr as Answer;

    let topic = Topic::new("uses");
    let broker = broker(&topic, 4);
    let refusals = [
        (Request::OffsetCommit, Answer::RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS),
        (Request::OffsetCommit, Answer::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION),
        (Request::OffsetCommit, Answer::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID),
        (Request::Heartbeat, Answer::RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS),
        (Request::Heartbeat, Answer::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION),
        (Request::Heartbeat, Answer::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID),
        (Request::Heartbeat, Answer::RD_KAFKA_RESP_ERR_NOT_COORDINATOR),
        (Request::Fetch, Answer::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION),
        (Request::Fetch, Answer::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE),
    ];
    runtime().block_on(async {
        let mut config = config(&broker, &topic);
        for (name, value) in [("heartbeat.interval.ms", "100"), ("session.timeout.ms", "2000")] {
            config.properties.insert(name.to_owned(), value.to_owned());
        }
        let mut source = KafkaSource::connect(config).await.unwrap();
        source.seek(&Offsets::default()).unwrap();
        let (mut kept, mut next, mut reassigned) = (Read::new(), Offsets::default(), 0);
        for (request, answer) in refusals {
            broker.refuse(request, &[answer; 2]);
            produce(&broker, &topic, 4, 0..400);
            let (wanted, deadline) = (kept.len() + 400, Instant::now() + PATIENCE);
            // Some heartbeats are sent after the last record, too.
            let beaten = Instant::now() + Duration::from_millis(300);
            while kept.len() < wanted || Instant::now() < beaten {
                assert!(Instant::now() < deadline, "{} of {wanted} after {answer:?}", kept.len());
                match source.poll(100, WAIT).await.unwrap() {
                    Poll::Records(batch) => {
                        keep(&mut kept, &batch);
                        for one in batch.iter() {
                            next.raise(one.topic, one.partition, Offset(one.offset.0 + 1));
                        }
                        source.committed(&next);
                    }
                    Poll::Idle => {}
                    // What is kept is what a lake would hold.
                    Poll::Reassigned { .. } => {
                        reassigned += 1;
                        source.seek(&next).unwrap();
                    }
                    Poll::End => panic!("a topic has no end"),
                }
            }
        }
        assert_each_once_in_order(&kept, &(0..900));
        assert!(0 < reassigned, "the group was lost at least once");

        // Producers try again what the broker refuses for a while.
        broker.refuse(Request::Produce, &[Answer::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT; 3]);
        produce(&broker, &topic, 4, 0..4);
        assert_eq!(record_count(&broker.bootstrap_servers(), &topic).unwrap(), 3_604);
    });
}

#[test]
fn a_producer_tells_what_the_broker_did_not_take() {
    let topic = Topic::new("uses");
    let broker = broker(&topic, 1);
    let properties = BTreeMap::from([("message.timeout.ms".to_owned(), "300".to_owned())]);
    let mut producer = Producer::connect(&broker.bootstrap_servers(), &properties).unwrap();
    assert_eq!(producer.partitions(&topic).unwrap(), 1);
    assert!(matches!(producer.partitions(&Topic::new("typo")), Err(ProduceError::Refused { .. })));
    producer.send(&topic, KafkaPartition(0), time(0), b"x").unwrap();
    producer.flush().unwrap();
    broker.set_reachable(false).unwrap();
    producer.send(&topic, KafkaPartition(0), time(0), b"x").unwrap();

    let error = producer.flush().unwrap_err();

    assert!(matches!(error, ProduceError::Lost { failed: 1, .. }), "{error}");
}

#[test]
fn an_event_in_binary_mode_is_read_in_structured_mode_where_events_are_expected() {
    use rdkafka::message::{Header, OwnedHeaders};
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

    let topics = [Topic::new("events"), Topic::new("plain")];
    let broker = broker(&topics[0], 1);
    broker.create_topic(&topics[1], 1).unwrap();
    let client = config::client(&broker.bootstrap_servers(), &BTreeMap::new());
    let producer: BaseProducer = client.create().unwrap();
    let named = [("ce_specversion", Some("1.0")), ("ce_type", Some("use")), ("other", Some("x"))];
    for topic in &topics {
        let mut headers = OwnedHeaders::new();
        for (key, value) in named.into_iter().chain([("ce_subject", None)]) {
            headers = headers.insert(Header { key, value });
        }
        let record = BaseRecord::<str, str>::to(topic.as_str()).partition(0).key("k");
        let record = record.timestamp(time(0).as_millis()).payload("{\"a\":1}").headers(headers);
        producer.send(record).unwrap();
        let bare = BaseRecord::<str, str>::to(topic.as_str()).partition(0).payload("{\"b\":2}");
        producer.send(bare.timestamp(time(1).as_millis())).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
    let config = KafkaConfig {
        topics: topics.to_vec(),
        topics_of_events: vec![topics[0].clone()],
        ..config(&broker, &topics[0])
    };

    let read = runtime().block_on(async {
        let mut source = KafkaSource::connect(config).await.unwrap();
        let _ = source.poll(10, WAIT).await.unwrap();
        source.seek(&Offsets::default()).unwrap();
        read(&mut source, 4).await
    });

    let mut texts: Vec<String> = read.into_iter().map(|(.., text)| text).collect();
    texts.sort_unstable();
    let structured = "{\"specversion\":\"1.0\",\"type\":\"use\",\"data\":{\"a\":1}}";
    assert_eq!(texts, ["{\"a\":1}", "{\"b\":2}", "{\"b\":2}", structured]);
}
