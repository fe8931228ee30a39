//! Rejects through the whole of it: a file, a fix, a replay, another one at once, a crash before it.

use std::path::Path;

use clap::Parser as _;
use schemas::Offset;
use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::cli::{self, Cli, Command};
use crate::commands::{replay as file, rows_of};

const RECORDS: &str = r#"{"agent":"a1","at":"2026-03-02T10:00:00Z"}
{"user":"u1","at":"2026-03-02T10:00:01Z"}
{"agent":"a2","at":"2026-03-02T10:00:02Z"}
not json
{"user":"u2","at":"2026-03-02T10:00:03Z"}
"#;

/// A lake with the records in a folder, and its configuration with this as the agent's expression.
fn config(folder: &Path, agent: &str) -> Config {
    let path = folder.join("surety.toml");
    let lake = folder.join("lake");
    let text = format!(
        "[lake]\nurl = {lake:?}\n[[formats]]\nname = \"acme\"\n[formats.fields]\nagent_id = '{agent}'\n\
         time = '.at'\naction = '\"read\"'\noutcome = '\"success\"'\n"
    );
    std::fs::write(&path, text).unwrap();
    Config::load(Some(&path)).unwrap()
}

fn parsed(line: &str) -> Command {
    Cli::try_parse_from(line.split(' ')).unwrap().command
}

async fn with_records() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("records.jsonl");
    std::fs::write(&path, RECORDS).unwrap();
    let line = format!("surety replay {} --format acme", path.display());
    let Command::Replay(args) = parsed(&line) else { unreachable!("it is a replay") };
    Box::pin(file::run(args, &config(folder.path(), ".agent"), CancellationToken::new()))
        .await
        .unwrap();
    folder
}

async fn replayed(config: &Config, more: &str) -> Result<Exit, Failure> {
    let line = format!("surety rejects replay --format json{more}");
    let Command::Rejects(cli::Rejects::Replay(args)) = parsed(&line) else {
        unreachable!("it is a replay of rejects")
    };
    Box::pin(replay(args, config, CancellationToken::new())).await
}

fn lake_of(config: &Config) -> Lake {
    let locations = Locations::of(&cli::LakeArg { lake: None }, config).unwrap();
    wiring::open_lake(&locations).unwrap()
}

async fn rows(config: &Config, sql: &str) -> Value {
    let lake = lake_of(config);
    let engine = query::Engine::open(&lake, query::Limits::ONE_PERSON).await.unwrap();
    rows_of(&engine, sql).await.unwrap()
}

