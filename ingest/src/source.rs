//! [`Source`]: where records come from, and how far one got.
//!
//! Invariant: a source decides nothing about how far the pipeline is. It reads from the offsets it is
//! given with [`Source::seek`], and whoever gives them took them from the lake.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use schemas::{KafkaPartition, Offset, Offsets, Topic};

use crate::RawBatch;

/// A log of records: [`KafkaSource`] in production, [`Replay`] for
/// files and tests.
///
/// Contract:
/// - nothing is read before the first [`seek`](Source::seek);
/// - within one partition, offsets only grow until the next `seek`, and no record is skipped but those
///   the log itself no longer has between two records (compaction, transaction markers);
/// - after [`Poll::Reassigned`] no record comes until the caller calls `seek` again;
/// - [`poll`](Source::poll) is cancel safe: a dropped call loses no record.
pub trait Source: Send {
    /// The next records, at most `records_max`. Waits at most about `wait_max` for the first one and
    /// for no further one.
    ///
    /// # Errors
    ///
    /// Only what retrying cannot cure; the source retries the rest itself.
    fn poll(
        &mut self,
        records_max: usize,
        wait_max: Duration,
    ) -> impl Future<Output = Result<Poll, SourceError>> + Send;

    /// Goes on from `offsets`, in every assigned partition; one that `offsets` does not know starts
    /// where the configuration says.
    ///
    /// # Errors
    ///
    /// [`SourceError`] if the log cannot go there.
    fn seek(&mut self, offsets: &Offsets) -> Result<(), SourceError>;

    /// Takes note that everything below `offsets` is in the lake, for whoever watches the lag.
    fn committed(&mut self, offsets: &Offsets);

    /// Takes back a batch that nobody needs any more: its memory may serve the next one.
    fn give_back(&mut self, _batch: RawBatch) {}

    /// How many records of each assigned partition are not yet read, as far as known. Asks nobody and
    /// waits for nothing. A source whose end nobody moves has no lag.
    fn lag(&self) -> Vec<(Topic, KafkaPartition, u64)> {
        Vec::new()
    }
}

/// What a [`Source`] has.
#[derive(Debug)]
pub enum Poll {
    /// At least one record.
    Records(RawBatch),
    /// Nothing came in the time given.
    Idle,
    /// There is nothing more, and never will be.
    End,
    /// Partitions changed hands. Drop what is not committed and [`seek`](Source::seek).
    Reassigned { assigned: Vec<(Topic, KafkaPartition)>, revoked: Vec<(Topic, KafkaPartition)> },
}

/// Why a source cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// No broker answered: check address and network, or wait.
    #[error("no Kafka broker answered at {servers} within {waited:?}{}", because(last_error.as_deref()))]
    Unreachable { servers: String, waited: Duration, last_error: Option<String> },

    /// The topic is not there: create it or correct the name.
    #[error(
        "the broker at {servers} has no topic `{topic}`: create it, or correct `topics` in the configuration"
    )]
    UnknownTopic { topic: Topic, servers: String },

    /// A Kafka property cannot be used: correct the configuration. Its value is never told.
    #[error("Kafka property `{property}`: {reason}")]
    Property { property: String, reason: &'static str },

    /// The broker has deleted records that were never read. A person must decide what to do.
    #[error(
        "records are lost in {topic}/{0}: wanted offset {1}, the oldest the broker still has is {2}; to go on without them: surety accept-gap {topic}/{0}@{1}-{2} --by NAME --reason TEXT",
        partition.0, wanted.0, oldest.0
    )]
    OffsetGap { topic: Topic, partition: KafkaPartition, wanted: Offset, oldest: Offset },

    /// The topic ends before what was read already: it is another topic of the same name.
    #[error(
        "topic {topic} was made anew: wanted offset {} of partition {}, it ends at {}; to read it from its beginning, as another topic of the lake: give it an `epoch` in `topics` that it did not have yet, 2 at least",
        wanted.0, partition.0, end.0
    )]
    Recreated { topic: Topic, partition: KafkaPartition, wanted: Offset, end: Offset },

    /// Another process has carried out other plans of the same topic: make a new one.
    #[error("another process has read records of {topic} meanwhile: start again")]
    Outrun { topic: Topic },

    /// A file cannot be read further. What came before was handed over.
    #[error("cannot read {} after record {records}", path.display())]
    Io {
        path: PathBuf,
        records: u64,
        #[source]
        cause: io::Error,
    },

    /// Kafka refused for good, e.g. for want of a permission.
    #[error("Kafka at {servers} cannot go on: {reason}")]
    Fatal { servers: String, reason: String },
}

fn because(last_error: Option<&str>) -> String {
    last_error.map_or_else(String::new, |text| format!(" ({text})"))
}
