//! Lapses of a credential and an agent that end at noon.

use serde_json::json;

use super::*;
use crate::{
    KafkaPartition, NativeEvent, Offset, Part, Position, RegistryChange, StampedEvent, Topic,
};

fn registry(changes: &[serde_json::Value]) -> Registry {
    let mut registry = Registry::default();
    for change in changes {
        let mut change = change.clone();
        change["schema"] = json!("surety.registry_change.v1");
        let change_of = change.as_object_mut().unwrap();
        change_of.entry("valid_from").or_insert("2026-01-01T00:00:00Z".into());
        change_of.entry("recorded_at").or_insert("2026-01-01T00:00:00Z".into());
        let change: RegistryChange = serde_json::from_value(change).unwrap();
        registry.apply(&change).unwrap();
    }
    registry
}

/// The lapses of a use by an agent with a credential, at this hour of 2 March.
fn lapses(registry: &Registry, agent: &str, credential: &str, hour: u32) -> Vec<String> {
    let time = format!("2026-03-02T{hour:02}:00:00Z");
    lapses_of(registry, &json!({"agent_id": agent, "credential_id": credential, "time": time}))
}

/// The lapses of an event, with what they are about.
fn lapses_of(registry: &Registry, fields: &serde_json::Value) -> Vec<String> {
    let mut stamped = stamped(registry, fields);
    stamped.ask(registry);
    assert_eq!(stamped.event.labels[0], "env:test", "labels of the source stay");
    let ours = stamped.event.labels[1..].iter();
    ours.map(|label| {
        let (lapse, about) = Lapse::of_label(label).expect("what the source made up is gone");
        if about.is_empty() { lapse.to_string() } else { format!("{lapse} {about}") }
    })
    .collect()
}

fn stamped(registry: &Registry, fields: &serde_json::Value) -> StampedEvent {
    let mut event = json!({
        "schema": "surety.credential_event.v1", "time": "2026-03-02T12:00:00Z",
        "agent_id": "buyer", "credential_id": "key", "credential_kind": "static_key",
        "action": "order.read", "outcome": "success",
        "labels": ["env:test", "lapse:revoked_credential", "lapse:made_up"],
    });
    event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let event: NativeEvent = serde_json::from_value(event).unwrap();
    let place = Position {
        topic: Topic::new("uses"),
        partition: KafkaPartition(0),
        offset: Offset(0),
        part: Part::FIRST,
    };
    let event = event.into_event(&place).unwrap();
    StampedEvent::stamp(event, place, Timestamp::MAX, registry)
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
        assert_eq!(lapses(&registry, agent, credential, 11), [""; 0], "{agent} {credential}");
        assert_eq!(
            lapses(&registry, agent, credential, 12),
            lapse.into_iter().map(|one| one.to_string()).collect::<Vec<_>>(),
            "{agent} {credential}"
        );
    }
    assert_eq!(lapses(&registry, "ghost", "unknown", 11), ["unregistered_agent"]);
}

#[test]
fn where_the_registry_knows_no_agent_none_is_unregistered() {
    assert_eq!(lapses(&registry(&[]), "ghost", "key", 11), [""; 0]);
}

const NONE: [&str; 0] = [];

#[test]
fn a_static_key_is_to_be_rotated_in_90_days() {
    let key = |from: &str, rotated: Option<&str>| {
        let mut key = json!({"kind": "credential", "credential_id": "key",
            "credential_kind": "static_key", "agent_ids": [], "valid_from": from});
        if let Some(rotated) = rotated {
            key["rotated_at"] = json!(rotated);
        }
        key
    };
    let (old, young) = ("2025-12-02T12:00:00Z", "2025-12-02T12:00:01Z");
    let use_of = |changes: &[_], kind: &str| {
        lapses_of(&registry(changes), &json!({"credential_kind": kind}))
    };

    assert_eq!(use_of(&[key(old, None)], "static_key"), ["never_rotated"]);
    assert_eq!(use_of(&[key(young, None)], "static_key"), NONE);
    assert_eq!(use_of(&[key(old, None)], "temporary_key"), NONE);
    assert_eq!(use_of(&[key(old, Some("2025-12-24T00:00:00Z"))], "static_key"), NONE);
    // Told again with other users: as old as it was.
    let again = key("2026-02-01T00:00:00Z", None);
    assert_eq!(use_of(&[key(old, None), again.clone()], "static_key"), ["never_rotated"]);
    assert_eq!(use_of(&[key(old, Some(young)), again], "static_key"), NONE, "rotated once");
    assert_eq!(use_of(&[], "static_key"), NONE, "the registry does not know it");
}

#[test]
fn a_lasting_credential_that_an_agent_had_issued_is_told_with_the_issuer() {
    let issue = json!({"kind": "issue", "credential_id": "key", "agent_id": "deployer"});
    let registry = registry(&[issue]);

    for (kind, found) in [
        ("static_key", vec!["minted_credential deployer"]),
        ("password", vec!["minted_credential deployer"]),
        ("session", vec![]),
    ] {
        assert_eq!(lapses_of(&registry, &json!({"credential_kind": kind})), found);
    }
}

