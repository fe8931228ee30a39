//! [`is_said`]: whether an attribute holds what people and models said, or what a tool answered.
//!
//! Invariant: such an attribute is in no event, whichever instrumentation wrote it, flat or nested; what
//! is dropped is known by its name's last words, so that names of tomorrow are known too. A name, an id, a
//! count or the text of an error is kept.
//!
//! Source: OpenTelemetry, *Semantic conventions for generative AI* (attributes marked as sensitive);
//! `OpenLLMetry`, `OpenInference`, Vercel's AI SDK, Langfuse, `MLflow`, `CrewAI`, Spring AI, Genkit, Braintrust
//! and Azure, their attributes.

use super::super::json::{Json, is_same_name};
use super::super::kebab;

/// Last words of such names: `gen_ai.memory.query.text`, `system_prompt`, `ai.response.toolCalls`.
const WORDS: &[&str] = &[
    "answer",
    "args",
    "arguments",
    "backstory",
    "body",
    "calls",
    "choice",
    "completion",
    "context",
    "definitions",
    "embedding",
    "embeddings",
    "explanation",
    "goal",
    "input",
    "instruction",
    "message",
    "object",
    "output",
    "prompt",
    "query",
    "question",
    "reasoning",
    "reply",
    "response",
    "result",
    "schema",
    "steps",
    "summary",
    "template",
    "text",
    "thinking",
    "thought",
    "transcript",
    "value",
    "values",
];

/// Words after which all that follows is said: `gen_ai.input.messages.0.parts.0.id`, and what a tool
/// answered as an object, `gen_ai.tool.call.result.conditions`.
const TREES: &[&str] = &[
    "answer",
    "args",
    "arguments",
    "choices",
    "completions",
    "content",
    "contents",
    "documents",
    "inputs",
    "instructions",
    "messages",
    "outputs",
    "prompts",
    "records",
    "result",
    "results",
    "thoughts",
    "variables",
];

/// Starts of names of which the rest may be any word: that of an argument, of a piece or of a person's.
const STARTS: &[&str] = &[
    "ai.prompt",
    "ai.response.object",
    "ai.response.reasoning",
    "ai.response.text",
    "ai.response.toolCalls",
    "ai.result",
    "ai.toolCall.args",
    "ai.toolCall.result",
    "crewai.task.description",
    "embedding.embeddings",
    "gcp.vertex.agent.data",
    "gcp.vertex.agent.llm_",
    "gcp.vertex.agent.tool_",
    "gen_ai.completion.",
    "gen_ai.prompt.",
    "gen_ai.task.output",
    "gen_ai.tool.message",
    "gen_ai.tool.output",
    "gen_ai.tool.response",
    "input.value",
    "langfuse.observation.input",
    "langfuse.observation.output",
    "langfuse.trace.input",
    "langfuse.trace.output",
    "llm.completions",
    "llm.input_messages",
    "llm.output_messages",
    "llm.prompt_template",
    "llm.prompts",
    "llm.tools.",
    "mcp.request.argument.",
    "mcp.tool.result.",
    "mlflow.spanInputs",
    "mlflow.spanOutputs",
    "output.value",
    "retrieval.documents",
    "spring.ai.chat.client.advisor.params",
    "spring.ai.chat.client.system.params",
    "spring.ai.chat.client.user.params",
    "tool.response",
    "tool_response",
    "traceloop.entity.input",
    "traceloop.entity.output",
];

/// Whole names without such a word.
const NAMES: &[&str] = &[
    "all_messages_events",
    "crew_agents",
    "crew_tasks",
    "events",
    "formatted_description",
    "metadata",
    "tool.parameters",
    "tool_parameters",
];

/// Words of names that tell how much, or what went wrong, whatever they end with.
const OTHERS: &[&str] = &["cost", "error", "exception", "status", "token", "tokens", "usage"];

/// Whether the attribute `name` is one, by its name or because messages stand in it.
pub(super) fn is_said(name: &str, value: &Json<'_>) -> bool {
    match value {
        Json::Literal(_) | Json::Null => {
            STARTS.iter().any(|start| name.starts_with(start)) || is_within(name)
        }
        Json::Text(text) => is_named(name) || has_message(text),
        Json::List(_) => is_named(name) || has_message(&value.to_string()),
        // Arguments, or what is nested deeper than names are made of.
        Json::Object(_) => true,
    }
}

