//! OpenTelemetry spans of generative AI, as OTLP JSON or as the SDKs' consoles print them.
//!
//! Invariant: one span is one event, see [`Span`]. An agent that the span does not name is that of
//! the nearest span around it in the record, else the service that ran it; messages to and from a
//! model, and what a tool answered, are not kept.
//!
//! Source: OpenTelemetry, *Semantic conventions for generative AI* (spans, agent spans, MCP); of what
//! other instrumentation writes instead: `OpenLLMetry`, `OpenInference`, Vercel's AI SDK, Langfuse and
//! `MLflow`, their attributes.

pub(super) mod spans;

use schemas::{CredentialEvent, CredentialKind, Outcome};

use self::spans::Span;
use super::clean::Clean;
use super::draft::{Draft, Needs, Word};
use super::json::Json;
use super::{Fault, verdict};

pub(super) const NEEDS: Needs =
    Needs { agent: "gen_ai.agent.id", action: "gen_ai.operation.name", time: "startTimeUnixNano" };
const TIMES: &[&str] =
    &["startTimeUnixNano", "start_time_unix_nano", "startTime", "start_time", "timestamp"];

const AGENTS: &[&str] =
    &["gen_ai.agent.id", "gen_ai.agent.name", "agent_id", "agent.id", "agent.name", "agent_name"];
const NAMES: &[&str] = &["gen_ai.agent.name", "agent_name"];
const MODELS: &[&str] =
    &["gen_ai.response.model", "gen_ai.request.model", "llm.model_name", "ai.model.id"];
const SESSIONS: &[&str] = &[
    "gen_ai.conversation.id",
    "session.id",
    "mcp.session.id",
    "langfuse.session.id",
    "gcp.vertex.agent.session_id",
    "ai.telemetry.metadata.sessionId",
];
const PARENTS: &[&str] = &["parent_agent_id"];
const USERS: &[&str] =
    &["user.id", "enduser.id", "user.email", "langfuse.user.id", "ai.telemetry.metadata.userId"];
const CREDENTIALS: &[&str] = &["credential.id", "surety.credential_id"];
/// Attributes that a span has of the spans around it where it has none itself.
const LENT: &[&[&str]] = &[AGENTS, NAMES, MODELS, SESSIONS, PARENTS, USERS, CREDENTIALS];

const ARGUMENTS: &[&str] = &[
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.arguments",
    "mcp.tool.arguments",
    "tool_input",
    "tool_arguments",
    "ai.toolCall.args",
    "gcp.vertex.agent.tool_call_args",
];
/// Of a tool its arguments, of anything else what people and models said.
const INPUTS: &[&str] = &[
    "input.value",
    "traceloop.entity.input",
    "tool.parameters",
    "langfuse.observation.input",
    "mlflow.spanInputs",
];

const EXECUTE_TOOL: &str = "execute_tool";
/// Operations with which the name of a span may begin, what they were done to behind them.
const OPERATIONS: &[&str] = &[
    "chat",
    "create_agent",
    "embeddings",
    "generate_content",
    "invoke_agent",
    "retrieval",
    "text_completion",
    EXECUTE_TOOL,
];

/// Attributes that have a place of their own, or that hold what people and models said.
const KNOWN: &[&str] = &[
    "gen_ai.agent.id",
    "gen_ai.conversation.id",
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.prompt",
    "gen_ai.completion",
    "gen_ai.system_instructions",
    "gen_ai.tool.definitions",
    "gen_ai.tool.call.result",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.arguments",
    "gen_ai.tool.result",
    "gen_ai.tool.output",
    "mcp.tool.arguments",
    "tool_input",
    "tool_arguments",
    "tool_response",
    "tool.result",
    "tool.output",
    "input.value",
    "output.value",
    "traceloop.entity.input",
    "traceloop.entity.output",
    "tool.parameters",
    "all_messages_events",
    "pydantic_ai.all_messages",
    "final_result",
    "events",
    "prompt",
    "completion",
    "user_agent.original",
    "client.address",
];
/// Starts of attributes that hold what people and models said, piece by piece.
const SAID: &[&str] = &[
    "gen_ai.prompt.",
    "gen_ai.completion.",
    "llm.input_messages",
    "llm.output_messages",
    "llm.prompts",
    "llm.completions",
    "mcp.tool.result.",
    "mcp.request.argument.",
    "retrieval.documents",
    "embedding.embeddings",
    "ai.prompt",
    "ai.response.text",
    "ai.response.object",
    "ai.response.reasoning",
    "ai.response.toolCalls",
    "ai.toolCall.args",
    "ai.toolCall.result",
    "gcp.vertex.agent.llm_",
    "gcp.vertex.agent.tool_",
    "gcp.vertex.agent.data",
    "langfuse.observation.input",
    "langfuse.observation.output",
    "langfuse.trace.input",
    "langfuse.trace.output",
    "mlflow.spanInputs",
    "mlflow.spanOutputs",
];

