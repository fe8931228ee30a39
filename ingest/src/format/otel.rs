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
mod outcome;
mod said;
pub(super) mod spans;

use schemas::{CredentialEvent, CredentialKind};

use self::said::is_said;
use self::spans::{Span, TOLD_AGENT, TOLD_OPERATION, name_of};
use super::clean::Clean;
use super::draft::{Draft, Needs, Word};
use super::json::Json;
use super::{Fault, mcp};

pub(super) const NEEDS: Needs =
    Needs { agent: "gen_ai.agent.id", action: "gen_ai.operation.name", time: "startTimeUnixNano" };
const TIMES: &[&str] = &[
    "startTimeUnixNano",
    "start_time_unix_nano",
    "startTime",
    "start_time",
    "start_timestamp",
    "timestamp",
    "TimeGenerated",
    "time",
    "@timestamp",
];
/// `trace.id` and `trace.trace_id` are those of rows that have nothing but columns.
const TRACES: &[&str] = &[
    "traceId",
    "trace_id",
    "context.trace_id",
    "spanContext.traceId",
    "trace.id",
    "trace.trace_id",
];

/// What is none of the spans that are read, by a field that it or its attributes have.
const OTHERS: &[(&str, &str)] = &[
    ("resourceLogs", "logs or metrics"),
    ("resourceMetrics", "logs or metrics"),
    ("attributeMap", "Cloud Trace's own format"),
    ("parentObservationId", "Langfuse's own format"),
];

const AGENTS: &[&str] = &[
    "gen_ai.agent.id",
    "gen_ai.agent.name",
    "agent_id",
    "agent.id",
    "agent.name",
    "agent_name",
    // CrewAI's id is another one in each process.
    "crewai.agent.role",
    "gen_ai.handoff.from_agent",
    TOLD_AGENT,
];
const NAMES: &[&str] =
    &["gen_ai.agent.name", "agent_name", "agent.name", "crewai.agent.role", TOLD_AGENT];
const MODELS: &[&str] = &[
    "gen_ai.response.model",
    "gen_ai.request.model",
    "llm.model_name",
    "ai.model.id",
    "langfuse.observation.model.name",
    // OpenLLMetry before the conventions.
    "llm.request.model",
    "model",
];
const SESSIONS: &[&str] = &[
    "gen_ai.conversation.id",
    "session.id",
    "mcp.session.id",
    "langfuse.session.id",
    "gcp.vertex.agent.session_id",
    "ai.telemetry.metadata.sessionId",
    "gen_ai.thread.id",
    "gen_ai.session.id",
    "microsoft.session.id",
    "conversation.id",
    "traceloop.association.properties.session_id",
];
const PARENTS: &[&str] =
    &["parent_agent_id", "microsoft.a365.caller.agent.id", "gen_ai.caller.agent.id"];
/// An address tells more than an id, which may be that of a device (Claude Code).
const USERS: &[&str] = &[
    "user.email",
    "user.id",
    END_USER,
    "gen_ai.user.id",
    "gen_ai.caller.upn",
    "gen_ai.caller.id",
    "langfuse.user.id",
    "ai.telemetry.metadata.userId",
    "traceloop.association.properties.user_id",
    "jwt.sub",
    "metadata.user_api_key_user_id",
];
/// Whom a server knows by the token that was shown to it.
const END_USER: &str = "enduser.id";
const CREDENTIALS: &[&str] = &["credential.id", "surety.credential_id"];
/// The key with which a call to AWS was signed.
const AWS_KEY: &str = "aws.auth.account.access_key";
/// Attributes that a span has of the spans around it where it has none itself.
const LENT: &[&[&str]] =
    &[AGENTS, NAMES, MODELS, SESSIONS, PARENTS, USERS, CREDENTIALS, &[TOLD_OPERATION]];

