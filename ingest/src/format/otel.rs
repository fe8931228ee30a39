//! OpenTelemetry spans of generative AI, as OTLP JSON or as the SDKs' consoles print them.
//!
//! Invariant: one span is one event, see [`Span`]. An agent that the span does not name is that of
//! the nearest span around it in the record, else the service that ran it; messages to and from a
//! model, and what a tool answered, are not kept.
//!
//! Source: OpenTelemetry, *Semantic conventions for generative AI* (spans, agent spans, MCP); of what
//! other instrumentation writes instead: `OpenLLMetry`, `OpenInference`, Vercel's AI SDK, Langfuse and
//! `MLflow`, their attributes; Microsoft, *Agent 365 observability: attribute reference*; Alibaba Cloud, its
//! conventions (`gen_ai.span.kind`); AWS Distro for OpenTelemetry (`aws.auth.account.access_key`).

mod attributes;
mod dialects;
mod names;
mod outcome;
mod said;
pub(super) mod spans;
mod told;

use schemas::{CredentialEvent, CredentialKind};

use self::names::{
    AGENTS, ARGUMENTS, AWS_KEY, CALLED, CREDENTIALS, END_USER, ENTITY_KIND, FRAMEWORKS,
    HANDOFF_FROM, HANDOFF_TO, INPUTS, KINDS, MODELS_ASKED, NAMES, OTHER_SIDES, PART_KIND,
    PROVIDERS, SESSIONS, TIMES, TOOL_KINDS, TOOLS, TOOLS_OF_KIND, TRACES, USERS,
};
use self::said::is_said;
use self::spans::{Span, name_of};
use self::told::{TOLD_AGENT, TOLD_OPERATION};
use super::clean::Clean;
use super::draft::{Draft, Needs, Word};
use super::json::Json;
use super::words::aws_key;
use super::{Fault, mcp};

pub(super) const NEEDS: Needs =
    Needs { agent: "gen_ai.agent.id", action: "gen_ai.operation.name", time: "startTimeUnixNano" };

/// What is none of the spans that are read, by what it has or by a field of its attributes.
const OTHERS: &[(&str, &str)] = &[
    ("resourceLogs", "logs or metrics"),
    ("resourceMetrics", "logs or metrics"),
    ("dataPoints", "logs or metrics"),
    ("traces.spanSets", "Tempo's answer to a search"),
    ("attributeMap", "Cloud Trace's own format"),
    ("parentObservationId", "Langfuse's own format"),
];

const EXECUTE_TOOL: &str = "execute_tool";
const INVOKE_AGENT: &str = "invoke_agent";
const CREATE_AGENT: &str = "create_agent";
const INVOKE_WORKFLOW: &str = "invoke_workflow";
/// What an agent does that has another work for it.
const CALLS: &[&str] = &[CREATE_AGENT, INVOKE_AGENT, INVOKE_WORKFLOW, EXECUTE_TOOL];
/// What an agent does that leaves the rest to another.
const HANDOFF: &str = "handoff";
/// What a model is asked where nobody says what for.
const LLM: &str = "llm";
/// Operations with which the name of a span may begin, what they were done to behind them.
const OPERATIONS: &[&str] = &[
    "chat",
    CREATE_AGENT,
    "embeddings",
    "generate_content",
    INVOKE_AGENT,
    INVOKE_WORKFLOW,
    "retrieval",
    "text_completion",
    EXECUTE_TOOL,
];
/// What a library calls an operation in which it did nothing but call others: `LangSmith`, Spring AI.
const NO_OPERATIONS: &[&str] = &["chain", "framework"];
/// Kinds of spans in which nothing is used, whatever `LangSmith` calls the operation.
const NO_USES: &[&str] = &["parser", "prompt"];
/// How the names of the spans of a gateway of Amazon Bedrock `AgentCore` begin.
const GATEWAY: &str = "AgentCore.Gateway.";
/// A tool that is called in the protocol of MCP.
const TOOLS_CALL: &str = "tools/call";

/// Attributes that have a place of their own.
const KNOWN: &[&str] = &[
    "gen_ai.agent.id",
    "gen_ai.conversation.id",
    "user_agent.original",
    "client.address",
    TOLD_AGENT,
    TOLD_OPERATION,
];

