//! [`outcome`]: how a call ended, by whatever name a gateway tells it.
//!
//! Invariant: a refusal is one under every name that ends as those of gateways do (`policy_decision`,
//! `authz_result`, `is_allowed`), and the worst that is told counts; what a call was asked and what a tool
//! answered tell nothing.

use schemas::Outcome;

use super::super::draft::Word;
use super::super::json::Json;
use super::super::{kebab, verdict};
use super::names::STATUSES;

/// Longest word in bytes that says how a call ended.
const WORD_BYTES_MAX: usize = 64;

/// Words before `status`, `result`, `code` or `action` with which it is the call's.
const OF_CALLS: &[&str] = &[
    "access",
    "approval",
    "auth",
    "authorization",
    "authz",
    "call",
    "check",
    "decision",
    "enforcement",
    "escalation",
    "evaluation",
    "evaluator",
    "event",
    "execution",
    "final",
    "guardrail",
    "http",
    "mcp",
    "permission",
    "pipeline",
    "policy",
    "request",
    "response",
    "result",
    "security",
    "status",
    "tool",
    "verification",
];

/// Words in a name of what was decided at another time, for all times or not in earnest.
const OF_OTHERS: &[&str] = &[
    "always",
    "auto",
    "default",
    "dry",
    "expected",
    "last",
    "pre",
    "previous",
    "prior",
    "shadow",
    "simulated",
    "would",
];

/// Last words of names of objects in which such a name stands too.
const PLACES: &[&str] = &[
    "access",
    "authentication",
    "authorization",
    "authz",
    "decision",
    "enforcement",
    "evaluation",
    "event",
    "guardrail",
    "outcome",
    "policy",
    "security",
    "verdict",
];

/// What stands for no error in the place of one.
const NO_ERRORS: &[&str] = &["-", "0", "false", "nil", "none", "null", "ok", "success", "true"];

/// Where a word says how a call ended that stands in another object.
const OUTCOMES: &[&str] = &[
    "ai.mcp.audit.action",
    "mcp_response.status",
    "result.status",
    "response.status",
    "mcp.outcome",
    "operation.outcome",
];

/// Where a tool says that it failed.
const FAILED: &[&str] = &[
    "result.isError",
    "response.isError",
    "response.result.isError",
    "toolResult.isError",
    "metadata.isError",
];

const ERRORS: &[&str] = &[
    "mcp.error.message",
    "error.message",
    "error.code",
    "outcome.error",
    "Error",
    "error.type",
    "mcp.error.code",
    "error",
    "error_message",
    "mcp_error_code",
    "ErrorType",
    "response.error.message",
    "response.error.code",
    "ai.mcp.rpc.error.message",
    "ai.mcp.rpc.error",
    "mcp_response.error_message",
    "mcp_response.error_code",
    "metadata.error_information.error_message",
    "error_information.error_message",
    "error_str",
    "metadata.extra.jsonrpc_error_message",
    "failure_reason",
    "toolResult.error",
    "error_details",
];

/// Names of what else says why.
const REASONS: &[&str] = &[
    "reason",
    "denied_reason",
    "deny_reason",
    "denial_reason",
    "reason_code",
    "extra_data.denial_reason",
    "agt.audit.reason",
    "block_reason",
    "decision_reason",
    "decision.reason",
    "authorization.reason",
    "outcome.reason",
    "policy_reason",
    "allow_why_false",
    "deny_why_true",
    "http.status",
    "http.response.status_code",
    "response.status",
    "error_code",
    "metadata.error",
];

