//! GitHub audit log events, of an organisation or an enterprise; and webhooks, whose actor is the sender.
//!
//! Invariant: `user` is the sponsor an agent claims only where the record says that an agent acted;
//! elsewhere it is whom the action was done to.
//!
//! Source: GitHub, *Audit log events for your enterprise*, *Identifying audit log events performed by
//! an access token*, *Agentic audit log events*.

use schemas::{CredentialKind, Outcome};

use super::arguments::host;
use super::draft::{Draft, Needs, Word};
use super::json::Json;
use super::{Fault, is_browser, verdict};

pub(super) const NEEDS: Needs = Needs { agent: "actor", action: "action", time: "@timestamp" };
const TIMES: &[&str] = &["@timestamp", "at_sign_timestamp", "created_at"];

/// Fields that have a place of their own in the event.
const KNOWN: &[&str] = &[
    "@timestamp",
    "at_sign_timestamp",
    "created_at",
    "_document_id",
    "actor",
    "actor_ip",
    "action",
    "user_agent",
    "agent_session_id",
    "hashed_token",
    "token_id",
    "repo",
    // Of webhooks: whole objects, of which the names are kept elsewhere.
    "sender",
    "repository",
    "organization",
    "enterprise",
    "installation",
];

/// The events of webhooks, whose name stands in a header only, by the fields that no event before them
/// has.
///
/// Source: GitHub, *Webhook events and payloads*.
const EVENTS: &[(&[&str], &str)] = &[
    (&["comment", "pull_request"], "pull_request_review_comment"),
    (&["comment", "issue"], "issue_comment"),
    (&["comment", "discussion"], "discussion_comment"),
    (&["comment"], "commit_comment"),
    (&["review"], "pull_request_review"),
    (&["thread", "pull_request"], "pull_request_review_thread"),
    (&["deployment_status"], "deployment_status"),
    (&["deployment_callback_url"], "deployment_protection_rule"),
    (&["workflow_job_runs"], "deployment_review"),
    (&["check_run"], "check_run"),
    (&["check_suite"], "check_suite"),
    (&["workflow_job"], "workflow_job"),
    (&["workflow_run"], "workflow_run"),
    (&["deployment"], "deployment"),
    (&["pull_request"], "pull_request"),
    (&["sub_issue"], "sub_issues"),
    (&["issue"], "issue"),
    (&["discussion"], "discussion"),
    (&["release"], "release"),
    (&["registry_package"], "registry_package"),
    (&["package"], "package"),
    (&["alert"], "alert"),
    (&["personal_access_token_request"], "personal_access_token_request"),
    (&["security_advisory"], "security_advisory"),
    (&["repository_advisory"], "repository_advisory"),
    (&["repository_ruleset"], "repository_ruleset"),
    (&["rule"], "branch_protection_rule"),
    (&["blocked_user"], "org_block"),
    (&["member", "scope"], "membership"),
    (&["membership"], "organization"),
    (&["member"], "member"),
    (&["zen"], "ping"),
    (&["hook"], "hook"),
    (&["key"], "key"),
    (&["forkee"], "fork"),
    (&["pages"], "gollum"),
    (&["build"], "page_build"),
    (&["label"], "label"),
    (&["milestone"], "milestone"),
    (&["project_card"], "project_card"),
    (&["project_column"], "project_column"),
    (&["projects_v2_item"], "projects_v2_item"),
    (&["projects_v2"], "projects_v2"),
    (&["project"], "project"),
    (&["sponsorship"], "sponsorship"),
    (&["marketplace_purchase"], "marketplace_purchase"),
    (&["client_payload"], "repository_dispatch"),
    (&["inputs", "workflow"], "workflow_dispatch"),
    (&["sha", "state", "context"], "status"),
    (&["pusher"], "push"),
    (&["ref_type", "master_branch"], "create"),
    (&["ref_type"], "delete"),
    (&["repositories_added"], "installation_repositories"),
    (&["account", "target_type"], "installation_target"),
    (&["starred_at"], "star"),
    (&["merge_group"], "merge_group"),
];

