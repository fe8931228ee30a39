//! What people ask Copilot and its agents, as Microsoft 365's audit log tells it: in which conversation, with
//! which model, and what was read for the answer.
//!
//! Invariant: an agent is one that the record names; it then acts, for the user. Of prompts and answers nothing
//! is kept but whether an attack was seen in them.
//!
//! Source: Microsoft, *Office 365 Management Activity API schema* (Copilot schema).

use schemas::CredentialKind;

use super::super::draft::Draft;
use super::super::json::Json;
use super::super::kebab;

/// What such a record is about, and where its details are.
const OPERATION: &str = "CopilotInteraction";
const DETAILS: &str = "copilotEventData";

pub(super) fn is_copilot(properties: &Json<'_>) -> bool {
    properties.has(DETAILS) || properties.text("operation") == Some(OPERATION)
}

/// Reads what such a record says beside what all of the log say.
pub(super) fn read<'a>(properties: &'a Json<'_>, draft: &mut Draft<'a>) {
    // Graph may leave the object around the details out.
    let details = properties.at(DETAILS).unwrap_or(properties);
    let told = |path| properties.text(path).or_else(|| details.text(path));
    if let Some(agent) = told("agentId").or_else(|| told("agentName")) {
        draft.delegation.extend(draft.agent.replace(agent.into()));
        draft.class = Some("entra:agent".into());
    }
    draft.keep("agent_name", told("agentName"));
    let app = told("appIdentity").or_else(|| told("appHost"));
    draft.counterparty = app.map(|app| ("app".into(), app.into()));
    draft.keep("app_host", told("appHost"));
    let mut models = details.list("modelTransparencyDetails").iter();
    draft.model = models.find_map(|one| one.text("modelName")).map(Into::into);
    // Whoever talks has signed in before; the conversation is no credential.
    let signed_in = draft.session.take();
    if let (None, Some(agent)) = (&draft.credential, &draft.agent) {
        draft.credential = Some(match &signed_in {
            Some(session) => (CredentialKind::Session, format!("session:{session}").into()),
            None => (CredentialKind::Unknown, format!("unknown:{agent}").into()),
        });
    }
    let conversation = details.first(&["threadId", "conversationId"]).map(Into::into);
    draft.session = conversation.or(signed_in);
    let read = |list, names: &[&str]| {
        details.list(list).iter().find_map(|one| Some((one.first(names)?, one.text("type"))))
    };
    let found =
        read("accessedResources", &["siteUrl", "name", "id"]).or_else(|| read("contexts", &["id"]));
    if let Some((resource, kind)) = found {
        draft.resource = Some(resource.into());
        // Some are the URL of a schema.
        let kind = kind.filter(|kind| kind.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        draft.resource_kind = kind.map(|kind| kebab(kind).into());
    }
    let plugins = details.list("aiSystemPlugin").iter();
    let plugins: Vec<&str> = plugins.filter_map(|one| one.first(&["id", "name"])).collect();
    draft.keep("ai_plugins", (!plugins.is_empty()).then(|| plugins.join(",")));
    let is_seen = |list, mark| details.list(list).iter().any(|one| one.is_true(mark));
    let seen = |list, mark| is_seen(list, mark).then_some("true");
    draft.keep("jailbreak_detected", seen("messages", "jailbreakDetected"));
    draft.keep("xpia_detected", seen("accessedResources", "xpiaDetected"));
}