/// How a call ended, and why.
pub(super) fn outcome<'a>(record: &'a Json<'_>) -> (Outcome, Option<Word<'a>>) {
    let errors = ERRORS.iter().filter_map(|path| record.text(path));
    let errors: Vec<&str> = errors.filter(|error| !is_none(error)).collect();
    // A status that tells of a success is the reason of no failure.
    let reasons = REASONS.iter().filter_map(|path| record.text(path));
    let mut reasons = reasons.filter(|word| verdict::of_http(word) != Some(Outcome::Success));
    let reason = errors.first().copied().or_else(|| reasons.next());
    let by_words = errors.iter().copied().chain(reason).map(verdict::of_error);
    let by_words = by_words.reduce(verdict::worse).unwrap_or(Outcome::Error);
    let statuses = STATUSES.iter().filter_map(|path| verdict::of_http(record.text(path)?));
    let by_status = statuses.reduce(verdict::worse);
    let told = OUTCOMES.iter().filter_map(|path| verdict::of_one_word(record.text(path)?));
    let told = told.chain(worst_in(record)).reduce(verdict::worse);
    let has_failed = !errors.is_empty() || FAILED.iter().any(|path| record.is_true(path));
    let outcome = match (by_status, told) {
        (_, Some(Outcome::Denied)) => Outcome::Denied,
        (Some(outcome @ (Outcome::Denied | Outcome::Error)), _) => outcome,
        (_, told) if has_failed || told == Some(Outcome::Error) => by_words,
        _ => return (Outcome::Success, None),
    };
    (outcome, reason.map(Into::into))
}

fn is_none(error: &str) -> bool {
    NO_ERRORS.iter().any(|none| none.eq_ignore_ascii_case(error))
}

/// The worst that the fields of an object tell, and those of the objects in it that are about the call.
fn worst_in(object: &Json<'_>) -> Option<Outcome> {
    let ends = object.fields().iter().filter_map(|(name, value)| match value {
        Json::Literal(_) | Json::Text(_) => told(name, value.as_text()?),
        Json::Object(_) => is_decision(name).then(|| worst_in(value))?,
        Json::Null | Json::List(_) => None,
    });
    ends.reduce(verdict::worse)
}

/// Whether `name` is that of a decision about a call, and of no call.
pub(super) fn is_decision(name: &str) -> bool {
    kebab(name).rsplit(['-', '.']).next().is_some_and(|last| PLACES.contains(&last))
}

/// What the field `name` tells, if it is one that says how a call ended.
fn told(name: &str, value: &str) -> Option<Outcome> {
    if WORD_BYTES_MAX < value.len() {
        return None;
    }
    let name = kebab(name);
    let mut words = name.rsplit(['-', '.']);
    let (last, before) = (words.next()?, words.next().unwrap_or_default());
    if words.chain([before]).any(|word| OF_OTHERS.contains(&word)) {
        return None;
    }
    let is_one_of = |words: [&str; 2]| words.iter().any(|word| word.eq_ignore_ascii_case(value));
    let (is_yes, is_no) = (is_one_of(["true", "yes"]), is_one_of(["false", "no"]));
    match (before, last) {
        // So a person at Codex refuses.
        (_, "decision") if is_one_of(["abort", "aborted"]) => Some(Outcome::Denied),
        (_, "allow" | "allowed" | "authorized" | "decision" | "granted" | "permitted")
        | ("" | "is", "approved")
            if is_no =>
        {
            Some(Outcome::Denied)
        }
        (
            _,
            "blocked" | "denied" | "deny" | "forbidden" | "refused" | "rejected" | "unauthorized",
        ) if is_yes => Some(Outcome::Denied),
        (_, "error" | "errored" | "failed") if is_yes => Some(Outcome::Error),
        (_, "ok" | "succeeded" | "success" | "successful") if is_no => Some(Outcome::Error),
        ("exit" | "return", "code" | "status") => (value != "0").then_some(Outcome::Error),
        ("error", "code") => {
            let status = verdict::of_http(value).filter(|end| *end != Outcome::Success);
            (!is_none(value)).then(|| status.unwrap_or_else(|| verdict::of_error(value)))
        }
        ("" | "event", "action" | "event" | "type") | (_, "access" | "approval" | "permission") => {
            of_deed(value)
        }
        (_, "decision" | "disposition" | "effect" | "outcome" | "verdict")
        | ("decision", "type")
        | ("action", "applied" | "taken")
        | ("", "result") => verdict::of_one_word(value),
        (before, "action" | "code" | "result" | "status")
            if OF_CALLS.contains(&before) || (before, last) == ("", "status") =>
        {
            // Some write `403 Forbidden`.
            let number = value.split(' ').next().unwrap_or_default();
            verdict::of_http(number).or_else(|| verdict::of_one_word(value))
        }
        _ => None,
    }
}

