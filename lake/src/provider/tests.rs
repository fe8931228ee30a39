//! Tables as a query sees them.

use arrow::array::RecordBatch;
use datafusion::physical_plan::displayable;
use datafusion::prelude::SessionContext;
use schemas::{Reject, RejectReason};

use super::*;
use crate::fixtures::{P0, at, batch, event, faulty, now, position, rows};
use crate::{Lake, RejectRows};

/// A lake with three files: January, and two of March with different agents.
async fn three_files() -> Lake {
    let (lake, _) = faulty();
    let mut handle = lake.table(Table::Events).await.unwrap();
    let cases = [
        ("a", "2026-01-10T00:00:00Z"),
        ("a", "2026-03-01T00:00:00Z"),
        ("z", "2026-03-09T00:00:00Z"),
    ];
    for (offset, (agent, time)) in (0..).zip(cases) {
        let mut event = event(P0, offset);
        event.event.agent_id = agent.try_into().unwrap();
        event.event.time = at(time);
        let (_, advance) = batch(P0, offset, offset + 1);
        handle.append(vec![rows(&[event])], &advance, now()).await.unwrap();
    }
    lake
}

async fn session(lake: &Lake) -> SessionContext {
    let session = SessionContext::new();
    let provider = lake.provider(Table::Events).await.unwrap().unwrap();
    session.register_table("events", provider).unwrap();
    session
}

async fn collect(session: &SessionContext, sql: &str) -> Vec<RecordBatch> {
    session.sql(sql).await.unwrap().collect().await.unwrap()
}

#[tokio::test]
async fn columns_have_exactly_our_names_and_types() {
    let lake = three_files().await;
    let session = session(&lake).await;

    let found = collect(&session, "SELECT * FROM events").await;

    let wanted = Table::Events.arrow_schema();
    assert_eq!(lake.provider(Table::Events).await.unwrap().unwrap().schema(), wanted);
    assert!(found.iter().all(|batch| batch.schema().fields() == wanted.fields()));
    assert_eq!(found.iter().map(RecordBatch::num_rows).sum::<usize>(), 3);
    assert_eq!(empty_provider(Table::Events).schema(), wanted);
}

#[tokio::test]
async fn bytes_come_back_as_bytes() {
    let (lake, _) = faulty();
    let reject = Reject {
        position: position(P0, 0),
        record_time: None,
        rejected_at: now(),
        format: schemas::Format::Native,
        reason: RejectReason::NotJson,
        detail: "wanted JSON".to_owned(),
        raw: vec![0, 255, b'x'],
        raw_bytes: 3,
    };
    let mut rows = RejectRows::default();
    rows.push(&reject);
    let mut handle = lake.table(Table::Rejects).await.unwrap();
    handle.append(vec![rows.finish()], &batch(P0, 0, 1).1, now()).await.unwrap();
    let session = SessionContext::new();
    session.register_table("t", lake.provider(Table::Rejects).await.unwrap().unwrap()).unwrap();

    let found = collect(&session, "SELECT * FROM t").await;

    assert_eq!(crate::decode_rejects(&found[0]).unwrap(), [reject]);
}

#[tokio::test]
async fn a_filter_reads_only_the_files_that_can_match() {
    let lake = three_files().await;
    let session = session(&lake).await;
    for (filter, files, found) in [
        ("true", 3, 3),
        ("month = '2026-01'", 1, 1),
        ("month >= '2026-02'", 2, 2),
        ("agent_id = 'z'", 1, 1),
        ("agent_id = 'a' AND month = '2026-03'", 1, 1),
        ("time >= '2026-03-05T00:00:00Z'", 1, 1),
        ("time < '2026-01-10T00:00:00.000001Z'", 1, 1),
        ("kafka_offset > 1", 1, 1),
        ("agent_id = 'm'", 0, 0),
    ] {
        let frame = session.sql(&format!("SELECT * FROM events WHERE {filter}")).await.unwrap();
        let plan = frame.clone().create_physical_plan().await.unwrap();
        let text = displayable(plan.as_ref()).indent(true).to_string();

        assert_eq!(text.matches(".zstd.parquet").count(), files, "{filter}\n{text}");
        let rows: usize = frame.collect().await.unwrap().iter().map(RecordBatch::num_rows).sum();
        assert_eq!(rows, found, "{filter}");
    }
}

