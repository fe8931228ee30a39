//! Records to stamped events, a few at a time.
//!
//! Invariant (E1): each record becomes one event, one reject, or one or the other for each of several that stand
//! in it, in the order of the records; what a record becomes does not show which were read with it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use detect::Fingerprint;
use ingest::{Normaliser, NotOne, RawBatch};
use rayon::prelude::*;
use schemas::{Part, Position, Registry, RegistryChange, Reject, StampedEvent, Timestamp, Topic};

/// Fewer records than this are not worth a second thread (a record costs about 3 us): the loop's own does
/// all that is to be done with them, since waking another costs as much as ten of them.
pub(super) const RECORDS_PER_TASK_MIN: usize = 128;

/// Records that take each step together: all are normalised, then all are traced. What the registry is asked
/// lies in memory that no cache has, and is fetched for all at once; and no cache forgets them meanwhile.
pub(super) const RECORDS_PER_STEP: usize = 64;

/// How the records of each topic are read.
#[derive(Debug)]
pub(crate) struct Readers {
    pub(crate) uses: BTreeMap<Topic, Normaliser>,
    pub(crate) registry: Option<(Topic, ingest::RegistryReader)>,
}

/// What some records in a row were read to, each in their order.
#[derive(Default)]
pub(super) struct Reading {
    pub(super) events: Vec<StampedEvent>,
    /// Of each event, what it has in common with another of one content, and what it teaches of who had which
    /// credential issued, and of which grant is used.
    pub(super) told: Vec<(Option<Fingerprint>, Vec<RegistryChange>)>,
    pub(super) rejects: Vec<Reject>,
}

impl Readers {
    pub(super) fn is_registry(&self, topic: &Topic) -> bool {
        self.registry.as_ref().is_some_and(|(name, _)| name == topic)
    }

    /// Bytes to events with their trace, spread over the cores. Each record is read at a time of its own, a
    /// microsecond after the one before: so the lake knows their order. Several of one record share its time and
    /// have numbers.
    pub(super) fn read(
        &self,
        batch: &RawBatch,
        registry: &Registry,
        now: Timestamp,
    ) -> Vec<Reading> {
        let read = |numbers| self.read_some(batch, numbers, registry, now);
        if batch.len() < RECORDS_PER_TASK_MIN {
            return vec![read(0..batch.len())];
        }
        let firsts = (0..batch.len()).into_par_iter().step_by(RECORDS_PER_STEP);
        firsts.map(|at| read(at..batch.len().min(at + RECORDS_PER_STEP))).collect()
    }

    fn read_some(
        &self,
        batch: &RawBatch,
        numbers: Range<usize>,
        registry: &Registry,
        now: Timestamp,
    ) -> Reading {
        let mut reading = Reading::default();
        reading.events.reserve_exact(numbers.len());
        for at in numbers {
            self.read_one(batch, at, now, &mut reading);
        }
        StampedEvent::ask_all(&mut reading.events, registry);
        let told = reading.events.iter().map(|one| {
            let taught = RegistryChange::learned(&one.event, registry, one.ingested_at);
            (Fingerprint::of(one), taught.collect())
        });
        reading.told = told.collect();
        reading
    }

    /// What a record of a topic of uses is.
    fn read_one(&self, batch: &RawBatch, at: usize, now: Timestamp, reading: &mut Reading) {
        let (record, read_at) = (batch.get(at), now.plus(Duration::from_micros(at as u64)));
        if self.is_registry(record.topic) {
            return;
        }
        let normaliser =
            self.uses.get(record.topic).expect("the source reads configured topics only");
        let unstamped = |event, position| StampedEvent::unstamped(event, position, read_at);
        match normaliser.normalise(&record, read_at) {
            Ok(event) => reading.events.push(unstamped(event, record.position())),
            Err(NotOne::Reject(reject)) => reading.rejects.push(reject),
            Err(NotOne::Several(parts)) => {
                for (part, number) in parts.into_iter().zip(0..) {
                    let position = Position { part: Part(number), ..record.position() };
                    match part {
                        Ok(event) => reading.events.push(unstamped(event, position)),
                        Err(reject) => reading.rejects.push(reject),
                    }
                }
            }
        }
    }
}
