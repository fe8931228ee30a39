//! [`Progress`]: how far the pipeline is, for those who watch it.
//!
//! Invariant: a record counts once, however often it was read: what is thrown away is not counted.

use std::time::Duration;

use ingest::Source;
use tokio::time::Instant;

use super::Pipeline;

/// How often it is told of each partition how far it was read and what is left.
const PARTITIONS_EVERY: Duration = Duration::from_secs(1);

/// How far the pipeline is: what a progress bar and a bench look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Records read since the start, of every topic.
    pub(crate) records: u64,
    pub(crate) events: u64,
    pub(crate) rejects: u64,
    pub(crate) findings: u64,
    pub(crate) registry_changes: u64,
    /// Records whose rows are in the lake.
    pub(crate) committed: u64,
    pub(crate) commits: u64,
}

impl<S: Source> Pipeline<S> {
    /// What is in the lake, on its way there, and buffered.
    pub(super) fn progress_now(&self) -> Progress {
        let counts = self.landed + self.in_flight.counts + self.buffer.counts;
        Progress {
            records: counts.records,
            events: counts.events,
            rejects: counts.rejects,
            findings: counts.findings,
            registry_changes: counts.registry_changes,
            committed: self.landed.records,
            commits: self.commits,
        }
    }

    /// How far each partition was read.
    pub(super) fn publish_offsets(&self) {
        for (topic, partition, next) in self.buffer.offsets().iter() {
            let labels = [("topic", topic.to_string()), ("partition", partition.0.to_string())];
            #[expect(clippy::cast_precision_loss, reason = "offsets below 2^53")]
            metrics::gauge!("surety_next_offset", &labels).set(next.0 as f64);
        }
    }

    /// How far each partition was read and how many of its records are not, now and then.
    pub(super) fn publish_partitions(&mut self) {
        let now = Instant::now();
        if now < self.partitions_due {
            return;
        }
        self.partitions_due = now + PARTITIONS_EVERY;
        self.publish_offsets();
        for (topic, partition, records) in self.parts.source.lag() {
            let labels = [("topic", topic.to_string()), ("partition", partition.0.to_string())];
            #[expect(clippy::cast_precision_loss, reason = "a lag below 2^53")]
            metrics::gauge!("surety_lag_records", &labels).set(records as f64);
        }
    }
}
