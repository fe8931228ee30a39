//! Spans of generative AI: names of users and sessions, names that nobody knows, and parts of a tool's call.

use serde_json::{Value, json};

use super::*;

fn span(id: &str, parent: &str, name: &str, attributes: &[(&str, &str)]) -> Value {
    let attributes = attributes.iter();
    let attributes =
        attributes.map(|(key, value)| json!({"key": key, "value": {"stringValue": value}}));
    json!({"traceId": "t", "spanId": id, "parentSpanId": parent, "name": name,
        "startTimeUnixNano": "1785758400000000000", "attributes": attributes.collect::<Vec<_>>()})
}

/// What each of the spans of one request is.
fn all(spans: &[Value]) -> Vec<Read> {
    let service = json!([{"key": "service.name", "value": {"stringValue": "buyer"}}]);
    let export = json!({"resourceSpans": [{"resource": {"attributes": service},
        "scopeSpans": [{"spans": spans}]}]});
    outcomes(Format::Otel, export.to_string().as_bytes(), Part::FIRST)
}

fn one(name: &str, attributes: &[(&str, &str)]) -> CredentialEvent {
    let [outcome] = all(&[span("a", "", name, attributes)]).try_into().unwrap();
    outcome.unwrap()
}

#[test]
fn users_and_sessions_are_read_by_the_names_of_each_instrumentation() {
    for (user, session) in [
        ("langsmith.metadata.user_id", "langsmith.metadata.thread_id"),
        ("langsmith.metadata.user_id", "langsmith.metadata.session_id"),
        ("lmnr.association.properties.user_id", "lmnr.association.properties.session_id"),
        ("mastra.metadata.userId", "mastra.metadata.threadId"),
        ("mastra.metadata.userId", "mastra.metadata.sessionId"),
        ("mlflow.trace.user", "mlflow.trace.session"),
        ("gen_ai.request.user", "spring.ai.chat.client.conversation.id"),
        ("ai.telemetry.metadata.userId", "ai.telemetry.metadata.threadId"),
        ("user.id", "wandb.thread_id"),
        ("langwatch.user.id", "langwatch.thread.id"),
        ("user.id", "voltagent.conversation_id"),
        ("user.id", "genkit:sessionId"),
    ] {
        let event = one("execute_tool pay", &[(user, "jo"), (session, "s-1")]);

        assert_eq!(event.delegation.first().map(AsRef::as_ref), Some("jo"), "{user}");
        assert_eq!(event.session_id.as_ref().map(AsRef::as_ref), Some("s-1"), "{session}");
    }
}

#[test]
fn another_agent_has_a_model_of_its_own() {
    let invoked = |id, parent: &str, name| {
        let attributes = [("gen_ai.agent.name", name), ("gen_ai.request.model", "large")];
        let attributes = if parent.is_empty() { &attributes[..] } else { &attributes[..1] };
        span(id, parent, &format!("invoke_agent {name}"), attributes)
    };
    let tool = |id, parent| span(id, parent, "execute_tool pay", &[]);
    let spans =
        [invoked("a", "", "buyer"), tool("b", "a"), invoked("c", "a", "checker"), tool("d", "c")];
    let models: Vec<Option<String>> =
        all(&spans).into_iter().map(|outcome| outcome.unwrap().model).collect();

    let large = Some("large".to_owned());
    assert_eq!(models, [large.clone(), large, None, None]);
}

#[test]
fn what_is_called_unknown_is_not_told() {
    let names = [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.agent.name", "Unknown"),
        ("gen_ai.request.model", "unknown"),
        ("server.address", "Unknown"),
        ("user.id", "unknown"),
        ("error.type", "unknown"),
    ];

    let event = one("chat unknown", &names);

    assert_eq!((event.agent_id.as_str(), event.action.as_str()), ("buyer", "chat"));
    assert_eq!((event.model, event.resource, event.counterparty_id), (None, None, None));
    assert!(event.delegation.is_empty());
    assert_eq!(event.outcome, Outcome::Error, "an error that nobody knows is one");
}

#[test]
fn a_call_is_named_by_its_span_where_nothing_else_tells_the_tool() {
    let tool = ("gen_ai.operation.name", "execute_tool");
    for (name, wanted) in [
        ("get_weather", "execute_tool:get_weather"),
        ("execute_tool get_weather", "execute_tool:get_weather"),
        ("tools/call get_weather", "execute_tool:get_weather"),
        ("execute_tool", "execute_tool"),
    ] {
        assert_eq!(one(name, &[tool]).action, wanted, "{name}");
    }
}

#[test]
fn decorators_tell_what_they_decorate_by_its_kind() {
    let (agent, tool) = (("agentops.span.kind", "agent"), ("agentops.span.kind", "tool"));
    let input = ("agentops.entity.input", r#"{"args":[],"kwargs":{"to":"jo@acme.example"}}"#);
    let spans = [
        span("a", "", "Buyer.agent", &[agent, ("operation.name", "Buyer")]),
        span("b", "a", "mail.tool", &[tool, ("operation.name", "mail"), input]),
        span("c", "a", "search", &[("langwatch.span.type", "tool"), ("langwatch.input", "{}")]),
    ];

    let found: Vec<String> = all(&spans)
        .into_iter()
        .map(|outcome| outcome.unwrap())
        .map(|event| {
            let other = event.counterparty_id.map(|id| id.to_string()).unwrap_or_default();
            format!("{} {} {other}", event.agent_id, event.action)
        })
        .collect();

    let mail = "Buyer execute_tool:mail jo@acme.example";
    assert_eq!(found, ["Buyer invoke_agent:Buyer ", mail, "Buyer execute_tool:search "]);
}

#[test]
fn a_call_of_a_tool_has_ended_as_its_parts_have() {
    let tool = [("tool_name", "pay")];
    let (failed, done) = ([("success", "false"), ("error", "x")], [("success", "true")]);
    let refused = [("decision", "reject")];
    let agent = [("gen_ai.operation.name", "invoke_agent")];
    for (name, attributes, parts, wanted) in [
        ("t", &tool[..], &[("t.run", &done[..])][..], Outcome::Success),
        ("t", &tool, &[("t.run", &failed)], Outcome::Error),
        ("t", &tool, &[("t.run", &failed), ("t.ask", &refused)], Outcome::Denied),
        // Another try, another name, and an agent that goes on.
        ("t", &tool, &[("t.run", &failed), ("t.run", &done)], Outcome::Success),
        ("t", &tool, &[("test.run", &failed)], Outcome::Success),
        ("t", &agent, &[("t.run", &failed)], Outcome::Success),
    ] {
        let parts = parts.iter().zip('b'..);
        let parts = parts.map(|((name, told), id)| span(&id.to_string(), "a", name, told));
        let spans: Vec<Value> = parts.chain([span("a", "", name, attributes)]).collect();

        let event = all(&spans).pop().unwrap().unwrap();

        assert_eq!(event.outcome, wanted, "{spans:?}");
        assert!(event.attributes.get("suretyEnd").is_none());
    }
}

#[test]
fn an_agent_that_another_one_called_is_not_taken_for_that_one() {
    let event = one(
        "subagent:Billing",
        &[
            ("entity.type", "agent"),
            ("entity.name", "Support"),
            ("subagent.name", "Billing"),
            ("agent.parent.name", "Support"),
        ],
    );

    assert_eq!(
        (event.agent_id.as_str(), event.action.as_str()),
        ("Billing", "invoke_agent:Billing")
    );
    assert_eq!(event.delegation.first().map(AsRef::as_ref), Some("Support"));
}
