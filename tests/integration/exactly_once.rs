//! E1 to E4, D1, D2, W1 over a real broker: the process is killed at random moments, and nothing shows.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use schemas::{KafkaPartition, Timestamp, Topic};
use serde_json::Value;
use tempfile::TempDir;

use crate::foreign;
use crate::kafka::{Kafka, free_port, metric};
use crate::process::{Running, command, simulate_fraud_to, sql, tried};
use crate::receiver::Receiver;

const PARTITIONS: i32 = 8;
/// Records that are no events, spread among them.
const POISON: [&[u8]; 4] = [b"not json", b"{}", b"\xff\xfe", b"[[[[[["];

/// A setting of the test's size.
pub(crate) fn setting(name: &str, default: u64) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a test is made larger from outside")]
    let value = std::env::var(name).ok();
    value.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}: wanted a number")))
}

/// A number of 31 bits for each number: a linear congruential step is random enough for when to do what.
pub(crate) fn drawn(number: u64) -> u64 {
    number.wrapping_mul(6_364_136_223_846_793_005) >> 33
}

/// Events of a company with a fraud in its last day, and poison; returns the number of records.
fn fill(kafka: &Kafka, folder: &Path, topic: &str, events_wanted: u64) -> u64 {
    let servers = kafka.bootstrap();
    simulate(folder, events_wanted, &["--to-kafka", &servers, "--topic", topic]);
    send_poison(kafka, topic);
    kafka.records(topic)
}

fn simulate(folder: &Path, events_wanted: u64, to: &[&str]) {
    simulate_fraud_to(folder, 60, (events_wanted / (80 * 60)).max(8), to);
}

fn send_poison(kafka: &Kafka, topic: &str) {
    let mut producer = ingest::Producer::connect(&kafka.bootstrap(), &BTreeMap::new()).unwrap();
    let time = Timestamp::parse("2026-03-02T00:00:01Z").unwrap();
    for (number, poison) in POISON.iter().cycle().take(40).enumerate() {
        let partition = KafkaPartition(i32::try_from(number).unwrap() % PARTITIONS);
        producer.send(&Topic::new(topic), partition, time, poison).unwrap();
    }
    producer.flush().unwrap();
}

/// The same events little by little, all of an agent in one partition, over so long a time.
fn feed(servers: &str, folder: &Path, topic: &str, events_wanted: u64, over: Duration) {
    simulate(folder, events_wanted, &["--out", "uses.jsonl"]);
    let uses = fs::read_to_string(folder.join("uses.jsonl")).unwrap();
    let lines: Vec<&str> = uses.lines().collect();
    let mut producer = ingest::Producer::connect(servers, &BTreeMap::new()).unwrap();
    let (topic, began) = (Topic::new(topic), Instant::now());
    let part = lines.len().div_ceil(usize::try_from(10 * over.as_secs()).unwrap());
    for (number, lines) in (1..).zip(lines.chunks(part)) {
        for line in lines {
            let event: Value = serde_json::from_str(line).unwrap();
            let time = Timestamp::parse(event["time"].as_str().unwrap()).unwrap();
            let agent = event["agent_id"].as_str().unwrap();
            let sum: u32 = agent.bytes().map(u32::from).sum();
            let partition = KafkaPartition(i32::try_from(sum).unwrap() % PARTITIONS);
            producer.send(&topic, partition, time, line.as_bytes()).unwrap();
        }
        producer.flush().unwrap();
        std::thread::sleep((Duration::from_millis(100) * number).saturating_sub(began.elapsed()));
    }
}

/// Kills a process whenever it has read some of the records that are there.
fn kill_as_it_reads(folder: &Path, records: u64, kills: u64, seed: u64) {
    for kill in 0..kills {
        let mut running = start(folder);
        // The k-th kill comes when about k of the parts between kills are read, and up to 0.3 s later.
        let draw = drawn(seed + kill);
        let read = records * (100 * kill + draw % 100) / (100 * (kills + 1));
        wait_for(folder, &mut running, "a kill", || read < records_read(folder));
        std::thread::sleep(Duration::from_millis(draw % 300));
        assert!(running.0.try_wait().unwrap().is_none(), "{}", log(folder));
        running.kill();
    }
}

/// Kills a process again and again, at its start too, for so long; returns how often.
fn kill_for(folder: &Path, time: Duration, seed: u64) -> u64 {
    let (began, mut kills) = (Instant::now(), 0);
    while began.elapsed() < time {
        let mut running = start(folder);
        // One in eight dies within half a second, while it reads where it was.
        let draw = drawn(seed + kills);
        let longest = if draw.is_multiple_of(8) { 500 } else { 6_000 };
        std::thread::sleep(Duration::from_millis(draw / 8 % longest));
        assert!(running.0.try_wait().unwrap().is_none(), "{}", log(folder));
        running.kill();
        kills += 1;
    }
    kills
}

