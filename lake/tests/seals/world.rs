//! A small lake and a worker that writes to it in the order of the pipeline.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;
use lake::seal::{Rows, Scope, SealKey, Sealer, Tree, Verified, verify};
use lake::{
    Advance, CommitError, EventRows, Form, Lake, Landed, Location, RejectRows, TableHandle,
};
use object_store::ObjectStore;
use schemas::{
    AgentId, Amount, Attributes, CredentialEvent, CredentialId, CredentialKind, Currency, Fact,
    Format, KafkaPartition, Offset, OffsetRange, Outcome, Part, Position, RegistryChange,
    RegistrySchema, Reject, RejectReason, StampedEvent, Table, Timestamp, Topic, TraceStatus,
};

use crate::storage::Storage;

pub(crate) const P0: KafkaPartition = KafkaPartition(0);
pub(crate) const P1: KafkaPartition = KafkaPartition(1);
/// Every so many records one is a reject.
const RECORDS_PER_REJECT: i64 = 5;

pub(crate) fn topic() -> Topic {
    Topic::new("uses")
}

pub(crate) fn now() -> Timestamp {
    Timestamp::parse("2026-03-05T12:00:00.123456Z").unwrap()
}

pub(crate) fn key(seed: u8) -> Arc<SealKey> {
    Arc::new(SealKey::new("surety.test", &[seed; 32]).unwrap())
}

pub(crate) fn open(store: &Arc<Storage>) -> Lake {
    let root: Arc<dyn ObjectStore> = Arc::<Storage>::clone(store);
    Lake::over(&Location::parse("memory:///lake").unwrap(), root)
}

/// What is wrong with the lake in a storage.
pub(crate) async fn verified(store: &Arc<Storage>, scope: &Scope) -> Verified {
    verify(&open(store), key(7).public(), scope, |_, _| {}).await.unwrap()
}

pub(crate) async fn flaws(store: &Arc<Storage>) -> Vec<String> {
    let verified = verified(store, &Scope::default()).await;
    verified.flaws.iter().map(ToString::to_string).collect()
}

fn event(partition: KafkaPartition, offset: i64) -> StampedEvent {
    let position =
        Position { topic: topic(), partition, offset: Offset(offset), part: Part::FIRST };
    let mut attributes = Attributes::default();
    attributes.insert("attempt", &offset.to_string());
    let event = CredentialEvent {
        event_id: position.event_id(),
        // Over the end of a month, so that a commit has files in two folders.
        time: Timestamp::from_millis(1_772_323_000_000 + offset * 20_000).unwrap(),
        agent_id: AgentId::try_from(format!("agent-{}", offset % 3)).unwrap(),
        agent_class: None,
        agent_instance: Some(String::new()),
        model: None,
        session_id: None,
        task_id: None,
        grant_id: None,
        credential_id: CredentialId::try_from("cred-1").unwrap(),
        credential_kind: CredentialKind::AccessToken,
        action: "order.approve".to_owned(),
        resource: None,
        resource_kind: None,
        counterparty_id: Some("vendor-1".to_owned().try_into().unwrap()),
        counterparty_kind: None,
        amount: Some(Amount::from_cents(offset * -101).unwrap()),
        currency: Some(Currency::try_from("EUR").unwrap()),
        outcome: Outcome::Success,
        outcome_reason: None,
        source_ip: None,
        user_agent: Some("Grüße/1.0".to_owned()),
        delegation: vec!["parent".try_into().unwrap()],
        labels: vec!["test".to_owned(), String::new()],
        attributes,
        format: Format::Native,
    };
    StampedEvent {
        event,
        position,
        ingested_at: now(),
        sponsor_id: None,
        trace_status: TraceStatus::Orphaned,
        trace_confidence: 0.25,
        // Some rows are copies: their form has one column more.
        dup_of: (offset % 10 == 8).then(|| (Offset(offset - 3), Part::FIRST)),
    }
}

fn reject(topic: &Topic, partition: KafkaPartition, offset: i64, at: Timestamp) -> Reject {
    Reject {
        position: Position {
            topic: topic.clone(),
            partition,
            offset: Offset(offset),
            part: Part::FIRST,
        },
        record_time: None,
        rejected_at: at,
        format: Format::Native,
        reason: RejectReason::NotJson,
        detail: "wanted JSON".to_owned(),
        raw: vec![b'{', 0xff, 0],
        raw_bytes: 3,
    }
}

fn is_reject(offset: i64) -> bool {
    offset % RECORDS_PER_REJECT == RECORDS_PER_REJECT - 1
}

/// The records of some offsets, as they are committed.
pub(crate) struct Batch {
    pub(crate) events: RecordBatch,
    pub(crate) rejects: RecordBatch,
    pub(crate) advance: Advance,
}

impl Batch {
    pub(crate) fn of(partition: KafkaPartition, start: i64, end: i64) -> Self {
        Self::read_at(partition, start, end, now())
    }

    /// No record, and no offset either.
    pub(crate) fn of_nothing() -> Self {
        let (mut events, mut rejects) = (EventRows::with_capacity(0), RejectRows::default());
        Self { events: events.finish(), rejects: rejects.finish(), advance: Advance::default() }
    }

