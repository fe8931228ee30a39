//! [`Trace`]: the hops from a use of a credential to the human who answers for it.
//!
//! Invariant (T1): a trace never invents a root. Each hop rests on a registry change, on another event
//! or on the event's own claim and says so; where no hop is known the trace ends in a [`Gap`] and has no
//! sponsor. At most [`HOPS_MAX`] hops between agents are walked, no agent and no sponsor twice, so
//! walking always ends.
//!
//! Source: RFC 8693 (OAuth 2.0 Token Exchange), section 4.1, for claimed delegation.

mod method;

use std::fmt;

use serde::Serialize;

pub use self::method::{HopMethod, TraceStatus};

use crate::registry::{AsOf, InPlace, Interval, IssueFact};
use crate::{
    AgentClass, AgentId, ChangeId, CredentialEvent, CredentialId, EventId, Registry, SponsorId,
    Timestamp,
};

/// Deepest chain of agents that is walked. Frameworks nest sub-agents two or three deep.
const HOPS_MAX: usize = 16;

/// Most hops from a sponsor who has left to who answers now, beside those.
const SUCCESSORS_MAX: usize = 16;

/// One step of a trace.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hop {
    /// `agent:…`, `credential:…`, `class:…`, or `sponsor:…` of one who is succeeded.
    pub from: String,
    /// `agent:…`, `class:…` or `sponsor:…`.
    pub to: String,
    pub method: HopMethod,
    pub confidence: f32,
    /// From when the registry's entry holds; absent for a claim.
    pub valid_from: Option<Timestamp>,
    /// The registry change or the event it rests on.
    pub evidence: String,
}

/// Why a trace does not reach a sponsor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gap {
    /// Where the chain ends: `agent:…` or `sponsor:…`.
    pub at: String,
    pub reason: String,
    /// Who may have acted, where a shared credential leaves several; empty otherwise. None is picked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Candidate>,
}

/// One of several agents that may have used a shared credential.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Candidate {
    pub agent_id: AgentId,
    /// Who answers for the agent; absent where nobody is known to.
    pub sponsor_id: Option<SponsorId>,
    /// From 0 to 1; those of all sum to 1. By the registry's list all are as likely; who has the uses of
    /// the credential weighs them.
    pub probability: f32,
}

/// The hops from an event towards its sponsor, as of the event's time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trace {
    pub status: TraceStatus,
    pub sponsor_id: Option<SponsorId>,
    /// Product of the hops' confidences; 0 without a sponsor.
    pub confidence: f32,
    pub hops: Vec<Hop>,
    pub gap: Option<Gap>,
}

/// An agent in whose span another worked, and the event that shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanParent {
    pub agent_id: AgentId,
    pub event_id: EventId,
}

impl Trace {
    /// Traces `event` by what the registry knew at `known_at`.
    pub fn of(event: &CredentialEvent, registry: &Registry, known_at: Timestamp) -> Self {
        Self::within(event, &[], registry, known_at)
    }

    /// The same of an event that happened within the spans of other agents, the nearest first. They
    /// count where the registry knows one of them, and knows nothing of the agents before it.
    pub fn within(
        event: &CredentialEvent,
        spans: &[SpanParent],
        registry: &Registry,
        known_at: Timestamp,
    ) -> Self {
        let walk = Walk::of(event, spans, registry, known_at);
        Self {
            status: walk.status(),
            sponsor_id: walk.end.as_ref().ok().map(|sponsor| (*sponsor).clone()),
            confidence: walk.confidence(),
            hops: walk.steps.iter().map(Step::told).collect(),
            gap: walk.end.err().map(|broken| broken.gap),
        }
    }
}

/// What of a trace is stamped on its event.
#[derive(Debug)]
pub(crate) struct Stamp {
    pub(crate) sponsor_id: Option<SponsorId>,
    pub(crate) status: TraceStatus,
    pub(crate) confidence: f32,
}

impl Stamp {
    /// As [`Trace::of`], without the texts for people: these are nine tenths of its cost.
    pub(crate) fn of(event: &CredentialEvent, registry: &Registry, known_at: Timestamp) -> Self {
        let walk = Walk::of(event, &[], registry, known_at);
        let (status, confidence) = (walk.status(), walk.confidence());
        Self { sponsor_id: walk.end.ok().cloned(), status, confidence }
    }
}

