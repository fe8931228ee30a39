//! [`Span`]: the span of a record with all that it tells of; [`parts`]: the spans of an export request.
//!
//! Invariant: no span has an attribute twice; a record is one span, alone or in an export request. Of a
//! request with several each is a request of its own, with its resource and its scope as they were
//! written and, beside them, what the spans around it lend it and how those ended that are parts of it:
//! so it can be read again without the others.
//!
//! Source: OpenTelemetry, *OTLP/JSON* (`ExportTraceServiceRequest`, `KeyValue`, `AnyValue`); the spans of
//! Jaeger and Zipkin, as the collector writes them; Grafana, *Tempo HTTP API*; Jaeger, *API* (traces as its
//! pages get them); the collector's exporter to Splunk.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemas::{Outcome, RejectReason};
use serde_json::value::RawValue;

use super::super::Fault;
use super::super::batch::{self, PARTS_MAX, TEXT_BYTES_MAX, field};
use super::super::json::{Json, is_same_name};
use super::super::native::{Fields, fields_of};
use super::super::verdict;
use super::names::{AGENTS, LENT, MODELS, NAMES, OF_GENERATIVE, PARENTS, TRACES};
use super::told::{TOLD_OPERATION, attributes_of, is_known};
use super::{CALLS, CREATE_AGENT, EXECUTE_TOOL, INVOKE_AGENT, attributes, outcome};

/// Most spans that are looked at around one. An agent that calls a tool is a few spans away from it.
const AROUND_MAX: usize = 16;

/// The last is Tempo's.
const GROUPS: [&str; 3] = ["resourceSpans", "resource_spans", "batches"];
/// The last two are those of OpenTelemetry before 1.0.
const SCOPES: [&str; 4] =
    ["scopeSpans", "scope_spans", "instrumentationLibrarySpans", "instrumentation_library_spans"];
/// Where a span has the name of its service itself.
const SERVICES: [&str; 6] = [
    "service.name",
    "process.serviceName",
    "localEndpoint.serviceName",
    "ServiceName",
    "AppRoleName",
    "cloud_RoleName",
];
/// What the spans around the one of a request lend it, nearest first: ours, no field of OpenTelemetry.
const AROUND: &str = "suretyAround";
/// How the spans have ended that are parts of the one of a request, the worst of them: ours too.
const PARTS_END: &str = "suretyEnd";

/// A span, its own attributes, those of the resource it ran in, and those that the spans around it lend it.
#[derive(Debug)]
pub(super) struct Span<'j> {
    pub(super) json: &'j Json<'j>,
    pub(super) attributes: Json<'j>,
    pub(super) resource: Json<'j>,
    around: Vec<Json<'j>>,
    parts_end: Option<&'j Json<'j>>,
    /// Whether the agent that it tells of is one that was made, and none that acted.
    creates: bool,
}