pub(super) fn read(record: &Json<'_>, clean: &Clean<'_>) -> Result<CredentialEvent, Fault> {
    if ["resourceLogs", "resourceMetrics"].iter().any(|name| record.has(name)) {
        return Err(Fault::bad_field("wanted spans, found logs or metrics"));
    }
    draft(&Span::of(record)?)?.finish(clean)
}

fn draft<'s>(span: &'s Span<'_>) -> Result<Draft<'s>, Fault> {
    let attributes = &span.attributes;
    let mut draft = Draft::new(NEEDS, span.json, TIMES)?;
    let traces = ["traceId", "trace_id", "context.trace_id", "spanContext.traceId"];
    let trace = span.json.first(&traces);
    draft.event_id = match (trace, span.id()) {
        (Some(trace), Some(id)) => Some(format!("{trace}:{id}").into()),
        (_, id) => id.map(Into::into),
    };
    let service = span.resource.text("service.name");
    // As Jaeger and Zipkin have it.
    let services = ["process.serviceName", "localEndpoint.serviceName"];
    let service = service.or_else(|| span.json.first(&services));
    draft.agent = span.around(AGENTS).or(service).map(Into::into);
    draft.class = span.around(NAMES).or(service).map(Into::into);
    draft.instance = span.resource.first(&["service.instance.id", "k8s.pod.name"]).map(Into::into);
    draft.model = span.around(MODELS).map(Into::into);
    draft.session = span.around(SESSIONS).map(Into::into);
    draft.task = attributes.first(&["task.id", "prompt.id"]).map(Into::into);
    draft.delegation.extend(span.around(PARENTS).map(Into::into));
    draft.delegation.extend(span.around(USERS).map(Into::into));
    draft.credential = span.around(CREDENTIALS).map(credential);
    draft.source = attributes.first(&["client.address", "source.address"]).map(Into::into);
    draft.user_agent = attributes.text("user_agent.original").map(Into::into);
    target(attributes, span, &mut draft);
    (draft.outcome, draft.outcome_reason) = outcome(attributes, span.json);
    draft.keep("trace_id", trace);
    draft.keep("parent_span_id", span.parent());
    draft.keep("service", service);
    let said = attributes.fields().iter().map(|(name, _)| name.as_ref());
    let said = said.filter(|name| SAID.iter().any(|start| name.starts_with(start)));
    let known: Vec<&str> = said.chain(KNOWN.iter().copied()).collect();
    draft.keep_rest(attributes, &known);
    Ok(draft)
}

/// OpenTelemetry has no attribute for it: `credential.id` is what Surety asks instrumentation to set.
fn credential(id: &str) -> (CredentialKind, Word<'_>) {
    let kind = match id.as_bytes() {
        [b'A', b'K', b'I', b'A', ..] => CredentialKind::StaticKey,
        [b'A', b'S', b'I', b'A', ..] => CredentialKind::TemporaryKey,
        _ => CredentialKind::Unknown,
    };
    (kind, id.into())
}

/// `execute_tool:pay`, `chat:model`; the tool is what is used, its arguments tell with whom.
fn target<'s>(attributes: &'s Json<'_>, span: &'s Span<'_>, draft: &mut Draft<'s>) {
    let (operation, tool) = use_of(attributes, span.json);
    let named = attributes.first(&[
        "gen_ai.request.model",
        "gen_ai.agent.name",
        "llm.model_name",
        "ai.model.id",
    ]);
    draft.action = operation.map(|operation| match tool.or(named) {
        Some(name) => format!("{operation}:{name}").into(),
        None => operation.into(),
    });
    let resources = [
        (attributes.text("mcp.resource.uri"), "mcp_resource"),
        (tool, "tool"),
        (attributes.text("gen_ai.data_source.id"), "data_source"),
        (attributes.text("gen_ai.request.model"), "model"),
    ];
    draft.reach(resources);
    let others = [
        ("server.address", "host"),
        ("mcp.server.name", "mcp_server"),
        ("peer.service", "service"),
        ("gen_ai.provider.name", "model_provider"),
        ("gen_ai.system", "model_provider"),
        ("llm.provider", "model_provider"),
        ("ai.model.provider", "model_provider"),
    ];
    let other = others.iter().find_map(|(path, kind)| Some((*kind, attributes.text(path)?)));
    draft.counterparty = other.map(|(kind, id)| (kind.into(), id.into()));
    let inputs = if operation == Some(EXECUTE_TOOL) { INPUTS } else { &[] };
    let mut arguments = ARGUMENTS.iter().chain(inputs);
    let arguments = arguments.find_map(|path| attributes.at(path));
    if let Some(arguments) = arguments.or_else(|| span.json.at("arguments")) {
        draft.stake(arguments);
    }
}

