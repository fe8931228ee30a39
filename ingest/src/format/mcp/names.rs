//! The names under which gateways write each field, the most telling first.
//!
//! Invariant: a name stands here only if a gateway's documentation or its code gives it this meaning.
//!
//! Source: the documentation of agentgateway, Obot, Cloudflare, Kong, Azure API Management, `LiteLLM`,
//! `ToolHive`, mcp-gateway-registry, Golf, `ContextForge` and Yandex Cloud; their code where it is open.

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
];

/// Names of the program that calls.
pub(super) const PROGRAMS: &[&str] = &[
    "gen_ai.agent.id",
    "agent.id",
    "agent_id",
    "agent",
    "jwt.act.sub",
    "src.identity",
    "source.identity",
    "actor.id",
    "gen_ai.agent.name",
    "jwt.client_id",
    "jwt.azp",
    "client_id",
    "clientId",
    "principal",
    "principal.id",
    "caller",
    "consumer.username",
    "consumer.id",
    "ai.mcp.audit.consumer.name",
    // LiteLLM's name of the key that a program was given.
    "metadata.user_api_key_alias",
];

/// The actors of a token, the current one first. Source: RFC 8693, section 4.1.
pub(super) const ACTORS: &[&str] = &[
    "jwt.act.sub",
    "jwt.act.act.sub",
    "jwt.act.act.act.sub",
    "jwt.act.act.act.act.sub",
    "jwt.act.act.act.act.act.sub",
];

/// Names of the person behind it.
pub(super) const PEOPLE: &[&str] = &[
    "jwt.sub",
    "agentgateway.user",
    "UserEmail",
    "UserID",
    "user_email",
    "user_id",
    "user_key",
    "user.id",
    "user.sub",
    "subjects.user_id",
    "subjects.user",
    "metadata.user_api_key_user_id",
];

/// Names of either, if nothing tells which.
pub(super) const CALLERS: &[&str] = &[
    "user",
    "user.username",
    "user.email",
    "user.name",
    "username",
    "identity.username",
    "identity.principal_name",
    "identity.subject",
    "identity.app_id",
    "authentication.user_id",
    "authentication.subject_id",
    "ClientName",
    "client",
    "subjects.client_name",
    "mcp.client.name",
    "metadata.client.name",
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
];

/// Names of what was done, or of what others decided of it.
pub(super) const DEEDS: &[&str] = &["action", "event_type", "event", "operation_type", "log_type"];

/// Names of the method of another protocol.
pub(super) const OTHER_METHODS: &[&str] = &[
    "gen_ai.operation.name",
    "a2a.method",
    "http.method",
    "http.request.method",
    "method",
    "request.method",
    "target.method",
];

pub(super) const TOOLS: &[&str] = &[
    "gen_ai.tool.name",
    "mcp.tool.name",
    "ToolCallName",
    "params.name",
    "request.params.name",
    "action.name",
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
];

/// Kinds of what was used and its names, where a gateway has one name for things of every kind.
pub(super) const USED: &[(&str, &str)] = &[
    ("mcp.resource", "mcp.resource.name"),
    ("resource_type", "resource_name"),
    ("resource_type", "resource_id"),
    ("action.resource_type", "action.resource_id"),
    ("capability_type", "capability_name"),
    ("target.type", "target.name"),
];

pub(super) const SERVERS: &[&str] = &[
    "mcp.target",
    "mcp.server.name",
    "mcp.server",
    "ServerID",
    "target.id",
    "target",
    "server",
    "route",
    "ServerName",
    "server_name",
    "server.name",
    "server_id",
    "mcp_server",
    "mcp_server.name",
    "mcpServerDisplayName",
    "mcpID",
    "api_name",
    "mcp_tool_call_metadata.mcp_server_name",
    "metadata.mcp_tool_call_metadata.mcp_server_name",
    "metadata.serverName",
    "metadata.extra.backend_name",
    "service.name",
    "upstream",
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
    "action.arguments",
    "arguments",
    "input",
    "tool_input",
    "tool_args",
    "args",
    "parameters",
    "mcp_tool_call_metadata.arguments",
    "metadata.mcp_tool_call_metadata.arguments",
    "ai.mcp.rpc.payload.request.arguments",
    "ai.mcp.rpc.payload.request.params.arguments",
    "data.request.params.arguments",
];

/// Names of an HTTP status; the worst counts.
pub(super) const STATUSES: &[&str] = &[
    "http.status",
    "http.response.status_code",
    "responseStatus",
    "response.status",
    "response.status_code",
    "status",
    "status_code",
    "metadata.httpStatus",
    "metadata.error_information.error_code",
];

/// Names of words with which gateways say how a call ended.
pub(super) const OUTCOMES: &[&str] = &[
    "outcome.status",
    "Success",
    "outcome",
    "decision",
    "authorization.decision",
    "ai.mcp.audit.action",
    "action",
    "mcp_response.status",
    "status",
    "result",
    "verdict",
    "event",
];

/// Names of what says yes or no to a call.
pub(super) const ALLOWED: &[&str] =
    &["allowed", "decision", "authorized", "permitted", "authorization.authorized"];
pub(super) const BLOCKED: &[&str] = &["blocked", "security.blocked", "denied"];
pub(super) const FAILED: &[&str] =
    &["isError", "result.isError", "response.isError", "response.result.isError"];

pub(super) const ERRORS: &[&str] = &[
    "mcp.error.message",
    "error.message",
    "outcome.error",
    "outcome.reason",
    "Error",
    "error.type",
    "mcp.error.code",
    "error",
    "error_message",
    "mcp_error_code",
    "ErrorType",
    "response.error.message",
    "response.error.code",
    "ai.mcp.rpc.error.message",
    "ai.mcp.rpc.error",
    "mcp_response.error_message",
    "mcp_response.error_code",
    "metadata.error_information.error_message",
    "metadata.extra.jsonrpc_error_message",
    "failure_reason",
];

/// Names of what else says why.
pub(super) const REASONS: &[&str] =
    &["reason", "denied_reason", "http.status", "http.response.status_code", "response.status"];

pub(super) const SOURCES: &[&str] = &[
    "src.addr",
    "ClientIP",
    "details.network.clientIP",
    "client.address",
    "client.ip",
    "client_ip",
    "source_ip",
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
    "clientInfo.name",
    "client.name",
    "client",
];