#[test]
fn an_agent_does_what_its_entry_allows_with_the_model_that_was_approved() {
    let anna = json!({"kind": "sponsor", "sponsor_id": "anna", "active": true});
    let buyer = json!({"kind": "agent", "agent_id": "buyer", "sponsor_id": "anna", "model": "m-1",
        "allowed_actions": ["order.*"], "allowed_resources": ["erp/orders/*"],
        "allowed_counterparties": ["vendor:atlas"], "amount_limit": "5000.00", "currency": "EUR"});
    let free = json!({"kind": "agent", "agent_id": "free", "sponsor_id": "anna"});
    let registry = registry(&[anna, buyer, free, json!({"kind": "agent", "agent_id": "lost"})]);
    let paid = |amount: &str, currency: &str| json!({"amount": amount, "currency": currency});

    for (fields, found) in [
        (json!({"model": "m-1"}), vec![]),
        (json!({"model": "m-2"}), vec!["unapproved_model"]),
        (json!({"action": "mail.send"}), vec!["outside_purpose action"]),
        (json!({"resource": "erp/orders/7", "counterparty_id": "vendor:atlas"}), vec![]),
        (
            json!({"resource": "hr/7", "counterparty_id": "vendor:shell"}),
            vec!["outside_purpose resource", "outside_purpose counterparty"],
        ),
        (paid("5000.00", "EUR"), vec![]),
        (paid("5000.01", "EUR"), vec!["over_limit 5000.00"]),
        (paid("5000.01", "USD"), vec![]),
        (json!({"agent_id": "free", "action": "mail.send", "model": "m-2"}), vec![]),
        (json!({"agent_id": "lost"}), vec!["orphaned_agent"]),
    ] {
        assert_eq!(lapses_of(&registry, &fields), found, "{fields}");
    }
}

#[test]
fn a_grant_is_for_a_task_within_what_the_parent_has_and_used_or_not_needed() {
    let grant = |id: &str, agent: &str, scope: &str| {
        json!({"kind": "grant", "grant_id": id, "agent_id": agent, "scope": scope,
            "valid_from": "2026-02-01T00:00:00Z", "valid_to": "2026-05-01T00:00:00Z"})
    };
    let mut standing = grant("standing", "buyer", "read write");
    standing.as_object_mut().unwrap().remove("valid_to");
    let mut ended = grant("ended", "buyer", "read");
    ended["valid_to"] = json!("2026-03-02T12:00:00Z");
    let (mut old, mut older) = (grant("old", "buyer", "read"), grant("older", "buyer", "read"));
    old["valid_from"] = json!("2025-12-02T12:00:00Z");
    older["valid_from"] = json!("2025-12-01T00:00:00Z");
    let sub = json!({"kind": "delegation", "agent_id": "sub", "parent_agent_id": "buyer"});
    let mut registry = registry(&[
        standing,
        ended,
        sub,
        grant("narrow", "sub", "write read"),
        grant("wide", "sub", "read delete"),
        grant("sound", "buyer", "read"),
    ]);
    let used = |agent: &str, grant: &str| json!({"agent_id": agent, "grant_id": grant});

    for (fields, found) in [
        (used("buyer", "sound"), vec![]),
        (used("buyer", "unheard-of"), vec![]),
        (used("buyer", "standing"), vec!["standing_grant"]),
        (used("buyer", "ended"), vec!["ended_grant"]),
        (used("sub", "narrow"), vec![]),
        (used("sub", "wide"), vec!["wider_than_parent"]),
    ] {
        assert_eq!(lapses_of(&registry, &fields), found, "{fields}");
    }

    for change in [old, older] {
        let mut change = change;
        change["schema"] = json!("surety.registry_change.v1");
        change["recorded_at"] = json!("2025-12-02T13:00:00Z");
        registry.apply(&serde_json::from_value(change).unwrap()).unwrap();
    }
    assert_eq!(lapses_of(&registry, &used("buyer", "sound")), ["unused_grant older"]);
    let mut learned = 0;
    for grant in ["older", "sound", "unheard-of", "older"] {
        let event = stamped(&registry, &used("buyer", grant)).event;
        let told = Timestamp::parse("2026-03-02T14:00:00Z").unwrap();
        let changes: Vec<_> = RegistryChange::learned(&event, &registry, told).collect();
        for change in changes {
            assert!(registry.apply(&change).unwrap());
            learned += 1;
        }
    }
    assert_eq!(learned, 2, "the first use of each grant that is known");
    assert_eq!(lapses_of(&registry, &used("buyer", "sound")), ["unused_grant old"]);
    let mut before = stamped(&registry, &used("buyer", "sound"));
    let mut known_at = |time: &str| {
        before.ingested_at = Timestamp::parse(time).unwrap();
        before.ask(&registry);
        before.event.labels[1..].to_vec()
    };
    assert_eq!(known_at("2026-03-02T14:00:00Z"), ["lapse:unused_grant:old"]);
    assert_eq!(known_at("2026-03-02T13:59:59Z"), ["lapse:unused_grant:older"]);
    // By what was known then: before the use was told, and before the grants were known for long.
    assert_eq!(known_at("2026-03-02T12:59:59Z"), NONE);
}

#[test]
fn an_agent_with_a_grant_for_each_task_keeps_a_short_list() {
    let mut registry = Registry::default();
    let told = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
    for n in 0..1_000_u64 {
        let at = told.plus(Duration::from_secs(n));
        let change = |fact: serde_json::Value| {
            let mut change = fact;
            change["schema"] = json!("surety.registry_change.v1");
            change["grant_id"] = json!(format!("task-{n}"));
            change["agent_id"] = json!("buyer");
            change["valid_from"] = json!(at.to_string());
            change["recorded_at"] = json!(at.to_string());
            serde_json::from_value::<RegistryChange>(change).unwrap()
        };
        registry.apply(&change(json!({"kind": "grant", "scope": "read"}))).unwrap();
        if n != 500 {
            registry.apply(&change(json!({"kind": "grant_use"}))).unwrap();
        }
    }
    let late = json!({"time": "2026-06-01T00:00:00Z"});

    assert_eq!(lapses_of(&registry, &late), ["unused_grant task-500"]);
}
