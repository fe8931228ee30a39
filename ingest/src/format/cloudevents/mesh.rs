//! Events of Microsoft's agent mesh, which have no format of their own.
//!
//! Invariant: one agent has one id, its decentralised identifier, wherever an event tells it; a refusal
//! counts before a failure, whether the policy's verdict, the outcome or the type tells it.
//!
//! Source: Microsoft, *Agent Governance Toolkit* (event types `ai.agentmesh.*`); `AgentMesh`, *CloudEvents
//! Schema*.

use schemas::{CredentialKind, Outcome};

use super::NEEDS;
use crate::format::draft::Draft;
use crate::format::json::Json;
use crate::format::{Fault, verdict};

pub(super) const TYPES: &str = "ai.agentmesh.";
const ARGUMENTS: &[&str] = &["arguments", "tool_args", "parameters", "args"];
/// What a policy decides.
const DECISIONS: &[&str] = &[
    "allow",
    "allowed",
    "deny",
    "denied",
    "block",
    "blocked",
    "audit",
    "log",
    "warn",
    "require_approval",
];
/// Where a policy's decision and the end of an act stand.
const VERDICTS: &[&str] = &["policy_decision", "policy_verdict", "decision"];
const REASONS: &[&str] =
    &["reason", "violation_reason", "violation", "error", "matched_rule", "policy"];
/// The agent that another one deals with.
const PEERS: &[&str] = &["peer_did", "provider_did"];
/// Who stands behind an agent.
const BEHIND: &[&str] =
    &["delegator", "delegated_by", "parent_agent", "sponsor", "user_id", "on_behalf_of"];
/// Data that have a place of their own in the event.
const KNOWN: &[&str] = &[
    "session_id",
    "model",
    "source_ip",
    "client_ip",
    "arguments",
    "tool_args",
    "parameters",
    "args",
];

pub(super) fn draft<'a>(envelope: &'a Json<'_>) -> Result<Draft<'a>, Fault> {
    let kind = envelope.text("type").unwrap_or_default();
    let mut draft = Draft::new(NEEDS, envelope, &["time"])?;
    let data = envelope.at("data").unwrap_or(&Json::Null);
    draft.event_id = envelope.text("id").map(Into::into);
    let agent = agent(envelope);
    draft.agent = agent.map(Into::into);
    draft.class = data.first(&["agent_class", "agent_type", "role", "agent_name"]).map(Into::into);
    draft.model = data.text("model").map(Into::into);
    draft.session = envelope.first(&["data.session_id", "sessionid"]).map(Into::into);
    draft.task = data.first(&["task_id", "taskId"]).map(Into::into);
    draft.credential = match (data.first(&["credential_id", "key_id", "token_id"]), agent) {
        (Some(id), _) => Some((CredentialKind::Unknown, id.into())),
        // Whoever speaks for a DID holds its key.
        (None, Some(did)) if is_did(did) => Some((CredentialKind::Unknown, did.into())),
        (None, _) => None,
    };
    draft.delegation = BEHIND.iter().filter_map(|path| data.text(path)).map(Into::into).collect();
    let event = kind.strip_prefix(TYPES).unwrap_or(kind);
    let subject = envelope.text("subject");
    let tool = subject.and_then(|subject| subject.strip_prefix("tool:"));
    let tool = tool.or_else(|| data.first(&["tool", "tool_name"]));
    // What some call the action is what a policy decided of it.
    let (decided, done) = match data.text("action") {
        Some(word) if DECISIONS.iter().any(|known| word.eq_ignore_ascii_case(known)) => {
            (Some(word), None)
        }
        done => (None, done.filter(|done| !done.contains(' '))),
    };
    draft.action = Some(match tool.or(done) {
        Some(done) => format!("{event}:{done}").into(),
        None => event.into(),
    });
    let peer = data.first(PEERS).filter(|peer| Some(*peer) != agent);
    draft.counterparty = peer.map(|peer| ("agent".into(), peer.into()));
    let resource = data.text("resource").or(subject.filter(|subject| Some(*subject) != peer));
    draft.resource = tool.or(resource).map(Into::into);
    let resource_kind = if tool.is_some() { "tool" } else { "resource" };
    draft.resource_kind = draft.resource.as_ref().map(|_| resource_kind.into());
    draft.source = data.first(&["source_ip", "client_ip"]).map(Into::into);
    let reason = data.first(REASONS);
    draft.outcome = outcome(data, event, decided, reason);
    draft.outcome_reason = reason.map(Into::into);
    if let Some(arguments) = ARGUMENTS.iter().find_map(|path| data.at(path)) {
        draft.stake(arguments);
    }
    draft.keep_rest(data, KNOWN);
    Ok(draft)
}

fn is_did(name: &str) -> bool {
    name.starts_with("did:")
}

/// The agent by its identifier, which is the source where the data do not have it; else by another id. Another
/// source is what wrote the event.
fn agent<'a>(envelope: &'a Json<'_>) -> Option<&'a str> {
    let source = envelope.text("source");
    let told = || envelope.text("data.agent_did").or(source.filter(|source| is_did(source)));
    told().or_else(|| envelope.text("data.agent_id"))
}

fn outcome(data: &Json<'_>, event: &str, decided: Option<&str>, reason: Option<&str>) -> Outcome {
    let ended = |word: &str| match word.to_ascii_lowercase().as_str() {
        "success" | "succeeded" | "completed" | "ok" | "allow" | "allowed" | "audit" | "log"
        | "warn" => Outcome::Success,
        word => verdict::of_error(word),
    };
    let told = [data.first(VERDICTS).or(decided), data.text("outcome")];
    // A handshake may be granted in part.
    let shaken = data.text("handshake_result").and_then(verdict::of_one_word);
    let told = told.into_iter().flatten().map(ended).chain(shaken).chain([verdict::of_name(event)]);
    match told.fold(Outcome::Success, verdict::worse) {
        Outcome::Error => verdict::of_error(reason.unwrap_or_default()),
        ended @ (Outcome::Denied | Outcome::Success) => ended,
    }
}
