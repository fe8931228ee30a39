//! [`Grants`]: which grants there are, and which of them were never used.
//!
//! Invariant: a grant counts as used from when its first use was told. Beside what an agent has not
//! used yet, nothing that is asked of an event grows with the number of grants: an agent may get one
//! for each task.

use super::{AsOf, ById, History, Interval};
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

/// All grants, their uses, and what each agent was ever granted.
#[derive(Clone, Debug, Default)]
pub(super) struct Grants {
    facts: History<GrantId, GrantFact>,
    /// When the first use of each was told.
    used: ById<GrantId, Timestamp>,
    granted: ById<AgentId, Granted>,
    words: ById<Box<str>, Word>,
}

/// What one agent was granted.
#[derive(Clone, Debug, Default)]
struct Granted {
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

impl Grants {
    pub(super) fn insert(
        &mut self,
        grant_id: GrantId,
        (agent_id, scope): (AgentId, &str),
        told: Interval<()>,
    ) -> bool {
        let scope: Box<[Word]> =
            scope.split_whitespace().map(|word| numbered(&mut self.words, word)).collect();
        let entries = self.facts.0.get(&grant_id);
        let is_known =
            entries.is_some_and(|all| all.iter().any(|one| one.value.agent_id == agent_id));
        let granted = self.granted.entry(agent_id.clone()).or_default();
        if granted.words.is_empty() {
            // Most agents have one grant, or several with the same words.
            granted.words.reserve_exact(scope.len());
            granted.unused.reserve_exact(1);
        }
        for word in &scope {
            granted.may(*word, told.told_first);
        }
        if !is_known && !self.used.contains_key(&grant_id) {
            granted.unused.push(grant_id.clone());
            if granted.unused.len().is_power_of_two() {
                granted.unused.retain(|grant| !self.used.contains_key(grant));
            }
        }
        self.facts.insert(grant_id, told.with(GrantFact { agent_id, scope }))
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
        let Some(granted) = self.granted.get(parent) else { return false };
        granted.words.iter().any(|(_, told)| *told <= as_of.known_at)
            && !grant.scope.iter().all(|word| granted.knows(*word, as_of.known_at))
    }

    /// The grant that the agent has had longest of those that it could use and never did. Only who has
    /// known a grant for as long can say so.
    pub(super) fn long_unused(&self, agent: &AgentId, as_of: AsOf) -> Option<&GrantId> {
        let unused = self.granted.get(agent)?.unused.iter();
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

/// The number of a word, which gets the next one if it is new.
fn numbered(words: &mut ById<Box<str>, Word>, word: &str) -> Word {
    if let Some(known) = words.get(word) {
        return *known;
    }
    let next = Word(u32::try_from(words.len()).expect("memory ends long before"));
    words.insert(word.into(), next);
    next
}