impl<'j> Span<'j> {
    /// The one span that a record tells of.
    pub(super) fn of(record: &'j Json<'j>) -> Result<Self, Fault> {
        let has = |names: &[&str]| names.iter().any(|name| record.at(name).is_some());
        let groups: Vec<&Json<'_>> = match (has(&GROUPS), has(&SCOPES)) {
            (true, _) => elements(record, &GROUPS).collect(),
            // Some print the spans of each resource by themselves.
            (false, true) => vec![record],
            (false, false) => {
                // Splunk's collector has the resource beside the span.
                let event = record.at("event").filter(|event| event.has("span_id"));
                let fields = record.at("fields").filter(|_| event.is_some());
                return Self::new(event.unwrap_or(record), fields);
            }
        };
        let mut spans = Vec::new();
        for group in groups {
            let scopes = elements(group, &SCOPES);
            spans.extend(scopes.flat_map(|scope| scope.list("spans")).map(|span| (group, span)));
        }
        match &spans[..] {
            [(group, span)] => {
                let around = record.list(AROUND).iter().take(AROUND_MAX);
                let around = around.map(attributes::borrowed).collect();
                let span = Self::new(span, group.at("resource.attributes"))?;
                Ok(Self { around, parts_end: record.at(PARTS_END), ..span })
            }
            [] => Err(Fault::bad_field("wanted one span, found none")),
            several => {
                let detail = format!("wanted one span, found {}", several.len());
                Err(Fault::new(RejectReason::SeveralRecords, detail))
            }
        }
    }

    /// A span with nothing around it.
    fn new(json: &'j Json<'j>, resource: Option<&'j Json<'j>>) -> Result<Self, Fault> {
        let resource = resource.map_or_else(|| attributes::of_resource(json), attributes::flat)?;
        let attributes = attributes_of(json)?;
        let creates = creates(&attributes);
        Ok(Self { json, attributes, resource, around: Vec::new(), parts_end: None, creates })
    }

    /// The service that recorded it; what an SDK says that was told none is no name.
    pub(super) fn service(&self) -> Option<&str> {
        let own = self.attributes.text("service.name");
        let told = [self.resource.text("service.name"), self.json.first(&SERVICES), own];
        let is_name =
            |name: &&str| is_known(name) && name.split(':').next() != Some("unknown_service");
        told.into_iter().flatten().find(is_name)
    }

    /// The agent that the span itself tells of.
    pub(super) fn own_agent(&self) -> Option<&str> {
        self.attributes.first(NAMES).or_else(|| self.attributes.first(AGENTS))
    }

    /// The agent that was made.
    pub(super) fn made(&self) -> Option<&str> {
        self.attributes.first(AGENTS).filter(|_| self.creates)
    }

    pub(super) fn id(&self) -> Option<&str> {
        id_of(self.json)
    }

    pub(super) fn parent(&self) -> Option<&str> {
        parent_of(self.json)
    }

    /// The first of these attributes that it has, or the nearest span around it.
    pub(super) fn around(&self, names: &[&str]) -> Option<&str> {
        self.inside_out().find_map(|one| one.first(names))
    }

    /// The model that it tells of, or the nearest span around it of the same agent: another agent may have
    /// another model.
    pub(super) fn model(&self) -> Option<&str> {
        let mut known = Vec::new();
        for one in self.inside_out() {
            let names = agents_of(one);
            if are_others(&names, &known) {
                return None;
            }
            if let Some(model) = one.first(MODELS) {
                return Some(model);
            }
            known.extend(names);
        }
        None
    }

    /// The same of names of agents, where one that was made is none.
    pub(super) fn agent(&self, names: &[&str]) -> Option<&str> {
        self.actors().find_map(|one| one.first(names))
    }

    /// The first of these that the resource tells of generative AI: of all that runs in it.
    pub(super) fn hosted(&self, names: &[&str]) -> Option<&str> {
        let is_of_it = |name: &&&str| OF_GENERATIVE.iter().any(|start| name.starts_with(start));
        let told = names.iter().filter(is_of_it).find_map(|name| self.resource.text(name));
        told.filter(|name| is_known(name))
    }

    /// How the parts of a tool's call have ended, the worst of them, and why. What an agent tries may fail
    /// without it.
    pub(super) fn parts_end(&self) -> Option<(Outcome, Option<&str>)> {
        let is_call = self.attributes.text(TOLD_OPERATION) == Some(EXECUTE_TOOL);
        let end = self.parts_end.filter(|_| is_call)?;
        Some((verdict::of_one_word(end.text("outcome")?)?, end.text("reason")))
    }

    /// Who stands behind the agent, nearest first: the agents of the spans around it, as far as they call
    /// or the one in them is called, and whom any of them names as its parent. An agent is one by
    /// whichever of its names another span knows it.
    pub(super) fn behind(&self) -> Vec<&str> {
        let (mut known, mut behind, mut inner) = (Vec::new(), Vec::new(), None);
        for one in self.actors() {
            let names = agents_of(one);
            let operation = one.text(TOLD_OPERATION);
            if let Some(name) = names.first() {
                let is_other = are_others(&names, &known);
                let calls = operation.is_some_and(|operation| CALLS.contains(&operation));
                if is_other && !calls && inner != Some(INVOKE_AGENT) {
                    break;
                }
                if is_other {
                    behind.push(*name);
                }
                inner = operation;
            }
            let parent = one.first(PARENTS);
            behind.extend(parent);
            known.extend(names.into_iter().chain(parent));
        }
        behind
    }

    /// What it tells, and what the spans around it do, nearest first.
    fn inside_out(&self) -> impl Iterator<Item = &Json<'j>> {
        std::iter::once(&self.attributes).chain(&self.around)
    }

    /// What tells of who acts, nearest first.
    fn actors(&self) -> impl Iterator<Item = &Json<'j>> {
        let own = Some(&self.attributes).filter(|_| !self.creates);
        own.into_iter().chain(&self.around)
    }
}

