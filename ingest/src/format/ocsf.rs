//! OCSF 1.x: what is done with applications and the files, pages, data and APIs that they serve (6001 to
//! 6003, 6005, 6006), identity and access management (3001 to 3008), changes of a device's configuration
//! (5019), and what is done on a machine (1001, 1006, 1007, 1009) or over the network (4001, 4002, 4007, 4009,
//! 4010), where it is told who did it.
//!
//! Invariant: a record of another class is a reject, as a finding, which tells what a control saw; an agent of the profile `ai_operation` comes
//! before the user it acts for, and the user then stands in the delegation. Whom something was done to is
//! never the agent. The body of a request to Kubernetes is not kept, as in `kubernetes.rs`.
//!
//! Source: OCSF schema 1.9, classes and the profiles `ai_operation` and `cloud`; 1.0.0-rc.2, where API
//! Activity was class 3005.

mod actor;
mod call;
mod classes;
mod credential;

use schemas::Outcome;

use self::actor::{NOBODY, actor, known, subject};
use self::call::{OWN_TOOL, tool};
use self::classes::{Class, STATE_CHANGE, class};
use self::credential::{credential, is_aws_key};
use super::arguments::{host, without_token};
use super::draft::{Draft, Needs, Word};
use super::json::Json;
use super::{Fault, kebab, verdict};
use crate::redact::is_secret_name;

pub(super) const NEEDS: Needs =
    Needs { agent: "ai_agent.uid or actor.user.uid", action: ACTION, time: "time" };
/// What tells what was done.
const ACTION: &str = "api.operation or activity_id";
/// What was done, by its name; last as it was called before 1.0.0.
const ACTIVITIES: &[&str] = &["activity_name", "activity"];
/// What a control that stopped an act calls that, and the number of it (`disposition_id`): blocked, dropped,
/// rejected, unauthorized.
const STOPPED: &[&str] = &["blocked", "denied", "dropped", "rejected", "unauthorized"];
const STOPS: &[&str] = &["2", "6", "25", "26"];
const TIMES: &[&str] = &["time", "time_dt", "metadata.original_time"];
/// Sessions, last as gateways for agents and some products call them.
const SESSIONS: &[&str] = &[
    "actor.session.uid",
    "session.uid",
    "ai_agent.session.uid",
    "ai_agent.conversation_uid",
    "actor.session.session_id",
];

/// Logon sessions of Windows that are none, or the same ones on every machine: of the system, of its two
/// service accounts and of the anonymous logon.
const NO_SESSIONS: &[&str] = &["-", "0x0", "0x3e4", "0x3e5", "0x3e6", "0x3e7"];

/// What an entity may be.
const ENTITIES: &[&str] = &["user", "group", "policy", "org", "device", "service"];
/// Objects of Kubernetes among what found no place in the schema.
const KUBERNETES: &[&str] = &["requestObject", "responseObject"];
pub(super) fn draft<'a>(record: &'a Json<'_>) -> Result<Draft<'a>, Fault> {
    let class = class(record)?;
    let mut draft = Draft::new(NEEDS, record, TIMES)?;
    draft.event_id = record.first(&["metadata.uid", "api.request.uid", "id"]).map(Into::into);
    let sources: &[&str] = match class.target {
        // There the device is what was changed.
        Some("device") => &["src_endpoint.ip"],
        _ => &["src_endpoint.ip", "device.ip"],
    };
    draft.source = known(record, sources, NOBODY).map(Into::into);
    draft.user_agent = record.text("http_request.user_agent").map(Into::into);
    actor(record, class, &mut draft);
    // Where some write the key that was shown.
    let session = known(record, SESSIONS, NO_SESSIONS).filter(|session| !is_aws_key(session));
    draft.session = session.or_else(|| call::session(record)).map(Into::into);
    draft.model = draft.model.or_else(|| call::model(record).map(Into::into));
    draft.credential = credential(record, class, draft.agent.as_deref());
    draft.action = action(record, class);
    target(record, class, &mut draft);
    (draft.outcome, draft.outcome_reason) = outcome(record, class);
    keep(record, &mut draft);
    Ok(draft)
}

