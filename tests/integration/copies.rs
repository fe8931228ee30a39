//! What producers send again: kept, marked, and counted once; in new lakes and in those of before.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{not_run, root, sql, surety, surety_json, text};

/// A day and the night in which somebody attacks.
const ATTACKED: [&str; 9] = [
    "simulate",
    "--agents",
    "20",
    "--days",
    "2",
    "--start",
    "2026-03-02T00:00:00Z",
    "--attack",
    "procurement-fraud",
];

const TEN_MINUTES_US: i64 = 600_000_000;

/// A number below `end` that depends on `seed` alone.
fn drawn(seed: usize, end: i64) -> i64 {
    let mut mixed =
        (seed as u64).wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^= mixed >> 29;
    i64::try_from(mixed.wrapping_mul(0x94d0_49bb_1331_11eb) >> 33).unwrap() % end
}

fn time_us(line: &str) -> i64 {
    let event: Value = serde_json::from_str(line).unwrap();
    schemas::Timestamp::parse(event["time"].as_str().unwrap()).unwrap().as_micros()
}

/// The lines as they arrive, each up to ten minutes too early or too late, every tenth of them twice; and
/// how many are copies.
fn sent_again(lines: &[&str]) -> (Vec<String>, usize) {
    let mut arriving = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let jitter = |of: usize| drawn(2 * at + of, 2 * TEN_MINUTES_US) - TEN_MINUTES_US;
        arriving.push((time_us(line) + jitter(0), at, (*line).to_owned()));
        if at % 10 == 0 {
            arriving.push((time_us(line) + jitter(1), at, (*line).to_owned()));
        }
    }
    arriving.sort();
    let copies = arriving.len() - lines.len();
    (arriving.into_iter().map(|(_, _, line)| line).collect(), copies)
}

fn replayed(folder: &Path, lake: &str, lines: &[String]) {
    let file = format!("{lake}.jsonl");
    fs::write(folder.join(&file), lines.join("\n") + "\n").unwrap();
    let outcome = surety_json(folder, &["replay", &file, "--lake", lake, "--output", "json"]);
    assert_eq!(outcome["events"], lines.len(), "{outcome}");
}

#[test]
fn every_tenth_event_of_a_day_comes_again_and_the_findings_are_those_of_the_day() {
    let folder = TempDir::new().unwrap();
    let simulated = text(&surety(folder.path(), &ATTACKED).stdout);
    let lines: Vec<&str> = simulated.lines().collect();
    let (arriving, copies) = sent_again(&lines);
    assert!(lines.len() / 10 <= copies && 300 < copies, "{copies}");
    let mut known = BTreeSet::new();
    let unique: Vec<String> =
        arriving.iter().filter(|line| known.insert(line.as_str())).cloned().collect();

    replayed(folder.path(), "copies", &arriving);
    replayed(folder.path(), "unique", &unique);

    let of = |lake: &str, statement: &str| sql(folder.path(), lake, statement);
    let counted = "SELECT count(*) AS n, count(dup_of) AS copies, count(DISTINCT event_id) AS ids FROM events";
    let wanted = json!({"n": arriving.len(), "copies": copies, "ids": lines.len()});
    assert_eq!(of("copies", counted)[0], wanted, "all are kept, and each copy is marked");
    let named = "SELECT count(*) AS n FROM events AS copy JOIN events AS first \
                 ON copy.dup_of = concat(first.topic, '/', first.kafka_partition, '@', first.kafka_offset) \
                 AND copy.event_id = first.event_id AND first.dup_of IS NULL";
    assert_eq!(of("copies", named)[0]["n"], copies, "with the place of the first");
    for statement in [
        "SELECT count(*) AS n FROM events_unique",
        "SELECT detector, severity, event_id, agent_id, score, summary, features, maturity_events, \
         money_at_risk FROM findings ORDER BY event_id, detector",
        "SELECT agent_id, counterparty_id, first_time, last_time, events FROM counterparty_edges ORDER BY 1, 2",
        "SELECT agent_id, events, money FROM agents ORDER BY 1",
        "SELECT counterparty_id, events, money FROM counterparties ORDER BY 1",
        "SELECT credential_id, events FROM credentials ORDER BY 1",
        "SELECT * FROM trace_coverage ORDER BY 1, 2, 3",
    ] {
        let found = of("unique", statement);
        assert!(!found.is_empty(), "{statement}");
        assert_eq!(of("copies", statement), found, "{statement}");
    }
    assert!(20 < of("unique", "SELECT * FROM findings").len(), "findings are compared");
    let verified = surety(folder.path(), &["verify", "copies"]);
    assert!(verified.status.success(), "{}", text(&verified.stdout));
}

