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
mod credential;
mod deeds;
mod names;
mod outcome;
mod programs;
mod who;

use schemas::{CredentialEvent, CredentialKind, Outcome, RejectReason};

pub(super) use self::credential::credential;
use self::credential::{by_method, is_issue, shown_by};
use self::deeds::{CHANGES, OF_USES};
use self::names::{
    ARGUMENTS, ASKED, DEEDS, METHODS, MODELS, OTHER_METHODS, PARTICULARS, PATHS, PROMPTS,
    RESOURCES, SERVERS, SESSIONS, SOURCES, STATUSES, TIMES, TOOLS, USED, USER_AGENTS,
};
use self::outcome::{is_decision, of_deed, outcome};
use self::who::{ACTORS, BEHIND, CALLERS, END_USERS, PEOPLE, PROGRAMS};
use super::Fault;
use super::arguments::{host, without_token};
use super::clean::Clean;
use super::draft::{Draft, Needs, Word, address_of};
use super::json::{Json, is_same_name};

pub(super) const NEEDS: Needs = Needs {
    agent: "src.identity, jwt.sub, actor.id or UserID",
    action: "mcp.method.name",
    time: "time",
};

const UNAUTHENTICATED: &str = "mcp:unauthenticated";
/// What gateways call whoever showed nothing.
const NOBODY: &str = "anonymous";
/// What they call whom they do not know, and ways to call that stand in the place of a caller.
const UNKNOWN: [&str; 4] = ["unknown", "http", "sse", "stdio"];
/// What Pomerium calls a process that is all of its servers.
const EVERY_SERVER: &str = "all";
const TOOLS_CALL: &str = "tools/call";
/// How the name of a call to a tool begins that has the tool behind it, as spans are called.
const TOOLS_CALL_OF: &str = "tools/call ";
/// What Envoy writes in the place of what it was not told.
const NOTHING: &str = "-";
/// What `LiteLLM` calls a request that it refused before it knew what was asked for.
const LITELLM_REQUEST: &str = "litellm_request";
/// What stands for a session where there is none yet.
const NO_SESSION: &str = "0";

pub(super) fn read(record: &Json<'_>, clean: &Clean<'_>) -> Result<CredentialEvent, Fault> {
    if calls::are_several(record) {
        return Err(Fault::new(RejectReason::SeveralRecords, "wanted one call, found several"));
    }
    let own = unshipped(record);
    let record = own.as_ref().unwrap_or(record);
    let said = said(record);
    let record = said.as_ref().unwrap_or(record);
    let lifted = lifted(record).or_else(|| calls::decided(record)).or_else(|| renamed(record));
    match lifted.or_else(|| with_particulars(record)) {
        Some(record) => draft(&record)?.finish(clean),
        None => draft(record)?.finish(clean),
    }
}

/// A record with a time that names nobody and has in an object whom and what it is about, with that beside the
/// rest. What has a time itself is a record in an envelope.
fn with_particulars<'j>(record: &Json<'j>) -> Option<Json<'j>> {
    let names = |record: &Json<'_>| agent(record).or_else(|| programs::program(record)).is_some();
    let mut told = PARTICULARS.iter().filter_map(|name| record.field(name));
    let told = told.find(|told| !told.fields().is_empty())?;
    let is_timed = |json: &Json<'_>| json.first(TIMES).is_some();
    if names(record) || is_timed(told) || !is_timed(record) {
        return None;
    }
    Some(record.joined(told)).filter(names)
}

/// A record of Azure's diagnostic settings, which have what the gateway tells in `properties`, with that
/// beside the rest; so too a log record as OpenTelemetry's SDKs print it, with its attributes.
fn lifted<'j>(record: &Json<'j>) -> Option<Json<'j>> {
    let properties = record.field("category").and(record.field("properties"));
    let logged = ["hrTime", "instrumentationScope", "severityNumber"];
    let logged = logged.iter().find_map(|name| record.field(name));
    let told = properties.or(logged.and(record.field("attributes")))?;
    (!told.fields().is_empty()).then(|| told.joined(record))
}

