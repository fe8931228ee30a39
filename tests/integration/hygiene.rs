//! What is wrong with the simulated company's credentials, agents and grants is found, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
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
    are_findings_too(folder.path(), &company, &expected);
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

/// The same is told by findings, but for keys that the registry has known for less than 90 days.
fn are_findings_too(folder: &Path, company: &Company, expected: &BTreeSet<(String, String)>) {
    let detectors = BTreeMap::from([
        ("expired_credential", "used_after_expiry"),
        ("revoked_credential", "used_after_revocation"),
        ("ended_purpose", "used_after_purpose"),
        ("never_rotated", "never_rotated"),
        ("standing_grant", "standing_grant"),
        ("unapproved_model", "unapproved_model"),
    ]);
    let long_ago = Timestamp::parse(START).unwrap().minus(Duration::from_hours(90 * 24));
    let changes = company.registry_changes().into_iter();
    let young: BTreeSet<String> = changes
        .filter(|change| long_ago < change.valid_from && change.fact.kind() == "credential")
        .map(|change| change.fact.subject().to_owned())
        .collect();
    let is_told = |(kind, subject): &(String, String)| {
        detectors.values().any(|one| one == kind)
            && !(kind == "never_rotated" && young.contains(subject))
    };
    let expected: BTreeSet<_> = expected.iter().filter(|one| is_told(one)).cloned().collect();

    let sql = "SELECT f.detector, CASE \
        WHEN f.detector = 'standing_grant' THEN e.grant_id \
        WHEN f.detector IN ('ended_purpose', 'unapproved_model') THEN f.agent_id \
        ELSE f.credential_id END AS subject, f.summary \
        FROM findings AS f INNER JOIN events AS e ON e.event_id = f.event_id";
    let rows = surety_json(folder, &["sql", sql, "--format", "json"]);
    let mut found = BTreeSet::new();
    for row in rows.as_array().unwrap() {
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        if let Some(kind) = detectors.get(text("detector").as_str()) {
            let subject = text("subject");
            assert!(text("summary").contains(&subject), "{row}");
            found.insert(((*kind).to_owned(), subject));
        }
        assert_ne!(text("detector"), "unused_grant", "grants are known since today");
    }

    let wrong: Vec<_> = expected.symmetric_difference(&found).collect();
    assert!(wrong.is_empty(), "found or expected alone: {wrong:?}");
}
