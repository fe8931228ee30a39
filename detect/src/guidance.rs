//! [`Guidance`]: what people told of findings and of what is to come, and [`Word`]: what of it speaks of
//! one event.
//!
//! | told                | of an event that it speaks of                                           |
//! |---------------------|-------------------------------------------------------------------------|
//! | benign              | the counterparty (in that way) and the action are trusted at once       |
//! | confirmed           | they are strangers for ever, nobody vouches for them; always a finding  |
//! | expected            | they are no surprise for a while, and earn trust as ever                |
//! | an expectation      | the same, and volumes up to so many times the usual are none            |
//!
//! Invariant (D1): no state of an agent or class holds any of this. An event is judged by what was
//! recorded [`SETTLING`] before the event was read, and holds at the event's time: both are stored with
//! event and change, so that a replay judges alike. Of what speaks of the same thing the word that was
//! recorded last counts.

use std::time::Duration;

use schemas::{
    ChangeId, DetectorKind, Disposition, DispositionVerdict, Expectation, Fact, RegistryChange,
    StampedEvent, Timestamp, Whose,
};

use crate::facts::{Facts, Subject};
use crate::hash::{KeyMap, join, key_of};

/// What is recorded counts from so much later on: by then every process that folds has seen it.
/// Source: a running service looks at the registry every five seconds.
const SETTLING: Duration = Duration::from_secs(10);
/// A finding that was expected is so for a day, if nobody said until when.
const EXPECTED: Duration = Duration::from_hours(24);
/// An expectation without an end.
const EXPECTATION_MAX: Duration = Duration::from_hours(30 * 24);

/// Realms of keys.
const AGENTS: u64 = 101;
const CLASSES: u64 = 102;

/// Everything that people told, by the agent or class that it is about. As large as they write.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guidance(KeyMap<Vec<Told>>);

#[derive(Clone, Debug)]
struct Told {
    recorded_at: Timestamp,
    change_id: ChangeId,
    valid_from: Timestamp,
    valid_to: Option<Timestamp>,
    says: Says,
    about: Subject,
    /// Of an expectation.
    volume_times: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Trust,
    Deny,
    Expect,
}

/// What was said of a counterparty or an action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing.
    #[default]
    Open,
    Expected,
    Trusted,
    Denied,
}

/// What was said of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Word {
    pub counterparty: Standing,
    pub action: Standing,
    /// Up to so many times the usual volume is expected.
    pub volume_times: Option<f64>,
}

impl Word {
    /// A person confirmed an attack with this counterparty or action.
    pub(crate) fn is_denied(&self) -> bool {
        self.counterparty == Standing::Denied || self.action == Standing::Denied
    }
}

impl Standing {
    /// No surprise: a person knows of it.
    pub(crate) fn is_known(self) -> bool {
        matches!(self, Self::Expected | Self::Trusted)
    }
}

impl Guidance {
    /// Takes in a change of the registry, if it is of this kind. What is told twice counts once.
    pub(crate) fn hear(&mut self, change: &RegistryChange) {
        let Some(recorded_at) = change.recorded_at else { return };
        let told = |says, about, valid_to, volume_times| Told {
            recorded_at,
            change_id: change.change_id(),
            valid_from: change.valid_from,
            valid_to,
            says,
            about,
            volume_times,
        };
        match &change.fact {
            Fact::Disposition(of) => {
                let Some(about) = about(of) else { return };
                let (says, valid_to) = match of.verdict {
                    DispositionVerdict::Benign => (Says::Trust, change.valid_to),
                    DispositionVerdict::Confirmed => (Says::Deny, change.valid_to),
                    DispositionVerdict::Expected => {
                        let end = change.valid_to.unwrap_or(change.valid_from.plus(EXPECTED));
                        (Says::Expect, Some(end))
                    }
                };
                let whose = join(AGENTS, key_of(of.agent_id.as_str()));
                self.add(whose, told(says, about, valid_to, None));
            }
            Fact::Expectation(of) => {
                let whose = match of.whose() {
                    Whose::Agent(agent) => join(AGENTS, key_of(agent.as_str())),
                    Whose::Class(class) => join(CLASSES, key_of(class.as_str())),
                };
                let end = change.valid_to.unwrap_or(change.valid_from.plus(EXPECTATION_MAX));
                self.add(whose, told(Says::Expect, expected(of), Some(end), of.volume_times));
            }
            Fact::Sponsor { .. }
            | Fact::Agent { .. }
            | Fact::AgentClass { .. }
            | Fact::Credential { .. }
            | Fact::Delegation { .. }
            | Fact::Issue { .. }
            | Fact::Grant { .. }
            | Fact::GrantUse { .. } => {}
        }
    }

