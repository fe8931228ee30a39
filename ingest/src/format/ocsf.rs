//! OCSF 1.x: API Activity (6003), Datastore Activity (6005) and the classes of identity and access
//! management (3001 to 3008).
//!
//! Invariant: a record of another class is a reject; an agent of the profile `ai_operation` comes
//! before the user it acts for, and the user then stands in the delegation. Whom something was done to is
//! never the agent. The body of a request to Kubernetes is not kept, as in `kubernetes.rs`.
//!
//! Source: OCSF schema 1.9, classes and the profiles `ai_operation` and `cloud`; 1.0.0-rc.2, where API
//! Activity was class 3005.

mod classes;
mod credential;

use schemas::Outcome;

use self::classes::{Class, class};
use self::credential::credential;
use super::arguments::{host, without_token};
use super::draft::{Draft, Needs, Word};
use super::json::Json;
use super::{Fault, kebab, verdict};
use crate::redact::is_secret_name;

pub(super) const NEEDS: Needs =
    Needs { agent: "ai_agent.uid or actor.user.uid", action: "api.operation", time: "time" };
const TIMES: &[&str] = &["time", "time_dt", "metadata.original_time"];

/// What Windows writes where nobody is known: no name, and the SID of nobody by its name or number.
const NOBODY: &[&str] = &["-", "NULL SID", "S-1-0-0"];
/// Logon sessions of Windows that are none, or the same ones on every machine: of the system, of its two
/// service accounts and of the anonymous logon.
const NO_SESSIONS: &[&str] = &["-", "0x0", "0x3e4", "0x3e5", "0x3e6", "0x3e7"];

const AI_AGENTS: &[&str] =
    &["ai_agent.uid", "actor.ai_agent.uid", "ai_agent.name", "actor.ai_agent.name"];
/// What an entity may be, and where it is a user.
const ENTITIES: &[&str] = &["user", "group", "policy", "org", "device", "service"];
const ENTITY_USERS: &[&str] = &["entity.user", "managed_entity.user"];
/// Objects of Kubernetes among what found no place in the schema.
const KUBERNETES: &[&str] = &["requestObject", "responseObject"];
/// Who acts beside a user.
const ACTORS: &[&str] = &[
    "actor.uid",
    "actor.name",
    "actor.app_uid",
    "actor.app_name",
    "actor.invoked_by",
    "actor.process.name",
];

pub(super) fn draft<'a>(record: &'a Json<'_>) -> Result<Draft<'a>, Fault> {
    let class = class(record)?;
    let mut draft = Draft::new(NEEDS, record, TIMES)?;
    draft.event_id = record.first(&["metadata.uid", "api.request.uid"]).map(Into::into);
    draft.source = known(record, &["src_endpoint.ip", "device.ip"], NOBODY).map(Into::into);
    draft.user_agent = record.text("http_request.user_agent").map(Into::into);
    actor(record, class, &mut draft);
    let sessions = ["actor.session.uid", "session.uid"];
    draft.session = known(record, &sessions, NO_SESSIONS).map(Into::into);
    draft.credential = credential(record, class, draft.agent.as_deref());
    draft.action = action(record, class);
    target(record, class, &mut draft);
    (draft.outcome, draft.outcome_reason) = outcome(record, class);
    keep(record, class, &mut draft);
    Ok(draft)
}

/// The text that the first of `paths` leads to that is none of `unknown`, in any case of letters.
fn known<'a>(record: &'a Json<'_>, paths: &[&str], unknown: &[&str]) -> Option<&'a str> {
    let is_known = |text: &&str| !unknown.iter().any(|none| none.eq_ignore_ascii_case(text));
    paths.iter().filter_map(|path| record.text(path)).find(is_known)
}

