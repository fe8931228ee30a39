//! E11 and E12 on a real broker: what Kafka has deleted, and how a person goes on.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use schemas::{KafkaPartition, Offset, Timestamp, Topic};
use tempfile::TempDir;

use crate::exactly_once::{end, log, records_read, start, wait_for, worker};
use crate::kafka::Kafka;
use crate::process::{sql, surety, text};

const P0: KafkaPartition = KafkaPartition(0);

/// So many records into each of both partitions. All are rejected: what they are does not matter here.
fn produce(kafka: &Kafka, topic: &str, records: u32) {
    let mut producer = ingest::Producer::connect(&kafka.bootstrap(), &BTreeMap::new()).unwrap();
    let time = Timestamp::parse("2026-03-02T00:00:01Z").unwrap();
    for partition in [P0, KafkaPartition(1)] {
        for _ in 0..records {
            producer.send(&Topic::new(topic), partition, time, b"not json").unwrap();
        }
    }
    producer.flush().unwrap();
}

/// Runs until it has read up to these offsets in sum.
fn run_up_to(folder: &Path, offsets: u64) {
    let mut running = start(folder);
    wait_for(folder, &mut running, "all records", || offsets <= records_read(folder));
    end(folder, running);
}

/// A topic, and a worker's folder with a lake that has the first fifty records of each partition.
fn a_hundred_read(kafka: &Kafka) -> (String, TempDir) {
    let topic = kafka.topic("uses", 2);
    let folder = worker(kafka, &topic);
    produce(kafka, &topic, 50);
    run_up_to(folder.path(), 100);
    (topic, folder)
}

/// Runs until it ends by itself, which it must with 69.
fn run_into_the_gap(folder: &Path) {
    let mut running = start(folder);
    let status = running.0.wait().unwrap();
    assert_eq!(status.code(), Some(69), "{}", log(folder));
}

fn accept(folder: &Path, gap: &str) -> Output {
    let reason = "down for 8 days, Kafka keeps 7";
    surety(folder, &["accept-gap", gap, "--by", "anna", "--reason", reason])
}

fn rows(folder: &Path, statement: &str) -> Vec<serde_json::Value> {
    sql(folder, "surety-data", statement)
}

#[test]
fn what_was_lost_is_gone_on_without_only_when_a_person_says_so_and_that_is_kept() {
    const NAME: &str =
        "what_was_lost_is_gone_on_without_only_when_a_person_says_so_and_that_is_kept";
    let Some(kafka) = Kafka::start().real(NAME) else { return };
    let (topic, folder) = a_hundred_read(&kafka);
    let folder = folder.path();
    produce(&kafka, &topic, 50);
    ingest::delete_before(&kafka.bootstrap(), &Topic::new(&topic), P0, Offset(80)).unwrap();

    // Again and again, and it says what to do.
    for _ in 0..2 {
        run_into_the_gap(folder);
    }
    let command = format!("surety accept-gap {topic}/0@50-80");
    assert!(log(folder).contains(&command), "wanted {command}: {}", log(folder));
    let count = "SELECT count(*) AS n FROM rejects";
    let stored = rows(folder, count)[0]["n"].clone();
    for (wrong, why) in [
        ("0@50-79", "it has the offsets from 80 to 100"),
        ("0@50-81", "it has the offsets from 80 to 100"),
        ("0@49-80", "stands at offset 50"),
        ("1@50-80", "it has the offsets from 0 to 100"),
        ("7@0-80", "Unknown partition"),
    ] {
        let refused = accept(folder, &format!("{topic}/{wrong}"));
        let error = text(&refused.stderr);
        assert!(matches!(refused.status.code(), Some(64 | 69)), "{wrong}: {error}");
        assert!(error.contains(why), "{wrong}: wanted {why}: {error}");
    }
    assert_eq!(rows(folder, count)[0]["n"], stored, "nothing was changed");

    let accepted = accept(folder, &format!("{topic}/0@50-80"));
    assert!(accepted.status.success(), "{}", text(&accepted.stderr));
    assert!(text(&accepted.stdout).contains("offset 80"), "{}", text(&accepted.stdout));
    let again = accept(folder, &format!("{topic}/0@50-80"));
    assert!(text(&again.stdout).contains("already"), "{}", text(&again.stderr));
    run_up_to(folder, 200);

    let lost =
        rows(folder, "SELECT kafka_offset, detail, raw_bytes FROM rejects WHERE reason = 'lost'");
    assert_eq!(lost.len(), 1, "{lost:?}");
    assert_eq!(lost[0]["kafka_offset"], 50);
    let detail = lost[0]["detail"].as_str().unwrap();
    assert!(detail.contains("offsets 50 to 79") && detail.contains("anna"), "{detail}");
    assert!(detail.contains("Kafka keeps 7"), "{detail}");
    let others = "SELECT kafka_partition AS p, count(*) AS n, count(DISTINCT kafka_offset) AS places, \
                  max(kafka_offset) AS last FROM rejects WHERE reason <> 'lost' GROUP BY 1 ORDER BY 1";
    let read: Vec<_> = rows(folder, others)
        .iter()
        .map(|row| ["n", "places", "last"].map(|name| row[name].as_u64().unwrap()))
        .collect();
    assert_eq!(read, [[70, 70, 99], [100, 100, 99]]);
    let verified = surety(folder, &["verify", "surety-data"]);
    assert!(text(&verified.stdout).contains("\nintact"), "{}", text(&verified.stdout));
}