/// What the name of a deed tells of its end: `deny` or `tool_call_denied`, but not `permission` or
/// `list_permissions`.
pub(super) fn of_deed(word: &str) -> Option<Outcome> {
    let name = kebab(word);
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return verdict::of_one_word(&name).filter(|_| !name.starts_with("permission"));
    }
    Some(verdict::of_name(&name)).filter(|end| *end != Outcome::Success)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_one_under_every_name_of_it() {
        for (json, wanted) in [
            (r#"{"allow":false}"#, Outcome::Denied),
            (r#"{"is_allowed":"False"}"#, Outcome::Denied),
            (r#"{"accessGranted":false}"#, Outcome::Denied),
            (r#"{"policy_decision":"deny"}"#, Outcome::Denied),
            (r#"{"decision":"allow","policyVerdict":"BLOCK"}"#, Outcome::Denied),
            (r#"{"effect":"Deny"}"#, Outcome::Denied),
            (r#"{"decision":"abort"}"#, Outcome::Denied),
            (r#"{"permission":"denied"}"#, Outcome::Denied),
            (r#"{"action_taken":"blocked"}"#, Outcome::Denied),
            (r#"{"status":{"code":403}}"#, Outcome::Denied),
            (r#"{"authz_result":"deny","status":"success"}"#, Outcome::Denied),
            (r#"{"policy":{"name":"p","effect":"forbid"}}"#, Outcome::Denied),
            (r#"{"authorization":{"decision":{"allowed":false}}}"#, Outcome::Denied),
            (r#"{"event_type":"tool_call_denied"}"#, Outcome::Denied),
            (r#"{"type":"ToolCallBlocked"}"#, Outcome::Denied),
            (r#"{"rejected":true}"#, Outcome::Denied),
            (r#"{"error_code":403}"#, Outcome::Denied),
            (r#"{"error_code":"ACCESS_DENIED"}"#, Outcome::Denied),
            (r#"{"response_code":401}"#, Outcome::Denied),
            (r#"{"success":false,"error":"Forbidden"}"#, Outcome::Denied),
            (r#"{"error":{"message":"no","type":"permission_denied"}}"#, Outcome::Denied),
            (r#"{"status":"403 Forbidden"}"#, Outcome::Denied),
            (r#"{"status":"failed","reason":"blocked by policy"}"#, Outcome::Denied),
            (r#"{"toolResult":{"isError":true}}"#, Outcome::Error),
            (r#"{"tool-error":true}"#, Outcome::Error),
            (r#"{"ok":false}"#, Outcome::Error),
            (r#"{"failed":true}"#, Outcome::Error),
            (r#"{"exit_code":1}"#, Outcome::Error),
            (r#"{"status":"pending_approval"}"#, Outcome::Error),
            (r#"{"error_code":-32603}"#, Outcome::Error),
            (r#"{"execution_status":"failed"}"#, Outcome::Error),
            (r#"{"event_status":"CANCELLED"}"#, Outcome::Error),
        ] {
            assert_eq!(outcome(&Json::parse(json).unwrap()).0, wanted, "{json}");
        }
        for json in [
            r#"{"allow":true,"deny":false,"error":false,"error_code":0,"exit_code":0}"#,
            r#"{"auto_allowed":false,"default_decision":"deny","previous_status":"failed"}"#,
            r#"{"arguments":{"allowed":false},"result":{"denied":true,"allowed":false}}"#,
            r#"{"action":"list_permissions","event":"access_denied_list_updated"}"#,
            r#"{"type":"permission","permission":"permissions.read","access":"read","result":{"status":"ok"}}"#,
            r#"{"decision":"permission_granted","health_status":"failed","result":403}"#,
            r#"{"outcome":{"status":"success","reason":"matched"},"status":"200 OK"}"#,
            r#"{"approval_status":"approved","blocked":0,"error":"none"}"#,
        ] {
            assert_eq!(outcome(&Json::parse(json).unwrap()).0, Outcome::Success, "{json}");
        }
    }
}
