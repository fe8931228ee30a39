//! Okta System Log events.
//!
//! Invariant: Okta's `unknown` is no identity, no session and no target. The token of a link that was
//! mailed is not kept. A user is on whose behalf a program acts only where it was given a token for them.
//!
//! Source: Okta, *System Log API* and *Event Types*; Elastic, *Okta integration*, exported fields.

pub(super) mod row;

use schemas::{CredentialKind, Outcome};

use super::arguments::without_token;
use super::draft::{Draft, Needs, Word};
use super::json::Json;
use super::{Fault, kebab, verdict};

pub(super) const NEEDS: Needs = Needs { agent: "actor", action: "eventType", time: "published" };

/// When it happened: in a document of Elastic's the time stands beside the event; the download of Okta's
/// console has a name of its own for it.
const TIMES: &[&str] = &["published", "okta.published", "@timestamp", "timestamp"];
/// Where Okta has what it knows of a request, and where Elastic keeps what it has no field for.
const DEBUG: [&str; 2] = ["debugContext.debugData", "debugContext.debugData.flattened"];

pub(super) fn draft<'a>(record: &'a Json<'_>) -> Result<Draft<'a>, Fault> {
    let mut draft = Draft::new(NEEDS, record, TIMES)?;
    let beside = record.text("source.ip");
    let record = record.at("okta").filter(|inner| inner.has("eventType")).unwrap_or(record);
    draft.event_id = record.text("uuid").map(Into::into);
    let source = record.first(&["client.ipAddress", "client.ip", "request.ipChain.ip"]);
    draft.source = source.or(beside).map(Into::into);
    draft.user_agent = record.text("client.userAgent.rawUserAgent").map(Into::into);
    let sessions =
        ["authenticationContext.externalSessionId", "authenticationContext.rootSessionId"];
    draft.session = sessions.iter().find_map(|path| known(record, path)).map(Into::into);
    let kind = actor_type(record);
    if let Some(agent) = agent(record) {
        draft.agent = Some(agent.into());
        draft.class = Some(format!("okta:{kind}").into());
        draft.credential = credential(record, agent, &kind);
    }
    let action = record.first(&["eventType", "legacyEventType"]);
    draft.action = action.map(Into::into);
    target(record, action.unwrap_or_default(), &mut draft);
    if is_program(record, &kind) {
        let users = record.list("target").iter();
        let user = users.filter(|one| one.text("type") == Some("User")).find_map(name);
        if action.is_some_and(is_grant) {
            draft.delegation.extend(user.map(Into::into));
        } else if draft.counterparty.is_none() {
            draft.counterparty = user.map(|user| ("okta_user".into(), user.into()));
        }
    }
    draft.outcome = outcome(record, action.unwrap_or_default());
    draft.outcome_reason = record.text("outcome.reason").map(Into::into);
    keep(record, &mut draft);
    Ok(draft)
}

/// What the actor is, however it is spelled (`AIAgent`, `AI Agent`). Of an application that acts for itself
/// Okta writes `PublicClientAppEntity`.
fn actor_type(record: &Json<'_>) -> String {
    let kind = record.text("actor.type").unwrap_or("user");
    kebab(kind.strip_suffix("Entity").unwrap_or(kind))
}

/// Whether an actor of this type acts with tokens, for itself or for others: a client, an agent or another
/// workload, whose ids all begin alike.
fn is_program(record: &Json<'_>, kind: &str) -> bool {
    kind.ends_with("client-app")
        || ["ai-agent", "workload-principal"].contains(&kind)
        || record.text("actor.id").is_some_and(|id| id.starts_with("wlp"))
}

/// Whether a program asked for a token for a user, or was given one.
fn is_grant(action: &str) -> bool {
    action.starts_with("app.oauth2.")
        && [".token.grant", ".authorize"].iter().any(|part| action.contains(part))
}

/// What Okta knows of a request, by its name for it.
fn debug<'a>(record: &'a Json<'_>, name: &str) -> Option<&'a str> {
    DEBUG.iter().filter_map(|path| record.at(path)).find_map(|data| known(data, name))
}

/// A text that is not `unknown`.
fn known<'a>(json: &'a Json<'_>, path: &str) -> Option<&'a str> {
    let told = json.text(path).map(str::trim).filter(|text| !text.is_empty());
    told.filter(|text| !text.eq_ignore_ascii_case("unknown"))
}

fn agent<'a>(record: &'a Json<'_>) -> Option<&'a str> {
    ["actor.alternateId", "actor.id", "actor.displayName", "client.id"]
        .iter()
        .find_map(|path| known(record, path))
}

