//! [`World`]: what the lives of one seed share: the log, the storage, who reads what, and the fates.
//!
//! Invariant: an operation's fate is drawn by its place: the life that asks, the table, what it does,
//! and how often that life has done it there before.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;
use std::time::Duration;

use ingest::{Poll, RawBatch, RawRecord, Source, SourceError};
use lake::Lake;
use lake::faults::{Decide, Fate, Kind, Memory, Operation};
use schemas::{Offset, Offsets, Part, Table};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::company::{Company, Place};
use super::plan::{Plan, draw};

/// A slow operation takes so long at most.
const SLOW_MS_MAX: u64 = 3_000;
/// The assignment that stays.
const LAST: u64 = 1 << 40;
/// In step: writes of one table are so far apart, and those of another come in between.
const STEP_MS: u64 = 32;
/// How long a poll waits for records that do not come.
const IDLE: Duration = Duration::from_millis(50);

/// Writes with which lives end, in step: nothing else is written at the same time, so what the life has done by
/// then is the same over every storage.
const ALONE: [&str; 3] = ["events Create log", "seals Write file", "seals Create log"];

/// The lake as one sees it who is spared.
pub(super) fn untouched(memory: &Memory) -> Lake {
    memory.lake(Arc::new(|_| (Duration::ZERO, Fate::Done)))
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) company: Arc<Company>,
    pub(super) plan: Plan,
    pub(super) memory: Memory,
    began: Instant,
    /// The thread in whose time everything happens: others, which libraries have, know no such time.
    home: ThreadId,
    latest_ms: AtomicU64,
    /// Ends the lives in order.
    pub(super) shutdown: CancellationToken,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// How far each life has said that the lake is.
    committed: Offsets,
    /// The writes that did not go well.
    went_wrong: Vec<String>,
    lives: u64,
    trace: Vec<String>,
}

impl World {
    pub(super) fn new(company: Arc<Company>, plan: Plan, memory: Memory) -> Self {
        Self {
            company,
            plan,
            memory,
            began: Instant::now(),
            home: std::thread::current().id(),
            latest_ms: AtomicU64::new(0),
            shutdown: CancellationToken::new(),
            state: Mutex::default(),
        }
    }

    pub(super) fn now(&self) -> Duration {
        if std::thread::current().id() == self.home {
            let ms = u64::try_from(self.began.elapsed().as_millis()).unwrap();
            self.latest_ms.store(ms, Ordering::Relaxed);
        }
        Duration::from_millis(self.latest_ms.load(Ordering::Relaxed))
    }

    /// In step: how long until it is the turn of a place's table. No two tables have theirs at the same moment,
    /// so of tables that are written at once the same comes first over every storage. Which, the seed draws.
    fn until_turn_of(&self, place: &str) -> Duration {
        let mut order: Vec<&str> = Table::ALL.iter().map(|table| table.name()).collect();
        order.sort_by_key(|name| draw(self.plan.seed, (name, "turn")));
        let table = place.split(' ').next().unwrap_or(place);
        let turn = order.iter().position(|name| *name == table).unwrap_or(order.len());
        let turn = u64::try_from(turn).unwrap();
        assert!(turn < STEP_MS, "each table has a turn");
        let now = u64::try_from(self.now().as_millis()).unwrap();
        // In the next step, whenever in this one: the Delta library lets some milliseconds pass.
        Duration::from_millis(STEP_MS - now % STEP_MS + turn)
    }

    pub(super) fn is_well(&self) -> bool {
        self.plan.heals_at <= self.now()
    }

    /// Which assignment holds now, by number.
    fn generation(&self) -> u64 {
        if self.is_well() {
            return LAST;
        }
        let now = self.now();
        let moved = self.plan.stands_still.is_some_and(|(from, _)| from <= now);
        let dealt = self
            .plan
            .reassigned_every
            .map_or(0, |every| u64::try_from(now.as_millis() / every.as_millis()).unwrap());
        2 * dealt + u64::from(moved)
    }