/// The name of a user: the id, unless that is only the account's; of one whom Windows knows no id of, the
/// name in its domain.
fn user<'a>(record: &'a Json<'_>, path: &str) -> Option<Word<'a>> {
    let user = record.at(path)?;
    let uid = user.text("uid");
    if uid.is_some() && uid == user.first(&["account_uid", "account.uid"]) {
        return user.first(&["uuid", "name", "uid"]).map(Into::into);
    }
    let name = known(user, &["name"], NOBODY);
    let domain = known(user, &["domain"], NOBODY);
    if let (Some(uid), Some(name), Some(domain)) = (uid, name, domain)
        && NOBODY.contains(&uid)
    {
        return Some(format!("{domain}\\{name}").into());
    }
    known(user, &["uid", "name", "email_addr", "uid_alt"], NOBODY).map(Into::into)
}

/// Whom something is done to. Where the id is the actor's own, as AWS has it, but the name is another, the
/// name.
fn subject<'a>(record: &'a Json<'_>, class: &Class) -> Option<Word<'a>> {
    let entity = || ENTITY_USERS.iter().find_map(|path| user(record, path));
    let (Some(uid), Some(name)) = (record.text("user.uid"), record.text("user.name")) else {
        return user(record, "user").or_else(entity);
    };
    let is_own = |path| record.text(path) == Some(uid);
    let is_other = match record.text("actor.user.name") {
        Some(own) => name != own && (is_own("actor.user.uid") || is_own("actor.user.uid_alt")),
        None => is_own("actor.user.uid_alt"),
    };
    let is_other = is_other && class.name != "authentication";
    if is_other { Some(name.into()) } else { user(record, "user") }
}

/// What sort of a user acted, by the name of it or by its number.
fn user_class<'a>(record: &Json<'_>, class: &Class) -> Option<Word<'a>> {
    let kind = acting(class).into_iter().find_map(|place| {
        let user = record.at(place)?;
        let by_number = match user.text("type_id") {
            Some("1") => Some("user"),
            Some("2") => Some("admin"),
            Some("3") => Some("system"),
            Some("4") => Some("service"),
            _ => None,
        };
        user.text("type").map(kebab).or(by_number.map(str::to_owned))
    })?;
    Some(format!("ocsf:{kind}").into())
}

/// Where the user who acts may stand: whoever signs in is the user, who elsewhere may be whom something was
/// done to.
fn acting(class: &Class) -> [&'static str; 2] {
    if class.name == "authentication" { ["user", "actor.user"] } else { ["actor.user", "user"] }
}

fn actor<'a>(record: &'a Json<'_>, class: &Class, draft: &mut Draft<'a>) {
    let agent = record.first(AI_AGENTS);
    let actor =
        || user(record, "actor.user").or_else(|| Some(known(record, ACTORS, NOBODY)?.into()));
    let subject = subject(record, class);
    let user = if class.name == "authentication" {
        // Whoever signs in is the user; elsewhere the user is whom something was done to.
        subject.or_else(actor)
    } else {
        // Kubernetes knows its users by name; the id is that of what showed who they are.
        let name = record.text("actor.user.name").filter(|name| name.starts_with("system:"));
        let actor = name.map(Into::into).or_else(actor);
        let is_other = subject.is_some() && actor.is_some() && subject != actor;
        let is_given = class.name == "authorize_session" || class.target.is_some();
        if is_given && is_other {
            draft.counterparty = subject.clone().map(|user| ("user".into(), user));
        }
        actor.or(subject.filter(|_| class.target.is_none()))
    };
    draft.agent = agent.map(Into::into).or_else(|| user.clone());
    let ai = record.at("ai_agent").or_else(|| record.at("actor.ai_agent")).unwrap_or(&Json::Null);
    let named = ai.first(&["charter.name", "charter.uid", "charter", "name", "type"]);
    // The session of a role was issued by the role.
    let issuer = record.first(&["actor.session.issuer", "session.issuer"]);
    let role = issuer.filter(|issuer| issuer.contains(":role/"));
    draft.class = named.or(role).map(Into::into).or_else(|| user_class(record, class));
    draft.instance = ai.first(&["instance_uid", "version"]).map(Into::into);
    let model = ["ai_agent.ai_model", "actor.ai_agent.ai_model", "ai_model"];
    let model = model.iter().find_map(|path| record.at(path)).unwrap_or(&Json::Null);
    draft.model = match (model.first(&["name", "uid"]), model.text("version")) {
        (Some(name), Some(version)) => Some(format!("{name}-{version}").into()),
        (name, _) => name.or(model.as_text()).map(Into::into),
    };
    if agent.is_some() {
        draft.delegation.extend(user);
    }
    for hop in record.list("delegation") {
        let names = ["parent_uid", "issuer_uid"].iter().filter_map(|path| hop.text(path));
        draft.delegation.extend(names.map(Into::into));
    }
    draft.delegation.extend(role.map(Into::into));
    draft.grant = record.text("delegation.uid").map(Into::into);
}

