//! Logs of gateways of the Model Context Protocol: agentgateway, Obot, Cloudflare's MCP portal, Kong,
//! `LiteLLM`, `ToolHive` and others.
//!
//! Invariant: one reader for all shapes: each field is looked for under every gateway's name for it.
//! Amount and counterparty are read from the tool's arguments and from nowhere else. One call is one
//! event, see [`calls`].
//!
//! Source: agentgateway, *Observability* (log fields); Obot, audit events (July 2026); Cloudflare,
//! *Logpush datasets: MCP portal logs*; MCP specification, *tools/call*.

pub(super) mod calls;
mod names;

use schemas::{CredentialEvent, CredentialKind, Outcome, RejectReason};

use self::names::{
    ACTORS, ALLOWED, ARGUMENTS, BLOCKED, CALLERS, DEEDS, END_USERS, ERRORS, FAILED, METHODS,
    OTHER_METHODS, OUTCOMES, PEOPLE, PROGRAMS, REASONS, SERVERS, SESSIONS, SOURCES, STATUSES,
    TIMES, TOOLS, USED, USER_AGENTS,
};
use super::clean::Clean;
use super::draft::{Draft, Needs, Word, address_of};
use super::json::{Json, is_same_name};
use super::{Fault, verdict};

pub(super) const NEEDS: Needs = Needs {
    agent: "src.identity, jwt.sub, actor.id or UserID",
    action: "mcp.method.name",
    time: "time",
};

const UNAUTHENTICATED: &str = "mcp:unauthenticated";
/// What gateways call whoever showed nothing.
const NOBODY: &str = "anonymous";

pub(super) fn read(record: &Json<'_>, clean: &Clean<'_>) -> Result<CredentialEvent, Fault> {
    if calls::are_several(record) {
        return Err(Fault::new(RejectReason::SeveralRecords, "wanted one call, found several"));
    }
    match lifted(record).or_else(|| calls::decided(record)) {
        Some(record) => draft(&record)?.finish(clean),
        None => draft(record)?.finish(clean),
    }
}

/// A record of Azure's diagnostic settings, which have what the gateway tells in `properties`, with that
/// beside the rest.
fn lifted<'j>(record: &Json<'j>) -> Option<Json<'j>> {
    let told = record.field("category").and(record.field("properties"))?.fields();
    let others = record.fields().iter();
    let others = others.filter(|(name, _)| !told.iter().any(|(own, _)| is_same_name(name, own)));
    Some(Json::Object(told.iter().chain(others).cloned().collect())).filter(|_| !told.is_empty())
}

fn draft<'a>(record: &'a Json<'_>) -> Result<Draft<'a>, Fault> {
    let mut draft = Draft::new(NEEDS, record, TIMES)?;
    // Beside a request of JSON-RPC its id may be repeated, which is that of no event.
    let own = record.text("id").filter(|id| record.text("request.id") != Some(id));
    let ids = ["audit_id", "eventId", "details.trace.idempotencyKey", "span.id"];
    draft.event_id = own.or_else(|| record.first(&ids)).map(Into::into);
    draft.source = record.first(SOURCES).map(Into::into);
    draft.user_agent = record.first(USER_AGENTS).map(Into::into);
    let models = ["gen_ai.request.model", "gen_ai.response.model", "model_id", "model"];
    // LiteLLM writes the tool in the place of a model.
    let model = record.first(&models).filter(|model| !model.starts_with("MCP: "));
    draft.model = model.map(Into::into);
    draft.task = record.first(&["a2a.context.id", "details.trace.toolUseID"]).map(Into::into);
    let session = record.first(SESSIONS);
    draft.session = session.map(Into::into);
    (draft.agent, draft.class) = match (agent(record), session) {
        (None, Some(session)) => of_session(session),
        (agent, _) => (agent.map(Into::into), None),
    };
    draft.class = class(record).or(draft.class);
    if draft.agent.is_none() && is_of_nobody(record) {
        draft.agent = Some(UNAUTHENTICATED.into());
        draft.class = Some(UNAUTHENTICATED.into());
    }
    // The actor, who asked it to act, and so on, to the subject: the draft leaves out the agent itself.
    let actors = ACTORS.iter().filter_map(|path| record.text(path));
    draft.delegation.extend(actors.map(Into::into));
    let person = named(record, PEOPLE).or_else(|| record.text("actor.onBehalfOf.id"));
    draft.delegation.extend(person.map(Into::into));
    draft.delegation.extend(named(record, END_USERS).map(Into::into));
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
pub(super) fn agent<'a>(record: &'a Json<'_>) -> Option<&'a str> {
    [PROGRAMS, PEOPLE, CALLERS].iter().find_map(|names| named(record, names))
}

/// The first of these names that is somebody's.
fn named<'a>(record: &'a Json<'_>, names: &[&str]) -> Option<&'a str> {
    names.iter().filter_map(|path| record.text(path)).find(|name| *name != NOBODY)
}

/// Whether the gateway says that whoever called showed nothing that it knows.
fn is_of_nobody(record: &Json<'_>) -> bool {
    let has = |names: &[&str], text| names.iter().any(|path| record.text(path) == Some(text));
    has(STATUSES, "401") || has(PEOPLE, NOBODY) || has(CALLERS, NOBODY)
}

fn class<'a>(record: &'a Json<'_>) -> Option<Word<'a>> {
    if let Some(name) =
        record.first(&["gen_ai.agent.name", "agentgateway.group", "jwt.client_id", "jwt.azp"])
    {
        return Some(name.into());
    }
    let kind = record.text("actor.actorType")?;
    Some(format!("mcp:{}", super::kebab(kind)).into())
}

/// Agent and class of a client that is known by nothing but its session, as of a portal without sign-in.
pub(super) fn of_session<'a>(session: &str) -> (Option<Word<'a>>, Option<Word<'a>>) {
    (Some(format!("session:{session}").into()), Some("mcp:session".into()))
}