/// `service:Operation` of an API, `service:tool` of a call to a tool, `noun.verb` of the other classes.
fn action<'a>(record: &'a Json<'_>, class: &Class) -> Option<Word<'a>> {
    let called = || record.text(OWN_TOOL).filter(|_| !class.is_of_host());
    if let Some(operation) = call::operation(record).or_else(called) {
        let done = tool(record).unwrap_or(operation);
        return Some(match record.first(&["api.service.name", "tool.namespace"]) {
            Some(service) if !begins_with(done, service) => format!("{service}:{done}").into(),
            Some(_) | None => done.into(),
        });
    }
    let (name, number) = match class.name {
        STATE_CHANGE => (record.text("state"), record.text("state_id")),
        _ => (record.first(ACTIVITIES), number(record)),
    };
    let named = number.and_then(|number| {
        let at = number.parse::<usize>().ok()?.checked_sub(1)?;
        class.activities.get(at).map(|name| (*name).to_owned())
    });
    let told = name.map(|name| spelled(name, class));
    let activity = told.or(named).or_else(|| Some(format!("activity-{}", number?)))?;
    Some(format!("{}.{activity}", class.name).into())
}

/// Whether an operation has the service's name in front of its own, as `s3:GetObject` does.
fn begins_with(operation: &str, service: &str) -> bool {
    operation.strip_prefix(service).is_some_and(|rest| rest.starts_with(':'))
}

/// The name of an activity as the class has it, if only blanks differ (`Log Off`).
fn spelled(name: &str, class: &Class) -> String {
    let name = kebab(name);
    let letters = |name: &str| name.replace('-', "");
    let known = class.activities.iter().find(|known| letters(known) == letters(&name));
    known.map_or(name, |known| (*known).to_owned())
}

/// The activity of a class by its number; the type has it in its last two digits.
fn number<'a>(record: &'a Json<'_>) -> Option<&'a str> {
    let of_type = || record.text("type_uid").and_then(|uid| uid.get(uid.len().checked_sub(2)?..));
    record.text("activity_id").or_else(of_type)
}

/// Where what was reached may stand, whatever the class.
const PLACES: [&str; 9] = [
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

/// What was reached, and what it is, if that is told.
fn resource<'a>(record: &'a Json<'_>, class: &Class) -> Option<(Word<'a>, Option<Word<'a>>)> {
    // Whoever gets rights is one thing, and what they are rights to is another.
    let is_given = class.name == "user_access";
    let rights = PLACES[..2].iter().filter(|_| is_given).copied();
    let named = rights.chain(class.target).chain(PLACES).find_map(|place| {
        let resource = record.at(place)?;
        let kind = resource.text("type").or(match place {
            "resources" | "resource" => None,
            "web_resources" => Some("web_resource"),
            _ => Some(place),
        });
        let kind = match place {
            // Of these the type says what sort of one it is.
            "user" => return Some((subject(record, class)?, Some(place.into()))),
            "app" | "device" | "email" | "file" | "job" | "process" | "script" => Some(place),
            _ => kind,
        };
        // The same name may be in each namespace.
        let space = resource.text("namespace").filter(|_| resource.text("uid").is_none());
        if let (Some(space), Some(name)) = (space, known(resource, &["name"], NOBODY)) {
            let part = resource.text("subresource").map(|part| format!("/{part}"));
            let name = format!("{space}/{name}{}", part.unwrap_or_default());
            return Some((name.into(), kind.map(Into::into)));
        }
        let names: &[&str] = match place {
            "process" | "script" => &["file.path", "name", "uid"],
            "email" => &["message_uid", "uid"],
            _ => &["uid", "path", "name", "hostname"],
        };
        let name = |json| known(json, names, NOBODY);
        // All of a kind in a namespace, as a list has them.
        if let (Some(space), Some(kind), None) = (space, kind, name(resource)) {
            return Some((format!("{space}/{kind}").into(), Some(kind.into())));
        }
        let (name, kind) = name(resource).map(|name| (name, kind)).or_else(|| {
            let mut parts = ENTITIES.iter().filter(|_| place.ends_with("entity"));
            let (name, part) = parts.find_map(|part| Some((name(resource.at(part)?)?, *part)))?;
            Some((name, resource.text("type").or(Some(part))))
        })?;
        Some((name.into(), kind.map(Into::into)))
    });
    let tool = || Some((tool(record)?.into(), Some("mcp_tool".into())));
    let page = || {
        let url = record.text("web_resources.url_string")?;
        Some((without_token(url).into(), Some("web_resource".into())))
    };
    // The path of a request, where an exporter wants the name of a service.
    let path = || {
        let path = record.text("dst_endpoint.svc_name").filter(|name| name.starts_with('/'));
        let path = path.or_else(|| record.text("http_request.url.path"))?;
        Some((without_token(path).into(), Some("path".into())))
    };
    named.or_else(tool).or_else(page).or_else(path)
}