/// `service:Operation` of an API, `service:tool` of a call to a tool, `noun.verb` of the other classes.
fn action<'a>(record: &'a Json<'_>, class: &Class) -> Option<Word<'a>> {
    if let Some(operation) = record.text("api.operation") {
        let done = tool(record).unwrap_or(operation);
        return Some(match record.text("api.service.name") {
            Some(service) => format!("{service}:{done}").into(),
            None => done.into(),
        });
    }
    let number = number(record);
    let named = number.and_then(|number| {
        let at = number.parse::<usize>().ok()?.checked_sub(1)?;
        class.activities.get(at).map(|name| (*name).to_owned())
    });
    let activity = record
        .text("activity_name")
        .map(kebab)
        .or(named)
        .or_else(|| Some(format!("activity-{}", number?)))?;
    Some(format!("{}.{activity}", class.name).into())
}

/// The activity of a class by its number; the type has it in its last two digits.
fn number<'a>(record: &'a Json<'_>) -> Option<&'a str> {
    let of_type = || record.text("type_uid").and_then(|uid| uid.get(uid.len().checked_sub(2)?..));
    record.text("activity_id").or_else(of_type)
}

/// The tool that a call to one names, as the Model Context Protocol has it.
fn tool<'a>(record: &'a Json<'_>) -> Option<&'a str> {
    let is_call = record.text("api.operation") == Some("tools/call");
    let data = record.at("api.request.data").filter(|_| is_call)?;
    data.first(&["tool", "tool_name", "name"])
}

