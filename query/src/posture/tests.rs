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