/// What was reached, what stands on the other side, and what is at stake.
fn target<'a>(record: &'a Json<'_>, class: &Class, draft: &mut Draft<'a>) {
    (draft.resource, draft.resource_kind) = match resource(record, class) {
        Some((name, kind)) => (Some(name), kind),
        None => (None, None),
    };
    let entity = record.text("entity.name");
    draft.keep("entity_name", entity.filter(|name| draft.resource.as_deref() != Some(*name)));
    let told = draft.resource.as_deref().unwrap_or_default();
    let named = known(record, &["resources.name"], NOBODY).filter(|name| !told.contains(name));
    draft.keep("resource_name", named);
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
        // The account that the record is of is no other.
        if *kind == "account" && record.text("cloud.account.uid") == Some(name) {
            return None;
        }
        if name.contains("://") { Some(("host", host(name)?)) } else { Some((*kind, name)) }
    });
    if let (None, Some((kind, id))) = (&draft.counterparty, other) {
        draft.counterparty = Some((kind.into(), id.into()));
    }
    if let Some(arguments) = call::arguments(record).filter(|data| !is_kubernetes(data)) {
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

/// Whether a control says there that it stopped an act.
fn is_stop(record: &Json<'_>, path: &str) -> bool {
    let told = record.text(path);
    told.is_some_and(|told| STOPPED.iter().any(|word| word.eq_ignore_ascii_case(told)))
}

/// What a gateway decided, for which the schema has no place: beside it, or in an object of the gateway's.
fn decided<'a>(record: &'a Json<'_>) -> impl Iterator<Item = &'a str> {
    let unmapped = record.at("unmapped").unwrap_or(&Json::Null);
    let objects = unmapped.fields().iter().map(|(_, value)| value);
    let objects = std::iter::once(unmapped).chain(objects);
    objects.filter_map(|object| object.first(&["decision", "verdict"]))
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
    let is_done = record.text("status_id") == Some("1");
    let is_said = record.text("status").and_then(verdict::of_one_word) == Some(Outcome::Success);
    let decided = decided(record).filter(|_| !is_said);
    let mut decisions = decisions.chain(decided).filter(|_| !is_done);
    let is_refused = record.text("action_id") == Some("2")
        || record.text("disposition_id").is_some_and(|id| STOPS.contains(&id))
        || ["action", "disposition"].iter().any(|path| is_stop(record, path))
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
        || record.first(ACTIVITIES).is_some_and(|name| spelled(name, class) == "logoff");
    let is_gate = class.is_sign_in() && !is_logoff || class.name == "access_activity";
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

fn keep<'a>(record: &'a Json<'_>, draft: &mut Draft<'a>) {
    draft.keep_each(
        record,
        &[
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
            ("event_code", "metadata.event_code"),
            ("http_method", "http_request.http_method"),
            ("iam_roles", "iam_roles"),
            ("is_mfa", "is_mfa"),
            ("message", "message"),
            ("policies", "policies"),
            ("policy", "policy"),
            ("privileges", "privileges"),
            ("product", "metadata.product.name"),
            ("session_issuer", "actor.session.issuer"),
            ("severity", "severity"),
            ("subgroup", "subgroup"),
        ],
    );
    draft.keep("activity", record.first(ACTIVITIES));
    let url = record.first(&["http_request.url.url_string", "http_request.url.path"]);
    draft.keep("url", url.map(without_token));
    let data = record.at("resources.data").filter(|data| !is_kubernetes(data));
    draft.keep("resource_data", data.and_then(Json::told));
    keep_unmapped(record.at("unmapped").unwrap_or(&Json::Null), "unmapped", draft);
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
            Json::Literal(_) | Json::Text(_) => keep_told(name, value, path, draft),
            Json::Object(_) if is_secret_name(name) => draft.keep(path, value.told()),
            Json::Object(_) if !(value.has("kind") && value.has("apiVersion")) => {
                keep_unmapped(value, &path, draft);
            }
            // As Entra and Google Workspace tell what else there is to say.
            Json::List(pairs) => {
                for pair in pairs {
                    let (name, value) = (pair.first(&["key", "name"]), pair.at("value"));
                    if let (Some(name), Some(value)) = (name, value) {
                        keep_told(name, value, format!("{path}.{name}"), draft);
                    }
                }
            }
            Json::Null | Json::Object(_) => {}
        }
    }
}

/// What a field or a pair of this name tells, of an address without the token in it.
fn keep_told<'a>(name: &str, value: &'a Json<'_>, path: String, draft: &mut Draft<'a>) {
    let told = value.as_text();
    if is_address(name) {
        draft.keep(path, told.map(without_token));
    } else {
        draft.keep(path, told);
    }
}
