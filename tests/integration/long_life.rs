//! O08: a process that has lived long holds no more files and no more memory than it did when it was young.
//!
//! What it holds moves up and down, so its floor counts: the least of a quarter of its life. The second
//! quarter is compared with the last; in the first, caches fill and threads begin. Linux alone tells what a
//! process holds, in `/proc`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use schemas::{KafkaPartition, Timestamp, Topic};
use tempfile::TempDir;

use crate::exactly_once::{assert_exactly_once, end, log, setting, worker};
use crate::kafka::{Kafka, metric};
use crate::process::{
    COMMITS_LOGGED, Running, command, logged_us, measured, not_run, p99_ms, surety, surety_json,
    text, tried,
};

const EVENT: &str = include_str!("../../schemas/json/credential_event.v1.example.json");

/// Files that may come and go.
const FILES_MORE_MAX: u64 = 8;
/// What the floor of memory may differ by: the allocator's threads give back what they freed when they
/// please. Seen: up to 40 MiB.
const BYTES_MORE_MAX: u64 = 96 << 20;
/// A megabyte in an hour, at a commit every five seconds.
const BYTES_PER_COMMIT_MAX: u64 = (1 << 20) / 720;

/// What a process held after so many commits.
#[derive(Clone, Copy, Debug)]
struct Held {
    commits: u64,
    files: u64,
    bytes: u64,
}

impl Held {
    /// `None` where the system does not tell.
    fn by(process: u32, commits: u64) -> Option<Self> {
        let files = fs::read_dir(format!("/proc/{process}/fd")).ok()?.count() as u64;
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
        let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(Self { commits, files, bytes: kib << 10 })
    }
}

/// What grew with the commits, in words; nothing if nothing did.
fn grown(life: &[Held]) -> Vec<String> {
    let commits = life.last().expect("a life was watched").commits;
    let floor = |quarter: u64, of: fn(&Held) -> u64| {
        let (start, end) = (commits * quarter / 4, commits * (quarter + 1) / 4);
        let held = life.iter().filter(|held| start < held.commits && held.commits <= end);
        held.map(of).min().expect("each quarter was watched")
    };
    let more = |of: fn(&Held) -> u64| floor(3, of).saturating_sub(floor(1, of));
    let (files, bytes) = (more(|held| held.files), more(|held| held.bytes));
    let mut grown = Vec::new();
    if FILES_MORE_MAX < files {
        grown.push(format!("{files} files more in half of {commits} commits"));
    }
    if BYTES_MORE_MAX + BYTES_PER_COMMIT_MAX * commits / 2 < bytes {
        grown.push(format!("{bytes} bytes more in half of {commits} commits"));
    }
    grown
}

/// A worker that commits every record or two, and merges the files of it all the time.
fn hasty_worker(kafka: &Kafka, topic: &str) -> TempDir {
    let folder = worker(kafka, topic);
    let path = folder.path().join("surety.toml");
    let config = fs::read_to_string(&path).unwrap();
    let hasty = config
        .replace("records-max = 2000\nrows-max = 6000", "records-max = 1\nrows-max = 1")
        .replace("level = \"info\"", &format!("level = \"{COMMITS_LOGGED}\""));
    assert!(hasty.contains("rows-max = 1\n"), "{hasty}");
    let upkeep = "[lake.upkeep]\ninterval-ms = 1000\nfiles-min = 8\n";
    fs::write(&path, hasty + upkeep).unwrap();
    folder
}

fn produce(kafka: &Kafka, topic: &str, records: u64) {
    let mut producer = ingest::Producer::connect(&kafka.bootstrap(), &BTreeMap::new()).unwrap();
    let (topic, time) = (Topic::new(topic), Timestamp::parse("2026-03-02T00:00:01Z").unwrap());
    for number in 0..records {
        let event = EVENT.replace("evt-7f3a91", &format!("evt-{number}"));
        producer.send(&topic, KafkaPartition(0), time, event.as_bytes()).unwrap();
    }
    producer.flush().unwrap();
}

