//! [`Trace`]: the hops from a use of a credential to the human who answers for it.
//!
//! Invariant (T1): a trace never invents a root. Each hop rests on a registry change or on the
//! event's own claim and says so; where no hop is known the trace ends in a [`Gap`] and has no
//! sponsor. At most [`HOPS_MAX`] hops are walked, no agent twice, so walking always ends.
//!
//! Source: RFC 8693 (OAuth 2.0 Token Exchange), section 4.1, for claimed delegation.

use serde::Serialize;

use crate::event::spelled;
use crate::registry::AsOf;
use crate::{AgentId, CredentialEvent, Registry, SponsorId, Timestamp};

/// Deepest chain of agents that is walked. Frameworks nest sub-agents two or three deep.
const HOPS_MAX: usize = 16;

spelled! {
    /// How well an event leads to a sponsor.
    TraceStatus {
        /// The agent is registered, and its sponsor was active.
        Traced = "traced",
        /// Through a registered parent agent, or the one agent that may use the credential.
        Delegated = "delegated",
        /// Through a parent or a class that only the event claims.
        Claimed = "claimed",
        /// Through a credential that several agents may use, all of one sponsor.
        Shared = "shared",
        /// The agent is registered, but nobody answers for it, or who did has left.
        Orphaned = "orphaned",
        /// Nothing is known of the agent.
        Unregistered = "unregistered",
        /// The chain broke: a cycle, too deep, or several candidates.
        Broken = "gap",
    }
}

spelled! {
    /// What a hop rests on.
    HopMethod {
        Registry = "registry",
        /// The registry knows who answers for the class, not for the agent.
        RegistryClass = "registry_class",
        /// The registry knows who may use the credential, not the agent that named itself.
        RegistryCredential = "registry_credential",
        /// The event says so; nothing confirms it.
        Claimed = "claimed",
    }
}

impl HopMethod {
    /// Probability that such a hop is true, from 0 to 1.
    ///
    /// Chosen, not measured: the order is the design's order of strength; a claim is worth less than
    /// any registry entry, and a class or credential less than the agent's own entry.
    pub const fn confidence(self) -> f32 {
        match self {
            Self::Registry => 1.0,
            Self::RegistryClass => 0.9,
            Self::RegistryCredential => 0.8,
            Self::Claimed => 0.6,
        }
    }
}

/// One step of a trace.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hop {
    /// `agent:…`, `credential:…` or `class:…`.
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// Where the chain ends: `agent:…` or `sponsor:…`.
    pub at: String,
    pub reason: String,
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

impl Trace {
    /// Traces `event` by what the registry knew at `known_at`.
    pub fn of(event: &CredentialEvent, registry: &Registry, known_at: Timestamp) -> Self {
        let as_of = AsOf { time: event.time, known_at };
        let mut walk = Walk {
            registry,
            as_of,
            hops: Vec::new(),
            seen: Vec::new(),
            status: TraceStatus::Traced,
        };
        let end = walk.through_agents(event);
        let (sponsor_id, gap) = match end {
            Ok(sponsor) => (Some(sponsor), None),
            Err((status, gap)) => {
                walk.status = status;
                (None, Some(gap))
            }
        };
        let confidence = match sponsor_id {
            Some(_) => walk.hops.iter().map(|hop| hop.confidence).product(),
            None => 0.0,
        };
        Self { status: walk.status, sponsor_id, confidence, hops: walk.hops, gap }
    }
}

type Broken = (TraceStatus, Gap);

struct Walk<'a> {
    registry: &'a Registry,
    as_of: AsOf,
    hops: Vec<Hop>,
    seen: Vec<AgentId>,
    status: TraceStatus,
}

