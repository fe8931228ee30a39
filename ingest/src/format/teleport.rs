//! Teleport audit events.
//!
//! Invariant: every use of Teleport but a sign-in presents a short-lived certificate, whose number the
//! record does not tell; it is named after its holder. A join token's name is kept for no method, since
//! of one it is the secret; statements, their parameters and bodies sent to a database or an app, what an
//! identity provider wrote, and the arguments and output of commands, are not kept. A bot is the user
//! `bot-<name>`. What acts for another is the agent: a bot with a user's rights, an impersonator. What
//! Teleport does of itself is of the agent `teleport:system`, an attempt to get in that names nobody of
//! `teleport:unauthenticated`.
//!
//! Source: Teleport, *Audit Events and Records*, `api/proto/teleport/legacy/types/events/events.proto`
//! (`Impersonator is a user acting on behalf of another user`); RFD 0238 (delegation to bots).

use schemas::{CredentialKind, Outcome};

use super::arguments::host;
use super::draft::{Draft, Needs, Word, address_of};
use super::json::Json;
use super::{Fault, verdict};

pub(super) const NEEDS: Needs = Needs { agent: "user", action: "event", time: "time" };

/// Fields that have a place of their own, or that hold what must not be kept.
const KNOWN: &[&str] = &[
    "time",
    "uid",
    "user",
    "event",
    "sid",
    "addr.remote",
    "addr_remote",
    "user_agent",
    "success",
    "error",
    "api_error",
    "message",
    "identity",
    "token_name",
    "bot_instance_id",
    "attributes",
    "args",
    "body",
    "db_query",
    "db_query_parameters",
    "raw_query",
    "query",
    "parameters",
    "function_args",
    "argv",
    "command",
    "initial_command",
    "children",
    "payload",
    "headers",
    "request",
    "response",
    "stdout",
    "stderr",
];

const USERS: &[&str] = &["user", "identity.user", "user.user"];
/// Where somebody acts from; of an identity provider, and of who gets a certificate, elsewhere.
const REMOTES: &[&str] = &[
    "addr.remote",
    "addr_remote",
    "remote_addr",
    "src_addr",
    "request.source_address",
    "identity.client_ip",
];

/// What the platform of a job that joins says of it: GitHub, then GitLab.
const JOB: &[(&str, &str)] = &[
    ("join_actor", "attributes.actor"),
    ("join_environment", "attributes.environment"),
    ("join_ref", "attributes.ref"),
    ("join_repository", "attributes.repository"),
    ("join_run_id", "attributes.run_id"),
    ("join_sha", "attributes.sha"),
    ("join_workflow", "attributes.workflow"),
    ("join_pipeline_id", "attributes.pipeline_id"),
    ("join_project", "attributes.project_path"),
    ("join_user", "attributes.user_login"),
];

/// Events of Teleport's own services, which act for nobody.
const OWN: &[&str] = &[
    "ssm.run",
    "azure.run",
    "okta.",
    "session.upload",
    "session.summarized",
    "access_graph.",
    "access_request.expire",
    "aws_identity_center.",
];
/// Those of them that name whom they are about as the user.
const OWN_ABOUT: &str = "okta.assignment.";
/// What comes before a sign-in, and has no user where it is one without a name.
const BEFORE_SIGN_IN: &[&str] = &["mfa_auth_challenge.", "device.enroll_pairing.request"];
const SYSTEM: &str = "teleport:system";
const UNAUTHENTICATED: &str = "teleport:unauthenticated";
/// What Teleport writes for the name of a bot, and for a method, that it could not tell.
const UNKNOWN: &str = "unknown";
/// That somebody looks at what was recorded of a session.
const RECORDING: &str = "session.recording.access";
/// How the name of a bot's user begins.
const BOT: &str = "bot-";
/// The code of a sign-in that waits for its approval.
const HEADLESS_REQUESTED: &str = "T1012I";