/// What a hop leads from or to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node<'a> {
    Agent(&'a AgentId),
    Class(&'a AgentClass),
    Credential(&'a CredentialId),
    Sponsor(&'a SponsorId),
}

impl fmt::Display for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent(id) => write!(f, "agent:{id}"),
            Self::Class(id) => write!(f, "class:{id}"),
            Self::Credential(id) => write!(f, "credential:{id}"),
            Self::Sponsor(id) => write!(f, "sponsor:{id}"),
        }
    }
}

/// What a step rests on.
#[derive(Clone, Copy, Debug)]
enum Ground<'a> {
    /// An entry of the registry: from when it holds, and the change that told it.
    Entry(Timestamp, &'a ChangeId),
    /// Another event, or whatever else an entry names as its evidence.
    Evidence(Timestamp, &'a str),
    /// The event's own claim, or what another event shows.
    Event(&'a EventId),
}

impl<'a> Ground<'a> {
    fn of<T>(entry: &'a Interval<T>) -> Self {
        Self::Entry(entry.valid_from, &entry.change_id)
    }
}

/// A hop that is not told yet.
#[derive(Clone, Copy, Debug)]
struct Step<'a> {
    from: Node<'a>,
    to: Node<'a>,
    method: HopMethod,
    ground: Ground<'a>,
}

impl Step<'_> {
    fn told(&self) -> Hop {
        let (valid_from, evidence) = match self.ground {
            Ground::Entry(from, change) => (Some(from), change.to_string()),
            Ground::Evidence(from, evidence) => (Some(from), evidence.to_owned()),
            Ground::Event(event) => (None, format!("event {event}")),
        };
        Hop {
            from: self.from.to_string(),
            to: self.to.to_string(),
            method: self.method,
            confidence: self.method.confidence(),
            valid_from,
            evidence,
        }
    }
}

/// What is said of `agent`, in a chain that may or may not name it.
fn above<'a, T>(agent: &AgentId, chain: &'a [T], of: fn(&T) -> &AgentId) -> &'a [T] {
    let named = chain.iter().position(|one| of(one) == agent);
    named.map_or(&[], |at| &chain[at + 1..])
}

/// Why a walk ended without a sponsor.
struct Broken {
    status: TraceStatus,
    gap: Gap,
}

impl Broken {
    fn at(status: TraceStatus, at: Node<'_>, reason: impl Into<String>) -> Self {
        let gap = Gap { at: at.to_string(), reason: reason.into(), candidates: Vec::new() };
        Self { status, gap }
    }
}

type End<'a> = Result<&'a SponsorId, Broken>;

/// The one walk behind [`Trace`] and [`Stamp`].
struct Walk<'a> {
    steps: Vec<Step<'a>>,
    /// As weak as the weakest step: the order of [`TraceStatus`] is the order of strength.
    weakest: TraceStatus,
    end: End<'a>,
}

impl<'a> Walk<'a> {
    fn of(
        event: &'a CredentialEvent,
        spans: &'a [SpanParent],
        registry: &'a Registry,
        known_at: Timestamp,
    ) -> Self {
        let as_of = AsOf { time: event.time, known_at };
        let leads = spans.iter().any(|span| registry.agent(&span.agent_id, as_of).is_some());
        let spans = if leads { spans } else { &[] };
        let mut walker =
            Walker { registry, as_of, spans, steps: Vec::new(), weakest: TraceStatus::Traced };
        let end = walker.through_agents(event);
        Self { steps: walker.steps, weakest: walker.weakest, end }
    }

    fn status(&self) -> TraceStatus {
        self.end.as_ref().err().map_or(self.weakest, |broken| broken.status)
    }

    fn confidence(&self) -> f32 {
        match self.end {
            Ok(_) => self.steps.iter().map(|step| step.method.confidence()).product(),
            Err(_) => 0.0,
        }
    }
}

struct Walker<'a> {
    registry: &'a Registry,
    as_of: AsOf,
    /// Of the agent that is reached: in whose spans it worked.
    spans: &'a [SpanParent],
    steps: Vec<Step<'a>>,
    weakest: TraceStatus,
}