pub(super) fn read(record: &Json<'_>, clean: &Clean<'_>) -> Result<CredentialEvent, Fault> {
    let attributes = record.field("attributes").unwrap_or(&Json::Null);
    let is_it = |path: &str| record.at(path).is_some() || attributes.has(path);
    if let Some((_, found)) = OTHERS.iter().find(|(name, _)| is_it(name)) {
        return Err(Fault::bad_field(format!("wanted spans, found {found}")));
    }
    draft(&Span::of(record)?)?.finish(clean)
}

fn draft<'s>(span: &'s Span<'_>) -> Result<Draft<'s>, Fault> {
    let attributes = &span.attributes;
    let mut draft = Draft::new(NEEDS, span.json, TIMES)?;
    let trace = span.json.first(TRACES);
    draft.event_id = match (trace, span.id()) {
        (Some(trace), Some(id)) => Some(format!("{trace}:{id}").into()),
        (_, id) => id.map(Into::into),
    };
    let service = span.service();
    let is_called = is_called(span);
    // What a resource tells of its user is so of all that runs in it, and not of who calls it.
    let told =
        |names| span.around(names).or_else(|| span.resource.first(names).filter(|_| !is_called));
    draft.session = told(SESSIONS).map(Into::into);
    (draft.agent, draft.class) = who(span, is_called);
    // Where no program is named, whoever ran it is all that is told.
    draft.agent = draft.agent.or_else(|| told(USERS).map(Into::into));
    let instances = ["service.instance.id", "k8s.pod.name"];
    let instance = span.resource.first(&instances).or_else(|| attributes.text("crewai.agent.id"));
    draft.instance = instance.map(Into::into);
    draft.model = span.model().map(Into::into);
    draft.task = attributes.first(&["task.id", "prompt.id"]).map(Into::into);
    draft.delegation.extend(span.behind().into_iter().map(Word::from));
    draft.delegation.extend(told(USERS).map(Into::into));
    // Some overwrite the key by a word.
    let key = attributes.text(AWS_KEY).map(credential);
    let key = key.filter(|(kind, _)| *kind != CredentialKind::Unknown);
    let credential = span.around(CREDENTIALS).map(credential).or(key);
    draft.credential = credential.or_else(|| mcp::credential(attributes).filter(|_| is_called));
    let sources = [
        "client.address",
        "source.address",
        "src.addr",
        "metadata.requester_ip_address",
        "gen_ai.caller.client.ip",
    ];
    draft.source = attributes.first(&sources).map(Into::into);
    draft.user_agent = attributes.text("user_agent.original").map(Into::into);
    target(attributes, span, &mut draft);
    if draft.action.is_none() && kind_of(attributes).is_some() {
        let detail = "wanted a span of a tool, a model or an agent, found one of another kind";
        return Err(Fault::bad_field(detail));
    }
    (draft.outcome, draft.outcome_reason) = outcome::of(span);
    draft.keep("trace_id", trace);
    draft.keep("parent_span_id", span.parent());
    draft.keep("service", service);
    let said = attributes.fields().iter().filter(|(name, value)| is_said(name, value));
    let known: Vec<&str> =
        said.map(|(name, _)| name.as_ref()).chain(KNOWN.iter().copied()).collect();
    draft.keep_rest(attributes, &known);
    Ok(draft)
}

/// Agent and class: as the span or the nearest around it names them, else who called the service that wrote
/// the span, else what all of the resource runs in.
fn who<'s>(span: &'s Span<'_>, is_called: bool) -> (Option<Word<'s>>, Option<Word<'s>>) {
    let told = span.agent(AGENTS);
    let (agent, class) = if is_called {
        let caller = mcp::agent(&span.attributes);
        match (caller.or_else(|| span.attributes.text(END_USER)), span.around(SESSIONS)) {
            (None, Some(session)) => mcp::of_session(session),
            (caller, _) => (caller.map(Word::from), None),
        }
    } else {
        // Of an agent that a span names the resource's is no class.
        let hosted = |names| span.hosted(names).filter(|_| told.is_none()).or(span.service());
        (hosted(AGENTS).map(Word::from), hosted(NAMES).map(Word::from))
    };
    (told.map(Word::from).or(agent), span.agent(NAMES).map(Word::from).or(class))
}