/// A folder with a configuration that commits often, so that a kill hits every part of the loop.
pub(crate) fn worker(kafka: &Kafka, topic: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    let config = format!(
        "[kafka]\nbootstrap-servers = \"{}\"\ngroup = \"{}\"\ntopics = [{{ name = \"{topic}\", format = \"native\" }}]\n\
         [batch]\nrecords-max = 2000\nrows-max = 6000\nage-ms-max = 400\n[state]\ncheckpoint-ms = 700\n\
         [http]\nlisten = \"127.0.0.1:{}\"\n[query]\nlisten = \"\"\n[log]\nlevel = \"info\"\n",
        kafka.bootstrap(),
        folder.path().file_name().unwrap().to_string_lossy().replace('.', "g"),
        free_port(),
    );
    fs::write(folder.path().join("surety.toml"), config).unwrap();
    folder
}

pub(crate) fn start(folder: &Path) -> Running {
    let log = fs::File::options().create(true).append(true).open(folder.join("log")).unwrap();
    Running(command(folder, &["run"]).stderr(log).spawn().unwrap())
}

/// Runs until `records` are read, then ends it in order.
fn run_to_the_end(folder: &Path, records: u64) {
    let mut running = start(folder);
    wait_for(folder, &mut running, "all records", || records <= records_read(folder));
    end(folder, running);
}

/// Ends a process in order.
pub(crate) fn end(folder: &Path, running: Running) {
    let status = running.terminate();
    assert!(status.success(), "{status}: {}", log(folder));
}