/// A record that a log shipper took up, without what it tells of itself: so `agent` of the Elastic Common Schema.
fn unshipped<'j>(record: &Json<'j>) -> Option<Json<'j>> {
    record.at("agent.ephemeral_id")?;
    let others = record.fields().iter().filter(|(name, _)| !is_same_name(name, "agent"));
    Some(Json::Object(others.cloned().collect()))
}

/// A line of Envoy's access log without what it was not told.
fn said<'j>(record: &Json<'j>) -> Option<Json<'j>> {
    let is_said = |value: &Json<'_>| !matches!(value, Json::Text(text) if text == NOTHING);
    if record.fields().iter().all(|(_, value)| is_said(value)) {
        return None;
    }
    let said = record.fields().iter().filter(|(_, value)| is_said(value));
    Some(Json::Object(said.cloned().collect()))
}

/// A record with messages of JSON-RPC under names of the gateway's own, with each under that of what it is.
fn renamed<'j>(record: &Json<'j>) -> Option<Json<'j>> {
    let own = |value: &Json<'_>| {
        let name = if value.has("method") { "request" } else { "response" };
        let is_one = matches!(value, Json::Object(_)) && value.has("jsonrpc");
        Some(name).filter(|name| is_one && !record.has(name))
    };
    if !record.fields().iter().any(|(_, value)| own(value).is_some()) {
        return None;
    }
    let fields = record.fields().iter().cloned();
    let fields = fields.map(|(name, value)| (own(&value).map_or(name, Into::into), value));
    Some(Json::Object(fields.collect()))
}

fn draft<'a>(record: &'a Json<'_>) -> Result<Draft<'a>, Fault> {
    let mut draft = Draft::new(NEEDS, record, TIMES)?;
    // Beside a request of JSON-RPC, or as one, its id may be repeated, which is that of no event.
    let is_request = record.has("jsonrpc");
    let own = record.text("id").filter(|id| !is_request && record.text("request.id") != Some(id));
    let ids = [
        "audit_id",
        "eventId",
        "entry_id",
        "meta.eventId",
        "details.trace.idempotencyKey",
        "span.id",
    ];
    draft.event_id = own.or_else(|| record.first(&ids)).map(Into::into);
    // The client is a name, or the address of one.
    let is_address = |name: &&str| address_of(name).is_some();
    let client = record.text("client").filter(is_address);
    draft.source = record.first(SOURCES).or(client).map(Into::into);
    let program = record.first(USER_AGENTS).filter(|name| !is_address(name));
    draft.user_agent = program.map(Into::into);
    // LiteLLM writes the tool in the place of a model, and the id of a deployment as that of one.
    let model = record.first(MODELS).filter(|model| !model.starts_with("MCP: "));
    draft.model = model.map(Into::into);
    let tasks = ["a2a.context.id", "details.trace.toolUseID", "prompt.id"];
    draft.task = record.first(&tasks).map(Into::into);
    let mut sessions = SESSIONS.iter().filter_map(|path| record.text(path));
    let session = sessions.find(|id| *id != NO_SESSION);
    draft.session = session.map(Into::into);
    let program = programs::program(record);
    let agent = program.map_or_else(|| agent(record), |it| named(record, PROGRAMS).or(Some(it)));
    let changed_by = changed_by(record);
    let agent = changed_by.or(agent);
    (draft.agent, draft.class) = match (agent, session) {
        (None, Some(session)) => of_session(session),
        (agent, _) => (agent.map(Into::into), program.map(Into::into)),
    };
    draft.class = class(record).or(draft.class);
    (draft.outcome, draft.outcome_reason) = outcome(record);
    if draft.agent.is_none() && is_of_nobody(record, draft.outcome) {
        draft.agent = Some(UNAUTHENTICATED.into());
        draft.class = Some(UNAUTHENTICATED.into());
    }
    // The actor, who asked it to act, and so on, to the subject: the draft leaves out the agent itself.
    let actors = ACTORS.iter().filter_map(|path| named(record, &[path]));
    draft.delegation.extend(actors.chain(chain(record)).map(Into::into));
    let at_program = program.and_then(|_| programs::person(record));
    let person = at_program.or_else(|| person(record, draft.agent.as_deref()));
    let behind = [BEHIND, END_USERS].map(|names| named(record, names));
    draft.delegation.extend(person.into_iter().chain(behind.into_iter().flatten()).map(Into::into));
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
    if changed_by.is_some() && draft.resource.is_none() {
        draft.reach([(named(record, PROGRAMS), "agent")]);
    }
    keep(record, &mut draft);
    Ok(draft)
}

