//! [`Detector`]: events to findings.
//!
//! Invariant (D1): state and findings are a function of the records folded, in their order. How they
//! were cut into batches changes nothing, nor does a checkpoint and its restoration at any point.
//!
//! - Each agent lies in one shard; a shard folds its records in input order; shards share nothing
//!   that is written while they fold.
//! - What agents learn from their class comes from snapshots that change only when the event time
//!   enters another hour (`clock.rs`). A batch is therefore folded in segments that end there, and a
//!   snapshot is sealed from sums that are exact, so that no order can show in them (`class.rs`).

use std::time::Duration;

use rayon::prelude::*;
use schemas::{Finding, RegistryChange, SHARDS, StampedEvent, Timestamp};

use crate::class::{Additive, ClassDelta};
use crate::clock::{Clock, Turn};
use crate::config::Config;
use crate::copies::{Copies, Fingerprint};
use crate::facts::Keys;
use crate::flood::Flood;
use crate::guidance::Guidance;
use crate::hash::KeyMap;
use crate::lapses::{self, Told};
use crate::pack::pack_struct;
use crate::population::Population;
use crate::score::{Assessment, Score};
use crate::shard::{Batch, Deltas, Folded, Prepared, Shard, View};

/// Events whose texts are on their way into the cache.
const AHEAD: usize = 4;
/// Segments smaller than this are folded by the calling thread: waking others costs more.
const PARALLEL_EVENTS_MIN: usize = 512;
/// Shards that are folded one after the other add to the same deltas: with few of those, they stay in the
/// cache. So many such lanes can be folded at once.
pub(crate) const LANES: usize = 16;
const SHARDS_OF_LANE: usize = SHARDS / LANES;

/// Baselines of all agents, and the detectors that compare events with them.
#[derive(Debug)]
pub struct Detector {
    config: Config,
    /// What people told; no part of the state, see `guidance.rs`.
    guidance: Guidance,
    pub(crate) state: State,
    segment: Segment,
    /// Of the events that are folded; here for its memory only.
    keys: Vec<Keys>,
}

/// Everything that a checkpoint holds.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct State {
    pub head: Head,
    /// What of each partition was read last.
    pub copies: Copies,
    /// What classes learn in the open epochs, by lane.
    pub open: Vec<Deltas>,
    pub shards: Vec<Shard>,
}

/// What belongs to no shard.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Head {
    pub clock: Clock,
    /// Judges events of the current epoch.
    pub current: Population,
    /// Judges those of the epoch before.
    pub previous: Population,
    pub events: u64,
    pub late: u64,
    pub ahead: u64,
    /// What was told of the registry's lapses.
    pub told: Told,
    /// New agents, hour by hour.
    pub flood: Flood,
}

pack_struct!(Head { clock, current, previous, events, late, ahead, told, flood });

/// Events between two turns of the clock, sorted by shard.
#[derive(Debug, Default)]
struct Segment {
    prepared: Vec<Prepared>,
    /// Numbers in `prepared`, by shard.
    by_shard: Vec<Vec<u32>>,
    /// The clock's while they are folded.
    epoch: u32,
}

/// What the detector holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Agents remembered.
    pub agents: u64,
    /// Agents forgotten for want of room.
    pub evicted: u64,
    /// Bytes of agents' state with its index.
    pub bytes: u64,
    pub classes: u64,
    /// Events folded.
    pub events: u64,
    /// Events more than an hour behind the newest.
    pub late: u64,
    /// Events more than a day ahead of the others.
    pub ahead: u64,
    pub findings: u64,
    /// Days on which an agent did anything, over all agents: what budgets of false findings are of.
    pub agent_days: u64,
}

impl Detector {
    pub fn new(config: Config) -> Self {
        let shards = std::iter::repeat_with(Shard::default).take(SHARDS).collect();
        let open = vec![Deltas::default(); LANES];
        let (head, copies) = (Head::default(), Copies::default());
        Self::of(config, State { head, copies, open, shards })
    }

    pub(crate) fn of(config: Config, state: State) -> Self {
        assert_eq!(state.shards.len(), SHARDS, "each agent has a shard");
        assert_eq!(state.open.len(), LANES, "each shard has a lane");
        let (guidance, segment) = (Guidance::default(), Segment::default());
        Self { config, guidance, state, segment, keys: Vec::new() }
    }

    /// Takes in what a person told, if the change of the registry is a disposition or an expectation:
    /// it speaks of events that were read some seconds after it was recorded. A detector that is made
    /// anew or read from a checkpoint has to be told everything again.
    pub fn hear(&mut self, change: &RegistryChange) {
        self.guidance.hear(change);
    }

    /// How many dispositions and expectations it was told, each counted once.
    pub fn told(&self) -> usize {
        self.guidance.told()
    }

