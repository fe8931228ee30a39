//! Records as exporters spell them: names in another case or with underscores for capitals, numbers and
//! booleans as texts, objects as JSON in a text. Who acted, with what, and how it ended stays the same.

use serde_json::Value;

use super::*;

/// The record with every name changed.
fn renamed(record: &Value, name: fn(&str) -> String) -> Value {
    match record {
        Value::Object(fields) => {
            let fields = fields.iter();
            fields.map(|(found, value)| (name(found), renamed(value, name))).collect()
        }
        Value::Array(elements) => elements.iter().map(|one| renamed(one, name)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => record.clone(),
    }
}

/// `eventType` as `event_type`; a name that is made of several, as a label is, stays.
fn snake(name: &str) -> String {
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) || name.ends_with("ID") {
        return name.to_owned();
    }
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && text.ends_with(|before: char| before.is_ascii_lowercase())
        {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

/// The record with numbers and booleans as Python prints them, in texts.
fn printed(record: &Value) -> Value {
    match record {
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Number(number) => number.to_string().into(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), printed(value))).collect()
        }
        Value::Array(elements) => elements.iter().map(printed).collect(),
        Value::Null | Value::String(_) => record.clone(),
    }
}

/// The record with its objects as JSON in texts.
fn folded(record: &Value) -> Value {
    let Value::Object(fields) = record else { return record.clone() };
    let fields = fields.iter().map(|(name, value)| {
        let is_folded = value.as_object().is_some_and(|inside| !inside.is_empty());
        let value = if is_folded { value.to_string().into() } else { value.clone() };
        (name.clone(), value)
    });
    fields.collect()
}

/// What must not depend on the exporter.
fn essence(event: &CredentialEvent) -> String {
    let CredentialEvent { agent_id, credential_kind, action, outcome, time, .. } = event;
    format!("{agent_id} {credential_kind} {action} {outcome} {time}")
}

fn check(formats: &[Format], change: fn(&Value) -> Value) {
    let mut count = 0;
    for format in formats {
        for line in golden(*format).lines() {
            let record: Value = serde_json::from_str(line).unwrap();
            let Ok(plain) = read(*format, Some(record.to_string().as_bytes())) else { continue };
            let changed = change(&record).to_string();
            let event = read(*format, Some(changed.as_bytes()));
            let event = event.unwrap_or_else(|e| panic!("{format}: {}\n{changed}", e.detail));
            assert_eq!(essence(&event), essence(&plain), "{format}\n{changed}");
            count += 1;
        }
    }
    assert!(20 < count, "{count}");
}

#[test]
fn names_with_underscores_for_capitals_change_nothing() {
    let formats = [Format::CloudTrail, Format::Gcp, Format::Okta, Format::Kubernetes];
    check(&formats, |record| renamed(record, snake));
}

#[test]
fn names_in_capitals_change_nothing() {
    let formats = [Format::CloudTrail, Format::Gcp, Format::Okta];
    check(&formats, |record| renamed(record, str::to_ascii_uppercase));
}

#[test]
fn numbers_and_booleans_in_texts_change_nothing() {
    let formats = [
        Format::CloudTrail,
        Format::Gcp,
        Format::Kubernetes,
        Format::Okta,
        Format::Entra,
        Format::GitHub,
        Format::Vault,
        Format::Teleport,
        Format::Anthropic,
        Format::OpenAi,
        Format::Ocsf,
    ];
    check(&formats, printed);
}

#[test]
fn objects_in_texts_change_nothing() {
    let formats = [Format::CloudTrail, Format::Okta, Format::Vault, Format::Entra, Format::OpenAi];
    check(&formats, folded);
}
