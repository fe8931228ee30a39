//! The JSON Schemas of what other programs send us, generated from the types that read it.
//!
//! Invariant: `schemas/json/*.schema.json` are these texts, and the examples beside them are read by
//! the same types; a test fails on drift.

use schemars::generate::SchemaSettings;

use crate::{NativeEvent, RegistryChange};

/// JSON Schema (draft 2020-12) of the native event, `surety.credential_event.v1`.
pub fn credential_event() -> String {
    schema_of::<NativeEvent>()
}

/// JSON Schema (draft 2020-12) of a registry change, `surety.registry_change.v1`.
pub fn registry_change() -> String {
    schema_of::<RegistryChange>()
}

fn schema_of<T: schemars::JsonSchema>() -> String {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>();
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
    text.push('\n');
    text
}
