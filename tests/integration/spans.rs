//! Spans of agents that call each other: a sub-agent that nobody registered is traced to the one that it
//! worked for, run by run.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{surety, surety_json, text};

const FIRST: &str = "5b8efff798038103d269b633813fc60c";
const SECOND: &str = "7c8efff798038103d269b633813fc61d";

/// A span as an exporter writes it; `parent` is empty for a root.
fn span(trace: &str, [id, parent]: [&str; 2], agent: &str, operation: &str) -> Value {
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let mut attributes =
        vec![text("gen_ai.operation.name", operation), text("gen_ai.agent.id", agent)];
    if operation == "execute_tool" {
        attributes.push(text("gen_ai.tool.name", "pay"));
    }
    json!({
        "traceId": trace, "spanId": id, "parentSpanId": parent, "name": operation,
        "startTimeUnixNano": "1772366400000000000", "endTimeUnixNano": "1772366401000000000",
        "attributes": attributes,
    })
}

#[test]
fn a_sub_agent_of_many_is_traced_to_the_one_in_whose_span_it_worked() {
    let folder = TempDir::new().unwrap();
    let change = |rest: &str| {
        format!(
            "{{\"schema\":\"surety.registry_change.v1\",\"valid_from\":\"2026-01-01T00:00:00Z\",{rest}}}"
        )
    };
    let registry = ["anna", "ben"].map(|sponsor| {
        let person = format!("\"kind\":\"sponsor\",\"sponsor_id\":\"{sponsor}\",\"active\":true");
        let planner = format!(
            "\"kind\":\"agent\",\"agent_id\":\"planner-{sponsor}\",\"sponsor_id\":\"{sponsor}\""
        );
        format!("{}\n{}", change(&person), change(&planner))
    });
    fs::write(folder.path().join("registry.jsonl"), registry.join("\n")).unwrap();
    // The innermost span ends first, and is exported first. The sub-agent's work for both overlaps.
    let spans = [
        span(FIRST, ["a3", "a2"], "research", "execute_tool"),
        span(SECOND, ["b3", "b2"], "research", "execute_tool"),
        span(FIRST, ["a2", "a1"], "research", "invoke_agent"),
        span(SECOND, ["b2", "b1"], "research", "invoke_agent"),
        span(FIRST, ["a1", ""], "planner-anna", "invoke_agent"),
        span(SECOND, ["b1", ""], "planner-ben", "invoke_agent"),
        // Around these stands nothing that is known, or nothing that calls.
        span(FIRST, ["a4", "a9"], "research", "execute_tool"),
        span(FIRST, ["a6", "a5"], "research", "chat"),
        span(FIRST, ["a5", "a1"], "planner-anna", "chat"),
    ];
    let lines: Vec<String> = spans.iter().map(Value::to_string).collect();
    fs::write(folder.path().join("spans.jsonl"), lines.join("\n")).unwrap();
    for arguments in [
        &["registry", "import", "registry.jsonl"][..],
        &["replay", "spans.jsonl", "--format", "otel"],
    ] {
        let done = surety(folder.path(), arguments);
        assert!(done.status.success(), "{}", text(&done.stderr));
    }
    let trace = |trace: &str, span: &str| -> Value {
        let event = format!("{trace}:{span}");
        let answer = surety(folder.path(), &["trace", &event, "--format", "json"]);
        serde_json::from_slice(&answer.stdout).expect("a gap is an answer too")
    };

    let (first, second) = (trace(FIRST, "a3"), trace(SECOND, "b3"));

    assert_eq!(first["trace"]["sponsor_id"], "anna", "{first:#}");
    assert_eq!(second["trace"]["sponsor_id"], "ben", "{second:#}");
    let hop = &first["trace"]["hops"][0];
    assert_eq!((&hop["method"], &hop["to"]), (&"parent_span".into(), &"agent:planner-anna".into()));
    assert_eq!(hop["evidence"], format!("event {FIRST}:a1"));
    assert_eq!(first["trace"]["status"], "delegated");
    assert_eq!(first["stamped"]["status"], "unregistered", "its parent came after it");
    for span in ["a4", "a6"] {
        let gap = trace(FIRST, span);
        assert_eq!(gap["trace"]["status"], "unregistered", "{gap:#}");
    }
    let then = surety_json(
        folder.path(),
        &["sql", &format!("SELECT method FROM trace('{FIRST}:a3')"), "--format", "json"],
    );
    assert_eq!(then[0]["method"], "parent_span");
}
