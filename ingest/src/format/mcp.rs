//! Logs of gateways of the Model Context Protocol: agentgateway, Obot and Cloudflare's MCP portal.
//!
//! Invariant: one reader for all shapes: each field is looked for under every gateway's name for it.
//! Amount and counterparty are read from the tool's arguments and from nowhere else.
//!
//! Source: agentgateway, *Observability* (log fields); Obot, audit events (July 2026); Cloudflare,
//! *Logpush datasets: MCP portal logs*; MCP specification, *tools/call*.

use schemas::{CredentialKind, Outcome};

use super::draft::{Draft, Needs, Word, address_of};
use super::json::Json;
use super::{Fault, verdict};

pub(super) const NEEDS: Needs = Needs {
    agent: "src.identity, jwt.sub, actor.id or UserID",
    action: "mcp.method.name",
    time: "time",
};
const TIMES: &[&str] = &[
    "timestamp.occurredAt",
    "Datetime",
    "time",
    "timestamp",
    "@timestamp",
    "ts",
    "timestamp.recordedAt",
    "TimeGenerated",
    "event_time",
    "created_at",
    "createdAt",
    "started_at",
    "startedAt",
    "startTime",
];

const UNAUTHENTICATED: &str = "mcp:unauthenticated";

/// Names of the program that calls, the most telling first.
const PROGRAMS: &[&str] = &[
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
];
/// The actors of a token, the current one first. Source: RFC 8693, section 4.1.
const ACTORS: &[&str] = &[
    "jwt.act.sub",
    "jwt.act.act.sub",
    "jwt.act.act.act.sub",
    "jwt.act.act.act.act.sub",
    "jwt.act.act.act.act.act.sub",
];
/// Names of the person behind it.
const PEOPLE: &[&str] =
    &["jwt.sub", "agentgateway.user", "UserEmail", "UserID", "user_email", "user_id", "user.id"];
/// Names of either, if nothing tells which.
const CALLERS: &[&str] = &[
    "user",
    "username",
    "ClientName",
    "metadata.user_api_key_user_id",
    "metadata.user_api_key_alias",
    "client",
];
const SESSIONS: &[&str] = &[
    "mcp.session.id",
    "SessionID",
    "session.id",
    "sessionId",
    "details.trace.sessionID",
    "session_id",
    "mcp_session_id",
    "ai.mcp.mcp_session_id",
    "rq.headers.all.mcp-session-id",
];
const METHODS: &[&str] = &[
    "mcp.method.name",
    "mcp.method",
    "ai.mcp.rpc.method",
    "Method",
    "method",
    "action.operation",
    "mcp_method",
    "callType",
    "request.method",
    "call_type",
];
/// Names of the method of another protocol.
const OTHER_METHODS: &[&str] =
    &["gen_ai.operation.name", "a2a.method", "http.method", "http.request.method"];
const TOOLS: &[&str] = &[
    "gen_ai.tool.name",
    "mcp.tool.name",
    "ToolCallName",
    "params.name",
    "request.params.name",
    "action.name",
    "mcp_primitive_name",
    "ToolName",
    "tool_name",
    "tool",
    "tool.name",
    "ai.mcp.rpc.tool_name",
    "ai.mcp.audit.primitive_name",
    "callIdentifier",
    "mcp_tool_call_metadata.name",
];
const SERVERS: &[&str] = &[
    "mcp.target",
    "mcp.server.name",
    "mcp.server",
    "ServerID",
    "target.id",
    "target.name",
    "target",
    "server",
    "route",
    "ServerName",
    "server_name",
    "server.name",
    "server_id",
    "mcp_server",
    "mcpServerDisplayName",
    "mcpID",
    "api_name",
    "mcp_tool_call_metadata.mcp_server_name",
    "service.name",
];
const ARGUMENTS: &[&str] = &[
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
];
const STATUSES: &[&str] = &["http.status", "http.response.status_code", "responseStatus", "status"];
/// Words with which gateways say how a call ended, the most telling first.
const OUTCOMES: &[&str] = &[
    "outcome.status",
    "Success",
    "outcome",
    "decision",
    "ai.mcp.audit.action",
    "action",
    "status",
    "result",
    "verdict",
];

