//! [`Shard`]: the agents of one shard, and how an event is judged and learned.
//!
//! Invariant: folding an event reads the agent, the snapshots of its class and nothing else, and
//! writes the agent and the open epochs' deltas and nothing else. So shards fold in parallel.
//!
//! Agents lie in a slab of records of one size, found through an index of 4-byte numbers: state
//! inline in a hash map costs twice the memory and three times the time (performance.md section 2).

use hashbrown::HashTable;
use schemas::{DetectorKind, Finding, Severity, StampedEvent};

use crate::agent::Agent;
use crate::class::{ClassDelta, Peers};
use crate::clock::Slot;
use crate::config::Config;
use crate::counterparty;
use crate::explain::{Case, cents_at_risk};
use crate::facts::Facts;
use crate::hash::{KeyMap, join};
use crate::pack::{Pack, Unpacker};
use crate::population::Population;
use crate::score::Verdict;
use crate::signs::Signs;
use crate::volume::Increment;

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
    pub previous: &'a Population,
    pub current: &'a Population,
}

impl View<'_> {
    fn of(&self, slot: Slot) -> &Population {
        match slot {
            Slot::Previous => self.previous,
            Slot::Current => self.current,
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Shard {
    agents: Vec<Agent>,
    /// Numbers in `agents`, by key.
    index: HashTable<u32>,
    /// Where the search for an agent to forget goes on.
    hand: u32,
    /// What was learned of classes in the previous and in the current epoch.
    open: [KeyMap<ClassDelta>; 2],
    pub findings: u64,
    pub evicted: u64,
}

impl PartialEq for Shard {
    /// The index follows from the agents.
    fn eq(&self, other: &Self) -> bool {
        self.agents == other.agents
            && self.hand == other.hand
            && self.open == other.open
            && self.findings == other.findings
            && self.evicted == other.evicted
    }
}

impl Pack for Shard {
    fn pack(&self, out: &mut Vec<u8>) {
        let Self { agents, index: _, hand, open, findings, evicted } = self;
        agents.pack(out);
        hand.pack(out);
        open.pack(out);
        findings.pack(out);
        evicted.pack(out);
    }

    fn unpack(input: &mut Unpacker<'_>) -> Option<Self> {
        let agents = Vec::<Agent>::unpack(input)?;
        let mut index = HashTable::with_capacity(agents.len());
        for (at, agent) in agents.iter().enumerate() {
            index.insert_unique(agent.key, u32::try_from(at).ok()?, |at| agents[*at as usize].key);
        }
        Some(Self {
            index,
            agents,
            hand: Pack::unpack(input)?,
            open: Pack::unpack(input)?,
            findings: Pack::unpack(input)?,
            evicted: Pack::unpack(input)?,
        })
    }
}

impl Shard {
    pub(crate) fn agents(&self) -> usize {
        self.agents.len()
    }

    /// Bytes of the agents' records and of the index.
    pub(crate) fn bytes(&self) -> usize {
        self.agents.capacity() * size_of::<Agent>() + self.index.allocation_size()
    }

    /// The deltas of the previous epoch; the current one becomes the previous.
    pub(crate) fn turn(&mut self) -> KeyMap<ClassDelta> {
        let current = std::mem::take(&mut self.open[1]);
        std::mem::replace(&mut self.open[0], current)
    }

    /// Judges an event, and learns it.
    pub(crate) fn fold(
        &mut self,
        stamped: &StampedEvent,
        prepared: &Prepared,
        view: &View<'_>,
    ) -> Option<Finding> {
        let event = &stamped.event;
        let class_key =
            event.agent_class.as_ref().map_or(0, |class| crate::hash::key_of(class.as_str()));
        let capacity = (view.config.agents_max() as usize).div_ceil(schemas::SHARDS);
        let (at, is_new) = self.place(prepared, capacity);
        let population = view.of(prepared.slot);
        let class = population.class(class_key);
        let open = match prepared.slot {
            Slot::Previous => &mut self.open[0],
            Slot::Current => &mut self.open[1],
        };
        let delta = open.entry(class_key).or_default();
        let agent = &mut self.agents[at];
        let second = prepared.second.max(agent.last_second);
        agent.last_second = second;
        let facts = Facts::of(event, second);
        delta.sums.events += 1.0;
        delta.heads.seen += f64::from(u8::from(is_new));

        agent.open_windows(&facts, class, delta);
        agent.volume.add(Increment::of(&facts));
        let (dealings, cents) = match &facts.counterparty {
            Some(other) => counterparty::touch_recent(agent, delta, &facts, other),
            None => (0, facts.money.map_or(0, |money| money.cents)),
        };

        let signs =
            Signs::read(agent, Peers { class, company: population.all() }, &facts, dealings);
        let verdict = Verdict::weigh(&signs, agent, class, delta, view.config);
        let is_ready = view.config.warmup_events() <= population.events;
        let finding = verdict.filter(|_| is_ready).and_then(|verdict| {
            let severity = verdict.severity(view.config)?;
            let cents = cents_at_risk(&verdict, agent, cents);
            if !agent.opens_alert(subject_of(&verdict, &facts), rank(severity), cents) {
                return None;
            }
            let case = Case { stamped, agent, class, facts: &facts, signs: &signs };
            Some(case.explain(&verdict, severity, cents))
        });
        agent.learn(&facts, &signs, delta);
        if let Some(finding) = &finding {
            self.findings += 1;
            agent.note_finding(finding.detector, &facts);
        }
        finding
    }

    /// The place of the event's agent, and whether it is new.
    fn place(&mut self, prepared: &Prepared, capacity: usize) -> (usize, bool) {
        let key = prepared.agent;
        let agents = &self.agents;
        if let Some(at) = self.index.find(key, |at| agents[*at as usize].key == key) {
            return (*at as usize, false);
        }
        let agent = Agent::new(key, prepared.second);
        let at = if self.agents.len() < capacity {
            self.agents.push(agent);
            self.agents.len() - 1
        } else {
            let at = self.evict(prepared.second);
            self.agents[at] = agent;
            at
        };
        let number = u32::try_from(at).expect("100,000,000 agents at most");
        let agents = &self.agents;
        self.index.insert_unique(key, number, |at| agents[*at as usize].key);
        (at, true)
    }

    /// Forgets the agent least worth keeping among the next few, and gives its place.
    fn evict(&mut self, second: u32) -> usize {
        let agents = self.agents.len();
        let start = self.hand as usize % agents;
        let stalest = (0..EVICTION_SAMPLE.min(agents))
            .map(|step| (start + step) % agents)
            .max_by_key(|at| (self.agents[*at].staleness(second), std::cmp::Reverse(*at)))
            .expect("there is room for an agent at least");
        self.hand = u32::try_from((start + EVICTION_SAMPLE) % agents).expect("as above");
        let key = self.agents[stalest].key;
        let agents = &self.agents;
        if let Ok(entry) = self.index.find_entry(key, |at| agents[*at as usize].key == key) {
            entry.remove();
        }
        self.evicted += 1;
        stalest
    }
}

/// What repetitions of a finding have in common.
fn subject_of(verdict: &Verdict, facts: &Facts) -> u64 {
    let about = match verdict.detector() {
        DetectorKind::NewAction => facts.action,
        DetectorKind::UnusualVolume => 0,
        DetectorKind::StolenCredential => facts.network.unwrap_or(0),
        DetectorKind::UnusualAmount
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
