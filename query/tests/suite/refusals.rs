//! What no statement can do (Q1): write, change a setting, read a file, run for ever.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::DataFusionError;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use query::{Engine, Limits, QueryError};
use schemas::{EventId, Table};

use crate::fixture;

/// `DIR` becomes a folder that must stay as it is.
const WRITES: &[&str] = &[
    "INSERT INTO events SELECT * FROM events",
    "INSERT INTO findings VALUES (1)",
    "INSERT OVERWRITE events SELECT * FROM events",
    "UPDATE events SET agent_id = 'x'",
    "DELETE FROM events",
    "DELETE FROM events WHERE agent_id = 'ghost-7'",
    "TRUNCATE TABLE events",
    "MERGE INTO events USING findings ON events.event_id = findings.event_id WHEN MATCHED THEN DELETE",
    "REPLACE INTO events VALUES (1)",
    "CREATE TABLE t AS SELECT 1",
    "CREATE TABLE t (a INT)",
    "CREATE TEMPORARY TABLE t AS SELECT 1",
    "CREATE OR REPLACE VIEW agents AS SELECT 1",
    "CREATE VIEW v AS SELECT 1",
    "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION 'DIR/in.csv'",
    "CREATE UNBOUNDED EXTERNAL TABLE t STORED AS CSV LOCATION 'DIR/in.csv'",
    "CREATE SCHEMA s",
    "CREATE DATABASE d",
    "CREATE FUNCTION f(INT) RETURNS INT RETURN $1 + 1",
    "CREATE INDEX i ON events (agent_id)",
    "DROP TABLE events",
    "DROP VIEW agents",
    "DROP SCHEMA public CASCADE",
    "DROP FUNCTION json_get",
    "ALTER TABLE events ADD COLUMN x INT",
    "COPY events TO 'DIR/out.csv' STORED AS CSV",
    "COPY (SELECT * FROM events) TO 'DIR/out.parquet' STORED AS PARQUET",
    "COPY events FROM 'DIR/in.csv'",
    "UNLOAD ('SELECT 1') TO 'DIR/out'",
    "EXPLAIN COPY events TO 'DIR/out.csv'",
    "EXPLAIN ANALYZE COPY events TO 'DIR/out.csv' STORED AS CSV",
    "EXPLAIN ANALYZE INSERT INTO events SELECT * FROM events",
    "EXPLAIN VERBOSE DROP TABLE events",
    "EXPLAIN EXPLAIN DELETE FROM events",
    "SET datafusion.execution.target_partitions = 1",
    "SET TIME ZONE 'Europe/Berlin'",
    "RESET datafusion.execution.target_partitions",
    "USE other",
    "BEGIN",
    "START TRANSACTION",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT a",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "DEALLOCATE p",
    "DECLARE c CURSOR FOR SELECT 1",
    "FETCH NEXT FROM c",
    "CLOSE c",
    "GRANT ALL ON events TO public",
    "REVOKE ALL ON events FROM public",
    "CALL f()",
    "VACUUM events",
    "OPTIMIZE TABLE events",
    "ANALYZE TABLE events COMPUTE STATISTICS",
    "LOCK TABLE events",
    "COMMENT ON TABLE events IS 'x'",
    "KILL 1",
    "LISTEN c",
    "INSTALL httpfs",
    "LOAD httpfs",
    "ATTACH DATABASE 'DIR/x.db' AS x",
    "SELECT * INTO t FROM events",
    "WITH w AS (DELETE FROM events RETURNING *) SELECT * FROM w",
    "WITH w AS (SELECT 1) INSERT INTO events SELECT * FROM w",
    "WITH w AS (INSERT INTO events SELECT * FROM events RETURNING *) SELECT * FROM w",
    "/* SELECT */ DROP TABLE events",
    "-- SELECT\nDROP TABLE events",
    "SELECT 1; DROP TABLE events",
    "SELECT 1;; COPY events TO 'DIR/out.csv' STORED AS CSV;",
];

