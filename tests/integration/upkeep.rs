//! The upkeep by hand: a lake that was merged is the same lake to everybody.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::foreign;
use crate::process::{A_MONDAY, not_run, root, sql, surety, surety_json, text};

const COUNTS: &str = "SELECT count(*) AS n, count(DISTINCT event_id) AS ids, sum(amount) AS amount, \
                      min(time) AS first, max(agent_id) AS last FROM events";

/// A lake of many small commits.
fn lake_of_small_files() -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("surety.toml"), "[batch]\nrecords-max = 50\nrows-max = 50\n")
        .unwrap();
    let simulated = surety(folder.path(), &A_MONDAY);
    assert!(simulated.status.success(), "{}", text(&simulated.stderr));
    let lines = [simulated.stdout.as_slice(), b"not json\n{}\n"].concat();
    fs::write(folder.path().join("day.jsonl"), lines).unwrap();
    surety_json(folder.path(), &["replay", "day.jsonl", "--output", "json"]);
    folder
}

fn of_table<'a>(answer: &'a Value, name: &str) -> &'a Value {
    let tables = answer["tables"].as_array().unwrap();
    tables.iter().find(|table| table["table"] == name).unwrap()
}

fn status(folder: &Path) -> Value {
    surety_json(folder, &["lake", "status", "--format", "json"])
}

/// What `docs/verify.py` says, and how many events other engines count in an older version.
fn foreign_verdict(folder: &Path, version: u64) -> Option<(bool, String, u64)> {
    #[expect(clippy::disallowed_methods, reason = "`make test` says where its Python is")]
    let Ok(python) = std::env::var("SURETY_TEST_PYTHON") else {
        not_run("docs/verify.py on a merged lake: SURETY_TEST_PYTHON is not set");
        return None;
    };
    let lake = folder.join("surety-data");
    let key = text(&surety(folder, &["seal", "key"]).stdout).trim().to_owned();
    let verified = Command::new(&python)
        .arg(root().join("docs/verify.py"))
        .arg(&lake)
        .arg(key)
        .output()
        .expect("the Python of make test can be started");
    let script = "import sys, deltalake\n\
                  table = deltalake.DeltaTable(sys.argv[1], version=int(sys.argv[2]))\n\
                  print(table.to_pyarrow_table().num_rows)";
    let counted = Command::new(&python)
        .args(["-c", script])
        .arg(lake.join("events"))
        .arg(version.to_string())
        .output()
        .expect("the Python of make test can be started");
    let rows = text(&counted.stdout).trim().parse();
    let rows = rows.unwrap_or_else(|_| panic!("{}", text(&counted.stderr)));
    let said = format!("{}{}", text(&verified.stdout), text(&verified.stderr));
    Some((verified.status.success(), said, rows))
}

#[test]
fn a_merged_lake_is_the_same_lake_to_every_reader_and_verifier() {
    let folder = lake_of_small_files();
    let folder = folder.path();
    let before = status(folder);
    let events = of_table(&before, "events");
    let (version, small) =
        (events["version"].as_u64().unwrap(), events["small_files"].as_u64().unwrap());
    assert!(5 < small, "{events}");
    let rows = sql(folder, "surety-data", COUNTS);

    let dry = surety_json(folder, &["lake", "compact", "--dry-run", "--format", "json"]);
    assert_eq!(of_table(&status(folder), "events"), events, "a dry run changes nothing");
    let done = surety_json(folder, &["lake", "compact", "--format", "json"]);

    assert_eq!(of_table(&dry, "events")["files_before"], of_table(&done, "events")["files_before"]);
    let files_before = &of_table(&done, "events")["files_before"];
    let after = status(folder);
    let merged = of_table(&after, "events");
    assert_eq!(
        (&merged["files"], &merged["rows"]),
        (&merged["months"], &events["rows"]),
        "{merged}"
    );
    assert_eq!(&merged["kept_files"], files_before);
    assert_eq!((&merged["orphans"], merged["compacted"].is_string()), (&0.into(), true));
    assert_eq!(sql(folder, "surety-data", COUNTS), rows);
    let verified = surety_json(folder, &["verify", "surety-data", "--format", "json"]);
    assert_eq!((&verified["is_intact"], &verified["flaws"]), (&true.into(), &Value::Array(vec![])));
    foreign::agrees(folder);
    if let Some((is_intact, said, rows)) = foreign_verdict(folder, version) {
        assert!(is_intact, "{said}");
        assert_eq!(Some(rows), events["rows"].as_u64(), "an older version is still there");
    }
    // What comes afterwards goes on where the lake was.
    fs::write(folder.join("more.jsonl"), "not json either\n{}\n").unwrap();
    surety_json(folder, &["replay", "more.jsonl", "--output", "json"]);
    let verified = surety_json(folder, &["verify", "surety-data", "--format", "json"]);
    assert_eq!((&verified["is_intact"], &verified["unsealed"]), (&true.into(), &0.into()));
}

#[test]
fn a_short_horizon_is_refused_and_a_merged_file_that_is_changed_is_found() {
    let folder = lake_of_small_files();
    let folder = folder.path();
    let refused = surety(folder, &["lake", "vacuum", "--horizon-hours", "1"]);
    assert_eq!(refused.status.code(), Some(64), "{}", text(&refused.stderr));
    assert!(text(&refused.stderr).contains("would lose files"), "{}", text(&refused.stderr));
    let none = surety(folder, &["lake", "status", "--lake", "elsewhere"]);
    assert!(text(&none.stdout).contains("no table yet"), "{}", text(&none.stderr));
    let swept = surety_json(folder, &["lake", "vacuum", "--format", "json"]);
    assert_eq!(of_table(&swept, "events")["files"], 0);
    let retained = ["lake", "retain", "--dry-run", "--format", "json"];
    assert_eq!(surety_json(folder, &retained)["tables"], Value::Array(vec![]));

    surety_json(folder, &["lake", "compact", "--format", "json"]);
    let events = fs::read_dir(folder.join("surety-data/events")).unwrap();
    let mut folders = events.map(|entry| entry.unwrap().path());
    let month = folders.find(|path| path.to_str().unwrap().contains("month=")).unwrap();
    let files = fs::read_dir(month).unwrap().map(|entry| entry.unwrap().path());
    let newest = files.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let mut bytes = fs::read(&newest).unwrap();
    bytes[2_000] ^= 0x10;
    fs::write(&newest, bytes).unwrap();

    let verified = surety(folder, &["verify", "surety-data"]);
    assert_eq!(verified.status.code(), Some(1), "{}", text(&verified.stderr));
    let name = newest.file_name().unwrap().to_str().unwrap();
    assert!(text(&verified.stdout).contains(name), "{}", text(&verified.stdout));
    if let Some((is_intact, said, _)) = foreign_verdict(folder, 1) {
        assert!(!is_intact && said.contains(name), "{said}");
    }
}
