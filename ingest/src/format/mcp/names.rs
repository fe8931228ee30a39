//! The names under which gateways write each field, the most telling first.
//!
//! Invariant: a name stands here only if a gateway's documentation or its code gives it this meaning, or if
//! it can have no other (`tool_name`).
//!
//! Source: the documentation of agentgateway, Obot, Cloudflare, Kong, Azure API Management, `LiteLLM`,
//! `ToolHive`, mcp-gateway-registry, Golf, `ContextForge`, Yandex Cloud, Pomerium, Peta, Tyk, Bifrost,
//! Archestra, MXCP, Aembit, Microsoft's Agent Governance Toolkit and Graph, Kuadrant, Envoy AI Gateway,
//! `MCPProxy`, Portkey, Oracle Cloud; their code where it is open.

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
    // Of log15, and of a record that says no more than when it was changed.
    "t",
    "updated_at",
];

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
    "context.session_id",
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
    "mcp_rpc_method",
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

/// Objects in which a record may have what it tells, beside its time.
pub(super) const PARTICULARS: &[&str] =
    &["payload", "data", "details", "violation", "attributes", "mcp", "fields", "meta"];

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
    "request.tool",
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
    "metadata.target_tool",
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
    ("target_type", "target_name"),
    ("target_type", "target_id"),
    ("resource.type", "resource.id"),
    ("resource.type", "resource.name"),
    ("input.resource.type", "input.resource.key"),
    // MXCP's.
    ("operation_type", "operation_name"),
    // LiteLLM's, of its own audit log.
    ("table_name", "object_id"),
];

pub(super) const SERVERS: &[&str] = &[
    "mcp.target",
    "mcp.server.name",
    "mcp.server",
    "mcp.provider.name",
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
    "metadata.target_server",
    "service.name",
    "resource.server",
    "resource.serverId",
    "action.server_name",
    "tool.server",
    "tool.server_name",
    "target.server",
    "mcp_server_id",
    "target_server",
    "upstream_server",
    "workload.server.name",
    "ai.mcp.mcp_server_id",
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
    "tool.arguments",
    "tool.args",
    "args",
    "parameters",
    "mcp_tool_parameters",
    "mcp_tool_params",
    "tool_parameters",
    "function_args",
    "toolCall.arguments",
    "requestParams.arguments",
    "request.arguments",
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
    "context.ip",
    "request.ip",
    "remote_ip",
    // Envoy's.
    "downstream_remote_address",
    "source_ip_address",
    "context.ip_address",
    "network.clientWorkloadIP",
    "identity.ipAddress",
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
