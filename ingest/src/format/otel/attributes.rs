//! [`of_span`], [`of_resource`]: the attributes of a span, and of the resource it ran in, as one object without
//! objects in it, wherever an exporter put them.
//!
//! Invariant: each attribute is there once, under the name that OpenTelemetry has for it; what is nested has a
//! name with dots, but for the arguments of a tool, which are one value. A record whose attributes are not in
//! one of the places below has none.
//!
//! Source: OpenTelemetry, *OTLP/JSON* (`KeyValue`, `AnyValue`); the collector's exporters to `ClickHouse`,
//! Elasticsearch and Splunk; Jaeger and Zipkin; Application Insights, *dependency telemetry*; `OpenSearch`
//! Data Prepper, *`otel_traces`* (`otel-v1-apm-span`); `SigNoz`, *traces schema*; Arize Phoenix, *span
//! dataframe*; Vector, *`opentelemetry` source*; `MLflow`, *span attributes*; Microsoft, *Agent 365: schema of
//! trace lines*.

use std::borrow::Cow;

use schemas::RejectReason;

use super::super::Fault;
use super::super::json::{Json, is_same_name};
use super::dialects;
use super::names::{ARGUMENTS, HANDOFF_TO, INPUTS, TRACES};
use crate::redact::is_secret_name;

/// Longest name below which what is nested gets names of its own.
const NAME_BYTES_MAX: usize = 256;

/// What OpenTelemetry calls attributes are tags to Jaeger and Zipkin; the others are columns of tables, those
/// of one table together.
const OF_SPANS: &[&[&str]] = &[
    &["SpanAttributes"],
    &["attributes"],
    &["attributes_string", "attributes_number", "attributes_bool"],
    &["stringTagMap", "numberTagMap", "boolTagMap"],
    &["tags"],
    &["Properties"],
    &["customDimensions"],
];
/// `resources` is Vector's.
const OF_RESOURCES: &[&[&str]] = &[
    &["resource.attributes"],
    &["resource"],
    &["resources"],
    &["resources_string"],
    &["resourceTagsMap"],
    &["process.tags"],
    &["ResourceAttributes"],
];
/// How the columns of tables begin that have one attribute each.
const SPAN_COLUMNS: &[&str] = &["span.attributes.", "attributes."];
const RESOURCE_COLUMNS: &[&str] = &["resource.attributes."];
/// How an attribute begins that shows a row without such columns to be a span of generative AI.
const GENERATIVE: &str = "gen_ai.";
/// What a trace line of Agent 365 always has.
const LINE_MARKS: &[&str] = &["operationId", "operationName", "agentId"];
/// Its fields under the names that OpenTelemetry has for them. The agent is the one that performs the operation.
const LINE: &[(&str, &str)] = &[
    ("agentId", "gen_ai.agent.id"),
    ("conversationId", "gen_ai.conversation.id"),
    ("operationName", "gen_ai.operation.name"),
    ("targetAgentId", HANDOFF_TO),
    ("taskId", "task.id"),
];
/// How an attribute begins that shows the values to be written as JSON.
const MLFLOW: &str = "mlflow.";
/// Objects that Logfire and Braintrust write as JSON in a text.
const IN_TEXT: &[&str] = &["mcp_data", "braintrust.span_attributes"];
/// Where a pair has its value; those behind the first are Jaeger's.
const VALUES: [&str; 5] = ["value", "vStr", "vInt64", "vFloat64", "vBool"];

pub(super) fn of_span<'j>(span: &'j Json<'_>) -> Result<Json<'j>, Fault> {
    let found = whole(span, OF_SPANS).or_else(|| columns(span, SPAN_COLUMNS));
    flattened(found.unwrap_or_else(|| row(span)))
}

pub(super) fn of_resource<'j>(span: &'j Json<'_>) -> Result<Json<'j>, Fault> {
    let found = whole(span, OF_RESOURCES).or_else(|| columns(span, RESOURCE_COLUMNS));
    flattened(found.unwrap_or_default())
}

/// The attributes that an object or a list holds.
pub(super) fn flat<'j>(attributes: &'j Json<'_>) -> Result<Json<'j>, Fault> {
    flattened(pairs(attributes))
}

pub(super) type Pairs<'j> = Vec<(Cow<'j, str>, Json<'j>)>;

/// What the first of these places holds that holds anything.
fn whole<'j>(record: &'j Json<'_>, places: &[&[&str]]) -> Option<Pairs<'j>> {
    let held = |parts: &&[&str]| -> Pairs<'j> {
        parts.iter().filter_map(|path| record.at(path)).flat_map(pairs).collect()
    };
    places.iter().map(held).find(|found| !found.is_empty())
}

