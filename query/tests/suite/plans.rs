//! Plans that decide whether a question takes milliseconds or minutes.

use arrow::array::AsArray;

use crate::fixture;

async fn logical_plan(sql: &str) -> String {
    let engine = fixture::engine().await;
    let batches = engine.sql(&format!("EXPLAIN {sql}")).await.unwrap().collect().await.unwrap();
    batches[0].column(1).as_string::<i32>().value(0).to_owned()
}

#[tokio::test]
async fn a_condition_on_the_agent_goes_below_the_numbering_of_its_history() {
    let plan = logical_plan("SELECT * FROM agent_history WHERE agent_id = 'procurement-3'").await;

    let filter = plan.find("agent_id = Utf8(\"procurement-3\")").unwrap();
    assert!(plan.rfind("WindowAggr").unwrap() < filter, "{plan}");
}

#[tokio::test]
async fn a_condition_on_the_agent_goes_below_the_sums_of_its_inventory() {
    let plan = logical_plan("SELECT * FROM agents WHERE agent_id = 'procurement-3'").await;

    // Once for the events, once for the counterparties, once for the findings.
    assert_eq!(plan.matches("agent_id = Utf8(\"procurement-3\")").count(), 3, "{plan}");
}

#[tokio::test]
async fn no_view_holds_an_anti_join() {
    let engine = fixture::engine().await;
    for view in engine.relations().iter().filter(|relation| relation.is_view) {
        let plan = logical_plan(&format!("SELECT * FROM {}", view.name)).await;
        assert!(!plan.contains("Anti"), "{}: {plan}", view.name);
    }
}
