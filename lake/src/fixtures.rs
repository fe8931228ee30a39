//! What the tests of this crate share: events, lakes, and a storage that fails on demand.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use schemas::{
    AgentId, Amount, Attributes, CounterpartyId, CredentialEvent, CredentialId, CredentialKind,
    Currency, Format, KafkaPartition, Offset, OffsetRange, Outcome, Position, SponsorId,
    StampedEvent, Timestamp, Topic, TraceStatus,
};

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
    Position { topic: topic(), partition, offset: Offset(offset) }
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
pub(crate) fn faulty() -> (Lake, Arc<FaultyStore>) {
    let store = Arc::new(FaultyStore::default());
    let location = Location::parse("memory:///lake").unwrap();
    let root: Arc<dyn ObjectStore> = Arc::<FaultyStore>::clone(&store);
    (Lake::over(&location, root), store)
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

/// What happens to the next put of a log entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is written, and the answer is an error.
    WrittenThenLost,
    /// It is not written, and the answer is an error.
    NotWritten,
}

/// A storage in memory; each fault hits one put of a log entry, in order.
#[derive(Debug, Default)]
pub(crate) struct FaultyStore {
    inner: InMemory,
    faults: Mutex<VecDeque<Fault>>,
}

impl FaultyStore {
    pub(crate) fn plan(&self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.lock().unwrap().extend(faults);
    }

    /// How many planned faults have not happened yet.
    pub(crate) fn planned(&self) -> usize {
        self.faults.lock().unwrap().len()
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let is_entry = location.extension() == Some("json");
        let fault = if is_entry { self.faults.lock().unwrap().pop_front() } else { None };
        let lost = || Error::Generic { store: "faulty", source: "connection reset".into() };
        match fault {
            None => self.inner.put_opts(location, payload, options).await,
            Some(Fault::NotWritten) => Err(lost()),
            Some(Fault::WrittenThenLost) => {
                self.inner.put_opts(location, payload, options).await?;
                Err(lost())
            }
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyStore")
    }
}
