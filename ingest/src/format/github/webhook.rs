//! Webhooks of GitHub: which event one tells of, and who caused it.
//!
//! Invariant: the event's name stands in a header only, so it is told by the fields that the event alone has. Who
//! caused it is its sender; of one that was cut, whoever made what the action says was just made.
//!
//! Source: GitHub, *Webhook events and payloads*.

use super::super::draft::Word;
use super::super::json::Json;

/// The events, by the fields that no event before them has.
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
    (&["alert", "location"], "secret_scanning_alert_location"),
    (&["alert.secret_type"], "secret_scanning_alert"),
    (&["alert.rule"], "code_scanning_alert"),
    (&["alert.dependency"], "dependabot_alert"),
    (&["alert.affected_range"], "repository_vulnerability_alert"),
    (&["alert"], "alert"),
    (&["exemption_request"], "exemption_request"),
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
    (&["hook"], "meta"),
    (&["key"], "deploy_key"),
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

/// Who made what, by the action that says that it was made.
const AUTHORS: &[(&str, &str)] = &[
    ("submitted", "review.user.login"),
    ("created", "comment.user.login"),
    ("created", "discussion.user.login"),
    ("opened", "pull_request.user.login"),
    ("opened", "issue.user.login"),
];

/// Who caused what a webhook tells of.
pub(super) fn sender<'a>(record: &'a Json<'_>) -> Option<&'a str> {
    let action = record.text("action");
    let mut made = AUTHORS.iter().filter(|(made, _)| action == Some(*made));
    record.text("sender.login").or_else(|| made.find_map(|(_, author)| record.text(author)))
}

/// `pull_request.opened`; a push has no action.
pub(super) fn action<'a>(record: &'a Json<'_>) -> Option<Word<'a>> {
    let action = record.text("action");
    let event = event(record, action);
    match (event, action) {
        (Some(event), Some(action)) => Some(format!("{event}.{action}").into()),
        (Some(event), None) => Some(event.into()),
        (None, action) => action.map(Into::into),
    }
}

/// The event that a webhook tells of; what has no field of its own is told by the rest of it.
fn event(record: &Json<'_>, action: Option<&str>) -> Option<&'static str> {
    let has = |name: &str| record.has(name) || record.at(name).is_some();
    let is_it = |fields: &[&str]| fields.iter().all(|name| has(name));
    if let Some((_, event)) = EVENTS.iter().find(|(fields, _)| is_it(fields)) {
        return Some(event);
    }
    match action {
        Some("started") => Some("watch"),
        Some("revoked") => Some("github_app_authorization"),
        Some(_) if record.has("team") => Some("team"),
        Some(_) if record.has("repository") => Some("repository"),
        Some(_) if record.has("organization") => Some("organization"),
        Some(_) if record.has("installation") => Some("installation"),
        None if record.has("team") => Some("team_add"),
        None if record.has("repository") => Some("public"),
        Some(_) | None => None,
    }
}
