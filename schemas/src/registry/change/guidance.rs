//! [`Disposition`] and [`Expectation`]: what people tell the detector.
//!
//! Invariant: each says by itself whom and what it is about, so that nothing has to be looked up where
//! it is applied. An expectation is of one agent or of one class, and expects something.

use serde::{Deserialize, Serialize};

use crate::event::spelled;
use crate::{AgentClass, AgentId, CounterpartyId, DetectorKind, FindingId};

spelled! {
    /// What a person said of a finding.
    DispositionVerdict {
        /// It was an attack or a misuse: what it is about is never trusted again.
        Confirmed = "confirmed",
        /// Nothing was wrong with it: what it is about is trusted from then on.
        Benign = "benign",
        /// It was known and is no rule: not told again while the disposition holds, and not trusted.
        Expected = "expected",
    }
}

/// What a person said of a finding, with what the finding was about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct Disposition {
    pub finding_id: FindingId,
    pub verdict: DispositionVerdict,
    /// The finding's detector, agent, action and counterparty.
    pub detector: DetectorKind,
    pub agent_id: AgentId,
    pub action: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counterparty_id: Option<CounterpartyId>,
    /// Who says so.
    pub by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What a person knows will be out of the ordinary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, try_from = "Unchecked")]
#[schemars(inline)]
pub struct Expectation {
    /// Of this agent, or else of every agent of a class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agent_id: Option<AgentId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agent_class: Option<AgentClass>,
    /// Dealings with this counterparty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counterparty_id: Option<CounterpartyId>,
    /// This action; with a counterparty, this action with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Up to so many times the usual volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_times: Option<u32>,
    /// Who says so.
    pub by: String,
    pub reason: String,
}

/// An expectation as it is written.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct Unchecked {
    /// Of this agent, or else of every agent of a class: one of the two.
    #[serde(default)]
    agent_id: Option<AgentId>,
    #[serde(default)]
    agent_class: Option<AgentClass>,
    /// Dealings with this counterparty.
    #[serde(default)]
    counterparty_id: Option<CounterpartyId>,
    /// This action; with a counterparty, this action with it.
    #[serde(default)]
    action: Option<String>,
    /// Up to so many times the usual volume.
    #[serde(default)]
    volume_times: Option<u32>,
    /// Who says so.
    by: String,
    reason: String,
}

/// Whose behaviour is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose<'a> {
    Agent(&'a AgentId),
    Class(&'a AgentClass),
}

/// Volumes beyond this are an attack whatever was announced.
const VOLUME_TIMES_MAX: u32 = 1_000;

impl TryFrom<Unchecked> for Expectation {
    type Error = String;

    fn try_from(unchecked: Unchecked) -> Result<Self, String> {
        let Unchecked { agent_id, agent_class, counterparty_id, action, volume_times, by, reason } =
            unchecked;
        if agent_id.is_some() == agent_class.is_some() {
            return Err("wanted either agent_id or agent_class".to_owned());
        }
        if counterparty_id.is_none() && action.is_none() && volume_times.is_none() {
            return Err("wanted counterparty_id, action or volume_times".to_owned());
        }
        if volume_times.is_some_and(|times| !(2..=VOLUME_TIMES_MAX).contains(&times)) {
            return Err(format!("wanted volume_times of 2 to {VOLUME_TIMES_MAX}"));
        }
        let counted =
            Self { agent_id, agent_class, counterparty_id, action, volume_times, by, reason };
        Ok(counted)
    }
}

impl Expectation {
    pub fn whose(&self) -> Whose<'_> {
        match (&self.agent_id, &self.agent_class) {
            (Some(agent), _) => Whose::Agent(agent),
            (None, Some(class)) => Whose::Class(class),
            (None, None) => unreachable!("made by try_from alone"),
        }
    }

    /// The agent or class it is about.
    pub fn subject(&self) -> &str {
        match self.whose() {
            Whose::Agent(agent) => agent.as_str(),
            Whose::Class(class) => class.as_str(),
        }
    }

    /// For what may replace a secret in the ids.
    pub fn ids_mut(&mut self) -> (Option<&mut AgentId>, Option<&mut AgentClass>) {
        (self.agent_id.as_mut(), self.agent_class.as_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Expectation, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn an_expectation_is_of_somebody_and_of_something() {
        let said = r#""by": "anna", "reason": "year end""#;
        for (fields, wanted) in [
            (r#""agent_id": "a""#, "counterparty_id, action or volume_times"),
            (r#""action": "pay""#, "either agent_id or agent_class"),
            (r#""agent_id": "a", "agent_class": "c", "action": "pay""#, "either agent_id"),
            (r#""agent_id": "a", "volume_times": 1"#, "volume_times of 2"),
        ] {
            let error = read(&format!("{{{fields}, {said}}}")).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
        let of_class = format!(r#"{{"agent_class": "invoice", "volume_times": 5, {said}}}"#);
        let read = read(&of_class).unwrap();
        assert_eq!(read.subject(), "invoice");
        assert_eq!(
            serde_json::to_value(&read).unwrap(),
            serde_json::from_str::<serde_json::Value>(&of_class).unwrap()
        );
    }
}