#[test]
fn a_topic_that_was_made_anew_is_read_from_its_beginning_as_another_topic_of_the_lake() {
    const NAME: &str =
        "a_topic_that_was_made_anew_is_read_from_its_beginning_as_another_topic_of_the_lake";
    let Some(kafka) = Kafka::start().real(NAME) else { return };
    let (topic, folder) = a_hundred_read(&kafka);
    let folder = folder.path();
    let (servers, name) = (kafka.bootstrap(), Topic::new(&topic));
    ingest::delete_topic(&servers, &name).unwrap();
    let patience = Instant::now() + Duration::from_mins(1);
    while ingest::record_count(&servers, &name).is_ok() {
        assert!(Instant::now() < patience, "the topic is still there");
        std::thread::sleep(Duration::from_millis(50));
    }
    ingest::create_topic(&servers, &name, 2).unwrap();
    produce(&kafka, &topic, 20);

    run_into_the_gap(folder);
    assert!(log(folder).contains("`epoch`"), "{}", log(folder));
    let path = folder.join("surety.toml");
    let config = fs::read_to_string(&path).unwrap();
    let anew = config.replace("format = \"native\" }", "format = \"native\", epoch = 2 }");
    assert_ne!(anew, config);
    fs::write(&path, anew).unwrap();
    // The offsets of the lake: 50 of each partition, and now 20 more.
    for _ in 0..2 {
        run_up_to(folder, 140);
    }

    let read = rows(
        folder,
        "SELECT topic, count(*) AS n, count(DISTINCT concat(CAST(kafka_partition AS VARCHAR), '/', \
         CAST(kafka_offset AS VARCHAR))) AS places FROM rejects GROUP BY 1 ORDER BY 1",
    );
    let wanted = [(topic.clone(), 100), (format!("{topic}.epoch-2"), 40)];
    let found: Vec<_> = read
        .iter()
        .map(|row| (row["topic"].as_str().unwrap().to_owned(), row["places"].as_u64().unwrap()))
        .collect();
    assert_eq!(found, wanted);
    assert!(read.iter().all(|row| row["n"] == row["places"]), "{read:?}");
    let verified = surety(folder, &["verify", "surety-data"]);
    assert!(text(&verified.stdout).contains("\nintact"), "{}", text(&verified.stdout));
}
