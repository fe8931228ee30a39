//! [`Shard`]: the agents of one shard, and how an event is judged and learned.
//!
//! Invariant: folding an event reads the agent, the snapshots of its class and nothing else, and
//! writes the agent and the open epochs' deltas and nothing else. So shards fold in parallel.
//!
//! Agents lie in a slab of records of one size (`slab.rs`), found through an index of 4-byte numbers:
//! state inline in a hash map costs twice the memory and three times the time (performance.md section 2).

use hashbrown::HashTable;
use schemas::{DetectorKind, Finding, Severity, StampedEvent};

use crate::agent::Agent;
use crate::class::{ClassDelta, Peers};
use crate::clock::Slot;
use crate::config::Config;
use crate::counterparty::{self, Touched};
use crate::explain::{Case, cents_at_risk};
use crate::facts::{Facts, realm};
use crate::gone::Gone;
use crate::guidance::Guidance;
use crate::hash::{KeyMap, join, key_of};
use crate::pack::{Pack, Unpacker};
use crate::population::Population;
use crate::score::{Assessment, Score, Verdict};
use crate::signs::{Open, Signs};
use crate::slab::{Image, Slab};
use crate::volume::Increment;
use crate::voter::Standing;

/// An agent further ahead of the clock than this is taken back as soon as it names an earlier time.
const AHEAD_SECONDS: u32 = 7_200;
/// Events whose agents are looked for together.
const GROUP: usize = 16;
/// Events whose agents are on their way into the cache. Source: as many lines as a core has in flight.
const AHEAD: usize = 2;
/// Agents looked at to find one to forget.
const EVICTION_SAMPLE: usize = 16;

/// An event with what the clock and the hashes say of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prepared {
    pub agent: u64,
    pub second: u32,
    pub shard: u8,
    pub slot: Slot,
}

/// What all shards read while they fold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub config: &'a Config,
    pub guidance: &'a Guidance,
    pub previous: &'a Population,
    pub current: &'a Population,
    /// The current one, while these events are folded.
    pub epoch: u32,
    /// Whether somebody wants to know the score of each event.
    pub is_scored: bool,
}

/// Events of which each shard folds its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batch<'a> {
    pub events: &'a [StampedEvent],
    pub prepared: &'a [Prepared],
    pub view: &'a View<'a>,
}

