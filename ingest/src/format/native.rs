//! The native format, `surety.credential_event.v1`.
//!
//! Invariant: a field that the schema does not know is kept in `attributes` and rejects nothing, so
//! that a producer may send more than this build understands; a field that stands twice rejects the
//! record, since two readers could disagree on which one counts.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use schemas::{Attributes, CredentialEvent, NativeEvent, RejectReason};
use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_path_to_error::Segment;

use super::Fault;
use crate::{RawRecord, Redactor};

/// The schema's fields; a test compares them with the schema.
const FIELDS: &[&str] = &[
    "action",
    "agent_class",
    "agent_id",
    "agent_instance",
    "amount",
    "attributes",
    "counterparty_id",
    "counterparty_kind",
    "credential_id",
    "credential_kind",
    "currency",
    "delegation",
    "event_id",
    "grant_id",
    "labels",
    "model",
    "outcome",
    "outcome_reason",
    "resource",
    "resource_kind",
    "schema",
    "session_id",
    "source_ip",
    "task_id",
    "time",
    "user_agent",
];

/// Reads a native event.
pub(super) fn read(
    json: &str,
    record: &RawRecord<'_>,
    redactor: &Redactor,
) -> Result<CredentialEvent, Fault> {
    let native = match serde_json::from_str::<NativeEvent>(json) {
        Ok(native) => native,
        Err(error) if error.is_data() && error.to_string().starts_with("unknown field `") => {
            read_with_more(json, redactor)?
        }
        Err(error) => return Err(fault_of(json, &error)),
    };
    native.into_event(&record.position()).map_err(|error| Fault::bad_field(error.to_string()))
}

/// Reads an event that has fields the schema does not know.
fn read_with_more(json: &str, redactor: &Redactor) -> Result<NativeEvent, Fault> {
    let fields = fields_of(json)?;
    let mut known = String::with_capacity(json.len());
    let mut more = Vec::new();
    for (name, value) in &fields {
        if FIELDS.contains(&name.as_str()) {
            let separator = if known.is_empty() { '{' } else { ',' };
            known.push(separator);
            for part in ["\"", name, "\":", value.get()] {
                known.push_str(part);
            }
        } else {
            more.push((name.as_str(), value.get()));
        }
    }
    known.push_str(if known.is_empty() { "{}" } else { "}" });
    let mut native: NativeEvent =
        serde_json::from_str(&known).map_err(|error| fault_of(&known, &error))?;
    for (name, value) in more {
        keep(&mut native.attributes, name, value, redactor);
    }
    Ok(native)
}

/// What `error` says of the event `json`, with the field that it is about: for that the event is read again,
/// which one that is right need not be.
#[cold]
fn fault_of(json: &str, error: &serde_json::Error) -> Fault {
    let fault = Fault::of_json(error);
    let mut again = serde_json::Deserializer::from_str(json);
    let path = serde_path_to_error::deserialize::<_, NativeEvent>(&mut again);
    let path = path.err().map(|error| error.path().clone());
    let field = path.as_ref().and_then(|path| match path.iter().next() {
        Some(Segment::Map { key }) => FIELDS.iter().find(|field| *field == key),
        Some(Segment::Seq { .. } | Segment::Enum { .. } | Segment::Unknown) | None => None,
    });
    match field {
        Some(field) if error.is_data() => fault.in_field(field),
        Some(_) | None => fault,
    }
}

/// Keeps a field as an attribute: a text as it is, everything else as its JSON.
fn keep(attributes: &mut Attributes, name: &str, json: &str, redactor: &Redactor) {
    let text = match serde_json::from_str::<Cow<'_, str>>(json) {
        Ok(text) => text,
        Err(_) => Cow::Borrowed(json),
    };
    let text = redactor.before_cut(&text, Attributes::VALUE_BYTES_MAX);
    match attributes.get(name) {
        None => attributes.insert(name, &text),
        Some(_) => attributes.insert(&format!("extra.{name}"), &text),
    };
}

pub(super) type Fields<'a> = Vec<(String, &'a RawValue)>;

/// The fields of a JSON object in their order, each name once.
pub(super) fn fields_of(json: &str) -> Result<Fields<'_>, Fault> {
    struct Object;
    impl<'de> Visitor<'de> for Object {
        type Value = Fields<'de>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
            let mut fields = Vec::new();
            while let Some(entry) = map.next_entry::<String, &'de RawValue>()? {
                fields.push(entry);
            }
            Ok(fields)
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let fields = deserializer.deserialize_map(Object).map_err(|error| Fault::of_json(&error))?;
    deserializer.end().map_err(|error| Fault::of_json(&error))?;
    let mut names = BTreeSet::new();
    for (name, _) in &fields {
        if !names.insert(name.as_str()) {
            let detail = if FIELDS.contains(&name.as_str()) {
                format!("wanted field `{name}` once, found it again")
            } else {
                "wanted each field once, found one that the schema does not know twice".to_owned()
            };
            return Err(Fault::new(RejectReason::DuplicateField, detail));
        }
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_list_of_fields_is_the_schemas() {
        let schema: serde_json::Value =
            serde_json::from_str(&schemas::json_schema::credential_event()).unwrap();
        let properties: BTreeMap<String, serde_json::Value> =
            serde_json::from_value(schema["properties"].clone()).unwrap();

        assert_eq!(properties.keys().map(String::as_str).collect::<Vec<_>>(), FIELDS);
        assert_eq!(schema["additionalProperties"], true, "further fields are kept");
    }
}
