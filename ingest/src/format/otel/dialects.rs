//! [`translate`]: attributes of which the name alone does not tell the meaning, under the names that
//! OpenTelemetry has for it.
//!
//! Invariant: an attribute is translated only where another one beside it shows whose it is, and never to a
//! name that is there already.
//!
//! Source: `AgentOps`, its decorators; Genkit, *Telemetry overview*; Logfire, its instrumentation of OpenAI's Agents SDK; `VoltAgent`,
//! its spans; mcp-audit, its exporter.

use super::attributes::Pairs;
use super::names::{ENTITY_KIND, HANDOFF_FROM, HANDOFF_TO, PART_KIND};

const AGENT: &str = "gen_ai.agent.name";
const ARGUMENTS: &str = "gen_ai.tool.call.arguments";
const MODEL: &str = "gen_ai.request.model";
const TOOL: &str = "gen_ai.tool.name";

/// An attribute and its values, and what others are called beside one of them.
type Dialect = (&'static str, &'static [&'static str], &'static [(&'static str, &'static str)]);

const AGENTOPS: &str = "agentops.span.kind";
const SUBTYPE: &str = "genkit:metadata:subtype";
const TEMPLATE: &str = "logfire.msg_template";
const DIALECTS: &[Dialect] = &[
    (SUBTYPE, &["tool", "tool.v2"], &[("genkit:name", TOOL), ("genkit:input", ARGUMENTS)]),
    (SUBTYPE, &["model", "embedder"], &[("genkit:name", MODEL)]),
    (TEMPLATE, &["Agent run: {name!r}"], &[("name", AGENT)]),
    (
        TEMPLATE,
        &["Function: {name}"],
        &[("name", TOOL), ("input", ARGUMENTS), ("mcp_data.server", "mcp.server.name")],
    ),
    (
        TEMPLATE,
        &["Handoff: {from_agent} → {to_agent}", "Handoff: {from_agent} -> {to_agent}"],
        &[("from_agent", HANDOFF_FROM), ("to_agent", HANDOFF_TO)],
    ),
    (AGENTOPS, &["agent"], &[("operation.name", AGENT)]),
    (AGENTOPS, &["tool"], &[("operation.name", TOOL)]),
    // Of an agent that another one called, the entity is that other one.
    (ENTITY_KIND, &["agent"], &[("subagent.name", AGENT), ("entity.name", AGENT)]),
    (PART_KIND, &["tool"], &[("input", ARGUMENTS)]),
];

/// What a gateway of MCP servers tells of a call under names that begin with its own.
const CALL: &str = "mcp.method.name";
const SIDES: &[(&str, &str)] = &[(".client_id", "client_id"), (".server_id", "mcp.target")];

pub(super) fn translate(fields: &mut Pairs<'_>) {
    for (mark, values, names) in DIALECTS {
        let is_one = |word: &str| values.contains(&word);
        let mut marks = fields.iter().filter(|(name, _)| name == mark);
        if marks.any(|(_, value)| value.as_text().is_some_and(is_one)) {
            for (from, to) in *names {
                rename(fields, from, to);
            }
        }
    }
    if let Some(gateway) = gateway(fields) {
        for (end, to) in SIDES {
            rename(fields, &format!("{gateway}{end}"), to);
        }
    }
}

/// The name that a gateway has in front of both sides of a call.
fn gateway(fields: &Pairs<'_>) -> Option<String> {
    let has = |wanted: &str| fields.iter().any(|(name, _)| name == wanted);
    let has_sides = |gateway: &&str| SIDES.iter().all(|(end, _)| has(&format!("{gateway}{end}")));
    let mut gateways = fields.iter().filter_map(|(name, _)| name.strip_suffix(SIDES[0].0));
    gateways.find(has_sides).filter(|_| has(CALL)).map(str::to_owned)
}

fn rename(fields: &mut Pairs<'_>, from: &str, to: &'static str) {
    if !fields.iter().any(|(name, _)| name == to)
        && let Some((name, _)) = fields.iter_mut().find(|(name, _)| name == from)
    {
        *name = to.into();
    }
}
