//! [`Shard`]: the agents of one shard, and how an event is judged and learned.
//!
//! Invariant: folding an event reads the agent, the snapshots of its class and nothing else, and
//! writes the agent and the open epochs' deltas and nothing else (of an event whose time is not believed:
//! the agent alone). So shards fold in parallel, where each has deltas of its own.
//!
//! Agents lie in a slab of records of one size (`slab.rs`), found through an index of numbers (`index.rs`):
//! state inline in a hash map costs twice the memory and three times the time (performance.md section 2).

use schemas::{DetectorKind, Finding, Severity, StampedEvent};

use crate::agent::Agent;
use crate::class::{ClassDelta, Peers};
use crate::clock::{Placed, Slot};
use crate::config::Config;
use crate::counterparty::{self, Touched};
use crate::explain::{Case, cents_at_risk};
use crate::facts::{Facts, Keys, realm};
use crate::gone::Gone;
use crate::guidance::Guidance;
use crate::hash::{KeyMap, join};
use crate::index::Index;
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

/// What the clock says of an event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prepared {
    pub second: u32,
    pub slot: Slot,
    /// Its time is not believed: its agent learns of it, its class does not.
    pub is_ahead: bool,
}

impl Prepared {
    /// Of an event that says it happened at `second`, while the clock is in `epoch`.
    pub(crate) fn of(placed: Placed, epoch: u32, second: u32) -> Self {
        let Placed { slot, is_ahead, .. } = placed;
        Self { second: if is_ahead { epoch * 3_600 } else { second }, slot, is_ahead }
    }
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
    pub keys: &'a [Keys],
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
    /// Numbers of agents, by key.
    index: Index,
    /// Where the search for an agent to forget goes on.
    hand: u32,
    gone: Gone,
    pub findings: u64,
    pub evicted: u64,
    /// Days on which an agent did anything, over all agents.
    pub agent_days: u64,
}

/// What some shards learned of classes in the previous and in the current epoch.
pub(crate) type Deltas = [KeyMap<ClassDelta>; 2];

impl PartialEq for Shard {
    /// The index follows from the agents.
    fn eq(&self, other: &Self) -> bool {
        self.agents == other.agents
            && self.hand == other.hand
            && self.gone == other.gone
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
    findings: u64,
    evicted: u64,
    agent_days: u64,
}

impl ShardImage {
    /// Writes it as [`Shard::unpack`] reads it.
    pub(crate) fn pack(self, out: &mut Vec<u8>) {
        let Self { agents, hand, gone, findings, evicted, agent_days } = self;
        agents.pack(out);
        hand.pack(out);
        gone.pack(out);
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
            findings: self.findings,
            evicted: self.evicted,
            agent_days: self.agent_days,
        }
    }

    /// `None` if the bytes are no shard.
    pub(crate) fn unpack(input: &mut Unpacker<'_>) -> Option<Self> {
        let agents = Slab::unpack(input)?;
        let keys = agents.keys();
        let mut index = Index::with_room(keys.len());
        for (at, key) in keys.into_iter().enumerate() {
            index.insert(key, at);
        }
        Some(Self {
            index,
            agents,
            hand: Pack::unpack(input)?,
            gone: Pack::unpack(input)?,
            findings: Pack::unpack(input)?,
            evicted: Pack::unpack(input)?,
            agent_days: Pack::unpack(input)?,
        })
    }

    pub(crate) fn agents(&self) -> usize {
        self.agents.len()
    }

    /// Bytes of the agents' records and the index.
    pub(crate) fn bytes(&self) -> usize {
        self.agents.bytes() + self.index.bytes()
    }

    /// Judges and learns the events with these numbers; what classes learn goes to `open`.
    ///
    /// The agents of the next few are fetched into the cache while one is folded.
    pub(crate) fn fold_batch(
        &mut self,
        numbers: &[u32],
        batch: &Batch<'_>,
        open: &mut Deltas,
        folded: &mut Folded,
    ) {
        let agent_of = |number: &u32| batch.keys[*number as usize].agent;
        let mut found = [None; GROUP];
        let look_for = |index: &Index, group: Option<&[u32]>| {
            group.into_iter().flatten().for_each(|number| index.prefetch(agent_of(number)));
        };
        let mut groups = numbers.chunks(GROUP).peekable();
        look_for(&self.index, groups.peek().copied());
        while let Some(group) = groups.next() {
            // Candidates: whether they are right is seen once they are in the cache.
            for (found, number) in found.iter_mut().zip(group) {
                *found = self.index.find(agent_of(number), |_| true);
            }
            for found in found[..group.len()].iter().flatten() {
                self.agents.announce(*found);
            }
            look_for(&self.index, groups.peek().copied());
            let fetch = |agents: &Slab, at: usize| {
                let Some(number) = group.get(at) else { return };
                crate::prefetch::value(&batch.keys[*number as usize]);
                if let Some(found) = found[at] {
                    agents.fetch(found);
                }
            };
            (0..AHEAD).for_each(|at| fetch(&self.agents, at));
            for (at, number) in group.iter().enumerate() {
                fetch(&self.agents, at + AHEAD);
                self.fold((*number, found[at]), batch, open, folded);
            }
        }
    }