pub(super) fn draft<'a>(record: &'a Json<'_>) -> Result<Draft<'a>, Fault> {
    let mut draft = Draft::new(NEEDS, record, TIMES)?;
    let ids = ["id", "eventId", "details.trace.idempotencyKey", "span.id"];
    draft.event_id = record.first(&ids).map(Into::into);
    let sources = [
        "src.addr",
        "ClientIP",
        "details.network.clientIP",
        "client.address",
        "client.ip",
        "client_ip",
        "source_ip",
        "ip_address",
        "remote_addr",
    ];
    draft.source = record.first(&sources).map(Into::into);
    let programs = [
        "user_agent",
        "http.user_agent",
        "user_agent.original",
        "client.userAgent",
        "rq.headers.all.user-agent",
        "userAgent",
        "clientInfo.name",
        "client.name",
        "client",
    ];
    draft.user_agent = record.first(&programs).map(Into::into);
    let models = ["gen_ai.request.model", "gen_ai.response.model", "model_id", "model"];
    draft.model = record.first(&models).map(Into::into);
    draft.task = record.first(&["a2a.context.id", "details.trace.toolUseID"]).map(Into::into);
    let session = record.first(SESSIONS);
    draft.session = session.map(Into::into);
    draft.agent = match (agent(record), session) {
        (Some(agent), _) => Some(agent.into()),
        // A portal without sign-in knows its client by nothing but the session.
        (None, session) => session.map(|session| format!("session:{session}").into()),
    };
    draft.class = class(record);
    let is_refused = STATUSES.iter().any(|path| record.text(path) == Some("401"));
    if draft.agent.is_none() && is_refused {
        // Whoever showed nothing that the gateway knows is nobody yet.
        draft.agent = Some(UNAUTHENTICATED.into());
        draft.class = Some(UNAUTHENTICATED.into());
    }
    // The actor, who asked it to act, and so on, to the subject: the draft leaves out the agent itself.
    let actors = ACTORS.iter().filter_map(|path| record.text(path));
    draft.delegation.extend(actors.map(Into::into));
    let person = record.first(PEOPLE).or_else(|| record.text("actor.onBehalfOf.id"));
    draft.delegation.extend(person.map(Into::into));
    let agent = draft.agent.clone();
    draft.credential = credential(record).or_else(|| match agent.as_deref()? {
        UNAUTHENTICATED => {
            let from = draft.source.as_deref().and_then(address_of);
            let from = from.map_or_else(|| "unknown".to_owned(), |address| address.to_string());
            Some((CredentialKind::Anonymous, format!("anonymous:{from}").into()))
        }
        agent => by_method(record, agent),
    });
    target(record, &mut draft);
    (draft.outcome, draft.outcome_reason) = outcome(record);
    keep(record, &mut draft);
    Ok(draft)
}

/// Who calls: the program, else the person who uses it.
fn agent<'a>(record: &'a Json<'_>) -> Option<&'a str> {
    [PROGRAMS, PEOPLE, CALLERS].iter().find_map(|names| record.first(names))
}

fn class<'a>(record: &'a Json<'_>) -> Option<Word<'a>> {
    if let Some(name) =
        record.first(&["gen_ai.agent.name", "agentgateway.group", "jwt.client_id", "jwt.azp"])
    {
        return Some(name.into());
    }
    match record.text("actor.actorType") {
        Some(kind) => Some(format!("mcp:{}", super::kebab(kind)).into()),
        None if agent(record).is_none() => Some("mcp:session".into()),
        None => None,
    }
}

/// A token by its id; without one, the gateway still knows for whom it was made.
fn credential<'a>(record: &'a Json<'_>) -> Option<(CredentialKind, Word<'a>)> {
    if let Some(id) = record.first(&[
        "jwt.jti",
        "credential.id",
        "actor.credentialID",
        "actor.tokenID",
        "token_id",
    ]) {
        return Some((CredentialKind::AccessToken, id.into()));
    }
    let keys = [
        "api_key.id",
        "apiKey.id",
        "actor.apiKeyID",
        "api_key_id",
        "key_id",
        "metadata.user_api_key_hash",
    ];
    if let Some(id) = record.first(&keys) {
        return Some((CredentialKind::StaticKey, id.into()));
    }
    if let Some(subject) = record.text("jwt.sub") {
        let issuer = record.text("jwt.iss").map_or(String::new(), |issuer| format!("{issuer}:"));
        return Some((CredentialKind::AccessToken, format!("jwt:{issuer}{subject}").into()));
    }
    let identity = record.text("src.identity")?;
    // A workload's identity is a SPIFFE certificate.
    Some((CredentialKind::Certificate, format!("certificate:{identity}").into()))
}

/// How the client showed who it is, where a gateway tells no more of it.
fn by_method<'a>(record: &Json<'_>, agent: &str) -> Option<(CredentialKind, Word<'a>)> {
    let method =
        record.first(&["AuthenticationMethod", "auth_method", "auth.method", "auth_type"])?;
    let method = method.to_ascii_lowercase().replace(['_', '-', ' '], "");
    let kind = match method.as_str() {
        "oauth" | "oauth2" | "oidc" | "jwt" | "bearer" => CredentialKind::AccessToken,
        "apikey" => CredentialKind::StaticKey,
        "cert" | "certificate" | "mtls" => CredentialKind::Certificate,
        "basic" | "password" => CredentialKind::Password,
        _ => return None,
    };
    Some((kind, format!("{method}:{agent}").into()))
}

