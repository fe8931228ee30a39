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
