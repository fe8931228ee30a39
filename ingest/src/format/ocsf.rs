//! OCSF 1.x: API Activity (6003), Authentication (3002), Authorize Session (3003), Entity Management
//! (3004).
//!
//! Invariant: a record of another class is a reject; an agent of the profile `ai_operation` comes
//! before the user it acts for, and the user then stands in the delegation. The body of a request to
//! Kubernetes is not kept, as in `kubernetes.rs`.
//!
//! Source: OCSF schema 1.9, classes and the profiles `ai_operation` and `cloud`.

use schemas::{CredentialKind, Outcome};

use super::draft::{Draft, Needs, Word};
use super::json::Json;
use super::{Fault, kebab, verdict};

pub(super) const NEEDS: Needs =
    Needs { agent: "ai_agent.uid or actor.user.uid", action: "api.operation", time: "time" };
const TIMES: &[&str] = &["time", "time_dt", "metadata.original_time"];

const API_ACTIVITY: &str = "6003";
const CLASSES: &[(&str, &str)] = &[
    (API_ACTIVITY, "api_activity"),
    ("3002", "authentication"),
    ("3003", "authorize_session"),
    ("3004", "entity_management"),
];

/// The names of the activities of a class, the first of which is 1.
const ACTIVITIES: &[(&str, &[&str])] = &[
    ("api_activity", &["create", "read", "update", "delete"]),
    (
        "authentication",
        &[
            "logon",
            "logoff",
            "authentication-ticket",
            "service-ticket-request",
            "service-ticket-renew",
        ],
    ),
    ("authorize_session", &["assign-privileges", "assign-groups"]),
    ("entity_management", &["create", "read", "update", "delete"]),
];

const AI_AGENTS: &[&str] =
    &["ai_agent.uid", "actor.ai_agent.uid", "ai_agent.name", "actor.ai_agent.name"];
const USERS: &[&str] = &["user.uid", "user.name", "user.email_addr", "user.uid_alt"];
const ACTORS: &[&str] = &[
    "actor.user.uid",
    "actor.user.name",
    "actor.user.email_addr",
    "actor.user.uid_alt",
    "actor.uid",
    "actor.name",
    "actor.app_uid",
    "actor.app_name",
    "actor.invoked_by",
    "actor.process.name",
];

pub(super) fn draft<'a>(record: &'a Json<'_>) -> Result<Draft<'a>, Fault> {
    // The type is the class with two digits of the activity behind it.
    let of_type = record.text("type_uid").and_then(|uid| uid.get(..uid.len().checked_sub(2)?));
    let class_uid = record.text("class_uid").or(of_type).unwrap_or_default();
    let Some((_, class)) = CLASSES.iter().find(|(uid, _)| *uid == class_uid) else {
        return Err(Fault::bad_field(
            "`class_uid`: wanted 6003, 3002, 3003 or 3004, found another class",
        ));
    };
    let mut draft = Draft::new(NEEDS, record, TIMES)?;
    draft.event_id = record.first(&["metadata.uid", "api.request.uid"]).map(Into::into);
    draft.source = record.first(&["src_endpoint.ip", "device.ip"]).map(Into::into);
    draft.user_agent = record.text("http_request.user_agent").map(Into::into);
    actor(record, class, &mut draft);
    draft.session = record.first(&["actor.session.uid", "session.uid"]).map(Into::into);
    let agent = draft.agent.clone();
    draft.credential = credential(record).or_else(|| {
        let agent = agent.as_deref()?;
        by_protocol(record, class, agent)
            .or_else(|| by_console(record, class, agent))
            .or_else(|| by_actor(record, agent))
    });
    draft.action = action(record, class);
    target(record, &mut draft);
    (draft.outcome, draft.outcome_reason) = outcome(record, class);
    keep(record, &mut draft);
    Ok(draft)
}

