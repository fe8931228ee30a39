//! [`of`]: how what a span tells of has ended.
//!
//! Invariant: a refusal counts before a failure, and a failure before a success, whoever tells of it: the
//! status, an attribute, the exception that the span recorded, or a part of a tool's call.
//!
//! Source: OpenTelemetry, *Trace API* (status), *Semantic conventions* (`error.type`, exceptions, finish
//! reasons); Claude Code and Codex, their spans (`success`, `error`); Application Insights, *dependency
//! telemetry*; Amazon Bedrock, Gemini API and Anthropic, why a model stops.

use schemas::Outcome;

use super::super::draft::Word;
use super::super::json::{Json, is_same_name};
use super::super::verdict;
use super::spans::Span;

/// Where a span has its status, as a number or a word.
const CODES: &[&str] = &["status.code", "status.status_code", "StatusCode", "otel_status_code"];
const KINDS: &[&str] = &["error.type", "exception.type", "mcp.error.code"];
const MESSAGES: &[&str] =
    &["status.message", "status.description", "StatusMessage", "otel_status_message"];
const TOLD_MESSAGES: &[&str] =
    &["otel.status_description", "langfuse.observation.status_message", "error.message"];
const STATUSES: &[&str] =
    &["http.response.status_code", "http.status_code", "http.status", "status_code"];
/// Where a word says what was decided of a call; the third is that of a gateway of `AgentCore`, the last that of
/// whoever guards a model.
const DECISIONS: &[&str] = &[
    "gen_ai.tool.call.decision.outcome",
    "decision",
    "aws.agentcore.policy.authorization_decision",
    "gen_ai.security.decision.type",
];
/// How the names end of what the policies of frameworks decided.
const POLICY_DECISION: &str = "policy.decision";
/// Why the last two of those decided so.
const DECISION_REASONS: &[&str] =
    &["aws.agentcore.policy.authorization_reason", "gen_ai.security.decision.reason"];
/// Where a word says how something ended; the last is that of a hook of GitHub Copilot's.
const ENDS: &[&str] = &[
    "gen_ai.tool.status",
    // Strands'.
    "tool.status",
    "genkit:state",
    "gen_ai.thread.run.status",
    "langfuse.observation.level",
    "github.copilot.hook.decision",
];
/// How the names end that tell whether a tool failed.
const FAILED: &str = ".is_error";
/// Where it is told why a model stopped.
const FINISHES: &[&str] = &[
    "gen_ai.response.finish_reasons",
    "gen_ai.response.finish_reason",
    "ai.response.finishReason",
    "llm.response.finish_reason",
    "llm.response.stop_reason",
    "gen_ai.completion.0.finish_reason",
];
/// Why a model stopped whose answer a filter withheld, beside `content_filter`: Gemini's words and Anthropic's.
const FILTERS: &[&str] = &["safety", "prohibited_content", "blocklist", "spii", "refusal"];
/// Where exporters and tables have what happened in a span.
const EVENTS: &[&str] = &["events", "logs", "Events.Attributes"];

pub(super) fn of<'s>(span: &'s Span<'_>) -> (Outcome, Option<Word<'s>>) {
    let (outcome, reason) = of_itself(span);
    match span.parts_end() {
        Some((end, why)) if verdict::worse(outcome, end) != outcome => (end, why.map(Word::from)),
        _ => (outcome, reason),
    }
}

