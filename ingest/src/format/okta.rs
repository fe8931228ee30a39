//! Okta System Log events.
//!
//! Invariant: Okta's `unknown` is no identity, no session and no target. The token of a link that was
//! mailed is not kept. A user is on whose behalf a program acts only where it was given a token for them.
//!
//! Source: Okta, *System Log API* and *Event Types*.

use schemas::{CredentialKind, Outcome};

use super::draft::{Draft, Needs, Word};
use super::json::Json;
use super::{Fault, kebab, verdict};

pub(super) const NEEDS: Needs = Needs { agent: "actor", action: "eventType", time: "published" };

pub(super) fn draft<'a>(record: &'a Json<'_>) -> Result<Draft<'a>, Fault> {
    let mut draft = Draft::new(NEEDS, record, &["published"])?;
    draft.event_id = record.text("uuid").map(Into::into);
    draft.source = record.first(&["client.ipAddress", "request.ipChain.ip"]).map(Into::into);
    draft.user_agent = record.text("client.userAgent.rawUserAgent").map(Into::into);
    draft.session = known(record, "authenticationContext.externalSessionId").map(Into::into);
    if let Some(agent) = agent(record) {
        draft.agent = Some(agent.into());
        let kind = actor_type(record).unwrap_or("user");
        draft.class = Some(format!("okta:{}", kebab(kind)).into());
        draft.credential = credential(record, agent, kind);
    }
    let action = record.first(&["eventType", "legacyEventType"]);
    draft.action = action.map(Into::into);
    target(record, &mut draft);
    if actor_type(record).is_some_and(is_program) {
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

/// What the actor is. Of an application that acts for itself Okta writes `PublicClientAppEntity`.
fn actor_type<'a>(record: &'a Json<'_>) -> Option<&'a str> {
    record.text("actor.type").map(|kind| kind.strip_suffix("Entity").unwrap_or(kind))
}

/// Whether an actor of this type acts for others with tokens.
fn is_program(kind: &str) -> bool {
    kind.ends_with("ClientApp") || kind.eq_ignore_ascii_case("AIAgent")
}

/// Whether a program asked for a token for a user, or was given one.
fn is_grant(action: &str) -> bool {
    action.starts_with("app.oauth2.")
        && [".token.grant", ".authorize"].iter().any(|part| action.contains(part))
}

/// A text that is not `unknown`.
fn known<'a>(json: &'a Json<'_>, path: &str) -> Option<&'a str> {
    json.text(path).filter(|text| !text.eq_ignore_ascii_case("unknown"))
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
    let secret = known(record, "debugContext.debugData.clientSecretId");
    if let Some(id) = secret.or_else(|| known(record, "debugContext.debugData.clientKeyId")) {
        return Some((CredentialKind::StaticKey, id.into()));
    }
    if is_program(kind) {
        return Some((CredentialKind::AccessToken, format!("oauth:{agent}").into()));
    }
    if kind == "SystemPrincipal" {
        return Some((CredentialKind::Platform, format!("service:{agent}").into()));
    }
    // What was shown at a sign-in, which then opens the session.
    let is_sign_in = record.text("eventType").is_some_and(|action| {
        action.starts_with("user.session.start") || action.starts_with("user.authentication")
    });
    let shown = ["authenticationContext.credentialType", "debugContext.debugData.factor"];
    let shown = shown.iter().find_map(|path| known(record, path)).filter(|_| is_sign_in)?;
    let shown = shown.strip_suffix("_AS_FACTOR").unwrap_or(shown);
    let kind = match shown {
        "PASSWORD" | "OTP" | "SMS" | "EMAIL" => CredentialKind::Password,
        "ASSERTION" | "OAUTH2" | "JWT" | "IWA" => CredentialKind::AccessToken,
        "CERTIFICATE" => CredentialKind::Certificate,
        _ => return None,
    };
    Some((kind, format!("{}:{agent}", kebab(shown)).into()))
}

/// How a target is called.
fn name<'a>(target: &'a Json<'_>) -> Option<&'a str> {
    ["alternateId", "displayName", "id"].iter().find_map(|path| known(target, path))
}

/// The first target is what was acted on; the first application among them is the other side.
fn target<'a>(record: &'a Json<'_>, draft: &mut Draft<'a>) {
    let targets = record.list("target");
    if let Some((target, name)) = targets.iter().find_map(|one| Some((one, name(one)?))) {
        draft.resource = Some(name.into());
        draft.resource_kind = target.text("type").map(|kind| kebab(kind).into());
    }
    let app = targets.iter().find(|one| one.text("type") == Some("AppInstance"));
    draft.counterparty = app.and_then(name).map(|app| ("app".into(), app.into()));
}

fn outcome(record: &Json<'_>, action: &str) -> Outcome {
    let reason = record.text("outcome.reason").unwrap_or_default();
    let is_gate = ["user.session", "user.authentication", "policy.", "app.oauth2"]
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

/// A path up to where the token of a link that was mailed stands in it.
fn without_token(uri: &str) -> &str {
    const BEFORE_TOKENS: [&str; 9] = [
        "reset_password",
        "reset-password",
        "recovery",
        "verify",
        "verify-email",
        "welcome",
        "activate",
        "unlock",
        "account-unlock",
    ];
    let path = uri.split('?').next().unwrap_or_default();
    let mut end = 0;
    for part in path.split_inclusive('/') {
        end += part.len();
        if BEFORE_TOKENS.contains(&part.trim_end_matches('/')) {
            return &path[..end];
        }
    }
    path
}

fn keep<'a>(record: &'a Json<'_>, draft: &mut Draft<'a>) {
    draft.keep_each(
        record,
        &[
            ("actor_id", "actor.id"),
            ("actor_name", "actor.displayName"),
            ("as_org", "securityContext.asOrg"),
            ("country", "client.geographicalContext.country"),
            ("device", "client.device"),
            ("device_id", "device.id"),
            ("device_name", "device.name"),
            ("display_message", "displayMessage"),
            ("granted_scopes", "debugContext.debugData.grantedScopes"),
            ("grant_type", "debugContext.debugData.grantType"),
            ("is_proxy", "securityContext.isProxy"),
            ("outcome", "outcome.result"),
            ("privilege_granted", "debugContext.debugData.privilegeGranted"),
            ("risk", "debugContext.debugData.risk"),
            ("severity", "severity"),
            ("threat_suspected", "debugContext.debugData.threatSuspected"),
            ("transaction_id", "transaction.id"),
        ],
    );
    draft.keep("request_uri", record.text("debugContext.debugData.requestUri").map(without_token));
    for (name, path) in [("browser", "client.userAgent.browser"), ("os", "client.userAgent.os")] {
        draft.keep(name, known(record, path));
    }
    // What was issued: an agent's credential, an API token.
    let targets = record.list("target").iter();
    let mut issued = targets.filter(|one| {
        one.text("type").is_some_and(|kind| kind.contains("Token") || kind.contains("redential"))
    });
    draft.keep("target_credential_id", issued.next().and_then(|one| known(one, "id")));
}
