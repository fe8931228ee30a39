//! [`attributes_of`]: the attributes of a span, with what it tells in another way: by its name, or by a field
//! that is none of them.
//!
//! Invariant: nothing is told in a record under the names that are ours. An agent is told by a name only
//! where the vendor puts an agent's name there.
//!
//! Source: `OpenInference`, *Semantic conventions* (`graph.node.*`), and its instrumentation of OpenAI's
//! Agents SDK; Arize Phoenix, *REST API* (spans); Google's ADK, its spans; Claude Code, *Monitoring* (traces);
//! Amazon Bedrock `AgentCore`, *Observability* (spans of gateways).

use super::super::Fault;
use super::super::json::{Json, is_same_name};
use super::names::{HANDOFF_TO, LENT, OTHER_SIDES, PROVIDERS, TOOLS};
use super::spans::name_of;
use super::{EXECUTE_TOOL, attributes, kind_of, use_of};

/// The agent that a span tells of without an attribute for it, as it is lent: ours too.
pub(super) const TOLD_AGENT: &str = "suretyAgent";
/// The operation of a span, whatever tells of it.
pub(super) const TOLD_OPERATION: &str = "suretyOperation";

/// Where Phoenix has the kind of a span that its attributes have elsewhere, and those that OpenTelemetry
/// does not know.
const SPAN_KIND: &str = "span_kind";
const NODE_KIND: &str = "openinference.span.kind";
const NODE_KINDS: &[&str] = &[
    "AGENT",
    "CHAIN",
    "EMBEDDING",
    "EVALUATOR",
    "GUARDRAIL",
    "LLM",
    "RERANKER",
    "RETRIEVER",
    "TOOL",
];

/// Names of spans with what was done, and where OpenTelemetry and the span itself have to what.
const NAMED: &[(&str, &str, &str, &str)] = &[
    ("claude_code.llm_request", "chat", "gen_ai.request.model", "model"),
    ("AgentCore.Gateway.InvokeTool", EXECUTE_TOOL, "gen_ai.tool.name", "tool.name"),
    ("AgentCore.Gateway.ListTools", "tools/list", "mcp.server.name", "gateway.id"),
    ("AgentCore.Gateway.InboundAuth", "InboundAuth", "mcp.server.name", "gateway.id"),
];
const OPERATION: &str = "gen_ai.operation.name";

/// The attributes of a span, with its operation, the agent and the handoff that it tells of otherwise, and
/// without names that say that nobody knows one.
pub(super) fn attributes_of<'j>(span: &'j Json<'_>) -> Result<Json<'j>, Fault> {
    let mut attributes = attributes::of_span(span)?;
    if let Json::Object(fields) = &mut attributes {
        let is_unknown = |value: &Json<'_>| value.as_text().is_some_and(|word| !is_known(word));
        fields.retain(|(name, value)| !(is_unknown(value) && is_name(name)));
    }
    let kind = span.text(SPAN_KIND).filter(|kind| NODE_KINDS.contains(kind));
    if let Some(kind) = kind.filter(|_| !attributes.has(NODE_KIND)) {
        tell(&mut attributes, NODE_KIND, Some(kind.to_owned()));
    }
    let named = NAMED.iter().find(|(name, ..)| name_of(span) == Some(*name));
    if let Some((_, operation, place, own)) = named {
        let to_what = attributes.text(own).map(str::to_owned);
        for (place, told) in [(OPERATION, Some((*operation).to_owned())), (*place, to_what)] {
            if !attributes.has(place) {
                tell(&mut attributes, place, told);
            }
        }
    }
    if let Some(agent) = told_handoff(span, &attributes) {
        tell(&mut attributes, HANDOFF_TO, Some(agent.to_owned()));
    }
    let told = [
        (TOLD_AGENT, told_agent(span, &attributes)),
        (TOLD_OPERATION, use_of(&attributes, span).0),
    ];
    for (name, told) in told.map(|(name, told)| (name, told.map(str::to_owned))) {
        tell(&mut attributes, name, told);
    }
    Ok(attributes)
}

fn tell(attributes: &mut Json<'_>, name: &'static str, told: Option<String>) {
    let Json::Object(fields) = attributes else { return };
    fields.retain(|(found, _)| found != name);
    fields.extend(told.map(|told| (name.into(), Json::Text(told.into()))));
}

/// Whether an attribute names somebody or something that acts or is used.
fn is_name(name: &str) -> bool {
    let others = OTHER_SIDES.iter().map(|(other, _)| other);
    let lent = LENT.iter().flat_map(|names| *names);
    let mut names = lent.chain(PROVIDERS).chain(TOOLS).chain(others);
    names.any(|known| is_same_name(name, known))
}

/// The agent that a span tells of by its kind or its name.
fn told_agent<'s>(span: &'s Json<'_>, attributes: &'s Json<'_>) -> Option<&'s str> {
    let name = name_of(span);
    if is_of_kind(attributes, "agent") {
        let entity = attributes.first(&["traceloop.entity.name", "graph.node.name"]);
        // The id of a node is an agent's name where the span has that name too.
        let node = || attributes.text("graph.node.id").filter(|node| name == Some(*node));
        if let Some(agent) = entity.or_else(node) {
            return Some(agent).filter(|agent| is_known(agent));
        }
    }
    let name = name?;
    let run = || name.strip_prefix("agent_run [")?.strip_suffix(']');
    let agent = name.strip_prefix("invoke_agent ").or_else(run);
    agent.filter(|agent| !agent.is_empty() && is_known(agent))
}

/// Who goes on where another agent leaves the rest to it, as `OpenInference` tells it of OpenAI's agents.
fn told_handoff<'s>(span: &'s Json<'_>, attributes: &Json<'_>) -> Option<&'s str> {
    let agent = name_of(span)?.strip_prefix("handoff to ")?;
    let is_told = attributes.has(HANDOFF_TO) || attributes.has("tool.name");
    Some(agent).filter(|_| is_of_kind(attributes, "tool") && !is_told)
}

fn is_of_kind(attributes: &Json<'_>, wanted: &str) -> bool {
    kind_of(attributes).is_some_and(|kind| kind.eq_ignore_ascii_case(wanted))
}

/// Whether somebody or something is told by a name, and not that it is not known.
pub(super) fn is_known(name: &str) -> bool {
    !name.eq_ignore_ascii_case("unknown")
}
