//! What goes wrong around the process: a full disk, a missing topic, a broker that goes away.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use schemas::{KafkaPartition, Timestamp, Topic};
use serde_json::Value;
use tempfile::TempDir;

use crate::broker::{Broker, NoBroker};
use crate::exactly_once::{
    assert_exactly_once, drawn, end, log, records_read, setting, start, wait_for, worker,
};
use crate::kafka::Kafka;
use crate::process::{
    Running, command, not_run, simulate_fraud, sql, surety, surety_json, text, tried,
};
use crate::receiver::Receiver;

#[test]
fn a_missing_topic_exits_with_69_and_is_named() {
    let kafka = Kafka::start();
    let folder = TempDir::new().unwrap();
    let config = format!(
        "[kafka]\nbootstrap-servers = \"{}\"\ntopics = [{{ name = \"absent-topic\", format = \"native\" }}]\n[http]\nlisten = \"\"\n[query]\nlisten = \"\"\n",
        kafka.bootstrap()
    );
    fs::write(folder.path().join("surety.toml"), config).unwrap();

    let output = surety(folder.path(), &["run"]);

    assert_eq!(output.status.code(), Some(69), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("absent-topic"), "{}", text(&output.stderr));
}

#[test]
fn a_broker_that_is_killed_and_comes_back_costs_no_record() {
    let kafka = match Broker::start() {
        Ok(broker) => Kafka::Own(broker),
        Err(missing @ (NoBroker::Missing { .. } | NoBroker::Unfetched { .. })) => {
            not_run(&format!("a broker that goes away: {missing}"));
            return;
        }
        Err(broken) => panic!("{broken}"),
    };
    let topic = kafka.topic("uses", 2);
    let folder = worker(&kafka, &topic);
    produce(&kafka, &topic, 500);
    let mut running = start(folder.path());
    wait_for(folder.path(), &mut running, "the first half", || 500 <= records_read(folder.path()));

    let id = running.0.id();
    let kafka = kafka.killed_and_started_again(|| {
        let before = processor_time(id);
        std::thread::sleep(Duration::from_secs(4));
        let used = processor_time(id).saturating_sub(before);
        assert!(used < Duration::from_secs(2), "it is busy waiting: {used:?} in four seconds");
    });
    produce(&kafka, &topic, 500);
    wait_for(folder.path(), &mut running, "the rest", || 1_000 <= records_read(folder.path()));
    end(folder.path(), running);

    assert_exactly_once(folder.path(), 1_000);
}

/// What a process has used of a processor; nothing where the system does not tell.
///
/// Source: proc(5), fields 14 and 15 of `/proc/PID/stat`, in hundredths of a second.
fn processor_time(process: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The second field is a name in brackets, which may hold spaces.
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = rest.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse().unwrap_or(0));
    Duration::from_millis(10 * ticks.sum::<u64>())
}

#[test]
fn what_a_transaction_took_back_is_never_read() {
    let kafka = Kafka::start();
    let Some(kafka) = kafka.real("what_a_transaction_took_back_is_never_read") else { return };
    let topic = kafka.topic("uses", 1);
    let folder = worker(&kafka, &topic);
    for (text, is_committed) in [("kept", true), ("taken back", false), ("kept", true)] {
        let payloads = [text.as_bytes(); 50];
        let (topic, first) = (Topic::new(&topic), KafkaPartition(0));
        ingest::send_in_transaction(&kafka.bootstrap(), &topic, first, &payloads, is_committed)
            .unwrap();
    }
    let mut running = start(folder.path());
    // Offsets: 3 times 50 records and a marker behind each.
    wait_for(folder.path(), &mut running, "all offsets", || 152 <= records_read(folder.path()));
    end(folder.path(), running);

    let rows = sql(
        folder.path(),
        "surety-data",
        "SELECT CAST(raw AS VARCHAR) AS raw, count(*) AS n, count(DISTINCT kafka_offset) AS places \
         FROM rejects GROUP BY 1",
    );
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!((&rows[0]["n"], &rows[0]["places"]), (&100.into(), &100.into()), "{rows:?}");
    assert!(rows[0]["raw"].as_str().unwrap().contains("kept"), "{rows:?}");
}

