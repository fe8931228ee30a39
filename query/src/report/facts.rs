//! [`Facts`]: everything that the report for people says; `facts.json`.
//!
//! Invariant: `report.html` is a function of the facts, so that a verifier makes it again.

use std::collections::BTreeMap;

use schemas::Timestamp;
use serde::{Deserialize, Serialize};

use super::tally::{Cents, Tally};
use crate::pack::chain::Completeness;
use crate::pack::manifest::{Head, Subject};

/// What a report says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Facts {
    pub(crate) format: String,
    pub(crate) subject: Subject,
    pub(crate) from: Timestamp,
    /// The end of the range: not in it.
    pub(crate) to: Timestamp,
    pub(crate) lake: String,
    pub(crate) head: Head,
    pub(crate) key: String,
    /// Counted from the rows of the pack.
    pub(crate) tally: Tally,
    /// Rows that are in no seal yet, and so are not proven.
    pub(crate) unsealed: u64,
    /// Counted from the seals of the pack.
    pub(crate) completeness: Completeness,
    /// By the registry's last word.
    pub(crate) people: Vec<Person>,
    pub(crate) findings: Vec<FindingCount>,
    /// The most severe ones.
    pub(crate) worst: Vec<WorstFinding>,
    pub(crate) traces: Vec<TraceOfAgent>,
    /// What the same agents did in the range that is not in the rows of the pack.
    pub(crate) elsewhere: Vec<Elsewhere>,
    /// Of everything in the range, in whoever's name.
    pub(crate) coverage: Vec<Coverage>,
    /// The largest parts of what nobody answers for.
    pub(crate) unowned: Vec<Unowned>,
    /// Records of the whole lake that could not become events, by reason.
    pub(crate) rejects: Vec<RejectCount>,
}

/// A sponsor, as the registry knows him or her.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Person {
    pub(crate) sponsor_id: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) unit: Option<String>,
    pub(crate) is_active: Option<bool>,
    pub(crate) events: u64,
    pub(crate) agents: u64,
}

/// How many findings there are of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FindingCount {
    pub(crate) severity: String,
    pub(crate) detector: String,
    /// What a person said of them last.
    pub(crate) verdict: Option<String>,
    pub(crate) findings: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WorstFinding {
    pub(crate) finding_id: String,
    pub(crate) time: Timestamp,
    pub(crate) severity: String,
    pub(crate) detector: String,
    pub(crate) agent_id: String,
    pub(crate) counterparty_id: Option<String>,
    pub(crate) event_id: String,
    pub(crate) summary: String,
    pub(crate) money_at_risk: Option<Cents>,
    pub(crate) currency: Option<String>,
    pub(crate) verdict: Option<String>,
    pub(crate) person: Option<String>,
    pub(crate) note: Option<String>,
}

/// How the last event of an agent leads to a sponsor, by what is known now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TraceOfAgent {
    pub(crate) agent_id: String,
    pub(crate) event_id: String,
    pub(crate) time: Timestamp,
    pub(crate) status: String,
    pub(crate) sponsor_id: Option<String>,
    pub(crate) confidence: f32,
    pub(crate) hops: Vec<HopOfTrace>,
    pub(crate) gap: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HopOfTrace {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) method: String,
    pub(crate) confidence: f32,
    pub(crate) evidence: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Elsewhere {
    pub(crate) sponsor_id: Option<String>,
    pub(crate) trace_status: String,
    pub(crate) events: u64,
    pub(crate) agents: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Coverage {
    pub(crate) day: String,
    pub(crate) format: String,
    pub(crate) trace_status: String,
    pub(crate) events: u64,
    pub(crate) traced: u64,
    pub(crate) claimed: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Unowned {
    pub(crate) agent_id: String,
    pub(crate) credential_id: String,
    pub(crate) trace_status: String,
    pub(crate) events: u64,
    pub(crate) first_time: Timestamp,
    pub(crate) last_time: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RejectCount {
    pub(crate) reason: String,
    pub(crate) records: u64,
}

impl Facts {
    /// Events of the whole range, and those of them that lead to a sponsor.
    pub(crate) fn covered(&self) -> (u64, u64) {
        let sum = |of: fn(&Coverage) -> u64| self.coverage.iter().map(of).sum();
        (sum(|one| one.events), sum(|one| one.traced))
    }

    pub(crate) fn findings_by(&self, key: impl Fn(&FindingCount) -> &str) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for count in &self.findings {
            *counts.entry(key(count).to_owned()).or_default() += count.findings;
        }
        counts
    }
}
