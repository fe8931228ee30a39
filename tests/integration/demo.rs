//! The demo as a script runs it: one JSON object, and the figures that it promises.

use tempfile::TempDir;

use crate::process::{sql, surety_json};

#[test]
fn the_demo_catches_the_fraud_at_the_first_order_and_names_the_sponsor() {
    let folder = TempDir::new().unwrap();

    let demo = surety_json(
        folder.path(),
        &["demo", "--once", "--format", "json", "--agents", "80", "--days", "15"],
    );

    let number =
        |path: &str| demo.pointer(path).and_then(serde_json::Value::as_f64).unwrap_or(f64::NAN);
    assert!(
        (number("/events_stored") + number("/rejects") - number("/events_produced")).abs() < 0.5,
        "{demo}"
    );
    for key in [
        "/agents",
        "/findings",
        "/history_seconds",
        "/attack/fraudulent_orders_total",
        "/attack/money_before_first_finding",
        "/attack/seconds_to_first_finding",
        "/false_findings_per_agent_day",
        "/webhook/sent",
        "/webhook/latency_ms/p50",
        "/webhook/latency_ms/p99",
        "/trace/coverage",
    ] {
        assert!(number(key).is_finite(), "{key}: {demo}");
    }
    assert!(1.0 <= number("/attack/fraudulent_orders_total"), "{demo}");
    assert!(number("/false_findings_per_agent_day") <= 0.5, "{demo}");
    assert!(number("/duplicates").abs() < 0.5, "{demo}");
    assert!(number("/attack/orders_before_first_finding") <= 1.0, "{demo}");
    assert!(1.0 <= number("/webhook/delivered"), "{demo}");
    assert!(number("/webhook/dead").abs() < 0.5, "{demo}");
    assert!(1.0 <= number("/trace/hops"), "{demo}");
    let agent = demo["attack"]["agent"].as_str().unwrap();
    let lake = folder.path().join("surety-demo");
    let rows = sql(
        folder.path(),
        lake.to_str().unwrap(),
        &format!("SELECT sponsor_id FROM agents WHERE agent_id = '{agent}'"),
    );
    assert_eq!(rows[0]["sponsor_id"], demo["trace"]["sponsor"]);
}
