//! [`Company::registry_changes`]: what the company told Surety about its agents.
//!
//! Invariant: the registry is incomplete, never wrong: what it leads to is the sponsor of the
//! ground truth or nobody. It lacks the unregistered agents, says that nobody answers for the
//! orphaned, and hears of the successor a day late; a re-organisation it hears of before.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::{
    AgentClass, AgentId, CredentialId, Fact, GrantId, RegistryChange, RegistrySchema, Timestamp,
};

use crate::class::{BACKUP, CLASSES, Keys, Naming};
use crate::company::{Agent, Company, DAY, Standing};
use crate::draw::{choice, mix};
use crate::event::{child_id, environment, grant_id, id, kind};
use crate::lapse::{KeyLapse, child_grant, has_spare_grant, is_for_a_time, key_lapse, spare_grant};

const HOUR: Duration = Duration::from_hours(1);

impl Company {
    /// All changes, each with `recorded_at`, in the order in which they were told.
    pub fn registry_changes(&self) -> Vec<RegistryChange> {
        let mut changes = Vec::new();
        self.sponsors_told(&mut changes);
        self.classes_told(&mut changes);
        let mut credentials: BTreeMap<&CredentialId, Vec<&Agent>> = BTreeMap::new();
        for agent in &self.agents {
            if matches!(agent.keys, Keys::Static | Keys::Shared { .. }) && is_known_user(agent) {
                credentials.entry(&agent.credential).or_default().push(agent);
            }
            if agent.standing != Standing::Unregistered {
                self.agent_told(agent, &mut changes);
            }
        }
        for (credential, users) in credentials {
            changes.push(self.credential_told(credential, &users));
        }
        // Stable: what was told at once stays in the order of writing, sponsors first.
        changes.sort_by_key(|change| change.recorded_at);
        changes
    }

    fn sponsors_told(&self, changes: &mut Vec<RegistryChange>) {
        let hired = self.settings.start.minus(DAY * 400);
        let told = |sponsor: usize, active, manager: Option<usize>| {
            let person = &self.sponsors[sponsor];
            Fact::Sponsor {
                sponsor_id: person.id.clone(),
                name: Some(person.name.clone()),
                unit: Some(person.unit.to_owned()),
                active,
                successor_id: None,
                manager_id: manager.map(|manager| self.sponsors[manager].id.clone()),
            }
        };
        for sponsor in 0..self.sponsors.len() {
            let has_one = sponsor != self.leaver && !self.managers.contains(&sponsor);
            let manager = has_one.then_some(self.managers[0]);
            let fact = told(sponsor, true, manager);
            changes.push(change(fact, hired, hired.plus(HOUR * 8), "hr-feed"));
        }
        let leaves = self.leaves();
        changes.push(change(told(self.leaver, false, None), leaves, leaves, "hr-feed"));
        if let Some(retiree) = self.retiree {
            let (from, unit) = (self.managers_change(), self.sponsors[retiree].unit);
            for sponsor in (0..self.sponsors.len()).filter(|one| self.sponsors[*one].unit == unit) {
                if sponsor != self.leaver && sponsor != self.successor {
                    let fact = told(sponsor, true, Some(self.managers[1]));
                    changes.push(change(fact, from, Self::announced(from), "hr-feed"));
                }
            }
            // As feeds do: that somebody left, and nothing else.
            let from = self.retires();
            changes.push(change(told(retiree, false, None), from, from, "hr-feed"));
        }
    }

    fn classes_told(&self, changes: &mut Vec<RegistryChange>) {
        let since = self.settings.start.minus(DAY * 200);
        for (number, class) in CLASSES.iter().enumerate() {
            if let Some(workers) = &class.workers
                && workers.naming == Naming::Fresh
                && !workers.claims_parent
            {
                let fact = Fact::AgentClass {
                    agent_class: id(workers.class, AgentClass::try_from),
                    sponsor_id: self.class_owner(number).clone(),
                };
                changes.push(change(fact, since, since.plus(HOUR), "inventory"));
            }
        }
    }