/// Whom a webhook tells of beside its sender.
const OTHERS: &[&str] = &["member.login", "membership.user.login", "blocked_user.login"];

/// Where a webhook says how what it is about ended.
const CONCLUSIONS: &[&str] = &[
    "conclusion",
    "workflow_run.conclusion",
    "workflow_job.conclusion",
    "check_run.conclusion",
    "check_suite.conclusion",
    "deployment_status.state",
];

pub(super) fn draft<'a>(record: &'a Json<'_>) -> Result<Draft<'a>, Fault> {
    let mut draft = Draft::new(NEEDS, record, TIMES)?;
    draft.event_id = record.text("_document_id").map(Into::into);
    draft.source = record.first(&["actor_ip", "actor_location.ip"]).map(Into::into);
    draft.user_agent = record.text("user_agent").map(Into::into);
    draft.session = record.text("agent_session_id").map(Into::into);
    let is_agent = record.is_true("actor_is_agent") || draft.session.is_some();
    // Who is no more there has a number only.
    let number = record.text("actor_id").filter(|id| *id != "0");
    let actor = record.first(&["actor", "sender.login"]).or(number);
    if let Some(actor) = actor {
        draft.agent = Some(actor.into());
        draft.class = Some(class(record, actor, is_agent).into());
        draft.credential = credential(record, actor);
    }
    let user = record.first(&["user", "user_login"]).filter(|user| actor != Some(user));
    let is_webhook = record.at("sender.login").is_some() && record.at("actor").is_none();
    let user = user.or_else(|| record.first(OTHERS).filter(|_| is_webhook));
    let hook = record.first(&["config.url", "config_url", "hook.config.url"]).and_then(host);
    draft.counterparty = match (hook, user) {
        (Some(host), _) => Some(("host".into(), host.into())),
        (None, Some(user)) if !is_agent => Some(("github_user".into(), user.into())),
        (None, _) => record
            .first(&["external_identity_nameid", "integration", "oauth_application_name"])
            .map(|other| ("identity".into(), other.into())),
    };
    if is_agent {
        draft.delegation.extend(user.map(Into::into));
    }
    let action = record.text("action");
    draft.action = if is_webhook { webhook_action(record) } else { action.map(Into::into) };
    let places = [
        ("repo", "repository"),
        ("repository", "repository"),
        ("repository.full_name", "repository"),
        ("route", "api_route"),
        ("org", "organization"),
        ("organization.login", "organization"),
        ("business", "enterprise"),
    ];
    draft.reach(places.map(|(path, kind)| (record.text(path), kind)));
    (draft.outcome, draft.outcome_reason) = outcome(record, action.unwrap_or_default());
    draft.keep_rest(record, KNOWN);
    Ok(draft)
}

/// `pull_request.opened`; a push has no action.
fn webhook_action<'a>(record: &'a Json<'_>) -> Option<Word<'a>> {
    let action = record.text("action");
    let event = webhook_event(record, action);
    match (event, action) {
        (Some(event), Some(action)) => Some(format!("{event}.{action}").into()),
        (Some(event), None) => Some(event.into()),
        (None, action) => action.map(Into::into),
    }
}

