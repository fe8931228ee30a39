//! Which grants there are, and which of them were never used.
//!
//! Invariant: a grant counts as used from when its first use was told. Beside what an agent has not
//! used yet, nothing that is asked of an event grows with the number of grants: an agent may get one
//! for each task.

use super::{AboutAgent, AsOf, ById, History, Interval, Registry, of};
use crate::{AgentId, GrantId, Lapse, Timestamp};

/// Most grants of an agent that are looked at for one that is unused, those told first.
const UNUSED_MAX: usize = 32;

/// What the registry says of a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GrantFact {
    pub(crate) agent_id: AgentId,
    scope: Box<[Word]>,
}

/// A word of a scope, by its number: companies have few words and many grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Word(u32);

/// The words of all scopes.
#[derive(Clone, Debug, Default)]
pub(super) struct Words(ById<Box<str>, Word>);

impl Words {
    /// The number of a word, which gets the next one if it is new.
    fn numbered(&mut self, word: &str) -> Word {
        if let Some(known) = self.0.get(word) {
            return *known;
        }
        let next = Word(u32::try_from(self.0.len()).expect("memory ends long before"));
        self.0.insert(word.into(), next);
        next
    }
}

/// What is known of a grant. It may have been used before it was told.
#[derive(Clone, Debug, Default)]
pub(super) struct AboutGrant {
    pub(super) facts: History<GrantFact>,
    /// When its first use was told.
    used: Option<Timestamp>,
}

impl AboutGrant {
    /// Takes in that the grant was used, as was told at `told`. Returns whether it is news.
    pub(super) fn use_told(&mut self, told: Timestamp) -> bool {
        let is_news = self.used.is_none();
        self.used = Some(self.used.map_or(told, |first| told.min(first)));
        is_news
    }

    /// Whether the registry has the grant, and knows of no use.
    pub(super) fn awaits_use(&self) -> bool {
        !self.facts.0.is_empty() && self.used.is_none()
    }
}

/// What one agent was granted.
#[derive(Clone, Debug, Default)]
pub(super) struct Granted {
    /// Grants that were not known to be used when they were told, in that order. Used ones are dropped
    /// whenever the list has doubled.
    unused: Vec<GrantId>,
    /// The words of all scopes, sorted, and when each was told first.
    words: Vec<(Word, Timestamp)>,
}

impl Granted {
    fn may(&mut self, word: Word, told: Timestamp) {
        match self.words.binary_search_by_key(&word, |(one, _)| *one) {
            Ok(at) => self.words[at].1 = told.min(self.words[at].1),
            Err(at) => self.words.insert(at, (word, told)),
        }
    }

    fn knows(&self, word: Word, known_at: Timestamp) -> bool {
        let at = self.words.binary_search_by_key(&word, |(one, _)| *one);
        at.is_ok_and(|at| self.words[at].1 <= known_at)
    }
}

impl AboutAgent {
    pub(super) fn first_unused(&self) -> Option<&GrantId> {
        self.granted.unused.first()
    }
}

impl Registry {
    pub(super) fn insert_grant(
        &mut self,
        grant_id: &GrantId,
        agent_id: &AgentId,
        scope: &str,
        told: Interval<()>,
    ) -> bool {
        let scope: Box<[Word]> =
            scope.split_whitespace().map(|word| self.words.numbered(word)).collect();
        let granted = &mut of(&mut self.agents, agent_id).granted;
        if granted.words.is_empty() {
            // Most agents have one grant, or several with the same words.
            granted.words.reserve_exact(scope.len());
            granted.unused.reserve_exact(1);
        }
        for word in &scope {
            granted.may(*word, told.told_first);
        }
        let about = of(&mut self.grants, grant_id);
        let is_known = about.facts.0.iter().any(|one| one.value.agent_id == *agent_id);
        let is_used = about.used.is_some();
        let fact = GrantFact { agent_id: agent_id.clone(), scope };
        let is_news = about.facts.insert(told.with(fact));
        if !is_known && !is_used {
            granted.unused.push(grant_id.clone());
            if granted.unused.len().is_power_of_two() {
                let grants = &self.grants;
                granted.unused.retain(|id| grants.get(id).is_none_or(|one| one.used.is_none()));
            }
        }
        is_news
    }

    /// Whether the grant's scope has a word that no grant of its agent's parent has. Nothing is said where the
    /// parent has none.
    pub(crate) fn is_wider_than_parent(&self, grant: &GrantFact, as_of: AsOf) -> bool {
        let parent = self.agents.get(&grant.agent_id).and_then(|about| about.parents.get(as_of));
        let Some(about) = parent.and_then(|entry| self.agents.get(&entry.value)) else {
            return false;
        };
        let granted = &about.granted;
        granted.words.iter().any(|(_, told)| *told <= as_of.known_at)
            && !grant.scope.iter().all(|word| granted.knows(*word, as_of.known_at))
    }

    /// The grant that the agent has had longest of those that it could use and never did. Only who has
    /// known a grant for as long can say so.
    pub(crate) fn long_unused_grant<'a>(
        &'a self,
        (agent, about): (&AgentId, &'a AboutAgent),
        as_of: AsOf,
    ) -> Option<&'a GrantId> {
        let unused = about.granted.unused.iter();
        let since = |id| {
            let about = self.grants.get(id)?;
            if about.used.is_some_and(|told| told <= as_of.known_at) {
                return None;
            }
            let entry = about.facts.get(as_of)?;
            let is_due = entry.valid_from.plus(Lapse::UNUSED_AFTER) <= as_of.time
                && entry.told_first.plus(Lapse::UNUSED_AFTER) <= as_of.known_at;
            (is_due && entry.value.agent_id == *agent).then_some(entry.valid_from)
        };
        let due = unused.take(UNUSED_MAX).filter_map(|id| Some((since(id)?, id)));
        due.min().map(|(_, id)| id)
    }
}