    /// Judges the event of this number, and learns it. Its agent may have been `found`.
    fn fold(
        &mut self,
        (number, found): (u32, Option<usize>),
        batch: &Batch<'_>,
        open: &mut Deltas,
        folded: &mut Folded,
    ) {
        let Batch { events, keys, prepared, view } = batch;
        let (stamped, keys) = (&events[number as usize], &keys[number as usize]);
        let prepared = prepared[number as usize];
        // It may have been found before others came and went.
        let (mut held, is_new) =
            if let Some(held) = found.and_then(|at| self.agents.hold_if(at, keys.agent)) {
                (held, false)
            } else {
                let (at, is_new) = self.place(keys.agent, prepared.second, view);
                (self.agents.hold(at), is_new)
            };
        let population = view.of(prepared.slot);
        let class = population.class(keys.class);
        let [previous, current] = open;
        let open = match prepared.slot {
            Slot::Previous => previous,
            Slot::Current => current,
        };
        let mut unlearned = None;
        let delta = if prepared.is_ahead {
            unlearned.insert(ClassDelta::default())
        } else {
            open.entry(keys.class).or_default()
        };
        let agent = held.agent_mut();
        delta.heads.seen += f64::from(u8::from(is_new));
        if is_new && !population.has_regulars(keys.class) {
            agent.standing.found(keys.class);
        }
        let peers = Peers { class, population, config: view.config };
        let days = agent.days;
        let pending = Pending { stamped, keys, second: prepared.second, view };
        let (facts, open) = pending.open(agent, peers, delta);
        let (facts, signs) = (&facts, &mut Signs::default());
        signs.read(agent, peers, facts, &open);
        let verdict = Verdict::weigh(signs, agent, class, delta, view.config);
        self.agent_days += u64::from(agent.days - days);
        let is_ready = view.config.warmup_events() <= population.events;
        let finding = verdict.as_ref().filter(|_| is_ready).and_then(|verdict| {
            let severity = verdict.severity(signs, view.config)?;
            let cents = cents_at_risk(verdict, agent, facts, open.touched.cents);
            if !agent.opens_alert(subject_of(verdict, facts), rank(severity), cents) {
                return None;
            }
            let case = Case { stamped, agent, peers, facts, signs };
            Some(Box::new(case.explain(verdict, severity, cents)))
        });
        agent.learn(facts, signs, delta);
        if let (Some(finding), Some(verdict)) = (finding, &verdict) {
            self.findings += 1;
            agent.note_finding(verdict, facts);
            folded.findings.push((number, finding));
        }
        if view.is_scored {
            let score = Score::of(verdict.as_ref(), signs, class.rarity(facts.action));
            folded.scores.push((number, score));
        }
        if is_new {
            folded.newcomers.push(number);
        }
    }

    /// Judges an event as [`Self::fold`] would, on copies.
    pub(crate) fn assess(
        &self,
        stamped: &StampedEvent,
        keys: &Keys,
        prepared: Prepared,
        view: &View<'_>,
    ) -> Assessment {
        let population = view.of(prepared.slot);
        let class = population.class(keys.class);
        let mut agent = match self.find(keys.agent) {
            Some(at) => self.agents.hold(at).agent().clone(),
            None => Agent::new(keys.agent, prepared.second),
        };
        let mut delta = ClassDelta::default();
        let peers = Peers { class, population, config: view.config };
        let pending = Pending { stamped, keys, second: prepared.second, view };
        let (facts, open) = pending.open(&mut agent, peers, &mut delta);
        let mut signs = Signs::default();
        signs.read(&mut agent, peers, &facts, &open);
        let verdict = Verdict::weigh(&signs, &mut agent, class, &mut delta, view.config);
        let score = Score::of(verdict.as_ref(), &signs, class.rarity(facts.action));
        let Some(verdict) = verdict else { return Assessment { score, finding: None } };
        let is_ready = view.config.warmup_events() <= population.events;
        let severity = verdict.severity(&signs, view.config).filter(|_| is_ready);
        let cents = cents_at_risk(&verdict, &agent, &facts, open.touched.cents);
        let case = Case { stamped, agent: &agent, peers, facts: &facts, signs: &signs };
        let finding = severity.map(|severity| case.explain(&verdict, severity, cents));
        Assessment { score, finding }
    }

