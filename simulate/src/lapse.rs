//! [`Company::lapses`]: what is not as it should be with the company's credentials, agents and grants.
//!
//! Invariant: decided by each agent's own key, here, for the registry and for the ground truth alike;
//! none of the first agents, which the story is about, has a lapse of its key or purpose.

use schemas::Timestamp;

use crate::class::{Class, Keys, Naming};
use crate::company::{Agent, Company, Standing};
use crate::draw::{choice, mix};
use crate::event::{child_id, grant_id};

/// What is wrong, from when on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lapse {
    /// As in the column `kind` of the view `hygiene`.
    pub kind: &'static str,
    /// A credential, an agent or a grant.
    pub subject: String,
    /// Each use from then on is one of what is wrong; absent where none is needed.
    pub from: Option<Timestamp>,
}

/// What is wrong with an agent's own key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyLapse {
    NeverRotated,
    Expired,
    Revoked,
}

impl Company {
    /// When keys that expire or are revoked do.
    pub(crate) fn key_ends(&self) -> Timestamp {
        self.day(2)
    }

    /// When the purpose of an agent ends, if it does.
    pub(crate) fn purpose_ends(&self, agent: &Agent) -> Option<Timestamp> {
        let is_over = agent.standing == Standing::Registered
            && !Class::is_first(agent.index as usize)
            && agent.sponsor != self.leaver
            && agent.joins < self.day(3)
            && choice(mix(agent.key, 32), 30) == 0;
        is_over.then(|| self.day(3))
    }

    /// Whether the registry hears of the agent's new model.
    pub(crate) fn is_reapproved(&self, agent: &Agent) -> bool {
        agent.class().models.is_some()
            && agent.sponsor != self.leaver
            && agent.joins < agent.model_update
            && self.purpose_ends(agent).is_none()
            && choice(mix(agent.key, 33), 3) != 0
    }

    /// Everything that is wrong and that the registry can tell.
    pub fn lapses(&self) -> Vec<Lapse> {
        let mut lapses = Vec::new();
        let start = Some(self.settings.start);
        for agent in &self.agents {
            let mut add = |kind, subject: String, from| lapses.push(Lapse { kind, subject, from });
            if let Some(lapse) = key_lapse(agent) {
                let (kind, from) = match lapse {
                    KeyLapse::NeverRotated => ("never_rotated", start),
                    KeyLapse::Expired => ("used_after_expiry", Some(self.key_ends())),
                    KeyLapse::Revoked => ("used_after_revocation", Some(self.key_ends())),
                };
                add(kind, agent.credential.to_string(), from);
            }
            if agent.standing == Standing::Unregistered {
                continue;
            }
            if let Some(end) = self.purpose_ends(agent) {
                add("used_after_purpose", agent.id.to_string(), Some(end));
            } else if agent.class().models.is_some() && !self.is_reapproved(agent) {
                add("unapproved_model", agent.id.to_string(), Some(agent.model_update));
            }
            if agent.class().has_grant && !is_for_a_time(agent) {
                add("standing_grant", grant_id(agent).to_string(), start);
            }
            if has_spare_grant(agent) {
                add("unused_grant", spare_grant(agent), None);
                if let Some(child) = child_grant(agent) {
                    add("unused_grant", child.clone(), None);
                    add("wider_than_parent", child, None);
                }
            }
        }
        lapses.sort();
        lapses
    }
}

/// What is wrong with the agent's own key, if it has one of its own for long.
pub(crate) fn key_lapse(agent: &Agent) -> Option<KeyLapse> {
    if agent.keys != Keys::Static || Class::is_first(agent.index as usize) {
        return None;
    }
    match choice(mix(agent.key, 31), 12) {
        0 => Some(KeyLapse::NeverRotated),
        1 => Some(KeyLapse::Expired),
        2 => Some(KeyLapse::Revoked),
        _ => None,
    }
}

/// Whether the agent's grant has an end.
pub(crate) fn is_for_a_time(agent: &Agent) -> bool {
    choice(mix(agent.key, 34), 2) == 0
}

/// Whether the agent was given a grant that it never uses.
pub(crate) fn has_spare_grant(agent: &Agent) -> bool {
    let has_children = agent
        .class()
        .workers
        .as_ref()
        .is_some_and(|workers| matches!(workers.naming, Naming::OfParent(_)));
    (agent.class().has_grant || has_children) && choice(mix(agent.key, 35), 3) == 0
}

pub(crate) fn spare_grant(agent: &Agent) -> String {
    format!("grant-{}-spare", agent.id)
}

/// The grant of the first child of an agent with a spare one: it permits more than that.
pub(crate) fn child_grant(agent: &Agent) -> Option<String> {
    let workers = agent.class().workers.as_ref()?;
    match workers.naming {
        Naming::OfParent(_) => Some(format!("grant-{}-spare", child_id(agent, workers, 1))),
        Naming::Fresh => None,
    }
}