fn credential<'a>(
    record: &'a Json<'_>,
    agent: &'a str,
    kind: &str,
) -> Option<(CredentialKind, Word<'a>)> {
    if let Some(id) = known(record, "transaction.detail.requestApiTokenId") {
        return Some((CredentialKind::StaticKey, id.into()));
    }
    let secret = debug(record, "clientSecretId");
    if let Some(id) = secret.or_else(|| debug(record, "clientKeyId")) {
        return Some((CredentialKind::StaticKey, id.into()));
    }
    if is_program(record, kind) {
        return Some((CredentialKind::AccessToken, format!("oauth:{agent}").into()));
    }
    // Okta itself, and its own connectors to directories (`AD_AGENT`).
    if kind == "system-principal" || kind.ends_with("-agent") {
        return Some((CredentialKind::Platform, format!("service:{agent}").into()));
    }
    // What was shown at a sign-in, which then opens the session.
    let shown = known(record, "authenticationContext.credentialType");
    let shown = shown.or_else(|| debug(record, "factor"));
    let shown = shown.or_else(|| record.list("target").iter().find_map(method));
    let shown = shown.filter(|_| record.text("eventType").is_some_and(is_sign_in))?;
    let shown = shown.strip_suffix("_AS_FACTOR").unwrap_or(shown);
    let kind = match shown.to_ascii_uppercase().as_str() {
        "PASSWORD" | "OTP" | "SMS" | "EMAIL" => CredentialKind::Password,
        "ASSERTION" | "OAUTH2" | "JWT" | "IWA" => CredentialKind::AccessToken,
        "CERTIFICATE" => CredentialKind::Certificate,
        _ => return None,
    };
    Some((kind, format!("{}:{agent}", kebab(shown)).into()))
}

/// Whether somebody shows who they are.
fn is_sign_in(action: &str) -> bool {
    ["user.session.start", "user.authentication"].iter().any(|start| action.starts_with(start))
}

/// Whether a target is what somebody has enrolled to show who they are.
fn is_authenticator(target: &Json<'_>) -> bool {
    target.text("type") == Some("AuthenticatorEnrollment")
}

/// What was shown of an authenticator; the Identity Engine tells it there alone.
fn method<'a>(target: &'a Json<'_>) -> Option<&'a str> {
    let names = ["detailEntry.methodTypeUsed", "displayName"];
    target.first(&names).filter(|_| is_authenticator(target))
}

/// How a target is called. What has its id as its other name, too, is called as it is displayed, but for a
/// client, which acts under that id.
fn name<'a>(target: &'a Json<'_>) -> Option<&'a str> {
    let is_client = target.text("type").is_some_and(|kind| kind.contains("ClientApp"));
    let is_other = |other: &&str| is_client || target.text("id") != Some(other);
    let other = known(target, "alternateId").filter(is_other);
    other.or_else(|| ["displayName", "id"].iter().find_map(|path| known(target, path)))
}

/// The first target is what was acted on, but of the members of a group the group; what is shown at a sign-in
/// is not. The first application among them, or the host that is reached, or the member is the other side.
/// The others are kept.
fn target<'a>(record: &'a Json<'_>, action: &str, draft: &mut Draft<'a>) {
    let targets = record.list("target");
    let is_of = |kind: &str, one: &&Json<'_>| one.text("type") == Some(kind);
    let is_membership = action.starts_with("group.user_membership.");
    let group = targets.iter().find(|one| is_membership && is_of("UserGroup", one));
    let named = |one: &'a Json<'_>| Some((one, name(one)?));
    let mut others = targets.iter().filter(|one| !is_sign_in(action) || !is_authenticator(one));
    let acted_on = group.and_then(named).or_else(|| others.find_map(named));
    if let Some((target, name)) = acted_on {
        draft.resource = Some(name.into());
        draft.resource_kind = target.text("type").map(|kind| kebab(kind).into());
    }
    let app = targets.iter().find(|one| is_of("AppInstance", one));
    let member = targets.iter().find(|one| group.is_some() && is_of("User", one)).and_then(name);
    let hosts = debug(record, "serverHostnames");
    let host = hosts.and_then(|hosts| hosts.split(',').next());
    let places =
        [(app.and_then(name), "app"), (host.map(str::trim), "host"), (member, "okta_user")];
    let other = places.into_iter().find_map(|(name, kind)| Some((kind, name?)));
    draft.counterparty = other.map(|(kind, name)| (kind.into(), name.into()));
}

