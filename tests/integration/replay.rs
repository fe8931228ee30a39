//! Replaying files: the real CloudTrail stream, broken files, and the same file twice.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::process::{A_MONDAY, not_run, root, sql, surety, surety_json, text};

/// The real stream, kept beside the project; `None`, said aloud, where it is not.
fn cloudtrail() -> Option<PathBuf> {
    let path = root().join("../shared/data/cloudtrail-attack-run/events.jsonl.gz");
    if !path.exists() {
        not_run(&format!("the real CloudTrail stream: {} is absent", path.display()));
        return None;
    }
    Some(path)
}

#[test]
fn the_real_cloudtrail_stream_is_read_whole_and_only_once() {
    let Some(file) = cloudtrail() else { return };
    let folder = TempDir::new().unwrap();
    let arguments =
        ["replay", file.to_str().unwrap(), "--format", "cloudtrail", "--output", "json"];

    let first = surety_json(folder.path(), &arguments);
    let second = surety_json(folder.path(), &arguments);

    assert_eq!(first["events"].as_u64().unwrap() + first["rejects"].as_u64().unwrap(), 2_900);
    assert_eq!(second["records"], 0);
    let rows = sql(
        folder.path(),
        "surety-data",
        "SELECT count(*) AS n, count(DISTINCT event_id) AS ids, \
         count(*) FILTER (WHERE agent_id <> '' AND credential_id <> '' AND credential_kind <> '' \
                          AND action LIKE '%:%' AND outcome IN ('success', 'denied', 'error')) AS whole \
         FROM events",
    );
    assert_eq!(rows[0]["n"], first["events"]);
    assert_eq!(rows[0]["whole"], first["events"]);
    assert_eq!(rows[0]["ids"], first["events"]);
}

#[test]
fn what_cannot_be_read_becomes_a_reject_with_its_reason() {
    let folder = TempDir::new().unwrap();
    let deep = "[".repeat(20_000);
    let good =
        include_str!("../../schemas/json/credential_event.v1.example.json").replace('\n', "");
    let lines = format!("{good}\nnot json\n{{}}\n{deep}\n\n{}", &good[..good.len() / 2]);
    fs::write(folder.path().join("mixed.jsonl"), lines).unwrap();

    // The last line ends in the middle of a record: all the rest is committed, and the exit says so.
    let output = surety(folder.path(), &["replay", "mixed.jsonl", "--output", "json"]);

    assert_eq!(output.status.code(), Some(65), "{}", text(&output.stderr));
    let outcome: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&outcome["events"], &outcome["rejects"]), (&1.into(), &4.into()), "{outcome}");
    let rows = sql(
        folder.path(),
        "surety-data",
        "SELECT reason, detail FROM rejects ORDER BY kafka_offset",
    );
    let reasons: Vec<_> = rows.iter().map(|row| row["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["not_json", "bad_field", "too_deep", "not_json"]);
    assert!(rows.iter().all(|row| row["detail"].as_str().unwrap().len() > 5));
}

#[test]
fn a_truncated_archive_keeps_what_could_be_read_and_says_so() {
    let folder = TempDir::new().unwrap();
    let simulated = surety(folder.path(), &A_MONDAY);
    let whole = gzip(&simulated.stdout);
    fs::write(folder.path().join("cut.jsonl.gz"), &whole[..whole.len() / 2]).unwrap();

    let output = surety(folder.path(), &["replay", "cut.jsonl.gz"]);

    assert_eq!(output.status.code(), Some(65), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("cut.jsonl.gz"), "{}", text(&output.stderr));
    let rows = sql(folder.path(), "surety-data", "SELECT count(*) AS n FROM events");
    assert!(100 < rows[0]["n"].as_u64().unwrap(), "{rows:?}");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut child = std::process::Command::new("gzip")
        .arg("-c")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("gzip is there");
    let mut input = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || input.write_all(&bytes));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    output.stdout
}

#[test]
fn a_file_that_is_not_there_exits_with_65_and_is_named() {
    let folder = TempDir::new().unwrap();

    let output = surety(folder.path(), &["replay", "absent.jsonl"]);

    assert_eq!(output.status.code(), Some(65));
    assert!(text(&output.stderr).contains("absent.jsonl"));
}