/// Events, rejects, open rejects, and events that name a reject, each place once.
async fn counts(config: &Config) -> [u64; 4] {
    let sql = "SELECT (SELECT count(*) FROM events) AS e, (SELECT count(*) FROM rejects) AS r, \
        (SELECT count(*) FROM open_rejects) AS o, \
        (SELECT count(DISTINCT attributes['replay_of']) FROM events WHERE topic = 'rejects.replay') AS p";
    let row = rows(config, sql).await[0].clone();
    ["e", "r", "o", "p"].map(|name| row[name].as_u64().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_fix_makes_readable_is_an_event_once_however_often_it_is_replayed() {
    let folder = with_records().await;
    let unfixed = config(folder.path(), ".agent");
    assert_eq!(counts(&unfixed).await, [2, 3, 3, 0]);
    replayed(&unfixed, "").await.unwrap();
    assert_eq!(counts(&unfixed).await, [2, 3, 3, 0], "nothing was fixed");

    let fixed = config(folder.path(), ".agent ?? .user");
    replayed(&fixed, " --dry-run").await.unwrap();
    assert_eq!(counts(&fixed).await, [2, 3, 3, 0], "a dry run changes nothing");
    replayed(&fixed, " --reason not_json").await.unwrap();
    assert_eq!(counts(&fixed).await, [2, 3, 3, 0], "that one cannot be fixed");
    for _ in 0..3 {
        replayed(&fixed, "").await.unwrap();
        assert_eq!(counts(&fixed).await, [4, 3, 1, 2]);
    }
    let ids =
        rows(&fixed, "SELECT event_id FROM events WHERE topic = 'rejects.replay' ORDER BY 1").await;
    let ids: Vec<&str> =
        ids.as_array().unwrap().iter().filter_map(|row| row["event_id"].as_str()).collect();
    assert!(
        ids[0].ends_with("-0-1") && ids[1].ends_with("-0-4"),
        "those of their own places: {ids:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_make_each_event_once() {
    let folder = with_records().await;
    let fixed = config(folder.path(), ".agent ?? .user");

    let (one, other) = tokio::join!(replayed(&fixed, ""), replayed(&fixed, " --reason no_agent"));

    // One may find that the other was quicker; neither may have made an event twice.
    assert!(one.is_ok() || other.is_ok(), "{one:?} {other:?}");
    replayed(&fixed, "").await.unwrap();
    assert_eq!(counts(&fixed).await, [4, 3, 1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_was_left_behind_is_carried_out_first() {
    let folder = with_records().await;
    let fixed = config(folder.path(), ".agent ?? .user");
    let lake = lake_of(&fixed);
    let open = lake.open_rejects().await.unwrap();
    let first = open.rejects.iter().find(|reject| reject.reason == RejectReason::NoAgent).unwrap();
    let left = PlannedReject { position: first.position.clone(), format: first.format };
    let plan = ReplayPlan { rejects: vec![left] };
    assert_eq!(open.start, Offset::START);
    lake.keep_replay_plan(open.start, &plan).await.unwrap();

    replayed(&fixed, "").await.unwrap();

    assert_eq!(counts(&fixed).await, [4, 3, 1, 2]);
    assert_eq!(lake.open_rejects().await.unwrap().start, Offset(2));
}

/// The places of the rejects that are open, and the ids of the events that were made of rejects.
async fn open_and_made(config: &Config) -> (Vec<String>, Vec<String>) {
    let texts = |rows: &Value| -> Vec<String> {
        let text = |row: &Value| row["t"].as_str().unwrap().to_owned();
        rows.as_array().unwrap().iter().map(text).collect()
    };
    let open = rows(
        config,
        "SELECT concat(CAST(kafka_offset AS VARCHAR), CASE WHEN record_part IS NULL THEN '' ELSE concat('.', CAST(record_part AS VARCHAR)) END) \
         AS t FROM open_rejects ORDER BY 1",
    );
    let open = texts(&open.await);
    let made = "SELECT event_id AS t FROM events WHERE topic = 'rejects.replay' ORDER BY 1";
    let made = texts(&rows(config, made).await);
    (open, made.iter().map(|id| id.rsplit_once('-').unwrap().1.to_owned()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_several_in_a_record_is_replayed_once_and_no_other_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("records.jsonl");
    let one =
        |kind: &str, name: &str| format!(r#"{{"{kind}":"{name}","at":"2026-03-02T10:00:00Z"}}"#);
    let several = format!(
        r#"{{"Records": [{}, {}, {{}}, {}]}}"#,
        one("agent", "a1"),
        one("user", "u1"),
        one("user", "u2")
    );
    // The second line, or the file would be one array.
    std::fs::write(&path, format!("{}\n{several}\n", one("agent", "a0"))).unwrap();
    let line = format!("surety replay {} --format acme", path.display());
    let Command::Replay(args) = parsed(&line) else { unreachable!("it is a replay") };
    let unfixed = config(folder.path(), ".agent");
    Box::pin(file::run(args, &unfixed, CancellationToken::new())).await.unwrap();
    assert_eq!(counts(&unfixed).await, [2, 3, 3, 0]);
    assert_eq!(open_and_made(&unfixed).await.0, ["1.1", "1.2", "1.3"]);

    let fixed = config(folder.path(), ".agent ?? .user");
    for _ in 0..3 {
        replayed(&fixed, "").await.unwrap();
        assert_eq!(counts(&fixed).await, [4, 3, 1, 2]);
        let (open, made) = open_and_made(&fixed).await;
        assert_eq!(
            (open, made),
            (vec!["1.2".to_owned()], vec!["1.1".to_owned(), "1.3".to_owned()])
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reject_that_holds_several_is_replayed_when_all_of_them_are_events() {
    let folder = tempfile::tempdir().unwrap();
    let unfixed = config(folder.path(), ".agent");
    let one = |kind: &str| format!(r#"{{"{kind}":"x","at":"2026-03-02T10:00:00Z"}}"#);
    // As a release did that took nothing apart.
    let raw = format!("[{},{}]", one("agent"), one("user"));
    let topic = schemas::Topic::new("uses");
    let record = RawRecord {
        topic: &topic,
        partition: schemas::KafkaPartition(0),
        offset: Offset(7),
        part: schemas::Part::FIRST,
        record_time: None,
        payload: Some(raw.as_bytes()),
    };
    let reject = Reject {
        position: record.position(),
        record_time: None,
        rejected_at: clock::now(),
        format: Format::parse("acme").unwrap(),
        reason: RejectReason::SeveralRecords,
        detail: "wanted one record in `the list`, found 2".to_owned(),
        raw_bytes: raw.len() as u64,
        raw: raw.clone().into_bytes(),
    };
    let lake = lake_of(&unfixed);
    let mut rejects = lake::RejectRows::with_capacity(1);
    rejects.push(&reject);
    let mut advance = lake::Advance::default();
    let range = schemas::OffsetRange { start: Offset(0), end: Offset(8) };
    advance.extend(&topic, record.partition, range);
    let mut table = lake.table(schemas::Table::Rejects).await.unwrap();
    table.append(vec![rejects.finish()], &advance, clock::now()).await.unwrap();

    replayed(&unfixed, "").await.unwrap();
    assert_eq!(open_and_made(&unfixed).await, (vec!["7".to_owned()], vec![]), "one is none");

    let fixed = config(folder.path(), ".agent ?? .user");
    for _ in 0..2 {
        replayed(&fixed, "").await.unwrap();
        let made = vec!["7".to_owned(), "7.1".to_owned()];
        assert_eq!(open_and_made(&fixed).await, (vec![], made));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_counts_and_explains() {
    let folder = with_records().await;
    let config = config(folder.path(), ".agent");
    let Command::Rejects(cli::Rejects::List(args)) = parsed("surety rejects list") else {
        unreachable!("it is a list")
    };

    let found = rows(&config, &counted(&args)).await;

    assert_eq!(found[0]["reason"], "no_agent");
    assert_eq!(found[0]["rejects"], 2);
    assert_eq!(found[0]["format"], "acme");
    assert_eq!(found[0]["advice"], RejectReason::NoAgent.advice());
    assert_eq!(found[1]["reason"], "not_json");
    let line = "surety rejects list --reason not_json --since 2020-01-01T00:00:00Z --topic x'y";
    let Command::Rejects(cli::Rejects::List(args)) = parsed(line) else { unreachable!("a list") };
    assert_eq!(rows(&config, &counted(&args)).await.as_array().unwrap().len(), 0);
}
