//! Teleport audit events.
//!
//! Invariant: every use of Teleport but a sign-in presents a short-lived certificate, whose number the
//! record does not tell; it is named after its holder. A join token's name is kept for no method, since
//! of one it is the secret; statements and bodies sent to a database or an app are not kept.
//!
//! Source: Teleport, *Audit Events and Records*, `api/proto/teleport/legacy/types/events/events.proto`.

use schemas::{CredentialKind, Outcome};

use super::arguments::host;
use super::draft::{Draft, Needs, Word};
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
];

pub(super) fn draft<'a>(record: &'a Json<'_>) -> Result<Draft<'a>, Fault> {
    let mut draft = Draft::new(NEEDS, record, &["time"])?;
    draft.event_id = record.text("uid").map(Into::into);
    draft.source =
        record.first(&["addr.remote", "addr_remote", "remote_addr", "src_addr"]).map(Into::into);
    draft.user_agent = record.text("user_agent").map(Into::into);
    draft.session = record.first(&["sid", "session_id"]).map(Into::into);
    draft.instance = record.first(&["bot_instance_id", "identity.bot_instance_id"]).map(Into::into);
    let event = record.text("event");
    let bot = record.first(&["bot_name", "identity.bot_name"]);
    let named = record.first(&["user", "identity.user"]).or(bot);
    if let Some(agent) = named.or_else(|| record.first(&["updated_by", "impersonator"])) {
        draft.agent = Some(agent.into());
        draft.class = Some(class(record, agent, bot));
        draft.credential = Some(credential(record, agent, event.unwrap_or_default()));
    }
    let behind = record.first(&["impersonator", "identity.impersonator"]);
    draft.delegation.extend(behind.map(Into::into));
    draft.action = event.map(Into::into);
    target(record, &mut draft);
    (draft.outcome, draft.outcome_reason) = outcome(record, event.unwrap_or_default());
    draft.keep_rest(record, KNOWN);
    draft.keep_each(
        record,
        &[
            ("identity_roles", "identity.roles"),
            ("kubernetes_cluster", "identity.kubernetes_cluster"),
            ("logins", "identity.logins"),
            ("mcp_method", "message.method"),
        ],
    );
    Ok(draft)
}

fn class<'a>(record: &Json<'_>, agent: &'a str, bot: Option<&'a str>) -> Word<'a> {
    let is_bot =
        record.first(&["user_kind", "kind"]).is_some_and(|kind| matches!(kind, "2" | "bot"));
    match (bot, agent.strip_prefix("bot-")) {
        (Some(bot), _) | (None, Some(bot)) => format!("teleport:bot/{bot}").into(),
        (None, None) if is_bot => "teleport:bot".into(),
        (None, None) if agent == "system" || agent.starts_with('@') => "teleport:system".into(),
        (None, None) => "teleport:user".into(),
    }
}

fn credential<'a>(record: &'a Json<'_>, agent: &'a str, event: &str) -> (CredentialKind, Word<'a>) {
    let method = record.text("method").unwrap_or_default();
    match event {
        "user.login" if method == "local" => {
            (CredentialKind::Password, format!("password:{agent}").into())
        }
        "user.login" | "bot.join" | "instance.join" if !method.is_empty() => {
            (CredentialKind::AccessToken, format!("{method}:{agent}").into())
        }
        _ => (CredentialKind::Certificate, format!("certificate:{agent}").into()),
    }
}

/// What was reached, and the far end of a connection.
fn target<'a>(record: &'a Json<'_>, draft: &mut Draft<'a>) {
    let places = [
        ("message.params.name", "mcp_tool"),
        ("app_name", "app"),
        ("db_service", "database"),
        ("kubernetes_cluster", "kubernetes_cluster"),
        ("desktop_name", "desktop"),
        ("server_hostname", "server"),
        ("path", "file"),
        ("server_id", "server"),
        ("name", "object"),
    ];
    draft.reach(places.map(|(path, kind)| (record.text(path), kind)));
    let app = record.first(&["app_uri", "app_public_addr", "db_uri", "uri"]).and_then(host);
    draft.counterparty = match (record.text("dst_addr").or(app), record.text("target.user")) {
        (Some(host), _) => Some(("host".into(), host.into())),
        (None, Some(user)) => Some(("teleport_user".into(), user.into())),
        (None, None) => None,
    };
    if let Some(arguments) = record.at("message.params.arguments") {
        draft.stake(arguments);
    }
}

/// By `success`; else by the last letter of the code, in which `E` and `W` are failures when an error
/// stands beside them; else by what a command returned.
fn outcome<'a>(record: &'a Json<'_>, event: &str) -> (Outcome, Option<Word<'a>>) {
    let error = record.first(&["error", "message.error.message"]).filter(|text| *text != "{}");
    let code = record.text("code").unwrap_or_default();
    let returned = record.first(&["return_code", "exitCode"]).filter(|code| *code != "0");
    let has_failed = match record.text("success") {
        Some(success) => success == "false",
        None => error.is_some() || code.ends_with(['E', 'e']),
    };
    let is_gate = event == "auth" || event.ends_with("login") || event.ends_with("join");
    match (has_failed, returned) {
        (true, _) if is_gate => (Outcome::Denied, error.map(Into::into)),
        (true, _) => (verdict::of_error(error.unwrap_or_default()), error.map(Into::into)),
        (false, Some(returned)) => (Outcome::Error, Some(format!("exit code {returned}").into())),
        (false, None) => (Outcome::Success, None),
    }
}