#[test]
fn a_worker_that_is_told_to_stop_does_so_at_once_and_nothing_shows() {
    let kafka = Kafka::start();
    let topic = kafka.topic("uses", 2);
    let folder = worker(&kafka, &topic);
    let stops = setting("SURETY_TEST_KILLS", 4);
    let seed = setting("SURETY_TEST_SEED", u64::from(std::process::id()));
    for stop in 0..stops {
        produce(&kafka, &topic, 3_000);
        let mut running = start(folder.path());
        let draw = drawn(seed + stop);
        // Before that a signal ends it as any process, with nothing read yet.
        let starts = || log(folder.path()).matches("serving /metrics").count() as u64;
        wait_for(folder.path(), &mut running, "a start", || stop < starts());
        std::thread::sleep(Duration::from_millis(draw % 500));
        let told = Instant::now();
        end(folder.path(), running);
        assert!(told.elapsed() < Duration::from_secs(10), "{:?}", told.elapsed());
    }
    let records = 3_000 * stops;
    let mut running = start(folder.path());
    wait_for(folder.path(), &mut running, "the rest", || records <= records_read(folder.path()));
    end(folder.path(), running);

    assert_exactly_once(folder.path(), records);
    tried("a_worker_that_is_told_to_stop_does_so_at_once_and_nothing_shows", stops);
}

#[test]
fn a_broker_that_stands_still_keeps_nobody_from_ending() {
    let broker = match Broker::start() {
        Ok(broker) => broker,
        Err(missing @ (NoBroker::Missing { .. } | NoBroker::Unfetched { .. })) => {
            not_run(&format!("a broker that stands still: {missing}"));
            return;
        }
        Err(broken) => panic!("{broken}"),
    };
    let kafka = Kafka::Own(broker);
    let topic = kafka.topic("uses", 2);
    let folder = worker(&kafka, &topic);
    produce(&kafka, &topic, 500);
    let mut running = start(folder.path());
    wait_for(folder.path(), &mut running, "the records", || 500 <= records_read(folder.path()));
    let Kafka::Own(broker) = &kafka else { unreachable!("it is the test's own") };
    broker.stand_still();

    let told = Instant::now();
    let status = running.terminate();

    // By itself, or because the process does not wait any longer.
    assert!(matches!(status.code(), Some(0 | 69)), "{status}: {}", log(folder.path()));
    assert!(told.elapsed() < Duration::from_secs(25), "{:?}", told.elapsed());
    assert_exactly_once(folder.path(), 500);
}

/// Records that are rejected: what they are does not matter here.
pub(crate) fn produce(kafka: &Kafka, topic: &str, records: i32) {
    let mut producer = ingest::Producer::connect(&kafka.bootstrap(), &BTreeMap::new()).unwrap();
    let time = Timestamp::parse("2026-03-02T00:00:01Z").unwrap();
    for number in 0..records {
        producer.send(&Topic::new(topic), KafkaPartition(number % 2), time, b"not json").unwrap();
    }
    producer.flush().unwrap();
}

/// A small file system of its own, unmounted at the end; `None`, said aloud, without the right to it.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn of(size: &str) -> Option<Self> {
        let folder = TempDir::new().unwrap();
        if !mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"], folder.path()) {
            not_run("a full disk: a small file system needs the right to mount one");
            return None;
        }
        Some(Self(folder))
    }
}

impl SmallDisk {
    /// Leaves no room, until the file that is returned is removed.
    fn fill(&self) -> PathBuf {
        let path = self.0.path().join("filler");
        let mut filler = fs::File::create(&path).unwrap();
        let full = loop {
            if let Err(full) = filler.write_all(&[0; 4_096]) {
                break full;
            }
        };
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull, "{full}");
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "a file system stays mounted");
    }
}

fn mount(options: &[&str], folder: &Path) -> bool {
    let mounted = Command::new("mount").args(options).arg(folder).output();
    mounted.is_ok_and(|output| output.status.success())
}