    /// The agent with its sponsor, its short-lived agents and its grant.
    fn agent_told(&self, agent: &Agent, changes: &mut Vec<RegistryChange>) {
        let class = agent.class();
        let since = self.known_since(agent);
        let told = |sponsor: Option<usize>, model: usize| Fact::Agent {
            agent_id: agent.id.clone(),
            agent_class: Some(id(class.name, AgentClass::try_from)),
            sponsor_id: sponsor.map(|sponsor| self.sponsors[sponsor].id.clone()),
            model: class.models.map(|models| models[model].to_owned()),
            environment: environment(agent).strip_prefix("env:").map(str::to_owned),
            purpose: None,
            allowed_actions: Vec::new(),
            allowed_resources: Vec::new(),
            allowed_counterparties: Vec::new(),
            amount_limit: None,
            currency: None,
        };
        let sponsor = (agent.standing == Standing::Registered).then_some(agent.sponsor);
        let mut first = change(told(sponsor, 0), since, since.plus(HOUR * 8), "inventory");
        first.valid_to = self.purpose_ends(agent);
        changes.push(first);
        if self.is_reapproved(agent) {
            let from = agent.model_update;
            let sponsor = sponsor.map(|_| self.given_to(agent, from));
            changes.push(change(told(sponsor, 1), from, from.plus(HOUR), "approvals"));
        }
        if let Some(next) = self.moved_to(agent).filter(|_| sponsor.is_some()) {
            let from = self.reorganised();
            let moved = told(Some(next), 0);
            changes.push(change(moved, from, Self::announced(from), "reorganisation"));
        }
        if sponsor == Some(self.leaver) {
            let from = self.succeeds().max(since);
            let handed_over = told(Some(self.successor), 0);
            changes.push(change(handed_over, from, from.plus(DAY), "handover"));
        }
        if let Some(workers) = &class.workers
            && let Naming::OfParent(names) = workers.naming
        {
            for number in 1..=names {
                let fact = Fact::Delegation {
                    agent_id: id(child_id(agent, workers, number), AgentId::try_from),
                    parent_agent_id: agent.id.clone(),
                };
                changes.push(change(fact, since, since.plus(HOUR * 9), "inventory"));
            }
        }
        self.grants_told(agent, changes);
    }

    fn grants_told(&self, agent: &Agent, changes: &mut Vec<RegistryChange>) {
        let (class, since) = (agent.class(), self.known_since(agent));
        let mut told = |grant_id, agent_id, scope, valid_to| {
            let approved_by = Some(self.sponsors[agent.sponsor].id.clone());
            let fact = Fact::Grant { grant_id, agent_id, scope, approved_by, task_id: None };
            let mut grant = change(fact, since, since.plus(HOUR * 9), "approvals");
            grant.valid_to = valid_to;
            changes.push(grant);
        };
        // A year, so that no use is after it.
        let end = Some(self.day(365));
        if class.has_grant {
            let valid_to = end.filter(|_| is_for_a_time(agent));
            let scope = format!("write as {}", class.name);
            told(grant_id(agent), agent.id.clone(), scope, valid_to);
        }
        if has_spare_grant(agent) {
            let spare = id(spare_grant(agent), GrantId::try_from);
            told(spare, agent.id.clone(), "read archive".to_owned(), end);
            if let (Some(grant), Some(workers)) = (child_grant(agent), &class.workers) {
                let child = id(child_id(agent, workers, 1), AgentId::try_from);
                let scope = "read archive write".to_owned();
                told(id(grant, GrantId::try_from), child, scope, end);
            }
        }
    }

    fn credential_told(&self, credential: &CredentialId, users: &[&Agent]) -> RegistryChange {
        let since = users.iter().map(|agent| self.known_since(agent)).min();
        let since = since.expect("a credential is listed by a user");
        let lapse = key_lapse(users[0]);
        let rotated_days = 30 + choice(mix(users[0].key, 21), 700);
        let fact = Fact::Credential {
            credential_id: credential.clone(),
            credential_kind: kind(users[0].keys, None),
            agent_ids: users.iter().map(|agent| agent.id.clone()).collect(),
            expires_at: Some(self.key_ends()).filter(|_| lapse == Some(KeyLapse::Expired)),
            rotated_at: Some(self.settings.start.minus(DAY * rotated_days))
                .filter(|_| lapse != Some(KeyLapse::NeverRotated)),
            owner_id: None,
        };
        let mut told = change(fact, since, since.plus(HOUR * 10), "key-inventory");
        told.valid_to = Some(self.key_ends()).filter(|_| lapse == Some(KeyLapse::Revoked));
        told
    }

    fn known_since(&self, agent: &Agent) -> Timestamp {
        if self.settings.start < agent.joins {
            return agent.joins.minus(DAY * 2);
        }
        self.settings.start.minus(DAY * (90 + choice(mix(agent.key, 22), 300)))
    }
}

/// Whether the inventory of credentials lists the agent as a user.
///
/// It lists unregistered agents too, so that no registered one is taken for them; but for backups,
/// where all users of an account have one sponsor and the account is enough to find them.
fn is_known_user(agent: &Agent) -> bool {
    agent.class != BACKUP || agent.standing != Standing::Unregistered
}

fn change(fact: Fact, from: Timestamp, told: Timestamp, evidence: &str) -> RegistryChange {
    RegistryChange {
        schema: RegistrySchema::V1,
        fact,
        valid_from: from,
        valid_to: None,
        recorded_at: Some(told),
        evidence: Some(evidence.to_owned()),
    }
}
