//! In whose spans an event happened: the chain of parent spans, looked up among the events.
//!
//! Invariant: a link is followed only where both of its events are in the lake, were read by the time
//! asked about, and one of them is an agent that calls or is called. At most [`SPANS_MAX`] spans are
//! looked at, and no agent counts twice, so a chain that goes in a circle ends. A link is of one span, so
//! a sub-agent that works for many is traced to the one that it worked for then.
//!
//! Source: W3C Trace Context, sections 2.2.3 and 2.2.4 (`trace-id`, `parent-id`); OpenTelemetry, *Semantic
//! conventions for generative AI agent spans* (`create_agent`, `invoke_agent`, `execute_tool`).

use schemas::{CredentialEvent, EventId, SpanParent, Timestamp};

use super::Ledger;
use crate::error::QueryError;

/// Most spans above an event that are looked at. A sub-agent's call is some four spans below its caller.
const SPANS_MAX: usize = 32;

/// What an agent does that has another work for it.
const CALLS: &[&str] = &["create_agent", "invoke_agent", "invoke_workflow", "execute_tool"];
/// What an agent does first that works for another.
const CALLED: &[&str] = &["create_agent", "invoke_agent"];

impl Ledger {
    /// The other agents in whose spans `event` happened, the nearest first, by what was read by
    /// `known_at`.
    ///
    /// # Errors
    ///
    /// [`QueryError::Lake`].
    pub(super) async fn spans_around(
        &self,
        event: &CredentialEvent,
        known_at: Timestamp,
    ) -> Result<Vec<SpanParent>, QueryError> {
        let mut parents: Vec<SpanParent> = Vec::new();
        let mut inner = event.clone();
        for _ in 0..SPANS_MAX {
            let Some(id) = parent_of(&inner) else { break };
            let Some(found) = self.event(&id).await? else { break };
            let outer = found.event;
            if known_at < found.ingested_at {
                break;
            }
            if outer.agent_id != inner.agent_id {
                if !is_one(&outer, CALLS) && !is_one(&inner, CALLED) {
                    break;
                }
                let is_known = |parent: &SpanParent| parent.agent_id == outer.agent_id;
                if outer.agent_id != event.agent_id && !parents.iter().any(is_known) {
                    let (agent_id, event_id) = (outer.agent_id.clone(), outer.event_id.clone());
                    parents.push(SpanParent { agent_id, event_id });
                }
            }
            inner = outer;
        }
        Ok(parents)
    }
}

/// The id of the event that tells of the span around `event`'s: an event of a span is named by its trace
/// and its span.
fn parent_of(event: &CredentialEvent) -> Option<EventId> {
    let trace = event.attributes.get("trace_id")?;
    let parent = event.attributes.get("parent_span_id")?;
    let is_own =
        event.event_id.as_str().strip_prefix(trace).is_some_and(|rest| rest.starts_with(':'));
    // A root's parent is told as zeros, or not at all.
    if !is_own || parent.bytes().all(|byte| byte == b'0') {
        return None;
    }
    EventId::try_from(format!("{trace}:{parent}")).ok()
}

/// Whether the event's operation, which its action begins with, is one of these.
fn is_one(event: &CredentialEvent, operations: &[&str]) -> bool {
    let operation = event.action.split(':').next().unwrap_or_default();
    operations.contains(&operation)
}
