//! [`Reject`]: a record that could not become an event, kept with its reason.
//!
//! Invariant: a record that cannot be read is never dropped, nor one of several in a record; it is one row
//! of `rejects`, with at most [`Reject::RAW_BYTES_MAX`] of its bytes, secrets replaced before they come here.

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
        /// Compressed or encoded in a way that is not read, such as Avro.
        UnsupportedEncoding = "unsupported_encoding",
        /// More records in one than are taken apart, or several where one must stand.
        SeveralRecords = "several_records",
        /// JSON, but a field is missing, of the wrong type or out of range.
        BadField = "bad_field",
        /// A field stands twice: two readers could disagree on which one counts.
        DuplicateField = "duplicate_field",
        /// No field tells which agent acted.
        NoAgent = "no_agent",
        /// Not one record but all from this offset to the one that `detail` tells: Kafka had deleted them
        /// before they were read, and a person went on without them.
        Lost = "lost",
    }
}

impl RejectReason {
    /// What a person can do about it, in one sentence.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Empty => {
                "nothing is lost: a tombstone tells of no use; produce none to this topic"
            }
            Self::TooLarge => {
                "a record of more than 256 KiB is not read, nor more than 1 MiB of them in one: leave out bodies and documents, and send smaller batches"
            }
            Self::NotUtf8 => {
                "the producer must write UTF-8; another encoding or a binary format does not belong here"
            }
            Self::TooDeep => "more than 64 levels are not read: leave out what nests so deep",
            Self::NotJson => "check the producer: the record is cut, or not JSON at all",
            Self::UnsupportedEncoding => {
                "have the producer write JSON, plain, gzip or zstd, or JSON with a schema id in front"
            }
            Self::SeveralRecords => {
                "send smaller batches; one that was not taken apart by an earlier release: surety rejects replay"
            }
            Self::BadField => {
                "compare the record with the topic's format: `surety normalize` shows both; a wrong format is corrected in `topics`"
            }
            Self::DuplicateField => {
                "the producer writes a name twice in one object: which one counts cannot be told"
            }
            Self::NoAgent => {
                "the record names nobody: check that it is an audit record of the topic's format, or map the field that does"
            }
            Self::Lost => {
                "nobody can read these again; let Kafka keep records for longer than an outage may last"
            }
        }
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

    /// The topic under which rejects stand that are read again. None of Kafka's may have this name.
    pub const REPLAY_TOPIC: &str = "rejects.replay";

    /// The attribute of an event of [`REPLAY_TOPIC`](Self::REPLAY_TOPIC) that names the reject's own
    /// place, as [`Position`] is printed.
    pub const REPLAY_OF: &str = "replay_of";

    /// Whether not all of the record is here.
    pub fn is_cut(&self) -> bool {
        Self::RAW_BYTES_MAX <= self.raw.len() || Self::RAW_BYTES_MAX as u64 <= self.raw_bytes
    }
}
