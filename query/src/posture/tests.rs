//! The figures of a small company made by hand, each with something to count.

use std::io::Cursor;
use std::sync::Arc;

use arrow::json::ReaderBuilder;
use datafusion::catalog::{MemTable, TableProvider};
use schemas::Table;
use serde_json::json;

use super::*;
use crate::Limits;

fn provider(table: Table, rows: &[Value]) -> Arc<dyn TableProvider> {
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    let reader = ReaderBuilder::new(table.arrow_schema()).build(Cursor::new(lines.join("\n")));
    let batches = reader.unwrap().map(Result::unwrap).collect();
    Arc::new(MemTable::try_new(table.arrow_schema(), vec![batches]).unwrap())
}

/// Agent, credential, its kind, sponsor, status, confidence, time.
fn event(
    offset: i64,
    [agent, credential, kind, sponsor, status, time]: [&str; 6],
    confidence: f64,
) -> Value {
    json!({
        "event_id": format!("e{offset}"), "time": time, "ingested_at": time, "agent_id": agent,
        "credential_id": credential, "credential_kind": kind, "action": "order.read",
        "outcome": "success", "delegation": [],
        "sponsor_id": if sponsor.is_empty() { Value::Null } else { sponsor.into() },
        "trace_status": status, "trace_confidence": confidence, "labels": [], "attributes": {},
        "format": "native", "topic": "uses", "kafka_partition": 0, "kafka_offset": offset,
        "month": "2026-03",
    })
}

fn agent(id: &str, sponsor: Option<&str>, valid_to: Option<&str>) -> Value {
    json!({
        "change_id": format!("chg_{id}"), "kind": "agent", "subject": id,
        "valid_from": "2025-01-01T00:00:00Z", "valid_to": valid_to,
        "recorded_at": "2025-01-01T00:00:00Z",
        "change": match sponsor {
            Some(sponsor) => json!({"agent_id": id, "sponsor_id": sponsor}).to_string(),
            None => json!({"agent_id": id}).to_string(),
        },
    })
}

/// Five agents and one that is registered and never acted.
async fn engine() -> Engine {
    let (late, early) = ("2026-03-03T09:00:00Z", "2026-03-01T09:00:00Z");
    let events = [
        event(0, ["good", "tok-1", "access_token", "s.meyer", "traced", late], 1.0),
        event(1, ["endless", "svc", "service_account_token", "s.meyer", "claimed", late], 0.9),
        event(2, ["unowned", "svc", "service_account_token", "", "orphaned", late], 0.0),
        event(3, ["ghost", "key", "static_key", "", "unregistered", late], 0.0),
        event(4, ["old", "pw", "password", "a.khan", "claimed", early], 0.6),
    ];
    let registry = [
        agent("good", Some("s.meyer"), Some("2027-01-01T00:00:00Z")),
        agent("endless", Some("s.meyer"), None),
        agent("unowned", None, Some("2027-01-01T00:00:00Z")),
        agent("old", Some("a.khan"), Some("2027-01-01T00:00:00Z")),
        agent("never", Some("a.khan"), None),
    ];
    let tables = Table::ALL.iter().map(|table| {
        let rows = [(Table::Events, &events), (Table::RegistryChanges, &registry)];
        let rows = rows.into_iter().find(|(of, _)| of == table);
        (*table, rows.map(|(_, rows)| provider(*table, rows)))
    });
    Engine::with_tables(tables.collect(), Limits::ONE_PERSON).await.unwrap()
}

#[tokio::test]
async fn each_figure_counts_what_it_says() {
    let figures = posture(&engine().await).await.unwrap();

    let counted: Vec<(&str, u64, u64)> =
        figures.iter().map(|one| (one.name, one.numerator, one.denominator)).collect();
    assert_eq!(
        counted,
        [
            ("traceable", 3, 5),
            ("inventory", 3, 4),
            ("static_keys", 1, 4),
            ("passwords", 1, 4),
            ("shared_accounts", 1, 4),
            ("trace_confidence", 1, 5),
            ("no_removal_policy", 3, 5),
        ]
    );
    let parts = |at: usize| {
        let parts = figures[at].parts.iter().map(|(name, count)| format!("{name} {count}"));
        parts.collect::<Vec<_>>().join(", ")
    };
    assert_eq!(parts(0), "orphaned 1, unregistered 1, gap 0");
    assert_eq!(parts(1), "active 4, registered 5, unregistered 1, registered_not_active 2");
    assert_eq!(parts(2), "never_rotated 1");
    assert_eq!(parts(4), "of_several_sponsors 0");
    assert_eq!(parts(5), "sure 1, likely 1, weak 1, none 2");
    assert_eq!(parts(6), "unregistered 1, no_owner 1, no_end 1");
    assert_eq!(figures[0].permille(), Some(600));
}

#[tokio::test]
async fn of_an_empty_lake_there_is_no_share() {
    let tables = Table::ALL.iter().map(|table| (*table, None)).collect();
    let engine = Engine::with_tables(tables, Limits::ONE_PERSON).await.unwrap();

    let figures = posture(&engine).await.unwrap();

    assert_eq!(figures.len(), 7);
    for figure in figures {
        assert_eq!((figure.numerator, figure.denominator, figure.permille()), (0, 0, None));
    }
}

