//! [`Opinion`] and [`Plan`]: what people tell the detector, as changes of the registry. The commands and
//! the door read them in their own ways; from here on they are the same.
//!
//! Invariant: what is told is in the lake, signed with a name, before it counts; it is never changed
//! there, only told anew. A disposition says what its finding was about, as the lake has it.

use std::time::Duration;

use ingest::Redactor;
use lake::{CommitError, Lake};
use schemas::{
    AgentClass, AgentId, CounterpartyId, DispositionVerdict, FindingId, RegistryChange, Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A finding that was expected is so for a day, if nobody says until when.
const EXPECTED: Duration = Duration::from_hours(24);
/// Somebody else may write the registry at the same moment, so many times in a row.
const TRIES: usize = 5;

/// What a person says of a finding.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Opinion {
    pub(crate) finding_id: FindingId,
    pub(crate) verdict: DispositionVerdict,
    pub(crate) by: String,
    pub(crate) note: Option<String>,
    /// Up to when it holds. Absent: for ever, or a day of what was expected.
    pub(crate) until: Option<Timestamp>,
}

impl Opinion {
    /// The statement that finds what the finding was about.
    pub(crate) fn statement(&self) -> String {
        let id = self.finding_id.as_str().replace('\'', "''");
        let columns = "detector, agent_id, action, counterparty_id, time";
        format!("SELECT {columns} FROM findings WHERE finding_id = '{id}' LIMIT 1")
    }

    /// Why there is nothing to say it of.
    pub(crate) fn unknown(&self) -> String {
        let id = self.finding_id.as_str();
        format!("wanted a finding of the lake, found none with the id {id}")
    }

    /// The change that says it of `finding`, which is a row of [`Self::statement`].
    ///
    /// # Errors
    ///
    /// What of it is no disposition.
    pub(crate) fn of_finding(
        &self,
        finding: &Value,
        now: Timestamp,
    ) -> Result<RegistryChange, serde_json::Error> {
        let until = match (self.until, self.verdict) {
            (None, DispositionVerdict::Expected) => Some(now.plus(EXPECTED)),
            (
                until,
                DispositionVerdict::Benign
                | DispositionVerdict::Confirmed
                | DispositionVerdict::Expected,
            ) => until,
        };
        let mut said = json!({
            "schema": "surety.registry_change.v1", "kind": "disposition", "verdict": self.verdict,
            "finding_id": self.finding_id, "by": self.by, "note": self.note, "valid_to": until,
        });
        for (field, column) in [
            ("detector", "detector"),
            ("agent_id", "agent_id"),
            ("action", "action"),
            ("counterparty_id", "counterparty_id"),
            ("valid_from", "time"),
        ] {
            said[field] = finding[column].clone();
        }
        serde_json::from_value(said)
    }
}

/// What a person knows will be out of the ordinary.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    pub(crate) agent_id: Option<AgentId>,
    pub(crate) agent_class: Option<AgentClass>,
    pub(crate) counterparty_id: Option<CounterpartyId>,
    pub(crate) action: Option<String>,
    pub(crate) volume_times: Option<u32>,
    /// Absent: from now on.
    pub(crate) from: Option<Timestamp>,
    pub(crate) to: Timestamp,
    pub(crate) by: String,
    pub(crate) reason: String,
}

impl Plan {
    /// The change that says it.
    ///
    /// # Errors
    ///
    /// What of it is no expectation.
    pub(crate) fn change(&self, now: Timestamp) -> Result<RegistryChange, String> {
        let (from, to) = (self.from.unwrap_or(now), self.to);
        if to <= from {
            return Err(format!("to: wanted a time after {from}, found {to}"));
        }
        let said = json!({
            "schema": "surety.registry_change.v1", "kind": "expectation",
            "agent_id": self.agent_id, "agent_class": self.agent_class,
            "counterparty_id": self.counterparty_id, "action": self.action,
            "volume_times": self.volume_times, "by": self.by, "reason": self.reason,
            "valid_from": from, "valid_to": to,
        });
        serde_json::from_value(said).map_err(|error| error.to_string())
    }

    /// The agent or class that it is of.
    pub(crate) fn whose(&self) -> Option<&str> {
        let agent = self.agent_id.as_ref().map(AgentId::as_str);
        agent.or(self.agent_class.as_ref().map(AgentClass::as_str))
    }
}

/// Adds a change to the registry of the lake, where running services find it.
///
/// # Errors
///
/// [`CommitError`].
pub(crate) async fn keep(
    mut change: RegistryChange,
    now: Timestamp,
    redactor: &Redactor,
    lake: &Lake,
) -> Result<(), CommitError> {
    change.recorded_at = Some(now);
    redactor.change(&mut change);
    let mut tries = 1;
    loop {
        match lake.import_registry(std::slice::from_ref(&change), now).await {
            Err(CommitError::Superseded { .. }) if tries < TRIES => tries += 1,
            kept => return kept.map(|_| ()),
        }
    }
}
