//! [`Population`]: all classes as of a sealed epoch, and [`Population::seal`], which makes the next one.
//!
//! Invariant: a population is a function of the sealed epochs' deltas, and these are exact sums: see
//! `class.rs`. Scoring reads a population and never changes it.

use std::sync::Arc;

use crate::class::{Additive, Class, ClassDelta, keep_most};
use crate::fleet::Fleets;
use crate::hash::KeyMap;
use crate::pack::{Pack, Unpacker, pack_struct};
use crate::sums::Voters;

/// Classes remembered. Events of further ones are judged by what all agents do.
const CLASSES_MAX: usize = 4_096;
/// Credentials remembered: just under what a table of 65,536 places holds.
const CREDENTIALS_MAX: usize = 57_000;
/// Without an event for so many days everything has faded.
const DAYS_MAX: u32 = 1_000;

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Population {
    /// Up to and with this epoch everything is in here.
    sealed: u32,
    /// Events in here, not faded.
    pub events: u64,
    /// All agents as one class.
    all: Arc<Class>,
    /// What is assumed of a class not known yet: all agents, of whom none vouches for anything.
    unknown: Arc<Class>,
    classes: KeyMap<Arc<Class>>,
    /// Who uses which credential.
    credentials: Arc<KeyMap<Holders>>,
    /// What happens to whole fleets.
    pub fleets: Arc<Fleets>,
}

/// Who uses a credential.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Holders {
    who: Voters,
    last_day: u32,
}

pack_struct!(Holders { who, last_day });

impl<T: Pack> Pack for Arc<T> {
    fn pack(&self, out: &mut Vec<u8>) {
        T::pack(self, out);
    }

    fn unpack(input: &mut Unpacker<'_>) -> Option<Self> {
        Some(Self::new(T::unpack(input)?))
    }
}

pack_struct!(Population { sealed, events, all, unknown, classes, credentials, fleets });

impl Population {
    /// The class, or all agents if it is not known yet.
    pub(crate) fn class(&self, key: u64) -> &Class {
        self.classes.get(&key).unwrap_or(&self.unknown)
    }

    /// Whether a class has regulars, so that agents join it rather than found it.
    pub(crate) fn has_regulars(&self, key: u64) -> bool {
        self.classes.get(&key).is_some_and(|class| !class.counts_days())
    }

    /// All agents of the company as one class.
    pub(crate) fn all(&self) -> &Class {
        &self.all
    }

    pub(crate) fn classes(&self) -> usize {
        self.classes.len()
    }

    /// Whether an agent other than this one uses a credential.
    pub(crate) fn is_held_by_another(&self, credential: u64, agent: u64) -> bool {
        self.credentials.get(&credential).is_some_and(|held| held.who.has_another(agent))
    }

    /// Goes back to `epoch`: the time after it was a wrong clock's.
    pub(crate) fn rewind(&mut self, epoch: u32) {
        self.sealed = self.sealed.min(epoch);
        Arc::make_mut(&mut self.all).rewind(epoch / 24);
        Arc::make_mut(&mut self.unknown).rewind(epoch / 24);
        for class in self.classes.values_mut() {
            Arc::make_mut(class).rewind(epoch / 24);
        }
        Arc::make_mut(&mut self.fleets).rewind(epoch);
    }

    /// Adds everything that was learned in `epoch`, by class.
    pub(crate) fn seal(&mut self, epoch: u32, deltas: &KeyMap<ClassDelta>) {
        let is_first = self.events == 0;
        let days = (epoch / 24).saturating_sub(self.sealed / 24).min(DAYS_MAX);
        let days = if is_first { 0 } else { days };
        self.sealed = self.sealed.max(epoch);
        for _ in 0..days {
            Arc::make_mut(&mut self.all).age_by_a_day();
            for class in self.classes.values_mut() {
                Arc::make_mut(class).age_by_a_day();
            }
            Arc::make_mut(&mut self.fleets).age_by_a_day();
        }
        if deltas.is_empty() {
            return;
        }
        let mut sorted: Vec<(&u64, &ClassDelta)> = deltas.iter().collect();
        sorted.sort_unstable_by_key(|(key, _)| **key);
        let mut of_all = ClassDelta::default();
        for (_, delta) in &sorted {
            of_all.sums.add(&delta.sums);
            of_all.heads.add(&delta.heads);
            of_all.peers.add(&delta.peers);
            of_all.credentials.add(&delta.credentials);
            of_all.fleets.add(&delta.fleets);
        }
        Arc::make_mut(&mut self.fleets).seal(epoch, &of_all.fleets);
        if !of_all.credentials.is_empty() {
            self.add_credentials(&of_all.credentials, epoch / 24);
        }
        self.events += whole(of_all.sums.events);
        let all = Arc::make_mut(&mut self.all);
        all.add(&of_all, epoch / 24);
        all.derive(None);
        let all = Arc::clone(&self.all);
        self.unknown = Arc::new(all.without_peers());
        for (key, delta) in sorted {
            if !self.classes.contains_key(key) && CLASSES_MAX <= self.classes.len() {
                continue;
            }
            let class = Arc::make_mut(self.classes.entry(*key).or_default());
            class.add(delta, epoch / 24);
            class.derive(Some(&all));
        }
    }
}

impl Population {
    /// Of more credentials than there is room for, those are kept that somebody began to use last.
    fn add_credentials(&mut self, delta: &KeyMap<Voters>, day: u32) {
        let credentials = Arc::make_mut(&mut self.credentials);
        for (key, who) in delta {
            let held = credentials.entry(*key).or_default();
            held.who.add(who);
            held.last_day = day;
        }
        if CREDENTIALS_MAX < credentials.len() {
            keep_most(credentials, CREDENTIALS_MAX * 3 / 4, |held| (0.0, held.last_day));
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count in a float")]
fn whole(count: f64) -> u64 {
    count as u64
}
