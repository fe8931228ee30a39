//! E01, E02: the process ends at a crash point, ends again while it recovers, and nothing shows.
//!
//! `SURETY_TEST_CRASHES` says how often it ends at each point (the n-th try ends where it comes there for
//! the n-th time); without it a few points are tried once.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::exactly_once::setting;
use crate::process::{command, measured, simulate_fraud, sql, surety, text, tried};
use crate::receiver::Receiver;

/// Those that every try of the tests meets.
const POINTS: [&str; 4] =
    ["events.landed", "findings.landed", "counterparty_edges.stored", "checkpoint.written"];
const MORE_POINTS: [&str; 16] = [
    "batch.polled",
    "findings.found",
    "findings.handed-over",
    "events.encoded",
    "events.stored",
    "rejects.encoded",
    "rejects.stored",
    "rejects.landed",
    "findings.stored",
    "counterparty_edges.landed",
    "seals.encoded",
    "seals.stored",
    "seals.landed",
    "file.staged",
    "cut.landed",
    "checkpoint.named",
];
/// What a process ends with that aborts.
const SIGABRT: i32 = 6;

fn replay(folder: &Path, lake: &str, crash_at: &str) -> std::process::Output {
    let mut arguments = vec!["replay", "uses.jsonl", "--lake", lake];
    // Without endpoints nothing is handed over.
    arguments.extend(crash_at.starts_with("findings.handed-over").then_some("--webhooks"));
    let mut command = command(folder, &arguments);
    if !crash_at.is_empty() {
        command.env("SURETY_CRASH_AT", crash_at);
    }
    command.output().expect("the binary can be started")
}

/// Entries of the logs of all tables.
fn entries(lake: &Path) -> usize {
    let folders = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
    let tables = folders(lake).map(|table| table.path().join("_delta_log"));
    let entries = tables.flat_map(|log| folders(&log));
    entries.filter(|entry| entry.path().extension().is_some_and(|kind| kind == "json")).count()
}

/// Runs it to its end; and when it had written its first entry, if it did.
fn timed(folder: &Path, lake: &str) -> (std::process::Output, Option<Duration>) {
    let before = entries(&folder.join(lake));
    let began = Instant::now();
    let mut command = command(folder, &["replay", "uses.jsonl", "--lake", lake]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = None;
    while child.try_wait().unwrap().is_none() {
        if first.is_none() && before < entries(&folder.join(lake)) {
            first = Some(began.elapsed());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    (child.wait_with_output().unwrap(), first)
}

pub(crate) fn findings(folder: &Path, lake: &str) -> Vec<Value> {
    let columns = "finding_id, score, summary, features, kafka_offset";
    sql(folder, lake, &format!("SELECT {columns} FROM findings ORDER BY finding_id"))
}

/// How long it took from a start after each crash to the first commit. No judgement: it depends on the machine.
fn tell(slowest: &BTreeMap<&str, Duration>) {
    for (point, time) in slowest {
        measured(&format!("E01 first commit after {point}: {} ms", time.as_millis()));
    }
    if let Some((point, time)) = slowest.iter().max_by_key(|(_, time)| **time) {
        let ms = time.as_millis();
        measured(&format!("E01 first commit, all points: {ms} ms at most, after {point}"));
    }
}

/// Each record once, the same findings, and seals that hold.
pub(crate) fn assert_whole(folder: &Path, lake: &str, records: u64, wanted: &[Value]) {
    let places = "SELECT kafka_offset AS o FROM events UNION ALL SELECT kafka_offset FROM rejects";
    let counts = format!("SELECT count(*) AS n, count(DISTINCT o) AS d FROM ({places})");
    let counted = sql(folder, lake, &counts);
    for count in ["n", "d"] {
        assert_eq!(counted[0][count].as_u64(), Some(records), "{lake}: {count}");
    }
    assert_eq!(findings(folder, lake), wanted, "{lake}");
    let verified = surety(folder, &["verify", lake]);
    assert!(verified.status.success(), "{lake}: {}", text(&verified.stdout));
}

#[test]
fn a_process_that_ends_at_a_crash_point_leaves_nothing_to_see() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    simulate_fraud(folder, 20, 8);
    let mut uses = fs::File::options().append(true).open(folder.join("uses.jsonl")).unwrap();
    uses.write_all(b"not json\n{}\n").unwrap();
    let records = fs::read_to_string(folder.join("uses.jsonl")).unwrap().lines().count() as u64;
    let receiver = Receiver::start();
    let config = format!("[batch]\nrows-max = 3000\n{}", receiver.config());
    fs::write(folder.join("surety.toml"), config).unwrap();
    assert!(replay(folder, "calm", "").status.success());
    let wanted = findings(folder, "calm");
    assert!(!wanted.is_empty(), "the fraud was found");
    let crashes = setting("SURETY_TEST_CRASHES", 0);
    let points = POINTS.iter().chain(MORE_POINTS.iter().filter(|_| 0 < crashes));

    let (mut tries, mut slowest) = (0, BTreeMap::<&str, Duration>::new());
    for point in points {
        for nth in 1..=crashes.max(1) {
            let (lake, at) = (format!("{point}-{nth}"), format!("{point}:{nth}"));
            let crashed = replay(folder, &lake, &at);
            let is_crash = crashed.status.signal() == Some(SIGABRT);
            // Some are passed once or twice only.
            let is_done = 1 < nth && crashed.status.success();
            assert!(is_crash || is_done, "{at}: {}", text(&crashed.stderr));
            let again = replay(folder, &lake, "state.read");
            assert_eq!(again.status.signal(), Some(SIGABRT), "{at}: {}", text(&again.stderr));
            let (rest, first_commit) = timed(folder, &lake);
            if let Some(time) = first_commit {
                let known = slowest.entry(point).or_default();
                *known = time.max(*known);
            }
            assert!(rest.status.success(), "{at}: {}", text(&rest.stderr));

            assert_whole(folder, &lake, records, &wanted);
            fs::remove_dir_all(folder.join(&lake)).unwrap();
            tries += 1;
        }
    }
    tell(&slowest);
    tried("a_process_that_ends_at_a_crash_point_leaves_nothing_to_see", tries);
}