    /// When an agent was seen first, in seconds since 1970.
    pub(crate) fn seen_since(&self, key: u64) -> Option<u32> {
        self.find(key).map(|at| self.agents.hold(at).agent().first_second)
    }

    #[cfg(test)]
    pub(crate) fn agent(&self, key: u64) -> Option<Agent> {
        self.find(key).map(|at| self.agents.hold(at).agent().clone())
    }

    /// The number of an agent.
    fn find(&self, key: u64) -> Option<usize> {
        self.index.find(key, |at| self.agents.is(at, key))
    }

    /// The place of the agent with this key at this second, and whether it is new.
    fn place(&mut self, key: u64, second: u32, view: &View<'_>) -> (usize, bool) {
        if let Some(at) = self.find(key) {
            return (at, false);
        }
        let capacity = (view.config.agents_max() as usize).div_ceil(schemas::SHARDS);
        let mut agent = Agent::new(key, second);
        let is_back = self.gone.may_hold(key);
        if self.gone.may_hold(as_regular(key)) {
            agent.standing = Standing::of_returned();
        }
        let at = if self.agents.len() < capacity {
            self.agents.push(agent);
            self.agents.len() - 1
        } else {
            let at = self.evict(second, capacity);
            *self.agents.hold(at).agent_mut() = agent;
            at
        };
        self.index.insert(key, at);
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
        let held = self.agents.hold(stalest);
        let Agent { key, days, standing, .. } = held.agent();
        let key = *key;
        self.gone.insert(key, room);
        if standing.is_back() || Standing::TENURE_DAYS <= *days {
            self.gone.insert(as_regular(key), room);
        }
        self.index.remove(key, stalest);
        self.evicted += 1;
        stalest
    }
}

/// What came of a shard's events, by their numbers.
#[derive(Debug, Default)]
pub(crate) struct Folded {
    pub findings: Vec<(u32, Box<Finding>)>,
    pub scores: Vec<(u32, Score)>,
    /// Events that are the first of their agents.
    pub newcomers: Vec<u32>,
}

/// An event to be judged, at the second that is believed of it.
#[derive(Clone, Copy)]
struct Pending<'a> {
    stamped: &'a StampedEvent,
    keys: &'a Keys,
    second: u32,
    view: &'a View<'a>,
}

impl<'a> Pending<'a> {
    /// Counts the event in the open windows, and tells what is known of it beside the baselines.
    fn open(
        self,
        agent: &mut Agent,
        peers: Peers<'_>,
        delta: &mut ClassDelta,
    ) -> (Facts<'a>, Open) {
        let Pending { stamped, keys, second, view } = self;
        let reached = view.epoch.saturating_add(1).saturating_mul(3_600);
        let believed = reached.saturating_add(AHEAD_SECONDS);
        if believed < agent.last_second && second.saturating_add(AHEAD_SECONDS) < agent.last_second
        {
            agent.rewind(second);
        }
        let before = agent.last_second;
        let second = second.max(before);
        agent.last_second = second;
        let facts = Facts::at(&stamped.event, keys, second);
        delta.sums.events += 1.0;
        if let Some(model) = facts.model {
            agent.meet_model(model);
        }
        let voter = agent.voter(keys.class, keys.sponsor, peers.class.counts_days());
        let before = (0 < agent.events).then_some(before);
        let silence = agent.open_windows(&facts, before, (peers.class, keys.class), delta);
        agent.volume.add(Increment::of(&facts));
        agent.spend(&facts, before);
        let touched = if let Some(other) = &facts.counterparty {
            counterparty::touch_recent(agent, delta, &facts, other)
        } else {
            let cents = facts.paid().map_or(0, |money| money.cents);
            Touched { cents, ..Touched::default() }
        };
        let word = view.guidance.of(stamped, &facts);
        (facts, Open { touched, silence, word, voter })
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
        | DetectorKind::AgentFlood
        | DetectorKind::ExpiredCredential
        | DetectorKind::RevokedCredential
        | DetectorKind::EndedPurpose
        | DetectorKind::UnregisteredAgent
        | DetectorKind::OrphanedAgent
        | DetectorKind::NeverRotated
        | DetectorKind::MintedCredential
        | DetectorKind::UnapprovedModel
        | DetectorKind::OutsidePurpose
        | DetectorKind::OverLimit
        | DetectorKind::EndedGrant
        | DetectorKind::StandingGrant
        | DetectorKind::UnusedGrant
        | DetectorKind::WiderThanParent => 0,
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
