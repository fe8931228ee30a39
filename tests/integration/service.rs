//! The service as an operator meets it: a registry's topic beside the uses' topic, its doors, and the
//! questions asked of the lake it leaves.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use schemas::{KafkaPartition, Timestamp, Topic};
use tempfile::TempDir;

use crate::exactly_once::{end, records_read, start, wait_for, worker};
use crate::kafka::{Kafka, free_port, get, post};
use crate::process::{sql, surety, surety_json, text};

/// A use as the schema's example has it.
const EXAMPLE: &str = include_str!("../../schemas/json/credential_event.v1.example.json");

/// Fills a topic of uses and one of registry changes; returns the folder of a worker that reads both,
/// and the records of the uses. The changes are dated before them, so they are read before them.
fn filled(kafka: &Kafka) -> (TempDir, u64) {
    let (uses, registry) = (kafka.topic("uses", 2), kafka.topic("registry", 1));
    let folder = worker(kafka, &uses);
    let servers = kafka.bootstrap();
    let simulated = [
        "simulate",
        "--agents",
        "60",
        "--days",
        "1",
        "--start",
        "2026-03-02T00:00:00Z",
        "--registry-out",
        "registry.jsonl",
        "--to-kafka",
        &servers,
        "--topic",
        &uses,
    ];
    let output = surety(folder.path(), &simulated);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let mut producer = ingest::Producer::connect(&servers, &BTreeMap::new()).unwrap();
    let early = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
    for change in fs::read_to_string(folder.path().join("registry.jsonl")).unwrap().lines() {
        let (topic, first) = (Topic::new(&registry), KafkaPartition(0));
        producer.send(&topic, first, early, change.as_bytes()).unwrap();
    }
    let late = Timestamp::parse("2026-03-02T23:00:00Z").unwrap();
    // An agent and a class that the registry does not know.
    let stranger = EXAMPLE.replace("procurement", "unheard-of");
    let uses_topic = Topic::new(&uses);
    producer.send(&uses_topic, KafkaPartition(0), late, stranger.as_bytes()).unwrap();
    producer.flush().unwrap();
    let path = folder.path().join("surety.toml");
    let config = fs::read_to_string(&path).unwrap();
    let both = format!("[kafka]\nregistry-topic = \"{registry}\"\n");
    let config = config.replacen("[kafka]\n", &both, 1);
    let question_door = format!("[query]\nlisten = \"127.0.0.1:{}\"\n", free_port());
    fs::write(&path, config.replacen("[query]\nlisten = \"\"\n", &question_door, 1)).unwrap();
    (folder, kafka.records(&uses))
}

/// The address of a door in a worker's configuration: the operator's is the part `http`, the one for
/// questions is `query`.
fn door(folder: &Path, part: &str) -> String {
    let config = fs::read_to_string(folder.join("surety.toml")).unwrap();
    let of_part = config.split(&format!("[{part}]\nlisten = \"")).nth(1).unwrap();
    of_part.split('"').next().unwrap().to_owned()
}

/// The body of an answer that is sent in chunks (RFC 9112, section 7.1).
fn body_of(answer: &str) -> String {
    let (_, mut chunks) = answer.split_once("\r\n\r\n").unwrap();
    let mut body = String::new();
    while let Some((size, rest)) = chunks.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            break;
        }
        body.push_str(&rest[..size]);
        chunks = &rest[size + 2..];
    }
    body
}

/// Statements that must be answered alike at every door (Q2).
const SAME: [&str; 4] = [
    "SELECT agent_id, count(*) AS n, sum(amount) AS money FROM events GROUP BY agent_id ORDER BY agent_id",
    "SELECT * FROM trace_coverage ORDER BY day, format, agent_class",
    "SELECT * FROM credentials ORDER BY credential_id",
    "SELECT event_id, labels, attributes, time FROM events ORDER BY event_id LIMIT 50",
];

