//! [`Outcome`]: what a lake holds in the end, and how it must compare.
//!
//! Invariant: it says nothing of the machine's clock, so that two runs over the same records are equal
//! where the invariants say so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use lake::Lake;
use lake::faults::Memory;
use schemas::{CredentialEvent, Finding, Part, Position, Table, TraceStatus};

use super::super::super::{Ended, Pipeline};
use super::lives;
use super::plan::Plan;
use super::world::{Reading, World, untouched};

type Place = (String, i32, i64, u16);

#[derive(Debug)]
pub(super) struct Outcome {
    events: Vec<(Place, CredentialEvent)>,
    /// Those that are copies, each with the place of what it is a copy of.
    copies: BTreeMap<Place, Place>,
    rejects: Vec<Place>,
    findings: Vec<Finding>,
    /// Uses of each counterparty by each agent.
    edges: BTreeMap<(String, String), u64>,
    registry_changes: usize,
    /// The detector's state, as a checkpoint has it.
    state: Vec<u8>,
    flaws: Vec<String>,
    /// The notes of the seals, in their order.
    notes: Vec<String>,
    went_wrong: Vec<String>,
    told: String,
}

fn place(position: &Position) -> Place {
    (position.topic.to_string(), position.partition.0, position.offset.0, position.part.0)
}

/// Reads the rest in peace, and then everything that is there.
pub(super) async fn of(world: &World, folder: &Path) -> Outcome {
    let lake = untouched(&world.memory);
    let (company, memory) = (Arc::clone(&world.company), world.memory.clone());
    let calm = Arc::new(World::new(company, Plan::calm(), memory));
    let reading = Reading::new(&calm, &calm.new_life(0, 0));
    let parts = lives::parts(&calm, reading, lake.clone(), &lives::folder_of(folder, 0));
    let mut pipeline = Box::new(Pipeline::start(parts).await.unwrap());
    loop {
        let ended = pipeline.read_on().await.unwrap();
        assert!(matches!(ended, Ended::End), "the log ends");
        if pipeline.finish().await.unwrap() {
            break;
        }
    }
    let mut state = Vec::new();
    let offsets = pipeline.buffer.offsets().clone();
    pipeline.detector.snapshot().write(&offsets, &mut state).unwrap();
    drop(pipeline);

    let mut outcome = Outcome {
        events: Vec::new(),
        copies: BTreeMap::new(),
        rejects: Vec::new(),
        findings: Vec::new(),
        edges: BTreeMap::new(),
        registry_changes: 0,
        state,
        flaws: Vec::new(),
        notes: lake.read_seals_from(0).await.unwrap().into_iter().map(|seal| seal.note).collect(),
        went_wrong: world.went_wrong(),
        told: world.told(),
    };
    for rows in lake::faults::rows(&lake, Table::Events).await.unwrap() {
        let events = lake::decode_events(&rows).unwrap();
        for mut one in events {
            // By what the registry knew when the event was read, as its sponsor is.
            one.event.labels.retain(|label| !label.starts_with(schemas::Lapse::PREFIX));
            let copy = one.original().map(|first| (place(&one.position), place(&first)));
            outcome.copies.extend(copy);
            outcome.events.push((place(&one.position), one.event));
        }
    }
    for rows in lake::faults::rows(&lake, Table::Rejects).await.unwrap() {
        let rejects = lake::decode_rejects(&rows).unwrap();
        outcome.rejects.extend(rejects.iter().map(|one| place(&one.position)));
    }
    for rows in lake::faults::rows(&lake, Table::Findings).await.unwrap() {
        let findings = lake::decode_findings(&rows).unwrap();
        for (mut finding, _) in findings {
            // As above: who answers is asked of the registry, as far as it was read.
            (finding.sponsor_id, finding.trace_status) = (None, TraceStatus::Orphaned);
            outcome.findings.push(finding);
        }
    }
    for rows in lake::faults::rows(&lake, Table::CounterpartyEdges).await.unwrap() {
        for edge in lake::decode_edges(&rows).unwrap() {
            let ends = (edge.agent_id.to_string(), edge.counterparty_id.to_string());
            *outcome.edges.entry(ends).or_default() += edge.events;
        }
    }
    for rows in lake::faults::rows(&lake, Table::RegistryChanges).await.unwrap() {
        outcome.registry_changes += rows.num_rows();
    }
    outcome.events.sort_by(|a, b| a.0.cmp(&b.0));
    outcome.rejects.sort();
    outcome.findings.sort_by(|a, b| a.finding_id.cmp(&b.finding_id));
    outcome.flaws = flaws(&world.memory, &lake).await;
    outcome
}