    /// Notes on the event whether it is a copy of one before it in its partition. Each event that was read
    /// comes here once, in the order of its partition. Returns whether it is a copy.
    pub fn mark(&mut self, stamped: &mut StampedEvent, fingerprint: Option<Fingerprint>) -> bool {
        self.state.copies.mark(stamped, fingerprint);
        stamped.dup_of.is_some()
    }

    /// As [`mark`](Self::mark), for events that were marked when they were read first.
    pub fn recall(&mut self, events: &[StampedEvent]) {
        self.state.copies.recall(events);
    }

    /// Judges and learns `events` in their order, among which there are no copies. The findings are in the
    /// order of their events.
    pub fn fold(&mut self, events: &[StampedEvent]) -> Vec<Finding> {
        self.fold_all(events, None)
    }

    /// The same, with what was thought of each event before it was learned.
    pub fn fold_scored(&mut self, events: &[StampedEvent]) -> (Vec<Finding>, Vec<Score>) {
        let mut scores = Vec::with_capacity(events.len());
        let findings = self.fold_all(events, Some(&mut scores));
        (findings, scores)
    }

    /// What would be thought of `stamped` if it happened now: nothing is learned, nothing moves. What
    /// the registry has against it counts each time, unlike in [`Self::fold`], which tells it once.
    pub fn score(&self, stamped: &StampedEvent) -> Assessment {
        let keys = Keys::of(stamped, self.config.limits());
        let Head { current, previous, clock, .. } = &self.state.head;
        let hour = keys.second / 3_600;
        let epoch = clock.epoch().unwrap_or(hour);
        let placed = clock.clone().place(hour, keys.agent);
        let prepared = Prepared::of(placed, epoch, keys.second);
        let (config, guidance) = (&self.config, &self.guidance);
        let view = View { config, guidance, previous, current, epoch, is_scored: true };
        let shard = &self.state.shards[usize::from(keys.shard)];
        let mut assessment = shard.assess(stamped, &keys, prepared, &view);
        let severity = assessment.finding.as_ref().map(|finding| finding.severity);
        let gravest = lapses::gravest(stamped, self.config.detectors());
        if let Some(worse) = gravest.filter(|lapse| severity < Some(lapse.severity)) {
            assessment.finding = Some(worse);
        }
        assessment
    }

    /// Folds `events`; tells the score of each if they are wanted.
    fn fold_all(
        &mut self,
        events: &[StampedEvent],
        mut scores: Option<&mut Vec<Score>>,
    ) -> Vec<Finding> {
        assert!(events.iter().all(|one| one.dup_of.is_none()), "a copy counts for nothing");
        let mut findings = Vec::new();
        let mut keys = std::mem::take(&mut self.keys);
        keys.clear();
        let read = |(at, stamped)| {
            if let Some(soon) = events.get(at + AHEAD) {
                Keys::fetch(soon);
            }
            Keys::of(stamped, self.config.limits())
        };
        if events.len() < PARALLEL_EVENTS_MIN {
            keys.extend(events.iter().enumerate().map(read));
        } else {
            let numbered = events.par_iter().enumerate();
            keys.par_extend(numbered.with_min_len(PARALLEL_EVENTS_MIN).map(read));
        }
        let mut start = 0;
        for (at, of_event) in keys.iter().enumerate() {
            let placed = self.state.head.clock.place(of_event.second / 3_600, of_event.agent);
            if placed.turn != Turn::Stay {
                let segment = (&events[start..at], &keys[start..at]);
                self.fold_segment(segment, scores.as_deref_mut(), &mut findings);
                start = at;
                self.turn(placed.turn);
            }
            let head = &mut self.state.head;
            head.late += u64::from(placed.is_late);
            head.ahead += u64::from(placed.is_ahead);
            let epoch = head.clock.epoch().expect("an event was placed");
            self.segment.epoch = epoch;
            self.segment.prepared.push(Prepared::of(placed, epoch, of_event.second));
        }
        self.fold_segment((&events[start..], &keys[start..]), scores, &mut findings);
        self.keys = keys;
        self.state.head.events += events.len() as u64;
        findings
    }

