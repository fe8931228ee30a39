//! O07: a lake and a state of an earlier release are gone on with, and what a later release wrote is
//! refused, or passed over, and stays as it is.
//!
//! `tests/earlier` was made by a build of 2026-11-28 whose checkpoints have version 6, and whose events have
//! no column `dup_of`: `surety replay before.jsonl.gz --lake lake`, with the keys of [`folder`]. The records
//! are thirty quiet days; in `after.jsonl.gz` an agent approves six orders of vendors that nobody knows.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{root, sql, surety, text};

/// A folder with the records, and a configuration with the keys that `tests/earlier` was made with.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    for name in ["before.jsonl.gz", "after.jsonl.gz"] {
        fs::copy(root().join("tests/earlier").join(name), folder.path().join(name)).unwrap();
    }
    fs::write(folder.path().join("test.key"), [7; 32]).unwrap();
    let keys = "[seal]\nkey-file = \"test.key\"\n[redaction]\nkey-file = \"test.key\"\n";
    fs::write(folder.path().join("surety.toml"), keys).unwrap();
    folder
}

/// The same with the earlier release's lake and state.
fn earlier() -> TempDir {
    let folder = folder();
    copy(&root().join("tests/earlier/lake"), &folder.path().join("lake"));
    folder
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

/// Every file below a folder.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    files
}

fn replay(folder: &TempDir, name: &str) -> Output {
    surety(folder.path(), &["replay", name, "--lake", "lake", "--log", "info"])
}

/// Replays what must succeed; returns what it logged.
fn replayed(folder: &TempDir, name: &str) -> String {
    let output = replay(folder, name);
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stderr)
}

/// All that a lake says, but for when it was read.
fn told(folder: &TempDir) -> [Vec<Value>; 3] {
    [
        "SELECT finding_id, time, detector, severity, agent_id, event_id, score, summary, features \
         FROM findings ORDER BY finding_id",
        "SELECT topic, kafka_offset, event_id, time, agent_id, action, counterparty_id, dup_of \
         FROM events ORDER BY topic, kafka_offset",
        "SELECT topic, kafka_offset, reason FROM rejects ORDER BY topic, kafka_offset",
    ]
    .map(|statement| sql(folder.path(), "lake", statement))
}

fn checkpoint(folder: &TempDir) -> PathBuf {
    let checkpoints = fs::read_dir(folder.path().join("lake/state/checkpoints")).unwrap();
    let paths = checkpoints.map(|entry| entry.unwrap().path());
    paths.max().expect("a checkpoint was written")
}

/// The version of a checkpoint stands after sixteen letters.
fn version_of(checkpoint: &Path) -> u32 {
    let bytes = fs::read(checkpoint).unwrap();
    u32::from_le_bytes(bytes[16..20].try_into().unwrap())
}

#[test]
fn a_lake_and_a_state_of_an_earlier_release_are_gone_on_with_as_if_they_were_ours() {
    let (ours, earlier) = (folder(), earlier());
    assert_eq!(version_of(&checkpoint(&earlier)), 6);
    replayed(&ours, "before.jsonl.gz");
    assert!(replayed(&ours, "after.jsonl.gz").contains("state restored"));
    let current = version_of(&checkpoint(&ours));

    let log = replayed(&earlier, "after.jsonl.gz");

    let why = format!("checkpoint has version 6, this build reads {current}");
    assert!(log.contains(&why), "{log}");
    assert!(log.contains("folded what came after the checkpoint events=1200"), "{log}");
    let [findings, events, rejects] = told(&ours);
    assert_eq!([findings.len(), events.len(), rejects.len()], [6, 1_246, 1]);
    assert_eq!(told(&earlier), [findings, events, rejects]);
    let verified = surety(earlier.path(), &["verify", "lake"]);
    assert!(text(&verified.stdout).contains("\nintact"), "{}", text(&verified.stderr));
    // From here on it is a lake and a state of this release.
    assert_eq!(version_of(&checkpoint(&earlier)), current);
    assert!(replayed(&earlier, "after.jsonl.gz").contains("state restored"));
}