pub(super) fn draft<'a>(record: &'a Json<'_>) -> Result<Draft<'a>, Fault> {
    let mut draft = Draft::new(NEEDS, record, &["time"])?;
    draft.event_id = record.text("uid").map(Into::into);
    let remote = record.first(REMOTES);
    // Of a desktop's session the far end is the desktop.
    let desktop = record.text("desktop_addr");
    draft.source = remote.filter(|address| desktop != Some(*address)).map(Into::into);
    draft.user_agent = record.first(&["user_agent", "request.user_agent"]).map(Into::into);
    draft.instance = record.first(&["bot_instance_id", "identity.bot_instance_id"]).map(Into::into);
    let event = record.text("event");
    let event_name = event.unwrap_or_default();
    // Of a recording that is opened it is the session that was recorded.
    let sessions = ["sid", "session_id", "app_session_id"];
    draft.session = record.first(&sessions).filter(|_| event_name != RECORDING).map(Into::into);
    // Which model told what was done in a session.
    draft.model =
        record.text("model_name").filter(|_| event_name == "session.summarized").map(Into::into);
    if let Some(agent) = agent(record, event_name) {
        draft.class = Some(class(record, &agent, event_name));
        draft.credential = Some(credential(record, &agent, event_name));
        draft.agent = Some(agent);
    }
    // The agent itself is left out of these.
    let behind = record.first(USERS).filter(|_| !event_name.starts_with(OWN_ABOUT));
    draft.delegation.extend(behind.map(Into::into));
    draft.action = event.map(Into::into);
    target(record, event_name, &mut draft);
    (draft.outcome, draft.outcome_reason) = outcome(record, event_name);
    draft.keep_rest(record, KNOWN);
    if is_of_token(event_name) {
        draft.drop("name");
    }
    let program = record.text("command").and_then(|command| command.split_whitespace().next());
    draft.keep("command", program);
    // Whose token a bot joined with, of Kubernetes' the service account, or who the identity provider says
    // signed in.
    let is_join = matches!(event_name, "bot.join" | "instance.join");
    let account = record.text("attributes.username").filter(|_| is_join);
    draft.keep("token_subject", record.text("attributes.sub").or(account));
    if is_join {
        draft.keep_each(record, JOB);
    }
    if event_name == "spiffe.svid.issued" {
        draft.keep("issued_credential_id", record.text("serial_number"));
    }
    draft.keep_each(
        record,
        &[
            ("delegation_session_id", "identity.delegation_session_id"),
            ("identity_expires", "identity.expires"),
            ("identity_roles", "identity.roles"),
            ("kubernetes_cluster", "identity.kubernetes_cluster"),
            ("logins", "identity.logins"),
            ("mcp_client", "message.params.clientInfo"),
            ("mcp_method", "message.method"),
            ("request_method", "request.method"),
        ],
    );
    Ok(draft)
}

/// The bot or impersonator that acts, else who is named, else the machine that joins, else whom a sign-in
/// was tried for, else Teleport itself, else nobody yet.
fn agent<'a>(record: &'a Json<'_>, event: &str) -> Option<Word<'a>> {
    let begins = |starts: &[&str]| starts.iter().any(|start| event.starts_with(start));
    if event.starts_with(OWN_ABOUT) {
        return Some(SYSTEM.into());
    }
    let bot = record.first(&["bot_name", "identity.bot_name"]).filter(|bot| *bot != UNKNOWN);
    if let Some(bot) = bot {
        return Some(format!("{BOT}{}", bot.strip_prefix(BOT).unwrap_or(bot)).into());
    }
    let named = record.first(&["impersonator", "identity.impersonator"]);
    let named = named.or_else(|| record.first(USERS));
    let named = named.or_else(|| record.first(&["updated_by", "reviewer", "author"]));
    let named = named.or_else(|| match event {
        "instance.join" => record.first(&["host_id", "node_name"]),
        "user.login" => record.first(&["attributes.email", "attributes.sub"]),
        "bot.join" => record.text("attributes.sub"),
        _ if event.starts_with("scim.") => record.text("integration"),
        _ if begins(OWN) => Some(SYSTEM),
        _ => None,
    });
    let named = named.filter(|name| *name != UNKNOWN);
    let is_refused = matches!(event, "user.login" | "bot.join" | "instance.join")
        && is_of_failure(record.text("code").unwrap_or_default());
    let nobody = (is_refused || begins(BEFORE_SIGN_IN)).then_some(UNAUTHENTICATED);
    named.or(nobody).map(Into::into)
}

/// Whether a code is that of an error, a warning or a limit that was reached.
fn is_of_failure(code: &str) -> bool {
    code.ends_with(['E', 'e', 'W', 'w', 'L', 'l'])
}

