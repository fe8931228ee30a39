//! GitHub audit log events, of an organisation or an enterprise; and webhooks, whose actor is the sender.
//!
//! Invariant: `user` is the sponsor an agent claims only where the record says that an agent acted; it is
//! who acted where a record of the user's own log names no actor; elsewhere it is whom the action was done
//! to. One's own name at a provider of identities is nobody else. What was asked of a model and what it
//! answered is not kept.
//!
//! Source: GitHub, *Audit log events for your enterprise*, *GraphQL API* (`AuditEntry`), *Identifying audit
//! log events performed by an access token*, *Audit log events for agents*, *Token expiration and
//! revocation*.

mod webhook;

use schemas::{CredentialKind, Outcome};

use super::arguments::host;
use super::draft::{Draft, Needs, Word, address_of};
use super::json::Json;
use super::{Fault, is_browser, verdict};

pub(super) const NEEDS: Needs = Needs { agent: "actor", action: "action", time: "@timestamp" };
const TIMES: &[&str] = &["@timestamp", "at_sign_timestamp", "created_at"];
// What the log of a server of one's own (Enterprise Server) has in `data`.
const PROGRAMS: &[&str] = &["user_agent", "data.user_agent"];
const ACCESS: &[&str] = &["programmatic_access_type", "data.programmatic_access_type"];
const HASHES: &[&str] = &["hashed_token", "data.hashed_token"];
/// What GitHub does of itself.
const GITHUB: &str = "github";

/// Fields that have a place of their own in the event.
const KNOWN: &[&str] = &[
    "@timestamp",
    "at_sign_timestamp",
    "created_at",
    "_document_id",
    "actor",
    "actorLogin",
    "actor_ip",
    "action",
    "user_agent",
    "agent_session_id",
    "hashed_token",
    "token_id",
    "repo",
    // What is run on a server of one's own.
    "command",
    // Of the use of Copilot: its body holds prompts and answers.
    "event_id",
    "endpoint",
    "body",
    // Of webhooks: whole objects, of which the names are kept elsewhere.
    "sender",
    "repository",
    "organization",
    "enterprise",
    "installation",
];

/// Whom it was done to; of what is handed over whose it was.
const USERS: &[&str] =
    &["user", "userLogin", "blockedUserLogin", "data.user", "data.username", "data.old_user"];

/// Whom a webhook tells of beside its sender.
const OTHERS: &[&str] = &[
    "member.login",
    "membership.user.login",
    "blocked_user.login",
    "alert.push_protection_bypassed_by.login",
    "exemption_request.requester_login",
    "personal_access_token_request.owner.login",
];

/// Apps that are let in.
const APPS: &[&str] =
    &["integration", "oauth_application_name", "oauth_application", "installation.app_slug"];

/// Who acted; in the API for queries (GraphQL), in which it is an object too. Whoever keeps a server has a
/// name of its console.
const ACTORS: &[&str] = &["actor", "actorLogin", "actor.login", "mc_actor"];