#[test]
fn a_state_of_a_later_release_is_passed_over_and_costs_nothing_but_time() {
    let (ours, later) = (folder(), folder());
    for folder in [&ours, &later] {
        replayed(folder, "before.jsonl.gz");
    }
    let path = checkpoint(&later);
    let (mut bytes, current) = (fs::read(&path).unwrap(), version_of(&path));
    bytes[16..20].copy_from_slice(&(current + 1).to_le_bytes());
    fs::write(&path, &bytes).unwrap();

    let log = replayed(&later, "after.jsonl.gz");
    replayed(&ours, "after.jsonl.gz");

    let why = format!("checkpoint has version {}, this build reads {current}", current + 1);
    assert!(log.contains(&why), "{log}");
    assert_eq!(told(&later), told(&ours));
    assert_eq!(fs::read(&path).unwrap(), bytes, "the later release finds it as it was");
}

/// Adds an entry to the log of events, as another release would.
fn changed(folder: &TempDir, entry: &[Value]) {
    let lines: Vec<String> = entry.iter().map(ToString::to_string).collect();
    let log = folder.path().join("lake/events/_delta_log");
    let path = log.join(format!("{:020}.json", fs::read_dir(&log).unwrap().count()));
    fs::write(path, lines.join("\n")).unwrap();
}

/// The metadata of events with another column.
fn metadata(folder: &TempDir, column: &Value) -> Value {
    let first = folder.path().join("lake/events/_delta_log").join(format!("{:020}.json", 0));
    let text = fs::read_to_string(first).unwrap();
    let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut line = lines.find(|line| line.get("metaData").is_some()).unwrap();
    let schema = line["metaData"]["schemaString"].as_str().unwrap();
    let mut schema: Value = serde_json::from_str(schema).unwrap();
    let fields = schema["fields"].as_array_mut().unwrap();
    fields.retain(|field| field["name"] != column["name"]);
    fields.push(column.clone());
    line["metaData"]["schemaString"] = schema.to_string().into();
    line
}

#[test]
fn a_lake_of_a_later_release_is_refused_with_what_differs_and_stays_as_it_is() {
    let made = earlier();
    let features = json!(["rowsOfTomorrow"]);
    let for_writers = json!({"protocol": {
        "minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": features,
    }});
    let for_readers = json!({"protocol": {
        "minReaderVersion": 3, "minWriterVersion": 7,
        "readerFeatures": features, "writerFeatures": features,
    }});
    let column = |name: &str, kind: &str, nullable: bool| {
        let field = json!({"name": name, "type": kind, "nullable": nullable, "metadata": {}});
        metadata(&made, &field)
    };
    let cases = [
        (for_writers, &["column of the log", "writer version 2 at most", "7"][..]),
        (for_readers.clone(), &["column of the log", "writer version 2 at most", "7"][..]),
        (column("tomorrow", "string", false), &["tomorrow", "no such column", "never null"][..]),
        (column("session_id", "long", true), &["session_id", "Utf8", "Int64"][..]),
    ];
    for (entry, wanted) in cases {
        let later = earlier();
        changed(&later, std::slice::from_ref(&entry));
        let before = files(&later.path().join("lake"));

        let output = replay(&later, "after.jsonl.gz");

        let error = text(&output.stderr);
        assert!(matches!(output.status.code(), Some(65 | 69)), "{entry}: {error}");
        assert!(error.contains("events"), "{entry}: {error}");
        assert!(wanted.iter().all(|part| error.contains(part)), "{entry}: {wanted:?}: {error}");
        assert_eq!(files(&later.path().join("lake")), before, "{entry}: nothing was written");
    }
    // Whoever only asks is told the same.
    let later = earlier();
    changed(&later, &[for_readers]);
    let asked = surety(later.path(), &["sql", "SELECT count(*) FROM events", "--lake", "lake"]);
    let error = text(&asked.stderr);
    assert!(!asked.status.success() && error.contains("writer version 2 at most"), "{error}");
    // A column that may be null is what a later release adds: this one writes on, and leaves it out.
    let later = earlier();
    changed(&later, &[column("tomorrow", "string", true)]);
    replayed(&later, "after.jsonl.gz");
    assert_eq!(sql(later.path(), "lake", "SELECT count(*) AS n FROM events")[0]["n"], 1_246);
}
