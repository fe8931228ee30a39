//! What programs of the command line log of themselves: Claude Code, Codex, Gemini CLI.
//!
//! Invariant: the agent is the program, as the format `otel` has it, and the person at it is in the
//! delegation; of its events those that tell of a use are events, and prompts are none.
//!
//! Source: Claude Code, *Monitoring*; Codex, `codex-rs/otel`; Gemini CLI, *Observability with
//! OpenTelemetry*.

use super::super::json::Json;

/// How the names of a program's events begin, and the name of the program.
const NAMES: &[(&str, &str)] =
    &[("claude_code.", "claude-code"), ("codex.", "codex_cli_rs"), ("gemini_cli.", "gemini-cli")];

/// An address tells more than an id, which may be that of a device.
const PEOPLE: &[&str] = &["user.email", "user.id", "user.account_id"];

/// The program that logs here of itself: as its service is called, else by the name of its event.
pub(super) fn program<'a>(record: &'a Json<'_>) -> Option<&'a str> {
    let service = record.text("resource.attributes.service.name");
    let event = [record.text("event.name"), record.text("body")];
    let (_, name) = NAMES.iter().find(|(start, name)| {
        service == Some(*name) || event.iter().flatten().any(|event| event.starts_with(start))
    })?;
    service.or(Some(*name))
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
        // Of Gemini CLI it is the question, and the answer is an event of its own.
        "api_request" if event.starts_with("gemini_cli.") => None,
        "api_request" | "api_response" | "api_error" => Some("chat"),
        "mcp_server_connection" => Some("mcp_server_connection"),
        _ => None,
    }
}