/// The parts of an action that is about a key, and not done with it.
const KEYS: &[&str] = &[
    "public_key",
    "ssh_key",
    "deploy_key",
    "gpg_key",
    "git_signing_ssh_public_key",
    "org_credential_authorization",
];
/// Those of them that sign and open nothing.
const SIGNING_KEYS: &[&str] = &["gpg_key", "git_signing_ssh_public_key"];

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
    let id = record.first(&["_document_id", "data._document_id", "event_id"]);
    // A node of the API for queries; elsewhere it may be the id of anything.
    let node = || record.text("id").filter(|_| record.has("actorLogin"));
    draft.event_id = id.or_else(node).map(Into::into);
    draft.source = record.first(&["actor_ip", "actor_location.ip", "real_ip"]).map(Into::into);
    draft.user_agent = record.first(PROGRAMS).map(Into::into);
    draft.session = record.text("agent_session_id").map(Into::into);
    let is_agent = record.is_true("actor_is_agent") || draft.session.is_some();
    let used = copilot_use(record);
    let actor = actor(record, used.is_some());
    let action = action(record);
    let is_about_token = is_about_token(action);
    if let Some(actor) = actor {
        draft.agent = Some(actor.into());
        draft.class = Some(class(record, actor, is_agent).into());
        draft.credential = match actor {
            GITHUB => Some((CredentialKind::Platform, format!("service:{GITHUB}").into())),
            _ if is_about_token => session(record, actor),
            _ => credential(record, actor),
        };
    }
    if let Some(Nameless { agent, class, credential }) = Nameless::of(record, actor) {
        draft.agent = Some(agent);
        draft.class = Some(class.into());
        draft.credential = Some(credential);
    }
    let about = about(record, action, is_about_token);
    let is_made = is_making(action);
    let name = if is_made { "issued_credential_id" } else { "target_credential_id" };
    draft.keep(name, about);
    let is_webhook = webhook::sender(record).is_some() && record.at("actor").is_none();
    let user = record.first(USERS);
    let user = user.or_else(|| record.first(OTHERS).filter(|_| is_webhook));
    let user = user.filter(|user| actor != Some(user));
    draft.counterparty = counterparty(record, user.filter(|_| !is_agent));
    if is_agent {
        draft.delegation.extend(user.map(Into::into));
    }
    draft.action = match used {
        Some(used) => Some(format!("copilot.{used}").into()),
        None if is_webhook => webhook::action(record),
        None => Some(action).filter(|action| !action.is_empty()).map(Into::into),
    };
    let places = [
        ("endpoint", "api_route"),
        ("repo", "repository"),
        ("repository", "repository"),
        ("repository.full_name", "repository"),
        ("repo_name", "repository"),
        ("repositoryName", "repository"),
        ("team", "team"),
        ("teamName", "team"),
        ("data.team", "team"),
        ("route", "api_route"),
        ("org", "organization"),
        ("organization.login", "organization"),
        ("organizationName", "organization"),
        ("business", "enterprise"),
        ("enterpriseSlug", "enterprise"),
        ("data.organization", "organization"),
        ("installation.account.login", "account"),
    ];
    draft.reach(places.map(|(path, kind)| (record.text(path), kind)));
    (draft.outcome, draft.outcome_reason) = outcome(record, action);
    keep(record, &mut draft);
    Ok(draft)
}

fn keep<'a>(record: &'a Json<'_>, draft: &mut Draft<'a>) {
    draft.keep_each(
        record,
        &[
            ("installation_account", "installation.account.login"),
            ("installation_id", "installation.id"),
        ],
    );
    draft.keep("token_hash", hash(record));
    draft.keep("program", record.text("command").and_then(|text| text.split_whitespace().next()));
    draft.keep_rest(record, KNOWN);
}

/// The other side: the host of a webhook, else another user, else the app that was let in.
fn counterparty<'a>(record: &'a Json<'_>, user: Option<&'a str>) -> Option<(Word<'a>, Word<'a>)> {
    let hook = record.first(&["config.url", "config_url", "hook.config.url"]).and_then(host);
    let is_install =
        record.text("action").is_some_and(|action| action.starts_with("integration_installation"));
    let app = record.first(APPS).or_else(|| record.text("name").filter(|_| is_install));
    let places = [(hook, "host"), (user, "github_user"), (app, "identity")];
    let (name, kind) = places.into_iter().find_map(|(name, kind)| Some((name?, kind)))?;
    Some((kind.into(), name.into()))
}

/// Who acted: the actor, of who is no more there the number; of the use of Copilot the user's. In the
/// user's own log, which is that of no organisation, the user, unless GitHub did it itself.
fn actor<'a>(record: &'a Json<'_>, is_use: bool) -> Option<&'a str> {
    let number = |name: &str| record.text(name).filter(|id| *id != "0");
    let named = record.first(ACTORS).or_else(|| webhook::sender(record));
    let named = named.or_else(|| number("actor_id"));
    let named = named.or_else(|| of_git(record, "user_login"));
    named.or_else(|| {
        let user = record.text("user").filter(|_| record.first(&["org", "business"]).is_none());
        match user {
            None => number("user_id").filter(|_| is_use),
            Some(_) if is_own(record) => Some(GITHUB),
            // For what other reason GitHub may have done it is not told.
            Some(_) if record.has("explanation") => None,
            user => user,
        }
    })
}