/// Whether whoever was called wrote the span: then its service is no agent, but what an agent used.
fn is_called(span: &Span<'_>) -> bool {
    let attributes = &span.attributes;
    let kind = span
        .json
        .first(&["kind", "SpanKind", "kind_string"])
        .or_else(|| attributes.text("span.kind"));
    let kind = kind.unwrap_or_default().to_ascii_uppercase();
    // `SPAN_KIND_SERVER`, `SpanKind.SERVER` or a number.
    let kind = kind.rsplit(['_', '.']).next().unwrap_or_default();
    // The address of a client is told by servers alone.
    let is_server = matches!(kind, "2" | "SERVER")
        || (!matches!(kind, "3" | "CLIENT") && attributes.text("client.address").is_some());
    attributes.first(CALLED).is_some()
        || name_of(span.json).is_some_and(|name| name.starts_with(GATEWAY))
        || (is_server && attributes.text("mcp.method.name").is_some())
}

/// OpenTelemetry has no attribute for it: `credential.id` is what Surety asks instrumentation to set.
fn credential(id: &str) -> (CredentialKind, Word<'_>) {
    (aws_key(id).unwrap_or(CredentialKind::Unknown), id.into())
}

/// `execute_tool:pay`, `chat:model`; the tool is what is used, its arguments tell with whom.
fn target<'s>(attributes: &'s Json<'_>, span: &'s Span<'_>, draft: &mut Draft<'s>) {
    let (operation, tool) = use_of(attributes, span.json);
    let model = attributes.first(MODELS_ASKED);
    let is_workflow = operation == Some(INVOKE_WORKFLOW);
    let workflow = attributes.text("gen_ai.workflow.name").filter(|_| is_workflow);
    let named = match operation {
        Some(INVOKE_AGENT | CREATE_AGENT) => {
            attributes.text(HANDOFF_TO).or_else(|| span.own_agent())
        }
        _ => attributes
            .first(&["gen_ai.request.model", HANDOFF_TO, "gen_ai.data_source.id"])
            .or(model),
    };
    draft.action = operation.map(|operation| match tool.or(workflow).or(named) {
        Some(name) => format!("{operation}:{name}").into(),
        None => operation.into(),
    });
    let resources = [
        (span.made(), "agent"),
        (attributes.text("mcp.resource.uri"), "mcp_resource"),
        (tool, "tool"),
        (workflow, "workflow"),
        (attributes.text("gen_ai.data_source.id"), "data_source"),
        (model, "model"),
    ];
    draft.reach(resources);
    draft.counterparty = counterparty(span, tool.is_some());
    let inputs = if operation == Some(EXECUTE_TOOL) { INPUTS } else { &[] };
    let mut arguments = ARGUMENTS.iter().chain(inputs);
    let arguments = arguments.find_map(|path| attributes.at(path));
    if let Some(arguments) = arguments.or_else(|| span.json.at("arguments")) {
        draft.stake(arguments);
    }
}

/// The other side, as far as the arguments of a tool do not tell another.
fn counterparty<'s>(span: &'s Span<'_>, is_tool: bool) -> Option<(Word<'s>, Word<'s>)> {
    let attributes = &span.attributes;
    let first = |others: &[(&'static str, &'static str)]| {
        others.iter().find_map(|(path, kind)| Some((*kind, attributes.text(path)?)))
    };
    let other = if is_called(span) && attributes.text("mcp.method.name").is_some() {
        let server = first(&[("mcp.target", "mcp_server"), ("mcp.server.name", "mcp_server")]);
        server.or_else(|| Some(("mcp_server", span.service()?)))
    } else {
        first(OTHER_SIDES)
    };
    // A tool is called, and no model; a library is called by none.
    let provider = attributes.first(PROVIDERS).filter(|name| {
        !is_tool && !FRAMEWORKS.iter().any(|library| name.eq_ignore_ascii_case(library))
    });
    let other = other.or(provider.map(|provider| ("model_provider", provider)));
    other.map(|(kind, id)| (kind.into(), id.into()))
}