#[test]
fn a_full_disk_stops_with_a_clear_error_and_loses_nothing() {
    let Some(disk) = SmallDisk::of("1m") else { return };
    let folder = TempDir::new().unwrap();
    let simulated = [
        "simulate",
        "--agents",
        "100",
        "--days",
        "10",
        "--start",
        "2026-03-02T00:00:00Z",
        "--out",
        "uses.jsonl",
    ];
    assert!(surety(folder.path(), &simulated).status.success());
    fs::write(folder.path().join("surety.toml"), "[batch]\nrows-max = 4000\n").unwrap();
    let lake = disk.0.path().join("lake");
    let lake = lake.to_str().unwrap();

    let full = surety(folder.path(), &["replay", "uses.jsonl", "--lake", lake]);
    let stored = sql(
        folder.path(),
        lake,
        "SELECT count(*) AS n, count(DISTINCT kafka_offset) AS places FROM events",
    );
    assert!(mount(&["-o", "remount,size=300m"], disk.0.path()));
    let rest =
        surety_json(folder.path(), &["replay", "uses.jsonl", "--lake", lake, "--output", "json"]);

    assert_eq!(full.status.code(), Some(69), "{}", text(&full.stderr));
    assert!(text(&full.stderr).contains("No space left"), "{}", text(&full.stderr));
    let before = stored[0]["n"].as_u64().unwrap();
    assert_eq!(stored[0]["n"], stored[0]["places"]);
    let after = sql(
        folder.path(),
        lake,
        "SELECT count(*) AS n, count(DISTINCT kafka_offset) AS places FROM events",
    );
    let lines =
        fs::read_to_string(folder.path().join("uses.jsonl")).unwrap().lines().count() as u64;
    assert_eq!(after[0]["n"], lines);
    assert_eq!(after[0]["places"], lines);
    assert_eq!(rest["records"].as_u64().unwrap(), lines - before);
}

/// How many records of each file are in the lake, and at how many places.
fn stored(folder: &Path) -> Vec<Value> {
    let statement = "SELECT topic, count(*) AS n, count(DISTINCT kafka_offset) AS places FROM events \
                     GROUP BY topic ORDER BY topic";
    sql(folder, "lake", statement)
}

/// Nine days of a company with a fraud in the last, as two files; returns how many records there are.
fn two_halves(folder: &Path) -> u64 {
    simulate_fraud(folder, 40, 9);
    let uses = fs::read_to_string(folder.join("uses.jsonl")).unwrap();
    let lines: Vec<&str> = uses.lines().collect();
    let halves = lines.split_at(lines.len() / 2);
    for (name, half) in [("first", halves.0), ("second", halves.1)] {
        fs::write(folder.join(format!("{name}.jsonl")), half.join("\n") + "\n").unwrap();
    }
    lines.len() as u64
}

#[test]
fn a_full_disk_under_the_state_costs_no_event_and_no_webhook() {
    let Some(disk) = SmallDisk::of("8m") else { return };
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let records = two_halves(folder);
    let receiver = Receiver::start();
    let state = disk.0.path().join("state");
    let configure = |endpoints: usize| {
        let named = |n| receiver.config().replace("\"soc\"", &format!("\"soc-{n}\""));
        let endpoints: String = (0..endpoints).map(named).collect();
        let state = state.display();
        let settings =
            format!("[batch]\nrows-max = 2000\n[state]\ndir = \"{state}\"\ncheckpoint-ms = 50\n");
        fs::write(folder.join("surety.toml"), settings + &endpoints).unwrap();
    };
    let replay =
        |name: &str, lake: &str| surety(folder, &["replay", name, "--lake", lake, "--webhooks"]);
    let ids = |lake: &str| -> BTreeSet<String> {
        let rows = sql(folder, lake, "SELECT finding_id FROM findings");
        rows.iter().map(|row| row["finding_id"].as_str().unwrap().to_owned()).collect()
    };

    configure(1);
    let first = replay("first.jsonl", "lake");
    assert!(first.status.success(), "{}", text(&first.stderr));
    // What is free in the outbox after one endpoint's messages does not do for those of so many.
    configure(40);
    let filler = disk.fill();
    let full = replay("second.jsonl", "lake");
    let meanwhile = stored(folder);
    fs::remove_file(filler).unwrap();
    let rest = replay("second.jsonl", "lake");

    assert_eq!(full.status.code(), Some(69), "{}", text(&full.stderr));
    assert!(text(&full.stderr).contains("No space left"), "{}", text(&full.stderr));
    assert!(rest.status.success(), "{}", text(&rest.stderr));
    for row in meanwhile {
        assert_eq!(row["n"], row["places"], "{row}");
    }
    let rows = stored(folder);
    assert_eq!(rows.len(), 2, "{rows:?}");
    let all: u64 = rows.iter().map(|row| row["n"].as_u64().unwrap()).sum();
    let places: u64 = rows.iter().map(|row| row["places"].as_u64().unwrap()).sum();
    assert_eq!((all, places), (records, records));
    let told: BTreeSet<String> = receiver.tries().into_keys().collect();
    assert!(!told.is_empty());
    assert_eq!(told, ids("lake"), "a webhook for each finding, and for nothing else");
    let verified = surety(folder, &["verify", "lake"]);
    assert!(verified.status.success(), "{}", text(&verified.stdout));
    for name in ["first.jsonl", "second.jsonl"] {
        assert!(surety(folder, &["replay", name, "--lake", "calm"]).status.success());
    }
    assert_eq!(told, ids("calm"));
}

