//! Anthropic activity feed (Compliance API).
//!
//! Invariant: an activity that nobody signed in for, or whose credential failed verification, is the agent
//! `anthropic:unauthenticated`.
//!
//! Source: Anthropic, *Compliance API*, activity types and actors.

use schemas::{CredentialKind, Outcome};

use super::draft::{Draft, Needs, Word};
use super::json::Json;
use super::{Fault, kebab, verdict};

pub(super) const NEEDS: Needs = Needs { agent: "actor", action: "type", time: "created_at" };

const KNOWN: &[&str] = &["id", "created_at", "type", "actor"];
/// Ids beside which it is told what they are ids of.
const TYPED: &[(&str, &str)] = &[("resource_id", "resource_type"), ("entity_id", "entity_type")];
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
    "actor.subject",
    "actor.provider.signed_principal",
    "actor.provider.account_id",
    "actor.provider.subscription_id",
    "actor.provider.project_number",
    "actor.provider.issuer",
    "actor.external_client_id",
    "actor.id",
    "actor.name",
];
const KEYS: &[&str] = &["actor.api_key_id", "actor.admin_api_key_id", "actor.scoped_api_key_id"];
/// Who vouches for a workload that has no account.
const ISSUERS: &[&str] = &[
    "actor.issuer",
    "actor.provider.issuer",
    "actor.provider.account_id",
    "actor.provider.subscription_id",
    "actor.provider.project_number",
];
const UNAUTHENTICATED: &str = "anthropic:unauthenticated";

/// Types that end in a refusal which the actor himself spoke: he did what he wanted.
const REFUSING: &[&str] = &[
    "ccr_agent_proxy_provisioning_credential_rejected",
    "extra_usage_spend_limit_increase_request_denied",
    "org_user_invite_rejected",
];
/// How the types end that make a credential, and under which names its id is told.
const MAKING: &[&str] = &[
    "key_created",
    "key_rotated",
    "credential_created",
    "credential_rotated",
    "secret_minted",
    "token_minted",
    "token_rotated",
    // Some tunnels are issued their token with them.
    "tunnel_created",
];
const MADE: &[&str] = &[
    "new_signing_key_id",
    "signing_key_id",
    "api_key_id",
    "admin_api_key_id",
    "scoped_api_key_id",
    "service_key_id",
    "new_credential_id",
    "credential_id",
    "tunnel_token_id",
    "token_id",
];

pub(super) fn draft<'a>(record: &'a Json<'_>) -> Result<Draft<'a>, Fault> {
    let mut draft = Draft::new(NEEDS, record, &["created_at"])?;
    draft.event_id = record.text("id").map(Into::into);
    draft.source = record.first(&["actor.ip_address", "ip_address"]).map(Into::into);
    draft.user_agent = record.first(&["actor.user_agent", "user_agent"]).map(Into::into);
    let sessions = ["actor.session_id", "session_id", "conversation_id"];
    draft.session = record.first(&sessions).map(Into::into);
    actor(record, &mut draft);
    let action = record.text("type");
    draft.action = action.map(Into::into);
    target(record, &mut draft);
    let action = action.unwrap_or_default();
    // The model of what is set up is not the model that acts.
    let sets_up = ["_created", "_updated"].iter().any(|end| action.ends_with(end));
    draft.model = record.text("model").filter(|_| !sets_up).map(Into::into);
    draft.outcome = outcome(record, action);
    let reasons = ["error", "reason", "failure_reason", "status.reason", "error_type"];
    draft.outcome_reason = record.first(&reasons).map(Into::into);
    if MAKING.iter().any(|end| action.ends_with(end)) {
        draft.keep("issued_credential_id", record.first(MADE));
    }
    draft.keep_each(
        record,
        &[
            ("actor_user_id", "actor.user_id"),
            ("audience", "actor.audience"),
            ("idp_connection_type", "actor.idp_connection_type"),
            ("issuer", "actor.issuer"),
            ("provider", "actor.provider"),
            ("workos_event_id", "actor.workos_event_id"),
        ],
    );
    draft.keep_rest(record, KNOWN);
    Ok(draft)
}

fn actor<'a>(record: &'a Json<'_>, draft: &mut Draft<'a>) {
    let kind = record.text("actor.type").unwrap_or_default().to_ascii_lowercase();
    let agent = record.first(AGENTS);
    // A provider that names nobody, not even itself, did not vouch for anybody.
    let is_unverified = kind.starts_with("federated") && agent.is_none();
    if kind.starts_with("unauthenticated") || is_unverified {
        let from = record.text("actor.ip_address").unwrap_or("unknown");
        let credential = format!("anonymous:{from}");
        draft.agent = Some(UNAUTHENTICATED.into());
        draft.class = Some(UNAUTHENTICATED.into());
        draft.credential = Some((CredentialKind::Anonymous, credential.into()));
        draft.keep("claimed", record.text("actor.unauthenticated_email_address"));
    } else if let Some(agent) = agent {
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
    } else if let Some(agent) = only_id(record) {
        // A kind of actor that is not known yet.
        draft.class = (!kind.is_empty())
            .then(|| format!("anthropic:{}", kebab(kind.trim_end_matches("_actor"))).into());
        draft.agent = Some(agent.into());
    }
}

/// The id of an actor who has one alone.
fn only_id<'a>(record: &'a Json<'_>) -> Option<&'a str> {
    let actor = record.at("actor")?;
    let (kind, id) = actor.first_id(PLACES)?;
    let name = format!("{kind}_id");
    let places: Vec<&str> = PLACES.iter().copied().chain([name.as_str()]).collect();
    actor.first_id(&places).is_none().then_some(id)
}

