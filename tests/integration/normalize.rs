//! Formats of one's own from outside: trying them, reading with them, and reading rejects again.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Running, command, sql, surety, surety_json, text};

const RECORDS: &str = r#"{"who":{"name":"Buyer-7"},"at":"02/Mar/2026:10:00:00 +0000","did":"pay","code":200}
{"who":{},"at":"02/Mar/2026:10:00:01 +0000","did":"pay","code":403,"password":"hunter2"}
"#;

/// A folder with records and a configuration in which agents are found so.
fn folder(agent: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("records.jsonl"), RECORDS).unwrap();
    configure(&folder, agent);
    folder
}

fn configure(folder: &TempDir, agent: &str) {
    let text = format!(
        r#"
[[formats]]
name = "acme"
[formats.fields]
time = 'time(.at, "%d/%b/%Y:%H:%M:%S %z")'
agent_id = '{agent}'
action = 'prefix("acme:", .did)'
outcome = 'map(.code, 200 => "success", 403 => "denied", _ => "error")'
"#
    );
    fs::write(folder.path().join("surety.toml"), text).unwrap();
}

#[test]
fn normalize_shows_each_record_beside_what_becomes_of_it_and_writes_nothing() {
    let folder = folder("lower(.who.name)");
    let arguments = ["normalize", "records.jsonl", "--format", "acme", "--output", "json"];

    let output = surety(folder.path(), &arguments);

    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let lines: Vec<Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["input"]["who"]["name"], "Buyer-7");
    assert_eq!(lines[0]["event"]["agent_id"], "buyer-7");
    assert_eq!(lines[0]["event"]["time"], "2026-03-02T10:00:00.000000Z");
    assert_eq!(lines[0]["event"]["format"], "acme");
    assert_eq!(lines[1]["reject"]["reason"], "no_agent");
    assert!(!text(&output.stdout).contains("hunter2"));
    let mut left: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|one| one.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["records.jsonl", "surety.toml"]);

    let shown = surety(folder.path(), &["normalize", "records.jsonl", "--format", "acme"]);
    let shown = text(&shown.stdout);
    assert!(
        shown.contains("record 0: event") && shown.contains("=> no_agent: wanted an agent"),
        "{shown}"
    );
    assert!(shown.contains("2 records: 1 events, 1 rejects"), "{shown}");
}

#[test]
fn normalize_reads_standard_input_and_ends_well_where_all_are_events() {
    let folder = folder("lower(.who.name) ?? \"nobody\"");
    let mut child =
        command(folder.path(), &["normalize", "-", "--format", "acme", "--output", "json"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
    child.stdin.take().unwrap().write_all(RECORDS.as_bytes()).unwrap();

    let output = child.wait_with_output().unwrap();

    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout).lines().count(), 2);
    let unknown = surety(folder.path(), &["normalize", "records.jsonl", "--format", "other"]);
    assert_eq!(unknown.status.code(), Some(64));
    assert!(text(&unknown.stderr).contains("cloudevents, acme"), "{}", text(&unknown.stderr));
}

#[test]
fn normalize_shows_each_of_several_in_one_record() {
    let folder = folder("lower(.who.name)");
    let lines: Vec<&str> = RECORDS.lines().collect();
    let records = format!("{0}\n[{0}, {1}]\n", lines[0], lines[1]);
    fs::write(folder.path().join("several.jsonl"), records).unwrap();
    let arguments = ["normalize", "several.jsonl", "--format", "acme"];

    let json = surety(folder.path(), &[&arguments[..], &["--output", "json"]].concat());
    let shown = surety(folder.path(), &arguments);
    let refused = surety(folder.path(), &[&arguments[..], &["--rejects-only"]].concat());

    assert_eq!(json.status.code(), Some(1));
    let json: Vec<Value> =
        text(&json.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(json[0]["event"]["agent_id"], "buyer-7");
    assert_eq!(json[1]["input"].as_array().unwrap().len(), 2);
    assert_eq!(json[1]["parts"][0]["event"]["agent_id"], "buyer-7");
    assert_eq!(json[1]["parts"][1]["reject"]["reason"], "no_agent");
    let (shown, refused) = (text(&shown.stdout), text(&refused.stdout));
    assert!(shown.contains("record 1: 2 in one") && shown.contains("=> 1: no_agent"), "{shown}");
    assert!(shown.contains("2 records: 2 events, 1 rejects"), "{shown}");
    assert!(!refused.contains("=> 0: ") && refused.contains("=> 1: no_agent"), "{refused}");
}

#[test]
fn a_replay_of_rejects_that_is_killed_again_and_again_makes_each_event_once() {
    const REJECTS: usize = 300;
    let folder = folder(".who.name");
    let record = |n: usize| {
        format!(
            "{{\"user\":\"u{n}\",\"at\":\"02/Mar/2026:10:00:00 +0000\",\"did\":\"pay\",\"code\":200}}"
        )
    };
    // Some stand alone, and three in each other line; a list in the first would be the whole file.
    let records: Vec<String> = (0..REJECTS).map(record).collect();
    let (alone, rest) = records.split_at(REJECTS / 2);
    let several = rest.chunks(3).map(|some| format!("[{}]\n", some.join(",")));
    let records: String = alone.iter().map(|line| format!("{line}\n")).chain(several).collect();
    fs::write(folder.path().join("many.jsonl"), records).unwrap();
    let read = surety_json(
        folder.path(),
        &["replay", "many.jsonl", "--format", "acme", "--output", "json"],
    );
    assert_eq!(read["rejects"], REJECTS);
    configure(&folder, ".who.name ?? .user");

    for pause_ms in [30, 60, 90, 120, 160, 200, 250, 300, 400, 600] {
        let child = command(folder.path(), &["rejects", "replay"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(pause_ms));
        Running(child).kill();
    }
    surety_json(folder.path(), &["rejects", "replay", "--format", "json"]);

    let statement = "SELECT count(*) AS events, count(DISTINCT attributes['replay_of']) AS places, \
        count(DISTINCT agent_id) AS agents, (SELECT count(*) FROM open_rejects) AS open FROM events";
    let row = sql(folder.path(), "surety-data", statement)[0].clone();
    for name in ["events", "places", "agents"] {
        assert_eq!(row[name], REJECTS, "{name}: {row}");
    }
    assert_eq!(row["open"], 0);
    // A kill between the last commit and its seal leaves nothing to replay and a seal to make.
    let sealed = surety(folder.path(), &["seal", "catch-up"]);
    assert!(sealed.status.success(), "{}", text(&sealed.stderr));
    let verified = surety(folder.path(), &["verify"]);
    assert!(verified.status.success(), "{}", text(&verified.stdout));
}
