//! Anthropic activity feed (Compliance API).
//!
//! Invariant: an activity that nobody signed in for is the agent `anthropic:unauthenticated`.
//!
//! Source: Anthropic, *Compliance API*, activity types and actors.

use schemas::{CredentialKind, Outcome};

use super::draft::{Draft, Needs, Word};
use super::json::{Json, is_same_name};
use super::{Fault, kebab, verdict};

pub(super) const NEEDS: Needs = Needs { agent: "actor", action: "type", time: "created_at" };

const KNOWN: &[&str] = &["id", "created_at", "type", "actor"];
/// Ids that say where something happened and not to what.
const PLACES: &[&str] = &["id", "organization_id", "workspace_id", "request_id", "session_id"];

const AGENTS: &[&str] = &[
    "actor.email_address",
    "actor.service_account_id",
    "actor.user_id",
    "actor.api_key_id",
    "actor.admin_api_key_id",
    "actor.scoped_api_key_id",
    "actor.directory_id",
    "actor.service",
    "actor.id",
    "actor.name",
];
const KEYS: &[&str] = &["actor.api_key_id", "actor.admin_api_key_id", "actor.scoped_api_key_id"];
const UNAUTHENTICATED: &str = "anthropic:unauthenticated";

pub(super) fn draft<'a>(record: &'a Json<'_>) -> Result<Draft<'a>, Fault> {
    let mut draft = Draft::new(NEEDS, record, &["created_at"])?;
    draft.event_id = record.text("id").map(Into::into);
    draft.source = record.first(&["actor.ip_address", "ip_address"]).map(Into::into);
    draft.user_agent = record.first(&["actor.user_agent", "user_agent"]).map(Into::into);
    draft.session = record.first(&["actor.session_id", "session_id"]).map(Into::into);
    draft.model = record.text("model").map(Into::into);
    let kind = record.text("actor.type").unwrap_or_default().to_ascii_lowercase();
    if kind.starts_with("unauthenticated") {
        let from = record.text("actor.ip_address").unwrap_or("unknown");
        let credential = format!("anonymous:{from}");
        draft.agent = Some(UNAUTHENTICATED.into());
        draft.class = Some(UNAUTHENTICATED.into());
        draft.credential = Some((CredentialKind::Anonymous, credential.into()));
        draft.keep("claimed", record.text("actor.unauthenticated_email_address"));
    } else if let Some(agent) = record.first(AGENTS) {
        draft.agent = Some(agent.into());
        let kind = kind.trim_end_matches("_actor");
        draft.class = (!kind.is_empty()).then(|| format!("anthropic:{}", kebab(kind)).into());
        draft.credential = Some(credential(record, agent, kind));
    } else if matches!(kind.as_str(), "anthropic_actor" | "system_actor") {
        // The vendor itself acts, and tells no name.
        let agent = format!("anthropic:{}", kind.trim_end_matches("_actor"));
        draft.credential = Some((CredentialKind::Platform, format!("service:{agent}").into()));
        draft.class = Some(agent.clone().into());
        draft.agent = Some(agent.into());
    }
    let action = record.text("type");
    draft.action = action.map(Into::into);
    target(record, &mut draft);
    let action = action.unwrap_or_default();
    let has_failed = ["failed", "denied", "blocked"].iter().any(|word| action.contains(word));
    draft.outcome = match has_failed {
        true if action.contains("login") || action.contains("access_failed") => Outcome::Denied,
        true => verdict::of_error(action),
        false => Outcome::Success,
    };
    draft.outcome_reason = record.first(&["error", "reason", "failure_reason"]).map(Into::into);
    draft.keep("actor_user_id", record.text("actor.user_id"));
    if action.ends_with("api_key_created") {
        let issued = ["api_key_id", "admin_api_key_id", "scoped_api_key_id"];
        draft.keep("issued_credential_id", record.first(&issued));
    }
    draft.keep_rest(record, KNOWN);
    Ok(draft)
}

/// A key by its id; a person at the console or the app has a session that is not told.
fn credential<'a>(record: &'a Json<'_>, agent: &'a str, kind: &str) -> (CredentialKind, Word<'a>) {
    match (record.first(KEYS), kind) {
        (Some(key), _) => (CredentialKind::StaticKey, key.into()),
        (None, "user") => (CredentialKind::Session, format!("session:{agent}").into()),
        (None, "anthropic" | "system" | "scim_directory_sync") => {
            (CredentialKind::Platform, format!("service:{agent}").into())
        }
        (None, _) => (CredentialKind::Unknown, format!("unknown:{agent}").into()),
    }
}

/// The first id that is not the place; whom something was given to or taken from is the other side.
fn target<'a>(record: &'a Json<'_>, draft: &mut Draft<'a>) {
    let mut ids = record.fields().iter().filter_map(|(name, value)| {
        let is_place = PLACES.iter().any(|place| is_same_name(name, place));
        let kind = ["_id", "_ID", "Id"].iter().find_map(|end| name.strip_suffix(end));
        let kind = kind.filter(|_| !is_place)?;
        Some((kind, value.as_text()?))
    });
    if let Some(id) = record.text("resource_id") {
        draft.resource = Some(id.into());
        draft.resource_kind = Some(record.text("resource_type").unwrap_or("resource").into());
    } else if let Some((kind, id)) = ids.next() {
        draft.resource = Some(id.into());
        draft.resource_kind = Some(kind.into());
    } else if let Some(id) = record.text("workspace_id") {
        // Nothing but the place is told: it was done to the place.
        draft.resource = Some(id.into());
        draft.resource_kind = Some("workspace".into());
    }
    let people =
        ["deleted_user_email", "invited_email", "email_address", "user_email", "target_email"];
    let other = record.first(&["target_id", "principal_id"]);
    let member = record.text("user_id").filter(|user| record.text("actor.user_id") != Some(user));
    draft.counterparty = match (record.first(&people).or(member), other) {
        (Some(person), _) => Some(("user".into(), person.into())),
        (None, Some(target)) => {
            let kind = record.first(&["target_type", "principal_type"]).unwrap_or("target");
            Some((kind.into(), target.into()))
        }
        (None, None) => {
            let server = record.first(&["mcp_server_url", "url"]).and_then(super::arguments::host);
            let other = server.map(|host| ("host", host));
            let app = record.text("integration_type").map(|app| ("integration", app));
            let named = record.text("mcp_server_name").map(|name| ("mcp_server", name));
            other.or(app).or(named).map(|(kind, id)| (kind.into(), id.into()))
        }
    };
}
