//! A lake of three days in memory: eight events of four agents, two findings, and a registry that
//! learns late that a sponsor has left.

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use arrow::json::ReaderBuilder;
use arrow::record_batch::RecordBatch;
use datafusion::catalog::{MemTable, TableProvider};
use lake::{Advance, Lake, Location, StoreOptions};
use query::{Engine, Limits};
use schemas::{
    KafkaPartition, NativeEvent, Offset, OffsetRange, Part, Position, Registry, RegistryChange,
    Table, Timestamp, Topic, Trace,
};
use serde_json::{Value, json};

/// id, time, agent, class, credential, kind, action, counterparty, amount, currency, outcome.
const EVENTS: &[[&str; 11]] = &[
    [
        "e1",
        "2026-03-01T09:00:00Z",
        "procurement-3",
        "procurement",
        "svc-erp",
        "service_account_token",
        "order.approve",
        "vendor:northwind",
        "1000.00",
        "EUR",
        "success",
    ],
    [
        "e2",
        "2026-03-01T10:00:00Z",
        "procurement-3",
        "procurement",
        "svc-erp",
        "service_account_token",
        "order.approve",
        "vendor:northwind",
        "2000.00",
        "EUR",
        "success",
    ],
    [
        "e3",
        "2026-03-02T09:00:00Z",
        "procurement-3",
        "procurement",
        "svc-erp",
        "service_account_token",
        "order.approve",
        "vendor:shell-1",
        "49800.00",
        "EUR",
        "success",
    ],
    [
        "e4",
        "2026-03-02T09:05:00Z",
        "procurement-3",
        "procurement",
        "svc-erp",
        "service_account_token",
        "vendor.read",
        "vendor:shell-1",
        "",
        "",
        "success",
    ],
    [
        "e5",
        "2026-03-02T12:00:00Z",
        "report-1",
        "reporting",
        "svc-erp",
        "service_account_token",
        "report.export",
        "",
        "",
        "",
        "success",
    ],
    [
        "e6",
        "2026-03-03T08:00:00Z",
        "ghost-7",
        "",
        "key-legacy",
        "static_key",
        "s3:GetObject",
        "",
        "",
        "",
        "denied",
    ],
    [
        "e7",
        "2026-03-03T09:00:00Z",
        "sub-9",
        "",
        "tok-9",
        "access_token",
        "payment.send",
        "account:acme",
        "10.00",
        "USD",
        "success",
    ],
    [
        "e8",
        "2026-03-03T09:30:00Z",
        "report-1",
        "reporting",
        "svc-erp",
        "service_account_token",
        "report.export",
        "",
        "",
        "",
        "success",
    ],
];

const REGISTRY: &str = r#"
{"kind":"sponsor","sponsor_id":"s.meyer","name":"Sabine Meyer","unit":"Purchasing","active":true,"valid_from":"2025-01-01T00:00:00Z","recorded_at":"2025-01-01T00:00:00Z"}
{"kind":"sponsor","sponsor_id":"a.khan","name":"Amir Khan","unit":"Reporting","active":true,"valid_from":"2025-01-01T00:00:00Z","recorded_at":"2025-01-01T00:00:00Z"}
{"kind":"sponsor","sponsor_id":"a.khan","name":"Amir Khan","unit":"Reporting","active":false,"valid_from":"2026-03-03T00:00:00Z","recorded_at":"2026-03-04T00:00:00Z"}
{"kind":"agent","agent_id":"procurement-3","agent_class":"procurement","sponsor_id":"s.meyer","valid_from":"2025-02-01T00:00:00Z","recorded_at":"2025-02-01T00:00:00Z"}
{"kind":"agent","agent_id":"report-1","agent_class":"reporting","sponsor_id":"a.khan","valid_from":"2025-02-01T00:00:00Z","recorded_at":"2025-02-01T00:00:00Z"}
{"kind":"credential","credential_id":"svc-erp","credential_kind":"service_account_token","agent_ids":["procurement-3","report-1"],"expires_at":"2026-03-02T10:00:00Z","valid_from":"2025-02-01T00:00:00Z","recorded_at":"2025-02-01T00:00:00Z"}
{"kind":"disposition","finding_id":"fnd_1","verdict":"benign","detector":"new_counterparty","agent_id":"procurement-3","action":"order.approve","by":"s.meyer","valid_from":"2026-03-02T09:00:00Z","recorded_at":"2026-03-03T00:00:00Z"}
{"kind":"disposition","finding_id":"fnd_1","verdict":"confirmed","detector":"new_counterparty","agent_id":"procurement-3","action":"order.approve","by":"soc","note":"shell","valid_from":"2026-03-02T09:00:00Z","recorded_at":"2026-03-03T01:00:00Z"}
"#;