/// What was done, and the tool with which; as older instrumentation or the name of the span tells it
/// where the attribute for it is not there.
fn use_of<'s>(attributes: &'s Json<'_>, span: &'s Json<'_>) -> (Option<&'s str>, Option<&'s str>) {
    let kind = kind_of(attributes).map(str::to_ascii_lowercase);
    let is_tool = kind.as_deref().is_some_and(|kind| TOOL_KINDS.contains(&kind));
    let tool =
        attributes.first(TOOLS).or_else(|| attributes.first(TOOLS_OF_KIND).filter(|_| is_tool));
    let told = ["gen_ai.operation.name", "mcp.method.name"];
    let mut told = told.iter().filter_map(|path| attributes.text(path));
    let is_use = kind.as_deref().is_none_or(|kind| !NO_USES.contains(&kind));
    let told = told
        .find(|operation| is_use && !NO_OPERATIONS.contains(operation))
        .or(tool.map(|_| EXECUTE_TOOL))
        .or_else(|| attributes.first(&[HANDOFF_TO, HANDOFF_FROM]).map(|_| HANDOFF))
        .or_else(|| attributes.first(&["llm.request.type", "ai.operationId"]));
    let name = name_of(span);
    let told = told.or_else(|| operation_in(name?, attributes));
    match told.or(is_tool.then_some(EXECUTE_TOOL)) {
        Some(EXECUTE_TOOL) => (Some(EXECUTE_TOOL), tool.or_else(|| tool_in(name?))),
        Some(operation) => (Some(operation), tool),
        None => (by_kind(kind.as_deref(), name, attributes), None),
    }
}

/// The operation with which the name of a span begins, or that it is. One word alone may be anything, but in a
/// span of generative AI.
fn operation_in<'s>(name: &'s str, attributes: &Json<'_>) -> Option<&'s str> {
    let is_generative = || attributes.fields().iter().any(|(name, _)| name.starts_with("gen_ai."));
    let named = match name.split_once(' ') {
        Some((operation, _)) => Some(operation),
        None => Some(name).filter(|name| name.contains('_') || is_generative()),
    };
    named.filter(|operation| OPERATIONS.contains(operation))
}

/// What was done, by the kind of the span.
fn by_kind(kind: Option<&str>, name: Option<&str>, attributes: &Json<'_>) -> Option<&'static str> {
    match kind {
        Some("agent") => Some(INVOKE_AGENT),
        Some(HANDOFF) => Some(HANDOFF),
        Some("llm" | "generation" | "chat_model" | "model") => Some(LLM),
        Some("embedding" | "embedder") => Some("embeddings"),
        Some("retriever") => Some("retrieval"),
        Some(_) => None,
        // As Pydantic AI, Google's ADK and Logfire name it.
        None if name.is_some_and(is_run) => Some(INVOKE_AGENT),
        None => {
            let model = attributes.text("gen_ai.request.model");
            model.and(attributes.first(PROVIDERS)).map(|_| LLM)
        }
    }
}

fn is_run(name: &str) -> bool {
    name == "agent run" || ["agent_run [", "Agent run: "].iter().any(|run| name.starts_with(run))
}

/// The tool that the name of a span tells, behind the operation or alone.
fn tool_in(name: &str) -> Option<&str> {
    let calls = [EXECUTE_TOOL, TOOLS_CALL];
    let behind = name.split_once(' ').filter(|(operation, _)| calls.contains(operation));
    let tool = behind.map_or(name, |(_, tool)| tool);
    Some(tool).filter(|tool| !tool.is_empty() && !calls.contains(tool))
}

/// The kind of a span as other instrumentation has it.
fn kind_of<'s>(attributes: &'s Json<'_>) -> Option<&'s str> {
    let entity = || {
        let entity = attributes.text(ENTITY_KIND)?;
        Some(attributes.text(PART_KIND).unwrap_or(entity))
    };
    attributes.first(KINDS).or_else(entity)
}
