//! [`Registry`]: what is known of agents, sponsors and credentials, as intervals of validity.
//!
//! Invariant: bitemporal. For each subject the changes are kept in order of (`valid_from`,
//! `recorded_at`); what holds at a time, as known at another, is the last of those that had begun,
//! had been told and had not ended. Applying a change twice changes nothing; the order of applying
//! does not matter.

mod change;

use std::collections::HashMap;
use std::hash::Hash;

pub use change::{Fact, RegistryChange, RegistrySchema};

use crate::{AgentClass, AgentId, ChangeId, CredentialId, SponsorId, Timestamp};

/// A change that names no time of telling: the caller knows when it was told, the registry does not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("wanted recorded_at in change {change_id}")]
pub struct UnknownChange {
    pub change_id: ChangeId,
}

/// A fact with its times and its change's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interval<T> {
    pub(crate) valid_from: Timestamp,
    pub(crate) valid_to: Option<Timestamp>,
    pub(crate) recorded_at: Timestamp,
    pub(crate) change_id: ChangeId,
    pub(crate) value: T,
}

/// The moment a question is about, and the moment as of whose knowledge it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AsOf {
    pub(crate) time: Timestamp,
    pub(crate) known_at: Timestamp,
}

/// All changes of one kind, by subject.
#[derive(Clone, Debug)]
struct History<K, V>(HashMap<K, Vec<Interval<V>>>);

impl<K: Eq + Hash, V> History<K, V> {
    fn insert(&mut self, subject: K, mut interval: Interval<V>) {
        let intervals = self.0.entry(subject).or_default();
        // Told twice: it counts from when it was first told.
        if let Some(at) = intervals.iter().position(|one| one.change_id == interval.change_id) {
            interval.recorded_at = interval.recorded_at.min(intervals.remove(at).recorded_at);
        }
        let key = |one: &Interval<V>| (one.valid_from, one.recorded_at);
        let at = intervals.partition_point(|one| key(one) <= key(&interval));
        intervals.insert(at, interval);
    }

    fn get(&self, subject: &K, as_of: AsOf) -> Option<&Interval<V>> {
        let intervals = self.0.get(subject)?;
        let last = intervals
            .iter()
            .rev()
            .find(|one| one.valid_from <= as_of.time && one.recorded_at <= as_of.known_at)?;
        match last.valid_to {
            Some(end) if end <= as_of.time => None,
            _ => Some(last),
        }
    }
}

impl<K, V> Default for History<K, V> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

/// What the registry says of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AgentFact {
    pub(crate) sponsor_id: Option<SponsorId>,
}

/// What is known of agents, sponsors and credentials.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    sponsors: History<SponsorId, bool>,
    agents: History<AgentId, AgentFact>,
    classes: History<AgentClass, SponsorId>,
    credentials: History<CredentialId, Vec<AgentId>>,
    parents: History<AgentId, AgentId>,
    changes: usize,
}

impl Registry {
    /// Takes a change in.
    ///
    /// # Errors
    ///
    /// [`UnknownChange`] if nobody said when it was told.
    pub fn apply(&mut self, change: &RegistryChange) -> Result<(), UnknownChange> {
        let change_id = change.change_id();
        let Some(recorded_at) = change.recorded_at else {
            return Err(UnknownChange { change_id });
        };
        self.changes += 1;
        let (valid_from, valid_to) = (change.valid_from, change.valid_to);
        let times = Interval { valid_from, valid_to, recorded_at, change_id, value: () };
        match &change.fact {
            Fact::Sponsor { sponsor_id, active, .. } => {
                self.sponsors.insert(sponsor_id.clone(), times.with(*active));
            }
            Fact::Agent { agent_id, sponsor_id, .. } => {
                let fact = AgentFact { sponsor_id: sponsor_id.clone() };
                self.agents.insert(agent_id.clone(), times.with(fact));
            }
            Fact::AgentClass { agent_class, sponsor_id } => {
                self.classes.insert(agent_class.clone(), times.with(sponsor_id.clone()));
            }
            Fact::Credential { credential_id, agent_ids, .. } => {
                self.credentials.insert(credential_id.clone(), times.with(agent_ids.clone()));
            }
            Fact::Delegation { agent_id, parent_agent_id } => {
                self.parents.insert(agent_id.clone(), times.with(parent_agent_id.clone()));
            }
            // A grant permits; it does not answer for anybody.
            Fact::Grant { .. } => {}
        }
        Ok(())
    }

    /// How many changes were taken in, repeated ones counted.
    pub fn changes(&self) -> usize {
        self.changes
    }

    pub(crate) fn agent(&self, id: &AgentId, as_of: AsOf) -> Option<&Interval<AgentFact>> {
        self.agents.get(id, as_of)
    }

    pub(crate) fn class(&self, id: &AgentClass, as_of: AsOf) -> Option<&Interval<SponsorId>> {
        self.classes.get(id, as_of)
    }

    pub(crate) fn credential(
        &self,
        id: &CredentialId,
        as_of: AsOf,
    ) -> Option<&Interval<Vec<AgentId>>> {
        self.credentials.get(id, as_of)
    }

    pub(crate) fn parent(&self, id: &AgentId, as_of: AsOf) -> Option<&Interval<AgentId>> {
        self.parents.get(id, as_of)
    }

    /// Whether the sponsor may answer at that time. `None`: no such sponsor is known.
    pub(crate) fn sponsor(&self, id: &SponsorId, as_of: AsOf) -> Option<bool> {
        self.sponsors.get(id, as_of).map(|interval| interval.value)
    }
}

impl Interval<()> {
    fn with<T>(self, value: T) -> Interval<T> {
        Interval {
            valid_from: self.valid_from,
            valid_to: self.valid_to,
            recorded_at: self.recorded_at,
            change_id: self.change_id,
            value,
        }
    }
}