fn outcome(record: &Json<'_>, action: &str) -> Outcome {
    let reason = record.text("outcome.reason").unwrap_or_default();
    let is_gate = [
        "user.session",
        "user.authentication",
        "user.mfa.attempt_bypass",
        "user.mfa.okta_verify.deny_push",
        "policy.",
        "app.oauth2",
        "app.generic.unauth_app_access_attempt",
    ]
    .iter()
    .any(|start| action.starts_with(start));
    let result = record.text("outcome.result").unwrap_or_default().to_ascii_uppercase();
    match result.as_str() {
        "DENY" => Outcome::Denied,
        "FAILURE" if is_gate => Outcome::Denied,
        "FAILURE" | "RATE_LIMIT" => verdict::of_error(reason),
        "UNANSWERED" | "ABANDONED" | "ERROR" => Outcome::Error,
        // An outcome is optional: what does not say that it failed did not fail.
        _ => Outcome::Success,
    }
}

fn keep<'a>(record: &'a Json<'_>, draft: &mut Draft<'a>) {
    draft.keep_each(
        record,
        &[
            ("actor_id", "actor.id"),
            ("actor_name", "actor.displayName"),
            ("as_org", "securityContext.asOrg"),
            ("as_org", "securityContext.as.organization.name"),
            ("country", "client.geographicalContext.country"),
            ("device", "client.device"),
            ("device_id", "device.id"),
            ("device_name", "device.name"),
            ("display_message", "displayMessage"),
            ("is_proxy", "securityContext.isProxy"),
            ("outcome", "outcome.result"),
            ("severity", "severity"),
            ("transaction_id", "transaction.id"),
        ],
    );
    keep_of_request(record, draft);
    keep_targets(record, draft);
}

fn keep_of_request<'a>(record: &'a Json<'_>, draft: &mut Draft<'a>) {
    let names = [
        ("behaviors", "behaviors"),
        ("granted_scopes", "grantedScopes"),
        ("grant_type", "grantType"),
        ("original_principal", "originalPrincipal.alternateId"),
        ("privilege_granted", "privilegeGranted"),
        ("push_response", "pushOnlyResponseType"),
        ("risk", "risk"),
        ("security_data", "logOnlySecurityData"),
        ("suspicious_event_id", "suspiciousActivityEventId"),
        ("suspicious_event_ip", "suspiciousActivityEventIp"),
        ("suspicious_event_type", "suspiciousActivityEventType"),
        ("threat_suspected", "threatSuspected"),
    ];
    for data in DEBUG.iter().rev().filter_map(|path| record.at(path)) {
        draft.keep_each(data, &names);
    }
    draft.keep("request_uri", debug(record, "requestUri").map(without_token));
    for (name, path) in [("browser", "client.userAgent.browser"), ("os", "client.userAgent.os")] {
        draft.keep(name, known(record, path));
    }
}

fn keep_targets<'a>(record: &'a Json<'_>, draft: &mut Draft<'a>) {
    let targets = record.list("target").iter();
    // What was issued: an agent's credential, a token of any kind, a certificate for a host.
    let issued = targets.clone().find(|one| is_credential(one));
    let print = debug(record, "x509KeyFingerprint");
    // Of a client's secret some tell the client's id.
    let client = debug(record, "clientId");
    let id = issued.and_then(|one| known(one, "id")).filter(|id| client != Some(id));
    draft.keep("target_credential_id", id.or(print));
    if let Some(issued) = issued {
        let names = [
            ("target_credential_hash", "detailEntry.hash"),
            ("target_credential_subject", "detailEntry.subject"),
        ];
        draft.keep_each(issued, &names);
    }
    if let Some(shown) = targets.clone().find(|one| is_authenticator(one)) {
        let names = [
            ("authenticator_method", "detailEntry.methodTypeUsed"),
            ("authenticator_properties", "detailEntry.methodUsedVerifiedProperties"),
        ];
        draft.keep_each(shown, &names);
    }
    // What it was before, and what it is now.
    let changes = targets.clone().find_map(|one| one.at("changeDetails")?.told());
    draft.keep("change_details", changes);
    let targets = targets.filter(|one| !is_credential(one));
    for (name, kind) in targets.filter_map(|one| Some((name(one)?, one.text("type")?))) {
        draft.keep_target(kind, name);
    }
}

/// Whether a target is a token, a key or the like.
fn is_credential(target: &Json<'_>) -> bool {
    let kind = target.text("type").unwrap_or_default().to_ascii_lowercase();
    ["token", "credential", "id_jag", "clientsecret"].iter().any(|part| kind.contains(part))
}
