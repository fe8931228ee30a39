//! A call to a tool, as the Model Context Protocol has it: what was called, with what, in which session and
//! for which model.
//!
//! Invariant: what stands in `unmapped` counts only where it is such a call, or under the names of one
//! standard that has them there.
//!
//! Source: Model Context Protocol, `tools/call`; Agent Observability Standard, *Extend OCSF*.

use super::super::json::Json;

/// The method that calls a tool.
const CALL: &str = "tools/call";
/// The name of a tool in an object of its own, as gateways write it that tell no operation.
pub(super) const OWN_TOOL: &str = "tool.name";
/// Where the name of the tool stands in such a call.
const TOOLS: &[&str] = &[
    OWN_TOOL,
    "api.operation.params.name",
    "api.request.data.params.name",
    "api.request.data.tool",
    "api.request.data.tool_name",
    "api.request.data.name",
    "unmapped.tool_name",
    "unmapped.tool.name",
    "unmapped.tool",
    "unmapped.mcp.tool.name",
    "unmapped.gen_ai.tool.name",
    // CoSAI's.
    "unmapped.cosai_agentic.mcp_name",
];
/// The same by the names of the Agent Observability Standard.
const AOS_TOOLS: &[&str] = &["unmapped.aos.tool_call.name", "unmapped.aos.step.operation.tool.id"];
const ARGUMENTS: &[&str] = &[
    "api.operation.params.arguments",
    "api.request.data.params.arguments",
    "api.request.data.arguments",
    "unmapped.aos.tool_call.arguments",
    "api.request.data",
];
const AOS_SESSIONS: &[&str] =
    &["unmapped.aos.context.session.id", "unmapped.aos.agent_context.session.id"];
const AOS_MODELS: &[&str] =
    &["unmapped.aos.context.model.id", "unmapped.aos.agent_context.model.id"];

/// What was asked of an API; of JSON-RPC the method.
pub(super) fn operation<'a>(record: &'a Json<'_>) -> Option<&'a str> {
    record.first(&["api.operation", "api.operation.method"])
}

/// Whether it is a call to a tool: by what was asked, or by the tool where nothing else was.
fn is_call(record: &Json<'_>) -> bool {
    operation(record).map_or_else(|| record.text(OWN_TOOL).is_some(), |operation| operation == CALL)
}

/// The tool that a call to one names.
pub(super) fn tool<'a>(record: &'a Json<'_>) -> Option<&'a str> {
    record.first(AOS_TOOLS).or_else(|| record.first(TOOLS).filter(|_| is_call(record)))
}

/// What a tool, or another operation, was asked with.
pub(super) fn arguments<'a>(record: &'a Json<'_>) -> Option<&'a Json<'a>> {
    ARGUMENTS.iter().find_map(|path| record.at(path))
}

/// The session that an agent calls in.
pub(super) fn session<'a>(record: &'a Json<'_>) -> Option<&'a str> {
    let beside = || record.text("unmapped.session_id").filter(|_| is_call(record));
    record.first(AOS_SESSIONS).or_else(beside)
}

/// The model for which an agent calls.
pub(super) fn model<'a>(record: &'a Json<'_>) -> Option<&'a str> {
    let beside = || record.text("unmapped.model").filter(|_| is_call(record));
    record.first(AOS_MODELS).or_else(beside)
}
