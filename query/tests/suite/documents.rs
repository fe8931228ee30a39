//! `docs/sql.md` runs: a page whose statements fail is wrong.

use crate::fixture;

fn page() -> String {
    std::fs::read_to_string("../docs/sql.md").unwrap()
}

#[tokio::test]
async fn every_statement_of_the_page_answers_with_rows() {
    let engine = fixture::engine().await;
    let page = page();
    let blocks: Vec<&str> =
        page.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(10 <= blocks.len());
    for statement in blocks.iter().flat_map(|block| query::split_statements(block).unwrap()) {
        let answer =
            engine.sql(&statement).await.unwrap_or_else(|error| panic!("{statement}\n{error}"));
        let batches = answer.collect().await.unwrap_or_else(|error| panic!("{statement}\n{error}"));
        assert!(batches.iter().any(|batch| 0 < batch.num_rows()), "no rows: {statement}");
    }
}

#[tokio::test]
async fn the_page_names_every_table_and_view_and_each_view_s_columns() {
    let engine = fixture::engine().await;
    let page = page();
    for relation in engine.relations() {
        assert!(page.contains(&format!("`{}`", relation.name)), "{}", relation.name);
        for column in relation.columns.iter().filter(|_| relation.is_view) {
            assert!(
                page.contains(&format!("`{}`", column.name)),
                "{}.{}",
                relation.name,
                column.name
            );
        }
    }
}

#[tokio::test]
async fn every_column_says_what_it_means() {
    for relation in fixture::engine().await.relations() {
        for column in &relation.columns {
            assert!(
                column.doc.ends_with('.'),
                "{}.{}: {:?}",
                relation.name,
                column.name,
                column.doc
            );
        }
    }
}
