//! Events of OpenAI's Compliance Logs Platform: what happens in a workspace.
//!
//! Invariant: what was said to a model and what it said (prompts, messages, what an app was asked and what
//! it answered) is in no event; only the arguments of a tool's call are.
//!
//! Source: OpenAI, *Compliance Logs Platform* (`AUDIT_LOG`, `AUTH_LOG`, `APP_LOG`, `APP_AUTH_LOG`,
//! `CODEX_LOG`, `CODEX_SECURITY_LOG`, `CUSTOM_AGENTS_LOG`, `CONVERSATION_MESSAGE`).

use schemas::{CredentialKind, Outcome};

use crate::format::draft::{Draft, Needs, Word};
use crate::format::json::{Json, is_same_name};
use crate::format::{Fault, kebab, verdict};

const NEEDS: Needs = Needs { agent: "actor", action: "action or event_type", time: "timestamp" };

/// Words of names under which there is what was said.
const CONTENT: &[&str] = &[
    "prompt",
    "prompts",
    "response",
    "text",
    "message",
    "messages",
    "content",
    "input",
    "output",
    "instructions",
    "preview",
    "result",
];
/// Words that end such a name where it only counts or names it.
const ABOUT: &[&str] = &["id", "ids", "tokens", "length", "count", "type"];

/// Ids that say in which run something happened, and not to what.
const RUNS: &[&str] = &[
    "session_id",
    "run_id",
    "conversation_id",
    "turn_id",
    "call_id",
    "tool_call_id",
    "interaction_id",
    "message_id",
    "version_id",
    "link_id",
    "workspace_id",
];
/// Fields of the details that have a place of their own in the event.
const KNOWN: &[&str] = &[
    "action",
    "arguments",
    "detail_type",
    "error_code",
    "error_message",
    "failure_message",
    "model",
    "session_id",
];

/// Whether a record is one of these.
pub(super) fn is_one(record: &Json<'_>) -> bool {
    record.has("event_id")
}

pub(super) fn draft<'a>(record: &'a Json<'_>) -> Result<Draft<'a>, Fault> {
    let mut draft = Draft::new(NEEDS, record, &["timestamp"])?;
    draft.event_id = record.text("event_id").map(Into::into);
    draft.source = record.text("request_metadata.client_ip").map(Into::into);
    draft.user_agent = record.text("request_metadata.client_user_agent").map(Into::into);
    let sessions = [
        "event_details.session_id",
        "event_details.run_id",
        "event_details.conversation_id",
        "conversation_id",
        "conversation.id",
    ];
    draft.session = record.first(&sessions).map(Into::into);
    draft.model = record.first(&["event_details.model", "message.author.model"]).map(Into::into);
    actor(record, &mut draft);
    let tool = tool(record);
    target(record, tool, &mut draft);
    keep(record, &mut draft);
    let Some(done) = done(record) else { return Ok(draft) };
    (draft.outcome, draft.outcome_reason) = outcome(record, &done);
    draft.action = Some(match tool {
        Some(tool) => format!("{done}:{tool}").into(),
        None => done,
    });
    Ok(draft)
}

fn actor<'a>(record: &'a Json<'_>, draft: &mut Draft<'a>) {
    let user = record.first(&["actor.user_email", "actor.user_id"]);
    // Of a key only its first and last letters are told.
    let key = record.text("actor.redacted_id");
    // The product is the agent; what runs it has an id of its own.
    let program = record.first(&["actor.product_id", "actor.id", "actor.name"]);
    let Some(agent) = user.or(key).or(program) else { return };
    draft.agent = Some(agent.into());
    let kind = record.first(&["actor.product_type", "actor.type"]).map(kebab);
    draft.class = match (user, kind) {
        (Some(_), _) => Some("openai:user".into()),
        (None, kind) => kind.map(|kind| format!("openai:{kind}").into()),
    };
    draft.instance = record.text("actor.agent_runtime.id").map(Into::into);
    draft.task = record.text("actor.agent_task.id").map(Into::into);
    draft.credential = match (key, user) {
        (Some(key), _) => Some((CredentialKind::StaticKey, key.into())),
        (None, Some(user)) if draft.session.is_none() => {
            Some((CredentialKind::Session, format!("session:{user}").into()))
        }
        (None, _) => None,
    };
    let delegators = [
        "actor.agent_runtime.delegator.user_email",
        "actor.agent_runtime.delegator.user_id",
        "actor.agent_runtime.delegator.redacted_id",
    ];
    draft.delegation.extend(record.first(&delegators).map(Into::into));
}

/// What was done; a log that has no word for it is the word.
fn done<'a>(record: &'a Json<'_>) -> Option<Word<'a>> {
    if let Some(action) = record.first(&["action", "event_type", "action_data.action"]) {
        return Some(action.into());
    }
    let log = record.text("type")?;
    Some(match record.text("log_type") {
        Some(part) => format!("{log}:{part}").into(),
        None => log.into(),
    })
}

