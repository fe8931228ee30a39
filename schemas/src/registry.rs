//! [`Registry`]: what is known of agents, sponsors and credentials, as intervals of validity.
//!
//! Invariant: bitemporal. What holds at a time, as known at another, is what was told last of those
//! facts that had begun latest, had been told and had not ended. Telling again what was told last
//! changes nothing; telling again what was corrected in between takes the correction back. In
//! whatever order changes are applied, the answer by all that is known is the same.

mod ahead;
mod allowance;
mod change;
mod grants;

use std::collections::HashMap;
use std::hash::Hash;

pub use change::{
    Disposition, DispositionVerdict, Expectation, Fact, RegistryChange, RegistrySchema, Whose,
};

use self::allowance::{Allowance, Limit};
use self::grants::{AboutGrant, GrantFact, Granted, Words};
use crate::{
    AgentClass, AgentId, ChangeId, CredentialId, FindingId, GrantId, SponsorId, Timestamp,
};

/// A change that names no time of telling: the caller knows when it was told, the registry does not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("wanted recorded_at in change {change_id}")]
pub struct UnknownChange {
    pub change_id: ChangeId,
}

/// A fact with its times and its change's id, told once or several times in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interval<T> {
    pub(crate) valid_from: Timestamp,
    pub(crate) valid_to: Option<Timestamp>,
    /// When it was told first; nothing else of the same `valid_from` was told up to `told_last`.
    told_first: Timestamp,
    told_last: Timestamp,
    pub(crate) change_id: ChangeId,
    pub(crate) value: T,
}

/// The moment a question is about, and the moment as of whose knowledge it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AsOf {
    pub(crate) time: Timestamp,
    pub(crate) known_at: Timestamp,
}

/// What is known of each id, all of it under one key: an event asks for four ids of thirty letters and more, each
/// a walk through memory that is in no cache. The standard library's hash takes a fifth of a microsecond for
/// those; this one is keyed anew by each process too.
type ById<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// All changes of one kind to one subject, in order of (`valid_from`, `told_first`, `change_id`).
#[derive(Clone, Debug)]
pub(crate) struct History<V>(Vec<Interval<V>>);

impl<V: Clone> History<V> {
    /// Takes in what was told once. Returns whether it is news: not what was told last of the same
    /// `valid_from`.
    fn insert(&mut self, told: Interval<V>) -> bool {
        let intervals = &mut self.0;
        if intervals.is_empty() {
            // Most subjects are told of once, and a list would begin with room for four.
            intervals.reserve_exact(1);
        }
        let (valid_from, at) = (told.valid_from, told.told_first);
        let end = intervals.partition_point(|one| one.valid_from <= valid_from);
        let start = intervals.partition_point(|one| one.valid_from < valid_from);
        let is_news =
            intervals[start..end].last().is_none_or(|one| one.change_id != told.change_id);

        let is_before =
            |one: &Interval<V>| (one.told_first, &one.change_id) <= (at, &told.change_id);
        let after = start + intervals[start..end].partition_point(is_before);
        let mut rest = None;
        if let Some(before) = intervals[start..after].last_mut() {
            if before.change_id == told.change_id {
                before.told_last = before.told_last.max(at);
                return is_news;
            }
            // Told in the middle of a row: what was told after it stands behind it.
            if at < before.told_last {
                rest = Some(Interval { told_first: before.told_last, ..before.clone() });
                before.told_last = before.told_first;
            }
        }
        match intervals[..end].get_mut(after) {
            Some(next) if rest.is_none() && next.change_id == told.change_id => {
                next.told_first = at;
            }
            Some(_) | None => drop(intervals.splice(after..after, [told].into_iter().chain(rest))),
        }
        is_news
    }
}

impl<V> History<V> {
    /// From when the first entry holds.
    fn starts(&self) -> Option<Timestamp> {
        self.0.first().map(|one| one.valid_from)
    }

    pub(crate) fn get(&self, as_of: AsOf) -> Option<&Interval<V>> {
        let last = self.last(as_of)?;
        match last.valid_to {
            Some(end) if end <= as_of.time => None,
            _ => Some(last),
        }
    }

    /// The same, also if it has ended.
    pub(crate) fn last(&self, as_of: AsOf) -> Option<&Interval<V>> {
        self.0
            .iter()
            .rev()
            .find(|one| one.valid_from <= as_of.time && one.told_first <= as_of.known_at)
    }

    /// What was believed at `as_of` of each time that an entry begins at, up to then.
    pub(crate) fn newest_first(&self, as_of: AsOf) -> impl Iterator<Item = &Interval<V>> {
        let mut seen = None;
        self.0
            .iter()
            .rev()
            .filter(move |one| one.valid_from <= as_of.time && one.told_first <= as_of.known_at)
            .filter(move |one| seen.replace(one.valid_from) != Some(one.valid_from))
    }
}

