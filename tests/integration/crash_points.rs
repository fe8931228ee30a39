//! E01, E02: the process ends at a crash point, ends again while it recovers, and nothing shows.
//!
//! `SURETY_TEST_CRASHES` says how often it ends at each point (the n-th try ends where it comes there for
//! the n-th time); without it a few points are tried once.

use std::fs;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::exactly_once::setting;
use crate::process::{command, sql, surety, text, tried};

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
    let mut command = command(folder, &["replay", "uses.jsonl", "--lake", lake]);
    if !crash_at.is_empty() {
        command.env("SURETY_CRASH_AT", crash_at);
    }
    command.output().expect("the binary can be started")
}

fn findings(folder: &Path, lake: &str) -> Vec<Value> {
    let columns = "finding_id, score, summary, features, kafka_offset";
    sql(folder, lake, &format!("SELECT {columns} FROM findings ORDER BY finding_id"))
}

#[test]
fn a_process_that_ends_at_a_crash_point_leaves_nothing_to_see() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let simulated = [
        "simulate",
        "--agents",
        "20",
        "--days",
        "8",
        "--start",
        "2026-03-02T00:00:00Z",
        "--attack",
        "procurement-fraud",
        "--out",
        "uses.jsonl",
    ];
    let output = surety(folder, &simulated);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let mut uses = fs::File::options().append(true).open(folder.join("uses.jsonl")).unwrap();
    uses.write_all(b"not json\n{}\n").unwrap();
    let records = fs::read_to_string(folder.join("uses.jsonl")).unwrap().lines().count() as u64;
    fs::write(folder.join("surety.toml"), "[batch]\nrows-max = 3000\n").unwrap();
    assert!(replay(folder, "calm", "").status.success());
    let wanted = findings(folder, "calm");
    assert!(!wanted.is_empty(), "the fraud was found");
    let crashes = setting("SURETY_TEST_CRASHES", 0);
    let points = POINTS.iter().chain(MORE_POINTS.iter().filter(|_| 0 < crashes));

    let mut tries = 0;
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
            let rest = replay(folder, &lake, "");
            assert!(rest.status.success(), "{at}: {}", text(&rest.stderr));

            let places =
                "SELECT kafka_offset AS o FROM events UNION ALL SELECT kafka_offset FROM rejects";
            let counts = format!("SELECT count(*) AS n, count(DISTINCT o) AS d FROM ({places})");
            let counted = sql(folder, &lake, &counts);
            for count in ["n", "d"] {
                assert_eq!(counted[0][count].as_u64(), Some(records), "{at}: {count}");
            }
            assert_eq!(findings(folder, &lake), wanted, "{at}");
            let verified = surety(folder, &["verify", &lake]);
            assert!(verified.status.success(), "{at}: {}", text(&verified.stdout));
            fs::remove_dir_all(folder.join(&lake)).unwrap();
            tries += 1;
        }
    }
    tried("a_process_that_ends_at_a_crash_point_leaves_nothing_to_see", tries);
}