fn changes() -> Vec<RegistryChange> {
    let lines = REGISTRY.lines().filter(|line| !line.is_empty());
    let whole = |line: &str| line.replacen('{', r#"{"schema":"surety.registry_change.v1","#, 1);
    lines.map(|line| serde_json::from_str(&whole(line)).unwrap()).collect()
}

fn registry_rows() -> Vec<Value> {
    let row = |change: &RegistryChange| {
        json!({
            "change_id": change.change_id().as_str(),
            "kind": change.fact.kind(),
            "subject": change.fact.subject(),
            "valid_from": change.valid_from.to_string(),
            "valid_to": null,
            "recorded_at": change.recorded_at.unwrap().to_string(),
            "evidence": "registry.csv",
            "change": serde_json::to_string(change).unwrap(),
        })
    };
    changes().iter().map(row).collect()
}

/// Each event as it was stamped one second after it happened.
fn event_rows() -> Vec<Value> {
    let mut registry = Registry::default();
    for change in changes() {
        registry.apply(&change).unwrap();
    }
    EVENTS
        .iter()
        .enumerate()
        .map(|(offset, event)| event_row(&registry, i64::try_from(offset).unwrap(), event))
        .collect()
}

fn event_row(registry: &Registry, offset: i64, event: &[&str; 11]) -> Value {
    let [id, time, agent, class, credential, kind, action, counterparty, amount, currency, outcome] =
        *event;
    let maybe = |text: &str| if text.is_empty() { Value::Null } else { text.into() };
    let delegation = if id == "e7" { vec!["procurement-3"] } else { vec![] };
    let mut row = json!({
        "schema": "surety.credential_event.v1", "event_id": id, "time": time, "agent_id": agent,
        "agent_class": maybe(class), "credential_id": credential, "credential_kind": kind, "action": action,
        "counterparty_id": maybe(counterparty), "amount": maybe(amount), "currency": maybe(currency),
        "outcome": outcome, "delegation": delegation, "model": "acme-large", "labels": ["env:production"],
        "attributes": {"cost_center": "4400"},
    });
    let native: NativeEvent = serde_json::from_value(row.clone()).unwrap();
    let position = Position {
        topic: Topic::new("uses"),
        partition: KafkaPartition(0),
        offset: Offset(offset),
        part: Part::FIRST,
    };
    let read = native.into_event(&position).unwrap();
    let ingested_at = read.time.plus(std::time::Duration::from_secs(1));
    let trace = Trace::of(&read, registry, ingested_at);
    let stamped = json!({
        "ingested_at": ingested_at.to_string(),
        "sponsor_id": trace.sponsor_id.as_ref().map(schemas::SponsorId::as_str),
        "trace_status": trace.status.as_str(), "trace_confidence": trace.confidence,
        "format": "native", "topic": "uses", "kafka_partition": 0, "kafka_offset": offset,
        "month": read.time.month().to_string(),
    });
    let fields = row.as_object_mut().unwrap();
    fields.remove("schema");
    fields.extend(stamped.as_object().unwrap().clone());
    row
}

fn finding_rows() -> Vec<Value> {
    let finding = |id: &str, time: &str, detector: &str, agent: &str, event: &str| {
        let is_new = detector == "new_counterparty";
        json!({
            "finding_id": id, "time": time, "detected_at": time, "detector": detector, "severity": "block",
            "agent_id": agent, "agent_class": null, "credential_id": "svc-erp",
            "sponsor_id": if is_new { json!("s.meyer") } else { Value::Null },
            "trace_status": if is_new { "traced" } else { "unregistered" }, "event_id": event,
            "action": "order.approve", "counterparty_id": if is_new { json!("vendor:shell-1") } else { Value::Null },
            "score": 6.5, "false_findings_per_agent_day": 0.001, "summary": "a vendor it never paid before",
            "features": r#"[{"feature":"amount_eur","expected":1500.0,"seen":49800.0,"probability":1e-6,"share":1.0}]"#,
            "maturity": "young", "maturity_events": 2, "maturity_days": 1.0, "evidence": ["e1", "e2", event],
            "money_at_risk": if is_new { json!("49800.00") } else { Value::Null },
            "currency": if is_new { json!("EUR") } else { Value::Null }, "tags": ["attack.t1078"],
            "topic": "uses", "kafka_partition": 0, "kafka_offset": 2, "month": "2026-03",
        })
    };
    vec![
        finding("fnd_1", "2026-03-02T09:00:00Z", "new_counterparty", "procurement-3", "e3"),
        finding("fnd_2", "2026-03-03T08:00:00Z", "new_action", "ghost-7", "e6"),
    ]
}

fn batches(table: Table, rows: &[Value]) -> Vec<RecordBatch> {
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    let reader = ReaderBuilder::new(table.arrow_schema());
    reader.build(Cursor::new(lines.join("\n"))).unwrap().map(Result::unwrap).collect()
}

fn provider(table: Table, rows: &[Value]) -> Arc<dyn TableProvider> {
    let batches = batches(table, rows);
    Arc::new(MemTable::try_new(table.arrow_schema(), vec![batches]).unwrap())
}

fn rows_of(table: Table) -> Option<Vec<Value>> {
    match table {
        Table::Events => Some(event_rows()),
        Table::Findings => Some(finding_rows()),
        Table::RegistryChanges => Some(registry_rows()),
        Table::Rejects
        | Table::Deliveries
        | Table::CounterpartyEdges
        | Table::Dispositions
        | Table::Seals
        | Table::QueryLog => None,
    }
}

fn tables() -> Vec<(Table, Option<Arc<dyn TableProvider>>)> {
    let kept = |table: Table| rows_of(table).map(|rows| provider(table, &rows));
    Table::ALL.iter().map(|table| (*table, kept(*table))).collect()
}

/// The same rows as Delta tables in `folder`.
pub(crate) async fn engine_on_disk(folder: &Path) -> Engine {
    let location = Location::parse(folder.to_str().unwrap()).unwrap();
    let lake = Lake::open(&location, &StoreOptions::default()).unwrap();
    for table in Table::ALL {
        let Some(rows) = rows_of(*table) else {
            continue;
        };
        let range = OffsetRange { start: Offset(0), end: Offset(8) };
        let mut advance = Advance::default();
        advance.extend(&Topic::new(table.name()), KafkaPartition(0), range);
        let mut handle = lake.table(*table).await.unwrap();
        let rows = batches(*table, &rows);
        handle.append(rows, &advance, time("2026-03-05T00:00:00Z")).await.unwrap();
    }
    Engine::open(&lake, Limits::ONE_PERSON).await.unwrap()
}

/// The lake with the edges of two commits.
pub(crate) async fn engine_with_edges() -> Engine {
    let edge = |first: &str, last: &str, events: i64| {
        json!({
            "agent_id": "procurement-3", "counterparty_id": "vendor:northwind",
            "first_time": first, "last_time": last, "events": events,
        })
    };
    let edges = [
        edge("2026-03-02T10:00:00Z", "2026-03-02T11:00:00Z", 2),
        edge("2026-03-01T09:00:00Z", "2026-03-01T10:00:00Z", 3),
    ];
    let mut tables = tables();
    for (table, kept) in &mut tables {
        if *table == Table::CounterpartyEdges {
            *kept = Some(provider(*table, &edges));
        }
    }
    Engine::with_tables(tables, Limits::ONE_PERSON).await.unwrap()
}

/// The lake with uses of the account that two agents share: thirty by each under its own name and with
/// a program of its own, then one of each program under the account's name, `s-buyer` and `s-reporter`.
pub(crate) async fn engine_with_a_shared_account() -> Engine {
    let mut rows = event_rows();
    let uses = (0..62).map(|number: i64| {
        let is_buyer = number % 2 == 0;
        let [agent, address, program, action] = if is_buyer {
            ["procurement-3", "10.1.0.5", "buyer/1.4", "order.approve"]
        } else {
            ["report-1", "10.2.0.9", "reporter/2.0", "report.export"]
        };
        let is_own = number < 60;
        let id = match (is_own, is_buyer) {
            (true, _) => format!("u{number}"),
            (false, true) => "s-buyer".to_owned(),
            (false, false) => "s-reporter".to_owned(),
        };
        let mut row = rows[0].clone();
        row["event_id"] = id.into();
        let (day, hour) = (1 + number / 30, number % 24);
        row["time"] = format!("2026-03-0{day}T{hour:02}:{:02}:00Z", number % 60).into();
        row["ingested_at"] = "2026-03-04T00:00:00Z".into();
        row["agent_id"] = if is_own { agent } else { "svc-erp" }.into();
        row["agent_class"] = Value::Null;
        row["action"] = action.into();
        row["source_ip"] = address.into();
        row["user_agent"] = program.into();
        row["kafka_offset"] = (100 + number).into();
        row
    });
    let uses: Vec<Value> = uses.collect();
    rows.extend(uses);
    let mut tables = tables();
    for (table, kept) in &mut tables {
        if *table == Table::Events {
            *kept = Some(provider(*table, &rows));
        }
    }
    Engine::with_tables(tables, Limits::ONE_PERSON).await.unwrap()
}

pub(crate) async fn engine() -> Engine {
    engine_within(Limits::ONE_PERSON).await
}

pub(crate) async fn engine_within(limits: Limits) -> Engine {
    Engine::with_tables(tables(), limits).await.unwrap()
}

pub(crate) fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}
