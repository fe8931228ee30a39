//! O02: the disk fails below the process, by a library that stands before the C library's calls.
//!
//! `SURETY_TEST_DISK` says at how many calls of each kind it fails, drawn from all that a run makes.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::crash_points::{assert_whole, findings};
use crate::exactly_once::{drawn, setting};
use crate::process::{command, preloaded, root, simulate_fraud, text, tried};

const NAME: &str = "a_disk_that_fails_below_the_process_ends_it_and_nothing_shows";
/// Calls of a kind that a run makes at least.
const CALLS: u64 = 20;

fn replay(folder: &Path, lake: &str) -> Command {
    command(folder, &["replay", "uses.jsonl", "--lake", lake])
}

/// A replay on a disk of which the n-th call of a kind fails, and what it did to the lake from there on, the
/// failure first.
fn failing(folder: &Path, library: &Path, call: &str, nth: u64) -> (Output, Vec<String>) {
    let (lake, log) = (format!("{call}-{nth}"), folder.join(format!("{call}-{nth}.log")));
    let output = replay(folder, &lake)
        .env("LD_PRELOAD", library)
        .env("DISK_CALL", call)
        .env("DISK_NTH", nth.to_string())
        .env("DISK_UNDER", folder.join(&lake))
        .env("DISK_LOG", &log)
        .output()
        .unwrap();
    let told = fs::read_to_string(&log).unwrap_or_default();
    if !told.is_empty() {
        fs::remove_file(log).unwrap();
    }
    (output, told.lines().map(ToOwned::to_owned).collect())
}

/// Whether an entry gets its name here that comes when everything else of a commit is done. The first entry of
/// a table makes it, and commits nothing.
fn is_of_a_commit(line: &str) -> bool {
    let is_last =
        ["/events/_delta_log/", "/seals/_delta_log/"].iter().any(|log| line.contains(log));
    line.starts_with("link ") && is_last && !line.ends_with("/00000000000000000000.json")
}

#[test]
fn a_disk_that_fails_below_the_process_ends_it_and_nothing_shows() {
    let folder = TempDir::new().unwrap();
    let folder = &folder.path().canonicalize().unwrap();
    let source = root().join("tests/integration/disk.c");
    let Some(library) = preloaded(folder, &source, "a disk that fails") else { return };
    simulate_fraud(folder, 20, 8);
    let records = fs::read_to_string(folder.join("uses.jsonl")).unwrap().lines().count() as u64;
    // Apart from the lake, so that it is the lake's disk that fails.
    let state = format!("[batch]\nrows-max = 3000\n[state]\ndir = \"{}/of\"\n", folder.display());
    fs::write(folder.join("surety.toml"), state).unwrap();
    assert!(replay(folder, "calm").output().unwrap().status.success());
    let wanted = findings(folder, "calm");
    assert!(!wanted.is_empty(), "the fraud was found");
    let seed = setting("SURETY_TEST_SEED", u64::from(std::process::id()));

    let tries = setting("SURETY_TEST_DISK", 2);
    for (at, call) in (0..).zip(["fsync", "write", "short", "EINTR"]) {
        for number in 0..tries {
            let nth = 1 + drawn(seed + 100 * at + number) % CALLS;
            let lake = format!("{call}-{nth}");
            let (output, log) = failing(folder, &library, call, nth);
            let told = text(&output.stderr);
            assert!(log.first().is_some_and(|line| line.starts_with("failed ")), "{lake}: {log:?}");
            match call {
                "fsync" => {
                    assert_eq!(output.status.code(), Some(69), "{lake}: {told}");
                    assert!(told.contains("failed to sync"), "{lake}: {told}");
                    assert!(
                        told.contains("Input/output error") || told.contains("it did before"),
                        "{lake}: {told}"
                    );
                    // What was begun of other tables at that moment may end: their own bytes are synced.
                    let late = log[1..].iter().filter(|line| is_of_a_commit(line));
                    assert_eq!(late.count(), 0, "{lake}: committed after a failed sync: {log:?}");
                }
                // What was not written, or not all of it, is written again.
                _ => assert!(output.status.success(), "{lake}: {told}"),
            }
            let rest = replay(folder, &lake).output().unwrap();
            assert!(rest.status.success(), "{lake}: {}", text(&rest.stderr));

            assert_whole(folder, &lake, records, &wanted);
            fs::remove_dir_all(folder.join(&lake)).unwrap();
        }
    }
    tried(NAME, 4 * tries);
}
