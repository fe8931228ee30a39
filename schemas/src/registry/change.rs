//! [`RegistryChange`]: one fact about agents, sponsors or credentials, schema
//! `surety.registry_change.v1`.
//!
//! Invariant: a change is about one subject, says from when it holds, and its id is a function of
//! what it says; so the same telling is known again wherever it comes from.

mod guidance;

use serde::{Deserialize, Serialize};

pub use guidance::{Disposition, DispositionVerdict, Expectation, Whose};

use crate::{
    AgentClass, AgentId, Amount, ChangeId, CredentialEvent, CredentialId, CredentialKind, Currency,
    GrantId, Outcome, Registry, SponsorId, Timestamp,
};

/// The only value of [`RegistryChange::schema`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(inline)]
pub enum RegistrySchema {
    #[serde(rename = "surety.registry_change.v1")]
    V1,
}

/// What a change says. One variant for each kind of subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fact {
    /// A human who can answer for agents. Not active means: left, or may no longer answer.
    Sponsor {
        sponsor_id: SponsorId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unit: Option<String>,
        active: bool,
        /// Who answers in this person's place from then on, once the person may not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        successor_id: Option<SponsorId>,
        /// Who answers in this person's place if no successor is named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        manager_id: Option<SponsorId>,
    },
    /// An agent, and who answers for it.
    Agent {
        agent_id: AgentId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent_class: Option<AgentClass>,
        /// Absent for an agent that nobody answers for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sponsor_id: Option<SponsorId>,
        /// With its version: another one in events is a model that nobody approved.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        environment: Option<String>,
        /// What it is for, in words; `valid_to` says until when.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        purpose: Option<String>,
        /// Names, or the beginnings of names with a `*` behind them. Absent: every action.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        allowed_actions: Vec<String>,
        /// The same of resources.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        allowed_resources: Vec<String>,
        /// The same of counterparties' ids.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        allowed_counterparties: Vec<String>,
        /// The most that it may pay in one action.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        amount_limit: Option<Amount>,
        /// Of the limit. Absent: of any currency.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        currency: Option<Currency>,
    },
    /// Who answers for every agent of a class that is not registered by itself.
    AgentClass { agent_class: AgentClass, sponsor_id: SponsorId },
    /// A credential and the agents that may use it. More than one agent: it is shared.
    Credential {
        credential_id: CredentialId,
        credential_kind: CredentialKind,
        agent_ids: Vec<AgentId>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rotated_at: Option<Timestamp>,
        /// Who sees to it: rotates it, and ends it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner_id: Option<SponsorId>,
    },
    /// A sub-agent and the agent that started it.
    Delegation { agent_id: AgentId, parent_agent_id: AgentId },
    /// A credential that an agent had issued to itself or to another, e.g. by AWS STS `AssumeRole`.
    /// Mostly learned from the event that shows it.
    Issue {
        credential_id: CredentialId,
        /// The agent that asked for it, and answers for what is done with it.
        agent_id: AgentId,
        /// The credential that it asked with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        with_credential_id: Option<CredentialId>,
    },
    /// A permission for one task.
    Grant {
        grant_id: GrantId,
        agent_id: AgentId,
        /// What it permits: words, of which each is a permission.
        scope: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        approved_by: Option<SponsorId>,
        /// The task that it was given for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        task_id: Option<String>,
    },
    /// That a grant was used. Learned from the first event that names it.
    GrantUse { grant_id: GrantId, agent_id: AgentId },
    /// What a person said of a finding.
    Disposition(Disposition),
    /// What a person knows will be out of the ordinary from `valid_from` to `valid_to`.
    Expectation(Expectation),
}

impl Fact {
    /// The kind's spelling in JSON and in the table `registry_changes`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Sponsor { .. } => "sponsor",
            Self::Agent { .. } => "agent",
            Self::AgentClass { .. } => "agent_class",
            Self::Credential { .. } => "credential",
            Self::Delegation { .. } => "delegation",
            Self::Issue { .. } => "issue",
            Self::Grant { .. } => "grant",
            Self::GrantUse { .. } => "grant_use",
            Self::Disposition(_) => "disposition",
            Self::Expectation(_) => "expectation",
        }
    }

    /// What it is about.
    pub fn subject(&self) -> &str {
        match self {
            Self::Sponsor { sponsor_id, .. } => sponsor_id.as_str(),
            Self::Agent { agent_id, .. } | Self::Delegation { agent_id, .. } => agent_id.as_str(),
            Self::AgentClass { agent_class, .. } => agent_class.as_str(),
            Self::Credential { credential_id, .. } | Self::Issue { credential_id, .. } => {
                credential_id.as_str()
            }
            Self::Grant { grant_id, .. } | Self::GrantUse { grant_id, .. } => grant_id.as_str(),
            Self::Disposition(of) => of.finding_id.as_str(),
            Self::Expectation(of) => of.subject(),
        }
    }
}

/// One fact about agents, sponsors or credentials, with the time it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(title = "surety.registry_change.v1", extend("unevaluatedProperties" = false))]
pub struct RegistryChange {
    pub schema: RegistrySchema,
    #[serde(flatten)]
    pub fact: Fact,
    /// From when it is true.
    pub valid_from: Timestamp,
    /// Until when (exclusive). Absent: until the next change of the same subject and kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_to: Option<Timestamp>,
    /// When Surety learned it: the time of the import, or of the record in the registry's topic.
    /// Surety writes it; what somebody else wrote here is not believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded_at: Option<Timestamp>,
    /// Where it comes from: an import's file and line, an event's id, a ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
}

/// Attributes under which the formats keep the id of a credential that an action has issued.
const ISSUED: &[&str] = &["issued_access_key_id", "issued_accessor", "issued_credential_id"];

impl RegistryChange {
    /// What `event` teaches, told when it was read: that its agent had a credential issued, and
    /// that a grant is used of which no use is known.
    pub fn learned(
        event: &CredentialEvent,
        registry: &Registry,
        read_at: Timestamp,
    ) -> impl Iterator<Item = Self> {
        let first_use = event.grant_id.as_ref().filter(|grant| registry.awaits_use(grant));
        let facts = [
            issue_shown_by(event),
            first_use.map(|grant| Fact::GrantUse {
                grant_id: grant.clone(),
                agent_id: event.agent_id.clone(),
            }),
        ];
        facts.into_iter().flatten().map(move |fact| Self {
            schema: RegistrySchema::V1,
            fact,
            valid_from: event.time,
            valid_to: None,
            recorded_at: Some(read_at),
            evidence: Some(event.event_id.to_string()),
        })
    }

    /// An id made of what is said and from when, not of when or where it was told. What is told
    /// again has the same id.
    pub fn change_id(&self) -> ChangeId {
        let content = serde_json::to_vec(&(&self.fact, self.valid_from, self.valid_to))
            .expect("a change holds nothing that JSON cannot");
        let hash = blake3::hash(&content).to_hex();
        ChangeId::try_from(format!("chg_{}", &hash[..32])).expect("36 letters and digits")
    }
}

/// That the event's agent had a credential issued.
fn issue_shown_by(event: &CredentialEvent) -> Option<Fact> {
    if event.outcome != Outcome::Success || event.attributes.is_empty() {
        return None;
    }
    let issued = ISSUED.iter().find_map(|name| event.attributes.get(name))?;
    let credential_id = CredentialId::try_from(issued).ok()?;
    (credential_id != event.credential_id).then(|| Fact::Issue {
        credential_id,
        agent_id: event.agent_id.clone(),
        with_credential_id: Some(event.credential_id.clone()),
    })
}