impl Walk<'_> {
    /// Follows the agent itself, then its parents; the first that has an entry decides.
    fn through_agents(&mut self, event: &CredentialEvent) -> Result<SponsorId, Broken> {
        let mut agent = event.agent_id.clone();
        // What the event claims of `agent`: its parent, then the parent's parent.
        let mut claims = event.delegation.as_slice();
        while self.hops.len() < HOPS_MAX {
            if self.seen.contains(&agent) {
                return Err(broken(
                    TraceStatus::Broken,
                    &agent,
                    "the chain of parents is a circle",
                ));
            }
            self.seen.push(agent.clone());
            if let Some(entry) = self.registry.agent(&agent, self.as_of)
                && let Some(sponsor) = entry.value.sponsor_id.clone()
            {
                let (from, change) = (entry.valid_from, entry.change_id.to_string());
                return self.reach(
                    &format!("agent:{agent}"),
                    sponsor,
                    HopMethod::Registry,
                    (from, change),
                );
            }
            // The registry's parent first: a claim never overrides it.
            if let Some(parent) = self.registry.parent(&agent, self.as_of) {
                let evidence = (Some(parent.valid_from), parent.change_id.to_string());
                let parent = parent.value.clone();
                self.hop(
                    &format!("agent:{agent}"),
                    &format!("agent:{parent}"),
                    HopMethod::Registry,
                    evidence,
                );
                self.weaken(TraceStatus::Delegated);
                // The event says nothing of a parent that it does not name.
                let named = claims.iter().position(|claim| *claim == parent);
                claims = named.map_or(&[], |at| &claims[at + 1..]);
                agent = parent;
            } else if self.registry.agent(&agent, self.as_of).is_none()
                && let Some((parent, further)) = claims.split_first()
            {
                let evidence = (None, format!("event {}", event.event_id));
                self.hop(
                    &format!("agent:{agent}"),
                    &format!("agent:{parent}"),
                    HopMethod::Claimed,
                    evidence,
                );
                self.weaken(TraceStatus::Claimed);
                claims = further;
                agent = parent.clone();
            } else {
                return self.through_class(event, &agent);
            }
        }
        Err(broken(TraceStatus::Broken, &agent, &format!("more than {HOPS_MAX} hops")))
    }

    /// The end of the chain of parents: the registry knows the agent without a sponsor, its class, the
    /// credential, or nothing.
    fn through_class(
        &mut self,
        event: &CredentialEvent,
        agent: &AgentId,
    ) -> Result<SponsorId, Broken> {
        if self.registry.agent(agent, self.as_of).is_some() {
            return Err(broken(
                TraceStatus::Orphaned,
                agent,
                "registered, but nobody answers for it",
            ));
        }
        let class = event.agent_class.as_ref().filter(|_| *agent == event.agent_id);
        if let Some(class) = class
            && let Some(entry) = self.registry.class(class, self.as_of)
        {
            let evidence = (entry.valid_from, entry.change_id.to_string());
            let (sponsor, class) = (entry.value.clone(), format!("class:{class}"));
            // The registry knows the class; that the agent is of it, only the event says.
            let claim = (None, format!("event {}", event.event_id));
            self.hop(&format!("agent:{agent}"), &class, HopMethod::Claimed, claim);
            self.weaken(TraceStatus::Claimed);
            return self.reach(&class, sponsor, HopMethod::RegistryClass, evidence);
        }
        if *agent == event.agent_id {
            return self.through_credential(event);
        }
        Err(broken(TraceStatus::Unregistered, agent, "not in the registry at that time"))
    }

    /// The credential's users: their sponsor if they have one and the same, never one of several.
    fn through_credential(&mut self, event: &CredentialEvent) -> Result<SponsorId, Broken> {
        let unknown = || {
            broken(
                TraceStatus::Unregistered,
                &event.agent_id,
                "neither agent, class nor credential is in the registry at that time",
            )
        };
        let entry =
            self.registry.credential(&event.credential_id, self.as_of).ok_or_else(unknown)?;
        let mut sponsors: Vec<(&AgentId, SponsorId, Timestamp, String)> = Vec::new();
        for user in &entry.value {
            if let Some(fact) = self.registry.agent(user, self.as_of)
                && let Some(sponsor) = &fact.value.sponsor_id
            {
                sponsors.push((user, sponsor.clone(), fact.valid_from, fact.change_id.to_string()));
            }
        }
        let from = format!("credential:{}", event.credential_id);
        let Some((user, sponsor, valid_from, change)) = sponsors.first().cloned() else {
            return Err(unknown());
        };
        if sponsors.iter().any(|one| one.1 != sponsor) || sponsors.len() < entry.value.len() {
            let reason = format!(
                "{} agents may use this credential, with different sponsors",
                entry.value.len()
            );
            return Err((TraceStatus::Broken, Gap { at: from, reason }));
        }
        self.weaken(if entry.value.len() == 1 {
            TraceStatus::Delegated
        } else {
            TraceStatus::Shared
        });
        let evidence = (Some(entry.valid_from), entry.change_id.to_string());
        self.hop(&from, &format!("agent:{user}"), HopMethod::RegistryCredential, evidence);
        self.reach(&format!("agent:{user}"), sponsor, HopMethod::Registry, (valid_from, change))
    }

    /// The last hop, if the sponsor was active at that time.
    fn reach(
        &mut self,
        from: &str,
        sponsor: SponsorId,
        method: HopMethod,
        evidence: (Timestamp, String),
    ) -> Result<SponsorId, Broken> {
        let at = format!("sponsor:{sponsor}");
        self.hop(from, &at, method, (Some(evidence.0), evidence.1));
        match self.registry.sponsor(&sponsor, self.as_of) {
            Some(true) => Ok(sponsor),
            Some(false) => Err((
                TraceStatus::Orphaned,
                Gap { at, reason: "the sponsor was no longer active at that time".to_owned() },
            )),
            None => Err((
                TraceStatus::Orphaned,
                Gap { at, reason: "the sponsor is not in the registry at that time".to_owned() },
            )),
        }
    }

    fn hop(
        &mut self,
        from: &str,
        to: &str,
        method: HopMethod,
        evidence: (Option<Timestamp>, String),
    ) {
        let (valid_from, evidence) = evidence;
        self.hops.push(Hop {
            from: from.to_owned(),
            to: to.to_owned(),
            method,
            confidence: method.confidence(),
            valid_from,
            evidence,
        });
    }

    /// A trace is as weak as its weakest hop: the order of [`TraceStatus`] is the order of strength.
    fn weaken(&mut self, status: TraceStatus) {
        self.status = self.status.max(status);
    }
}

fn broken(status: TraceStatus, agent: &AgentId, reason: &str) -> Broken {
    (status, Gap { at: format!("agent:{agent}"), reason: reason.to_owned() })
}

#[cfg(test)]
mod tests;
