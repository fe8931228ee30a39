//! The names under which gateways write each field, the most telling first.
//!
//! Invariant: a name stands here only if a gateway's documentation or its code gives it this meaning, or if
//! it can have no other (`caller_id`).
//!
//! Source: the documentation of agentgateway, Obot, Cloudflare, Kong, Azure API Management, `LiteLLM`,
//! `ToolHive`, mcp-gateway-registry, Golf, `ContextForge`, Yandex Cloud, Pomerium, Peta, Tyk, Bifrost,
//! Archestra, MXCP, Aembit, Microsoft's Agent Governance Toolkit and Graph; their code where it is open.

pub(super) const TIMES: &[&str] = &[
    "timestamp.occurredAt",
    "Datetime",
    "time",
    "timestamp",
    "@timestamp",
    "ts",
    "timestamp.recordedAt",
    "TimeGenerated",
    "event_time",
    "logged_at",
    "created_at",
    "createdAt",
    "started_at",
    "startedAt",
    "startTime",
    "event.timestamp",
    "occurred_at",
    "hrTime",
    "at",
    "createdDateTime",
    "timestampMs",
    "meta.timestamp",
    "ts_unix_ms",
    "time_unix_nano",
];

/// Names of the program that calls.
pub(super) const PROGRAMS: &[&str] = &[
    "gen_ai.agent.id",
    "agent.id",
    "agent_id",
    "actor.agent_id",
    "agent_did",
    "agt.agent.id",
    "agent",
    "agent_identity",
    "agent.spiffe_id",
    "spiffe_id",
    "jwt.act.sub",
    // ToolHive's, of the same claim.
    "delegation_chain.actors.sub",
    "src.identity",
    "source.identity",
    "actor.id",
    "gen_ai.agent.name",
    "agent_name",
    "jwt.client_id",
    "jwt.azp",
    "client_id",
    "clientId",
    "mcp.client_id",
    "actor_client_id",
    "principal",
    "principal.id",
    "principal_id",
    "requesting_identity",
    "caller",
    "caller_id",
    "caller_agent_id",
    "caller.agent_id",
    "caller.id",
    "caller.sub",
    "principal.agent",
    "workload.client.id",
    "source_agent",
    "source_agent_id",
    "service_account_id",
    "service_account",
    "consumer.username",
    "consumer.id",
    "consumer",
    "consumer_id",
    "ai.mcp.audit.consumer.name",
    // LiteLLM's name of the key that a program was given.
    "metadata.user_api_key_alias",
    // Bifrost's.
    "virtual_key_name",
    "virtual_key_id",
    "virtual_key",
    "api_key_name",
    "api_key_alias",
    // Those of home-grown gateways, which may be a program's or a person's, and stand beside a person's.
    "actor_id",
    "actor",
    "actor_name",
    "actor.name",
];

/// The actors of a token, the current one first (RFC 8693, section 4.1), who started an agent, and whom a
/// gateway calls the actor where it names a program besides.
pub(super) const ACTORS: &[&str] = &[
    "jwt.act.sub",
    "jwt.act.act.sub",
    "jwt.act.act.act.sub",
    "jwt.act.act.act.act.sub",
    "jwt.act.act.act.act.act.sub",
    "parent_agent_id",
    "actor_id",
    "actor",
];

/// Names of the person behind it.
pub(super) const PEOPLE: &[&str] = &[
    "jwt.sub",
    "agentgateway.user",
    "sub",
    "UserEmail",
    "UserID",
    "user_email",
    "user_id",
    "user_principal_name",
    "user_key",
    "actor_user_id",
    "actor.user_id",
    "actor.user_context",
    "actor_email",
    "actor.email",
    "user.id",
    "user.sub",
    "subjects.user_id",
    "subjects.user",
    "subject.subject_id",
    "subject_id",
    "metadata.user_api_key_user_id",
    "application.mcp.userId",
];

/// Names of either, if nothing tells which.
pub(super) const CALLERS: &[&str] = &[
    "user",
    "user.username",
    "user.email",
    "user.name",
    "username",
    "email",
    "identity.username",
    "identity.principal_name",
    "identity.subject",
    "identity.sub",
    "context.identity.sub",
    "identity.app_id",
    "authentication.user_id",
    "authentication.subject_id",
    "ClientName",
    "client",
    "subjects.client_name",
    "mcp.client.name",
    "metadata.client.name",
    "clientInfo.name",
    "mcpClientName",
    "subject.id",
    "subject.email",
    "identity",
    "requester",
    "initiator",
    "principal_subject_id",
    "api_key_id",
];