    /// What `worker` reads by the assignment of that number.
    fn assigned(&self, worker: usize, generation: u64) -> Vec<Place> {
        let places = self.company.places();
        if self.plan.workers == 1 || self.plan.is_deaf {
            return places;
        }
        let moved = generation % 2 == 1;
        let number = |place: &Place| draw(self.plan.seed, (generation / 2, place.1.0)) % 2;
        let is_his = |place: &Place| {
            let of = if moved { 1 } else { usize::try_from(number(place)).unwrap() };
            of == worker
        };
        places.into_iter().filter(is_his).collect()
    }

    /// Notes that the lake stands at `offsets`; ends everything in order once it has all uses.
    fn note_committed(&self, offsets: &Offsets) {
        let mut state = self.state.lock().unwrap();
        for (topic, partition, next) in offsets.iter() {
            state.committed.raise(topic, partition, next);
        }
        let is_whole = self.company.log.iter().all(|((topic, partition), records)| {
            topic.as_str() != "uses"
                || records.is_empty()
                || state.committed.next_of(topic, *partition)
                    == Some(Offset(i64::try_from(records.len()).unwrap()))
        });
        if is_whole && !self.plan.ends {
            self.shutdown.cancel();
        }
    }

    pub(super) fn note(&self, what: &str) {
        let line = format!("{:>8} {what}", self.now().as_millis());
        self.state.lock().unwrap().trace.push(line);
    }

    /// The writes that did not go well, in an order that does not depend on threads.
    pub(super) fn went_wrong(&self) -> Vec<String> {
        let mut wrong = self.state.lock().unwrap().went_wrong.clone();
        wrong.sort();
        wrong
    }

    /// Everything that happened, in an order that does not depend on threads.
    fn trace(&self) -> Vec<String> {
        let mut trace = self.state.lock().unwrap().trace.clone();
        trace.sort();
        trace
    }

    /// The end of the trace.
    pub(super) fn told(&self) -> String {
        let trace = self.trace();
        trace[trace.len().saturating_sub(60)..].join("\n")
    }

    pub(super) fn new_life(self: &Arc<Self>, worker: usize, nth: u64) -> Arc<Life> {
        let mut state = self.state.lock().unwrap();
        state.lives += 1;
        let number = state.lives;
        drop(state);
        let seed = self.plan.seed;
        let is_short = nth < self.plan.crashes && !self.is_well();
        Arc::new(Life {
            worker,
            nth,
            number,
            ends_at: is_short
                .then(|| 1 + draw(seed, (worker, nth, "ends at")) % self.plan.operations_max),
            is_done: draw(seed, (worker, nth, "is done")).is_multiple_of(2),
            counts: Mutex::default(),
            ended: Notify::new(),
        })
    }
}

/// One process, from its start to its end.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) worker: usize,
    pub(super) nth: u64,
    number: u64,
    /// The operation that is its last.
    ends_at: Option<u64>,
    /// Whether the last one is done.
    is_done: bool,
    counts: Mutex<Counts>,
    pub(super) ended: Notify,
}

#[derive(Debug, Default)]
struct Counts {
    operations: u64,
    of_places: BTreeMap<String, u64>,
    /// Polls that were waited for.
    polls: u64,
    is_over: bool,
}

/// An operation's place: its table and what it does there; names of files say nothing of it, as they
/// depend on the machine's clock.
fn place_of(operation: Operation<'_>) -> String {
    let path = operation.path.strip_prefix("lake/").unwrap_or(operation.path);
    let (table, rest) = path.split_once('/').unwrap_or((path, ""));
    let is_log = rest.starts_with("_delta_log");
    format!("{table} {:?} {}", operation.kind, if is_log { "log" } else { "file" })
}

impl Life {
    /// The lake as this process sees it.
    pub(super) fn lake(self: &Arc<Self>, world: &Arc<World>) -> Lake {
        let (life, of_world) = (Arc::clone(self), Arc::clone(world));
        let decide: Decide = Arc::new(move |operation| life.decide(&of_world, operation));
        world.memory.lake(decide)
    }

    /// Whether nothing is done by this process any more.
    pub(super) fn end(&self) {
        self.counts.lock().unwrap().is_over = true;
    }

