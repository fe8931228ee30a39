//! What is wrong with the simulated company's credentials, agents and grants is found, and nothing else.

use std::collections::BTreeSet;
use std::time::Duration;

use schemas::{Fact, Timestamp};
use simulate::{Company, Settings};
use tempfile::TempDir;

use crate::process::{surety, surety_json, text};

const START: &str = "2026-03-02T00:00:00Z";
const KINDS: [&str; 7] = [
    "never_rotated",
    "standing_grant",
    "unapproved_model",
    "unused_grant",
    "used_after_expiry",
    "used_after_purpose",
    "used_after_revocation",
];

#[test]
fn the_hygiene_of_the_simulated_company_is_what_is_wrong_in_truth() {
    let folder = TempDir::new().unwrap();
    let simulate = format!(
        "simulate --seed 3 --agents 100 --days 4 --start {START} --registry-out registry.jsonl --out uses.jsonl"
    );
    for command in
        [simulate.as_str(), "registry import registry.jsonl", "replay uses.jsonl --format native"]
    {
        let ran = surety(folder.path(), &command.split(' ').collect::<Vec<_>>());
        assert!(ran.status.success(), "{command}: {}", text(&ran.stderr));
    }
    let start = Timestamp::parse(START).unwrap();
    let company = Company::new(&Settings::new(3, 100, start));
    let mut expected = BTreeSet::new();
    let lapses = company.lapses();
    for lapse in lapses.iter().filter(|lapse| lapse.from.is_none()) {
        expected.insert((lapse.kind.to_owned(), lapse.subject.clone()));
    }
    // Of the grants that are used, some belong to agents that do nothing in these days.
    let mut idle: BTreeSet<String> = BTreeSet::new();
    for change in company.registry_changes() {
        if let Fact::Grant { grant_id, .. } = change.fact {
            idle.insert(grant_id.to_string());
        }
    }
    for one in company.events(start, start.plus(Duration::from_hours(96))) {
        let event = one.event;
        let grant = event.grant_id.as_ref().map_or("", |id| id.as_str());
        idle.remove(grant);
        for lapse in &lapses {
            let is_of = [event.agent_id.as_str(), event.credential_id.as_str(), grant]
                .contains(&lapse.subject.as_str());
            if is_of && lapse.from.is_some_and(|from| from <= event.time) {
                expected.insert((lapse.kind.to_owned(), lapse.subject.clone()));
            }
        }
    }

    let unused = idle.into_iter().map(|grant| ("unused_grant".to_owned(), grant));
    expected.extend(unused);

    let rows = surety_json(
        folder.path(),
        &["sql", "SELECT DISTINCT kind, subject FROM hygiene", "--format", "json"],
    );

    let text_of = |row: &serde_json::Value, name: &str| row[name].as_str().unwrap().to_owned();
    let found: BTreeSet<(String, String)> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (text_of(row, "kind"), text_of(row, "subject")))
        .filter(|(kind, _)| KINDS.contains(&kind.as_str()) || kind == "wider_than_parent")
        .collect();
    let wrong: Vec<_> = expected.symmetric_difference(&found).collect();
    assert!(wrong.is_empty(), "found or expected alone: {wrong:?}");
    let kinds: BTreeSet<&str> = found.iter().map(|(kind, _)| kind.as_str()).collect();
    assert!(6 <= kinds.len(), "{kinds:?}");
    let posture = surety_json(folder.path(), &["posture", "--format", "json"]);
    let told: BTreeSet<&str> = posture["hygiene"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["kind"].as_str().unwrap())
        .collect();
    assert!(kinds.is_subset(&told), "{told:?}");
}
