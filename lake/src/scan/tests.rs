//! Events after a checkpoint, and the registry.

use std::time::Duration;

use futures::TryStreamExt as _;
use schemas::{Fact, KafkaPartition, Offset, Part, RegistrySchema, StampedEvent, Topic};

use super::*;
use crate::decode_events;
use crate::faults::{Fate, Memory};
use crate::fixtures::{P0, P1, at, batch, event, faulty, now, position, rows};

async fn after(lake: &Lake, offsets: &Offsets) -> Vec<(i32, i64)> {
    let stream = lake.scan_events_after(offsets).await.unwrap();
    let batches: Vec<RecordBatch> = stream.try_collect().await.unwrap();
    let events: Vec<StampedEvent> =
        batches.iter().flat_map(|batch| decode_events(batch).unwrap()).collect();
    events.iter().map(|event| (event.position.partition.0, event.position.offset.0)).collect()
}

async fn two_partitions() -> Lake {
    let (lake, _) = faulty();
    let mut handle = lake.table(Table::Events).await.unwrap();
    for (partition, start, end) in [(P0, 0, 4), (P1, 0, 3), (P0, 4, 9), (P1, 3, 5)] {
        let (rows, advance) = batch(partition, start, end);
        handle.append(vec![rows], &advance, now()).await.unwrap();
    }
    lake
}

fn offsets(marks: &[(KafkaPartition, i64)]) -> Offsets {
    let mut offsets = Offsets::default();
    for (partition, next) in marks {
        offsets.raise(&position(*partition, 0).topic, *partition, Offset(*next));
    }
    offsets
}

#[tokio::test]
async fn events_after_a_checkpoint_come_in_the_order_of_their_offsets() {
    let lake = two_partitions().await;
    for (marks, p0, p1) in [
        (vec![], 0, 0),
        (vec![(P0, 0)], 0, 0),
        (vec![(P0, 6)], 6, 0),
        (vec![(P0, 4), (P1, 3)], 4, 3),
        (vec![(P0, 9), (P1, 4)], 9, 4),
        (vec![(P0, 9), (P1, 5)], 9, 5),
        (vec![(P0, 2), (P1, 5)], 2, 5),
    ] {
        let found = after(&lake, &offsets(&marks)).await;

        let wanted: Vec<_> = (p0..9).map(|n| (0, n)).chain((p1..5).map(|n| (1, n))).collect();
        assert_eq!(found, wanted, "{marks:?}");
    }
}

#[tokio::test]
async fn several_of_one_record_come_in_the_order_in_which_they_stand_in_it() {
    // The table sorts by agent and time: those of a record that come later there stand before others.
    let parts = [("b", Part::FIRST), ("a", Part(1)), ("c", Part(2))];
    for memory in [Memory::default(), Memory::modelled()] {
        let lake = memory.lake(Arc::new(|_| (Duration::ZERO, Fate::Done)));
        let events = parts.map(|(agent, part)| {
            let mut one = event(P0, 0);
            one.event.agent_id = agent.try_into().unwrap();
            one.position.part = part;
            one
        });
        let mut handle = lake.table(Table::Events).await.unwrap();
        let (_, advance) = batch(P0, 0, 1);
        handle.append(vec![rows(&events)], &advance, now()).await.unwrap();

        let stream = lake.scan_events_after(&Offsets::default()).await.unwrap();
        let found: Vec<RecordBatch> = stream.try_collect().await.unwrap();

        let found = found.iter().flat_map(|rows| decode_events(rows).unwrap());
        let found: Vec<Part> = found.map(|one| one.position.part).collect();
        assert_eq!(found, parts.map(|(_, part)| part), "{memory:?}");
    }
}

#[tokio::test]
async fn only_files_of_commits_past_the_checkpoint_are_read() {
    let lake = two_partitions().await;
    let log = lake.reading_log(Table::Events);
    let count =
        async |marks: &[_]| files_after(&log, 4, &offsets(marks)).await.map(|files| files.len());

    assert_eq!(count(&[(P0, 9), (P1, 5)]).await, Some(0));
    assert_eq!(count(&[(P0, 9), (P1, 3)]).await, Some(1));
    assert_eq!(count(&[(P0, 4), (P1, 5)]).await, Some(1));
    assert_eq!(count(&[(P0, 3), (P1, 2)]).await, None, "the log starts with a commit past it");
    assert_eq!(count(&[(P0, 4), (P1, 3)]).await, Some(2));
    assert_eq!(count(&[(P0, 9)]).await, None, "a partition without an offset needs all files");
}

