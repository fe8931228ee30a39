//! What the tests of this crate share: events, lakes, and a storage that fails on demand.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::RecordBatch;
use schemas::{
    AgentId, Amount, Attributes, CounterpartyId, CredentialEvent, CredentialId, CredentialKind,
    Currency, Format, KafkaPartition, Offset, OffsetRange, Outcome, Part, Position, SponsorId,
    StampedEvent, Timestamp, Topic, TraceStatus,
};

use crate::faults::{Decide, Fate, Kind, Memory, Operation};
use crate::{Advance, EventRows, Lake, Location};

pub(crate) const P0: KafkaPartition = KafkaPartition(0);
pub(crate) const P1: KafkaPartition = KafkaPartition(1);

pub(crate) fn topic() -> Topic {
    Topic::new("uses")
}

pub(crate) fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

pub(crate) fn now() -> Timestamp {
    at("2026-03-05T12:00:00Z")
}

pub(crate) fn position(partition: KafkaPartition, offset: i64) -> Position {
    Position { topic: topic(), partition, offset: Offset(offset), part: Part::FIRST }
}

/// An event with every field set, each a function of its place.
pub(crate) fn event(partition: KafkaPartition, offset: i64) -> StampedEvent {
    let position = position(partition, offset);
    let mut attributes = Attributes::default();
    attributes.insert("region", "eu-central-1");
    attributes.insert("attempt", &offset.to_string());
    let agent = format!("agent-{}", offset % 7);
    let event = CredentialEvent {
        event_id: position.event_id(),
        time: Timestamp::from_millis(1_772_600_000_000 + offset * 1_500).unwrap(),
        agent_id: AgentId::try_from(agent).unwrap(),
        agent_class: Some("procurement".try_into().unwrap()),
        agent_instance: Some(format!("pod-{}", offset % 3)),
        model: Some("model-1".to_owned()),
        session_id: Some(format!("session-{}", offset / 10).try_into().unwrap()),
        task_id: Some(format!("task-{}", offset / 5)),
        grant_id: Some("grant-1".try_into().unwrap()),
        credential_id: CredentialId::try_from("cred-1").unwrap(),
        credential_kind: CredentialKind::AccessToken,
        action: "order.approve".to_owned(),
        resource: Some(format!("order/{offset}")),
        resource_kind: Some("order".to_owned()),
        counterparty_id: Some(CounterpartyId::try_from(format!("vendor-{}", offset % 5)).unwrap()),
        counterparty_kind: Some("vendor".to_owned()),
        amount: Some(Amount::from_cents(offset * 101).unwrap()),
        currency: Some(Currency::try_from("EUR").unwrap()),
        outcome: Outcome::Success,
        outcome_reason: Some("approved".to_owned()),
        source_ip: Some("2001:db8::7".parse().unwrap()),
        user_agent: Some("agent/1.0".to_owned()),
        delegation: vec!["parent".try_into().unwrap(), "grandparent".try_into().unwrap()],
        labels: vec!["test".to_owned(), String::new()],
        attributes,
        format: Format::Native,
    };
    StampedEvent {
        event,
        position,
        ingested_at: now(),
        sponsor_id: Some(SponsorId::try_from("maria").unwrap()),
        trace_status: TraceStatus::Traced,
        trace_confidence: 0.9,
        dup_of: None,
    }
}

pub(crate) fn rows(events: &[StampedEvent]) -> RecordBatch {
    let mut rows = EventRows::with_capacity(events.len());
    for event in events {
        rows.push(event);
    }
    rows.finish()
}

/// The rows of a partition's offsets, and the advance over them.
pub(crate) fn batch(partition: KafkaPartition, start: i64, end: i64) -> (RecordBatch, Advance) {
    let events: Vec<_> = (start..end).map(|offset| event(partition, offset)).collect();
    let mut advance = Advance::default();
    let range = OffsetRange { start: Offset(start), end: Offset(end) };
    advance.extend(&topic(), partition, range);
    (rows(&events), advance)
}

pub(crate) fn local(folder: &std::path::Path) -> Lake {
    let location = Location::parse(folder.to_str().unwrap()).unwrap();
    Lake::open(&location, &crate::StoreOptions::default()).unwrap()
}

/// A lake in memory, on a storage that fails on demand.
pub(crate) fn faulty() -> (Lake, Arc<Fates>) {
    let fates = Arc::new(Fates::default());
    let planned = Arc::clone(&fates);
    let decide: Decide = Arc::new(move |operation| (Duration::ZERO, planned.of(operation)));
    (Memory::default().lake(decide), fates)
}

/// The table's rows as (partition, offset), sorted: what a reader sees.
pub(crate) async fn places(lake: &Lake) -> Vec<(i32, i64)> {
    use futures::TryStreamExt as _;
    let stream = lake.scan_events_after(&schemas::Offsets::default()).await.unwrap();
    let batches: Vec<RecordBatch> = stream.try_collect().await.unwrap();
    let events = batches.iter().flat_map(|batch| crate::decode_events(batch).unwrap());
    let places = events.map(|event| (event.position.partition.0, event.position.offset.0));
    let mut places: Vec<_> = places.collect();
    places.sort_unstable();
    places
}

/// What becomes of the next entries of logs that are written, in order; then all goes well.
#[derive(Debug, Default)]
pub(crate) struct Fates(Mutex<VecDeque<Fate>>);

impl Fates {
    pub(crate) fn plan(&self, fates: impl IntoIterator<Item = Fate>) {
        self.0.lock().unwrap().extend(fates);
    }

    /// How many planned fates have not come yet.
    pub(crate) fn planned(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    fn of(&self, operation: Operation<'_>) -> Fate {
        let is_entry = matches!(operation.kind, Kind::Write | Kind::Create)
            && std::path::Path::new(operation.path).extension().is_some_and(|it| it == "json");
        let next = if is_entry { self.0.lock().unwrap().pop_front() } else { None };
        next.unwrap_or(Fate::Done)
    }
}