impl View<'_> {
    fn of(&self, slot: Slot) -> &Population {
        match slot {
            Slot::Previous => self.previous,
            Slot::Current => self.current,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Shard {
    agents: Slab,
    /// Of each agent, by its number.
    keys: Vec<u64>,
    /// Numbers of agents, by key.
    index: HashTable<u32>,
    /// Where the search for an agent to forget goes on.
    hand: u32,
    gone: Gone,
    /// What was learned of classes in the previous and in the current epoch.
    open: [KeyMap<ClassDelta>; 2],
    pub findings: u64,
    pub evicted: u64,
    /// Days on which an agent did anything, over all agents.
    pub agent_days: u64,
}

impl PartialEq for Shard {
    /// Keys and index follow from the agents.
    fn eq(&self, other: &Self) -> bool {
        self.agents == other.agents
            && self.hand == other.hand
            && self.gone == other.gone
            && self.open == other.open
            && self.findings == other.findings
            && self.evicted == other.evicted
            && self.agent_days == other.agent_days
    }
}

/// A shard as it was.
#[derive(Debug)]
pub(crate) struct ShardImage {
    agents: Image,
    hand: u32,
    gone: Gone,
    open: [KeyMap<ClassDelta>; 2],
    findings: u64,
    evicted: u64,
    agent_days: u64,
}

impl ShardImage {
    /// Writes it as [`Shard::unpack`] reads it.
    pub(crate) fn pack(self, out: &mut Vec<u8>) {
        let Self { agents, hand, gone, open, findings, evicted, agent_days } = self;
        agents.pack(out);
        hand.pack(out);
        gone.pack(out);
        open.pack(out);
        findings.pack(out);
        evicted.pack(out);
        agent_days.pack(out);
    }
}

impl Shard {
    /// The shard as it is now.
    pub(crate) fn image(&mut self) -> ShardImage {
        ShardImage {
            agents: self.agents.image(),
            hand: self.hand,
            gone: self.gone.clone(),
            open: self.open.clone(),
            findings: self.findings,
            evicted: self.evicted,
            agent_days: self.agent_days,
        }
    }

    /// `None` if the bytes are no shard.
    pub(crate) fn unpack(input: &mut Unpacker<'_>) -> Option<Self> {
        let agents = Slab::unpack(input)?;
        let keys = agents.keys();
        let mut index = HashTable::with_capacity(keys.len());
        for (at, key) in keys.iter().enumerate() {
            index.insert_unique(*key, u32::try_from(at).ok()?, |at| keys[*at as usize]);
        }
        Some(Self {
            index,
            keys,
            agents,
            hand: Pack::unpack(input)?,
            gone: Pack::unpack(input)?,
            open: Pack::unpack(input)?,
            findings: Pack::unpack(input)?,
            evicted: Pack::unpack(input)?,
            agent_days: Pack::unpack(input)?,
        })
    }

    pub(crate) fn agents(&self) -> usize {
        self.agents.len()
    }

    /// Bytes of the agents' records, keys and index.
    pub(crate) fn bytes(&self) -> usize {
        self.agents.bytes() + self.keys.capacity() * size_of::<u64>() + self.index.allocation_size()
    }

    /// The deltas of the previous epoch; the current one becomes the previous.
    pub(crate) fn turn(&mut self) -> KeyMap<ClassDelta> {
        let current = std::mem::take(&mut self.open[1]);
        std::mem::replace(&mut self.open[0], current)
    }

    /// Judges and learns the events with these numbers.
    ///
    /// The agents of the next few are fetched into the cache while one is folded.
    pub(crate) fn fold_batch(&mut self, numbers: &[u32], batch: &Batch<'_>) -> Folded {
        let mut folded = Folded::default();
        let mut found = [None; GROUP];
        for group in numbers.chunks(GROUP) {
            // One after the other, so that the processor looks for several at once.
            for (found, number) in found.iter_mut().zip(group) {
                *found = self.find(batch.prepared[*number as usize].agent);
            }
            for at in found.iter().take(AHEAD).flatten() {
                self.agents.prefetch(*at);
            }
            for (at, number) in group.iter().enumerate() {
                if let Some(Some(next)) = found.get(at + AHEAD) {
                    self.agents.prefetch(*next);
                }
                let of = *number as usize;
                let prepared = &batch.prepared[of];
                let place = self.place(prepared, found[at], batch.view);
                let (finding, score) = self.fold(&batch.events[of], prepared, place, batch.view);
                folded.findings.extend(finding.map(|finding| (*number, finding)));
                folded.scores.extend(score.map(|score| (*number, score)));
            }
        }
        folded
    }

    /// Judges an event, and learns it. Its agent is at `place`, and may be new.
    fn fold(
        &mut self,
        stamped: &StampedEvent,
        prepared: &Prepared,
        (at, is_new): (usize, bool),
        view: &View<'_>,
    ) -> (Option<Finding>, Option<Score>) {
        let class_key = class_key_of(stamped);
        let population = view.of(prepared.slot);
        let class = population.class(class_key);
        let open = match prepared.slot {
            Slot::Previous => &mut self.open[0],
            Slot::Current => &mut self.open[1],
        };
        let delta = open.entry(class_key).or_default();
        let mut held = self.agents.hold(at);
        let agent = held.agent_mut();
        delta.heads.seen += f64::from(u8::from(is_new));
        if is_new && !population.has_regulars(class_key) {
            agent.standing.found(class_key);
        }
        let peers = Peers { class, population, config: view.config };
        let days = agent.days;
        let Judged { facts, signs, verdict, cents } =
            Judged::of(Pending { stamped, second: prepared.second, view }, agent, peers, delta);
        self.agent_days += u64::from(agent.days - days);
        let is_ready = view.config.warmup_events() <= population.events;
        let finding = verdict.as_ref().filter(|_| is_ready).and_then(|verdict| {
            let severity = verdict.severity(&signs, view.config)?;
            let cents = cents_at_risk(verdict, agent, &facts, cents);
            if !agent.opens_alert(subject_of(verdict, &facts), rank(severity), cents) {
                return None;
            }
            let case = Case { stamped, agent, class, facts: &facts, signs: &signs };
            Some(case.explain(verdict, severity, cents))
        });
        agent.learn(&facts, &signs, delta);
        if let (Some(_), Some(verdict)) = (&finding, &verdict) {
            self.findings += 1;
            agent.note_finding(verdict, &facts);
        }
        let of_event = || Score::of(verdict.as_ref(), &signs, class.rarity(facts.action));
        (finding, view.is_scored.then(of_event))
    }

    /// Judges an event as [`Self::fold`] would, on copies.
    pub(crate) fn assess(
        &self,
        stamped: &StampedEvent,
        prepared: &Prepared,
        view: &View<'_>,
    ) -> Assessment {
        let population = view.of(prepared.slot);
        let class = population.class(class_key_of(stamped));
        let mut agent = match self.find(prepared.agent) {
            Some(at) => self.agents.hold(at).agent().clone(),
            None => Agent::new(prepared.agent, prepared.second),
        };
        let mut delta = ClassDelta::default();
        let peers = Peers { class, population, config: view.config };
        let pending = Pending { stamped, second: prepared.second, view };
        let Judged { facts, signs, verdict, cents } =
            Judged::of(pending, &mut agent, peers, &mut delta);
        let score = Score::of(verdict.as_ref(), &signs, class.rarity(facts.action));
        let Some(verdict) = verdict else { return Assessment { score, finding: None } };
        let is_ready = view.config.warmup_events() <= population.events;
        let severity = verdict.severity(&signs, view.config).filter(|_| is_ready);
        let cents = cents_at_risk(&verdict, &agent, &facts, cents);
        let case = Case { stamped, agent: &agent, class, facts: &facts, signs: &signs };
        let finding = severity.map(|severity| case.explain(&verdict, severity, cents));
        Assessment { score, finding }
    }

    #[cfg(test)]
    pub(crate) fn agent(&self, key: u64) -> Option<Agent> {
        self.find(key).map(|at| self.agents.hold(at).agent().clone())
    }

    /// The number of an agent.
    fn find(&self, key: u64) -> Option<usize> {
        let keys = &self.keys;
        self.index.find(key, |at| keys[*at as usize] == key).map(|at| *at as usize)
    }

    /// The place of the event's agent, and whether it is new. It may have been `found` before others
    /// came and went.
    fn place(
        &mut self,
        prepared: &Prepared,
        found: Option<usize>,
        view: &View<'_>,
    ) -> (usize, bool) {
        let key = prepared.agent;
        let is_there = |at: &usize| self.keys[*at] == key;
        if let Some(at) = found.filter(is_there).or_else(|| self.find(key)) {
            return (at, false);
        }
        let capacity = (view.config.agents_max() as usize).div_ceil(schemas::SHARDS);
        let mut agent = Agent::new(key, prepared.second);
        let is_back = self.gone.may_hold(key);
        if self.gone.may_hold(as_regular(key)) {
            agent.standing = Standing::of_returned();
        }
        let at = if self.agents.len() < capacity {
            self.agents.push(agent);
            self.keys.push(key);
            self.agents.len() - 1
        } else {
            let at = self.evict(prepared.second, capacity);
            *self.agents.hold(at).agent_mut() = agent;
            self.keys[at] = key;
            at
        };
        let number = u32::try_from(at).expect("100,000,000 agents at most");
        let keys = &self.keys;
        self.index.insert_unique(key, number, |at| keys[*at as usize]);
        (at, !is_back)
    }

    /// Forgets the agent least worth keeping among the next few, and gives its place.
    fn evict(&mut self, second: u32, room: usize) -> usize {
        let agents = self.agents.len();
        let start = self.hand as usize % agents;
        let stalest = (0..EVICTION_SAMPLE.min(agents))
            .map(|step| (start + step) % agents)
            .max_by_key(|at| {
                (self.agents.hold(*at).agent().staleness(second), std::cmp::Reverse(*at))
            })
            .expect("there is room for an agent at least");
        self.hand = u32::try_from((start + EVICTION_SAMPLE) % agents).expect("as above");
        let key = self.keys[stalest];
        self.gone.insert(key, room);
        let held = self.agents.hold(stalest);
        let Agent { days, standing, .. } = held.agent();
        if standing.is_back() || Standing::TENURE_DAYS <= *days {
            self.gone.insert(as_regular(key), room);
        }
        let keys = &self.keys;
        if let Ok(entry) = self.index.find_entry(key, |at| keys[*at as usize] == key) {
            entry.remove();
        }
        self.evicted += 1;
        stalest
    }
}

/// What came of a shard's events, by their numbers.
#[derive(Debug, Default)]
pub(crate) struct Folded {
    pub findings: Vec<(u32, Finding)>,
    pub scores: Vec<(u32, Score)>,
}

fn class_key_of(stamped: &StampedEvent) -> u64 {
    let class = &stamped.event.agent_class;
    class.as_ref().map_or(0, |class| key_of(class.as_str()))
}

/// An event to be judged, at the second that is believed of it.
#[derive(Clone, Copy)]
struct Pending<'a> {
    stamped: &'a StampedEvent,
    second: u32,
    view: &'a View<'a>,
}

/// An event with everything that is thought of it.
struct Judged<'a> {
    facts: Facts<'a>,
    signs: Signs,
    verdict: Option<Verdict>,
    /// What went to its counterparty, or its own money if it has none.
    cents: i64,
}