/// A key by its id, a workload's token by who issued it for whom, a device by its key; a person at the
/// console or the app has a session that is not told.
fn credential<'a>(record: &'a Json<'_>, agent: &'a str, kind: &str) -> (CredentialKind, Word<'a>) {
    match (record.first(KEYS), kind) {
        (Some(key), _) => (CredentialKind::StaticKey, key.into()),
        (None, "user") => (CredentialKind::Session, format!("session:{agent}").into()),
        (None, "anthropic" | "system" | "scim_directory_sync") => {
            (CredentialKind::Platform, format!("service:{agent}").into())
        }
        (None, "federated" | "federated_identity") => {
            let id = match record.first(ISSUERS) {
                Some(issuer) if issuer != agent => format!("token:{issuer}:{agent}"),
                Some(_) | None => format!("token:{agent}"),
            };
            (CredentialKind::AccessToken, id.into())
        }
        (None, _) => match record.text("actor.kid_hash") {
            Some(key) => (CredentialKind::Unknown, key.into()),
            None => (CredentialKind::Unknown, format!("unknown:{agent}").into()),
        },
    }
}

fn outcome(record: &Json<'_>, action: &str) -> Outcome {
    let by_status = record.text("status_code").and_then(verdict::of_http);
    if let Some(failed @ (Outcome::Denied | Outcome::Error)) = by_status {
        return failed;
    }
    let told = record.first(&["status.outcome", "result"]).map(verdict::of_word);
    let is_blocked =
        action == "abuse_decision_received" && record.text("decision") == Some("blocked");
    // What it truncates is told of a request that failed.
    let is_truncated = action.ends_with("deletion_audit_truncated");
    let has_failed = is_truncated || record.text("error_type").is_some();
    let ended = match (told, verdict::of_name(action)) {
        (Some(told), _) => told,
        _ if is_blocked => Outcome::Denied,
        _ if REFUSING.contains(&action) => Outcome::Success,
        (None, Outcome::Success) if has_failed => Outcome::Error,
        (None, by_name) => by_name,
    };
    let reasons = ["reason", "failure_reason", "error", "error_type"];
    let words = [Some(action), record.first(&reasons)];
    match ended {
        Outcome::Error if action.contains("login") || action.contains("access_failed") => {
            Outcome::Denied
        }
        Outcome::Error => {
            let is_denied =
                words.iter().flatten().any(|told| verdict::of_error(told) == Outcome::Denied);
            if is_denied { Outcome::Denied } else { Outcome::Error }
        }
        Outcome::Denied | Outcome::Success => ended,
    }
}

/// The id of what an activity's type names last, else the first id; none of a place. The order of fields
/// means nothing: `claude_file_id` beside `claude_project_id` is of `claude_project_file_deleted`.
fn about<'a>(record: &'a Json<'_>) -> Option<(&'a str, &'a str)> {
    let words: Vec<&str> = record.text("type").unwrap_or_default().split('_').collect();
    let place = |kind: &str| {
        let last = kind.rsplit('_').next()?;
        words.iter().rposition(|word| *word == last)
    };
    // Of several that are as near the first.
    record.ids(PLACES).min_by_key(|(kind, _)| std::cmp::Reverse(place(kind)))
}

/// The URL that was asked for, or the id of what it is about; whom something was given to or taken
/// from is the other side.
fn target<'a>(record: &'a Json<'_>, draft: &mut Draft<'a>) {
    let mut typed = TYPED.iter().filter_map(|(id, kind)| {
        Some((record.text(kind).unwrap_or_else(|| id.trim_end_matches("_id")), record.text(id)?))
    });
    // What a call of the API asked for: the key beside it is the caller's.
    let url = record.text("url").filter(|_| record.has("request_method"));
    let url = url.and_then(|url| Some(("url", url.split('?').next()?)));
    if let Some((kind, id)) = url.or_else(|| typed.next()).or_else(|| about(record)) {
        draft.resource = Some(id.into());
        draft.resource_kind = Some(kind.into());
    } else {
        // Where nothing but the place is told, it was done to the place.
        let places = [
            ("domain", "domain"),
            ("service_name", "service"),
            ("session_id", "session"),
            ("workspace_id", "workspace"),
        ];
        draft.reach(places.map(|(path, kind)| (record.text(path), kind)));
    }
    let people =
        ["deleted_user_email", "invited_email", "email_address", "user_email", "target_email"];
    let other = record.first(&["target_id", "principal_id"]);
    let is_other = |path: &str| record.text(path) != record.text(&format!("actor.{path}"));
    // The account is a user's: that of a member whose spending is limited.
    let members = [
        "user_id",
        "deleted_user_id",
        "new_owner_id",
        "member_id",
        "member_ids",
        "account_id",
        "service_account_id",
        // Whose request was granted or not.
        "requester_user_id",
    ];
    let member = members.iter().filter(|path| is_other(path)).find_map(|path| record.text(path));
    let is_service = |id| record.text("service_account_id") == Some(id);
    draft.counterparty = match (record.first(&people).or(member), other) {
        (Some(id), _) if is_service(id) => Some(("service_account".into(), id.into())),
        (Some(person), _) => Some(("user".into(), person.into())),
        (None, Some(target)) => {
            let kind = record.first(&["target_type", "principal_type"]).unwrap_or("target");
            Some((kind.into(), target.into()))
        }
        (None, None) => {
            let hosts = ["mcp_server_url", "webhook_url", "url"];
            let server = record.first(&hosts).and_then(super::arguments::host);
            let other = server.map(|host| ("host", host));
            let app = record.text("integration_type").map(|app| ("integration", app));
            let named = record.text("mcp_server_name").map(|name| ("mcp_server", name));
            other.or(app).or(named).map(|(kind, id)| (kind.into(), id.into()))
        }
    };
}