/// The chain of those who act for one another, nearest first: so `ToolHive` tells the actors of a token;
/// others tell all of them from the first on.
fn chain<'a>(record: &'a Json<'_>) -> Vec<&'a str> {
    match record.at("delegation_chain") {
        Some(Json::List(names)) => names.iter().rev().filter_map(Json::as_text).collect(),
        Some(told) => told.list("actors").iter().filter_map(|actor| actor.text("sub")).collect(),
        None => Vec::new(),
    }
}

/// Who changed what a record is about, as `created_by` beside `agent_created`; in `LiteLLM`'s audit log
/// `changed_by`, whatever the change.
fn changed_by<'a>(record: &'a Json<'_>) -> Option<&'a str> {
    let mut deeds = DEEDS.iter().filter_map(|path| record.text(path)).map(super::kebab);
    let by_deed = deeds.find_map(|deed| {
        let change = CHANGES.iter().find(|change| deed.ends_with(*change))?;
        record.text(&format!("{change}_by"))
    });
    by_deed.or_else(|| record.text("changed_by"))
}

/// Who calls: the program, else the person who uses it.
pub(super) fn agent<'a>(record: &'a Json<'_>) -> Option<&'a str> {
    let named = [PROGRAMS, PEOPLE, CALLERS].iter().find_map(|names| named(record, names));
    // The subject of an event bus is what the record inside is about.
    named.or_else(|| record.text("subject").filter(|_| !record.has("data")))
}

/// The first of these names that is somebody's, and no address.
fn named<'a>(record: &'a Json<'_>, names: &[&str]) -> Option<&'a str> {
    // Some write the kind of it in front.
    let is_unknown = |name: &str| UNKNOWN.contains(&name) || name.ends_with(":unknown");
    let is_name = |name: &&str| {
        *name != NOBODY
            && !is_unknown(name)
            && address_of(name).is_none()
            && !is_place_in_code(name)
    };
    names.iter().filter_map(|path| record.text(path)).find(is_name)
}

/// The person behind the agent: an address that stands beside its own id or name is the agent's.
fn person<'a>(record: &'a Json<'_>, agent: Option<&str>) -> Option<&'a str> {
    let is_agents = |path: &&&str| {
        let owner = path.strip_suffix("email").filter(|owner| !owner.is_empty());
        owner.is_some_and(|owner| {
            let beside =
                |own: &&str| agent.is_some() && record.text(&format!("{owner}{own}")) == agent;
            ["id", "name"].iter().any(beside)
        })
    };
    let people: Vec<&str> = PEOPLE.iter().filter(|path| !is_agents(path)).copied().collect();
    named(record, &people)
}

/// Whether loggers put this where they tell what line of the code called them, as `caller` of Go's zap.
fn is_place_in_code(name: &str) -> bool {
    let line = name.rsplit_once(':').filter(|(_, line)| line.parse::<u32>().is_ok());
    let kind = line.and_then(|(file, _)| file.rsplit_once('.')).map(|(_, kind)| kind);
    kind.is_some_and(|kind| {
        matches!(kind, "cs" | "go" | "java" | "js" | "kt" | "py" | "rb" | "rs" | "ts")
    })
}