fn of_itself<'s>(span: &'s Span<'_>) -> (Outcome, Option<Word<'s>>) {
    let attributes = &span.attributes;
    if let Some(word) = attributes.first(DECISIONS).or_else(|| by_policy(attributes))
        && verdict::of_error(word) == Outcome::Denied
    {
        let reason = attributes.first(DECISION_REASONS).or(Some(word));
        return (Outcome::Denied, reason.map(Into::into));
    }
    if attributes.is_true("gen_ai.guardrail.triggered") {
        return (Outcome::Denied, attributes.text("gen_ai.guardrail.name").map(Into::into));
    }
    let end = ENDS.iter().find_map(|path| attributes.text(path));
    let end = end.filter(|word| has_failed_by(word)).or_else(|| stopped(attributes));
    let code = span.json.first(CODES).or_else(|| attributes.text("otel.status_code"));
    let code = code.unwrap_or_default().to_ascii_uppercase();
    let is_ok = matches!(code.as_str(), "1" | "OK" | "STATUS_CODE_OK");
    // Whether there was one, or what it was.
    let error = attributes.text("error").filter(|word| !word.eq_ignore_ascii_case("false"));
    let kind = attributes.first(KINDS);
    let message = span.json.first(MESSAGES).or_else(|| attributes.first(TOLD_MESSAGES)).or(end);
    let message = message.or(error.filter(|word| !word.eq_ignore_ascii_case("true")));
    let thrown = Thrown::of(span.json);
    let has_failed = matches!(code.as_str(), "2" | "ERROR" | "STATUS_CODE_ERROR")
        || kind.or(end).or(error).is_some()
        || has_tool_failed(attributes)
        || [attributes, span.json].iter().any(|told| told.is_false("success"))
        || (thrown.has_left && !is_ok);
    let by_status = attributes.first(STATUSES).or_else(|| span.json.text("ResultCode"));
    let words = [kind, message, thrown.kind, thrown.message];
    let reason = words.into_iter().flatten().next().map(Into::into);
    match (has_failed, by_status.and_then(verdict::of_http)) {
        (_, Some(outcome @ (Outcome::Denied | Outcome::Error))) => (outcome, reason),
        (false, _) => (Outcome::Success, None),
        (true, _) => {
            let by_kind = kind.and_then(verdict::of_http);
            let words = words.into_iter().flatten().map(verdict::of_error);
            let is_denied = words.chain(by_kind).any(|outcome| outcome == Outcome::Denied)
                || end.is_some_and(is_refused);
            (if is_denied { Outcome::Denied } else { Outcome::Error }, reason)
        }
    }
}

fn has_tool_failed(attributes: &Json<'_>) -> bool {
    let mut fields = attributes.fields().iter();
    fields.any(|(name, _)| name.ends_with(FAILED) && attributes.is_true(name))
}

/// What a policy decided, whosever it is.
fn by_policy<'s>(attributes: &'s Json<'_>) -> Option<&'s str> {
    let mut fields = attributes.fields().iter();
    fields.find(|(name, _)| name.ends_with(POLICY_DECISION))?.1.as_text()
}

/// Whether a word tells of a refusal or a failure.
fn has_failed_by(word: &str) -> bool {
    verdict::of_one_word(word).is_some_and(|end| end != Outcome::Success)
}

/// Why a model stopped that was kept from an answer or failed to give one, in a list or in its JSON.
fn stopped<'s>(attributes: &'s Json<'_>) -> Option<&'s str> {
    let told = FINISHES.iter().flat_map(|path| attributes.list(path)).filter_map(Json::as_text);
    let is_of_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let mut words = told.flat_map(|text| text.split(move |c| !is_of_word(c)));
    words.find(|word| is_filtered(word) || has_failed_by(word))
}

fn is_refused(word: &str) -> bool {
    is_filtered(word) || verdict::of_one_word(word) == Some(Outcome::Denied)
}

fn is_filtered(word: &str) -> bool {
    FILTERS.iter().any(|filter| is_same_name(word, filter))
}

/// The last exception that a span recorded.
#[derive(Default)]
struct Thrown<'s> {
    kind: Option<&'s str>,
    message: Option<&'s str>,
    /// Whether nothing says that it was caught in the span.
    has_left: bool,
}

impl<'s> Thrown<'s> {
    fn of(span: &'s Json<'_>) -> Self {
        let events = EVENTS.iter().flat_map(|path| span.list(path));
        let mut thrown = events.rev().filter_map(|event| {
            let [kind, message, escaped] =
                ["exception.type", "exception.message", "exception.escaped"]
                    .map(|name| told_by(event, name));
            kind.or(message)?;
            let has_left = escaped.is_none_or(|word| !word.eq_ignore_ascii_case("false"));
            Some(Self { kind, message, has_left })
        });
        thrown.next().unwrap_or_default()
    }
}

/// An attribute of an event, from a list of names and values or from an object.
fn told_by<'s>(event: &'s Json<'_>, name: &str) -> Option<&'s str> {
    let attributes = event.at("attributes").or_else(|| event.at("fields")).unwrap_or(event);
    match attributes {
        Json::List(pairs) => {
            let pair = pairs.iter().find(|pair| pair.text("key") == Some(name))?;
            // The third is Go's, the last Jaeger's.
            pair.first(&["value.stringValue", "value.boolValue", "value.value", "value", "vStr"])
        }
        Json::Object(_) | Json::Null | Json::Literal(_) | Json::Text(_) => attributes.text(name),
    }
}
