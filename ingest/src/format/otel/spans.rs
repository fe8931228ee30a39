//! [`Spans`]: the spans of a record, each with its attributes as one object.
//!
//! Invariant: no span has an attribute twice; a record is one span or an export request, and the span
//! that it tells of is the only one in it, or else the only call of a tool in it.
//!
//! Source: OpenTelemetry, *OTLP/JSON* (`ExportTraceServiceRequest`, `KeyValue`, `AnyValue`).

use std::borrow::Cow;
use std::rc::Rc;

use schemas::RejectReason;

use super::super::Fault;
use super::super::json::Json;

/// Most spans that are looked at around one. An agent that calls a tool is a few spans away from it.
const AROUND_MAX: usize = 16;

/// A span, its own attributes and those of the resource it ran in.
#[derive(Debug)]
pub(super) struct Span<'j> {
    pub(super) json: &'j Json<'j>,
    pub(super) attributes: Json<'j>,
    pub(super) resource: Rc<Json<'j>>,
}

impl Span<'_> {
    pub(super) fn id(&self) -> Option<&str> {
        self.json.first(&["spanId", "span_id", "context.span_id"])
    }

    pub(super) fn parent(&self) -> Option<&str> {
        self.json.first(&["parentSpanId", "parent_span_id", "parent_id"])
    }

    /// Whether it is the call of a tool.
    fn is_call(&self) -> bool {
        self.attributes.text("gen_ai.operation.name") == Some("execute_tool")
            || self.attributes.text("mcp.method.name") == Some("tools/call")
    }
}

#[derive(Debug)]
pub(super) struct Spans<'j>(Vec<Span<'j>>);

impl<'j> Spans<'j> {
    pub(super) fn of(record: &'j Json<'j>) -> Result<Self, Fault> {
        if record.at("resourceSpans").is_none() && record.at("resource_spans").is_none() {
            let resource = Rc::new(flat(record.at("resource.attributes"))?);
            let attributes = flat(record.at("attributes"))?;
            return Ok(Self(vec![Span { json: record, attributes, resource }]));
        }
        let mut spans = Vec::new();
        for path in ["resourceSpans", "resource_spans"] {
            for group in record.list(path) {
                let resource = Rc::new(flat(group.at("resource.attributes"))?);
                let scopes = group.list("scopeSpans").iter().chain(group.list("scope_spans"));
                for span in scopes.flat_map(|scope| scope.list("spans")) {
                    let attributes = flat(span.at("attributes"))?;
                    spans.push(Span { json: span, attributes, resource: Rc::clone(&resource) });
                }
            }
        }
        Ok(Self(spans))
    }

    /// The span that the record tells of.
    pub(super) fn told(&self) -> Result<&Span<'j>, Fault> {
        let calls: Vec<&Span<'_>> = self.0.iter().filter(|span| span.is_call()).collect();
        match (&self.0[..], &calls[..]) {
            ([one], _) => Ok(one),
            (_, [one]) => Ok(*one),
            ([], _) => Err(Fault::bad_field("wanted one span, found none")),
            (spans, calls) => Err(Fault::bad_field(format!(
                "wanted one span or one call of a tool, found {} spans with {} calls; send one span in a record",
                spans.len(),
                calls.len()
            ))),
        }
    }

    /// `span` and the spans around it, nearest first, as far as they stand in the record; at most
    /// [`AROUND_MAX`], so that a chain that goes in a circle ends too.
    pub(super) fn around<'s>(&'s self, span: &'s Span<'j>) -> impl Iterator<Item = &'s Span<'j>> {
        let parent = |span: &&'s Span<'j>| {
            let parent = span.parent()?;
            self.0.iter().find(|other| other.id() == Some(parent))
        };
        std::iter::successors(Some(span), parent).take(AROUND_MAX)
    }
}

/// Attributes as one object: from OTLP's list of keys and values, or from an object as it is.
fn flat<'j>(attributes: Option<&'j Json<'_>>) -> Result<Json<'j>, Fault> {
    let mut fields: Vec<(Cow<'j, str>, Json<'j>)> = Vec::new();
    match attributes {
        Some(Json::List(pairs)) => {
            for pair in pairs {
                let Some(key) = pair.text("key") else { continue };
                fields.push((key.into(), pair.at("value").map_or(Json::Null, value)));
            }
        }
        Some(Json::Object(own)) => {
            fields.extend(own.iter().map(|(name, value)| (name.as_ref().into(), borrowed(value))));
        }
        Some(Json::Null | Json::Literal(_) | Json::Text(_)) | None => {}
    }
    let mut names: Vec<&str> = fields.iter().map(|(name, _)| name.as_ref()).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        let detail = "wanted each attribute of a span once, found one twice";
        return Err(Fault::new(RejectReason::DuplicateField, detail));
    }
    Ok(Json::Object(fields))
}

/// An `AnyValue` as the JSON it stands for.
fn value<'j>(any: &'j Json<'_>) -> Json<'j> {
    if let Some(values) = any.at("arrayValue.values") {
        let elements = std::slice::from_ref(values);
        let elements = if let Json::List(all) = values { all } else { elements };
        return Json::List(elements.iter().map(value).collect());
    }
    if let Some(pairs) = any.at("kvlistValue.values") {
        return flat(Some(pairs)).unwrap_or(Json::Null);
    }
    let plain =
        ["stringValue", "string_value", "intValue", "doubleValue", "boolValue", "int_value"];
    match plain.iter().find_map(|name| any.at(name)) {
        Some(value) => borrowed(value),
        None => borrowed(any),
    }
}

/// The same JSON, its texts borrowed.
fn borrowed<'j>(json: &'j Json<'_>) -> Json<'j> {
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