/// Waits until `is_so`, or fails with the log when the process ends before, or never gets there.
pub(crate) fn wait_for(
    folder: &Path,
    running: &mut Running,
    what: &str,
    mut is_so: impl FnMut() -> bool,
) {
    let patience = Instant::now() + Duration::from_mins(10);
    while !is_so() {
        assert!(Instant::now() < patience, "waited in vain for {what}: {}", log(folder));
        if let Some(status) = running.0.try_wait().unwrap() {
            panic!("ended with {status}: {}", log(folder));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Records read, by the offsets that the running process goes on from; 0 while none runs.
pub(crate) fn records_read(folder: &Path) -> u64 {
    let config = fs::read_to_string(folder.join("surety.toml")).unwrap();
    let address = config.split("listen = \"").nth(1).unwrap().split('"').next().unwrap();
    metric(address, "surety_next_offset")
}

pub(crate) fn log(folder: &Path) -> String {
    fs::read_to_string(folder.join("log")).unwrap_or_default()
}

/// Every offset of every partition is in exactly one of `events` and `rejects`, once.
pub(crate) fn assert_exactly_once(folder: &Path, records: u64) {
    let places = "SELECT kafka_partition AS p, kafka_offset AS o FROM events UNION ALL \
                  SELECT kafka_partition, kafka_offset FROM rejects";
    let rows = sql(
        folder,
        "surety-data",
        &format!(
            "SELECT p, count(*) AS n, count(DISTINCT o) AS places, min(o) AS first, max(o) AS last \
             FROM ({places}) GROUP BY p ORDER BY p"
        ),
    );
    let number = |row: &Value, name: &str| row[name].as_i64().unwrap();
    let mut sum = 0;
    for row in &rows {
        assert_eq!(number(row, "first"), 0, "{row}");
        assert_eq!(number(row, "n"), number(row, "places"), "{row}");
        assert_eq!(number(row, "n"), number(row, "last") + 1, "{row}");
        sum += number(row, "n");
    }
    assert_eq!(u64::try_from(sum).unwrap(), records, "{rows:?}");
}

/// Everything a finding says, but for when it was found.
fn findings(folder: &Path) -> Vec<Value> {
    sql(
        folder,
        "surety-data",
        "SELECT finding_id, time, detector, severity, agent_id, event_id, score, summary, features, \
         kafka_partition, kafka_offset FROM findings ORDER BY finding_id",
    )
}

/// What is read as it comes is read in another order between partitions than what was there before: sums
/// over the agents of a class are then rounded otherwise, and a score has another sixth digit.
fn assert_same_but_for_rounding(told: &[Value], wanted: &[Value]) {
    assert_eq!(told.len(), wanted.len());
    for (told, wanted) in told.iter().zip(wanted) {
        let score = |row: &Value| row["score"].as_f64().unwrap();
        assert!((score(told) - score(wanted)).abs() < 1e-3, "{told} {wanted}");
        for (name, value) in wanted.as_object().unwrap() {
            let is_rounded = ["score", "features", "summary"].contains(&name.as_str());
            assert!(is_rounded || told[name] == *value, "{told} {wanted}");
        }
    }
}

#[test]
fn nothing_shows_that_the_process_was_killed() {
    let kafka = Kafka::start();
    let Some(kafka) = kafka.real("nothing_shows_that_the_process_was_killed") else { return };
    let topic = kafka.topic("uses", PARTITIONS);
    let (calm, killed) = (worker(&kafka, &topic), worker(&kafka, &topic));
    let receiver = Receiver::start();
    let config = fs::File::options().append(true).open(killed.path().join("surety.toml"));
    config.unwrap().write_all(receiver.config().as_bytes()).unwrap();
    let (events, seed) = (
        setting("SURETY_TEST_EVENTS", 60_000),
        setting("SURETY_TEST_SEED", u64::from(std::process::id())),
    );
    let time = Duration::from_secs(setting("SURETY_TEST_KILL_S", 0));
    let kills = if time.is_zero() {
        let records = fill(&kafka, calm.path(), &topic, events);
        let kills = setting("SURETY_TEST_KILLS", 4);
        kill_as_it_reads(killed.path(), records, kills, seed);
        kills
    } else {
        send_poison(&kafka, &topic);
        let servers = kafka.bootstrap();
        std::thread::scope(|scope| {
            scope.spawn(|| feed(&servers, calm.path(), &topic, events, time));
            kill_for(killed.path(), time, seed)
        })
    };
    let records = kafka.records(&topic);
    run_to_the_end(calm.path(), records);
    run_to_the_end(killed.path(), records);
    let told = findings(killed.path());
    let ids = |row: &Value| row["finding_id"].as_str().unwrap().to_owned();
    let wanted_ids: BTreeSet<String> = told.iter().map(ids).collect();
    let received = || receiver.tries().into_keys().collect::<BTreeSet<String>>();
    let mut running = start(killed.path());
    wait_for(killed.path(), &mut running, "every webhook", || {
        records <= records_read(killed.path()) && wanted_ids.is_subset(&received())
    });
    end(killed.path(), running);

    assert_exactly_once(calm.path(), records);
    assert_exactly_once(killed.path(), records);
    let wanted = findings(calm.path());
    assert!(!wanted.is_empty(), "the fraud was found");
    assert_eq!(received(), wanted_ids, "a webhook for each finding, and for nothing else");
    assert!(receiver.tries().values().any(|tries| 1 < *tries), "a failed try is repeated");
    if time.is_zero() {
        assert_eq!(told, wanted, "replay with SURETY_TEST_SEED={seed}");
    } else {
        assert_same_but_for_rounding(&told, &wanted);
    }
    let rejects = sql(killed.path(), "surety-data", "SELECT count(*) AS n FROM rejects");
    assert_eq!(rejects[0]["n"], 40);
    foreign::agrees(killed.path());
    tried("nothing_shows_that_the_process_was_killed", kills);
}

#[test]
fn a_group_offset_from_elsewhere_decides_nothing() {
    let kafka = Kafka::start();
    let topic = kafka.topic("uses", 2);
    let folder = worker(&kafka, &topic);
    let mut producer = ingest::Producer::connect(&kafka.bootstrap(), &BTreeMap::new()).unwrap();
    let time = Timestamp::parse("2026-03-02T00:00:01Z").unwrap();
    for number in 0..100 {
        producer.send(&Topic::new(&topic), KafkaPartition(number % 2), time, b"not json").unwrap();
    }
    producer.flush().unwrap();
    let config = fs::read_to_string(folder.path().join("surety.toml")).unwrap();
    let group = config.split("group = \"").nth(1).unwrap().split('"').next().unwrap();
    ingest::commit_group_offset(&kafka.bootstrap(), group, &Topic::new(&topic), 30).unwrap();

    run_to_the_end(folder.path(), 100);

    assert_exactly_once(folder.path(), 100);
}

#[test]
fn a_worker_killed_while_it_joins_leaves_nobody_behind_who_shares_its_partitions() {
    let kafka = Kafka::start();
    let topic = kafka.topic("uses", PARTITIONS);
    let folder = worker(&kafka, &topic);
    let mut producer = ingest::Producer::connect(&kafka.bootstrap(), &BTreeMap::new()).unwrap();
    let time = Timestamp::parse("2026-03-02T00:00:01Z").unwrap();
    for number in 0..PARTITIONS {
        producer.send(&Topic::new(&topic), KafkaPartition(number), time, b"not json").unwrap();
    }
    producer.flush().unwrap();
    let assigned = || log(folder.path()).matches("partitions were assigned").count();

    for pause_ms in [0, 300, 600] {
        let mut running = start(folder.path());
        if pause_ms == 0 {
            wait_for(folder.path(), &mut running, "an assignment", || 0 < assigned());
        }
        std::thread::sleep(Duration::from_millis(pause_ms));
        running.kill();
    }
    run_to_the_end(folder.path(), 8);

    let log = log(folder.path());
    let all = log.matches(&format!("partitions were assigned partitions={PARTITIONS}")).count();
    assert_eq!(all, assigned(), "{log}");
}