    fn decide(&self, world: &World, operation: Operation<'_>) -> (Duration, Fate) {
        let place = place_of(operation);
        if world.plan.is_in_step {
            let writes = matches!(operation.kind, Kind::Write | Kind::Create);
            let wait = if writes { world.until_turn_of(&place) } else { Duration::ZERO };
            return (wait, self.fate_in_step(world, writes, &place));
        }
        let mut counts = self.counts.lock().unwrap();
        if counts.is_over {
            return (Duration::ZERO, Fate::EndedBefore);
        }
        counts.operations += 1;
        let nth = {
            let nth = counts.of_places.entry(place.clone()).or_default();
            *nth += 1;
            *nth
        };
        let what = (self.worker, self.nth, &place, nth);
        let (plan, is_well) = (&world.plan, world.is_well());
        let writes = matches!(operation.kind, Kind::Write | Kind::Create);
        let wait = if !writes && plan.chance((what, "quick"), plan.quick_reads, 100) {
            Duration::ZERO
        } else if is_well {
            Duration::from_millis(1)
        } else if plan.chance((what, "slow"), plan.slow, 1_000) {
            plan.ms_up_to((what, "slow"), SLOW_MS_MAX)
        } else {
            plan.ms_up_to(what, plan.latency_ms_max)
        } + self.still(world);
        let fate = if self.ends_at == Some(counts.operations) && !is_well {
            counts.is_over = true;
            self.ended.notify_one();
            if self.is_done && writes { Fate::EndedAfter } else { Fate::EndedBefore }
        } else if is_well {
            Fate::Done
        } else {
            plan.fate(what, writes)
        };
        drop(counts);
        if writes || fate != Fate::Done {
            let waits = wait.as_millis();
            world.note(&format!("life {} {place} {nth}: {fate:?} {waits}", self.number));
        }
        (wait, fate)
    }

    /// What becomes of a write, by how often there was such a one in this life; everything else is done.
    fn fate_in_step(&self, world: &World, writes: bool, place: &str) -> Fate {
        let (plan, mut counts) = (&world.plan, self.counts.lock().unwrap());
        if counts.is_over {
            return Fate::EndedBefore;
        }
        if !writes {
            return Fate::Done;
        }
        counts.operations += 1;
        let nth = counts.of_places.entry(place.to_owned()).or_default();
        *nth += 1;
        let (nth, what) = (*nth, (self.worker, self.nth, place, *nth));
        let last = |what: &str| draw(plan.seed, (self.nth, what));
        let last_place = ALONE[usize::try_from(last("place") % 3).unwrap()];
        let (is_last, is_done) = if let Some((at, is_done)) = plan.ends_at_write {
            (self.nth == 0 && counts.operations == at, is_done)
        } else {
            let is_last = place == last_place && nth == 1 + last("nth") % 3;
            (self.nth < plan.crashes && is_last, self.is_done)
        };
        let fate = if is_last {
            counts.is_over = true;
            self.ended.notify_one();
            if is_done { Fate::EndedAfter } else { Fate::EndedBefore }
        } else {
            plan.fate(what, true)
        };
        drop(counts);
        if fate != Fate::Done {
            let line = format!("life {} {place} {nth}: {fate:?}", self.number);
            world.note(&line);
            world.state.lock().unwrap().went_wrong.push(line);
        }
        fate
    }

    /// How long this process still stands still.
    fn still(&self, world: &World) -> Duration {
        match world.plan.stands_still {
            Some((from, length)) if self.worker == 0 && self.nth == 0 && from <= world.now() => {
                (from + length).saturating_sub(world.now())
            }
            Some(_) | None => Duration::ZERO,
        }
    }
}

/// The log as one process reads it.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) world: Arc<World>,
    pub(super) life: Arc<Life>,
    next: BTreeMap<Place, usize>,
    /// How far the lake is, as this life was told.
    committed: Offsets,
    generation: Option<u64>,
}