    /// Rejects tell when they were read.
    pub(crate) fn read_at(partition: KafkaPartition, start: i64, end: i64, at: Timestamp) -> Self {
        let (mut events, mut rejects) = (EventRows::with_capacity(0), RejectRows::default());
        for offset in start..end {
            if is_reject(offset) {
                rejects.push(&reject(&topic(), partition, offset, at));
            } else {
                events.push(&event(partition, offset));
            }
        }
        let advance = advance(partition, start, end);
        Self { events: events.finish(), rejects: rejects.finish(), advance }
    }

    /// Records that hold three each: an event, a reject, and an event again, a copy of the first in some.
    pub(crate) fn of_several(partition: KafkaPartition, start: i64, end: i64) -> Self {
        let (mut events, mut rejects) = (EventRows::with_capacity(0), RejectRows::default());
        for offset in start..end {
            let first = event(partition, offset);
            let position = |part| Position { part: Part(part), ..first.position.clone() };
            let refused = reject(&topic(), partition, offset, now());
            let dup_of = (offset % 2 == 0).then_some((Offset(offset), Part::FIRST));
            rejects.push(&Reject { position: position(1), ..refused });
            events.push(&StampedEvent { position: position(2), dup_of, ..first.clone() });
            events.push(&first);
        }
        let advance = advance(partition, start, end);
        Self { events: events.finish(), rejects: rejects.finish(), advance }
    }
}

fn advance(partition: KafkaPartition, start: i64, end: i64) -> Advance {
    let mut advance = Advance::default();
    let range = OffsetRange { start: Offset(start), end: Offset(end) };
    advance.extend(&topic(), partition, range);
    advance
}

/// A worker: its handles know what it has seen.
pub(crate) struct Worker {
    pub(crate) lake: Lake,
    pub(crate) events: TableHandle,
    pub(crate) rejects: TableHandle,
    pub(crate) sealer: Sealer,
}

impl Worker {
    pub(crate) async fn start(store: &Arc<Storage>) -> Self {
        let lake = open(store);
        Self {
            events: lake.table(Table::Events).await.unwrap(),
            rejects: lake.table(Table::Rejects).await.unwrap(),
            sealer: Sealer::open(&lake, key(7)).await.unwrap(),
            lake,
        }
    }

    pub(crate) async fn write_rejects(&mut self, batch: &Batch) -> Result<(), CommitError> {
        if 0 < batch.rejects.num_rows() {
            let rows = vec![batch.rejects.clone()];
            self.rejects.append_rest(rows, &batch.advance, now()).await?;
        }
        Ok(())
    }

    pub(crate) async fn write_events(&mut self, batch: &Batch) -> Result<Landed, CommitError> {
        let (files, _) =
            Form::Parquet.encode_events(std::slice::from_ref(&batch.events), &batch.advance)?;
        self.events.commit(&files, &batch.advance, now()).await
    }

    pub(crate) async fn seal(&mut self, batch: &Batch, landed: Landed) -> Result<(), CommitError> {
        let (events, rejects) =
            (std::slice::from_ref(&batch.events), std::slice::from_ref(&batch.rejects));
        let (files, _) = Form::Parquet.encode_events(events, &batch.advance)?;
        let tree = Tree::of(events, rejects, &batch.advance).unwrap();
        let rows = Rows { landed, advance: &batch.advance, tree, files: &files };
        self.sealer.seal(rows, now()).await
    }

    /// The whole of a commit.
    pub(crate) async fn commit(&mut self, batch: &Batch) -> Result<(), CommitError> {
        self.write_rejects(batch).await?;
        let landed = self.write_events(batch).await?;
        self.seal(batch, landed).await
    }
}

/// What was known before the first record.
pub(crate) async fn import_registry(lake: &Lake) {
    let change = RegistryChange {
        schema: RegistrySchema::V1,
        fact: Fact::Delegation {
            agent_id: "child".try_into().unwrap(),
            parent_agent_id: "parent".try_into().unwrap(),
        },
        valid_from: Timestamp::parse("2026-01-01T00:00:00Z").unwrap(),
        valid_to: None,
        recorded_at: None,
        evidence: Some("import.csv:7".to_owned()),
    };
    lake.import_registry(&[change], now()).await.unwrap();
}

/// A lake of three commits over two partitions, with rejects, a registry, and checkpoints.
pub(crate) async fn small_lake() -> Arc<Storage> {
    let store = Arc::new(Storage::default());
    import_registry(&open(&store)).await;
    let mut worker = Worker::start(&store).await;
    worker.commit(&Batch::of(P0, 0, 6)).await.unwrap();
    worker.commit(&Batch::of(P1, 3, 12)).await.unwrap();
    for table in [Table::Events, Table::Seals] {
        worker.lake.table(table).await.unwrap().checkpoint().await.unwrap();
    }
    worker.commit(&Batch::of(P0, 6, 16)).await.unwrap();
    store
}

/// The files of a lake with one of each kind: small, since it is verified thousands of times.
pub(crate) async fn one_of_each_kind() -> BTreeMap<String, Bytes> {
    let store = Arc::new(Storage::default());
    import_registry(&open(&store)).await;
    let mut worker = Worker::start(&store).await;
    worker.commit(&Batch::of(P0, 0, 5)).await.unwrap();
    for table in [Table::Events, Table::Seals] {
        worker.lake.table(table).await.unwrap().checkpoint().await.unwrap();
    }
    worker.commit(&Batch::of(P0, 5, 8)).await.unwrap();
    let files = store.files().await;
    assert_eq!(flaws(&store).await, [""; 0]);
    files
}

/// The files of a small lake.
pub(crate) async fn small_files() -> BTreeMap<String, Bytes> {
    small_lake().await.files().await
}
