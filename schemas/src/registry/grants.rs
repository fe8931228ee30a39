//! [`Grants`]: which grants there are, and which of them were never used.
//!
//! Invariant: a grant counts as used from when its first use was told. Beside what an agent has not
//! used yet, nothing that is asked of an event grows with the number of grants: an agent may get one
//! for each task.

use std::collections::{BTreeMap, HashMap};

use super::{AsOf, History, Interval};
use crate::{AgentId, GrantId, Lapse, Timestamp};

/// Most grants of an agent that are looked at for one that is unused, those told first.
const UNUSED_MAX: usize = 32;

/// What the registry says of a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GrantFact {
    pub(crate) agent_id: AgentId,
    scope: Box<str>,
}

/// All grants, their uses, and what each agent was ever granted.
#[derive(Clone, Debug, Default)]
pub(super) struct Grants {
    facts: History<GrantId, GrantFact>,
    /// When the first use of each was told.
    used: HashMap<GrantId, Timestamp>,
    /// Grants that were not known to be used when they were told, in that order. Used ones are dropped
    /// whenever the list has doubled.
    unused: HashMap<AgentId, Vec<GrantId>>,
    /// The words of the scopes of each agent's grants, and when each was told first.
    words: HashMap<AgentId, BTreeMap<Box<str>, Timestamp>>,
}

impl Grants {
    pub(super) fn insert(
        &mut self,
        grant_id: GrantId,
        (agent_id, scope): (AgentId, &str),
        told: Interval<()>,
    ) -> bool {
        let told_at = told.told_first;
        let words = self.words.entry(agent_id.clone()).or_default();
        for word in scope.split_whitespace() {
            let first = words.entry(word.into()).or_insert(told_at);
            *first = told_at.min(*first);
        }
        let entries = self.facts.0.get(&grant_id);
        let is_known =
            entries.is_some_and(|all| all.iter().any(|one| one.value.agent_id == agent_id));
        if !is_known && !self.used.contains_key(&grant_id) {
            let unused = self.unused.entry(agent_id.clone()).or_default();
            unused.push(grant_id.clone());
            if unused.len().is_power_of_two() {
                unused.retain(|grant| !self.used.contains_key(grant));
            }
        }
        let fact = GrantFact { agent_id, scope: scope.into() };
        self.facts.insert(grant_id, told.with(fact))
    }

    /// Takes in that a grant was used, as was told at `told`. Returns whether it is news.
    pub(super) fn use_told(&mut self, grant_id: &GrantId, told: Timestamp) -> bool {
        if let Some(first) = self.used.get_mut(grant_id) {
            *first = told.min(*first);
            return false;
        }
        self.used.insert(grant_id.clone(), told);
        true
    }

    /// Whether the registry has the grant, and knows of no use.
    pub(super) fn awaits_use(&self, grant_id: &GrantId) -> bool {
        self.facts.0.contains_key(grant_id) && !self.used.contains_key(grant_id)
    }

    /// The grant's entry, also if it has ended.
    pub(super) fn last(&self, id: &GrantId, as_of: AsOf) -> Option<&Interval<GrantFact>> {
        self.facts.last(id, as_of)
    }

    /// Whether the scope of a grant has a word that no grant of `parent` has. Nothing is said where the
    /// parent has none.
    pub(super) fn is_wider(&self, grant: &GrantFact, parent: &AgentId, as_of: AsOf) -> bool {
        let Some(words) = self.words.get(parent) else { return false };
        let is_known = |told: &Timestamp| *told <= as_of.known_at;
        words.values().any(is_known)
            && grant.scope.split_whitespace().any(|word| !words.get(word).is_some_and(is_known))
    }

    /// The grant that the agent has had longest of those that it could use and never did. Only who has
    /// known a grant for as long can say so.
    pub(super) fn long_unused(&self, agent: &AgentId, as_of: AsOf) -> Option<&GrantId> {
        let unused = self.unused.get(agent)?.iter();
        let is_used = |id| self.used.get(id).is_some_and(|told| *told <= as_of.known_at);
        let since = |id| {
            let entry = self.facts.get(id, as_of)?;
            let is_due = entry.valid_from.plus(Lapse::UNUSED_AFTER) <= as_of.time
                && entry.told_first.plus(Lapse::UNUSED_AFTER) <= as_of.known_at;
            (is_due && entry.value.agent_id == *agent).then_some(entry.valid_from)
        };
        let due = unused.take(UNUSED_MAX).filter(|id| !is_used(*id));
        due.filter_map(|id| Some((since(id)?, id))).min().map(|(_, id)| id)
    }
}