fn class(record: &Json<'_>, agent: &str, event: &str) -> Word<'static> {
    // A host of Teleport's acts under its id and the name of its cluster.
    let cluster = record.text("cluster_name").and_then(|cluster| agent.strip_suffix(cluster));
    let is_host = cluster.is_some_and(|host| host.len() == 37 && host.ends_with('.'));
    let is_bot =
        record.first(&["user_kind", "kind"]).is_some_and(|kind| matches!(kind, "2" | "bot"));
    match agent.strip_prefix(BOT) {
        Some(bot) => format!("teleport:bot/{bot}").into(),
        None if agent == UNAUTHENTICATED || event == "bot.join" => UNAUTHENTICATED.into(),
        None if event.starts_with("scim.") => format!("teleport:integration/{agent}").into(),
        None if is_bot => "teleport:bot".into(),
        None if is_host || event == "instance.join" => "teleport:host".into(),
        None if matches!(agent, "system" | SYSTEM) || agent.starts_with('@') => SYSTEM.into(),
        None => "teleport:user".into(),
    }
}

fn credential(record: &Json<'_>, agent: &str, event: &str) -> (CredentialKind, Word<'static>) {
    let method = record.text("method").unwrap_or_default();
    let method = if method == UNKNOWN { "token" } else { method };
    match event {
        _ if matches!(agent, "system" | SYSTEM) => {
            (CredentialKind::Platform, format!("service:{agent}").into())
        }
        _ if agent == UNAUTHENTICATED => {
            let from = record.first(REMOTES).unwrap_or(UNKNOWN);
            (CredentialKind::Anonymous, format!("anonymous:{from}").into())
        }
        // What an identity provider that writes to Teleport shows.
        _ if event.starts_with("scim.") => {
            (CredentialKind::AccessToken, format!("token:{agent}").into())
        }
        "recovery_code.used" => (CredentialKind::Password, format!("recovery-code:{agent}").into()),
        "bot.join" | "instance.join" if method == "kubernetes" => {
            (CredentialKind::ServiceAccountToken, format!("{method}:{agent}").into())
        }
        "user.login" if method == "local" => {
            (CredentialKind::Password, format!("password:{agent}").into())
        }
        "user.login" | "bot.join" | "instance.join" if !method.is_empty() => {
            (CredentialKind::AccessToken, format!("{method}:{agent}").into())
        }
        _ => (CredentialKind::Certificate, format!("certificate:{agent}").into()),
    }
}

/// Events in which Teleport lets somebody in or on, or refuses.
const GATES: &[&str] = &[
    "device.authenticate",
    "device.enroll_pairing.request",
    "device.token.spent",
    "mfa_auth_challenge.validate",
    "recovery_code.used",
];

/// The codes of sessions that were denied, of a database and of a desktop.
const DENIED: &[&str] = &["TDB00W", "TDP00W"];

/// Whether the name of what an event is about is a token that lets a host join.
fn is_of_token(event: &str) -> bool {
    ["join_token.", "provision_token.", "bot_token."].iter().any(|start| event.starts_with(start))
}

/// What was reached, and the far end of a connection.
fn target<'a>(record: &'a Json<'_>, event: &str, draft: &mut Draft<'a>) {
    let name = if is_of_token(event) { "" } else { "name" };
    let asked = if event.starts_with("access_request.") { "id" } else { "" };
    let path_kind = if event == "git.command" { "repository" } else { "file" };
    // Of these the machine is only where the file lies.
    let copied = if matches!(event, "sftp" | "scp") { "path" } else { "" };
    // What a desktop's session shares of the person's own machine.
    let shared = |path| if event.starts_with("desktop.directory.") { path } else { "" };
    // What SCIM calls a group is an access list here.
    let is_of_group = record.text("resource_type").is_some_and(|kind| kind.starts_with("group"));
    let (provisioned_list, provisioned_user) =
        if is_of_group { ("teleport_id", "") } else { ("", "teleport_id") };
    let recorded = if event == RECORDING { "sid" } else { "" };
    let places = [
        (recorded, "session_recording"),
        (copied, "file"),
        (shared("file_path"), "file"),
        (shared("directory_name"), "directory"),
        ("message.params.name", "mcp_tool"),
        ("app_name", "app"),
        ("db_service", "database"),
        // Of the first releases, which had no services.
        ("db_name", "database"),
        ("request_path", "kubernetes_path"),
        ("kubernetes_cluster", "kubernetes_cluster"),
        ("desktop_name", "desktop"),
        ("server_hostname", "server"),
        ("path", path_kind),
        ("server_id", "server"),
        ("spiffe_id", "spiffe_id"),
        (name, "object"),
        ("device.asset_tag", "device"),
        ("device.device_id", "device"),
        ("service_provider_shortcut", "saml_service_provider"),
        ("service_provider_entity_id", "saml_service_provider"),
        ("access_list_name", "access_list"),
        (provisioned_list, "access_list"),
        ("environment_profile", "environment_profile"),
        ("mfa_device_name", "mfa_device"),
        ("identity.route_to_database.service_name", "database"),
        ("identity.route_to_app.name", "app"),
        ("identity.kubernetes_cluster", "kubernetes_cluster"),
        ("request.path", "scim_path"),
        (asked, "access_request"),
    ];
    draft.reach(places.map(|(path, kind)| (record.text(path), kind)));
    let app = ["aws_host", "app_uri", "app_public_addr", "db_uri", "uri", "desktop_addr"];
    // The machine of the agent that leads there is no other side.
    let app = record.first(&app).and_then(host).filter(|host| !is_loopback(host));
    let about = if event.starts_with(OWN_ABOUT) { "user" } else { "" };
    let user = record.first(&["target.user", "members.member_name", provisioned_user, about]);
    draft.counterparty = match (record.text("dst_addr").or(app), user) {
        (Some(host), _) => Some(("host".into(), host.into())),
        (None, Some(user)) => Some(("teleport_user".into(), user.into())),
        (None, None) => None,
    };
    if let Some(arguments) = record.at("message.params.arguments") {
        draft.stake(arguments);
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || address_of(host).is_some_and(|address| address.is_loopback())
}

/// By a code that ends in `E`, `W` or `L` and has an error beside it; else by `success`; else by either of the
/// two; else by what the far end answered or a command returned.
fn outcome<'a>(record: &'a Json<'_>, event: &str) -> (Outcome, Option<Word<'a>>) {
    let error = record.first(&["error", "api_error", "message.error.message"]);
    let error = error.filter(|text| *text != "{}");
    let code = record.text("code").unwrap_or_default();
    let error = error.or_else(|| record.text("reason").filter(|_| event == "session.rejected"));
    let returned = record.first(&["return_code", "exitCode", "exit_code"]);
    let returned = returned.filter(|code| *code != "0");
    let is_of_failure = is_of_failure(code);
    let has_failed = match record.first(&["success", "status.success"]) {
        // Nobody has answered yet.
        Some(_) if code == HEADLESS_REQUESTED => false,
        // Who refuses has done what they meant to.
        Some(_) if event == "device.enroll_pairing.deny" && error.is_none() => false,
        Some(success) => {
            // As Elastic's documents have it, `failure`.
            ["false", "failure"].iter().any(|word| success.eq_ignore_ascii_case(word))
                || (is_of_failure && error.is_some())
        }
        None => error.is_some() || is_of_failure,
    };
    let answered = record.first(&["response_code", "status_code", "response.status_code"]);
    let refused = answered.and_then(verdict::of_http).filter(|by| *by != Outcome::Success);
    let is_gate = GATES.iter().any(|gate| event.starts_with(gate))
        || (DENIED.contains(&code) && error.is_none())
        || ["auth", "login", "join", "enroll", "rejected", "denied", "verification_failed"]
            .iter()
            .any(|end| event.ends_with(end));
    match (has_failed, refused, returned) {
        (true, ..) if is_gate => (Outcome::Denied, error.map(Into::into)),
        (_, Some(outcome), _) => (outcome, error.or(answered).map(Into::into)),
        (_, None, Some(returned)) => {
            // What the kernel answers with the numbers of `EPERM` and `EACCES`.
            let is_denied = event == "session.disk" && matches!(returned, "-1" | "-13");
            let outcome = if is_denied { Outcome::Denied } else { Outcome::Error };
            let told = error.map_or_else(|| format!("exit code {returned}").into(), Word::from);
            (outcome, Some(told))
        }
        (true, None, None) => (verdict::of_error(error.unwrap_or_default()), error.map(Into::into)),
        // `DENIED` of the two that a restricted session knows.
        (false, None, None)
            if event == "session.network"
                && matches!(record.text("action"), Some("1" | "denied")) =>
        {
            (Outcome::Denied, None)
        }
        (false, None, None) => (Outcome::Success, None),
    }
}