/// A token by its id; without one, the gateway still knows for whom it was made.
pub(super) fn credential<'a>(record: &'a Json<'_>) -> Option<(CredentialKind, Word<'a>)> {
    let tokens = [
        "jwt.jti",
        "credential.id",
        "actor.credentialID",
        "actor.tokenID",
        "authentication.iam_token_info.iam_token_id",
    ];
    let used = || record.text("token_id").filter(|_| !is_issue(record));
    if let Some(id) = record.first(&tokens).or_else(used) {
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
    // LiteLLM's hash of a key, which another gateway may have as it is.
    let hash = || record.text("api_key").filter(|hash| is_sha256(hash));
    if let Some(id) = record.first(&keys).or_else(hash) {
        return Some((CredentialKind::StaticKey, id.into()));
    }
    if let Some(id) = record.text("authenticated_entity.id") {
        // Of whatever kind Kong's plugins know; a header tells of a key.
        let headers = ["apikey", "api-key", "x-api-key"];
        let sent = record.at("request.headers");
        let is_key = sent.is_some_and(|sent| headers.iter().any(|name| sent.has(name)));
        let kind = if is_key { CredentialKind::StaticKey } else { CredentialKind::Unknown };
        return Some((kind, id.into()));
    }
    if let Some(subject) = record.text("jwt.sub") {
        let issuer = record.text("jwt.iss").map_or(String::new(), |issuer| format!("{issuer}:"));
        return Some((CredentialKind::AccessToken, format!("jwt:{issuer}{subject}").into()));
    }
    let identity = record.text("src.identity")?;
    // A workload's identity is a SPIFFE certificate.
    Some((CredentialKind::Certificate, format!("certificate:{identity}").into()))
}

/// Whether a token was made, so that its id is that of no token that was shown.
fn is_issue(record: &Json<'_>) -> bool {
    let deed = record.first(DEEDS).unwrap_or_default().to_ascii_lowercase();
    deed.contains("token") && ["issue", "mint"].iter().any(|word| deed.contains(word))
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// How the client showed who it is, where a gateway tells no more of it.
fn by_method<'a>(record: &Json<'_>, agent: &str) -> Option<(CredentialKind, Word<'a>)> {
    let methods = [
        "AuthenticationMethod",
        "auth_method",
        "auth.method",
        "auth_type",
        "identity.credential_type",
        "identity.auth_method",
        "authentication.method",
    ];
    let method = record.first(&methods)?.to_ascii_lowercase().replace(['_', '-', ' '], "");
    let kind = match method.as_str() {
        "oauth" | "oauth2" | "oidc" | "jwt" | "jwtbearer" | "bearer" | "bearertoken" => {
            CredentialKind::AccessToken
        }
        "apikey" => CredentialKind::StaticKey,
        "cert" | "certificate" | "mtls" => CredentialKind::Certificate,
        "basic" | "password" => CredentialKind::Password,
        "session" | "sessioncookie" => CredentialKind::Session,
        _ => return None,
    };
    Some((kind, format!("{method}:{agent}").into()))
}

/// `server:tool` of a call, `server:method` of anything else.
fn target<'a>(record: &'a Json<'_>, draft: &mut Draft<'a>) {
    let (used_kind, used) = used(record).unzip();
    // LiteLLM's tool with its server in front.
    let spaced = record.text("mcp_namespaced_tool_name").and_then(|name| name.split_once('/'));
    let tool = record.first(TOOLS).or(spaced.map(|(_, tool)| tool));
    let tool = tool.or(used.filter(|_| used_kind == Some("tool")));
    let server = record.first(SERVERS).or(spaced.map(|(server, _)| server));
    let server = server.or_else(|| own_server(record));
    let mut methods = METHODS.iter().filter_map(|path| record.text(path));
    let method = methods.find(|method| !is_http_verb(method));
    // What some call the action is what others decided of it.
    let mut deeds = DEEDS.iter().filter_map(|path| record.text(path));
    let method = method.or_else(|| deeds.find(|word| verdict::of_one_word(word).is_none()));
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
    if let (None, Some(name), Some(kind)) = (read.or(tool).or(asked), used, used_kind) {
        (draft.resource, draft.resource_kind) = (Some(name.into()), Some(kind.into()));
    }
    draft.counterparty = server.map(|server| ("mcp_server".into(), server.into()));
    let Some(arguments) = ARGUMENTS.iter().find_map(|path| record.at(path)) else { return };
    draft.stake(arguments);
}

