//! A lake of three sealed commits in a folder: events of two sponsors and of nobody, a reject, a finding
//! with its disposition, a registry.

use std::io::Cursor;

use arrow::array::{ArrayRef, AsArray as _, RecordBatch, StringArray};
use arrow::json::ReaderBuilder;
use lake::seal::{SealKey, Sealer};
use lake::{Advance, Lake, Location, StoreOptions};
use schemas::{KafkaPartition, Offset, OffsetRange, Table, Timestamp, Topic};
use serde_json::{Value, json};

pub(crate) struct MadeLake {
    pub(crate) lake: Lake,
    pub(crate) key: std::sync::Arc<SealKey>,
    _folder: tempfile::TempDir,
}

pub(crate) fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// An event by its offset in partition 0, day in March, agent, sponsor, amount and outcome.
fn event(
    offset: i64,
    day: u32,
    (agent, sponsor): (&str, Option<&str>),
    (amount, outcome): (Option<&str>, &str),
) -> Value {
    let status = if sponsor.is_some() { "traced" } else { "unregistered" };
    json!({
        "event_id": format!("e{offset}"), "time": format!("2026-03-{day:02}T09:00:00Z"),
        "ingested_at": format!("2026-03-{day:02}T09:00:01Z"), "agent_id": agent,
        "agent_class": "procurement", "model": "acme-large", "credential_id": "svc-erp",
        "credential_kind": "service_account_token", "action": "order.approve",
        "resource": "=HYPERLINK(\"x\")", "counterparty_id": "<script>alert(1)</script>",
        "amount": amount, "currency": amount.map(|_| "EUR"), "outcome": outcome,
        "delegation": ["a", "b"], "sponsor_id": sponsor, "trace_status": status,
        "trace_confidence": if sponsor.is_some() { 0.9 } else { 0.0 }, "labels": ["env:\u{e9}"],
        "attributes": {"cost_center": "4400", "z": "a\nb"}, "format": "native", "topic": "uses",
        "kafka_partition": 0, "kafka_offset": offset, "month": "2026-03",
    })
}

fn reject(offset: i64) -> Value {
    json!({
        "topic": "uses", "kafka_partition": 0, "kafka_offset": offset,
        "time": "2026-03-02T09:00:01Z", "format": "native", "reason": "not_json", "detail": "x",
        "raw": "00", "raw_bytes": 1, "month": "2026-03",
    })
}

fn rows(table: Table, rows: &[Value]) -> RecordBatch {
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    let reader = ReaderBuilder::new(table.arrow_schema());
    let mut reader = reader.build(Cursor::new(lines.join("\n"))).unwrap();
    reader.next().unwrap().unwrap()
}

fn advance(topic: &str, start: i64, end: i64) -> Advance {
    let mut advance = Advance::default();
    let range = OffsetRange { start: Offset(start), end: Offset(end) };
    advance.extend(&Topic::new(topic), KafkaPartition(0), range);
    advance
}