impl<V> Default for History<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// What is known of an agent.
#[derive(Clone, Debug, Default)]
pub(crate) struct AboutAgent {
    pub(crate) facts: History<AgentFact>,
    pub(crate) parents: History<AgentId>,
    granted: Granted,
}

impl AboutAgent {
    fn first_sponsor(&self) -> Option<&SponsorId> {
        self.facts.0.first()?.value.sponsor_id.as_ref()
    }
}

/// What is known of a credential.
#[derive(Clone, Debug, Default)]
pub(crate) struct AboutCredential {
    pub(crate) facts: History<CredentialFact>,
    pub(crate) issues: History<IssueFact>,
}

/// What the registry says of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AgentFact {
    pub(crate) sponsor_id: Option<SponsorId>,
    pub(crate) model: Option<Box<str>>,
    /// Absent: everything.
    pub(crate) allowance: Option<Box<Allowance>>,
}

/// What the registry says of a sponsor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SponsorFact {
    pub(crate) active: bool,
    successor_id: Option<SponsorId>,
    manager_id: Option<SponsorId>,
}

/// What the registry says of a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CredentialFact {
    /// Who may use it.
    pub(crate) agent_ids: Vec<AgentId>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) is_rotated: bool,
}

/// What the registry says of a credential that was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IssueFact {
    /// The agent that asked for it.
    pub(crate) agent_id: AgentId,
    pub(crate) with_credential_id: Option<CredentialId>,
    /// The event that shows it, where it was learned from one.
    pub(crate) evidence: Option<String>,
}

/// Who answers in the place of a sponsor who may not any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InPlace<'a> {
    Successor(&'a SponsorId),
    Manager(&'a SponsorId),
}

/// What is known of agents, sponsors and credentials.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    sponsors: ById<SponsorId, History<SponsorFact>>,
    agents: ById<AgentId, AboutAgent>,
    /// Whether any agent was told of itself, and not as another's parent or the holder of a grant alone.
    knows_agents: bool,
    classes: ById<AgentClass, History<SponsorId>>,
    credentials: ById<CredentialId, AboutCredential>,
    grants: ById<GrantId, AboutGrant>,
    words: Words,
    dispositions: ById<FindingId, History<()>>,
    /// By the change's own id: an agent may have several from one time on.
    expectations: ById<ChangeId, History<()>>,
    changes: usize,
}

impl Registry {
    /// Takes a change in. Returns whether it is news: a change that says what was told last of the
    /// same subject and `valid_from` is none.
    ///
    /// # Errors
    ///
    /// [`UnknownChange`] if nobody said when it was told.
    pub fn apply(&mut self, change: &RegistryChange) -> Result<bool, UnknownChange> {
        self.apply_as(change.change_id(), change)
    }

    /// The same of a change whose [id](RegistryChange::change_id) is known: to make it takes longer than
    /// the rest.
    ///
    /// # Errors
    ///
    /// [`UnknownChange`] if nobody said when it was told.
    pub fn apply_as(
        &mut self,
        change_id: ChangeId,
        change: &RegistryChange,
    ) -> Result<bool, UnknownChange> {
        let Some(recorded_at) = change.recorded_at else {
            return Err(UnknownChange { change_id });
        };
        self.changes += 1;
        let (valid_from, valid_to) = (change.valid_from, change.valid_to);
        let (told_first, told_last) = (recorded_at, recorded_at);
        let times = Interval { valid_from, valid_to, told_first, told_last, change_id, value: () };
        Ok(match &change.fact {
            Fact::Sponsor { sponsor_id, active, successor_id, manager_id, .. } => {
                let fact = SponsorFact {
                    active: *active,
                    successor_id: successor_id.clone(),
                    manager_id: manager_id.clone(),
                };
                of(&mut self.sponsors, sponsor_id).insert(times.with(fact))
            }
            Fact::Agent { agent_id, sponsor_id, model, .. } => {
                let fact = AgentFact {
                    sponsor_id: sponsor_id.clone(),
                    model: model.as_deref().map(Into::into),
                    allowance: allowance_of(&change.fact).and_then(Allowance::unless_silent),
                };
                self.knows_agents = true;
                of(&mut self.agents, agent_id).facts.insert(times.with(fact))
            }
            Fact::AgentClass { agent_class, sponsor_id } => {
                of(&mut self.classes, agent_class).insert(times.with(sponsor_id.clone()))
            }
            Fact::Credential { credential_id, agent_ids, expires_at, rotated_at, .. } => {
                let fact = CredentialFact {
                    agent_ids: agent_ids.clone(),
                    expires_at: *expires_at,
                    is_rotated: rotated_at.is_some(),
                };
                of(&mut self.credentials, credential_id).facts.insert(times.with(fact))
            }
            Fact::Delegation { agent_id, parent_agent_id } => {
                of(&mut self.agents, agent_id).parents.insert(times.with(parent_agent_id.clone()))
            }
            Fact::Issue { credential_id, agent_id, with_credential_id } => {
                let fact = IssueFact {
                    agent_id: agent_id.clone(),
                    with_credential_id: with_credential_id.clone(),
                    evidence: change.evidence.clone(),
                };
                of(&mut self.credentials, credential_id).issues.insert(times.with(fact))
            }
            Fact::Grant { grant_id, agent_id, scope, .. } => {
                self.insert_grant(grant_id, agent_id, scope, times)
            }
            Fact::GrantUse { grant_id, .. } => of(&mut self.grants, grant_id).use_told(recorded_at),
            // What people tell the detector answers for nobody.
            Fact::Disposition(told) => of(&mut self.dispositions, &told.finding_id).insert(times),
            Fact::Expectation(_) => {
                of(&mut self.expectations, &times.change_id.clone()).insert(times)
            }
        })
    }

