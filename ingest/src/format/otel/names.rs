//! The names under which instrumentation writes each field, the most telling first.
//!
//! Invariant: a name stands here only if a vendor's documentation or its code gives it this meaning.
//!
//! Source: that of the [format](super); besides, the documentation and the code of `AgentOps`,
//! Braintrust, Genkit, Laminar, `LangSmith`, `LangWatch`, `LiveKit`, Mastra, `OpenLIT`, Spring AI, `VoltAgent` and Weave.

use super::told::{TOLD_AGENT, TOLD_OPERATION};

pub(super) const TIMES: &[&str] = &[
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
pub(super) const TRACES: &[&str] = &[
    "traceId",
    "trace_id",
    "context.trace_id",
    "spanContext.traceId",
    "trace.id",
    "trace.trace_id",
];

pub(super) const AGENTS: &[&str] = &[
    "gen_ai.agent.id",
    "gen_ai.agent.name",
    "agent_id",
    "agent.id",
    "agent.name",
    "agent_name",
    // CrewAI's id is another one in each process.
    "crewai.agent.role",
    HANDOFF_FROM,
    "lk.agent_name",
    LC_AGENT,
    LC_AGENT_OF_TRACELOOP,
    // Mastra's, as Phoenix has it.
    "metadata.agentId",
    TOLD_AGENT,
];
pub(super) const NAMES: &[&str] = &[
    "gen_ai.agent.name",
    "agent_name",
    "agent.name",
    "crewai.agent.role",
    "lk.agent_name",
    LC_AGENT,
    LC_AGENT_OF_TRACELOOP,
    TOLD_AGENT,
];
/// `LangChain`'s name of an agent, as `LangSmith` and `OpenLLMetry` have what it tells beside a call.
const LC_AGENT: &str = "langsmith.metadata.lc_agent_name";
const LC_AGENT_OF_TRACELOOP: &str = "traceloop.association.properties.lc_agent_name";
/// How a name begins that tells of an agent also where a resource has it.
pub(super) const OF_GENERATIVE: &[&str] = &["gen_ai.", "lk."];
pub(super) const MODELS: &[&str] = &[
    "gen_ai.response.model",
    "gen_ai.request.model",
    "llm.model_name",
    "ai.model.id",
    "langfuse.observation.model.name",
    "ai.model.name",
    // OpenLLMetry before the conventions.
    "llm.request.model",
    "model",
];
/// The model that is asked.
pub(super) const MODELS_ASKED: &[&str] = &[
    "gen_ai.request.model",
    "llm.model_name",
    "ai.model.id",
    "langfuse.observation.model.name",
    "llm.request.model",
];
pub(super) const SESSIONS: &[&str] = &[
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
    "lmnr.association.properties.session_id",
    "langsmith.metadata.session_id",
    "mastra.metadata.sessionId",
    "mlflow.trace.session",
    "genkit:sessionId",
    "voltagent.conversation_id",
    "spring.ai.chat.client.conversation.id",
    "ai.telemetry.metadata.threadId",
    "langsmith.metadata.thread_id",
    "mastra.metadata.threadId",
    "langwatch.thread.id",
    "wandb.thread_id",
];
pub(super) const PARENTS: &[&str] = &[
    "parent_agent_id",
    "microsoft.a365.caller.agent.id",
    "gen_ai.caller.agent.id",
    "agent.parent.name",
];
/// An address tells more than an id, which may be that of a device (Claude Code).
pub(super) const USERS: &[&str] = &[
    "user.email",
    "user.id",
    END_USER,
    "enduser.pseudo.id",
    "gen_ai.user.id",
    "gen_ai.caller.upn",
    "gen_ai.caller.id",
    "langfuse.user.id",
    "ai.telemetry.metadata.userId",
    "traceloop.association.properties.user_id",
    "lmnr.association.properties.user_id",
    "langsmith.metadata.user_id",
    "langwatch.user.id",
    "mastra.metadata.userId",
    "mlflow.trace.user",
    // What an application told the model's API of its user.
    "gen_ai.request.user",
    "jwt.sub",
    "metadata.user_api_key_user_id",
    "user.name",
];
/// Whom a server knows by the token that was shown to it.
pub(super) const END_USER: &str = "enduser.id";
pub(super) const CREDENTIALS: &[&str] = &["credential.id", "surety.credential_id"];
/// The key with which a call to AWS was signed.
pub(super) const AWS_KEY: &str = "aws.auth.account.access_key";
/// Attributes that a span has of the spans around it where it has none itself.
pub(super) const LENT: &[&[&str]] =
    &[AGENTS, NAMES, MODELS, SESSIONS, PARENTS, USERS, CREDENTIALS, &[TOLD_OPERATION]];

pub(super) const ARGUMENTS: &[&str] = &[
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.arguments",
    // any-agent's and VeADK's.
    "gen_ai.tool.args",
    "gen_ai.tool.input",
    "mcp.tool.arguments",
    "tool_input",
    "tool_arguments",
    "tool_parameters",
    "ai.toolCall.args",
    "gcp.vertex.agent.tool_call_args",
    "lk.function_tool.arguments",
    "lk.pii.function_tool.arguments",
    "spring.ai.tool.call.arguments",
];
/// Of a tool its arguments, of anything else what people and models said.
pub(super) const INPUTS: &[&str] = &[
    "input.value",
    "traceloop.entity.input",
    "tool.parameters",
    "langfuse.observation.input",
    "mlflow.spanInputs",
    "lmnr.span.input",
    "agentops.entity.input",
    "agentops.tool.input",
    "langwatch.input",
    "braintrust.input_json",
];

/// Kinds of spans as other instrumentation has them.
pub(super) const KINDS: &[&str] = &[
    "traceloop.span.kind",
    "openinference.span.kind",
    "langfuse.observation.type",
    "mlflow.spanType",
    "langsmith.span.kind",
    "gen_ai.span.kind",
    "lmnr.span.type",
    "genkit:metadata:subtype",
    "spring.ai.kind",
    "agentops.span.kind",
    "langwatch.span.type",
    "braintrust.span_attributes.type",
];
/// `VoltAgent`'s: what a span is of, and what it is itself, if that is another thing.
pub(super) const ENTITY_KIND: &str = "entity.type";
pub(super) const PART_KIND: &str = "span.type";
/// Kinds of spans in which a tool is called, in small letters.
pub(super) const TOOL_KINDS: &[&str] = &["tool", "tool.v2", "tool_call"];

/// What a span tells of who called, if whoever was called wrote it: agentgateway, Docker's gateway of MCP
/// servers, `LiteLLM`.
pub(super) const CALLED: &[&str] = &[
    "src.addr",
    "src.identity",
    "mcp.target",
    "mcp.client.name",
    "metadata.user_api_key_hash",
    "metadata.user_api_key_alias",
];

pub(super) const PROVIDERS: &[&str] = &[
    "gen_ai.provider.name",
    "gen_ai.system",
    "llm.provider",
    "llm.system",
    "ai.model.provider",
    "llm.vendor",
];
/// Libraries that name themselves where a model's provider is wanted.
pub(super) const FRAMEWORKS: &[&str] = &[
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
    "spring_ai",
    "strands-agents",
];

/// GitHub Copilot calls a tool of an MCP server by a name of its own, and tells the server's own
/// beside it.
pub(super) const TOOLS: &[&str] = &[
    "github.copilot.tool.parameters.mcp_tool_name",
    "gen_ai.tool.name",
    "mcp.tool.name",
    "tool_name",
    "ai.toolCall.name",
    "lk.function_tool.name",
    "spring.ai.tool.definition.name",
];
/// What else has the name of a tool in a span of one.
pub(super) const TOOLS_OF_KIND: &[&str] =
    &["tool.name", "traceloop.entity.name", "gen_ai.serialized.name", "langsmith.trace.name"];

/// Who leaves the rest to another, and to whom.
pub(super) const HANDOFF_FROM: &str = "gen_ai.handoff.from_agent";
pub(super) const HANDOFF_TO: &str = "gen_ai.handoff.to_agent";
/// Where the other side of a call stands, and what it is.
pub(super) const OTHER_SIDES: &[(&str, &str)] = &[
    ("server.address", "host"),
    ("mcp.server.name", "mcp_server"),
    ("github.copilot.tool.parameters.mcp_server_name", "mcp_server"),
    ("github.copilot.tool.parameters.mcp_server_name_hash", "mcp_server"),
    ("peer.service", "service"),
    (HANDOFF_TO, "agent"),
];