#[tokio::test]
async fn topics_are_kept_apart() {
    let lake = two_partitions().await;
    let mut other = Offsets::default();
    other.raise(&Topic::new("other"), P0, Offset(100));

    assert_eq!(after(&lake, &other).await.len(), 14);
}

fn change(agent: &str, valid_from: &str) -> RegistryChange {
    RegistryChange {
        schema: RegistrySchema::V1,
        fact: Fact::Agent {
            agent_id: agent.try_into().unwrap(),
            agent_class: None,
            sponsor_id: Some("maria".try_into().unwrap()),
            model: None,
            environment: None,
            purpose: None,
            allowed_actions: Vec::new(),
            allowed_resources: Vec::new(),
            allowed_counterparties: Vec::new(),
            amount_limit: None,
            currency: None,
        },
        valid_from: at(valid_from),
        valid_to: None,
        recorded_at: None,
        evidence: None,
    }
}

#[tokio::test]
async fn importing_the_registry_again_changes_nothing() {
    let (lake, _) = faulty();
    let first = [change("a", "2026-01-01T00:00:00Z"), change("b", "2026-01-01T00:00:00Z")];
    let second = [first[1].clone(), change("b", "2026-02-01T00:00:00Z"), first[1].clone()];
    let later = at("2026-03-06T00:00:00Z");

    assert_eq!(lake.import_registry(&first, now()).await.unwrap(), 2);
    assert_eq!(lake.import_registry(&first, later).await.unwrap(), 0);
    assert_eq!(lake.import_registry(&second, later).await.unwrap(), 1);

    let found = lake.read_registry().await.unwrap();
    assert_eq!(found.len(), 3);
    assert_eq!(found[2].recorded_at, Some(later));
    assert!(found[..2].iter().all(|change| change.recorded_at == Some(now())));
}

#[tokio::test]
async fn a_correction_can_be_taken_back_by_telling_the_first_again() {
    let (lake, _) = faulty();
    let told = |sponsor: &str| {
        let mut told = change("a", "2026-01-01T00:00:00Z");
        if let Fact::Agent { sponsor_id, .. } = &mut told.fact {
            *sponsor_id = Some(sponsor.try_into().unwrap());
        }
        [told]
    };

    for (day, sponsor) in [(5, "anna"), (6, "ben"), (7, "anna")] {
        let now = at(&format!("2026-03-0{day}T00:00:00Z"));
        assert_eq!(lake.import_registry(&told(sponsor), now).await.unwrap(), 1, "{sponsor}");
    }

    let found = lake.read_registry().await.unwrap();
    assert_eq!(found.len(), 3);
    assert_eq!(found[2].fact, told("anna")[0].fact);
}

#[tokio::test]
async fn attempts_are_found_by_when_they_began() {
    let (lake, _) = faulty();
    assert!(lake.read_deliveries_since(now()).await.unwrap().is_empty());
    let attempt = |sequence, time| Delivery {
        sequence,
        time: at(time),
        finding_id: "f".try_into().unwrap(),
        endpoint: "pager".to_owned(),
        attempt: 1,
        duration: Duration::from_millis(3),
        outcome: "delivered".to_owned(),
        status: Some(204),
        error: None,
    };
    let attempts = [attempt(0, "2026-03-05T11:00:00Z"), attempt(1, "2026-03-05T12:00:00Z")];
    let mut rows = crate::DeliveryRows::default();
    for attempt in &attempts {
        rows.push(attempt);
    }
    let advance = Advance::of_sequence(SequenceRange { start: 0, end: 2 });
    let mut handle = lake.table(Table::Deliveries).await.unwrap();
    handle.append(vec![rows.finish()], &advance, now()).await.unwrap();

    assert_eq!(lake.read_deliveries_since(now()).await.unwrap(), attempts[1..]);
}

#[tokio::test]
async fn edges_are_made_of_the_events_of_a_lake_that_has_none_and_kept_otherwise() {
    let lake = two_partitions().await;

    lake.make_edges(now()).await.unwrap();
    lake.make_edges(now()).await.unwrap();

    let edges: Vec<_> = lake.read(Table::CounterpartyEdges, lit(true)).await.unwrap();
    let edges: Vec<_> =
        edges.iter().flat_map(|batch| crate::decode_edges(batch).unwrap()).collect();
    assert_eq!(edges.iter().map(|edge| edge.events).sum::<u64>(), 14);
    let handle = lake.table(Table::CounterpartyEdges).await.unwrap();
    assert_eq!(handle.offsets(), &offsets(&[(P0, 9), (P1, 5)]));
    let empty = faulty().0;
    empty.make_edges(now()).await.unwrap();
    assert_eq!(empty.table(Table::CounterpartyEdges).await.unwrap().version(), None);
}