impl<'a> Judged<'a> {
    /// Counts the event in the open windows and judges it.
    fn of(
        pending: Pending<'a>,
        agent: &mut Agent,
        peers: Peers<'_>,
        delta: &mut ClassDelta,
    ) -> Self {
        let Pending { stamped, second, view } = pending;
        let reached = view.epoch.saturating_add(1).saturating_mul(3_600);
        let believed = reached.saturating_add(AHEAD_SECONDS);
        if believed < agent.last_second && second.saturating_add(AHEAD_SECONDS) < agent.last_second
        {
            agent.rewind(second);
        }
        let before = agent.last_second;
        let second = second.max(before);
        agent.last_second = second;
        let facts = Facts::of(&stamped.event, second, view.config.limits());
        delta.sums.events += 1.0;
        if let Some(model) = facts.model {
            agent.meet_model(model);
        }
        let class_key = class_key_of(stamped);
        let sponsor = stamped.sponsor_id.as_ref().map_or(0, |id| key_of(id.as_str()));
        let voter = agent.voter(class_key, sponsor, peers.class.counts_days());
        let before = (0 < agent.events).then_some(before);
        let silence = agent.open_windows(&facts, before, (peers.class, class_key), delta);
        agent.volume.add(Increment::of(&facts));
        agent.spend(&facts);
        let touched = if let Some(other) = &facts.counterparty {
            counterparty::touch_recent(agent, delta, &facts, other)
        } else {
            let cents = facts.paid().map_or(0, |money| money.cents);
            Touched { cents, ..Touched::default() }
        };
        let cents = touched.cents;
        let word = view.guidance.of(stamped, &facts);
        let open = Open { touched, silence, word, voter };
        let signs = Signs::read(agent, peers, &facts, &open);
        let verdict = Verdict::weigh(&signs, agent, peers.class, delta, view.config);
        Self { facts, signs, verdict, cents }
    }
}

