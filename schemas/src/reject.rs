//! [`Reject`]: a record that could not become an event, kept with its reason.
//!
//! Invariant: a record that cannot be read is never dropped; it is one row of `rejects`, with at
//! most [`Reject::RAW_BYTES_MAX`] of its bytes, secrets replaced before they come here.

use crate::event::spelled;
use crate::{Format, Position, Timestamp};

spelled! {
    /// Why a record is not an event.
    RejectReason {
        /// The record has no value (a tombstone).
        Empty = "empty",
        TooLarge = "too_large",
        NotUtf8 = "not_utf8",
        /// Nested deeper than 64 levels.
        TooDeep = "too_deep",
        NotJson = "not_json",
        /// JSON, but a field is missing, of the wrong type or out of range.
        BadField = "bad_field",
        /// A field stands twice: two readers could disagree on which one counts.
        DuplicateField = "duplicate_field",
        /// No field tells which agent acted.
        NoAgent = "no_agent",
    }
}

/// One record that could not become an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    pub position: Position,
    /// The record's own time in Kafka, if it has one.
    pub record_time: Option<Timestamp>,
    pub rejected_at: Timestamp,
    /// The format it was read as.
    pub format: Format,
    pub reason: RejectReason,
    /// What was wanted and what was found, with the place in the record where known.
    pub detail: String,
    /// The record's bytes, cut at [`Reject::RAW_BYTES_MAX`], secrets replaced.
    pub raw: Vec<u8>,
    /// How long the record was, in bytes.
    pub raw_bytes: u64,
}

impl Reject {
    pub const RAW_BYTES_MAX: usize = 16 * 1024;
}