fn actor<'a>(record: &'a Json<'_>, class: &str, draft: &mut Draft<'a>) {
    let agent = record.first(AI_AGENTS);
    // Whoever signs in is the user; elsewhere the user is whom something was done to.
    let user = match class {
        "authentication" => record.first(USERS).or_else(|| record.first(ACTORS)),
        // Kubernetes knows its users by name; the id is that of what showed who they are.
        _ => record
            .text("actor.user.name")
            .filter(|name| name.starts_with("system:"))
            .or_else(|| record.first(ACTORS))
            .or_else(|| record.first(USERS)),
    };
    if class == "authorize_session" && record.first(ACTORS).is_some() {
        let to = record.first(USERS);
        draft.counterparty = to.map(|user| ("user".into(), user.into()));
    }
    draft.agent = agent.or(user).map(Into::into);
    let ai = record.at("ai_agent").or_else(|| record.at("actor.ai_agent")).unwrap_or(&Json::Null);
    let named = ai.first(&["charter.name", "charter.uid", "charter", "name", "type"]);
    // The session of a role was issued by the role.
    let issuer = record.first(&["actor.session.issuer", "session.issuer"]);
    let role = issuer.filter(|issuer| issuer.contains(":role/"));
    draft.class = match (named.or(role), record.first(&["actor.user.type", "user.type"])) {
        (Some(class), _) => Some(class.into()),
        (None, Some(kind)) => Some(format!("ocsf:{}", kebab(kind)).into()),
        (None, None) => None,
    };
    draft.instance = ai.first(&["instance_uid", "version"]).map(Into::into);
    let model = ["ai_agent.ai_model", "actor.ai_agent.ai_model", "ai_model"];
    let model = model.iter().find_map(|path| record.at(path)).unwrap_or(&Json::Null);
    draft.model = match (model.first(&["name", "uid"]), model.text("version")) {
        (Some(name), Some(version)) => Some(format!("{name}-{version}").into()),
        (name, _) => name.or(model.as_text()).map(Into::into),
    };
    if agent.is_some() {
        draft.delegation.extend(user.map(Into::into));
    }
    for hop in record.list("delegation") {
        let names = ["parent_uid", "issuer_uid"].iter().filter_map(|path| hop.text(path));
        draft.delegation.extend(names.map(Into::into));
    }
    draft.delegation.extend(role.map(Into::into));
    draft.grant = record.text("delegation.uid").map(Into::into);
}

/// By the token's type: 7 is an API key. An AWS key says itself what it is.
fn credential<'a>(record: &'a Json<'_>) -> Option<(CredentialKind, Word<'a>)> {
    let is_key = |id: &str| id.starts_with("AKIA");
    if let Some(id) = record.first(&["api.token.uid", "authentication_token.uid", "token.uid"]) {
        let kind = match record.first(&["api.token.type_id", "authentication_token.type_id"]) {
            Some("7") => CredentialKind::StaticKey,
            _ if is_key(id) => CredentialKind::StaticKey,
            _ => CredentialKind::AccessToken,
        };
        return Some((kind, id.into()));
    }
    let uids = [
        "actor.user.credential_uid",
        "actor.session.credential_uid",
        "session.credential_uid",
        "user.credential_uid",
    ];
    if let Some(id) = record.first(&uids) {
        let kind = match id {
            _ if is_key(id) => CredentialKind::StaticKey,
            _ if id.starts_with("ASIA") => CredentialKind::TemporaryKey,
            _ if record.text("actor.user.type") == Some("IdentityCenterUser") => {
                CredentialKind::AccessToken
            }
            _ if record.at("session").or_else(|| record.at("actor.session")).is_some() => {
                CredentialKind::TemporaryKey
            }
            _ => CredentialKind::Unknown,
        };
        return Some((kind, id.into()));
    }
    let serial = record.first(&["certificate.serial_number", "certificate.uid"])?;
    Some((CredentialKind::Certificate, serial.into()))
}

/// Where no credential is told, what sort it must be by who acts.
fn by_actor<'a>(record: &'a Json<'_>, agent: &str) -> Option<(CredentialKind, Word<'a>)> {
    if agent.starts_with("system:serviceaccount:") {
        return Some((CredentialKind::ServiceAccountToken, format!("token:{agent}").into()));
    }
    if record.text("actor.invoked_by") == Some(agent) {
        return Some((CredentialKind::Platform, format!("service:{agent}").into()));
    }
    None
}

/// What a sign-in showed, by the protocol it came with.
fn by_protocol<'a>(
    record: &'a Json<'_>,
    class: &str,
    agent: &str,
) -> Option<(CredentialKind, Word<'a>)> {
    if class != "authentication" {
        return None;
    }
    let number = record.text("auth_protocol_id").filter(|id| !matches!(*id, "0" | "99"));
    let name = record.text("auth_protocol").map(|name| {
        name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
    });
    let factor = record.first(&["auth_factors.factor_type", "auth_factors.factor_type_id"]);
    let (kind, prefix) = match (number, name.as_deref(), factor) {
        // NTLM, Digest, PAP, CHAP, Basic Authentication, LDAP.
        (Some("1" | "3" | "7" | "8" | "11" | "12"), ..)
        | (None, Some("ntlm" | "digest" | "pap" | "chap" | "basicauthentication" | "ldap"), _)
        | (None, None, Some("Password" | "9")) => (CredentialKind::Password, "password"),
        // Kerberos, OpenID, SAML, OAuth 2.0.
        (Some("2" | "4" | "5" | "6"), ..)
        | (None, Some("kerberos" | "openid" | "saml" | "oauth20" | "oauth2"), _) => {
            (CredentialKind::AccessToken, "token")
        }
        _ => return None,
    };
    Some((kind, format!("{prefix}:{agent}").into()))
}