fn is_named(name: &str) -> bool {
    if STARTS.iter().any(|start| name.starts_with(start))
        || NAMES.iter().any(|whole| is_same_name(name, whole))
    {
        return true;
    }
    let name = kebab(name);
    let last = last_words(&name).next_back().unwrap_or_default();
    let is_said = WORDS.contains(&last) || TREES.contains(&last) || is_in_tree(&name);
    is_said && !is_measure(&name)
}

/// Whether a number or a truth stands in what was said.
fn is_within(name: &str) -> bool {
    let name = kebab(name);
    is_in_tree(&name) && !is_measure(&name)
}

/// Whether a name tells how much, or what went wrong.
fn is_measure(name: &str) -> bool {
    name.split(['.', '-']).any(|word| OTHERS.contains(&word))
}

fn is_in_tree(name: &str) -> bool {
    last_words(name).rev().skip(1).any(|word| TREES.contains(&word))
}

/// The last word of each part of a name that tells what it holds, but for the places in lists.
fn last_words(name: &str) -> impl DoubleEndedIterator<Item = &str> {
    let is_place = |part: &&str| part.bytes().all(|byte| byte.is_ascii_digit());
    let parts = name.split(['.', ':']).filter(move |part| !is_place(part));
    // How it is written is no matter.
    parts.filter_map(|part| part.rsplit('-').find(|word| *word != "json"))
}

/// Whether a message to or from a model stands in a text, as JSON or as Python prints it.
fn has_message(text: &str) -> bool {
    has_name(text, "role") && ["content", "parts", "text"].iter().any(|name| has_name(text, name))
}

/// Whether the name of a field stands in a text, in quotes of either kind that JSON in JSON escapes.
fn has_name(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let behind = text[at + name.len()..].trim_start_matches('\\');
        ['"', '\''].iter().any(|quote| text[..at].ends_with(*quote) && behind.starts_with(*quote))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_known_by_its_name_and_what_is_not_is_kept() {
        let text = Json::Text("x".into());
        for name in [
            "gen_ai.memory.query.text",
            "gen_ai.memory.records",
            "gen_ai.retrieval.documents",
            "gen_ai.evaluation.explanation",
            "gen_ai.event.content",
            "gen_ai.content.completion",
            "gen_ai.input.messages.0.parts.0.id",
            "gen_ai.system_instructions",
            "gen_ai.tool.call.result",
            "gen_ai.choice",
            "ai.result.object",
            "ai.values",
            "llm.prompt_template.version",
            "llm.tools.0.tool.json_schema",
            "embedding.embeddings.0.embedding.text",
            "traceloop.prompt.template",
            "crewai.agent.goal",
            "acme.lastUserMessage",
            "userPrompt",
            "new_context",
            "crew_tasks",
            "genkit:input",
            "genkit:metadata:context",
            "braintrust.output_json",
            "metadata",
            "final_result",
        ] {
            assert!(is_said(name, &text), "{name}");
        }
        for name in [
            "gen_ai.agent.name",
            "gen_ai.agent.description",
            "gen_ai.response.model",
            "gen_ai.response.finish_reasons",
            "gen_ai.output.type",
            "gen_ai.usage.input_tokens",
            "llm.token_count.prompt",
            "llm.cost.completion",
            "langfuse.prompt.name",
            "langfuse.observation.status_message",
            "mcp.error.message",
            "exception.message",
            "metadata.user_api_key_alias",
            "prompt.id",
            "genkit:name",
            "tool.name",
            "messaging.message.id",
            "http.response.status_code",
        ] {
            assert!(!is_said(name, &text), "{name}");
        }
        for message in [
            r#"[{"role":"user","content":"x"}]"#,
            "[{'text': \"I'm x\", 'role': 'system'}]",
            r#"{"turn":"[{\"role\":\"user\",\"content\":\"x\"}]"}"#,
        ] {
            assert!(is_said("acme.turn", &Json::Text(message.into())), "{message}");
        }
        for other in [r#"{"role":"admin","team":"x"}"#, "'role' and \"text"] {
            assert!(!is_said("acme.turn", &Json::Text(other.into())), "{other}");
        }
        assert!(!is_said("gen_ai.evaluation.score.value", &Json::Literal("0.9".into())));
    }
}