async fn flaws(memory: &Memory, lake: &Lake) -> Vec<String> {
    let (key, scope) = (lives::SEAL_KEY.public(), lake::seal::Scope::default());
    if memory.is_modelled() {
        return lake::faults::flaws(lake, key).await.unwrap();
    }
    let verified = lake::seal::verify(lake, key, &scope, |_, _| {}).await.unwrap();
    verified.flaws.iter().map(ToString::to_string).collect()
}

impl Outcome {
    pub(super) fn has_findings(&self) -> bool {
        3 < self.findings.len()
    }

    /// Whether there are events and rejects, and a finding, of records that hold several.
    pub(super) fn has_parts(&self) -> bool {
        self.events.iter().any(|((.., part), _)| 0 < *part)
            && self.rejects.iter().any(|(.., part)| 0 < *part)
            && self.findings.iter().any(|finding| finding.position.part != Part::FIRST)
    }

    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    pub(super) fn went_wrong(&self) -> &[String] {
        &self.went_wrong
    }

    /// The end of what happened, and when.
    pub(super) fn told(&self) -> &str {
        &self.told
    }

    pub(super) fn copies(&self) -> usize {
        self.copies.len()
    }

    /// Compares with the outcome of the same records, none of which was sent again.
    pub(super) fn assert_counts_as(&self, unique: &Self) {
        let of_events = |one: &Self| -> BTreeSet<String> {
            one.events.iter().map(|(_, event)| event.event_id.to_string()).collect()
        };
        assert_eq!(of_events(self), of_events(unique));
        assert_eq!(self.events.len(), unique.events.len() + self.copies.len());
        for (copy, first) in &self.copies {
            let at = |place: &Place| self.events.iter().find(|(known, _)| known == place);
            assert_eq!(at(copy).unwrap().1, at(first).unwrap().1);
            assert!(!self.copies.contains_key(first), "a copy is of a record that is none");
        }
        // A finding is named by its record, which stands elsewhere.
        let all = |one: &Self| -> BTreeSet<String> {
            let mut findings = one.findings.clone();
            for finding in &mut findings {
                (finding.finding_id, finding.position) =
                    (unique.findings[0].finding_id.clone(), unique.findings[0].position.clone());
            }
            findings.iter().map(|finding| format!("{finding:?}")).collect()
        };
        assert_eq!(all(self), all(unique));
        assert_eq!(self.edges, unique.edges);
    }

    /// Compares with the outcome of the calm run.
    pub(super) fn assert_like(&self, calm: &Self, is_alone: bool) {
        let told = &self.told;
        let places = |one: &Self| -> Vec<Place> {
            one.events.iter().map(|(place, _)| place.clone()).collect()
        };
        assert_eq!(places(self), places(calm), "E1: each event once\n{told}");
        assert!(self.events == calm.events, "N1: the events are the same\n{told}");
        assert_eq!(self.copies, calm.copies, "N2: the same events are copies\n{told}");
        assert_eq!(self.rejects, calm.rejects, "E1: each reject once\n{told}");
        assert_eq!(self.edges, calm.edges, "E4: each use is counted once\n{told}");
        assert_eq!(self.registry_changes, calm.registry_changes, "E4: each change once\n{told}");
        assert_eq!(self.flaws, [""; 0], "V1: the lake verifies\n{told}");
        let ids: BTreeSet<_> = self.findings.iter().map(|one| one.finding_id.as_str()).collect();
        assert_eq!(ids.len(), self.findings.len(), "D2: each finding once\n{told}");
        if is_alone {
            let all = |one: &Self| -> Vec<String> {
                one.findings.iter().map(|finding| format!("{finding:?}")).collect()
            };
            assert_eq!(all(self), all(calm), "D1: the same findings\n{told}");
            assert!(self.state == calm.state, "D1: the same state\n{told}");
        } else {
            let known: BTreeSet<_> = self.events.iter().map(|(_, event)| &event.event_id).collect();
            let is_known = |finding: &Finding| known.contains(&finding.event_id);
            assert!(self.findings.iter().all(is_known), "D2: of an event that is there\n{told}");
        }
    }
}