/// Kind and name of what was used, where a gateway has one name for things of every kind.
fn used<'a>(record: &'a Json<'_>) -> Option<(&'a str, &'a str)> {
    let told = |(kind, name): &(&str, &str)| Some((record.text(kind)?, record.text(name)?));
    USED.iter().find_map(told).filter(|(kind, _)| !kind.contains("endpoint"))
}

/// The server of a gateway that has one for each, or that has the names of other things beside its name.
fn own_server<'a>(record: &'a Json<'_>) -> Option<&'a str> {
    let kind = record.text("target.type").map(str::to_ascii_lowercase);
    let is_server = kind.is_none_or(|kind| kind.contains("server"));
    let target = record.text("target.name").filter(|_| is_server);
    // ToolHive's.
    target.or_else(|| record.field("subjects").and(record.text("component")))
}

fn is_http_verb(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS")
}

fn outcome<'a>(record: &'a Json<'_>) -> (Outcome, Option<Word<'a>>) {
    let error = record.first(ERRORS);
    let statuses = STATUSES.iter().filter_map(|path| verdict::of_http(record.text(path)?));
    let by_status = statuses.reduce(verdict::worse);
    let told = OUTCOMES.iter().find_map(|path| verdict::of_one_word(record.text(path)?));
    let is_blocked = ALLOWED.iter().any(|path| record.is_false(path))
        || BLOCKED.iter().any(|path| record.is_true(path));
    let has_failed = FAILED.iter().any(|path| record.is_true(path));
    let outcome = match (by_status, told) {
        _ if is_blocked => Outcome::Denied,
        (Some(outcome @ (Outcome::Denied | Outcome::Error)), _) => outcome,
        (_, Some(Outcome::Denied)) => Outcome::Denied,
        (_, Some(Outcome::Error)) => verdict::of_error(error.unwrap_or_default()),
        (_, None) if error.is_some() || has_failed => verdict::of_error(error.unwrap_or_default()),
        (_, Some(Outcome::Success) | None) => return (Outcome::Success, None),
    };
    // A status that tells of a success is the reason of no failure.
    let reasons = REASONS.iter().filter_map(|path| record.text(path));
    let mut reasons = reasons.filter(|word| verdict::of_http(word) != Some(Outcome::Success));
    (outcome, error.or_else(|| reasons.next()).map(Into::into))
}

fn keep<'a>(record: &'a Json<'_>, draft: &mut Draft<'a>) {
    if is_issue(record) {
        draft.keep("issued_credential_id", record.text("token_id"));
    }
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
