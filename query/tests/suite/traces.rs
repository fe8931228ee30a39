//! Traces of events with and without a sponsor.

use query::{NameKind, QueryError};
use schemas::{EventId, TraceStatus};

use crate::fixture::{engine, engine_on_disk, engine_with_a_shared_account, time};

fn id(text: &str) -> EventId {
    EventId::try_from(text).unwrap()
}

#[tokio::test]
async fn an_event_of_a_registered_agent_leads_to_its_sponsor() {
    let answer = engine().await.trace(&id("e3"), None).await.unwrap();

    assert!(!answer.is_gap());
    assert_eq!(answer.trace.sponsor_id.as_ref().unwrap().as_str(), "s.meyer");
    assert_eq!(answer.sponsor_name.as_deref(), Some("Sabine Meyer"));
    assert_eq!(answer.event.amount.unwrap().to_string(), "49800.00");
    assert_eq!(answer.stamped.status, TraceStatus::Traced);
    let evidence = &answer.trace.hops[0].evidence;
    let text = format!(
        "event      e3 at 2026-03-02T09:00:00.000000Z
agent      procurement-3, class procurement
action     order.approve with vendor:shell-1, 49800.00 EUR, success
credential svc-erp

  1  agent:procurement-3 -> sponsor:s.meyer
     by registry, confidence 1.00, since 2025-02-01T00:00:00.000000Z, evidence {evidence}

sponsor    s.meyer (Sabine Meyer, Purchasing)
status     traced, confidence 1.00, by what is known now
stamped    s.meyer, traced, confidence 1.00, when it was read at 2026-03-02T09:00:01.000000Z: the same
"
    );
    assert_eq!(answer.render_text(), text);
}

#[tokio::test]
async fn an_event_of_an_unknown_agent_is_a_gap() {
    let answer = engine().await.trace(&id("e6"), None).await.unwrap();

    assert!(answer.is_gap());
    assert_eq!(answer.trace.status, TraceStatus::Unregistered);
    let text = answer.render_text();
    assert!(
        text.contains(
            "gap  at agent:ghost-7: neither agent, class nor credential is in the registry"
        ),
        "{text}"
    );
    assert!(text.contains("sponsor    nobody\n"), "{text}");
}

#[tokio::test]
async fn what_was_learned_later_changes_the_trace_but_not_the_stamp() {
    let engine = engine().await;

    let now = engine.trace(&id("e8"), None).await.unwrap();
    let then = engine.trace(&id("e8"), Some(time("2026-03-03T10:00:00Z"))).await.unwrap();

    assert!(now.is_gap() && !then.is_gap());
    assert_eq!(now.trace.status, TraceStatus::Orphaned);
    assert_eq!(now.stamped, then.stamped);
    assert_eq!(now.stamped.sponsor_id.as_ref().unwrap().as_str(), "a.khan");
    assert!(now.render_text().contains(": different\n"));
    assert!(then.render_text().contains("by what is known at 2026-03-03T10:00:00.000000Z"));
}

#[tokio::test]
async fn candidates_of_a_shared_account_are_weighed_by_its_uses_and_none_is_picked() {
    let engine = engine_with_a_shared_account().await;

    for (event, likely) in [("s-buyer", "procurement-3"), ("s-reporter", "report-1")] {
        let answer = engine.trace(&id(event), None).await.unwrap();

        assert!(answer.is_gap(), "{answer:?}");
        let gap = answer.trace.gap.as_ref().unwrap();
        assert!(gap.reason.contains("68 uses within 15 days"), "{gap:?}");
        let sum: f32 = gap.candidates.iter().map(|one| one.probability).sum();
        assert!((sum - 1.0).abs() < 1e-6, "{gap:?}");
        for candidate in &gap.candidates {
            let is_likely = candidate.agent_id.as_str() == likely;
            assert_eq!(is_likely, 0.9 < candidate.probability, "{gap:?}");
        }
    }
    // Of what was not read by then, nothing tells them apart.
    let then = engine.trace(&id("s-buyer"), Some(time("2026-03-03T23:59:59Z"))).await.unwrap();
    let gap = then.trace.gap.as_ref().unwrap();
    assert!(!gap.reason.contains("uses within"), "{gap:?}");
    assert!(gap.candidates.iter().all(|one| (one.probability - 0.5).abs() < 1e-6), "{gap:?}");
}

#[tokio::test]
async fn a_trace_is_json() {
    let answer = engine().await.trace(&id("e7"), None).await.unwrap();

    let json = serde_json::to_value(&answer).unwrap();

    assert_eq!(json["trace"]["status"], "claimed");
    assert_eq!(json["trace"]["hops"][0]["method"], "claimed");
    assert_eq!(json["event"]["amount"], "10.00");
    assert_eq!(json["stamped"]["sponsor_id"], "s.meyer");
}

#[tokio::test]
async fn an_event_that_is_not_there_is_unknown() {
    let error = engine().await.trace(&id("nothing"), None).await.unwrap_err();

    assert!(matches!(error, QueryError::Unknown { kind: NameKind::Event, .. }), "{error}");
}

#[tokio::test]
async fn a_trace_from_delta_tables_is_that_from_memory() {
    let folder = tempfile::tempdir().unwrap();
    let on_disk = engine_on_disk(folder.path()).await;
    let in_memory = engine().await;
    for event in ["e1", "e6", "e7", "e8"] {
        let wanted = in_memory.trace(&id(event), None).await.unwrap();
        assert_eq!(on_disk.trace(&id(event), None).await.unwrap(), wanted, "{event}");
    }
}