/// What stands in the columns that begin so. Data Prepper writes the dots of a name as `@`, since a field of
/// an index has none.
fn columns<'j>(record: &'j Json<'_>, starts: &[&str]) -> Option<Pairs<'j>> {
    let attribute = |name: &'j str| starts.iter().find_map(|start| name.strip_prefix(start));
    let fields = record.fields().iter();
    let found = fields.filter_map(|(name, value)| {
        Some((attribute(name)?.replace('@', ".").into(), borrowed(value)))
    });
    Some(found.collect()).filter(|found: &Pairs<'_>| !found.is_empty())
}

/// The fields with dots in their names of a row that is nothing but a span's attributes beside its ids; and
/// what a trace line has under names of its own.
fn row<'j>(record: &'j Json<'_>) -> Pairs<'j> {
    let is_line = LINE_MARKS.iter().all(|name| record.text(name).is_some());
    let is_generative = |(name, _): &(Cow<'_, str>, _)| name.starts_with(GENERATIVE);
    let is_row = record.first(TRACES).is_some() && record.fields().iter().any(is_generative);
    if !is_line && !is_row {
        return Vec::new();
    }
    let dotted = record.fields().iter().filter(|(name, _)| name.contains('.'));
    let dotted = dotted.map(|(name, value)| (name.as_ref().into(), borrowed(value)));
    let line = if is_line { LINE } else { &[] };
    let line = line.iter();
    let renamed = line
        .filter_map(|(name, attribute)| Some(((*attribute).into(), borrowed(record.at(name)?))));
    renamed.chain(dotted).collect()
}

/// Attributes as one object without objects in it.
fn flattened(mut open: Pairs<'_>) -> Result<Json<'_>, Fault> {
    open.reverse();
    let mut fields = Vec::new();
    let is_whole =
        |name: &str| ARGUMENTS.iter().chain(INPUTS).any(|whole| is_same_name(name, whole));
    while let Some((name, value)) = open.pop() {
        let value = unfolded(&name, value);
        match value {
            // Under the name of a secret each part is one.
            Json::Object(inner)
                if name.len() <= NAME_BYTES_MAX && !is_whole(&name) && !is_secret_name(&name) =>
            {
                let inner = inner.into_iter().rev();
                open.extend(inner.map(|(part, value)| (format!("{name}.{part}").into(), value)));
            }
            Json::Null | Json::Literal(_) | Json::Text(_) | Json::List(_) | Json::Object(_) => {
                fields.push((name, value));
            }
        }
    }
    if fields.iter().any(|(name, _)| name.starts_with(MLFLOW)) {
        for (_, value) in &mut fields {
            unquote(value);
        }
    }
    dialects::translate(&mut fields);
    object(fields)
}

/// A value with the object in it that its text is, if it may be one.
fn unfolded<'j>(name: &str, value: Json<'j>) -> Json<'j> {
    let Json::Text(text) = &value else { return value };
    if !IN_TEXT.contains(&name) {
        return value;
    }
    Json::parse(text).map(Json::owned).unwrap_or(value)
}

/// Takes the quotes from around a text that `MLflow` wrote as JSON.
fn unquote(value: &mut Json<'_>) {
    if let Json::Text(text) = value
        && text.starts_with('"')
        && let Ok(plain) = serde_json::from_str::<String>(text)
    {
        *text = plain.into();
    }
}

/// The object of these fields, if each is there once.
fn object(fields: Pairs<'_>) -> Result<Json<'_>, Fault> {
    let mut names: Vec<&str> = fields.iter().map(|(name, _)| name.as_ref()).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        let detail = "wanted each attribute of a span once, found one twice";
        return Err(Fault::new(RejectReason::DuplicateField, detail));
    }
    Ok(Json::Object(fields))
}

/// Names and values: from OTLP's list of keys and values, or from an object as it is.
fn pairs<'j>(attributes: &'j Json<'_>) -> Pairs<'j> {
    match attributes {
        Json::List(pairs) => {
            let told = |pair: &'j Json<'_>| VALUES.iter().find_map(|name| pair.at(name));
            let pairs = pairs.iter().filter_map(|pair| Some((pair.text("key")?, told(pair))));
            pairs.map(|(key, told)| (key.into(), told.map_or(Json::Null, value))).collect()
        }
        Json::Object(own) => {
            own.iter().map(|(name, value)| (name.as_ref().into(), borrowed(value))).collect()
        }
        Json::Null | Json::Literal(_) | Json::Text(_) => Vec::new(),
    }
}

/// An `AnyValue` as the JSON it stands for.
fn value<'j>(any: &'j Json<'_>) -> Json<'j> {
    if let Some(values) = any.at("arrayValue.values") {
        let elements = std::slice::from_ref(values);
        let elements = if let Json::List(all) = values { all } else { elements };
        return Json::List(elements.iter().map(value).collect());
    }
    if let Some(values) = any.at("kvlistValue.values") {
        return object(pairs(values)).unwrap_or(Json::Null);
    }
    // Where 53 bits are too few, a number is a text in OTLP.
    if let Some(number) = any.first(&["intValue", "doubleValue"])
        && number.parse::<serde_json::Number>().is_ok()
    {
        return Json::Literal(number.to_owned().into());
    }
    // Go prints a value beside its type.
    let typed = || any.at("value").filter(|_| any.has("type"));
    let plain = ["stringValue", "intValue", "doubleValue", "boolValue"];
    match plain.iter().find_map(|name| any.at(name)).or_else(typed) {
        Some(value) => borrowed(value),
        None => borrowed(any),
    }
}

/// The same JSON, its texts borrowed.
pub(super) fn borrowed<'j>(json: &'j Json<'_>) -> Json<'j> {
    match json {
        Json::Null => Json::Null,
        Json::Literal(text) => Json::Literal(text.clone()),
        Json::Text(text) => Json::Text(text.as_ref().into()),
        Json::List(elements) => Json::List(elements.iter().map(borrowed).collect()),
        Json::Object(fields) => Json::Object(
            fields.iter().map(|(name, value)| (name.as_ref().into(), borrowed(value))).collect(),
        ),
    }
}
