//! What errors say: the place, the nearest name.

use query::{NameKind, Place, QueryError, split_statements};

use crate::fixture;

async fn error(sql: &str) -> QueryError {
    let engine = fixture::engine().await;
    match engine.sql(sql).await {
        Err(error) => error,
        Ok(answer) => answer.collect().await.expect_err(sql),
    }
}

#[tokio::test]
async fn a_syntax_error_names_its_line_and_column() {
    for (sql, line, column) in [
        ("SELEC 1", 1, 1),
        ("SELECT agent_id\nFROM events\nWHERE agent_id = = 'x'", 3, 18),
        ("SELECT * FROM events WHERE", 1, 27),
        ("SELECT (1", 1, 10),
        ("SELECT 'open", 1, 8),
        ("SELECT\n  a b c", 2, 7),
        ("", 1, 1),
        (";", 1, 2),
    ] {
        let QueryError::Syntax { spot, .. } = error(sql).await else {
            panic!("{sql}: not a syntax error");
        };
        assert_eq!(spot.place, Place { line, column }, "{sql}");
    }
}

#[tokio::test]
async fn a_syntax_error_shows_the_line_with_a_caret() {
    let text = error("SELECT agent_id\nFROM events\nWHERE agent_id = = 'x'").await.to_string();

    assert_eq!(
        text,
        "3:18: expected: an expression, found: =\n  | WHERE agent_id = = 'x'\n  |                  ^"
    );
}

#[tokio::test]
async fn an_unknown_name_is_placed_and_the_nearest_is_offered() {
    for (sql, kind, name, nearest, place) in [
        ("SELECT agnt_id FROM events", NameKind::Column, "agnt_id", Some("agent_id"), (1, 8)),
        ("SELECT e.tme\nFROM events e", NameKind::Column, "tme", Some("time"), (1, 10)),
        ("SELECT *\nFROM evnts", NameKind::Table, "evnts", Some("events"), (2, 6)),
        ("SELECT * FROM agent_hist", NameKind::Table, "agent_hist", Some("agent_history"), (1, 15)),
        ("SELECT * FROM zzzzzz", NameKind::Table, "zzzzzz", None, (1, 15)),
        ("SELECT cuont(1)", NameKind::Function, "cuont", Some("count"), (1, 8)),
        ("SELECT * FROM trac('e1')", NameKind::Function, "trac", Some("trace"), (1, 15)),
    ] {
        let error = error(sql).await;
        let QueryError::Unknown { kind: found_kind, name: found_name, nearest: found, spot } =
            &error
        else {
            panic!("{sql}: {error}");
        };
        assert_eq!(
            (*found_kind, found_name.as_str(), found.as_deref()),
            (kind, name, nearest),
            "{sql}"
        );
        let found = spot.as_ref().map(|spot| (spot.place.line, spot.place.column));
        assert_eq!(found, Some(place), "{sql}");
    }
    assert_eq!(
        error("SELECT agnt_id FROM events").await.to_string(),
        "1:8: no column is named 'agnt_id', did you mean 'agent_id'?\n  | SELECT agnt_id FROM events\n  |        ^"
    );
}

#[tokio::test]
async fn a_statement_without_meaning_is_invalid() {
    for sql in [
        "SELECT agent_id, count(*) FROM events",
        "SELECT 1 + true",
        "SELECT 1/0",
        "SELECT CAST('x' AS INT)",
    ] {
        let error = error(sql).await;
        assert!(matches!(error, QueryError::Invalid { .. }), "{sql}: {error}");
    }
}

#[test]
fn statements_of_a_file_keep_their_lines_and_columns() {
    let file = "-- first\nSELECT 1;\n\nSELECT ';' AS a; SELECT 2\n";

    let statements = split_statements(file).unwrap();

    let trimmed: Vec<&str> = statements.iter().map(|statement| statement.trim()).collect();
    assert_eq!(trimmed, ["SELECT 1", "SELECT ';' AS a", "SELECT 2"]);
    let third: Vec<&str> = statements[2].split('\n').collect();
    assert_eq!(third, ["", "", "", "                 SELECT 2"]);
    assert!(split_statements("SELECT 'open").is_err());
    assert!(split_statements(" ; -- nothing\n;").unwrap().is_empty());
}

#[tokio::test]
async fn an_error_in_a_file_has_the_place_in_the_file() {
    let statements = split_statements("SELECT 1;\n  SELECT nme FROM events;").unwrap();

    let text = error(&statements[1]).await.to_string();

    assert!(text.starts_with("2:10: no column is named 'nme'"), "{text}");
}