    pub(crate) fn told(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    fn add(&mut self, whose: u64, told: Told) {
        let all = self.0.entry(whose).or_default();
        let order = |one: &Told| (one.recorded_at, one.change_id.clone());
        match all.binary_search_by_key(&order(&told), order) {
            Ok(_) => {}
            Err(at) => all.insert(at, told),
        }
    }

    /// What of it speaks of an event.
    pub(crate) fn of(&self, stamped: &StampedEvent, facts: &Facts<'_>) -> Word {
        let mut word = Word::default();
        if self.0.is_empty() {
            return word;
        }
        let event = &stamped.event;
        let agent = join(AGENTS, key_of(event.agent_id.as_str()));
        let class = event.agent_class.as_ref().map(|class| join(CLASSES, key_of(class.as_str())));
        for whose in class.into_iter().chain([agent]) {
            for told in self.0.get(&whose).into_iter().flatten() {
                if told.speaks_at(event.time, stamped.ingested_at) {
                    told.add_to(&mut word, facts);
                }
            }
        }
        word
    }
}

impl Told {
    fn speaks_at(&self, time: Timestamp, read_at: Timestamp) -> bool {
        self.recorded_at.plus(SETTLING) <= read_at
            && self.valid_from <= time
            && self.valid_to.is_none_or(|end| time < end)
    }

    fn add_to(&self, word: &mut Word, facts: &Facts<'_>) {
        let standing = match self.says {
            Says::Trust => Standing::Trusted,
            Says::Deny => Standing::Denied,
            Says::Expect => Standing::Expected,
        };
        // To expect something neither trusts it nor takes a denial back.
        let set = |place: &mut Standing| {
            if standing != Standing::Expected || *place == Standing::Open {
                *place = standing;
            }
        };
        if !self.about.is_part_of(facts) {
            return;
        }
        if self.about.has_counterparty() {
            set(&mut word.counterparty);
        }
        if self.about.action.is_some() {
            set(&mut word.action);
        }
        if let Some(times) = self.volume_times {
            word.volume_times = Some(word.volume_times.unwrap_or(0.0).max(f64::from(times)));
        }
    }
}

/// What a disposition is about: what the finding's detector judges, where a memory has it. Volumes,
/// times, networks and failures are learned as they come, and nobody has to say so.
fn about(of: &Disposition) -> Option<Subject> {
    let other = of.counterparty_id.as_ref();
    let dealing = other.map(|other| Subject::of_dealing(other, &of.action));
    let is_denied = of.verdict == DispositionVerdict::Confirmed;
    match of.detector {
        // One payee that was wrong makes no action wrong, and the other way round.
        DetectorKind::NewAction if is_denied => Some(Subject::of_action(&of.action)),
        DetectorKind::NewCounterparty if is_denied => dealing,
        DetectorKind::NewAction | DetectorKind::NewCounterparty => {
            let action = Subject::of_action(&of.action);
            Some(dealing.map_or(action, |dealing| Subject { action: action.action, ..dealing }))
        }
        DetectorKind::UnusualAmount
        | DetectorKind::CounterpartyBurst
        | DetectorKind::Structuring
        | DetectorKind::NewExposure => dealing,
        DetectorKind::UnusualVolume
        | DetectorKind::FanOut
        | DetectorKind::FailureBurst
        | DetectorKind::UnusualTime
        | DetectorKind::StolenCredential
        | DetectorKind::SharedCredential
        | DetectorKind::FleetShift
        | DetectorKind::AgentFlood
        // What the registry has against a use ends when the registry says otherwise.
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
        | DetectorKind::WiderThanParent => None,
    }
}

fn expected(of: &Expectation) -> Subject {
    let action = of.action.as_deref().map(Subject::of_action).unwrap_or_default();
    let other = of.counterparty_id.as_ref().map(Subject::of_counterparty).unwrap_or_default();
    Subject { action: action.action, ..other }
}

#[cfg(test)]
mod tests;