/// Whether the gateway says that whoever called showed nothing that it knows.
fn is_of_nobody(record: &Json<'_>, outcome: Outcome) -> bool {
    let has = |names: &[&str], text| names.iter().any(|path| record.text(path) == Some(text));
    let is_sign_in =
        || METHODS.iter().chain(DEEDS).filter_map(|path| record.text(path)).any(is_sign_in);
    let is_refused = has(STATUSES, "401") || has(STATUSES, "403");
    let is_refused = is_refused || (outcome != Outcome::Success && is_sign_in());
    is_refused || has(PEOPLE, NOBODY) || has(CALLERS, NOBODY)
}

/// Whether a method or a deed of this name is to find out who somebody is.
fn is_sign_in(name: &str) -> bool {
    const WORDS: [&str; 7] =
        ["auth", "authenticate", "authentication", "authn", "login", "oauth", "signin"];
    let name = super::kebab(name);
    name.split(|letter: char| !letter.is_ascii_alphanumeric()).any(|word| WORDS.contains(&word))
}

fn class<'a>(record: &'a Json<'_>) -> Option<Word<'a>> {
    if let Some(name) = record.first(&[
        "gen_ai.agent.name",
        "agentgateway.group",
        "workload.client.name",
        "jwt.client_id",
        "jwt.azp",
    ]) {
        return Some(name.into());
    }
    let kind = record.text("actor.actorType")?;
    Some(format!("mcp:{}", super::kebab(kind)).into())
}

/// Agent and class of a client that is known by nothing but its session, as of a portal without sign-in.
pub(super) fn of_session<'a>(session: &str) -> (Option<Word<'a>>, Option<Word<'a>>) {
    (Some(format!("session:{session}").into()), Some("mcp:session".into()))
}

/// `server:tool` of a call, `server:method` of anything else.
fn target<'a>(record: &'a Json<'_>, draft: &mut Draft<'a>) {
    let (used_kind, used) = used(record).unzip();
    let method = method(record);
    // A tool with its server in front, as LiteLLM and the programs write it.
    let named = record.first(TOOLS).or_else(|| asked_for(record, method?));
    let named = named.or_else(|| record.text("operation.name")?.strip_prefix(TOOLS_CALL_OF));
    let prefixed = named.and_then(|name| name.strip_prefix("mcp__")?.split_once("__"));
    let spaced = prefixed.or_else(|| record.text("mcp_namespaced_tool_name")?.split_once('/'));
    let named = prefixed.map(|(_, tool)| tool).or(named).or(spaced.map(|(_, tool)| tool));
    // One name for all that has a name in the protocol; the method tells which it is.
    let of = |kind: &str| named.filter(|_| method.is_some_and(|method| method.starts_with(kind)));
    let (read, asked) = (of("resources/"), of("prompts/"));
    let tool = named.filter(|_| read.or(asked).is_none());
    let tool = tool.or(used.filter(|_| matches!(used_kind, Some("tool" | "mcp_tool"))));
    let deed = deed(record, tool.is_some());
    let ended = ended(record).filter(|_| tool.or(method).or(deed).is_none());
    let mut servers = SERVERS.iter().filter_map(|path| record.text(path));
    let server = servers.find(|server| *server != EVERY_SERVER);
    let server = server.or(spaced.map(|(server, _)| server)).or_else(|| own_server(record));
    // Of a plain request it is an address, or the policy that refused it.
    let is_plain = named.or(method).or(deed).or(ended).is_none();
    let server = server.or_else(|| record.text("upstream").filter(|_| !is_plain));
    // Archestra has the server in front of its tools too.
    let bare =
        tool.zip(server).and_then(|(tool, server)| tool.strip_prefix(server)?.strip_prefix("__"));
    let tool = bare.or(tool);
    let method = method.or_else(|| programs::deed(record)).or(deed);
    let is_call = tool.is_some() && method.is_none_or(is_of_use);
    let done = if is_call { tool } else { method.or(tool) };
    // What a gateway lets through beside the protocol, or refuses before it.
    let mut others = OTHER_METHODS.iter().filter_map(|path| record.text(path));
    let done = done.or_else(|| others.find(|method| shown_by(method).is_none())).or(ended);
    let is_litellm = record.has("call_type") && record.has("spend");
    let done = done.or(is_litellm.then_some(LITELLM_REQUEST));
    draft.action = match (server, done) {
        (Some(server), Some(done)) => Some(format!("{server}:{done}").into()),
        (None, Some(done)) => Some(done.into()),
        (_, None) => None,
    };
    let (read, asked) = (record.first(RESOURCES).or(read), record.first(PROMPTS).or(asked));
    let named =
        [(read, "mcp_resource"), (tool, "mcp_tool"), (asked, "mcp_prompt"), (server, "mcp_server")];
    draft.reach(named);
    if let (None, Some(name), Some(kind)) = (read.or(tool).or(asked), used, used_kind) {
        (draft.resource, draft.resource_kind) = (Some(name.into()), Some(kind.into()));
    }
    let provider = record.first(&["custom_llm_provider", "genAi.providerName"]);
    let provider = provider.filter(|_| tool.is_none());
    let provider = provider.map(|provider| ("model_provider", provider));
    let other = server.map(|server| ("mcp_server", server)).or(provider);
    draft.counterparty = other.map(|(kind, id)| (kind.into(), id.into()));
    if done.is_some_and(is_http_verb) {
        request(record, draft);
    }
    if let Some(arguments) = arguments(record, is_call || method == Some(TOOLS_CALL)) {
        draft.stake(arguments);
    }
}

