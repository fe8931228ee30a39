//! OpenAI audit log events, and those of its Compliance Logs Platform ([`compliance`]).
//!
//! Invariant: an API key acts for its service account, else for its user, and both stand in the event; a
//! sign-in that was refused and names nobody is of the agent `openai:unauthenticated`.
//!
//! Source: OpenAI, *Audit logs* (API reference, organization audit log object).

mod compliance;

use std::borrow::Cow;

use schemas::{CredentialKind, Outcome};

use super::draft::{Draft, Needs};
use super::json::Json;
use super::{Fault, verdict};

pub(super) const NEEDS: Needs = Needs { agent: "actor", action: "type", time: "effective_at" };

const UNAUTHENTICATED: &str = "openai:unauthenticated";

const KEY_AGENTS: &[&str] = &[
    "actor.api_key.service_account.id",
    "actor.api_key.user.email",
    "actor.api_key.user.id",
    "actor.api_key.id",
];
/// Details that some exporters write beside the details.
const BESIDE: &[(&str, &str)] = &[
    ("principal_id", "principal_id"),
    ("principal_type", "principal_type"),
    ("resource_id", "resource_id"),
    ("resource_type", "resource_type"),
];
const SESSION_AGENTS: &[&str] =
    &["actor.session.user.email", "actor.session.user.id", "actor.user.email", "actor.user.id"];

pub(super) fn draft<'a>(record: &'a Json<'_>) -> Result<Draft<'a>, Fault> {
    let read = if compliance::is_one(record) { compliance::draft } else { audit };
    let mut draft = read(record)?;
    let action = draft.action.as_deref().unwrap_or_default();
    let is_login = action.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("login"));
    if draft.agent.is_none() && is_login && draft.outcome == Outcome::Denied {
        draft.agent = Some(UNAUTHENTICATED.into());
        draft.class = Some(UNAUTHENTICATED.into());
        let from = draft.source.as_deref().unwrap_or("unknown");
        draft.credential = Some((CredentialKind::Anonymous, format!("anonymous:{from}").into()));
    }
    Ok(draft)
}

fn audit<'a>(record: &'a Json<'_>) -> Result<Draft<'a>, Fault> {
    let mut draft = Draft::new(NEEDS, record, &["effective_at"])?;
    draft.event_id = record.text("id").map(Into::into);
    draft.source = record.text("actor.session.ip_address").map(Into::into);
    draft.user_agent = record.text("actor.session.user_agent").map(Into::into);
    draft.session = record.text("actor.session.id").map(Into::into);
    if let Some(agent) = record.first(KEY_AGENTS) {
        draft.agent = Some(agent.into());
        let is_service = record.at("actor.api_key.service_account.id").is_some();
        draft.class =
            Some(if is_service { "openai:service-account" } else { "openai:user" }.into());
        let key = record.text("actor.api_key.id");
        draft.credential = Some(match key {
            Some(key) => (CredentialKind::StaticKey, key.into()),
            None => (CredentialKind::StaticKey, format!("api-key:{agent}").into()),
        });
        let user = record.first(&["actor.api_key.user.email", "actor.api_key.user.id"]);
        draft.delegation.extend(user.map(Into::into));
    } else if let Some(agent) = record.first(SESSION_AGENTS) {
        draft.agent = Some(agent.into());
        draft.class = Some("openai:user".into());
        if draft.session.is_none() {
            draft.credential = Some((CredentialKind::Session, format!("session:{agent}").into()));
        }
    }
    let Some(action) = record.text("type") else { return Ok(draft) };
    // Elastic has hyphens between the parts of a name, which have underscores between their words.
    let is_dotted = action.contains('.');
    let action = if is_dotted { action.into() } else { Cow::from(action.replace('-', ".")) };
    draft.action = Some(action.clone());
    // The details stand under the name of the type; some exporters cannot write a dot in a name.
    let name = action.replace('.', "_");
    let is_it = |field: &str| field == &*action || field.eq_ignore_ascii_case(&name);
    let details = record.fields().iter().find(|(field, _)| is_it(field));
    let details = details.map_or(&Json::Null, |(_, details)| details);
    target(record, details, &action, &mut draft);
    let message = details.first(&["error_message", "error_code"]);
    draft.outcome = match action.ends_with(".failed") {
        true if action.starts_with("login") => Outcome::Denied,
        true => verdict::of_error(message.unwrap_or_default()),
        false => Outcome::Success,
    };
    draft.outcome_reason = details.first(&["error_code", "error_message"]).map(Into::into);
    let is_reason = details.text("error_code").is_none();
    draft.keep("error_message", details.text("error_message").filter(|_| !is_reason));
    draft.keep_each(record, BESIDE);
    draft.keep_each(
        record,
        &[
            ("city", "actor.session.ip_address_details.city"),
            ("country", "actor.session.ip_address_details.country"),
            ("ja3", "actor.session.ja3"),
            ("ja4", "actor.session.ja4"),
            ("key_type", "actor.api_key.type"),
            ("project_id", "project.id"),
            ("project_name", "project.name"),
            ("user_id", "actor.session.user.id"),
        ],
    );
    draft.keep_rest(details, &["error_message", "error_code", "id"]);
    Ok(draft)
}

/// What was made, changed or removed, not what it is for; whom it was given to is the other side.
fn target<'a>(record: &'a Json<'_>, details: &'a Json<'_>, action: &str, draft: &mut Draft<'a>) {
    let noun = action.rsplit_once('.').map_or(action, |(noun, _)| noun);
    // Some write what stands in the details beside them.
    let of = |name| details.text(name).or_else(|| record.text(name));
    let or_noun = |kind: Option<&'a str>| kind.map_or_else(|| noun.to_owned().into(), Cow::from);
    if let Some(id) = details.text("id") {
        draft.resource = Some(id.into());
        // What a role is bound to has an id of its own kind.
        let kind = of("resource_type").filter(|_| of("resource_id") == Some(id));
        draft.resource_kind = Some(or_noun(kind));
    } else if let Some(id) =
        of("resource_id").or_else(|| details.first(&["configs.id", "certificates.id"]))
    {
        draft.resource = Some(id.into());
        draft.resource_kind = Some(or_noun(of("resource_type")));
    } else if let Some(project) = record.text("project.id") {
        draft.resource = Some(project.into());
        draft.resource_kind = Some("project".into());
    }
    if action.ends_with("api_key.created") {
        draft.keep("issued_credential_id", details.text("id"));
    }
    // Of a user that was added, changed or removed nothing but the id is told.
    let user = details.text("id").filter(|_| noun == "user");
    let user = details.first(&["data.email", "email"]).or(user);
    draft.counterparty = match (of("principal_id"), user) {
        (Some(principal), _) => {
            let kind = of("principal_type").unwrap_or("principal");
            Some((kind.into(), principal.into()))
        }
        (None, Some(user)) => Some(("user".into(), user.into())),
        (None, None) => None,
    };
}