/// What was done; of a line of a server's own log of Git its program. Nothing is an empty text.
fn action<'a>(record: &'a Json<'_>) -> &'a str {
    record.text("action").or_else(|| of_git(record, "program")).unwrap_or_default()
}

/// What stands in a line of a server's own log of Git, which has its own names for who did what.
fn of_git<'a>(record: &'a Json<'_>, name: &str) -> Option<&'a str> {
    record.text(name).filter(|_| record.has("real_ip"))
}

/// Whether GitHub itself did what names no actor: a token expired or was one too many, or one of its own
/// services told of a change.
fn is_own(record: &Json<'_>) -> bool {
    let program = record.first(PROGRAMS).unwrap_or_default();
    matches!(record.text("explanation"), Some("expired" | "max_for_app"))
        || (program.starts_with("GitHub") && program.ends_with("Webhook"))
}

/// Whether a record tells of the use of Copilot, and of its request or its answer.
fn copilot_use<'a>(record: &'a Json<'_>) -> Option<&'a str> {
    let is_use = record.has("endpoint") && record.has("user_id") && record.at("action").is_none();
    record.text("type").filter(|kind| is_use && matches!(*kind, "request" | "response"))
}

/// Whether the token that a record tells of is what the action is about, and not what was shown for it.
fn is_about_token(action: &str) -> bool {
    action.starts_with("oauth_access.")
        || (action.starts_with("personal_access_token.") && is_making(action))
}

fn is_making(action: &str) -> bool {
    [".create", ".add", ".regenerate", ".credential_regenerated"]
        .iter()
        .any(|end| action.ends_with(end))
}

/// The token or key that an action is about; of a webhook the token that somebody asked for.
fn about<'a>(record: &'a Json<'_>, action: &str, is_about_token: bool) -> Option<Word<'a>> {
    if is_about_token {
        return token(record).map(Into::into);
    }
    let asked = || record.text("personal_access_token_request.token_id").map(Into::into);
    key_about(record, action).or_else(asked)
}

/// The key that an action is about, by the name under which its uses have it.
fn key_about<'a>(record: &'a Json<'_>, action: &str) -> Option<Word<'a>> {
    let part = KEYS.iter().find(|part| action.split('.').any(|word| word == **part))?;
    let print = record.text("deploy_key_fingerprint").filter(|_| *part == "deploy_key");
    let print = print.or_else(|| fingerprint(record))?;
    Some(if SIGNING_KEYS.contains(part) { print.into() } else { format!("ssh:{print}").into() })
}

fn class(record: &Json<'_>, actor: &str, is_agent: bool) -> &'static str {
    let is_bot = record.is_true("actor_is_bot")
        || actor.ends_with("[bot]")
        || record.text("sender.type") == Some("Bot");
    match (is_agent, is_bot) {
        (true, _) => "github:agent",
        (false, true) => "github:bot",
        (false, false) if actor == GITHUB => "github:system",
        (false, false) => "github:user",
    }
}

/// A token by its id or GitHub's hash of it; without either, what sort of token the actor used.
fn credential<'a>(record: &'a Json<'_>, actor: &'a str) -> Option<(CredentialKind, Word<'a>)> {
    let access = record.first(ACCESS).unwrap_or_default();
    let words = access.to_ascii_lowercase().replace([' ', '_'], "-");
    let kind = match words.as_str() {
        words if words.contains("personal") || words.contains("deploy") => {
            CredentialKind::StaticKey
        }
        words if words.contains("certificate") => CredentialKind::Certificate,
        words if words.contains("password") => CredentialKind::Password,
        // GitHub's own services, not the `server` of an app.
        words if words.contains("service") => CredentialKind::Platform,
        words if words.contains("server") || words.contains("app") && !words.contains("oauth") => {
            CredentialKind::TemporaryKey
        }
        _ => CredentialKind::AccessToken,
    };
    if let Some(id) = token(record) {
        return Some((kind, id.into()));
    }
    if let Some(key) = key(record) {
        let is_signed = kind == CredentialKind::Certificate;
        let kind = if is_signed { kind } else { CredentialKind::StaticKey };
        return Some((kind, format!("ssh:{key}").into()));
    }
    if !access.is_empty() {
        return Some((kind, format!("{words}:{actor}").into()));
    }
    let protocol = record.first(&["transport_protocol_name", "protocol_name"]);
    let is_ssh = protocol.is_some_and(|name| name.eq_ignore_ascii_case("ssh"));
    if is_ssh && key_about(record, action(record)).is_none() {
        return Some((CredentialKind::StaticKey, format!("ssh:{actor}").into()));
    }
    session(record, actor)
}