/// What a sign-in to the console of AWS showed, as CloudTrail has it: users and root have a password there.
fn by_console<'a>(
    record: &'a Json<'_>,
    class: &str,
    agent: &str,
) -> Option<(CredentialKind, Word<'a>)> {
    let is_console =
        class == "authentication" && record.text("api.operation") == Some("ConsoleLogin");
    let kind = record.first(&["actor.user.type", "user.type"]);
    let has_password = is_console && matches!(kind, Some("IAMUser" | "Root"));
    has_password.then(|| (CredentialKind::Password, format!("password:{agent}").into()))
}

/// `service:Operation` of an API, `noun.verb` of the other classes.
fn action<'a>(record: &'a Json<'_>, class: &str) -> Option<Word<'a>> {
    if let Some(operation) = record.text("api.operation") {
        return Some(match record.text("api.service.name") {
            Some(service) => format!("{service}:{operation}").into(),
            None => operation.into(),
        });
    }
    let number = record.text("activity_id");
    let named = number.and_then(|number| {
        let (.., names) = ACTIVITIES.iter().find(|(known, _)| *known == class)?;
        Some((*names.get(number.parse::<usize>().ok()?.checked_sub(1)?)?).to_owned())
    });
    let activity = record
        .text("activity_name")
        .map(kebab)
        .or(named)
        .or_else(|| Some(format!("activity-{}", number?)))?;
    Some(format!("{class}.{activity}").into())
}

fn target<'a>(record: &'a Json<'_>, draft: &mut Draft<'a>) {
    let places = ["resources", "resource", "entity", "group", "service"];
    let named = places.iter().find_map(|place| {
        let resource = record.at(place)?;
        Some((resource.first(&["uid", "name"])?, resource.text("type").unwrap_or(place)))
    });
    if let Some((name, kind)) = named {
        draft.resource = Some(name.into());
        draft.resource_kind = Some(kind.to_owned().into());
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
    ];
    let other = others.iter().find_map(|(path, kind)| Some((*kind, record.text(path)?)));
    if let (None, Some((kind, id))) = (&draft.counterparty, other) {
        draft.counterparty = Some((kind.into(), id.into()));
    }
    if let Some(arguments) = record.at("api.request.data").filter(|data| !is_kubernetes(data)) {
        draft.stake(arguments);
    }
}

/// Whether this is an object of Kubernetes, also in a text.
fn is_kubernetes(data: &Json<'_>) -> bool {
    let told = data.told().unwrap_or_default();
    told.contains("\"kind\"") && told.contains("\"apiVersion\"")
}

fn outcome<'a>(record: &'a Json<'_>, class: &str) -> (Outcome, Option<Word<'a>>) {
    let reasons = ["status_detail", "api.response.error", "api.response.message", "status_code"];
    let reason = record.first(&reasons);
    let is_refused =
        record.text("action_id") == Some("2") || record.text("disposition_id") == Some("2");
    let by_code = record.first(&["status_code", "api.response.code", "http_response.code"]);
    let by_code = by_code.and_then(verdict::of_http);
    let has_failed = match (record.text("status_id"), record.text("status")) {
        (Some(id @ ("1" | "2")), _) => id == "2",
        (_, Some(status)) => {
            let words = status.to_ascii_lowercase();
            words.contains("fail")
                || words.contains("error")
                || verdict::of_error(&words) == Outcome::Denied
        }
        (_, None) => matches!(by_code, Some(Outcome::Denied | Outcome::Error)),
    };
    let outcome = match has_failed {
        _ if is_refused => Outcome::Denied,
        false => return (Outcome::Success, None),
        true if class == "authentication" || by_code == Some(Outcome::Denied) => Outcome::Denied,
        true => {
            let told = [reason, record.text("status")].into_iter().flatten();
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
            ("activity", "activity_name"),
            ("auth_protocol", "auth_protocol"),
            ("class_uid", "class_uid"),
            ("cloud_account", "cloud.account.uid"),
            ("cloud_region", "cloud.region"),
            ("correlation_uid", "metadata.correlation_uid"),
            ("device_name", "device.hostname"),
            ("device_uid", "device.uid"),
            ("delegation_audience", "delegation.audience"),
            ("delegation_expires", "delegation.expiration_time"),
            ("delegation_scopes", "delegation.scopes"),
            ("is_mfa", "is_mfa"),
            ("product", "metadata.product.name"),
            ("session_issuer", "actor.session.issuer"),
            ("severity", "severity"),
            ("user_name", "actor.user.name"),
        ],
    );
}