fn target<'a>(record: &'a Json<'_>, class: &Class, draft: &mut Draft<'a>) {
    let places = [
        "resources",
        "resource",
        "entity",
        "managed_entity",
        "group",
        "databucket",
        "database",
        "table",
        "service",
    ];
    // Whoever gets rights is one thing, and what they are rights to is another.
    let is_given = class.name == "user_access";
    let rights = places[..2].iter().filter(|_| is_given).copied();
    let named = rights.chain(class.target).chain(places).find_map(|place| {
        let resource = record.at(place)?;
        if place == "user" {
            // The type of a user is what sort of user it is.
            return Some((subject(record, class)?, "user".to_owned()));
        }
        // The same name may be in each namespace.
        let space = resource.text("namespace").filter(|_| resource.text("uid").is_none());
        if let (Some(space), Some(name)) = (space, known(resource, &["name"], NOBODY)) {
            let kind = resource.text("type").unwrap_or(place).to_owned();
            return Some((format!("{space}/{name}").into(), kind));
        }
        let name = |json| known(json, &["uid", "name"], NOBODY);
        let (name, kind) = name(resource).map(|name| (name, place)).or_else(|| {
            let parts = ENTITIES.iter().filter(|_| place.ends_with("entity"));
            parts.into_iter().find_map(|kind| Some((name(resource.at(kind)?)?, *kind)))
        })?;
        Some((name.into(), resource.text("type").unwrap_or(kind).to_owned()))
    });
    let named = named.or_else(|| Some((tool(record)?.into(), "mcp_tool".to_owned())));
    // The path of a request, where an exporter wants the name of a service.
    let path = record.text("dst_endpoint.svc_name").filter(|name| name.starts_with('/'));
    let path = path.or_else(|| record.text("http_request.url.path"));
    let named = named.or_else(|| Some((without_token(path?).into(), "path".to_owned())));
    if let Some((name, kind)) = named {
        draft.resource = Some(name);
        draft.resource_kind = Some(kind.into());
    }
    let others = [
        ("dst_endpoint.hostname", "host"),
        ("dst_endpoint.domain", "host"),
        ("dst_endpoint.name", "host"),
        ("dst_endpoint.svc_name", "service"),
        ("dst_endpoint.ip", "host"),
        ("service.uid", "service"),
        ("service.name", "service"),
        ("resources.owner.account.uid", "account"),
        ("http_request.url.hostname", "host"),
    ];
    let other = others.iter().find_map(|(path, kind)| {
        let name = known(record, &[*path], NOBODY).filter(|name| !name.starts_with('/'))?;
        if name.contains("://") { Some(("host", host(name)?)) } else { Some((*kind, name)) }
    });
    if let (None, Some((kind, id))) = (&draft.counterparty, other) {
        draft.counterparty = Some((kind.into(), id.into()));
    }
    let arguments = ["api.request.data.arguments", "api.request.data"];
    let arguments = arguments.iter().find_map(|path| record.at(path));
    if let Some(arguments) = arguments.filter(|data| !is_kubernetes(data)) {
        draft.stake(arguments);
    }
    let credential = record.text("programmatic_credentials.uid");
    let is_made = draft.action.as_deref().is_some_and(|action| action.contains("add-programmatic"));
    draft.keep("issued_credential_id", credential.filter(|_| is_made));
}

/// Whether this is an object of Kubernetes, also in a text.
fn is_kubernetes(data: &Json<'_>) -> bool {
    let told = data.told().unwrap_or_default();
    told.contains("\"kind\"") && told.contains("\"apiVersion\"")
}

fn outcome<'a>(record: &'a Json<'_>, class: &Class) -> (Outcome, Option<Word<'a>>) {
    let reasons = [
        "status_detail",
        "api.response.error",
        "api.response.error_message",
        "api.response.message",
        "status_code",
    ];
    let reason = record.first(&reasons).or(record.text("actor.authorizations.policy.desc"));
    let mut flags = record.list("api.response.flags").iter().filter_map(Json::as_text);
    // What a policy decided, unless it is said that the act went on.
    let decisions = record.list("actor.authorizations").iter().filter_map(|it| it.text("decision"));
    let mut decisions = decisions.filter(|_| record.text("status_id") != Some("1"));
    let is_refused = record.text("action_id") == Some("2")
        || record.text("disposition_id") == Some("2")
        || flags.any(|flag| verdict::of_error(flag) == Outcome::Denied)
        || decisions.any(|word| verdict::of_one_word(word) == Some(Outcome::Denied));
    let by_code = record.first(&["status_code", "api.response.code", "http_response.code"]);
    let by_code = by_code.and_then(verdict::of_http);
    let has_failed = match (record.text("status_id"), record.text("status")) {
        (Some(id @ ("1" | "2")), _) => id == "2",
        (_, Some(status)) => verdict::of_word(status) != Outcome::Success,
        (_, None) => matches!(by_code, Some(Outcome::Denied | Outcome::Error)),
    };
    // Whoever signs in with what is wrong is refused; a sign-off that failed refuses nobody.
    let is_logoff = matches!(number(record), Some("2" | "02"))
        || record.text("activity_name").is_some_and(|name| name.eq_ignore_ascii_case("logoff"));
    let is_gate = class.name == "authentication" && !is_logoff || class.name == "access_activity";
    let outcome = match has_failed {
        _ if is_refused => Outcome::Denied,
        false => return (Outcome::Success, None),
        true if is_gate || by_code == Some(Outcome::Denied) => Outcome::Denied,
        true => {
            let told = reasons.iter().chain(&["status"]).filter_map(|path| record.text(path));
            let is_denied = told.map(verdict::of_error).any(|told| told == Outcome::Denied);
            if is_denied { Outcome::Denied } else { Outcome::Error }
        }
    };
    (outcome, reason.map(Into::into))
}