/// Whether a method or a deed beside a tool is no more than its use.
fn is_of_use(name: &str) -> bool {
    let calls = ["call", "execute", "invoke", "invocation"];
    let name = super::kebab(name);
    calls.iter().any(|call| name.contains(call))
        || name.split(['-', '.', '/', ':']).all(|word| OF_USES.contains(&word))
}

/// The method: the protocol's, whatever a gateway calls it, else the gateway's own. One of HTTP is none, nor
/// is a way of saying who one is.
fn method<'a>(record: &'a Json<'_>) -> Option<&'a str> {
    let names = METHODS.iter().chain(DEEDS).chain(&["operation"]);
    let of_protocol = names.filter_map(|path| record.text(path)).find(|name| is_of_protocol(name));
    let is_own = |name: &&str| !is_http_verb(name) && shown_by(name).is_none();
    of_protocol.or_else(|| METHODS.iter().filter_map(|path| record.text(path)).find(is_own))
}

fn is_of_protocol(method: &str) -> bool {
    let starts = ["tools/", "resources/", "prompts/", "notifications/", "completion/", "sampling/"];
    starts.iter().any(|start| method.starts_with(start))
}

/// What a method of the protocol that is about one thing was asked for, where it stands beside the method. No
/// tool is called by an address: that is the resource of a token.
fn asked_for<'a>(record: &'a Json<'_>, method: &str) -> Option<&'a str> {
    let name = record.first(ASKED)?;
    match method {
        TOOLS_CALL => Some(name).filter(|name| !name.contains("://")),
        "resources/read" | "prompts/get" => Some(name),
        _ => None,
    }
}

/// The deed. What some call the action is what others decided of it, and beside a tool a number tells
/// nothing, nor does the word that it is one.
fn deed<'a>(record: &'a Json<'_>, is_of_tool: bool) -> Option<&'a str> {
    let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    let is_no_deed = |word: &str| word == "tool" || is_number(word) || is_decision(word);
    let mut deeds = DEEDS.iter().filter_map(|path| record.text(path));
    deeds.find(|word| of_deed(word).is_none() && !(is_of_tool && is_no_deed(word)))
}

/// A deed that is told with its end, as `login_failed`.
fn ended<'a>(record: &'a Json<'_>) -> Option<&'a str> {
    let mut deeds = DEEDS.iter().filter_map(|path| record.text(path));
    deeds.find(|word| super::kebab(word).contains(['-', '.', '/']))
}