/// Names of whoever an agent acts for.
pub(super) const BEHIND: &[&str] = &[
    "on_behalf_of",
    "on_behalf_of.id",
    "on_behalf_of.sub",
    "actor.on_behalf_of",
    "actor.onBehalfOf.id",
    "principal.human",
];

/// Names of a customer's customer, for whom a call is made.
pub(super) const END_USERS: &[&str] = &["end_user", "metadata.user_api_key_end_user_id"];

pub(super) const SESSIONS: &[&str] = &[
    "mcp.session.id",
    "SessionID",
    "session.id",
    "sessionId",
    "details.trace.sessionID",
    "session_id",
    "mcp_session_id",
    "ai.mcp.mcp_session_id",
    "rq.headers.all.mcp-session-id",
    "mcp_request.mcp_session_id",
    "mcp_tool_call_metadata.mcp_session_id",
    "metadata.mcp_tool_call_metadata.mcp_session_id",
    "metadata.sessionId",
    "agent.session_id",
    "conversation.id",
    // Cursor's.
    "conversation_id",
    "session",
];

pub(super) const MODELS: &[&str] = &[
    "gen_ai.request.model",
    "gen_ai.response.model",
    "genAi.requestModel",
    "model",
    "model_group",
    "model_id",
];

pub(super) const METHODS: &[&str] = &[
    "mcp.method.name",
    "mcp.method",
    "ai.mcp.rpc.method",
    "Method",
    "method",
    "action.operation",
    "mcp_method",
    "mcp_request.method",
    "callType",
    "target.method",
    "request.method",
    "call_type",
    // Of Microsoft's insights into generative AI.
    "subactivity",
];

/// Names of what was done, or of what others decided of it.
pub(super) const DEEDS: &[&str] = &[
    "action",
    "agt.audit.action",
    "event_type",
    "event",
    "operation_type",
    "log_type",
    "meta.event_type",
];

/// Words of which names are made that say of a tool no more than that it was used, or how far that got.
pub(super) const OF_USES: &[&str] = &[
    "access",
    "audit",
    "authorization",
    "call",
    "called",
    "check",
    "completed",
    "decision",
    "ended",
    "error",
    "event",
    "executed",
    "execution",
    "finished",
    "invocation",
    "invoked",
    "mcp",
    "payment",
    "permission",
    "policy",
    "request",
    "required",
    "response",
    "result",
    "started",
    "tool",
    "usage",
    "use",
    "used",
];

/// Words for a change that ends the name of an event about what was changed, not about who did it: that one
/// stands under the same word, as `created_by` beside `agent_created`.
pub(super) const CHANGES: &[&str] = &[
    "created",
    "deleted",
    "disabled",
    "enabled",
    "issued",
    "registered",
    "removed",
    "revoked",
    "rotated",
    "suspended",
    "updated",
];

/// Objects in which a record may have what it tells, beside its time.
pub(super) const PARTICULARS: &[&str] =
    &["payload", "data", "details", "violation", "attributes", "mcp", "fields"];

/// Names of what a method of the protocol was asked for, where they stand beside it: elsewhere they say
/// other things.
pub(super) const ASKED: &[&str] = &["operation_name", "resource"];

/// Names of the method of another protocol.
pub(super) const OTHER_METHODS: &[&str] = &[
    "gen_ai.operation.name",
    "genAi.operationName",
    "a2a.method",
    "http.method",
    "http.request.method",
    "method",
    "request.method",
    "target.method",
];

pub(super) const TOOLS: &[&str] = &[
    // Claude Code's, where `tool_name` says no more than that it is one of a server.
    "tool_parameters.mcp_tool_name",
    "gen_ai.tool.name",
    "mcp.tool.name",
    "mcp.tool",
    "ToolCallName",
    "params.name",
    "request.params.name",
    "action.name",
    "action.tool_name",
    "mcp_primitive_name",
    "ToolName",
    "tool_name",
    "mcp_tool_name",
    "tool",
    "tool.name",
    "ai.mcp.rpc.tool_name",
    "ai.mcp.audit.primitive_name",
    "callIdentifier",
    "mcp_request.tool_name",
    "mcp_tool_call_metadata.name",
    "metadata.mcp_tool_call_metadata.name",
    "context.tool_name",
    "details.tool_name",
    "data.tool_name",
    "inputs.tool",
    "mcp_tool",
    "toolCall.name",
    "requestParams.name",
    "function_name",
    "tool_action",
];

