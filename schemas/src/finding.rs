//! [`Finding`]: a detector's verdict on an event, with everything needed to act on it.
//!
//! Invariant: a finding is a function of records alone, and its id of (detector, agent, triggering
//! record) alone, so that a replay gives the same finding under the same id.
//!
//! Source of the shape: OCSF 1.9, Detection Finding (2004) with `anomaly_analyses`.

use serde::{Deserialize, Serialize};

use crate::event::spelled;
use crate::{
    AgentClass, AgentId, Amount, CounterpartyId, CredentialId, Currency, EventId, FindingId, Part,
    Position, SponsorId, Timestamp, TraceStatus,
};

spelled! {
    /// Which behaviour is out of the ordinary.
    DetectorKind {
        /// More calls, writes, errors or money than this agent has in such a time.
        UnusualVolume = "unusual_volume",
        /// One amount far from what this agent pays for this action.
        UnusualAmount = "unusual_amount",
        /// A counterparty that the agent never dealt with, and its peers do not trust.
        NewCounterparty = "new_counterparty",
        /// Many dealings with one counterparty in a short time.
        CounterpartyBurst = "counterparty_burst",
        /// An action that the agent never did.
        NewAction = "new_action",
        /// A credential used from a network and device that it never was used from, or from two networks
        /// at once.
        StolenCredential = "stolen_credential",
        /// Amounts kept just below a limit, or one sum paid in parts.
        Structuring = "structuring",
        /// Many different counterparties in a short time.
        FanOut = "fan_out",
        /// Many errors or refusals in a short time.
        FailureBurst = "failure_burst",
        /// An hour at which this agent does not work, or the end of a long silence.
        UnusualTime = "unusual_time",
        /// A credential that another agent holds.
        SharedCredential = "shared_credential",
        /// The same change over many agents of one model.
        FleetShift = "fleet_shift",
        /// Much money to counterparties that are not trusted yet, added up over days.
        NewExposure = "new_exposure",
        /// A credential used after its expiry.
        ExpiredCredential = "expired_credential",
        /// A credential used after it was revoked.
        RevokedCredential = "revoked_credential",
        /// An agent at work after the end of its purpose.
        EndedPurpose = "ended_purpose",
        /// An agent that the registry knows nothing of.
        UnregisteredAgent = "unregistered_agent",
        /// An agent that nobody answers for.
        OrphanedAgent = "orphaned_agent",
        /// A static key that was never rotated.
        NeverRotated = "never_rotated",
        /// A static key or password that an agent had issued.
        MintedCredential = "minted_credential",
        /// Another model behind the agent than the one that was approved.
        UnapprovedModel = "unapproved_model",
        /// Something that the agent was not registered for.
        OutsidePurpose = "outside_purpose",
        /// An amount above the agent's limit.
        OverLimit = "over_limit",
        /// A grant used after its end.
        EndedGrant = "ended_grant",
        /// A grant without an end in use.
        StandingGrant = "standing_grant",
        /// A grant that was never used.
        UnusedGrant = "unused_grant",
        /// A sub-agent with a grant that its parent does not have.
        WiderThanParent = "wider_than_parent",
    }
}

spelled! {
    /// How many false findings per agent and day a finding of this strength is expected to cost.
    Severity {
        /// At most 0.1: worth a look.
        Review = "review",
        /// At most 0.03: worth waking somebody.
        Page = "page",
        /// At most 0.01: worth stopping the agent.
        Block = "block",
    }
}

spelled! {
    /// How much a baseline has seen.
    MaturityLevel {
        /// Under 16 events: judged by its class.
        Cold = "cold",
        /// Under 128 events or 7 days: judged by itself and its class.
        Young = "young",
        Mature = "mature",
    }
}

/// What the baseline rests on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Maturity {
    pub level: MaturityLevel,
    /// Events of this agent before this one.
    pub events: u64,
    /// Days since the agent was first seen.
    pub days: f32,
}

/// One feature's part in a finding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureShare {
    /// Name with unit, e.g. `calls_per_5min`, `amount_eur`.
    pub feature: String,
    pub expected: f64,
    pub seen: f64,
    /// Probability of something at least this unusual under the baseline.
    pub probability: f64,
    /// Share of the score, 0 to 1; all shares of a finding sum to 1.
    pub share: f32,
}

/// A detector's verdict on an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    pub finding_id: FindingId,
    pub detector: DetectorKind,
    pub severity: Severity,
    /// The triggering event's time.
    pub time: Timestamp,
    pub agent_id: AgentId,
    pub agent_class: Option<AgentClass>,
    pub credential_id: CredentialId,
    pub sponsor_id: Option<SponsorId>,
    pub trace_status: TraceStatus,
    /// The triggering event.
    pub event_id: EventId,
    pub position: Position,
    pub action: String,
    pub counterparty_id: Option<CounterpartyId>,
    /// Minus the decimal logarithm of the combined probability. Unit: none.
    pub score: f64,
    /// False findings expected per agent and day at this score; 0 for what the registry has against a use.
    pub false_findings_per_agent_day: f64,
    /// One or two sentences for people, with numbers from the baseline.
    pub summary: String,
    /// Largest share first.
    pub features: Vec<FeatureShare>,
    pub maturity: Maturity,
    /// The events it names: the triggering one, as the detector keeps counts and not events.
    pub evidence: Vec<EventId>,
    /// Money that went to this counterparty (or in this burst) so far, this event included.
    pub money_at_risk: Option<Amount>,
    pub currency: Option<Currency>,
    /// Tags of public catalogues, e.g. `attack.t1078`, `owasp-nhi:NHI5`.
    pub tags: Vec<String>,
}

impl Finding {
    /// Whether it says what the registry has against a use: that is so or not, and spends nothing of the
    /// budgets of false findings.
    pub fn is_of_registry(&self) -> bool {
        self.false_findings_per_agent_day <= 0.0
    }

    /// The id of the finding that `detector` makes of the record at `position`.
    pub fn id_of(detector: DetectorKind, agent: &AgentId, position: &Position) -> FindingId {
        let mut hasher = blake3::Hasher::new();
        // Lengths keep the parts apart: no two different triples write the same bytes.
        for part in [detector.as_str(), agent.as_str(), position.topic.as_str()] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.update(&position.partition.0.to_le_bytes());
        hasher.update(&position.offset.0.to_le_bytes());
        // The first has the id that it had when a record held one.
        if position.part != Part::FIRST {
            hasher.update(&position.part.0.to_le_bytes());
        }
        let hash = hasher.finalize().to_hex();
        FindingId::try_from(format!("fnd_{}", &hash[..32])).expect("36 letters and digits")
    }
}
