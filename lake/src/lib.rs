//! The Delta tables: commit, snapshot, read. The only crate that names Delta Lake.
//!
//! Invariant (E2): rows and the next offset of every Kafka partition they came from are in one
//! commit, and a commit lands only on the very version whose offsets were checked.
//!
//! Layout, in the order a newcomer wants it:
//! - [`Lake`] (`lake.rs`): opens a [`Location`] (`location.rs`) and hands out tables;
//! - [`TableHandle`] (`commit.rs`): the one place that writes rows, with the decision table in
//!   [`Advance`] (`advance.rs`) and our part of the Delta log in `log.rs`;
//! - [`EventRows`] and its siblings (`rows.rs`): rows from our types, and back;
//! - [`encode`] (`encode.rs`): rows to Parquet;
//! - `schema.rs`: makes a table and compares one with ours;
//! - `provider.rs`, `reading.rs`, `scan.rs`, `records.rs`: reading;
//! - [`seal`] (`seal.rs`): signed Merkle roots over the records of each commit, and their verification;
//! - [`upkeep`] (`upkeep.rs`): files merged, old ones deleted, days that are not kept;
//! - `durable.rs`: what makes a local file survive a power cut;
//! - `faults.rs`: for tests, what goes wrong.

/// A point at which a test can make the process end, as a crash does: `crash_point!("landed", "events")`
/// where `SURETY_CRASH_AT` is `events.landed`. Nothing at all without the feature `faults`.
#[cfg(feature = "faults")]
#[macro_export]
macro_rules! crash_point {
    ($name:literal, $of:expr) => {
        $crate::faults::pass($name, $of)
    };
}

/// Nothing: the feature `faults` is off.
#[cfg(not(feature = "faults"))]
#[macro_export]
macro_rules! crash_point {
    ($name:literal, $of:expr) => {};
}

mod advance;
mod commit;
mod durable;
mod encode;
mod error;
#[cfg(any(test, feature = "faults"))]
pub mod faults;
#[cfg(test)]
mod fixtures;
mod lake;
mod location;
mod log;
mod provider;
mod reading;
mod records;
mod refusal;
mod replay;
mod rows;
mod scan;
mod schema;
pub mod seal;
pub mod upkeep;

pub use advance::{Advance, SequenceRange, rows_from};
pub use commit::{Landed, LongLog, TableHandle};
pub use encode::{EncodeError, EncodedFile, Form, encode};
pub use error::{Cause, CommitError, LakeError};
pub use lake::Lake;
pub use location::{InvalidLocation, Location, StoreOptions};
pub use log::Version;
pub use provider::empty_provider;
pub use replay::{OpenRejects, PlannedReject, ReplayPlan};
pub use rows::{
    Delivery, DeliveryRows, Edge, EventRows, FindingRows, RegistryRows, RejectRows, RowError,
    SealRow, decode_deliveries, decode_edges, decode_events, decode_findings, decode_registry,
    decode_rejects, decode_seals,
};