/// Who acts and is no account of GitHub: who has the key of a repository, a workflow, or who shows nothing.
struct Nameless<'a> {
    agent: Word<'a>,
    class: &'static str,
    credential: (CredentialKind, Word<'a>),
}

impl<'a> Nameless<'a> {
    fn of(record: &'a Json<'_>, actor: Option<&str>) -> Option<Self> {
        let has_number = |name: &str| record.text(name).is_some_and(|id| id != "0");
        let access = record.first(ACCESS).unwrap_or_default();
        match (actor, record.text("job_workflow_ref")) {
            // A user of this name has a number.
            (Some("deploy_key"), _) if !["actor_id", "user_id"].into_iter().any(has_number) => {
                let repository = record.first(&["repo", "repository"])?;
                let ssh = || format!("ssh:{}", key(record).unwrap_or(repository)).into();
                let shown = token(record).map_or_else(ssh, Into::into);
                let agent = format!("deploy_key:{repository}").into();
                let credential = (CredentialKind::StaticKey, shown);
                Some(Self { agent, class: "github:deploy-key", credential })
            }
            // On each branch it is the same workflow.
            (None, Some(workflow)) => {
                let workflow = workflow.split('@').next()?;
                let shown = format!("service:{workflow}").into();
                let credential = (CredentialKind::Platform, shown);
                Some(Self { agent: workflow.into(), class: "github:workflow", credential })
            }
            (None, None) if access.contains("(anonymous)") => {
                let shown = format!("anonymous:{}", address_of(record.text("actor_ip")?)?);
                let agent = shown.clone().into();
                let credential = (CredentialKind::Anonymous, shown.into());
                Some(Self { agent, class: "github:unauthenticated", credential })
            }
            _ => None,
        }
    }
}

/// The fingerprint or number of the SSH key by which somebody uses Git: of another action a fingerprint is
/// what it is about.
fn key<'a>(record: &'a Json<'_>) -> Option<&'a str> {
    let is_git = record.has("real_ip") || action(record).starts_with("git.");
    let protocol = record.first(&["transport_protocol_name", "protocol_name"]);
    let is_ssh = protocol.is_none_or(|name| name.eq_ignore_ascii_case("ssh"));
    fingerprint(record).filter(|_| is_git && is_ssh)
}

fn fingerprint<'a>(record: &'a Json<'_>) -> Option<&'a str> {
    record.first(&["public_key_fingerprint", "fingerprint", "key_id"])
}

/// The id of a token, else GitHub's hash of it; an app's token has none but its hash.
fn token<'a>(record: &'a Json<'_>) -> Option<&'a str> {
    let ids = ["token_id", "data.token_id", "data.oauth_access_id"];
    let mut told = ids.iter().chain(HASHES).filter_map(|name| record.text(name));
    told.find(|id| *id != "0")
}

/// The hash by which GitHub finds a token, where the credential has its id.
fn hash<'a>(record: &'a Json<'_>) -> Option<&'a str> {
    record.first(HASHES).filter(|hash| token(record) != Some(*hash))
}

/// Who uses a browser and no token is signed in.
fn session<'a>(record: &'a Json<'_>, actor: &'a str) -> Option<(CredentialKind, Word<'a>)> {
    record.first(PROGRAMS).filter(|program| is_browser(program))?;
    Some((CredentialKind::Session, format!("session:{actor}").into()))
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
