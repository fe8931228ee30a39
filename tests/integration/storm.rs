//! E08 on a real broker: workers of one group come and go every second or two while records arrive,
//! so that the partitions are dealt anew all the time.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use schemas::{KafkaPartition, Timestamp, Topic};
use tempfile::TempDir;

use crate::exactly_once::{assert_exactly_once, drawn, end, log, setting, start, worker};
use crate::kafka::Kafka;
use crate::process::{Running, sql, surety_json, tried};

const NAME: &str = "workers_that_come_and_go_all_the_time_cost_no_record_and_double_none";
const PARTITIONS: i32 = 8;
const EVENT: &str = include_str!("../../schemas/json/credential_event.v1.example.json");
/// The storm must not keep all from working for longer than this.
const STILL_MAX: Duration = Duration::from_secs(10);
/// Who joins when the last one has just been killed waits for the group to give that one up: two seconds here,
/// six by default.
const PATIENCE_OF_THE_GROUP: &str =
    "[kafka.properties]\n\"session.timeout.ms\" = \"2000\"\n\"heartbeat.interval.ms\" = \"500\"\n";
/// What is left must be read in this time once the storm is over.
const REST_MAX: Duration = Duration::from_secs(30);

/// A worker of the group, or its place while none runs.
struct Member {
    folder: TempDir,
    running: Option<Running>,
}

/// Workers of one group on one lake, whose folder has the state and the key of all of them.
fn members(kafka: &Kafka, topic: &str, lake: &Path, number: u64) -> Vec<Member> {
    let member = |_| {
        let folder = worker(kafka, topic);
        let path = folder.path().join("surety.toml");
        let config = fs::read_to_string(&path).unwrap();
        let own = config.split("group = \"").nth(1).unwrap().split('"').next().unwrap();
        let config = config.replace(&format!("group = \"{own}\""), "group = \"storm\"");
        let url = lake.display();
        let config = format!("{config}{PATIENCE_OF_THE_GROUP}[lake]\nurl = \"{url}\"\n");
        fs::write(&path, config).unwrap();
        Member { folder, running: None }
    };
    (0..number).map(member).collect()
}

/// Sends events, one for each partition in a hundredth of a second, until `is_over`.
fn produce(kafka: &Kafka, topic: &str, is_over: &AtomicBool, sent: &AtomicU64) {
    let mut producer = ingest::Producer::connect(&kafka.bootstrap(), &BTreeMap::new()).unwrap();
    let time = Timestamp::parse("2026-03-02T00:00:01Z").unwrap();
    while !is_over.load(Ordering::Relaxed) {
        for partition in 0..PARTITIONS {
            let number = sent.fetch_add(1, Ordering::Relaxed);
            let event = EVENT.replace("evt-7f3a91", &format!("evt-{number}"));
            let topic = Topic::new(topic);
            producer.send(&topic, KafkaPartition(partition), time, event.as_bytes()).unwrap();
        }
        producer.flush().unwrap();
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn stored(folder: &Path) -> u64 {
    if !folder.join("surety-data/events").exists() {
        return 0;
    }
    let rows = sql(folder, "surety-data", "SELECT count(*) AS n FROM events");
    rows[0]["n"].as_u64().unwrap()
}

/// Waits for more rows than `before`, and returns their number.
fn wait_for_more(folder: &Path, before: u64, wanted: u64, within: Duration, what: &str) -> u64 {
    let patience = Instant::now() + within;
    loop {
        let now = stored(folder);
        if before < now && wanted <= now {
            return now;
        }
        assert!(Instant::now() < patience, "{what}: {now} rows, {before} before, {wanted} wanted");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn workers_that_come_and_go_all_the_time_cost_no_record_and_double_none() {
    let Some(kafka) = Kafka::start().real(NAME) else { return };
    let topic = kafka.topic("uses", PARTITIONS);
    let lake = TempDir::new().unwrap();
    let lasts = Duration::from_secs(setting("SURETY_TEST_STORM_S", 12));
    let mut all = members(
        &kafka,
        &topic,
        &lake.path().join("surety-data"),
        setting("SURETY_TEST_WRITERS", 3),
    );
    let seed = setting("SURETY_TEST_SEED", u64::from(std::process::id()));
    let (is_over, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut changes = 0;

    std::thread::scope(|scope| {
        scope.spawn(|| produce(&kafka, &topic, &is_over, &sent));
        all[0].running = Some(start(all[0].folder.path()));
        let mut seen = wait_for_more(lake.path(), 0, 1, Duration::from_mins(1), "a first commit");
        let (began, mut moved) = (Instant::now(), Instant::now());
        while began.elapsed() < lasts {
            let draw = drawn(seed + changes);
            let members = all.len();
            let lone = all.iter().filter(|one| one.running.is_some()).count() == 1;
            let member = &mut all[usize::try_from(draw).unwrap() % members];
            match member.running.take() {
                // Somebody stays.
                Some(running) if lone => member.running = Some(running),
                Some(mut running) => {
                    let status = running.0.try_wait().unwrap();
                    assert!(status.is_none(), "{status:?}: {}", log(member.folder.path()));
                    if draw % 7 < 3 { running.kill() } else { end(member.folder.path(), running) }
                }
                None => member.running = Some(start(member.folder.path())),
            }
            changes += 1;
            std::thread::sleep(Duration::from_millis(1_000 + draw % 1_000));
            let now = stored(lake.path());
            if seen < now {
                (seen, moved) = (now, Instant::now());
            }
            // A dead worker's partitions wait for the group's patience with it, the others do not.
            assert!(moved.elapsed() < STILL_MAX, "nothing was stored for {:?}", moved.elapsed());
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let records = kafka.records(&topic);
    assert_eq!(records, sent.load(Ordering::Relaxed));
    wait_for_more(lake.path(), 0, records, REST_MAX, "the rest after the storm");
    for member in &mut all {
        if let Some(running) = member.running.take() {
            end(member.folder.path(), running);
        }
    }

    assert_exactly_once(lake.path(), records);
    let verified = surety_json(lake.path(), &["verify", "surety-data", "--format", "json"]);
    assert_eq!(verified["flaws"].as_array().map(Vec::len), Some(0), "{verified}");
    tried(NAME, changes);
}