impl<'a> Walker<'a> {
    /// Follows the agent itself, then its parents; the first that has an entry decides.
    fn through_agents(&mut self, event: &'a CredentialEvent) -> End<'a> {
        let mut agent = &event.agent_id;
        // What the event claims of `agent`: its parent, then the parent's parent.
        let mut claims = event.delegation.as_slice();
        // What `agent` presented, where that is known.
        let mut presented = Some(&event.credential_id);
        while self.steps.len() < HOPS_MAX {
            let node = Node::Agent(agent);
            // Every agent before this one is where a step came from.
            if self.steps.iter().any(|step| step.from == node) {
                let reason = "the chain of parents is a circle";
                return Err(Broken::at(TraceStatus::Broken, node, reason));
            }
            let about = self.registry.about_agent(agent);
            let known = about.and_then(|about| about.facts.get(self.as_of));
            if let Some(entry) = known
                && let Some(sponsor) = &entry.value.sponsor_id
            {
                return self.reach(node, sponsor, HopMethod::Registry, Ground::of(entry));
            }
            // The registry's parent first: a claim never overrides it.
            if let Some(parent) = about.and_then(|about| about.parents.get(self.as_of)) {
                let ground = Ground::of(parent);
                let parent = &parent.value;
                self.step(node, Node::Agent(parent), HopMethod::Registry, ground);
                self.weaken(TraceStatus::Delegated);
                // The event says nothing of a parent that it does not name.
                claims = above(parent, claims, |claim| claim);
                self.spans = above(parent, self.spans, |span| &span.agent_id);
                (agent, presented) = (parent, None);
            } else if known.is_none()
                && let Some(entry) = self.issue_of(presented, agent)
            {
                let issue = &entry.value;
                let to = Node::Agent(&issue.agent_id);
                let ground = match &issue.evidence {
                    Some(evidence) => Ground::Evidence(entry.valid_from, evidence),
                    None => Ground::of(entry),
                };
                self.step(node, to, HopMethod::StsKeyJoin, ground);
                self.weaken(TraceStatus::Delegated);
                // What the event claims is said of the one who acted, not of who let it act.
                (claims, self.spans) = (&[], &[]);
                (agent, presented) = (&issue.agent_id, issue.with_credential_id.as_ref());
            } else if known.is_none()
                && let Some((span, further)) = self.spans.split_first()
            {
                let ground = Ground::Event(&span.event_id);
                self.step(node, Node::Agent(&span.agent_id), HopMethod::ParentSpan, ground);
                self.weaken(TraceStatus::Delegated);
                claims = above(&span.agent_id, claims, |claim| claim);
                self.spans = further;
                (agent, presented) = (&span.agent_id, None);
            } else if known.is_none()
                && let Some((parent, further)) = claims.split_first()
            {
                let ground = Ground::Event(&event.event_id);
                self.step(node, Node::Agent(parent), HopMethod::Claimed, ground);
                self.weaken(TraceStatus::Claimed);
                claims = further;
                (agent, presented) = (parent, None);
            } else {
                return self.through_class(event, agent);
            }
        }
        let reason = format!("more than {HOPS_MAX} hops");
        Err(Broken::at(TraceStatus::Broken, Node::Agent(agent), reason))
    }

    /// The issue of the credential that `agent` presented, if another agent had it issued.
    fn issue_of(
        &self,
        presented: Option<&CredentialId>,
        agent: &AgentId,
    ) -> Option<&'a Interval<IssueFact>> {
        let entry = self.registry.about_credential(presented?)?.issues.get(self.as_of)?;
        (entry.value.agent_id != *agent).then_some(entry)
    }