/// Every name that something gives the agent it tells of.
fn agents_of<'s>(told: &'s Json<'_>) -> Vec<&'s str> {
    AGENTS.iter().filter_map(|name| told.text(name)).collect()
}

/// Whether these are the names of an agent that is known by none of them, where one is known.
fn are_others(names: &[&str], known: &[&str]) -> bool {
    !known.is_empty() && !names.is_empty() && names.iter().all(|name| !known.contains(name))
}

fn creates(attributes: &Json<'_>) -> bool {
    attributes.text(TOLD_OPERATION) == Some(CREATE_AGENT)
}

/// The elements of the lists under these names, each list once however its name is spelled.
fn elements<'j>(json: &'j Json<'j>, names: &'j [&str]) -> impl Iterator<Item = &'j Json<'j>> {
    let is_named = |name: &str| names.iter().any(|wanted| name.eq_ignore_ascii_case(wanted));
    let found = json.fields().iter().filter(move |(name, _)| is_named(name));
    found.flat_map(|(_, value)| match value {
        Json::List(elements) => &elements[..],
        Json::Null => &[],
        Json::Literal(_) | Json::Text(_) | Json::Object(_) => std::slice::from_ref(value),
    })
}

fn id_of<'s>(span: &'s Json<'_>) -> Option<&'s str> {
    span.first(&[
        "spanId",
        "span_id",
        "context.span_id",
        "spanContext.spanId",
        "trace.span_id",
        "span.id",
        "id",
    ])
}

fn parent_of<'s>(span: &'s Json<'_>) -> Option<&'s str> {
    span.first(&[
        "parentSpanId",
        "parent_span_id",
        "parent_id",
        "parentSpanContext.spanId",
        "parent.spanId",
        "trace.parent_id",
        "parent.id",
        "references.spanId",
        "operation_ParentId",
    ])
}

pub(super) fn name_of<'s>(span: &'s Json<'_>) -> Option<&'s str> {
    span.first(&["name", "operationName", "SpanName"])
}

/// A span as it stands in an export request.
struct Placed<'t> {
    resource: Option<&'t RawValue>,
    scope: Option<&'t RawValue>,
    text: Cow<'t, str>,
}

/// The spans of an export request, each as a request of its own; `None` if it is none with several, or
/// one that cannot be taken apart without leaving something out.
///
/// # Errors
///
/// The [`Fault`] of one with more than are taken apart.
pub(in crate::format) fn parts(request: &Fields<'_>) -> Result<Option<Vec<String>>, Fault> {
    let several = placed(request).filter(|spans| 1 < spans.len());
    several.or_else(|| of_jaeger(request)).map(|spans| apart(&spans)).transpose()
}