/// The key under which a forgotten agent that was established is kept in mind.
fn as_regular(key: u64) -> u64 {
    join(realm::REGULAR, key)
}

/// What repetitions of a finding have in common.
fn subject_of(verdict: &Verdict, facts: &Facts<'_>) -> u64 {
    let about = match verdict.detector() {
        DetectorKind::NewAction => facts.action,
        DetectorKind::UnusualVolume
        | DetectorKind::FanOut
        | DetectorKind::FailureBurst
        | DetectorKind::UnusualTime
        | DetectorKind::NewExposure
        | DetectorKind::ExpiredCredential
        | DetectorKind::RevokedCredential
        | DetectorKind::EndedPurpose
        | DetectorKind::UnregisteredAgent => 0,
        DetectorKind::StolenCredential => facts.network.unwrap_or(0),
        DetectorKind::SharedCredential => facts.credential,
        DetectorKind::FleetShift => facts.model.unwrap_or(0).into(),
        DetectorKind::Structuring
        | DetectorKind::UnusualAmount
        | DetectorKind::NewCounterparty
        | DetectorKind::CounterpartyBurst => facts.counterparty.map_or(0, |other| other.key),
    };
    join(verdict.detector() as u64, about)
}

fn rank(severity: Severity) -> u8 {
    match severity {
        Severity::Review => 1,
        Severity::Page => 2,
        Severity::Block => 3,
    }
}