    /// The end of the chain of parents: the registry knows the agent without a sponsor, its class, the
    /// credential, or nothing.
    fn through_class(&mut self, event: &'a CredentialEvent, agent: &'a AgentId) -> End<'a> {
        let node = Node::Agent(agent);
        if self.registry.agent(agent, self.as_of).is_some() {
            let reason = "registered, but nobody answers for it";
            return Err(Broken::at(TraceStatus::Orphaned, node, reason));
        }
        let class = event.agent_class.as_ref().filter(|_| *agent == event.agent_id);
        if let Some(class) = class
            && let Some(entry) = self.registry.class(class, self.as_of)
        {
            // The registry knows the class; that the agent is of it, only the event says.
            let claim = Ground::Event(&event.event_id);
            self.step(node, Node::Class(class), HopMethod::Claimed, claim);
            self.weaken(TraceStatus::Claimed);
            let ground = Ground::of(entry);
            return self.reach(Node::Class(class), &entry.value, HopMethod::RegistryClass, ground);
        }
        if *agent == event.agent_id {
            return self.through_credential(event);
        }
        let reason = "not in the registry at that time";
        Err(Broken::at(TraceStatus::Unregistered, node, reason))
    }

    /// The credential's users: their sponsor if they have one and the same, never one of several.
    fn through_credential(&mut self, event: &'a CredentialEvent) -> End<'a> {
        let unknown = || {
            let reason = "neither agent, class nor credential is in the registry at that time";
            Broken::at(TraceStatus::Unregistered, Node::Agent(&event.agent_id), reason)
        };
        let entry =
            self.registry.credential(&event.credential_id, self.as_of).ok_or_else(unknown)?;
        let mut sponsors: Vec<(&AgentId, &SponsorId, Ground<'_>)> = Vec::new();
        for user in &entry.value.agent_ids {
            if let Some(fact) = self.registry.agent(user, self.as_of)
                && let Some(sponsor) = &fact.value.sponsor_id
            {
                sponsors.push((user, sponsor, Ground::of(fact)));
            }
        }
        let from = Node::Credential(&event.credential_id);
        let (user, sponsor, ground) = *sponsors.first().ok_or_else(unknown)?;
        let users = entry.value.agent_ids.len();
        if sponsors.iter().any(|one| one.1 != sponsor) || sponsors.len() < users {
            let reason = format!("{users} agents may use this credential, with different sponsors");
            let mut broken = Broken::at(TraceStatus::Broken, from, reason);
            broken.gap.candidates = self.candidates(&entry.value.agent_ids);
            return Err(broken);
        }
        self.weaken(if users == 1 { TraceStatus::Delegated } else { TraceStatus::Shared });
        self.step(from, Node::Agent(user), HopMethod::RegistryCredential, Ground::of(entry));
        self.reach(Node::Agent(user), sponsor, HopMethod::Registry, ground)
    }

    fn candidates(&self, users: &[AgentId]) -> Vec<Candidate> {
        #[expect(clippy::cast_precision_loss, reason = "a credential has few users")]
        let probability = 1.0 / users.len() as f32;
        let candidate = |user: &AgentId| Candidate {
            agent_id: user.clone(),
            sponsor_id: self
                .registry
                .agent(user, self.as_of)
                .and_then(|entry| entry.value.sponsor_id.clone()),
            probability,
        };
        users.iter().map(candidate).collect()
    }

    /// The hop to the sponsor, and from there to who answers in his or her place, for as long as the
    /// one reached was not active at that time.
    fn reach(
        &mut self,
        from: Node<'a>,
        sponsor: &'a SponsorId,
        method: HopMethod,
        ground: Ground<'a>,
    ) -> End<'a> {
        let (mut from, mut sponsor, mut method, mut ground) = (from, sponsor, method, ground);
        loop {
            let at = Node::Sponsor(sponsor);
            self.step(from, at, method, ground);
            let broken = |reason: &str| Err(Broken::at(TraceStatus::Orphaned, at, reason));
            match self.registry.sponsor(sponsor, self.as_of) {
                Some(entry) if entry.value.active => return Ok(sponsor),
                Some(_) => {}
                None => return broken("the sponsor is not in the registry at that time"),
            }
            let Some((next, entry)) = self.registry.in_place_of(sponsor, self.as_of) else {
                return broken("the sponsor was no longer active at that time");
            };
            (from, ground) = (at, Ground::of(entry));
            (sponsor, method) = match next {
                InPlace::Successor(next) => (next, HopMethod::RegistrySuccessor),
                InPlace::Manager(next) => (next, HopMethod::RegistryManager),
            };
            let is_known = |step: &Step<'_>| step.to == Node::Sponsor(sponsor);
            if self.steps.iter().any(is_known) {
                return broken(
                    "the sponsors who were no longer active succeed each other in a circle",
                );
            }
            if HOPS_MAX + SUCCESSORS_MAX <= self.steps.len() {
                return broken("too many successors who were no longer active");
            }
        }
    }

    fn step(&mut self, from: Node<'a>, to: Node<'a>, method: HopMethod, ground: Ground<'a>) {
        self.steps.push(Step { from, to, method, ground });
    }

    fn weaken(&mut self, status: TraceStatus) {
        self.weakest = self.weakest.max(status);
    }
}

#[cfg(test)]
mod tests;