const ARGUMENTS: &[&str] = &[
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.arguments",
    "mcp.tool.arguments",
    "tool_input",
    "tool_arguments",
    "tool_parameters",
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

/// Kinds of spans as other instrumentation has them.
const KINDS: &[&str] = &[
    "traceloop.span.kind",
    "openinference.span.kind",
    "langfuse.observation.type",
    "mlflow.spanType",
    "langsmith.span.kind",
    "gen_ai.span.kind",
];

/// What a span tells of who called, if whoever was called wrote it: agentgateway, Docker's gateway of MCP
/// servers, `LiteLLM`.
const CALLED: &[&str] = &[
    "src.addr",
    "src.identity",
    "mcp.target",
    "mcp.client.name",
    "metadata.user_api_key_hash",
    "metadata.user_api_key_alias",
];

const PROVIDERS: &[&str] =
    &["gen_ai.provider.name", "gen_ai.system", "llm.provider", "ai.model.provider", "llm.vendor"];
/// Libraries that name themselves where a model's provider is wanted.
const FRAMEWORKS: &[&str] = &[
    "autogen",
    "crewai",
    "gcp.vertex.agent",
    "langchain",
    "langgraph",
    "llamaindex",
    "microsoft.agent_framework",
    "openai_agents",
    "pydantic-ai",
    "semantic_kernel",
    "strands-agents",
];

/// GitHub Copilot calls a tool of an MCP server by a name of its own, and tells the server's own
/// beside it.
const TOOLS: &[&str] = &[
    "github.copilot.tool.parameters.mcp_tool_name",
    "gen_ai.tool.name",
    "mcp.tool.name",
    "tool_name",
    "ai.toolCall.name",
];

const EXECUTE_TOOL: &str = "execute_tool";
const INVOKE_AGENT: &str = "invoke_agent";
const CREATE_AGENT: &str = "create_agent";
/// What an agent does that has another work for it.
const CALLS: &[&str] = &[CREATE_AGENT, INVOKE_AGENT, "invoke_workflow", EXECUTE_TOOL];
/// What an agent does that leaves the rest to another, and which of them are told.
const HANDOFF: &str = "handoff";
const HANDOFFS: &[&str] = &["gen_ai.handoff.to_agent", "gen_ai.handoff.from_agent"];
/// What a model is asked where nobody says what for.
const LLM: &str = "llm";
/// Operations with which the name of a span may begin, what they were done to behind them.
const OPERATIONS: &[&str] = &[
    "chat",
    CREATE_AGENT,
    "embeddings",
    "generate_content",
    INVOKE_AGENT,
    "retrieval",
    "text_completion",
    EXECUTE_TOOL,
];

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
    let is_it = |name: &str| record.has(name) || attributes.has(name);
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
    let instances = ["service.instance.id", "k8s.pod.name"];
    let instance = span.resource.first(&instances).or_else(|| attributes.text("crewai.agent.id"));
    draft.instance = instance.map(Into::into);
    draft.model = span.around(MODELS).map(Into::into);
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
        || (is_server && attributes.text("mcp.method.name").is_some())
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
    let named = match operation {
        Some(INVOKE_AGENT | CREATE_AGENT) => {
            attributes.text("gen_ai.handoff.to_agent").or_else(|| span.own_agent())
        }
        _ => attributes.first(&[
            "gen_ai.request.model",
            "gen_ai.handoff.to_agent",
            "gen_ai.data_source.id",
            "llm.model_name",
            "ai.model.id",
            "langfuse.observation.model.name",
            "llm.request.model",
        ]),
    };
    draft.action = operation.map(|operation| match tool.or(named) {
        Some(name) => format!("{operation}:{name}").into(),
        None => operation.into(),
    });
    let resources = [
        (span.made(), "agent"),
        (attributes.text("mcp.resource.uri"), "mcp_resource"),
        (tool, "tool"),
        (attributes.text("gen_ai.data_source.id"), "data_source"),
        (attributes.text("gen_ai.request.model"), "model"),
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
        first(&[
            ("server.address", "host"),
            ("mcp.server.name", "mcp_server"),
            ("github.copilot.tool.parameters.mcp_server_name", "mcp_server"),
            ("github.copilot.tool.parameters.mcp_server_name_hash", "mcp_server"),
            ("peer.service", "service"),
            ("gen_ai.handoff.to_agent", "agent"),
        ])
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
    let kind = kind_of(attributes);
    let is_tool = kind.is_some_and(|kind| kind.eq_ignore_ascii_case("tool"));
    let tool = attributes
        .first(TOOLS)
        .or_else(|| attributes.first(&["tool.name", "traceloop.entity.name"]).filter(|_| is_tool));
    let told = attributes.first(&["gen_ai.operation.name", "mcp.method.name"]);
    let told = told
        .or(tool.map(|_| EXECUTE_TOOL))
        .or_else(|| attributes.first(HANDOFFS).map(|_| HANDOFF))
        .or_else(|| attributes.first(&["llm.request.type", "ai.operationId"]));
    let name = name_of(span);
    let words = name.and_then(|name| name.split_once(' '));
    let named = words.filter(|(operation, _)| OPERATIONS.contains(operation));
    if let Some(operation) = told.or(named.map(|(operation, _)| operation)) {
        let named = named.filter(|both| both.0 == EXECUTE_TOOL && operation == EXECUTE_TOOL);
        return (Some(operation), tool.or(named.map(|(_, tool)| tool)));
    }
    match kind.map(str::to_ascii_lowercase).as_deref() {
        Some("tool") => (Some(EXECUTE_TOOL), name),
        Some("agent") => (Some(INVOKE_AGENT), None),
        Some(HANDOFF) => (Some(HANDOFF), None),
        Some("llm" | "generation" | "chat_model") => (Some(LLM), None),
        Some("embedding") => (Some("embeddings"), None),
        Some("retriever") => (Some("retrieval"), None),
        Some(_) => (None, None),
        // As Pydantic AI and Google's ADK name it.
        None if name.is_some_and(|it| it == "agent run" || it.starts_with("agent_run [")) => {
            (Some(INVOKE_AGENT), None)
        }
        None => {
            let model = attributes.text("gen_ai.request.model");
            (model.and(attributes.first(PROVIDERS)).map(|_| LLM), None)
        }
    }
}

/// The kind of a span as other instrumentation has it.
fn kind_of<'s>(attributes: &'s Json<'_>) -> Option<&'s str> {
    attributes.first(KINDS)
}