#[test]
fn a_checkpoint_that_has_no_room_is_told_and_stops_nothing() {
    let Some(disk) = SmallDisk::of("32k") else { return };
    let kafka = Kafka::start();
    let topic = kafka.topic("uses", 2);
    let folder = worker(&kafka, &topic);
    let path = folder.path().join("surety.toml");
    let config = fs::read_to_string(&path).unwrap();
    let state = format!("[state]\ndir = \"{}\"\n", disk.0.path().display());
    fs::write(&path, config.replace("[state]\n", &state)).unwrap();
    produce_events(&kafka, &topic, 0..400);
    let mut running = start(folder.path());
    wait_for(folder.path(), &mut running, "the first", || 400 <= records_read(folder.path()));
    // A checkpoint comes with the first commit after its time.
    std::thread::sleep(Duration::from_secs(1));
    produce_events(&kafka, &topic, 400..800);
    wait_for(folder.path(), &mut running, "a warning", || {
        log(folder.path()).contains("a checkpoint was not written")
    });
    wait_for(folder.path(), &mut running, "the rest", || 800 <= records_read(folder.path()));
    assert!(mount(&["-o", "remount,size=8m"], disk.0.path()));
    end(folder.path(), running);

    assert!(log(folder.path()).contains("No space left"), "{}", log(folder.path()));
    assert_exactly_once(folder.path(), 800);
    let mut running = start(folder.path());
    wait_for(folder.path(), &mut running, "a start", || 800 <= records_read(folder.path()));
    end(folder.path(), running);
    assert!(log(folder.path()).contains("state restored"), "{}", log(folder.path()));
}

#[test]
fn a_full_disk_under_the_log_stops_nothing() {
    // Writing to it is answered as by a full disk.
    let Ok(full) = fs::File::options().write(true).open("/dev/full") else {
        not_run("a log on a full disk: there is no /dev/full");
        return;
    };
    let kafka = Kafka::start();
    let topic = kafka.topic("uses", 2);
    let folder = worker(&kafka, &topic);
    produce(&kafka, &topic, 500);

    let mut running = Running(command(folder.path(), &["run"]).stderr(full).spawn().unwrap());
    wait_for(folder.path(), &mut running, "the records", || 500 <= records_read(folder.path()));
    end(folder.path(), running);

    assert_exactly_once(folder.path(), 500);
    // There was something to be lost.
    let mut running = start(folder.path());
    wait_for(folder.path(), &mut running, "a start", || 500 <= records_read(folder.path()));
    end(folder.path(), running);
    assert!(log(folder.path()).contains(" INFO "), "{}", log(folder.path()));
}

/// An event for each number, of as many agents.
fn produce_events(kafka: &Kafka, topic: &str, numbers: std::ops::Range<i32>) {
    let mut producer = ingest::Producer::connect(&kafka.bootstrap(), &BTreeMap::new()).unwrap();
    let time = Timestamp::parse("2026-03-02T10:00:01Z").unwrap();
    for number in numbers {
        let event = serde_json::json!({
            "schema": "surety.credential_event.v1", "time": "2026-03-02T10:00:00Z",
            "agent_id": format!("agent-{number}"), "credential_id": format!("key-{number}"),
            "credential_kind": "static_key", "action": "order.read", "outcome": "success",
            "counterparty_id": format!("vendor-{number}"), "session_id": format!("session-{number}"),
        });
        let partition = KafkaPartition(number % 2);
        producer.send(&Topic::new(topic), partition, time, event.to_string().as_bytes()).unwrap();
    }
    producer.flush().unwrap();
}