#[test]
fn another_act_under_a_known_id_is_no_copy() {
    let folder = TempDir::new().unwrap();
    let order = |amount: &str| {
        json!({
            "schema": "surety.credential_event.v1", "event_id": "use-1", "time": "2026-03-02T10:00:00Z",
            "agent_id": "a", "credential_id": "k", "credential_kind": "static_key",
            "action": "order.approve", "outcome": "success", "amount": amount, "currency": "EUR",
        })
        .to_string()
    };
    let lines = ["100.00", "49900.00", "100.00", "49900.00"].map(order);

    replayed(folder.path(), "lake", &lines);

    let found = sql(folder.path(), "lake", "SELECT dup_of FROM events ORDER BY kafka_offset");
    let topic = sql(folder.path(), "lake", "SELECT min(topic) AS topic FROM events");
    let topic = topic[0]["topic"].as_str().unwrap();
    let marks: Vec<&Value> = found.iter().map(|row| &row["dup_of"]).collect();
    let places = [0, 1].map(|offset| json!(format!("{topic}/0@{offset}")));
    assert_eq!(marks, [&Value::Null, &Value::Null, &places[0], &places[1]]);
    let paid = sql(folder.path(), "lake", "SELECT events, money FROM agents");
    assert_eq!(paid, [json!({"events": 2, "money": "50000.00"})]);
}

fn copied(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let place = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copied(&path, &place);
        } else {
            fs::copy(&path, &place).unwrap();
        }
    }
}

#[test]
fn a_lake_of_before_is_asked_verified_and_written_on() {
    let folder = TempDir::new().unwrap();
    let lake = folder.path().join("surety-data");
    copied(&root().join("lake/tests/lakes/before-copies"), &lake);
    fs::create_dir_all(lake.join("state")).unwrap();
    fs::write(lake.join("state/seal.key"), [7; 32]).unwrap();
    let key = text(&surety(folder.path(), &["seal", "key"]).stdout).trim().to_owned();
    let verify = || surety_json(folder.path(), &["verify", "surety-data", "--format", "json"]);
    let count = || {
        let counted = "SELECT count(*) AS n, count(dup_of) AS copies FROM events";
        sql(folder.path(), "surety-data", counted).remove(0)
    };

    assert_eq!(count(), json!({"n": 21, "copies": 0}));
    assert_eq!((&verify()["is_intact"], &verify()["seals"]), (&true.into(), &2.into()));
    let lines: Vec<String> = [1, 2, 1, 2, 2]
        .map(|n| {
            json!({
                "schema": "surety.credential_event.v1", "event_id": format!("new-{n}"),
                "time": "2026-03-03T10:00:00Z", "agent_id": "procurement-1", "credential_id": "key-1",
                "credential_kind": "static_key", "action": "order.read", "outcome": "success",
            })
            .to_string()
        })
        .to_vec();
    replayed(folder.path(), "surety-data", &lines);

    assert_eq!(count(), json!({"n": 26, "copies": 3}));
    assert_eq!((&verify()["is_intact"], &verify()["seals"]), (&true.into(), &3.into()));
    #[expect(clippy::disallowed_methods, reason = "`make test` says where its Python is")]
    let Ok(python) = std::env::var("SURETY_TEST_PYTHON") else {
        not_run(
            "docs/verify.py on a lake of before: SURETY_TEST_PYTHON is not set, `make test` sets it",
        );
        return;
    };
    let mut command = Command::new(python);
    command.arg(root().join("docs/verify.py")).arg(&lake).arg(key);
    let verified = command.output().expect("the Python of make test can be started");
    assert!(verified.status.success(), "{}{}", text(&verified.stdout), text(&verified.stderr));
}