fn keep<'a>(record: &'a Json<'_>, class: &Class, draft: &mut Draft<'a>) {
    draft.keep_each(
        record,
        &[
            ("activity", "activity_name"),
            ("auth_protocol", "auth_protocol"),
            ("authorization_policy", "actor.authorizations.policy.desc"),
            ("class_uid", "class_uid"),
            ("cloud_account", "cloud.account.uid"),
            ("cloud_region", "cloud.region"),
            ("correlation_uid", "metadata.correlation_uid"),
            ("device_name", "device.hostname"),
            ("device_uid", "device.uid"),
            ("delegation_audience", "delegation.audience"),
            ("delegation_expires", "delegation.expiration_time"),
            ("delegation_scopes", "delegation.scopes"),
            ("http_method", "http_request.http_method"),
            ("iam_roles", "iam_roles"),
            ("is_mfa", "is_mfa"),
            ("policies", "policies"),
            ("policy", "policy"),
            ("privileges", "privileges"),
            ("product", "metadata.product.name"),
            ("session_issuer", "actor.session.issuer"),
            ("severity", "severity"),
            ("subgroup", "subgroup"),
        ],
    );
    let url = record.first(&["http_request.url.url_string", "http_request.url.path"]);
    draft.keep("url", url.map(without_token));
    let data = record.at("resources.data").filter(|data| !is_kubernetes(data));
    draft.keep("resource_data", data.and_then(Json::told));
    keep_user(record, class, draft);
    keep_unmapped(record.at("unmapped").unwrap_or(&Json::Null), "unmapped", draft);
}

/// Name and address of the user who acted, and of who stands behind one that signs in, if that is another.
fn keep_user<'a>(record: &'a Json<'_>, class: &Class, draft: &mut Draft<'a>) {
    let actor = record.at("actor.user").unwrap_or(&Json::Null);
    let [place, _] = acting(class);
    let user = record.at(place).unwrap_or(&Json::Null);
    let is_one = |path: &str| match (user.text(path), actor.text(path)) {
        (Some(user), Some(actor)) => user == actor,
        (None, _) | (_, None) => true,
    };
    let is_one = is_one("uid") && is_one("name");
    for (name, path) in [("user_email", "email_addr"), ("user_name", "name")] {
        draft.keep(name, user.text(path).or_else(|| actor.text(path).filter(|_| is_one)));
    }
    if !is_one {
        draft.keep("actor_name", known(actor, &["name"], NOBODY));
        draft.keep("actor_uid", known(actor, &["uid"], NOBODY));
    }
}

/// Whether `name` is that of a path or a URL.
fn is_address(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower.ends_with("uri") || lower.ends_with("url")
}

/// The numbers and texts of what found no place in the schema, under their names with dots; what stands
/// under the name of a secret as one text, which is then replaced.
fn keep_unmapped<'a>(unmapped: &'a Json<'_>, path: &str, draft: &mut Draft<'a>) {
    for (name, value) in unmapped.fields() {
        if KUBERNETES.iter().any(|object| name.starts_with(object)) {
            continue;
        }
        let path = format!("{path}.{name}");
        match value {
            Json::Text(text) if is_address(name) && !text.is_empty() => {
                draft.keep(path, Some(without_token(text)));
            }
            Json::Literal(_) | Json::Text(_) => draft.keep(path, value.told()),
            Json::Object(_) if is_secret_name(name) => draft.keep(path, value.told()),
            Json::Object(_) if !(value.has("kind") && value.has("apiVersion")) => {
                keep_unmapped(value, &path, draft);
            }
            Json::Null | Json::List(_) | Json::Object(_) => {}
        }
    }
}
