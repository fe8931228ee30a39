//! [`Question`]: a request as a statement and the format of its answer.

use axum::http::{HeaderMap, StatusCode, header};
use query::Format;
use serde::Deserialize;

use super::refusal::Refusal;

/// The formats of answers, each with the media type that asks for it, the preferred first.
const FORMATS: [(Format, &str); 5] = [
    (Format::Json, "application/json"),
    (Format::JsonLines, "application/x-ndjson"),
    (Format::Csv, "text/csv"),
    (Format::Arrow, "application/vnd.apache.arrow.stream"),
    (Format::Parquet, "application/vnd.apache.parquet"),
];

/// A statement and the format of its answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) sql: String,
    pub(super) format: Format,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    sql: String,
    format: Option<String>,
}

impl Question {
    /// Reads `{"sql", "format"}`, or a text that is the statement itself.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] that says what was wanted.
    pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, Refusal> {
        let media_type = header_text(headers, header::CONTENT_TYPE).unwrap_or("text/plain");
        match media_type.split(';').next().unwrap_or_default().trim() {
            "application/json" => {
                // The message names keys and places, and repeats no value.
                let body: Body = serde_json::from_slice(body).map_err(|error| {
                    let (line, column) = (error.line(), error.column());
                    Refusal::wrong(format!(
                        "wanted {{\"sql\": \"...\", \"format\": \"...\"}}, found something else at \
                         line {line}, column {column} of the body"
                    ))
                })?;
                Ok(Self { sql: body.sql, format: format(body.format.as_deref(), headers)? })
            }
            "text/plain" | "application/sql" => {
                let sql = str::from_utf8(body)
                    .map_err(|_| Refusal::wrong("wanted a statement in UTF-8"))?;
                Ok(Self { sql: sql.to_owned(), format: format(None, headers)? })
            }
            _ => {
                let wanted = "wanted a body of type application/json or text/plain";
                Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "request", wanted))
            }
        }
    }
}

/// The format that is named, else the first that `Accept` names and we have, else JSON.
pub(super) fn format(named: Option<&str>, headers: &HeaderMap) -> Result<Format, Refusal> {
    let names = || FORMATS.map(|(format, _)| format.as_str()).join(", ");
    if let Some(name) = named {
        let found = FORMATS.iter().find(|(format, _)| format.as_str() == name);
        let wanted = || Refusal::wrong(format!("wanted a format of {}", names()));
        return found.map(|(format, _)| *format).ok_or_else(wanted);
    }
    let Some(accept) = header_text(headers, header::ACCEPT) else { return Ok(Format::Json) };
    for part in accept.split(',') {
        let wanted = part.split(';').next().unwrap_or_default().trim();
        if matches!(wanted, "*/*" | "application/*") {
            return Ok(Format::Json);
        }
        if let Some((format, _)) = FORMATS.iter().find(|(_, media_type)| *media_type == wanted) {
            return Ok(*format);
        }
    }
    let text = format!("wanted to answer in one of {}", FORMATS.map(|(_, one)| one).join(", "));
    Err(Refusal::new(StatusCode::NOT_ACCEPTABLE, "request", text))
}

/// The media type of a format.
pub(super) fn media_type(format: Format) -> &'static str {
    let found = FORMATS.iter().find(|(one, _)| *one == format);
    found.map_or("text/plain; charset=utf-8", |(_, media_type)| media_type)
}

pub(super) fn header_text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_question_is_json_or_the_statement_itself() {
        let json = headers(&[(header::CONTENT_TYPE, "application/json; charset=utf-8")]);
        let body = br#"{"sql": "SELECT 1", "format": "csv"}"#;
        let text = headers(&[
            (header::CONTENT_TYPE, "text/plain"),
            (header::ACCEPT, "text/html, application/vnd.apache.arrow.stream;q=0.9"),
        ]);

        let first = Question::read(&json, body).unwrap();
        let second = Question::read(&text, b"SELECT 2").unwrap();
        let third = Question::read(&headers(&[]), b"SELECT 3").unwrap();

        assert_eq!(first, Question { sql: "SELECT 1".to_owned(), format: Format::Csv });
        assert_eq!(second, Question { sql: "SELECT 2".to_owned(), format: Format::Arrow });
        assert_eq!(third, Question { sql: "SELECT 3".to_owned(), format: Format::Json });
    }

    #[test]
    fn what_is_no_question_is_told_what_was_wanted() {
        let json = || headers(&[(header::CONTENT_TYPE, "application/json")]);
        let form = headers(&[(header::CONTENT_TYPE, "application/x-www-form-urlencoded")]);
        let html = headers(&[(header::ACCEPT, "text/html")]);
        for (headers, body, wanted) in [
            (json(), &br#"{"sq": "hunter2"}"#[..], "line 1, column 5"),
            (json(), br#"{"sql": "SELECT 1", "format": "xml"}"#, "json, jsonl, csv"),
            (form, b"sql=SELECT", "application/json or text/plain"),
            (HeaderMap::new(), b"\xff", "UTF-8"),
            (html, b"SELECT 1", "text/csv"),
        ] {
            let refusal = format!("{:?}", Question::read(&headers, body).unwrap_err());
            assert!(refusal.contains(wanted), "{refusal}");
            assert!(!refusal.contains("hunter2"));
        }
    }
}