    /// Folds what was prepared, given as events and their keys. The findings are added in the order of
    /// their events.
    fn fold_segment(
        &mut self,
        (events, keys): (&[StampedEvent], &[Keys]),
        scores: Option<&mut Vec<Score>>,
        findings: &mut Vec<Finding>,
    ) {
        let Segment { prepared, by_shard, epoch } = &mut self.segment;
        assert_eq!(prepared.len(), events.len(), "each event is prepared once");
        let State { head, open, shards, .. } = &mut self.state;
        let Head { current, previous, .. } = &*head;
        let is_scored = scores.is_some();
        let (config, guidance, epoch) = (&self.config, &self.guidance, *epoch);
        let view = View { config, guidance, previous, current, epoch, is_scored };
        by_shard.resize_with(SHARDS, Vec::new);
        for (at, of_event) in keys.iter().enumerate() {
            let number = u32::try_from(at).expect("a batch is far smaller");
            by_shard[usize::from(of_event.shard)].push(number);
        }
        let batch = Batch { events, keys, prepared, view: &view };
        let fold = |((shards, numbers), open): ((&mut [Shard], &mut [Vec<u32>]), &mut Deltas)| {
            let mut folded = Folded::default();
            for (shard, numbers) in shards.iter_mut().zip(numbers) {
                shard.fold_batch(numbers, &batch, open, &mut folded);
                numbers.clear();
            }
            folded
        };
        let folded: Vec<Folded> = if events.len() < PARALLEL_EVENTS_MIN {
            let lanes = shards.chunks_mut(SHARDS_OF_LANE);
            lanes.zip(by_shard.chunks_mut(SHARDS_OF_LANE)).zip(open).map(fold).collect()
        } else {
            let lanes = shards.par_chunks_mut(SHARDS_OF_LANE);
            lanes.zip(by_shard.par_chunks_mut(SHARDS_OF_LANE)).zip(open).map(fold).collect()
        };
        let (mut found, mut newcomers) = (Vec::new(), Vec::new());
        let mut of_events = vec![Score::default(); if is_scored { events.len() } else { 0 }];
        for one in folded {
            found.extend(one.findings);
            newcomers.extend(one.newcomers);
            for (number, score) in one.scores {
                of_events[number as usize] = score;
            }
        }
        if let Some(scores) = scores {
            scores.append(&mut of_events);
        }
        prepared.clear();
        let State { head: Head { told, flood, .. }, shards, .. } = &mut self.state;
        newcomers.sort_unstable();
        for number in newcomers {
            let flood = flood.count(&events[number as usize], &self.config);
            found.extend(flood.map(|finding| (number, Box::new(finding))));
        }
        for ((number, stamped), keys) in (0..).zip(events).zip(keys) {
            let watched = || {
                let since = shards[usize::from(keys.shard)].seen_since(keys.agent);
                at_second(since.unwrap_or(keys.second))
            };
            let lapses = told.findings(stamped, self.config.detectors(), watched);
            found.extend(lapses.into_iter().map(|finding| (number, Box::new(finding))));
        }
        // Stable: of one event, what its agent's history tells comes first.
        found.sort_by_key(|(number, _)| *number);
        findings.extend(found.into_iter().map(|(_, finding)| *finding));
    }

    /// Seals epochs as the clock turns.
    fn turn(&mut self, turn: Turn) {
        match turn {
            Turn::Stay => {}
            Turn::Advance { from, to } => {
                // When an epoch ends, the one before it is sealed: the epoch itself is the grace.
                for epoch in from..to {
                    self.state.head.flood.close_hour();
                    self.seal(epoch.saturating_sub(1));
                }
            }
            Turn::Reset { to } => {
                self.state.head.current.rewind(to);
                self.seal(to);
                self.seal(to);
            }
        }
    }

    /// Adds what all shards learned in the older open epoch to the next snapshot.
    fn seal(&mut self, epoch: u32) {
        let mut deltas = KeyMap::<ClassDelta>::default();
        for [previous, current] in &mut self.state.open {
            // The current epoch becomes the previous one.
            for (class, delta) in std::mem::replace(previous, std::mem::take(current)) {
                deltas.entry(class).or_default().add(&delta);
            }
        }
        let head = &mut self.state.head;
        head.previous = head.current.clone();
        head.current.seal(epoch, &deltas);
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// [`Stats::agent_days`] alone, for who asks after every batch.
    pub fn agent_days(&self) -> u64 {
        self.state.shards.iter().map(|shard| shard.agent_days).sum()
    }

    pub fn stats(&self) -> Stats {
        let State { head, shards, .. } = &self.state;
        let sum = |of: fn(&Shard) -> u64| shards.iter().map(of).sum();
        Stats {
            agents: sum(|shard| shard.agents() as u64),
            evicted: sum(|shard| shard.evicted),
            bytes: sum(|shard| shard.bytes() as u64),
            classes: head.current.classes() as u64,
            events: head.events,
            late: head.late,
            ahead: head.ahead,
            findings: sum(|shard| shard.findings) + head.told.findings + head.flood.findings,
            agent_days: self.agent_days(),
        }
    }
}

fn at_second(second: u32) -> Timestamp {
    Timestamp::EPOCH.plus(Duration::from_secs(second.into()))
}

#[cfg(test)]
mod config_tests;
#[cfg(test)]
mod kinds_tests;
#[cfg(test)]
mod tests;