impl Reading {
    pub(super) fn new(world: &Arc<World>, life: &Arc<Life>) -> Self {
        let (world, life) = (Arc::clone(world), Arc::clone(life));
        let committed = Offsets::default();
        Self { world, life, next: BTreeMap::new(), committed, generation: None }
    }

    /// The records that come next, in the order of their time.
    fn records(&mut self, records_max: usize) -> RawBatch {
        let mut batch = RawBatch::default();
        while batch.len() < records_max {
            let company = &self.world.company;
            let ready = self.next.iter().filter_map(|(place, next)| {
                let record = company.partition(place).get(*next)?;
                Some((record.at, place.clone(), *next))
            });
            let Some((_, place, next)) = ready.min() else { break };
            batch.push(&RawRecord {
                topic: &place.0,
                partition: place.1,
                offset: Offset(i64::try_from(next).unwrap()),
                part: Part::FIRST,
                record_time: None,
                payload: Some(&company.partition(&place)[next].payload),
            });
            *self.next.get_mut(&place).expect("found there") += 1;
        }
        batch
    }

    /// The records that come next, as soon as those before them are committed.
    async fn next_in_step(&mut self) -> Poll {
        // Of the registry's topic nobody is told.
        let is_behind = self.next.iter().any(|((topic, partition), next)| {
            let next = Offset(i64::try_from(*next).unwrap());
            let committed = self.committed.next_of(topic, *partition).unwrap_or(Offset::START);
            topic.as_str() == "uses" && committed < next
        });
        if is_behind {
            return std::future::pending().await;
        }
        let read: usize = self.next.values().sum();
        let plan = &self.world.plan;
        let wanted = usize::try_from(draw(plan.seed, (read, "in step"))).unwrap_or(0);
        let batch = self.records(1 + wanted % plan.records_max);
        if batch.is_empty() { Poll::End } else { Poll::Records(batch) }
    }
}

impl Source for Reading {
    async fn poll(&mut self, records_max: usize, _wait_max: Duration) -> Result<Poll, SourceError> {
        // One that is given up while it waits is asked again, at the same moment, if a thread of ours was
        // done after it was asked: it is the same poll.
        let nth = self.life.counts.lock().unwrap().polls;
        let (world, what) =
            (Arc::clone(&self.world), (self.life.worker, self.life.nth, "poll", nth));
        let plan = &world.plan;
        if plan.is_in_step {
            return Ok(self.next_in_step().await);
        }
        let wait = plan.ms_up_to(what, plan.poll_ms_max) + self.life.still(&world);
        tokio::time::sleep(wait).await;
        self.life.counts.lock().unwrap().polls += 1;
        let generation = world.generation();
        if self.generation != Some(generation) && !plan.is_deaf {
            let assigned = world.assigned(self.life.worker, generation);
            let revoked = std::mem::take(&mut self.next).into_keys().collect();
            return Ok(Poll::Reassigned { assigned, revoked });
        }
        let most = records_max.min(plan.records_max);
        let wanted = 1 + usize::try_from(draw(plan.seed, what)).unwrap_or(0) % most;
        let batch = self.records(wanted);
        if !batch.is_empty() {
            return Ok(Poll::Records(batch));
        }
        if plan.ends {
            return Ok(Poll::End);
        }
        tokio::time::sleep(IDLE).await;
        Ok(Poll::Idle)
    }

    /// What is sought is what the lake has, which a life that did not hear of its own commit tells nobody.
    fn seek(&mut self, offsets: &Offsets) -> Result<(), SourceError> {
        self.world.note_committed(offsets);
        self.committed = offsets.clone();
        let generation = self.world.generation();
        self.generation = Some(generation);
        let assigned = self.world.assigned(self.life.worker, generation);
        let next = assigned.into_iter().map(|place| {
            let next = offsets.next_of(&place.0, place.1).unwrap_or(Offset::START);
            (place, usize::try_from(next.0).unwrap())
        });
        self.next = next.collect();
        Ok(())
    }

    fn committed(&mut self, offsets: &Offsets) {
        self.world.note_committed(offsets);
        for (topic, partition, next) in offsets.iter() {
            self.committed.raise(topic, partition, next);
        }
    }
}
