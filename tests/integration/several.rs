//! A collector's export requests through a real broker: each span a row, once, whatever was killed.

use std::collections::BTreeMap;
use std::fs;

use schemas::{KafkaPartition, Timestamp, Topic};
use serde_json::{Value, json};

use crate::exactly_once::{end, records_read, start, wait_for, worker};
use crate::kafka::Kafka;
use crate::process::{sql, surety, text};

const REQUESTS: u64 = 300;

/// What the collector's Kafka exporter sends of a run: an agent that calls a tool, and a span that tells of
/// no use.
fn export(run: u64) -> Vec<u8> {
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let span = |id: &str, parent: &str, attributes: Vec<Value>| {
        json!({
            "traceId": format!("run-{run}"), "spanId": id, "parentSpanId": parent,
            "startTimeUnixNano": format!("{}", (1_772_409_600 + run) * 1_000_000_000),
            "attributes": attributes,
        })
    };
    let agent = vec![
        text("gen_ai.operation.name", "invoke_agent"),
        text("gen_ai.agent.id", &format!("planner-{}", run % 7)),
    ];
    let call =
        vec![text("gen_ai.operation.name", "execute_tool"), text("gen_ai.tool.name", "get_order")];
    let spans =
        [span("a", "", agent), span("b", "a", vec![text("http.route", "/")]), span("c", "b", call)];
    let resource = json!({"attributes": [text("service.name", "buyer")]});
    let group = json!({"resource": resource, "scopeSpans": [{"scope": {"name": "agents"}, "spans": spans}]});
    json!({"resourceSpans": [group]}).to_string().into_bytes()
}

#[test]
fn each_span_of_an_export_request_is_in_the_lake_once_also_after_a_kill() {
    let kafka = Kafka::start();
    let topic = kafka.topic("spans", 2);
    let folder = worker(&kafka, &topic);
    let config = folder.path().join("surety.toml");
    let told = fs::read_to_string(&config).unwrap();
    fs::write(&config, told.replace("format = \"native\"", "format = \"otel\"")).unwrap();
    let mut producer = ingest::Producer::connect(&kafka.bootstrap(), &BTreeMap::new()).unwrap();
    let time = Timestamp::parse("2026-03-02T00:00:01Z").unwrap();
    let mut produce = |from: u64, to: u64| {
        for run in from..to {
            let partition = KafkaPartition(i32::from(run % 2 == 1));
            producer.send(&Topic::new(&topic), partition, time, &export(run)).unwrap();
        }
        producer.flush().unwrap();
    };

    produce(0, REQUESTS / 2);
    let mut running = start(folder.path());
    wait_for(folder.path(), &mut running, "a part", || 0 < records_read(folder.path()));
    drop(running);
    produce(REQUESTS / 2, REQUESTS);
    let mut running = start(folder.path());
    wait_for(folder.path(), &mut running, "all", || REQUESTS <= records_read(folder.path()));
    end(folder.path(), running);

    let of = |statement: &str| sql(folder.path(), "surety-data", statement);
    let counted = "SELECT record_part AS part, count(*) AS n, count(DISTINCT event_id) AS ids, \
                   count(DISTINCT concat(kafka_partition, '@', kafka_offset)) AS places, \
                   count(DISTINCT agent_id) AS agents FROM events GROUP BY 1 ORDER BY 1 NULLS FIRST";
    let of_part = |part: Option<u64>| json!({"part": part, "n": REQUESTS, "ids": REQUESTS, "places": REQUESTS, "agents": 7});
    assert_eq!(of(counted), [of_part(None), of_part(Some(2))], "the agent is lent to the tool");
    let counted = "SELECT record_part AS part, reason, count(*) AS n, \
                   count(DISTINCT concat(kafka_partition, '@', kafka_offset)) AS places FROM rejects GROUP BY 1, 2";
    let wanted = json!({"part": 1, "reason": "bad_field", "n": REQUESTS, "places": REQUESTS});
    assert_eq!(of(counted), [wanted]);
    let verified = surety(folder.path(), &["verify", "surety-data"]);
    assert!(verified.status.success(), "{}", text(&verified.stdout));
}
