//! [`Company::registry_changes`]: what the company told Surety about its agents.
//!
//! Invariant: the registry is incomplete, never wrong: what it leads to is the sponsor of the
//! ground truth or nobody. It lacks the unregistered agents, says that nobody answers for the
//! orphaned, and hears of the successor a day late.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::{AgentClass, AgentId, CredentialId, Fact, RegistryChange, RegistrySchema, Timestamp};

use crate::class::{BACKUP, CLASSES, Keys, Naming};
use crate::company::{Agent, Company, DAY, Standing};
use crate::draw::{choice, mix};
use crate::event::{child_id, environment, grant_id, id, kind};

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
        let told = |sponsor: &crate::company::Sponsor, active| Fact::Sponsor {
            sponsor_id: sponsor.id.clone(),
            name: Some(sponsor.name.clone()),
            unit: Some(sponsor.unit.to_owned()),
            active,
            successor_id: None,
            manager_id: None,
        };
        for sponsor in &self.sponsors {
            changes.push(change(told(sponsor, true), hired, hired.plus(HOUR * 8), "hr-feed"));
        }
        let leaves = self.leaves();
        changes.push(change(told(&self.sponsors[self.leaver], false), leaves, leaves, "hr-feed"));
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
        let told = |sponsor: Option<usize>| Fact::Agent {
            agent_id: agent.id.clone(),
            agent_class: Some(id(class.name, AgentClass::try_from)),
            sponsor_id: sponsor.map(|sponsor| self.sponsors[sponsor].id.clone()),
            model: class.models.map(|models| models[0].to_owned()),
            environment: environment(agent).strip_prefix("env:").map(str::to_owned),
        };
        let sponsor = (agent.standing == Standing::Registered).then_some(agent.sponsor);
        changes.push(change(told(sponsor), since, since.plus(HOUR * 8), "inventory"));
        if sponsor == Some(self.leaver) {
            let from = self.succeeds().max(since);
            let handed_over = told(Some(self.successor));
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
        if class.has_grant {
            let fact = Fact::Grant {
                grant_id: grant_id(agent),
                agent_id: agent.id.clone(),
                scope: format!("write as {}", class.name),
                approved_by: Some(self.sponsors[agent.sponsor].id.clone()),
            };
            changes.push(change(fact, since, since.plus(HOUR * 9), "approvals"));
        }
    }

    fn credential_told(&self, credential: &CredentialId, users: &[&Agent]) -> RegistryChange {
        let since = users.iter().map(|agent| self.known_since(agent)).min();
        let since = since.expect("a credential is listed by a user");
        let rotated_days = 30 + choice(mix(users[0].key, 21), 700);
        let fact = Fact::Credential {
            credential_id: credential.clone(),
            credential_kind: kind(users[0].keys, None),
            agent_ids: users.iter().map(|agent| agent.id.clone()).collect(),
            expires_at: None,
            rotated_at: Some(self.settings.start.minus(DAY * rotated_days)),
        };
        change(fact, since, since.plus(HOUR * 10), "key-inventory")
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