/// The tool of a call.
fn tool<'a>(record: &'a Json<'_>) -> Option<&'a str> {
    let (details, _) = parts(record);
    let named = details.text("name").filter(|_| details.has("call_id"));
    details
        .first(&["tool_name", "action_name"])
        .or(named)
        .or_else(|| record.text("output.response.action_name"))
}

fn target<'a>(record: &'a Json<'_>, tool: Option<&'a str>, draft: &mut Draft<'a>) {
    let (details, data) = parts(record);
    draft.reach([
        (tool, "tool"),
        (details.text("memory_path"), "memory"),
        (details.text("skill_id"), "skill"),
        (details.text("trigger_id"), "trigger"),
    ]);
    if draft.resource.is_none() {
        match details.first_id(RUNS).or_else(|| data.first_id(RUNS)) {
            Some((kind, id)) => {
                draft.resource = Some(id.into());
                draft.resource_kind = Some(kind.into());
            }
            None => draft.reach([
                (record.text("app_id"), "app"),
                (record.text("conversation.id"), "conversation"),
                (record.text("principal.id"), "workspace"),
            ]),
        }
    }
    let connector = details.first(&["connector_id", "tool_meta.connector_id"]);
    let people = ["email_address", "email_addresses", "new_owner_email", "user_email", "user_id"];
    let others = [
        ("connector", connector),
        ("app", record.text("app_id")),
        ("user", data.first(&people)),
        ("user", details.first(&["updated_fields.assignee_user_email"])),
    ];
    let other = others.iter().find_map(|(kind, id)| Some((*kind, (*id)?)));
    draft.counterparty = other.map(|(kind, id)| (kind.into(), id.into()));
    if let Some(arguments) = details.at("arguments").or_else(|| details.at("tool_input")) {
        draft.stake(arguments);
    }
    if details.text("detail_type").is_some_and(|kind| kind.ends_with("CREATED")) {
        draft.keep("issued_credential_id", details.text("access_token_id"));
    }
}

fn outcome<'a>(record: &'a Json<'_>, done: &str) -> (Outcome, Option<Word<'a>>) {
    let (details, data) = parts(record);
    let errors = ["error_code", "error_message", "failure_message"];
    let error = details.first(&errors).or_else(|| data.first(&errors));
    let told = record.first(&["action_result", "event_details.status"]);
    let has_failed = error.is_some() || record.is_true("output.response.result.isError");
    let outcome = match told.map(verdict::of_word) {
        Some(told) => told,
        None if has_failed => Outcome::Error,
        None => verdict::of_name(done),
    };
    let outcome = match outcome {
        Outcome::Success => return (Outcome::Success, None),
        Outcome::Error if done.to_ascii_lowercase().starts_with("login") => Outcome::Denied,
        Outcome::Error => verdict::of_error(error.unwrap_or_default()),
        Outcome::Denied => Outcome::Denied,
    };
    (outcome, error.or(told).map(Into::into))
}

fn keep<'a>(record: &'a Json<'_>, draft: &mut Draft<'a>) {
    draft.keep_each(
        record,
        &[
            ("action_privilege", "action_privilege"),
            ("actor_id", "actor.id"),
            ("actor_user_id", "actor.user_id"),
            ("agent_name", "actor.name"),
            ("app_name", "app_name"),
            ("app_type", "app_type"),
            ("city", "request_metadata.client_ip_details.city"),
            ("client_id", "client_id"),
            ("country", "request_metadata.client_ip_details.country"),
            ("destination", "request_metadata.destination_hostname"),
            ("ja3", "request_metadata.client_ja3"),
            ("ja4", "request_metadata.client_ja4"),
            ("link_id", "link_id"),
            ("log", "type"),
            ("log_type", "log_type"),
            ("workspace_id", "principal.id"),
        ],
    );
    let (details, data) = parts(record);
    for (name, value) in details.fields().iter().chain(data.fields()) {
        let is_known = KNOWN.iter().any(|known| is_same_name(name, known));
        if !is_known && !holds_content(name, value) {
            draft.keep(name.as_ref(), value.told());
        }
    }
}

/// The details of an event and the data of an action: a record has one of the two.
fn parts<'j, 'a>(record: &'j Json<'a>) -> (&'j Json<'a>, &'j Json<'a>) {
    let part = |name| record.at(name).unwrap_or(&Json::Null);
    (part("event_details"), part("action_data"))
}

/// Whether the field or one inside of it is what was said, by its name.
fn holds_content(name: &str, value: &Json<'_>) -> bool {
    let lower = name.to_ascii_lowercase();
    let words: Vec<&str> = lower.split('_').collect();
    let is_about = words.last().is_some_and(|last| ABOUT.contains(last));
    let is_content = !is_about && words.iter().any(|word| CONTENT.contains(word));
    let is_folded = |text: &str| text.trim_start().starts_with(['{', '[']);
    is_content
        || match value {
            Json::Object(fields) => fields.iter().any(|(name, value)| holds_content(name, value)),
            Json::List(elements) => elements.iter().any(|one| holds_content("", one)),
            Json::Text(text) => is_folded(text),
            Json::Null | Json::Literal(_) => false,
        }
}
