//! What programs of the command line log of themselves: Claude Code, Codex, Gemini CLI, Qwen Code, and any
//! other whose service tells of its own calls.
//!
//! Invariant: the agent is the program, as the format `otel` has it, and the person at it is in the
//! delegation; of its events those that tell of a use are events, and prompts are none. A service that
//! passes on what others do is no program.
//!
//! Source: Claude Code, *Monitoring*; Codex, `codex-rs/otel`; Gemini CLI, *Observability with
//! OpenTelemetry*; Qwen Code, *Telemetry*; Cursor, *Hooks*.

use super::super::json::{Json, is_same_name};

/// How the names of a program's events begin, and the name of the program.
const NAMES: &[(&str, &str)] = &[
    ("claude_code.", "claude-code"),
    ("codex.", "codex_cli_rs"),
    ("gemini_cli.", "gemini-cli"),
    ("qwen-code.", "qwen-code"),
];
/// How the names of those begin that tell of a question and of its answer apart.
const ASKED_APART: [&str; 2] = ["gemini_cli.", "qwen-code."];

/// What programs call their events, with or without their own name in front.
const EVENTS: &[&str] = &[
    "api_error",
    "api_request",
    "api_response",
    "file_operation",
    "tool_call",
    "tool_decision",
    "tool_result",
];
/// Words in the name of a service that stands between programs and what they use.
const BETWEEN: [&str; 2] = ["gateway", "proxy"];
/// What the name of a service begins with that has none.
const NO_SERVICE: &str = "unknown_service";

/// An address tells more than an id, which may be that of a device.
const PEOPLE: &[&str] = &["user.email", "user.id", "user.account_id"];

/// The program that logs here of itself: as its service is called, else by the name of its event.
pub(super) fn program<'a>(record: &'a Json<'_>) -> Option<&'a str> {
    if record.has("cursor_version") && record.has("hook_event_name") {
        return Some("cursor");
    }
    let service = service(record);
    let event = record.text("event.name");
    let named = [event, record.text("body")];
    let known = NAMES.iter().find(|(start, name)| {
        service == Some(*name) || named.iter().flatten().any(|event| event.starts_with(start))
    });
    match known {
        Some((_, name)) => service.or(Some(*name)),
        None => service.filter(|service| is_its_own(event.unwrap_or_default(), service, record)),
    }
}

fn service<'a>(record: &'a Json<'_>) -> Option<&'a str> {
    // So the file exporters of Gemini CLI and of what was made of it print a resource.
    let mut pairs = record.list("resource._rawAttributes").iter().filter_map(|pair| match pair {
        Json::List(pair) => Some((pair.first()?.as_text()?, pair.get(1)?.as_text()?)),
        Json::Null | Json::Literal(_) | Json::Text(_) | Json::Object(_) => None,
    });
    let told = record.text("resource.attributes.service.name");
    told.or_else(|| pairs.find(|(name, _)| *name == "service.name").map(|(_, value)| value))
}

/// Whether a service that is not known tells of itself with an event of this name: its own name is in front,
/// or nobody else is named.
fn is_its_own(event: &str, service: &str, record: &Json<'_>) -> bool {
    let (owner, last) = event.rsplit_once('.').map_or((None, event), |(a, b)| (Some(a), b));
    let lower = service.to_ascii_lowercase();
    let is_between = BETWEEN.iter().any(|word| lower.contains(word));
    EVENTS.contains(&last)
        && !is_between
        && !service.starts_with(NO_SERVICE)
        && match owner {
            Some(owner) => is_same_name(owner, service),
            None => super::agent(record).is_none(),
        }
}

/// The person at the program.
pub(super) fn person<'a>(record: &'a Json<'_>) -> Option<&'a str> {
    record.first(PEOPLE)
}

/// What a program did without a tool: it asked a model, or connected to a server.
pub(super) fn deed(record: &Json<'_>) -> Option<&'static str> {
    program(record)?;
    let event = record.text("event.name")?;
    match event.rsplit('.').next()? {
        "api_request" if ASKED_APART.iter().any(|start| event.starts_with(start)) => None,
        "api_request" | "api_response" | "api_error" => Some("chat"),
        "mcp_server_connection" => Some("mcp_server_connection"),
        _ => None,
    }
}