/// Statements that only read, but not from the lake.
const OUTSIDE: &[&str] = &[
    "SELECT * FROM 'DIR/in.csv'",
    "SELECT * FROM \"DIR/in.csv\"",
    "SELECT * FROM read_csv('DIR/in.csv')",
    "SELECT * FROM read_parquet('DIR/in.csv')",
    "SELECT pg_read_file('DIR/in.csv')",
    "SELECT * FROM other.public.events",
    "TABLE \"DIR/in.csv\"",
];

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let read = |entry: std::fs::DirEntry| {
        (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())
    };
    folder.read_dir().unwrap().map(|entry| read(entry.unwrap())).collect()
}

#[tokio::test]
async fn no_statement_writes_or_leaves_the_lake() {
    let engine = fixture::engine().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in.csv"), "a\n1\n").unwrap();
    let before = files(folder.path());

    for statement in WRITES {
        let statement = statement.replace("DIR", folder.path().to_str().unwrap());
        let error = engine.sql(&statement).await.expect_err(&statement);
        let is_several =
            statement.contains(';') && error.to_string().contains("one statement at a time");
        // The parser knows neither of these; it does not run what it cannot read.
        let is_unread = matches!(error, QueryError::Syntax { .. });
        assert!(
            is_several || is_unread || matches!(error, QueryError::ReadOnly { .. }),
            "{statement}: {error}"
        );
    }
    for statement in OUTSIDE {
        let statement = statement.replace("DIR", folder.path().to_str().unwrap());
        let error = engine.sql(&statement).await.expect_err(&statement);
        let is_unknown = matches!(
            error,
            QueryError::Unknown { .. } | QueryError::Invalid { .. } | QueryError::Syntax { .. }
        );
        assert!(is_unknown, "{statement}: {error:?}");
    }

    assert_eq!(files(folder.path()), before);
    let tables = engine
        .sql("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        .await;
    let tables: usize =
        tables.unwrap().collect().await.unwrap().iter().map(RecordBatch::num_rows).sum();
    assert_eq!(tables, engine.relations().len());
}

#[tokio::test]
async fn a_write_is_told_to_be_read_only() {
    let engine = fixture::engine().await;

    let error = engine.sql("DELETE FROM events").await.unwrap_err();

    assert_eq!(
        error.to_string(),
        "DELETE is refused: the lake is read only, wanted SELECT, WITH, VALUES, EXPLAIN, DESCRIBE or SHOW"
    );
    let syntax = WRITES[..45].iter().filter(|write| !write.contains("WITH"));
    for write in syntax {
        let error = engine.sql(write).await.unwrap_err();
        assert!(matches!(error, QueryError::ReadOnly { .. }), "{write}: {error}");
    }
}

#[tokio::test]
async fn statements_that_read_are_not_refused() {
    let engine = fixture::engine().await;
    for statement in [
        "SELECT 1;",
        "  -- a remark\n SELECT 1 -- another",
        "WITH a AS (SELECT 1 AS x) SELECT * FROM a",
        "VALUES (1), (2)",
        "(SELECT 1) UNION ALL (SELECT 2)",
        "EXPLAIN SELECT * FROM events",
        "EXPLAIN ANALYZE SELECT count(*) FROM agents",
        "DESCRIBE events",
        "SHOW TABLES",
        "SHOW COLUMNS FROM agents",
        "SHOW datafusion.execution.time_zone",
        "SELECT 'DROP TABLE events; --' AS text",
        "SELECT \"delete\" FROM (VALUES (1)) AS t(\"delete\")",
    ] {
        let answer = engine.sql(statement).await;
        let batches = answer.expect(statement).collect().await.expect(statement);
        assert!(!batches.is_empty(), "{statement}");
    }
}

fn chain(term: &str, between: &str, terms: usize) -> String {
    vec![term; terms].join(between)
}

#[tokio::test]
async fn a_statement_that_is_too_large_or_deep_is_refused_quickly() {
    let engine = fixture::engine().await;
    let nested = |levels: usize| format!("SELECT {}1{}", "(".repeat(levels), ")".repeat(levels));
    let subqueries =
        (0..200).fold("SELECT 1 AS a".to_owned(), |inner, _| format!("SELECT a FROM ({inner})"));
    for (name, statement) in [
        ("2,000 terms", format!("SELECT {}", chain("1", "+", 2_000))),
        ("100,000 terms", format!("SELECT {}", chain("1", "+", 100_000))),
        ("2,000 ANDs", format!("SELECT 1 WHERE {}", chain("1=1", " AND ", 2_000))),
        ("2,000 casts", format!("SELECT 1{}", "::int".repeat(2_000))),
        ("2,000 negations", format!("SELECT {} true", "NOT ".repeat(2_000))),
        ("2,000 minus signs", format!("SELECT {} 1", "- ".repeat(2_000))),
        ("5,000 parentheses", nested(5_000)),
        ("200 subqueries", subqueries),
        ("3,000 UNION ALL", chain("SELECT 1", " UNION ALL ", 3_000)),
        ("100,000 in a list", format!("SELECT 1 IN ({})", chain("1", ",", 100_000))),
        ("100 tables", format!("SELECT 1 FROM {}", chain("events", ",", 100))),
        ("100 joins", format!("SELECT 1 FROM events {}", " CROSS JOIN events".repeat(100))),
        ("10 MB", format!("SELECT '{}'", "x".repeat(10 << 20))),
    ] {
        let start = Instant::now();
        let error = engine.sql(&statement).await.expect_err(name);
        assert!(matches!(error, QueryError::TooLarge { .. }), "{name}: {error}");
        assert!(start.elapsed() < Duration::from_secs(5), "{name}: {:?}", start.elapsed());
    }
}

#[tokio::test]
async fn a_statement_within_the_limits_is_planned() {
    let engine = fixture::engine().await;
    for (name, statement) in [
        ("300 terms", format!("SELECT {}", chain("1", "+", 300))),
        ("1,000 ANDs", format!("SELECT 1 WHERE {}", chain("true", " AND ", 1_001))),
        (
            "5,000 in a list",
            format!("SELECT count(*) FROM events WHERE agent_id IN ({})", chain("'x'", ",", 5_000)),
        ),
        ("50 UNION ALL", chain("SELECT 1", " UNION ALL ", 50)),
        ("10 parentheses", format!("SELECT {}1{}", "(".repeat(10), ")".repeat(10))),
    ] {
        let answer = engine.sql(&statement).await;
        answer.unwrap_or_else(|error| panic!("{name}: {error}")).collect().await.expect(name);
    }
}

/// `SELECT a FROM (SELECT a FROM (…))` with `column` for each `a`.
fn levels(column: &str, levels: usize) -> String {
    (0..levels).fold("SELECT 1 AS a".to_owned(), |inner, _| {
        format!("SELECT {column} AS a FROM ({inner}) AS t")
    })
}

#[tokio::test]
async fn a_statement_that_grows_when_its_parts_are_put_together_is_refused_before_that() {
    let engine = fixture::engine().await;
    let doubling = |twice: fn(usize) -> String| {
        let names: Vec<String> = (1..60).map(|n| format!("t{n} AS ({})", twice(n - 1))).collect();
        format!("WITH t0 AS (SELECT 1 AS a), {} SELECT * FROM t59", names.join(", "))
    };
    let joined = doubling(|n| format!("SELECT x.a FROM t{n} AS x CROSS JOIN t{n} AS y"));
    let united = doubling(|n| format!("SELECT a FROM t{n} UNION ALL SELECT a FROM t{n}"));
    for (name, statement) in [
        ("a column that doubles 50 times", levels("a + a", 50)),
        ("and is filtered by", format!("SELECT * FROM ({}) WHERE a > 1", levels("a + a", 50))),
        ("a column with 20 names in 5 levels", levels(&chain("a", "+", 20), 5)),
        ("a name of a WITH that stands for 2^60 tables", joined),
        ("and for 2^60 branches", united),
        (
            "2^23 grouping sets",
            "SELECT count(*) FROM events GROUP BY CUBE(event_id, time, agent_id, agent_class, model, session_id), \
             CUBE(task_id, grant_id, credential_id, credential_kind, action, resource, resource_kind, outcome), \
             CUBE(source_ip, user_agent, sponsor_id, trace_status, format, topic, kafka_offset, month, currency)"
                .to_owned(),
        ),
    ] {
        let start = Instant::now();
        let error = engine.sql(&statement).await.expect_err(name);
        assert!(matches!(error, QueryError::TooLarge { .. }), "{name}: {error}");
        assert!(start.elapsed() < Duration::from_secs(5), "{name}: {:?}", start.elapsed());
    }
}

#[tokio::test]
async fn a_statement_that_makes_much_out_of_little_is_refused_before_it_does() {
    let engine = fixture::engine().await;
    let doubled = |by: &str| {
        let start = "SELECT event_id AS a FROM events".to_owned();
        (0..40).fold(start, |inner, _| format!("SELECT {by} AS a FROM ({inner}) AS t"))
    };
    for statement in [
        "SELECT range(0, 4000000000)",
        "SELECT generate_series(0, 4000000000)",
        "SELECT array_repeat(1, 4000000000)",
        "SELECT array_resize([1], 4000000000, 0)",
        "SELECT arrow_cast(NULL, 'FixedSizeBinary(2000000000)')",
        "SELECT repeat('x', 4000000000)",
        "SELECT repeat(event_id, 1000000000) FROM events",
        "SELECT lpad('x', 2000000000, 'y')",
        "SELECT rpad(event_id, 2000000000) FROM events",
        "SELECT replace(repeat('x', 60000), 'x', repeat('y', 60000))",
        "SELECT regexp_replace(repeat('x', 60000), 'x', repeat('y', 60000), 'g')",
        "SELECT regexp_replace(repeat(event_id, 100000), '.*', repeat('$0', 30000)) FROM events",
        "SELECT concat_ws(repeat('x', 60000), event_id, event_id) FROM generate_series(1, 8000), events",
        "SELECT array_to_string(string_to_array(repeat(event_id, 100000), NULL), repeat('x', 60000)) FROM events",
        "SELECT to_char(time, repeat('%c', 30000)) FROM events CROSS JOIN generate_series(1, 8000)",
        "SELECT levenshtein(repeat(event_id, 1000000), repeat(event_id, 1000000)) FROM events",
        "SELECT make_array(repeat('x', 60000), event_id) FROM events CROSS JOIN generate_series(1, 8000)",
        "SELECT [repeat('x', 60000), event_id] FROM events CROSS JOIN generate_series(1, 8000)",
        "SELECT repeat('x', 60000) AS a, repeat('y', 60000) AS b, repeat('z', 60000) AS c FROM events",
        "SELECT string_agg(event_id, repeat('x', 100000)) FROM events",
        "SELECT array_agg(value) OVER (ORDER BY value) FROM generate_series(1, 1000000)",
        "SELECT * FROM trace(repeat('x', 4000000000))",
        &doubled("a || a"),
        &doubled("concat(a, a)"),
        &doubled("array_to_string([a, a], '')"),
    ] {
        let start = Instant::now();
        let error = match engine.sql(statement).await {
            Err(error) => error,
            Ok(answer) => answer.collect().await.map(|_| ()).expect_err(statement),
        };
        let is_told = matches!(
            error,
            QueryError::Resources { .. }
                | QueryError::TooLarge { .. }
                | QueryError::Unknown { .. }
                | QueryError::Invalid { .. }
        );
        assert!(is_told, "{statement}: {error}");
        assert!(start.elapsed() < Duration::from_secs(10), "{statement}: {:?}", start.elapsed());
    }
}

#[tokio::test]
async fn functions_within_their_bounds_answer_as_ever() {
    let engine = fixture::engine().await;
    for (statement, wanted) in [
        ("SELECT repeat('ab', 3)", "ababab"),
        ("SELECT lpad('7', 3, '0') || '-' || rpad('x', 3, '.')", "007-x.."),
        ("SELECT replace('a-b-c', '-', '+')", "a+b+c"),
        ("SELECT regexp_replace('a1b22', '[0-9]+', '<$0>', 'g')", "a<1>b<22>"),
        ("SELECT concat('a', NULL, 1, 'b')", "a1b"),
        ("SELECT concat_ws('/', 'a', NULL, 'b')", "a/b"),
        ("SELECT array_to_string(string_to_array('a,b', ','), ';')", "a;b"),
        ("SELECT array_to_string([1, 2] || [3], ',')", "1,2,3"),
        ("SELECT to_char(TIMESTAMP '2026-03-01T10:00:00', '%Y/%m')", "2026/03"),
        ("SELECT CAST(levenshtein('kitten', 'sitting') AS VARCHAR)", "3"),
        ("SELECT event_id || ':' || kafka_offset FROM events WHERE event_id = 'e1'", "e1:0"),
        ("SELECT coalesce('a' || NULL, 'null')", "null"),
        (
            "SELECT max(agent_id || '/' || action) FROM events WHERE event_id = 'e1'",
            "procurement-3/order.approve",
        ),
        ("SELECT CAST(sum(value) AS VARCHAR) FROM generate_series(1, 100)", "5050"),
        (
            "WITH a AS (SELECT 1 AS x), b AS (SELECT x + x AS x FROM a) SELECT CAST(x + x AS VARCHAR) FROM b",
            "4",
        ),
    ] {
        let answer =
            engine.sql(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
        let batches = answer.collect().await.unwrap_or_else(|error| panic!("{statement}: {error}"));
        let shown = arrow::util::display::array_value_to_string(batches[0].column(0), 0).unwrap();
        assert_eq!(shown, wanted, "{statement}");
    }
}

#[tokio::test]
async fn an_answer_ends_at_its_bytes() {
    let small = Limits { bytes_max: 1_000, ..Limits::ONE_PERSON };
    let engine = fixture::engine_within(small).await;

    let answer = engine.sql("SELECT * FROM generate_series(1, 1000)").await.unwrap();

    let error = answer.collect().await.unwrap_err();
    assert_eq!(error.to_string(), "the statement reached a limit: more than 1000 bytes");
}

/// A table whose storage never answers.
#[derive(Debug)]
struct Silent;

#[async_trait::async_trait]
impl TableProvider for Silent {
    fn schema(&self) -> SchemaRef {
        Table::Events.arrow_schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        _: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_trace_and_a_plan_end_at_their_deadline() {
    let limits = Limits { time_max: Duration::from_millis(1_100), ..Limits::ONE_PERSON };
    let silent: Arc<dyn TableProvider> = Arc::new(Silent);
    let tables = Table::ALL
        .iter()
        .map(|table| (*table, (*table == Table::Events).then(|| Arc::clone(&silent))));
    let engine = Engine::with_tables(tables.collect(), limits).await.unwrap();

    let trace = engine.trace(&EventId::try_from("e1").unwrap(), None).await.unwrap_err();
    let plan = engine.sql("SELECT * FROM events").await.unwrap_err();

    assert!(matches!(trace, QueryError::Timeout { seconds: 1 }), "{trace}");
    assert!(matches!(plan, QueryError::Timeout { seconds: 1 }), "{plan}");
}

const ENDLESS: &str = "SELECT count(*) FROM generate_series(1, 100000000000)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_ends_at_its_deadline() {
    let time_max = Duration::from_secs(1);
    let engine = fixture::engine_within(Limits { time_max, ..Limits::ONE_PERSON }).await;
    let start = Instant::now();

    let error = engine.sql(ENDLESS).await.unwrap().collect().await.unwrap_err();

    assert!(matches!(error, QueryError::Timeout { seconds: 1 }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn an_answer_ends_at_its_rows_and_its_memory() {
    let limits = Limits {
        rows_max: 10,
        memory_bytes_max: 4 << 20,
        spill_bytes_max: 1 << 20,
        ..Limits::ONE_PERSON
    };
    let engine = fixture::engine_within(limits).await;

    let rows = engine
        .sql("SELECT * FROM generate_series(1, 1000)")
        .await
        .unwrap()
        .collect()
        .await
        .unwrap_err();
    let many =
        "SELECT value, count(*) FROM generate_series(1, 3000000) GROUP BY value ORDER BY 2, 1";
    let memory = engine.sql(many).await.unwrap().collect().await.unwrap_err();

    assert_eq!(rows.to_string(), "the statement reached a limit: more than 10 rows");
    assert!(matches!(memory, QueryError::Resources { .. }), "{memory}");
}