#[test]
fn a_service_stamps_sponsors_from_the_registrys_topic_and_answers_at_its_doors() {
    let kafka = Kafka::start();
    let (folder, records) = filled(&kafka);
    let folder = folder.path();
    let mut running = start(folder);
    wait_for(folder, &mut running, "all records", || records <= records_read(folder));

    let [health, ready, metrics] =
        ["/healthz", "/readyz", "/metrics"].map(|path| get(&door(folder, "http"), path).unwrap());
    let questions = door(folder, "query");
    let scored = post(&questions, "/v1/score", EXAMPLE).unwrap();
    let refused = post(&questions, "/v1/score", r#"{"schema": "hunter2"}"#).unwrap();
    let asked = r#"{"sql": "SELECT count(*) AS n FROM events WHERE agent_class = 'procurement'"}"#;
    let rows = [(); 2].map(|()| post(&questions, "/v1/sql", asked).unwrap());
    let at_the_door = SAME.map(|statement| {
        let question = serde_json::json!({"sql": statement}).to_string();
        let answer = post(&questions, "/v1/sql", &question).unwrap();
        serde_json::from_str::<serde_json::Value>(&body_of(&answer)).expect(&answer)
    });
    end(folder, running);

    assert!(scored.starts_with("HTTP/1.1 200"), "{scored}");
    assert!(
        scored.contains(r#""decision":""#) && scored.contains(r#""trace_status":"#),
        "{scored}"
    );
    assert!(refused.starts_with("HTTP/1.1 422") && !refused.contains("hunter2"), "{refused}");
    assert_eq!(rows[0].lines().last(), rows[1].lines().last(), "what is scored is not stored");
    assert!(health.starts_with("HTTP/1.1 200"), "{health}");
    assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
    assert!(metrics.contains("surety_next_offset{"), "{metrics}");
    let coverage = sql(
        folder,
        "surety-data",
        "SELECT count(*) AS n, count(sponsor_id) AS sponsored FROM events",
    );
    let number = |name: &str| coverage[0][name].as_u64().unwrap();
    assert!(number("n") / 2 < number("sponsored"), "{coverage:?}");
    assert!(number("sponsored") < number("n"), "the stranger has no sponsor: {coverage:?}");
    for (statement, there) in SAME.iter().zip(&at_the_door) {
        let here = surety_json(folder, &["sql", statement, "--format", "json"]);
        assert!(there.as_array().is_some_and(|rows| !rows.is_empty()), "{statement}: {there}");
        assert_eq!(&here, there, "Q2: {statement}");
    }
}

#[test]
fn a_lake_tells_who_answers_and_says_so_where_nobody_does() {
    let kafka = Kafka::start();
    let (folder, records) = filled(&kafka);
    let folder = folder.path();
    let mut running = start(folder);
    wait_for(folder, &mut running, "all records", || records <= records_read(folder));
    end(folder, running);
    let ids = |condition: &str| {
        let statement =
            format!("SELECT event_id FROM events WHERE {condition} ORDER BY time LIMIT 1");
        sql(folder, "surety-data", &statement)[0]["event_id"].as_str().unwrap().to_owned()
    };
    let (known, unknown) = (ids("trace_status = 'traced'"), ids("sponsor_id IS NULL"));

    let answered = surety_json(folder, &["trace", &known, "--format", "json"]);
    let gap = surety(folder, &["trace", &unknown]);
    let agents = surety(folder, &["agents", "--format", "csv"]);
    fs::write(folder.join("two.sql"), "SELECT 1 AS one;\nSELECT 2 AS two;\n").unwrap();
    let two = surety(folder, &["sql", "--file", "two.sql", "--format", "csv"]);

    assert!(answered["sponsor_name"].is_string(), "{answered}");
    assert_eq!(gap.status.code(), Some(1), "{}", text(&gap.stdout));
    assert!(text(&gap.stdout).contains("gap"), "{}", text(&gap.stdout));
    let listed = text(&agents.stdout);
    assert!(listed.lines().next().unwrap().contains("agent_id"), "{listed}");
    assert!(50 < listed.lines().count(), "{listed}");
    assert_eq!(text(&two.stdout).lines().collect::<Vec<_>>(), ["one", "1", "two", "2"]);
}

#[test]
fn the_bench_counts_every_event_and_prints_what_it_measured() {
    let folder = TempDir::new().unwrap();

    let figures = surety_json(
        folder.path(),
        &["bench", "pipeline", "--events", "5000", "--agents", "100", "--format", "json"],
    );

    for key in [
        "start_seconds",
        "events_per_second",
        "cpu_us_per_event",
        "alone_us_per_event",
        "cpu_to_alone",
        "bytes_per_event",
        "rss_bytes",
        "bytes_per_agent",
    ] {
        assert!(figures[key].as_f64().is_some_and(|figure| 0.0 < figure), "{key}: {figures}");
    }
    for quantile in ["p50", "p99", "p999"] {
        assert!(figures["latency_ms"][quantile].is_f64(), "{quantile}: {figures}");
    }
    assert!(figures["stages"].as_object().is_some_and(|stages| 4 < stages.len()), "{figures}");
    let alone = figures["alone_ns_per_event"].as_object().unwrap();
    let worked = alone.values().filter(|ns| ns.as_f64().is_some_and(|ns| 0.0 < ns)).count();
    // The processor's time is counted in ticks of some milliseconds, of which consuming so few events, giving
    // them back and other short stages may take none.
    assert!(9 == alone.len() && 5 <= worked, "{figures}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "it cleans up");
}
