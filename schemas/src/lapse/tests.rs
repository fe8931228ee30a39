//! Lapses of a credential and an agent that end at noon.

use serde_json::json;

use super::*;
use crate::{KafkaPartition, NativeEvent, Offset, Position, RegistryChange, StampedEvent, Topic};

fn registry(changes: &[serde_json::Value]) -> Registry {
    let mut registry = Registry::default();
    for change in changes {
        let mut change = change.clone();
        change["schema"] = json!("surety.registry_change.v1");
        change["valid_from"] = json!("2026-01-01T00:00:00Z");
        change["recorded_at"] = json!("2026-01-01T00:00:00Z");
        let change: RegistryChange = serde_json::from_value(change).unwrap();
        registry.apply(&change).unwrap();
    }
    registry
}

/// The lapses of a use by an agent with a credential, at this hour of 2 March.
fn lapses(registry: &Registry, agent: &str, credential: &str, hour: u32) -> Vec<Lapse> {
    let event: NativeEvent = serde_json::from_value(json!({
        "schema": "surety.credential_event.v1", "time": format!("2026-03-02T{hour:02}:00:00Z"),
        "agent_id": agent, "credential_id": credential, "credential_kind": "static_key",
        "action": "order.read", "outcome": "success",
        "labels": ["env:test", "lapse:revoked_credential", "lapse:made_up"],
    }))
    .unwrap();
    let place =
        Position { topic: Topic::new("uses"), partition: KafkaPartition(0), offset: Offset(0) };
    let event = event.into_event(&place).unwrap();
    let mut stamped = StampedEvent::stamp(event, place, Timestamp::MAX, registry);
    stamped.stamp_again(registry);
    assert_eq!(stamped.event.labels[0], "env:test", "labels of the source stay");
    let ours = &stamped.event.labels[1..];
    let lapses: Vec<Lapse> = ours.iter().filter_map(|label| Lapse::of_label(label)).collect();
    assert_eq!(lapses.len(), ours.len(), "what the source made up is gone: {ours:?}");
    lapses
}

#[test]
fn a_use_has_a_lapse_from_the_moment_on_at_which_something_ends() {
    let noon = "2026-03-02T12:00:00Z";
    let key = |id: &str| {
        json!({"kind": "credential", "credential_id": id, "credential_kind": "static_key",
            "agent_ids": ["buyer"]})
    };
    let (mut expires, mut revoked) = (key("expires"), key("revoked"));
    expires["expires_at"] = json!(noon);
    revoked["valid_to"] = json!(noon);
    let registry = registry(&[
        expires,
        revoked,
        key("sound"),
        json!({"kind": "sponsor", "sponsor_id": "anna", "active": true}),
        json!({"kind": "agent", "agent_id": "buyer", "sponsor_id": "anna"}),
        json!({"kind": "agent", "agent_id": "temp", "sponsor_id": "anna", "valid_to": noon}),
    ]);

    for (agent, credential, lapse) in [
        ("buyer", "expires", Some(Lapse::ExpiredCredential)),
        ("buyer", "revoked", Some(Lapse::RevokedCredential)),
        ("temp", "sound", Some(Lapse::EndedPurpose)),
        ("buyer", "sound", None),
        ("buyer", "unknown", None),
    ] {
        assert_eq!(lapses(&registry, agent, credential, 11), [], "{agent} {credential}");
        assert_eq!(
            lapses(&registry, agent, credential, 12),
            lapse.into_iter().collect::<Vec<_>>(),
            "{agent} {credential}"
        );
    }
    assert_eq!(lapses(&registry, "ghost", "unknown", 11), [Lapse::UnregisteredAgent]);
}

#[test]
fn where_the_registry_knows_no_agent_none_is_unregistered() {
    assert_eq!(lapses(&registry(&[]), "ghost", "key", 11), []);
}
