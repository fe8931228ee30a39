//! [`parts`]: the calls of a record that a gateway writes of one HTTP request with several.
//!
//! Invariant: each call is a record of its own with all that stands around it, and with the decision that
//! was made of what it calls and no other; none is left out. Decisions without a call are one each.
//!
//! Source: Kong, *AI MCP Proxy* (log output: `ai.mcp.rpc`, `ai.mcp.audit`).

use super::super::Fault;
use super::super::batch::{self, PARTS_MAX, TEXT_BYTES_MAX};
use super::super::json::Json;

const CALLS: [&str; 3] = ["ai", "mcp", "rpc"];
const DECISIONS: [&str; 3] = ["ai", "mcp", "audit"];

/// Whether a record holds more than one call, or decisions of several that it does not tell.
pub(super) fn are_several(record: &Json<'_>) -> bool {
    let (calls, decisions) = (list(record, &CALLS), list(record, &DECISIONS));
    1 < calls.len() || (calls.is_empty() && 1 < decisions.len())
}

/// The record of one call with the decision about it alone; `None` if there are no others.
pub(super) fn decided<'j>(record: &Json<'j>) -> Option<Json<'j>> {
    let decisions = list(record, &DECISIONS);
    if decisions.len() < 2 {
        return None;
    }
    let decision = list(record, &CALLS).first().and_then(|call| decision_of(call, decisions));
    let mut record = record.clone();
    put(&mut record, &DECISIONS, decision);
    Some(record)
}

/// The calls of `json`, each as a record; `None` if it does not hold several.
///
/// # Errors
///
/// The [`Fault`] of one with more than are taken apart.
pub(in crate::format) fn parts(json: &str) -> Result<Option<Vec<String>>, Fault> {
    let Some(mut record) = Json::parse(json).ok().filter(are_several) else { return Ok(None) };
    let (calls, decisions) = (taken(&mut record, &CALLS), taken(&mut record, &DECISIONS));
    let pairs: Vec<(Option<&Json<'_>>, Option<&Json<'_>>)> = if calls.is_empty() {
        decisions.iter().map(|decision| (None, Some(decision))).collect()
    } else {
        calls.iter().map(|call| (Some(call), decision_of(call, &decisions))).collect()
    };
    if PARTS_MAX < pairs.len() {
        return Err(batch::too_many(pairs.len()));
    }
    let (mut texts, mut bytes) = (Vec::with_capacity(pairs.len()), 0);
    for (call, decision) in pairs {
        put(&mut record, &CALLS, call);
        put(&mut record, &DECISIONS, decision);
        let text = record.to_string();
        bytes += text.len();
        if TEXT_BYTES_MAX < bytes {
            return Err(batch::too_long());
        }
        texts.push(text);
    }
    Ok(Some(texts))
}

/// The decision about what is called; of a call that names nothing, as a list of tools, there is none.
fn decision_of<'d, 'j>(call: &Json<'_>, decisions: &'d [Json<'j>]) -> Option<&'d Json<'j>> {
    let tool = call.text("tool_name")?;
    decisions.iter().find(|decision| decision.text("primitive_name") == Some(tool))
}

fn list<'t, 'j>(record: &'t Json<'j>, path: &[&str]) -> &'t [Json<'j>] {
    match path.iter().try_fold(record, |json, name| json.field(name)) {
        Some(Json::List(elements)) => elements,
        None | Some(Json::Null) => &[],
        Some(one) => std::slice::from_ref(one),
    }
}

/// The elements of a list, which are no longer there.
fn taken<'j>(record: &mut Json<'j>, path: &[&str]) -> Vec<Json<'j>> {
    let elements = list(record, path).to_vec();
    put(record, path, None);
    elements
}

/// Puts one element in the place of a list.
fn put<'j>(record: &mut Json<'j>, path: &[&str], one: Option<&Json<'j>>) {
    let place = path.iter().try_fold(record, |json, name| json.field_mut(name));
    if let Some(place) = place {
        *place = one.cloned().unwrap_or(Json::Null);
    }
}
