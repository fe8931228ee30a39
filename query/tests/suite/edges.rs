//! The kept table of pairs, to which each commit adds.

use query::{Destination, Format, write_answer};

use crate::fixture;

async fn csv(sql: &str) -> String {
    let engine = fixture::engine_with_edges().await;
    let mut out = Vec::new();
    let mut answer = engine.sql(sql).await.unwrap();
    write_answer(&mut answer, Format::Csv, Destination::File, &mut out).await.unwrap();
    String::from_utf8(out).unwrap()
}

#[tokio::test]
async fn what_several_commits_add_to_a_pair_is_one_row() {
    assert_eq!(
        csv("SELECT * FROM counterparty_edges").await,
        "agent_id,counterparty_id,first_time,last_time,events\r\n\
         procurement-3,vendor:northwind,2026-03-01T09:00:00.000000Z,2026-03-02T11:00:00.000000Z,5\r\n"
    );
}

#[tokio::test]
async fn an_old_counterparty_is_not_new_because_a_commit_met_it_again() {
    assert_eq!(
        csv("SELECT count(*) AS n FROM counterparty_edges WHERE first_time >= '2026-03-02'").await,
        "n\r\n0\r\n"
    );
    assert_eq!(
        csv("SELECT events, money FROM counterparties").await,
        "events,money\r\n5,3000.00\r\n"
    );
}