/// The same of the elements of a list, as Zipkin's spans are sent; `None` if these are no spans alone.
///
/// # Errors
///
/// The same.
pub(in crate::format) fn listed(list: &[&RawValue]) -> Result<Option<Vec<String>>, Fault> {
    let is_span = |one: &&RawValue| {
        let span = Json::parse(one.get());
        span.is_ok_and(|span| span.first(TRACES).is_some() && id_of(&span).is_some())
    };
    if list.len() < 2 || !list.iter().all(is_span) {
        return Ok(None);
    }
    let spans: Vec<Placed<'_>> = list.iter().map(|span| Placed::bare(span)).collect();
    apart(&spans).map(Some)
}

/// Each of these spans as a request of its own.
fn apart(spans: &[Placed<'_>]) -> Result<Vec<String>, Fault> {
    if PARTS_MAX < spans.len() {
        return Err(batch::too_many(spans.len()));
    }
    let trees: Vec<Option<Json<'_>>> =
        spans.iter().map(|span| Json::parse(&span.text).ok()).collect();
    let mut numbers = BTreeMap::new();
    for (number, tree) in trees.iter().enumerate() {
        if let Some(id) = tree.as_ref().and_then(id_of) {
            numbers.entry(id).or_insert(number);
        }
    }
    let lent: Vec<Option<String>> = trees.iter().map(|tree| lent_by(tree.as_ref()?)).collect();
    let parent = |number: &usize| {
        let parent = trees[*number].as_ref().and_then(parent_of)?;
        numbers.get(parent).copied()
    };
    let ends = ends(&trees, parent);
    let (mut texts, mut bytes) = (Vec::with_capacity(spans.len()), 0);
    for (number, span) in spans.iter().enumerate() {
        let chain = std::iter::successors(Some(number), parent).take(AROUND_MAX).skip(1);
        let around: Vec<&str> = chain.filter_map(|at| lent[at].as_deref()).collect();
        let text = span.alone(&around, ends.get(&number).map(|(_, end)| end.as_str()));
        bytes += text.len();
        if TEXT_BYTES_MAX < bytes {
            return Err(batch::too_long());
        }
        texts.push(text);
    }
    Ok(texts)
}

/// How the spans have ended, if not well, that are parts of another by their names, as `tool.execution` is
/// of `tool`: for each such other one the worst end, as it is lent. Of several parts with one name the last
/// counts, which is the last try.
fn ends(
    trees: &[Option<Json<'_>>],
    parent: impl Fn(&usize) -> Option<usize>,
) -> BTreeMap<usize, (Outcome, String)> {
    let mut last = BTreeMap::new();
    for (number, tree) in trees.iter().enumerate() {
        let (Some(span), Some(whole)) = (tree, parent(&number)) else { continue };
        let names = (name_of(span), trees[whole].as_ref().and_then(name_of));
        let (Some(name), Some(of)) = names else { continue };
        if name.strip_prefix(of).is_some_and(|part| part.starts_with('.'))
            && let Ok(span) = Span::new(span, None)
        {
            let (outcome, reason) = outcome::of(&span);
            let told = [("outcome", Some(outcome.to_string().into())), ("reason", reason)];
            let told =
                told.into_iter().filter_map(|(name, word)| Some((name.into(), Json::Text(word?))));
            last.insert((whole, name), (outcome, Json::Object(told.collect()).to_string()));
        }
    }
    let mut ends = BTreeMap::new();
    for ((whole, _), end) in last.into_iter().filter(|(_, (end, _))| *end != Outcome::Success) {
        let worst = ends.entry(whole).or_insert_with(|| end.clone());
        if verdict::worse(worst.0, end.0) != worst.0 {
            *worst = end;
        }
    }
    ends
}

impl<'t> Placed<'t> {
    /// A span with its resource in it, if it tells of one.
    fn bare(span: &'t RawValue) -> Self {
        Self { resource: None, scope: None, text: span.get().into() }
    }

    /// A request with this span alone.
    fn alone(&self, around: &[&str], end: Option<&str>) -> String {
        let mut text = r#"{"resourceSpans":[{"#.to_owned();
        if let Some(resource) = self.resource {
            text.extend([r#""resource":"#, resource.get(), ","]);
        }
        text.push_str(r#""scopeSpans":[{"#);
        if let Some(scope) = self.scope {
            text.extend([r#""scope":"#, scope.get(), ","]);
        }
        text.extend([r#""spans":["#, &*self.text, "]}]}]"]);
        if !around.is_empty() {
            text.extend([",\"", AROUND, "\":[", &around.join(","), "]"]);
        }
        if let Some(end) = end {
            text.extend([",\"", PARTS_END, "\":", end]);
        }
        text.push('}');
        text
    }
}

/// The spans of a request in their order; `None` if something in it is not as it should be.
fn placed<'t>(request: &Fields<'t>) -> Option<Vec<Placed<'t>>> {
    let mut spans = Vec::new();
    let groups = lists(request, &GROUPS)?;
    let groups = groups.iter().map(|group| fields_of(group.get()).ok());
    let mut groups = groups.collect::<Option<Vec<_>>>()?;
    if groups.is_empty() {
        groups.push(request.clone());
    }
    for group in groups {
        let resource = field(&group, "resource");
        for scope in lists(&group, &SCOPES)? {
            let fields = fields_of(scope.get()).ok()?;
            let scope = field(&fields, "scope");
            let found = lists(&fields, &["spans"])?;
            spans.extend(found.into_iter().map(|span| Placed {
                resource,
                scope,
                text: span.get().into(),
            }));
        }
    }
    if spans.is_empty() {
        // So the SDKs' spans stand in a file, each with its own resource.
        spans.extend(lists(request, &["spans"])?.into_iter().map(Placed::bare));
    }
    Some(spans)
}

/// The spans of traces as Jaeger's API has them, each with the process that it names; `None` if there are
/// none.
fn of_jaeger<'t>(answer: &Fields<'t>) -> Option<Vec<Placed<'t>>> {
    let mut spans = Vec::new();
    for trace in lists(answer, &["data"])? {
        let trace = fields_of(trace.get()).ok()?;
        let processes = fields_of(field(&trace, "processes")?.get()).ok()?;
        for span in lists(&trace, &["spans"])? {
            let fields = fields_of(span.get()).ok()?;
            let id: String = serde_json::from_str(field(&fields, "processID")?.get()).ok()?;
            let process = field(&processes, &id)?;
            let others = span.get().strip_prefix('{')?;
            let text = format!("{{\"process\":{process},{others}");
            spans.push(Placed { resource: None, scope: None, text: text.into() });
        }
    }
    Some(spans).filter(|spans| !spans.is_empty())
}

/// The elements of the lists under these names.
fn lists<'t>(fields: &Fields<'t>, names: &[&str]) -> Option<Vec<&'t RawValue>> {
    let mut all = Vec::new();
    for list in names.iter().filter_map(|name| field(fields, name)) {
        all.extend(batch::elements(list.get())?);
    }
    Some(all)
}

/// Those attributes of a span that it lends to the spans in it, as one object; `None` if it has none.
fn lent_by(span: &Json<'_>) -> Option<String> {
    let attributes = attributes_of(span).ok()?;
    // An agent that was made acts in no span.
    let of_agents: &[&[&str]] = if creates(&attributes) { &[AGENTS, NAMES] } else { &[] };
    let Json::Object(mut fields) = attributes else { return None };
    let is_in = |lists: &[&[&str]], name: &str| {
        lists.iter().flat_map(|names| *names).any(|known| is_same_name(name, known))
    };
    fields.retain(|(name, _)| is_in(LENT, name) && !is_in(of_agents, name));
    let lends = fields.iter().any(|(name, _)| name != TOLD_OPERATION);
    lends.then(|| Json::Object(fields).to_string())
}