/// Names of a resource that is read and of a prompt that is asked for.
pub(super) const RESOURCES: &[&str] =
    &["mcp.resource.uri", "ResourceReadURI", "params.uri", "request.params.uri"];
pub(super) const PROMPTS: &[&str] = &["PromptGetName", "mcp.prompt.name", "gen_ai.prompt.name"];

/// Kinds of what was used and its names, where a gateway has one name for things of every kind.
pub(super) const USED: &[(&str, &str)] = &[
    ("mcp.resource", "mcp.resource.name"),
    ("resource_type", "resource_name"),
    ("resource_type", "resource_id"),
    ("action.resource_type", "action.resource_id"),
    ("capability_type", "capability_name"),
    ("target.type", "target.name"),
    ("target_type", "target"),
    ("resource.type", "resource.id"),
    ("input.resource.type", "input.resource.key"),
    // MXCP's.
    ("operation_type", "operation_name"),
];

pub(super) const SERVERS: &[&str] = &[
    "mcp.target",
    "mcp.server.name",
    "mcp.server",
    "ServerID",
    "target.id",
    "server",
    "route",
    "ServerName",
    "server_name",
    "server.name",
    "server_id",
    "mcp_server",
    "mcp_server.name",
    "mcpServerDisplayName",
    "mcpServerName",
    "tool_parameters.mcp_server_name",
    "server_label",
    "backend_id",
    "mcpID",
    "api_name",
    "mcp_tool_call_metadata.mcp_server_name",
    "metadata.mcp_tool_call_metadata.mcp_server_name",
    "metadata.serverName",
    "metadata.extra.backend_name",
    "service.name",
    "resource.server",
    "action.server_name",
    "workload.server.name",
];

pub(super) const ARGUMENTS: &[&str] = &[
    "gen_ai.tool.call.arguments",
    "mcp.tool.arguments",
    "ToolCallArguments",
    "params.arguments",
    "request.params.arguments",
    "requestBody.arguments",
    "requestBody.params.arguments",
    "details.arguments",
    "data.arguments",
    "inputs.parameters",
    "action.arguments",
    "arguments",
    "input",
    "input_data",
    "tool_input",
    "tool_args",
    "args",
    "parameters",
    "mcp_tool_parameters",
    "tool_parameters",
    "function_args",
    "toolCall.arguments",
    "requestParams.arguments",
    "mcp_tool_call_metadata.arguments",
    "metadata.mcp_tool_call_metadata.arguments",
    "ai.mcp.rpc.payload.request.arguments",
    "ai.mcp.rpc.payload.request.params.arguments",
    "data.request.params.arguments",
];

/// Names of the path of a request that is none of the protocol.
pub(super) const PATHS: &[&str] =
    &["http.path", "url.path", "path", "request.path", "request.uri", "http.target"];

/// Names of an HTTP status; the worst counts.
pub(super) const STATUSES: &[&str] = &[
    "http.status",
    "http.response.status_code",
    "responseStatus",
    "response.status",
    "response.status_code",
    "status",
    "status_code",
    "status.code",
    "http_status",
    "application.mcp.httpResponseCode",
    "metadata.httpStatus",
    "metadata.error_information.error_code",
    "error_information.error_code",
    "error.code",
];

pub(super) const SOURCES: &[&str] = &[
    "src.addr",
    "ClientIP",
    "details.network.clientIP",
    "client.address",
    "client.ip",
    "client_ip",
    "source_ip",
    "source.ip",
    "ip_address",
    "remote_addr",
    "callerIpAddress",
    "request.client_ip",
    "requester_ip_address",
    "metadata.requester_ip_address",
    "metadata.clientIp",
    "request_metadata.remote_address",
    "source.value",
    "remote",
    "ip",
    "http.clientIp",
    "context.client_ip",
    "context.ip_address",
    "network.clientWorkloadIP",
];

pub(super) const USER_AGENTS: &[&str] = &[
    "user_agent",
    "http.user_agent",
    "user_agent.original",
    "client.userAgent",
    "rq.headers.all.user-agent",
    "request.headers.user-agent",
    "request.user_agent",
    "request_metadata.user_agent",
    "source.extra.user_agent",
    "metadata.userAgent",
    "userAgent",
    "context.user_agent",
    "ua",
    "clientInfo.name",
    "client.name",
    "mcpClientName",
    "client",
];
