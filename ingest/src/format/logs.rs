//! [`records`]: the records in logs of OpenTelemetry and Loki, each as a text of its own.
//!
//! Invariant: a line of a log is one record, whatever is in it; none is left out. A line without a record
//! stands for its attributes, which then are the record.
//!
//! Sources: OpenTelemetry, *OTLP/JSON* (`ExportLogsServiceRequest`, `LogRecord`, `AnyValue`), as the
//! collector's exporters to Kafka and to files write it; Grafana Loki, *HTTP API* (push).

use std::borrow::Cow;

use super::batch::field;
use super::envelope::{OCSF_FIELD, decoded};
use super::json::Json;
use super::native::Fields;

const GROUPS: [&str; 2] = ["resourceLogs", "resource_logs"];
const SCOPES: [&str; 3] = ["scopeLogs", "scope_logs", "instrumentationLibraryLogs"];
const RECORDS: [&str; 2] = ["logRecords", "log_records"];
const TIMES: [&str; 2] = ["timeUnixNano", "observedTimeUnixNano"];
const STREAMS: &str = "streams";
/// Where a record that is a line's attributes has the name of its event and that of the service.
const EVENT: &str = "event.name";
const SERVICE: &str = "resource.attributes.service.name";
const SERVICE_BYTES_MAX: usize = 256;

/// The records of a text with these fields, and the name of what they stand in; `None` if it holds no logs.
pub(super) fn records(text: &str, fields: &Fields<'_>) -> Option<(&'static str, Vec<String>)> {
    let is_there = |name: &&&str| field(fields, name).is_some();
    let name = GROUPS.iter().chain([&STREAMS]).find(is_there)?;
    let json = Json::parse(text).ok()?;
    let found = match *name {
        STREAMS => {
            let values = json.list(STREAMS).iter().flat_map(|stream| stream.list("values"));
            let lines: Option<Vec<String>> = values.map(line).collect();
            lines.filter(|lines| !lines.is_empty())?
        }
        name => {
            let groups = json.list(name).iter();
            let logs = groups.flat_map(|group| {
                let service = service(group);
                let logs = elements(group, &SCOPES).iter();
                let logs = logs.flat_map(|scope| elements(scope, &RECORDS));
                logs.map(move |log| record(log, service))
            });
            logs.collect()
        }
    };
    Some((name, found))
}

/// The line of Loki's pair of a time and a line.
fn line(value: &Json<'_>) -> Option<String> {
    match value {
        Json::List(pair) => Some(pair.get(1)?.as_text()?.to_owned()),
        Json::Null | Json::Literal(_) | Json::Text(_) | Json::Object(_) => None,
    }
}

fn elements<'j, 'a>(json: &'j Json<'a>, names: &[&str]) -> &'j [Json<'a>] {
    names.iter().map(|name| json.list(name)).find(|list| !list.is_empty()).unwrap_or_default()
}

/// The service that logs, if its name is one that may be repeated with each line.
fn service<'j>(group: &'j Json<'_>) -> Option<&'j str> {
    let attributes = group.at("resource")?.list("attributes");
    let name = attributes.iter().find(|pair| pair.text("key") == Some("service.name"))?;
    name.first(&["value.stringValue", "value.string_value"])
        .filter(|name| name.len() <= SERVICE_BYTES_MAX)
}

/// The record that a line's body is, as a text or as an object; else the line's attributes, with its time,
/// its body and, of an event, its name and that of the service.
fn record(log: &Json<'_>, service: Option<&str>) -> String {
    let body = log.field("body").map_or(Json::Null, plain);
    let attributes = log.list("attributes");
    match &body {
        Json::Object(_) => return body.to_string(),
        // Of an event of OCSF the body is a sentence about it.
        Json::Text(text)
            if attributes.is_empty() || text.contains(['{', '=']) && !are_ocsf(attributes) =>
        {
            return text.clone().into_owned();
        }
        Json::Null | Json::Literal(_) | Json::Text(_) | Json::List(_) => {}
    }
    let mut fields: Vec<(Cow<'_, str>, Json<'_>)> = attributes.iter().filter_map(pair).collect();
    let time = log.first(&TIMES).map(|time| ("time", Json::Text(time.into())));
    let body = Some(("body", body)).filter(|(_, body)| *body != Json::Null);
    let event = log.first(&["eventName", "event_name"]);
    let event = event.map(|event| (EVENT, Json::Text(event.into())));
    let is_event = event.is_some() || fields.iter().any(|(name, _)| name == EVENT);
    let service = service.filter(|_| is_event).map(|name| (SERVICE, Json::Text(name.into())));
    for (name, value) in [time, body, event, service].into_iter().flatten() {
        if !fields.iter().any(|(found, _)| found == name) {
            fields.push((name.into(), value));
        }
    }
    Json::Object(fields).to_string()
}

/// Whether attributes are, or hold, an event of OCSF.
fn are_ocsf(attributes: &[Json<'_>]) -> bool {
    let is_field = |name: &str| name.starts_with(OCSF_FIELD);
    attributes.iter().any(|pair| pair.text("key").is_some_and(is_field))
}

fn pair<'j>(pair: &'j Json<'_>) -> Option<(Cow<'j, str>, Json<'j>)> {
    let value = pair.field("value").map_or(Json::Null, plain);
    Some((pair.text("key")?.into(), value))
}

/// The value that an `AnyValue` holds.
fn plain<'j>(any: &'j Json<'_>) -> Json<'j> {
    let Some((kind, value)) = any.fields().first() else { return Json::Null };
    let literal = |text: &str| Json::Literal(Cow::Owned(text.to_owned()));
    match (kind.as_ref(), value) {
        ("stringValue" | "string_value", Json::Text(text)) => {
            Json::Text(Cow::Borrowed(text.as_ref()))
        }
        ("bytesValue" | "bytes_value", Json::Text(text)) => {
            Json::Text(decoded(text).map_or_else(|| Cow::Borrowed(text.as_ref()), Cow::Owned))
        }
        // Numbers of 64 bits are texts in JSON of Protobuf.
        ("intValue" | "int_value", Json::Text(number)) if number.parse::<i64>().is_ok() => {
            literal(number)
        }
        ("arrayValue" | "array_value", list) => {
            Json::List(list.list("values").iter().map(plain).collect())
        }
        ("kvlistValue" | "kvlist_value", list) => {
            Json::Object(list.list("values").iter().filter_map(pair).collect())
        }
        (_, Json::Literal(text)) => literal(text),
        (_, Json::Text(text)) => Json::Text(Cow::Borrowed(text.as_ref())),
        (_, Json::Null | Json::List(_) | Json::Object(_)) => Json::Null,
    }
}