/// The arguments of a tool. What a policy was asked has the act and its resource, and no arguments; what
/// stands beside a call as its parameters are these, unless they are those of JSON-RPC.
fn arguments<'j, 'a>(record: &'j Json<'a>, is_call: bool) -> Option<&'j Json<'a>> {
    let is_question = |asked: &&Json<'_>| asked.has("action") && asked.has("resource");
    let mut places = ARGUMENTS.iter().filter_map(|path| record.at(path));
    places.find(|asked| !is_question(asked)).or_else(|| {
        let of_rpc = ["name", "arguments", "_meta"];
        let beside = record.at("params").filter(|_| is_call);
        beside.filter(|params| !of_rpc.iter().any(|name| params.has(name)))
    })
}

/// A request beside the protocol: its path, and the host that it was let through to.
fn request<'a>(record: &'a Json<'_>, draft: &mut Draft<'a>) {
    let path = record.first(PATHS).map(without_token);
    if draft.resource.is_some() {
        draft.keep("path", path);
    } else {
        draft.reach([(path, "path")]);
    }
    let upstream = record.text("upstream").filter(|upstream| upstream.contains("://"));
    if let (None, Some(host)) = (&draft.counterparty, upstream.and_then(host)) {
        draft.counterparty = Some(("host".into(), host.into()));
    }
}

/// Kind and name of what was used, where a gateway has one name for things of every kind.
fn used<'a>(record: &'a Json<'_>) -> Option<(&'a str, &'a str)> {
    let told = |(kind, name): &(&str, &str)| Some((record.text(kind)?, record.text(name)?));
    USED.iter().find_map(told).filter(|(kind, _)| !kind.contains("endpoint"))
}

/// The server of a gateway that has one for each, or that has the names of other things beside its name.
fn own_server<'a>(record: &'a Json<'_>) -> Option<&'a str> {
    let kind = record.first(&["target.type", "target_type"]).map(str::to_ascii_lowercase);
    let is_server = kind.is_none_or(|kind| kind.contains("server"));
    // A logger of Rust's calls the module that logs the target.
    let is_module = |target: &&str| target.contains("::");
    let target = record.first(&["target.name", "target"]).filter(|_| is_server);
    let target = target.filter(|target| !is_module(target));
    // ToolHive's; and the host that Pomerium let a request through to, or did not.
    let target = target.or_else(|| record.field("subjects").and(record.text("component")));
    let is_pomerium = record.text("service") == Some("authorize");
    target.or_else(|| record.text("host").filter(|_| is_pomerium))
}

fn is_http_verb(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS")
}

fn keep<'a>(record: &'a Json<'_>, draft: &mut Draft<'a>) {
    if is_issue(record) {
        draft.keep("issued_credential_id", record.text("token_id"));
    }
    if draft.outcome_reason.is_none() {
        draft.keep("reason", record.first(&["reason", "decision_reason", "allow_why_true"]));
    }
    let source = programs::program(record).and(record.text("source"));
    draft.keep("decision_source", record.text("decision_source").or(source));
    draft.keep_each(
        record,
        &[
            ("action_kind", "action.kind"),
            ("client_country", "ClientCountry"),
            ("duration", "duration"),
            ("duration_ms", "outcome.durationMs"),
            ("error_code", "mcp.error.code"),
            ("event", "event.name"),
            ("gateway", "gateway"),
            ("group", "agentgateway.group"),
            ("http_status", "http.status"),
            ("idempotency_key", "details.trace.idempotencyKey"),
            ("jwt_issuer", "jwt.iss"),
            ("matched_rule", "matched_rule"),
            ("mcp_method", "mcp.method.name"),
            ("policy", "policy"),
            ("policy_id", "policy_id"),
            ("policy_name", "policy_name"),
            ("portal_id", "PortalID"),
            ("response_cost", "response_cost"),
            ("rule", "rule"),
            ("rule_id", "rule_id"),
            ("rule_name", "rule_name"),
            ("server_url", "ServerURL"),
            ("span_id", "span.id"),
            ("target_kind", "target.type"),
            ("team", "metadata.user_api_key_team_alias"),
            ("team_id", "metadata.user_api_key_team_id"),
            ("tenant", "tenant"),
        ],
    );
    draft.keep("trace_id", record.first(&["trace.id", "trace_id"]));
    draft.keep("user_email", record.first(&["email", "metadata.user_api_key_user_email"]));
}
