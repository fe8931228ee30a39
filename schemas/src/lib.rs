//! The words of Surety: what an event, a finding, a registry change and a trace are, the Arrow
//! schemas of all tables, and the wire contracts.
//!
//! Invariant: nothing here does IO, reads a clock or is asynchronous, so every crate may lean on it.
//!
//! Layout, in the order a newcomer wants it:
//! - [`CredentialEvent`] (`event.rs`): one use of one credential by one agent;
//! - [`Position`], [`Offsets`] (`offset.rs`): where a record stands in Kafka;
//! - [`NativeEvent`] (`native.rs`): the JSON that producers write;
//! - [`RegistryChange`] (`registry/change.rs`), [`Registry`] (`registry.rs`), [`Trace`] (`trace.rs`):
//!   who answers for an agent, and how we know;
//! - [`Lapse`] (`lapse.rs`): what the registry has against a use;
//! - [`Finding`] (`finding.rs`), [`Reject`] (`reject.rs`);
//! - [`Table`] (`table.rs`): each table's columns with their documentation.

mod event;
mod finding;
mod format;
mod id;
pub mod json_schema;
mod lapse;
mod money;
mod native;
mod offset;
mod registry;
mod reject;
mod shard;
mod table;
mod time;
mod trace;

pub use event::{Attributes, CredentialEvent, CredentialKind, Outcome, StampedEvent};
pub use finding::{DetectorKind, FeatureShare, Finding, Maturity, MaturityLevel, Severity};
pub use format::{Format, InvalidMappingName, MappingName};
pub use id::{
    AgentClass, AgentId, ChangeId, CounterpartyId, CredentialId, EventId, FindingId, GrantId,
    InvalidId, SessionId, SponsorId,
};
pub use lapse::Lapse;
pub use money::{Amount, Currency, InvalidAmount};
pub use native::{InvalidNative, NativeEvent, NativeSchema};
pub use offset::{KafkaPartition, Offset, OffsetRange, Offsets, Part, Position, Topic};
pub use registry::{
    Disposition, DispositionVerdict, Expectation, Fact, Registry, RegistryChange, RegistrySchema,
    UnknownChange, Whose,
};
pub use reject::{Reject, RejectReason};
pub use shard::{SHARDS, Shard};
pub use table::{Column, ColumnType, Table};
pub use time::{InvalidTimestamp, Month, Timestamp};
pub use trace::{Candidate, Gap, Hop, HopMethod, SpanParent, Trace, TraceStatus};