/// The event that a webhook tells of; what has no field of its own is told by the rest of it.
fn webhook_event(record: &Json<'_>, action: Option<&str>) -> Option<&'static str> {
    let is_it = |fields: &[&str]| fields.iter().all(|name| record.has(name));
    if let Some((_, event)) = EVENTS.iter().find(|(fields, _)| is_it(fields)) {
        return Some(event);
    }
    match action {
        Some("started") => Some("watch"),
        Some(_) if record.has("team") => Some("team"),
        Some(_) if record.has("repository") => Some("repository"),
        Some(_) if record.has("organization") => Some("organization"),
        Some(_) if record.has("installation") => Some("installation"),
        None if record.has("team") => Some("team_add"),
        None if record.has("repository") => Some("public"),
        Some(_) | None => None,
    }
}

fn class(record: &Json<'_>, actor: &str, is_agent: bool) -> &'static str {
    let is_bot = record.is_true("actor_is_bot")
        || actor.ends_with("[bot]")
        || record.text("sender.type") == Some("Bot");
    match (is_agent, is_bot) {
        (true, _) => "github:agent",
        (false, true) => "github:bot",
        (false, false) => "github:user",
    }
}

/// A token by its id or GitHub's hash of it; without either, what sort of token the actor used.
fn credential<'a>(record: &'a Json<'_>, actor: &'a str) -> Option<(CredentialKind, Word<'a>)> {
    let access = record.text("programmatic_access_type").unwrap_or_default();
    let words = access.to_ascii_lowercase().replace([' ', '_'], "-");
    let kind = match words.as_str() {
        words if words.contains("personal") || words.contains("deploy") => {
            CredentialKind::StaticKey
        }
        words if words.contains("server") || words.contains("app") && !words.contains("oauth") => {
            CredentialKind::TemporaryKey
        }
        _ => CredentialKind::AccessToken,
    };
    if let Some(id) = record.first(&["token_id", "hashed_token"]).filter(|id| *id != "0") {
        return Some((kind, id.into()));
    }
    if !access.is_empty() {
        return Some((kind, format!("{words}:{actor}").into()));
    }
    let key = record.first(&["public_key_fingerprint", "fingerprint", "key_id"]);
    match (record.first(&["transport_protocol_name", "protocol_name"]), key) {
        (_, Some(key)) => Some((CredentialKind::StaticKey, format!("ssh:{key}").into())),
        (Some("ssh"), None) => Some((CredentialKind::StaticKey, format!("ssh:{actor}").into())),
        // Who uses a browser and no token is signed in.
        (_, None) => record
            .text("user_agent")
            .filter(|program| is_browser(program))
            .map(|_| (CredentialKind::Session, format!("session:{actor}").into())),
    }
}

/// Ends of actions in which someone was refused by the actor, who succeeded in that.
const DECISIONS: &[&str] = &["app_access_denied", "app_access_blocked", "request_denied"];

/// Parts of actions at which someone is let in or not.
const GATES: &[&str] = &["login", "two_factor", "verification"];

/// GitHub logs what happened; what failed says so in its name or its conclusion.
fn outcome<'a>(record: &'a Json<'_>, action: &str) -> (Outcome, Option<Word<'a>>) {
    // The state of a commit has the commit beside it.
    let state = record.text("state").filter(|_| record.has("sha") && record.has("context"));
    let conclusion = record.first(CONCLUSIONS).or(state);
    let reason = record.first(&["failure_reason", "reason", "error"]);
    let by_status = record.text("status_code").and_then(verdict::of_http);
    if let Some(outcome @ (Outcome::Denied | Outcome::Error)) = by_status {
        return (outcome, record.text("status_code").map(Into::into));
    }
    let is_decision =
        DECISIONS.iter().any(|end| action.ends_with(end)) || record.has("blocked_user");
    let has_failed = !is_decision
        && ["fail", "denied", "blocked", ".rejected_ref"].iter().any(|word| action.contains(word));
    match (has_failed, conclusion) {
        (true, _) if GATES.iter().any(|gate| action.contains(gate)) => {
            (Outcome::Denied, reason.map(Into::into))
        }
        (true, _) => (verdict::of_error(reason.unwrap_or(action)), reason.map(Into::into)),
        (
            false,
            Some(word @ ("failure" | "error" | "timed_out" | "startup_failure" | "cancelled")),
        ) => (Outcome::Error, Some(word.into())),
        (false, _) => (Outcome::Success, None),
    }
}