/// Kind, subject, until when it holds, what it says.
fn fact(kind: &str, subject: &str, valid_to: Option<&str>, change: &Value) -> Value {
    json!({
        "change_id": format!("chg_{kind}_{subject}"), "kind": kind, "subject": subject,
        "valid_from": "2025-01-01T00:00:00Z", "valid_to": valid_to,
        "recorded_at": "2025-01-01T00:00:00Z", "change": change.to_string(), "evidence": "e0",
    })
}

/// What is wrong, each time once, and beside each something of the kind that is right.
async fn engine_with_violations() -> Engine {
    let (before, after) = ("2026-03-01T09:00:00Z", "2026-03-03T09:00:00Z");
    let middle = Some("2026-03-02T00:00:00Z");
    let of = |offset, credential, kind, time| {
        event(offset, ["buyer", credential, kind, "s.meyer", "traced", time], 1.0)
    };
    let mut events = vec![
        of(0, "key-expires", "access_token", before),
        of(1, "key-expires", "access_token", after),
        of(2, "key-revoked", "access_token", before),
        of(3, "key-revoked", "access_token", after),
        of(4, "key-rotated", "static_key", after),
        of(5, "key-old", "static_key", after),
        event(6, ["temp", "tok", "access_token", "s.meyer", "traced", before], 1.0),
        event(7, ["temp", "tok", "access_token", "", "unregistered", after], 0.0),
        event(8, ["left", "tok", "access_token", "", "orphaned", after], 0.0),
        of(9, "minted", "temporary_key", after),
        of(10, "tok", "access_token", before),
        of(11, "tok", "access_token", after),
    ];
    (events[10]["grant_id"], events[11]["grant_id"]) = (json!("forever"), json!("task"));
    (events[10]["model"], events[11]["model"]) = (json!("m1"), json!("m2"));
    let end = Some("2027-01-01T00:00:00Z");
    let grant = |agent: &str, scope: &str| json!({"agent_id": agent, "scope": scope});
    let registry = [
        fact("agent", "buyer", None, &json!({"sponsor_id": "s.meyer", "model": "m1"})),
        fact("agent", "temp", middle, &json!({"sponsor_id": "s.meyer"})),
        fact("agent", "left", None, &json!({})),
        fact("agent", "idle", None, &json!({})),
        fact("credential", "key-expires", None, &json!({"expires_at": middle})),
        fact("credential", "key-revoked", middle, &json!({})),
        fact("credential", "key-rotated", None, &json!({"rotated_at": middle})),
        fact("credential", "key-old", None, &json!({})),
        fact("issue", "minted", None, &json!({"agent_id": "buyer"})),
        fact("grant", "forever", None, &grant("buyer", "read write")),
        fact("grant", "task", end, &grant("buyer", "read")),
        fact("grant", "spare", end, &grant("child", "read")),
        fact("grant", "wide", end, &grant("child", "read admin")),
        fact("delegation", "child", None, &json!({"parent_agent_id": "buyer"})),
    ];
    let tables = Table::ALL.iter().map(|table| {
        let rows = [(Table::Events, events.as_slice()), (Table::RegistryChanges, &registry)];
        let rows = rows.into_iter().find(|(of, _)| of == table);
        (*table, rows.map(|(_, rows)| provider(*table, rows)))
    });
    Engine::with_tables(tables.collect(), Limits::ONE_PERSON).await.unwrap()
}

#[tokio::test]
async fn each_violation_is_a_row_and_what_is_right_is_none() {
    let engine = engine_with_violations().await;

    let rows = rows(&engine, "SELECT * FROM hygiene ORDER BY kind, subject").await;

    let found: Vec<String> = rows
        .iter()
        .map(|row| {
            let text = |name: &str| row[name].as_str().unwrap_or("-").to_owned();
            let evidence = row["evidence"].as_array().map_or(0, Vec::len);
            let [kind, subject, agent, sponsor] =
                ["kind", "subject", "agent_id", "sponsor_id"].map(text);
            format!("{kind} {subject} {agent} {sponsor} {} {evidence}", row["events"])
        })
        .collect();
    assert_eq!(
        found,
        [
            "minted_credential minted buyer s.meyer 1 1",
            "never_rotated key-old buyer s.meyer 1 2",
            "orphaned_agent left left - 1 2",
            "standing_grant forever buyer s.meyer 1 2",
            "unapproved_model buyer buyer s.meyer 1 2",
            "unregistered_agent temp temp - 1 2",
            "unused_grant spare child - 0 0",
            "unused_grant wide child - 0 0",
            "used_after_expiry key-expires buyer s.meyer 1 2",
            "used_after_purpose temp temp - 1 2",
            "used_after_revocation key-revoked buyer s.meyer 1 2",
            "wider_than_parent wide child - 0 0",
        ]
    );
    let hygiene = hygiene(&engine).await.unwrap();
    assert_eq!(hygiene.violations.len(), 11, "by kind");
    assert_eq!((hygiene.task_grants.numerator, hygiene.task_grants.denominator), (1, 12));
    let unowned =
        self::rows(&engine, "SELECT agent_id, reason FROM unowned ORDER BY agent_id").await;
    assert_eq!(
        Value::from(unowned),
        json!([
            {"agent_id": "idle", "reason": "no_sponsor"},
            {"agent_id": "left", "reason": "orphaned"},
            {"agent_id": "temp", "reason": "unregistered"},
        ])
    );
}

async fn rows(engine: &Engine, sql: &str) -> Vec<Value> {
    let (mut answer, mut json) = (engine.sql(sql).await.unwrap(), Vec::new());
    write_answer(&mut answer, Format::Json, Destination::File, &mut json).await.unwrap();
    serde_json::from_slice(&json).unwrap()
}
