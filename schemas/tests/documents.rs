//! What is generated from the types stands checked in, and is what the types say today.
//!
//! `make docs` rewrites it (it sets `SURETY_REWRITE_DOCUMENTS`).

use std::collections::BTreeSet;
use std::fs;

use schemas::{
    KafkaPartition, NativeEvent, Offset, Part, Position, Registry, RegistryChange, Table, Topic,
};

fn is_checked_in(path: &str, wanted: &str) {
    #[expect(clippy::disallowed_methods, reason = "the switch that rewrites instead of comparing")]
    let is_rewriting = std::env::var("SURETY_REWRITE_DOCUMENTS").is_ok();
    if is_rewriting {
        fs::write(path, wanted).expect("the checkout can be written");
    }
    let found = fs::read_to_string(path).unwrap_or_default();
    assert!(found == wanted, "{path} is out of date: run `make docs`");
}

#[test]
fn the_table_reference_is_up_to_date() {
    is_checked_in("../docs/tables.md", &Table::markdown());
}

#[test]
fn the_json_schemas_are_up_to_date() {
    is_checked_in(
        "json/credential_event.v1.schema.json",
        &schemas::json_schema::credential_event(),
    );
    is_checked_in("json/registry_change.v1.schema.json", &schemas::json_schema::registry_change());
}

#[test]
fn the_examples_are_what_the_types_read() {
    let event: NativeEvent =
        serde_json::from_str(include_str!("../json/credential_event.v1.example.json")).unwrap();
    let position = Position {
        topic: Topic::new("t"),
        partition: KafkaPartition(0),
        offset: Offset(0),
        part: Part::FIRST,
    };
    assert_eq!(event.into_event(&position).unwrap().event_id.as_str(), "evt-7f3a91");

    let changes: Vec<RegistryChange> =
        serde_json::from_str(include_str!("../json/registry_change.v1.example.json")).unwrap();
    let mut registry = Registry::default();
    for change in &changes {
        registry.apply(change).unwrap();
    }
    let kinds: BTreeSet<&str> = changes.iter().map(|change| change.fact.kind()).collect();
    assert_eq!(kinds.len(), 10, "one example at least for each kind of fact");
}