/// Runs a worker until all records are in the lake, and watches it.
fn life(folder: &Path, records: u64, environment: &[(&str, &str)]) -> Vec<Held> {
    let config = fs::read_to_string(folder.join("surety.toml")).unwrap();
    let address = config.split("listen = \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let output = fs::File::create(folder.join("log")).unwrap();
    let mut process = command(folder, &["run"]);
    // What is freed is given back at once: what is resident is what is held.
    process.env("MIMALLOC_PURGE_DELAY", "0").stderr(output).envs(environment.iter().copied());
    let mut running = Running(process.spawn().unwrap());
    let mut life: Vec<Held> = Vec::new();
    let mut still = 0;
    // Everything is read, and the last of it had the time to be committed.
    while still < 20 {
        std::thread::sleep(Duration::from_millis(50));
        assert!(running.0.try_wait().unwrap().is_none(), "{}", log(folder));
        let commits = metric(&address, "surety_commits_total");
        life.extend(Held::by(running.0.id(), commits).filter(|held| 0 < held.commits));
        let is_read = records <= metric(&address, "surety_next_offset");
        let is_same = life.len() < 2 || life[life.len() - 2].commits == commits;
        still = if is_read && is_same { still + 1 } else { 0 };
    }
    end(folder, running);
    life
}

#[test]
fn a_process_that_commits_on_and_on_holds_no_more_than_when_it_was_young() {
    const NAME: &str = "a_process_that_commits_on_and_on_holds_no_more_than_when_it_was_young";
    if Held::by(std::process::id(), 0).is_none() {
        not_run("what a process holds after many commits: only Linux tells");
        return;
    }
    let kafka = Kafka::start();
    let topic = kafka.topic("uses", 1);
    let folder = hasty_worker(&kafka, &topic);
    let folder = folder.path();
    let commits = setting("SURETY_TEST_COMMITS", 300);
    // While one commit is under way, two records are buffered and no more.
    produce(&kafka, &topic, 2 * commits);

    let life = life(folder, 2 * commits, &[]);

    let last = life.last().unwrap();
    assert!(commits <= last.commits, "{last:?}");
    let grown = grown(&life);
    assert!(grown.is_empty(), "{grown:?}: {life:?}");
    assert_exactly_once(folder, 2 * commits);
    let status =
        surety_json(folder, &["lake", "status", "--lake", "surety-data", "--format", "json"]);
    let events = status["tables"]
        .as_array()
        .unwrap()
        .iter()
        .find(|table| table["table"] == "events")
        .unwrap();
    let files = events["files"].as_u64().unwrap();
    assert!(files < commits / 2, "files are merged meanwhile: {events}");
    let verified = surety(folder, &["verify", "surety-data"]);
    assert!(text(&verified.stdout).contains("\nintact"), "{}", text(&verified.stdout));
    let at = |part: usize| life[(life.len() - 1) * part / 4];
    let took_us = logged_us(&log(folder), "commit_us");
    let quarters = took_us.chunks(took_us.len().div_ceil(4));
    let p99s_ms: Vec<u64> = quarters.map(|quarter| p99_ms(quarter.to_vec())).collect();
    measured(&format!(
        "{} commits: {:?}, {:?}, {:?}, {last:?}; p99 of a commit in each quarter {p99s_ms:?} ms",
        last.commits,
        at(1),
        at(2),
        at(3)
    ));
    tried(NAME, last.commits);
}

/// `fsync` that leaves a file open and memory taken behind each time.
const LEAK: &str = r#"
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int fsync(int fd) {
    int done = syscall(SYS_fsync, fd);
    if (getenv("LEAK_FILES")) dup(fd);
    char *more = getenv("LEAK_BYTES");
    if (more) {
        /* Seen by nobody, but the compiler must not know that. */
        static char *volatile held;
        held = malloc(atol(more));
        memset(held, 1, atol(more));
    }
    return done;
}
"#;

/// The leak as a library that is loaded before the others; `None`, said aloud, without a C compiler.
fn leak(folder: &Path) -> Option<PathBuf> {
    let (source, library) = (folder.join("leak.c"), folder.join("leak.so"));
    fs::write(&source, LEAK).unwrap();
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-w", "-o"]).args([&library, &source]);
    let Ok(output) = compiler.output() else {
        not_run("a process that leaks: there is no C compiler");
        return None;
    };
    assert!(output.status.success(), "{}", text(&output.stderr));
    Some(library)
}

#[test]
fn a_process_that_leaks_files_or_memory_is_found_out() {
    let libraries = TempDir::new().unwrap();
    let Some(library) = leak(libraries.path()) else { return };
    if Held::by(std::process::id(), 0).is_none() {
        not_run("what a process holds after many commits: only Linux tells");
        return;
    }
    let kafka = Kafka::start();
    for (name, value, wanted) in [("LEAK_FILES", "1", "files"), ("LEAK_BYTES", "262144", "bytes")] {
        let topic = kafka.topic("uses", 1);
        let folder = hasty_worker(&kafka, &topic);
        produce(&kafka, &topic, 200);
        let environment = [("LD_PRELOAD", library.to_str().unwrap()), (name, value)];

        let life = life(folder.path(), 200, &environment);

        let grown = grown(&life);
        assert!(grown.len() == 1 && grown[0].contains(wanted), "{name}: {grown:?}: {life:?}");
    }
}
