//! Runs `tests/slt/*.slt`: statements with their rows.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use query::{Engine, QueryError};
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner};

use crate::fixture;

struct Fixture(Engine);

#[async_trait]
impl AsyncDB for Fixture {
    type Error = QueryError;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, QueryError> {
        let answer = self.0.sql(sql).await?;
        let types = vec![DefaultColumnType::Any; answer.schema().fields().len()];
        let options = FormatOptions::default().with_null("NULL");
        let mut rows = Vec::new();
        for batch in answer.collect().await? {
            let columns = batch
                .columns()
                .iter()
                .map(|column| ArrayFormatter::try_new(column, &options).unwrap());
            let columns: Vec<_> = columns.collect();
            let row =
                |row: usize| columns.iter().map(|column| column.value(row).to_string()).collect();
            rows.extend((0..batch.num_rows()).map(row));
        }
        Ok(DBOutput::Rows { types, rows })
    }

    async fn shutdown(&mut self) {}
}

async fn run_all(make: impl AsyncFn() -> Engine) {
    let folder = Path::new("tests/slt");
    let mut files: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let mut runner = Runner::new(async || Ok(Fixture(make().await)));
        if let Err(error) = runner.run_file_async(&file).await {
            panic!("{}", error.display(false));
        }
    }
}

#[tokio::test]
async fn every_view_answers_as_written() {
    run_all(fixture::engine).await;
}

#[tokio::test]
async fn every_view_answers_the_same_from_delta_tables() {
    let folders = tempfile::tempdir().unwrap();
    let next = AtomicUsize::new(0);
    run_all(async || {
        let number = next.fetch_add(1, Ordering::Relaxed).to_string();
        fixture::engine_on_disk(&folders.path().join(number)).await
    })
    .await;
}
