//! [`records`]: the rows of an answer to a query, each as the object whose fields its columns are.
//!
//! Invariant: only lists of columns, each with its name, are taken for rows; then none is left out, whatever
//! is in it.
//!
//! Sources: AWS, *Amazon `CloudWatch` Logs API Reference* (`GetQueryResults`, `ResultField`), *CloudTrail API
//! Reference* (`GetQueryResults`).

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::batch::field;
use super::json::Json;
use super::native::Fields;

/// Where `CloudWatch` Logs has the rows.
const RESULTS: &str = "results";
/// Where `CloudTrail` Lake has them.
const PAGE: &str = "QueryResultRows";
/// How the names of the columns begin that are the log's own; each row has one of them.
const OWN: char = '@';

/// The name of a column and what stands in it.
type Column<'j> = (Cow<'j, str>, Json<'j>);

/// The rows of an object with these fields; `None` if it has none.
pub(super) fn records(fields: &Fields<'_>) -> Option<Vec<String>> {
    of_list(fields, RESULTS, of_result).or_else(|| of_list(fields, PAGE, of_page))
}

/// A row of `CloudWatch` Logs that stands alone, from the elements of a list: of a batch, which may be long, only
/// the first is read.
pub(super) fn record(elements: &[&RawValue]) -> Option<String> {
    let columns: Option<Vec<Json<'_>>> = elements
        .iter()
        .map(|raw| Json::parse(raw.get()).ok().filter(|column| of_result(column).is_some()))
        .collect();
    let columns = columns?;
    let is_own = |one: &Json<'_>| one.text("field").is_some_and(|name| name.starts_with(OWN));
    let is_row = columns.iter().any(is_own);
    object(&Json::List(columns), of_result).filter(|_| is_row)
}

fn of_list(
    fields: &Fields<'_>,
    name: &str,
    column: for<'j> fn(&'j Json<'j>) -> Option<Column<'j>>,
) -> Option<Vec<String>> {
    let Ok(Json::List(rows)) = Json::parse(field(fields, name)?.get()) else { return None };
    let rows: Option<Vec<String>> = rows.iter().map(|row| object(row, column)).collect();
    rows.filter(|rows| !rows.is_empty())
}

/// The row as an object, if it is a list of columns.
fn object<'j>(
    row: &'j Json<'j>,
    column: impl Fn(&'j Json<'j>) -> Option<Column<'j>>,
) -> Option<String> {
    let Json::List(columns) = row else { return None };
    let fields: Option<Vec<Column<'_>>> = columns.iter().map(column).collect();
    Some(Json::Object(fields.filter(|fields| !fields.is_empty())?).to_string())
}

/// A column of which name and value are fields of their own.
fn of_result<'j>(column: &'j Json<'j>) -> Option<Column<'j>> {
    match column.fields() {
        [_, _] => Some((column.text("field")?.into(), column.field("value")?.clone())),
        _ => None,
    }
}

/// A column that is an object of one field.
fn of_page<'j>(column: &'j Json<'j>) -> Option<Column<'j>> {
    match column.fields() {
        [(name, value)] => Some((name.clone(), value.clone())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::batch::elements;
    use super::super::native::fields_of;
    use super::*;

    #[test]
    fn only_lists_of_named_columns_are_rows() {
        for (text, wanted) in [
            (
                r#"{"results":[[{"field":"@message","value":"m"},{"field":"@ptr","value":"p"}],[{"field":"n","value":1}]]}"#,
                Some(vec![r#"{"@message":"m","@ptr":"p"}"#, r#"{"n":1}"#]),
            ),
            (
                r#"{"QueryResultRows":[[{"eventID":"1"},{"eventName":"a"}]]}"#,
                Some(vec![r#"{"eventID":"1","eventName":"a"}"#]),
            ),
            (r#"{"results":[]}"#, None),
            (r#"{"results":[[]]}"#, None),
            (r#"{"results":[{"field":"@message","value":"m"}]}"#, None),
            (r#"{"results":[[{"eventID":"1"}]]}"#, None),
            (r#"{"results":[[{"field":"a","value":1}],{"a":1}]}"#, None),
            (r#"{"QueryResultRows":[[{"field":"a","value":1}]]}"#, None),
        ] {
            let found = records(&fields_of(text).unwrap());
            let wanted = wanted.map(|all| all.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(found, wanted, "{text}");
        }
        for (text, wanted) in [
            (r#"[{"field":"@message","value":"m"}]"#, Some(r#"{"@message":"m"}"#)),
            (r#"[{"field":"message","value":"m"}]"#, None),
            (r#"[{"field":"@message","value":"m"},{"a":1}]"#, None),
            (r#"[{"@message":"m"}]"#, None),
            ("[]", None),
        ] {
            assert_eq!(record(&elements(text).unwrap()).as_deref(), wanted, "{text}");
        }
    }
}