    /// How many changes were taken in, repeated ones counted.
    pub fn changes(&self) -> usize {
        self.changes
    }

    /// The agents that may use a credential at `time`, and who answers for each, by all that is known.
    pub fn users_of(
        &self,
        id: &CredentialId,
        time: Timestamp,
    ) -> Vec<(AgentId, Option<SponsorId>)> {
        let as_of = AsOf { time, known_at: Timestamp::MAX };
        let Some(entry) = self.credential(id, as_of) else { return Vec::new() };
        let sponsor_of =
            |agent: &AgentId| self.agent(agent, as_of).and_then(|one| one.value.sponsor_id.clone());
        entry.value.agent_ids.iter().map(|agent| (agent.clone(), sponsor_of(agent))).collect()
    }

    pub(crate) fn agent(&self, id: &AgentId, as_of: AsOf) -> Option<&Interval<AgentFact>> {
        self.agents.get(id)?.facts.get(as_of)
    }

    pub(crate) fn class(&self, id: &AgentClass, as_of: AsOf) -> Option<&Interval<SponsorId>> {
        self.classes.get(id)?.get(as_of)
    }

    pub(crate) fn credential(
        &self,
        id: &CredentialId,
        as_of: AsOf,
    ) -> Option<&Interval<CredentialFact>> {
        self.credentials.get(id)?.facts.get(as_of)
    }

    /// All that is known of an agent, for who asks more than one thing.
    pub(crate) fn about_agent(&self, id: &AgentId) -> Option<&AboutAgent> {
        self.agents.get(id)
    }

    /// The same of a credential.
    pub(crate) fn about_credential(&self, id: &CredentialId) -> Option<&AboutCredential> {
        self.credentials.get(id)
    }

    /// Whether a use of the grant would be its first that is known.
    pub fn awaits_use(&self, grant: &GrantId) -> bool {
        self.grants.get(grant).is_some_and(AboutGrant::awaits_use)
    }

    /// The grant's entry, also if it has ended.
    pub(crate) fn grant_last(&self, id: &GrantId, as_of: AsOf) -> Option<&Interval<GrantFact>> {
        self.grants.get(id)?.facts.last(as_of)
    }

    pub(crate) fn knows_agents(&self) -> bool {
        self.knows_agents
    }

    pub(crate) fn sponsor(&self, id: &SponsorId, as_of: AsOf) -> Option<&Interval<SponsorFact>> {
        self.sponsors.get(id)?.get(as_of)
    }

    /// Who answers in the place of a sponsor who may not at that time, and the entry that says so.
    ///
    /// The named successor, else the manager. A source that tells of somebody's leaving often tells
    /// nothing else: then what it said before of the same person counts.
    pub(crate) fn in_place_of(
        &self,
        id: &SponsorId,
        as_of: AsOf,
    ) -> Option<(InPlace<'_>, &Interval<SponsorFact>)> {
        self.sponsors.get(id)?.newest_first(as_of).find_map(|entry| {
            let fact = &entry.value;
            let successor = fact.successor_id.as_ref().map(InPlace::Successor);
            let who = successor.or(fact.manager_id.as_ref().map(InPlace::Manager))?;
            Some((who, entry))
        })
    }
}

/// What is known of `id`, to add to.
fn of<'a, K: Eq + Hash + Clone, V: Default>(known: &'a mut ById<K, V>, id: &K) -> &'a mut V {
    known.entry(id.clone()).or_default()
}

/// What an agent's entry says that it may do.
fn allowance_of(fact: &Fact) -> Option<Allowance> {
    let Fact::Agent {
        allowed_actions,
        allowed_resources,
        allowed_counterparties,
        amount_limit,
        currency,
        ..
    } = fact
    else {
        return None;
    };
    Some(Allowance {
        actions: allowed_actions.clone(),
        resources: allowed_resources.clone(),
        counterparties: allowed_counterparties.clone(),
        limit: amount_limit.map(|amount| Limit { amount, currency: *currency }),
    })
}

impl Interval<()> {
    fn with<T>(self, value: T) -> Interval<T> {
        Interval {
            valid_from: self.valid_from,
            valid_to: self.valid_to,
            told_first: self.told_first,
            told_last: self.told_last,
            change_id: self.change_id,
            value,
        }
    }
}
