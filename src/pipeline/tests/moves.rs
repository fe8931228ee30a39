//! D06: a partition goes to and fro between two workers, and each finding is found once.

use super::*;

/// Thirty days of five buyers in the office; on some mornings, one orders from vendors nobody knows.
fn records() -> Vec<Vec<u8>> {
    let midnight = schemas::Timestamp::parse("2026-03-02T00:00:00Z").unwrap();
    let use_of = |day: u64, minute: u64, agent: u64, action: &str, vendor: String| {
        let time = midnight.plus(Duration::from_secs(day * 86_400 + minute * 60));
        serde_json::json!({
            "schema": "surety.credential_event.v1", "time": time, "agent_class": "buyer",
            "agent_id": format!("buyer-{agent}"), "credential_id": format!("key-{agent}"),
            "credential_kind": "static_key", "action": action, "outcome": "success",
            "counterparty_id": vendor,
        })
    };
    let mut records = Vec::new();
    for day in 0..30 {
        for hour in 8..16 {
            for agent in 0..5 {
                let action = if (hour + agent) % 3 == 0 { "order.create" } else { "vendor.read" };
                let vendor = format!("vendor-{}", (day * 7 + hour * 3 + agent) % 4);
                let one = use_of(day, hour * 60 + agent * 11 + day % 7, agent, action, vendor);
                records.push(one.to_string().into_bytes());
            }
        }
        for order in (0..3).filter(|_| day % 4 == 3) {
            let vendor = format!("shell-{day}-{order}");
            let mut one = use_of(day, 960 + order, day % 5, "order.approve", vendor);
            one["amount"] = "48000.00".into();
            one["currency"] = "EUR".into();
            records.push(one.to_string().into_bytes());
        }
    }
    records
}

/// With findings from the third day on.
fn worker(folder: &Path) -> Parts<Log> {
    let mut parts = parts(folder, Log::of(&[("uses", records())]));
    parts.detect = serde_json::from_str(r#"{"warmup-events": 100}"#).unwrap();
    parts
}

async fn findings(folder: &Path) -> Value {
    let sql = "SELECT finding_id, time, detector, severity, agent_id, event_id, score, summary, features \
               FROM findings ORDER BY finding_id";
    rows(folder, sql).await
}

#[tokio::test]
async fn a_partition_that_moves_fifty_times_leaves_the_findings_of_one_that_stays() {
    let (calm, moved) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    run_to_end(with_parts(worker(calm.path())).await).await.unwrap();
    let wanted = findings(calm.path()).await;
    assert!(10 < wanted.as_array().unwrap().len(), "{wanted}");

    // One always keeps its state, which is old when it comes back; the other never does.
    let mut workers = Vec::new();
    for (name, checkpoint_age_max) in [("a", Duration::ZERO), ("b", Duration::from_hours(1))] {
        let mut parts = worker(moved.path());
        parts.checkpoints = Checkpoints::new(&moved.path().join(name)).unwrap();
        parts.limits.checkpoint_age_max = checkpoint_age_max;
        workers.push(with_parts(parts).await);
    }
    for turn in 0..50 {
        let worker = &mut workers[turn % 2];
        Box::pin(worker.abandon()).await.unwrap();
        for _ in 0..2 {
            take(worker).await;
        }
        worker.commit(false).unwrap();
        assert_eq!(settled(worker).await, Settled::Landed, "turn {turn}");
        // What it took after its last commit, it loses with the partition.
        take(worker).await;
        if let Some(keeping) = worker.keeping.take() {
            keeping.await.unwrap().unwrap();
        }
    }
    Box::pin(workers[0].abandon()).await.unwrap();
    run_to_end(workers.swap_remove(0)).await.unwrap();

    assert_uses_once(moved.path(), records().len() as u64).await;
    assert_eq!(findings(moved.path()).await, wanted);
}