/// What was done, and the tool with which; as older instrumentation or the name of the span tells it
/// where the attribute for it is not there.
fn use_of<'s>(attributes: &'s Json<'_>, span: &'s Json<'_>) -> (Option<&'s str>, Option<&'s str>) {
    let kinds = [
        "traceloop.span.kind",
        "openinference.span.kind",
        "langfuse.observation.type",
        "mlflow.spanType",
    ];
    // Of the last it is JSON.
    let kind = attributes.first(&kinds).map(|kind| kind.trim_matches('"'));
    let is_tool = kind.is_some_and(|kind| kind.eq_ignore_ascii_case("tool"));
    let tool = attributes
        .first(&["gen_ai.tool.name", "mcp.tool.name", "tool_name", "ai.toolCall.name"])
        .or_else(|| attributes.first(&["tool.name", "traceloop.entity.name"]).filter(|_| is_tool));
    let told = attributes.first(&["gen_ai.operation.name", "mcp.method.name"]);
    let told = told
        .or(tool.map(|_| EXECUTE_TOOL))
        .or_else(|| attributes.first(&["llm.request.type", "ai.operationId"]));
    let name = span.first(&["name", "operationName"]);
    let words = name.and_then(|name| name.split_once(' '));
    let named = words.filter(|(operation, _)| OPERATIONS.contains(operation));
    match (told, named) {
        (Some(operation), _) => (Some(operation), tool),
        (None, Some((operation, rest))) => {
            (Some(operation), tool.or(Some(rest).filter(|_| operation == EXECUTE_TOOL)))
        }
        (None, None) => match kind.map(str::to_ascii_lowercase).as_deref() {
            Some("tool") => (Some(EXECUTE_TOOL), name),
            Some("agent") => (Some("invoke_agent"), None),
            Some("llm" | "generation" | "chat_model") => (Some("llm"), None),
            Some("embedding") => (Some("embeddings"), None),
            Some("retriever") => (Some("retrieval"), None),
            Some(_) | None => (None, None),
        },
    }
}

fn outcome<'s>(attributes: &'s Json<'_>, span: &'s Json<'_>) -> (Outcome, Option<Word<'s>>) {
    let decision = attributes.first(&["gen_ai.tool.call.decision.outcome", "decision"]);
    if let Some(word) = decision
        && verdict::of_error(word) == Outcome::Denied
    {
        return (Outcome::Denied, Some(word.into()));
    }
    let code = span.first(&["status.code", "status.status_code"]);
    let code = code.or_else(|| attributes.text("otel.status_code")).unwrap_or_default();
    let code = code.to_ascii_uppercase();
    let kind = attributes.first(&["error.type", "exception.type", "mcp.error.code"]);
    let message = span.first(&["status.message", "status.description"]);
    let message = message.or_else(|| attributes.text("otel.status_description"));
    let by_status = attributes.text("http.response.status_code").and_then(verdict::of_http);
    let has_failed = matches!(code.as_str(), "2" | "ERROR" | "STATUS_CODE_ERROR")
        || kind.is_some()
        || attributes.is_true("error");
    let reason = kind.or(message);
    match (has_failed, by_status) {
        (_, Some(outcome @ (Outcome::Denied | Outcome::Error))) => {
            (outcome, reason.map(Into::into))
        }
        (false, _) => (Outcome::Success, None),
        (true, _) => {
            let by_kind = kind.and_then(verdict::of_http);
            let words = [kind, message].into_iter().flatten().map(verdict::of_error);
            let is_denied = words.chain(by_kind).any(|outcome| outcome == Outcome::Denied);
            (if is_denied { Outcome::Denied } else { Outcome::Error }, reason.map(Into::into))
        }
    }
}
