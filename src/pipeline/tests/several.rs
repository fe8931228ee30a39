//! Records that hold several: each of them is a row of its own, all of a record in one commit.

use super::registry::{import, use_of};
use super::*;

/// A log whose uses are spans of OpenTelemetry.
fn of_spans(folder: &Path, log: Log) -> Parts<Log> {
    let normaliser = Normaliser::new(Format::Otel, Redactor::new(&[7; 32]));
    let parts = parts(folder, log);
    let uses = BTreeMap::from([(Topic::new("uses"), normaliser)]);
    Parts { readers: Readers { uses, ..parts.readers }, ..parts }
}

fn span(id: &str, parent: &str, attributes: &[(&str, &str)]) -> Value {
    let attributes: Vec<Value> = attributes
        .iter()
        .map(|(key, value)| serde_json::json!({"key": key, "value": {"stringValue": value}}))
        .collect();
    serde_json::json!({"traceId": "t", "spanId": id, "parentSpanId": parent,
        "startTimeUnixNano": "1772445600000000000", "attributes": attributes})
}

/// What the collector's exporter sends: an agent that calls two tools, and a span that tells of no use.
fn export(run: &str) -> Vec<u8> {
    let call = |tool| [("gen_ai.operation.name", "execute_tool"), ("gen_ai.tool.name", tool)];
    let agent = [("gen_ai.operation.name", "invoke_agent"), ("gen_ai.agent.id", "planner")];
    let spans = [
        span(&format!("{run}a"), "", &agent),
        span(&format!("{run}b"), &format!("{run}a"), &call("get_order")),
        span(&format!("{run}c"), &format!("{run}b"), &[("http.route", "/")]),
        span(&format!("{run}d"), &format!("{run}c"), &call("approve_order")),
    ];
    let export = serde_json::json!({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]});
    export.to_string().into_bytes()
}

#[tokio::test]
async fn each_span_of_a_request_is_a_row_once() {
    let folder = TempDir::new().unwrap();
    let one = span("z", "", &[("gen_ai.operation.name", "chat"), ("gen_ai.agent.id", "other")]);
    let one = one.to_string().into_bytes();
    let log = || Log::of(&[("uses", vec![export("1"), one.clone(), export("2"), export("1")])]);

    // Again each time: what is in the lake is not read again.
    for _ in 0..3 {
        run_to_end(with_parts(of_spans(folder.path(), log())).await).await.unwrap();
    }

    let sql = "SELECT kafka_offset AS o, record_part AS p, event_id, agent_id, dup_of FROM events \
               ORDER BY 1, 2 NULLS FIRST";
    let found = rows(folder.path(), sql).await;
    let told = |row: &Value| {
        let part = row["p"].as_i64().unwrap_or(0);
        let copy = row["dup_of"].as_str().unwrap_or("");
        format!("{} {part} {} {} {copy}", row["o"], row["event_id"], row["agent_id"])
    };
    let found: Vec<String> = found.as_array().unwrap().iter().map(told).collect();
    let wanted = [
        r#"0 0 "t:1a" "planner" "#,
        r#"0 1 "t:1b" "planner" "#,
        r#"0 3 "t:1d" "planner" "#,
        r#"1 0 "t:z" "other" "#,
        r#"2 0 "t:2a" "planner" "#,
        r#"2 1 "t:2b" "planner" "#,
        r#"2 3 "t:2d" "planner" "#,
        r#"3 0 "t:1a" "planner" uses/0@0"#,
        r#"3 1 "t:1b" "planner" uses/0@0.1"#,
        r#"3 3 "t:1d" "planner" uses/0@0.3"#,
    ];
    assert_eq!(found, wanted);
    let sql = "SELECT kafka_offset AS o, record_part AS p, reason FROM rejects ORDER BY 1";
    let rejected = |at: i64| serde_json::json!({"o": at, "p": 2, "reason": "bad_field"});
    assert_eq!(rows(folder.path(), sql).await, serde_json::json!([0, 2, 3].map(rejected)));
}

#[tokio::test]
async fn what_one_of_a_record_teaches_the_next_one_knows() {
    let folder = TempDir::new().unwrap();
    import(folder.path(), "ann", "buyer").await;
    let events = [use_of("buyer", "key", Some("session-1")), use_of("role", "session-1", None)];
    let log = Log::of(&[("uses", vec![serde_json::json!(events).to_string().into_bytes()])]);

    run_to_end(started(folder.path(), log).await).await.unwrap();

    let sql = "SELECT event_id, sponsor_id FROM events ORDER BY 1";
    let wanted = serde_json::json!([
        {"event_id": "uses-0-0", "sponsor_id": "ann"}, {"event_id": "uses-0-0.1", "sponsor_id": "ann"},
    ]);
    assert_eq!(rows(folder.path(), sql).await, wanted);
}