#[tokio::test]
async fn what_was_read_stays_as_it_was_and_the_next_look_sees_more() {
    let lake = three_files().await;
    let before = session(&lake).await;
    let mut handle = lake.table(Table::Events).await.unwrap();
    let (rows, advance) = batch(P0, 3, 5);
    handle.append(vec![rows], &advance, now()).await.unwrap();

    let count = async |session: &SessionContext| {
        let found = collect(session, "SELECT event_id FROM events").await;
        found.iter().map(RecordBatch::num_rows).sum::<usize>()
    };
    assert_eq!(count(&before).await, 3);
    assert_eq!(count(&session(&lake).await).await, 5);
}

#[tokio::test]
async fn nothing_can_be_written_through_a_session() {
    let lake = three_files().await;
    let session = session(&lake).await;

    let inserted = match session.sql("INSERT INTO events SELECT * FROM events").await {
        Ok(frame) => frame.collect().await.map(drop),
        Err(error) => Err(error),
    };

    assert!(inserted.is_err());
    assert_eq!(lake.table(Table::Events).await.unwrap().version(), Some(3));
}

#[tokio::test]
async fn a_table_that_is_not_made_is_none() {
    let (lake, _) = faulty();

    assert!(lake.provider(Table::Findings).await.unwrap().is_none());
}

async fn offsets_in(provider: Arc<dyn TableProvider>, wanted: &str) -> Vec<i64> {
    let session = SessionContext::new();
    session.register_table("events", provider).unwrap();
    let sql = format!("SELECT kafka_offset FROM events WHERE {wanted} ORDER BY kafka_offset");
    let batches = collect(&session, &sql).await;
    let offsets = |batch: &RecordBatch| {
        let column = arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(
            &batch["kafka_offset"],
        );
        column.values().to_vec()
    };
    batches.iter().flat_map(offsets).collect()
}

#[tokio::test]
async fn an_event_that_is_committed_while_it_is_asked_for_is_seen_once() {
    let (lake, _) = faulty();
    let mut handle = lake.table(Table::Events).await.unwrap();
    let (buffered, _) = batch(P0, 3, 6);
    let (in_flight, advance) = batch(P0, 0, 3);
    let live = || vec![in_flight.clone(), buffered.clone()];

    let before = lake.events_with(live()).await.unwrap();
    handle.append(vec![in_flight.clone()], &advance, now()).await.unwrap();
    let after = lake.events_with(live()).await.unwrap();
    let (_, more) = batch(P0, 3, 5);
    let (more_rows, _) = batch(P0, 3, 5);
    handle.append(vec![more_rows], &more, now()).await.unwrap();
    let later = lake.events_with(live()).await.unwrap();
    let idle = lake.events_with(Vec::new()).await.unwrap();

    for provider in [before, after, later] {
        assert_eq!(offsets_in(provider, "true").await, [0, 1, 2, 3, 4, 5]);
    }
    assert_eq!(offsets_in(idle, "true").await, [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn a_filter_holds_for_committed_and_live_events_alike() {
    let (lake, _) = faulty();
    let mut handle = lake.table(Table::Events).await.unwrap();
    let (rows, advance) = batch(P0, 0, 7);
    handle.append(vec![rows], &advance, now()).await.unwrap();
    let (live, _) = batch(P0, 7, 14);
    let provider = lake.events_with(vec![live]).await.unwrap();

    for wanted in [
        "agent_id = 'agent-3'",
        "agent_id = 'agent-3' AND month = '2026-03'",
        "kafka_offset IN (3, 10)",
    ] {
        assert_eq!(offsets_in(Arc::clone(&provider), wanted).await, [3, 10], "{wanted}");
    }
    assert!(offsets_in(provider, "month = '2025-01'").await.is_empty());
}