impl MadeLake {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::parse(folder.path().to_str().unwrap()).unwrap();
        let lake = Lake::open(&location, &StoreOptions::default()).unwrap();
        let key = std::sync::Arc::new(SealKey::new("surety", &[7; 32]).unwrap());
        let made = Self { lake, key, _folder: folder };
        let (meyer, khan) = (("procurement-3", Some("s.meyer")), ("report-1", Some("a.khan")));
        made.append(
            Table::Events,
            &[
                event(0, 1, meyer, (Some("0.10"), "success")),
                event(1, 1, khan, (Some("5.00"), "success")),
                event(2, 1, meyer, (Some("0.20"), "success")),
            ],
            &advance("uses", 0, 3),
        )
        .await;
        made.append(Table::Rejects, &[reject(4)], &advance("uses", 0, 6)).await;
        made.append(
            Table::Events,
            &[
                event(3, 2, meyer, (Some("999.99"), "denied")),
                event(5, 2, ("procurement-3", Some("a.khan")), (None, "success")),
            ],
            &advance("uses", 3, 6),
        )
        .await;
        let mut after_the_range = event(9, 3, meyer, (None, "success"));
        after_the_range["time"] = "2026-04-01T00:00:00Z".into();
        after_the_range["month"] = "2026-04".into();
        made.append(
            Table::Events,
            &[
                event(6, 3, meyer, (None, "success")),
                event(7, 3, ("ghost-7", None), (None, "success")),
                event(8, 3, meyer, (None, "success")),
                after_the_range,
            ],
            &advance("uses", 6, 10),
        )
        .await;
        made.append_what_is_not_sealed().await;
        let mut sealer = Sealer::open(&made.lake, std::sync::Arc::clone(&made.key)).await.unwrap();
        assert_eq!(sealer.catch_up(time("2026-03-05T00:00:00Z")).await.unwrap(), 3);
        made
    }

    async fn append_what_is_not_sealed(&self) {
        let finding = json!({
            "finding_id": "fnd_1", "time": "2026-03-01T09:00:00Z",
            "detected_at": "2026-03-01T09:00:01Z", "detector": "new_counterparty",
            "severity": "block", "agent_id": "procurement-3", "credential_id": "svc-erp",
            "sponsor_id": "s.meyer", "trace_status": "traced", "event_id": "e0",
            "action": "order.approve", "score": 6.5, "false_findings_per_agent_day": 0.001,
            "summary": "a vendor it never paid before <b>", "features": "[]", "maturity": "young",
            "maturity_events": 2, "maturity_days": 1.0, "evidence": ["e0"], "money_at_risk": "0.10",
            "currency": "EUR", "tags": [], "topic": "uses", "kafka_partition": 0,
            "kafka_offset": 0, "month": "2026-03",
        });
        self.append(Table::Findings, &[finding], &advance("findings", 0, 1)).await;
        let said = |verdict: &str, hour: u32| {
            json!({
                "finding_id": "fnd_1", "time": format!("2026-03-02T{hour:02}:00:00Z"),
                "verdict": verdict, "person": "w.ito", "note": "known vendor",
            })
        };
        let said = [said("false_positive", 11), said("acknowledged", 10)];
        self.append(Table::Dispositions, &said, &advance("said", 0, 1)).await;
        let change = |kind: &str, subject: &str, change: Value| {
            json!({
                "change_id": format!("chg_{subject}"), "kind": kind, "subject": subject,
                "valid_from": "2025-01-01T00:00:00Z", "recorded_at": "2025-01-01T00:00:00Z",
                "change": change.to_string(),
            })
        };
        let v1 = "surety.registry_change.v1";
        let times = "2025-01-01T00:00:00Z";
        let changes = [
            change(
                "sponsor",
                "s.meyer",
                json!({
                    "schema": v1, "kind": "sponsor", "sponsor_id": "s.meyer", "name": "Sabine Meyer",
                    "unit": "Purchasing", "active": true, "valid_from": times, "recorded_at": times,
                }),
            ),
            change(
                "agent",
                "procurement-3",
                json!({
                    "schema": v1, "kind": "agent", "agent_id": "procurement-3", "sponsor_id": "s.meyer",
                    "valid_from": times, "recorded_at": times,
                }),
            ),
            change(
                "credential",
                "svc-erp",
                json!({
                    "schema": v1, "kind": "credential", "credential_id": "svc-erp",
                    "credential_kind": "service_account_token", "agent_ids": ["procurement-3"],
                    "valid_from": times, "recorded_at": times,
                }),
            ),
        ];
        self.append(Table::RegistryChanges, &changes, &advance("registry", 0, 3)).await;
    }

    async fn append(&self, table: Table, values: &[Value], advance: &Advance) {
        let mut handle = self.lake.table(table).await.unwrap();
        let now = time("2026-03-05T00:00:00Z");
        handle.append(vec![rows(table, values)], advance, now).await.unwrap();
    }

    /// A commit that no seal was made for.
    pub(crate) async fn commit_unsealed(&self) {
        let meyer = ("procurement-3", Some("s.meyer"));
        let row = event(10, 4, meyer, (None, "success"));
        self.append(Table::Events, &[row], &advance("uses", 10, 11)).await;
    }

    /// A reject at a place that a seal covers already.
    pub(crate) async fn forge_a_reject(&self) {
        self.append(Table::Rejects, &[reject(5)], &advance("uses", 6, 7)).await;
    }
}

/// The rows with another action in one of them.
pub(crate) fn with_action(rows: &RecordBatch, row: usize, action: &str) -> RecordBatch {
    let at = rows.schema().index_of("action").unwrap();
    let old = rows.column(at).as_string::<i32>();
    let new: StringArray = old
        .iter()
        .enumerate()
        .map(|(place, value)| if place == row { Some(action) } else { value })
        .collect();
    let mut columns = rows.columns().to_vec();
    columns[at] = std::sync::Arc::new(new) as ArrayRef;
    RecordBatch::try_new(rows.schema(), columns).unwrap()
}