/// `server:tool` of a call, `server:method` of anything else.
fn target<'a>(record: &'a Json<'_>, draft: &mut Draft<'a>) {
    let method = record.first(METHODS);
    // An older log has the name of what was used under one name, and what it is under another.
    let used = record.first(&["mcp.resource.name", "resource_name", "resource_id"]);
    let is_tool = record.first(&["mcp.resource", "resource_type"]) == Some("tool");
    let used = used.filter(|_| is_tool);
    let (tool, server) = (record.first(TOOLS).or(used), record.first(SERVERS));
    // What some call the action is what others decided of it.
    let method = method.or_else(|| {
        record.first(&["action", "event_type", "event"]).filter(|word| ended(word).is_none())
    });
    let calls = ["call", "execute", "invoke", "invocation"];
    let is_call = tool.is_some()
        && method.is_none_or(|method| calls.iter().any(|call| method.contains(call)));
    let done = if is_call { tool } else { method.or(tool) };
    // What a gateway lets through beside the protocol, or refuses before it.
    let done = done.or_else(|| record.first(OTHER_METHODS));
    draft.action = match (server, done) {
        (Some(server), Some(done)) => Some(format!("{server}:{done}").into()),
        (None, Some(done)) => Some(done.into()),
        (_, None) => None,
    };
    let read = record.first(&["mcp.resource.uri", "ResourceReadURI", "params.uri"]);
    let asked = record.first(&["PromptGetName", "mcp.prompt.name"]);
    let named =
        [(read, "mcp_resource"), (tool, "mcp_tool"), (asked, "mcp_prompt"), (server, "mcp_server")];
    draft.reach(named);
    draft.counterparty = server.map(|server| ("mcp_server".into(), server.into()));
    let Some(arguments) = ARGUMENTS.iter().find_map(|path| record.at(path)) else { return };
    draft.stake(arguments);
}

fn outcome<'a>(record: &'a Json<'_>) -> (Outcome, Option<Word<'a>>) {
    let errors = [
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
    ];
    let error = record.first(&errors);
    let by_status = record.first(STATUSES);
    let by_status = by_status.and_then(verdict::of_http);
    let told = OUTCOMES.iter().find_map(|path| ended(record.text(path)?));
    let failures = ["isError", "result.isError", "response.isError", "response.result.isError"];
    let has_failed = failures.iter().any(|path| record.is_true(path));
    let outcome = match (by_status, told) {
        _ if record.is_false("allowed") => Outcome::Denied,
        (Some(outcome @ (Outcome::Denied | Outcome::Error)), _) => outcome,
        (_, Some(Outcome::Denied)) => Outcome::Denied,
        (_, Some(Outcome::Error)) => verdict::of_error(error.unwrap_or_default()),
        (_, None) if error.is_some() || has_failed => verdict::of_error(error.unwrap_or_default()),
        (_, Some(Outcome::Success) | None) => return (Outcome::Success, None),
    };
    let others = ["reason", "denied_reason", "http.status", "http.response.status_code"];
    (outcome, error.or_else(|| record.first(&others)).map(Into::into))
}

/// The end that a word tells; a text of several words is an answer, and tells nothing.
fn ended(word: &str) -> Option<Outcome> {
    match word.to_ascii_lowercase().as_str() {
        "success" | "ok" | "true" | "allow" | "allowed" | "succeeded" | "completed" | "permit" => {
            Some(Outcome::Success)
        }
        "error" | "errored" | "fail" | "failed" | "failure" | "false" | "timeout" | "timed_out"
        | "cancelled" | "canceled" => Some(Outcome::Error),
        word if word.contains(' ') => None,
        word => Some(verdict::of_error(word)).filter(|outcome| *outcome == Outcome::Denied),
    }
}

fn keep<'a>(record: &'a Json<'_>, draft: &mut Draft<'a>) {
    draft.keep_each(
        record,
        &[
            ("action_kind", "action.kind"),
            ("client_country", "ClientCountry"),
            ("duration", "duration"),
            ("duration_ms", "outcome.durationMs"),
            ("error_code", "mcp.error.code"),
            ("gateway", "gateway"),
            ("group", "agentgateway.group"),
            ("http_status", "http.status"),
            ("idempotency_key", "details.trace.idempotencyKey"),
            ("jwt_issuer", "jwt.iss"),
            ("mcp_method", "mcp.method.name"),
            ("portal_id", "PortalID"),
            ("server_url", "ServerURL"),
            ("span_id", "span.id"),
            ("target_kind", "target.type"),
            ("trace_id", "trace.id"),
        ],
    );
}
